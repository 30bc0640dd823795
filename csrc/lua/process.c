/*
 * process.c - core.run: runs a program from Lua; see process.h. core.exec: becomes one.
 *
 * The vectors for exec are userdata that point into Lua strings, which the
 * arguments keep alive, and into a buffer that is wiped.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"
#include "process/process.h"

enum { ARGUMENTS_MAX = 1024, OUTPUT_MAX_DEFAULT = 1048576 };

static const double day = 86400;

/* The list of strings at idx as argv; what: the function, for messages. */
static char **check_argv(lua_State *L, int idx, const char *what) {
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, what, "a list of the program and its arguments");
    size_t count = crdb_rawlen(L, idx);
    if (count < 1 || count > ARGUMENTS_MAX)
        luaL_error(L, "%s: expected a program and at most %d arguments, got a list of %d", what,
                   (int)ARGUMENTS_MAX - 1, (int)count);
    const char *program = lua_pushfstring(L, "%s: program", what);
    const char *argument = lua_pushfstring(L, "%s: argument", what);
    char **argv = crdb_newuserdata(L, (count + 1) * sizeof *argv);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        lua_rawgeti(L, idx, (int)(i + 1));
        if (crdb_test_secret(L, -1))
            luaL_error(L,
                       "%s: argument %d is a secret, and arguments are seen by every user of "
                       "the machine: pass it by stdin or env",
                       what, (int)i);
        const char *text = crdb_check_string(L, -1, i ? argument : program, &len);
        if (strlen(text) != len || (i == 0 && len == 0))
            luaL_error(L, "%s: expected text without a NUL byte%s", what,
                       i ? "" : ", and not empty");
        argv[i] = (char *)text;
        lua_pop(L, 1);
    }
    argv[count] = NULL;
    return argv;
}

/* What of our own environment a program gets: a few variables that every program expects, all but
 * those in which our own secrets are, or all. */
enum inheritance { USUAL, OTHERS, ALL };

static bool starts_with(const char *text, const char *head) {
    return strncmp(text, head, strlen(head)) == 0;
}

/* Whether NAME=VALUE of our own environment is for the program. */
static bool passes(const char *entry, enum inheritance inherit) {
    static const char *const usual[] = {
        "PATH=", "HOME=", "USER=",   "LOGNAME=",         "SHELL=",          "LANG=",
        "LC_",   "TZ=",   "TMPDIR=", "XDG_RUNTIME_DIR=", "XDG_CONFIG_HOME="};
    static const char *const ours[] = {"COCKROACH_", "CRDBCLOUD_", "PGPASSWORD="};
    if (inherit == ALL)
        return true;
    if (inherit == OTHERS) {
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            if (starts_with(entry, ours[i]))
                return false;
        return true;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (starts_with(entry, usual[i]))
            return true;
    return false;
}

/* Appends what passes of our environment, except what the table at idx (or nil) sets anew. */
static size_t append_ours(lua_State *L, int idx, enum inheritance inherit, struct crdb_buffer *b) {
    size_t count = 0;
    for (char **entry = environ; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (!equals || !passes(*entry, inherit))
            continue;
        if (!lua_isnil(L, idx)) {
            lua_pushlstring(L, *entry, (size_t)(equals - *entry));
            lua_rawget(L, idx);
            bool anew = !lua_isnil(L, -1);
            lua_pop(L, 1);
            if (anew)
                continue;
        }
        crdb_buffer_append(b, *entry, strlen(*entry) + 1);
        count++;
    }
    return count;
}

/* Appends the variables of the table at idx (or nil). */
static size_t append_given(lua_State *L, int idx, struct crdb_buffer *b) {
    size_t count = 0;
    if (lua_isnil(L, idx))
        return 0;
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "env", "a table of strings and secrets");
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        size_t name_len, len;
        const char *name = crdb_check_string(L, -2, "env: name", &name_len);
        if (name_len == 0 || strlen(name) != name_len || strchr(name, '='))
            luaL_error(L, "env: expected names of variables, got '%s'", name);
        const char *value = crdb_check_bytes(L, -1, name, &len);
        if (memchr(value, '\0', len))
            luaL_error(L, "env: %s has a NUL byte, which a variable cannot hold", name);
        crdb_buffer_append(b, name, name_len);
        crdb_buffer_append(b, "=", 1);
        crdb_buffer_append(b, value, len);
        crdb_buffer_append(b, "", 1);
        count++;
        lua_pop(L, 1);
    }
    return count;
}

/* An environment of the variables of the table at given (or nil) and what is inherited. */
static char **make_environment(lua_State *L, int given, enum inheritance inherit,
                               struct crdb_buffer *b) {
    size_t count = append_given(L, given, b);
    count += append_ours(L, given, inherit, b);
    if (b->failed)
        crdb_raise_no_memory(L);
    char **environment = crdb_newuserdata(L, (count + 1) * sizeof *environment);
    char *at = b->data;
    for (size_t i = 0; i < count; i++) {
        environment[i] = at;
        at += strlen(at) + 1;
    }
    environment[count] = NULL;
    return environment;
}

/* The environment of the program, from the options env and inherit of the table at idx. */
static char **check_environment(lua_State *L, int idx, struct crdb_buffer *b) {
    if (crdb_push_field(L, idx, "inherit") != LUA_TNIL && !lua_isboolean(L, -1))
        crdb_raise_type(L, -1, "inherit", "true or false");
    enum inheritance inherit = lua_toboolean(L, -1) ? OTHERS : USUAL;
    crdb_push_field(L, idx, "env");
    return make_environment(L, lua_gettop(L), inherit, b);
}

static void check_options(lua_State *L, int idx, struct crdb_process_spec *spec) {
    static const char *const fields[] = {"stdin",   "env",        "inherit", "cwd",
                                         "timeout", "max_output", NULL};
    crdb_check_fields(L, idx, "run", fields);
    if (crdb_push_field(L, idx, "timeout") == LUA_TNIL)
        luaL_error(L, "timeout: expected a time limit in seconds, got nothing");
    spec->timeout = crdb_check_number(L, -1, "timeout", 0.001, 366 * day);
    spec->output_max = OUTPUT_MAX_DEFAULT;
    if (crdb_push_field(L, idx, "max_output") != LUA_TNIL)
        spec->output_max = (size_t)crdb_check_integer(L, -1, "max_output", 0, INT32_MAX);
    if (crdb_push_field(L, idx, "cwd") != LUA_TNIL)
        spec->directory = crdb_check_path(L, -1, "cwd");
    if (crdb_push_field(L, idx, "stdin") != LUA_TNIL)
        crdb_check_bytes(L, -1, "stdin", NULL); /* stays on the stack: see run */
}

static void push_result(lua_State *L, const struct crdb_process_result *result, int out, int err) {
    lua_createtable(L, 0, 6);
    if (result->status >= 0) {
        lua_pushinteger(L, result->status);
        lua_setfield(L, -2, "status");
    }
    if (result->signal) {
        lua_pushinteger(L, result->signal);
        lua_setfield(L, -2, "signal");
    }
    lua_pushboolean(L, result->timed_out);
    lua_setfield(L, -2, "timed_out");
    lua_pushboolean(L, result->truncated);
    lua_setfield(L, -2, "truncated");
    lua_pushvalue(L, out);
    lua_setfield(L, -2, "stdout");
    lua_pushvalue(L, err);
    lua_setfield(L, -2, "stderr");
}

/* core.run({program, argument, ...}, {timeout, stdin, env, inherit, cwd, max_output})
 *   -> {status, signal, stdout, stderr, timed_out, truncated} | nil, message, code */
static int run(lua_State *L) {
    crdb_check_count(L, 2);
    lua_settop(L, 2);
    struct crdb_process_spec spec = {.argv = check_argv(L, 1, "run")};
    check_options(L, 2, &spec);
    int input_idx = lua_gettop(L);
    struct crdb_buffer *environment = crdb_push_scratch(L);
    spec.environment = check_environment(L, 2, environment);
    struct crdb_secret **out = crdb_push_secret_slot(L);
    int out_idx = lua_gettop(L);
    struct crdb_secret **err = crdb_push_secret_slot(L);
    struct crdb_process_result result;
    struct crdb_failure f;
    if (!lua_isnil(L, input_idx)) /* borrowed last: see crdb_check_secret */
        spec.input = crdb_check_bytes(L, input_idx, "stdin", &spec.input_length);
    bool ran = crdb_process_run(&spec, &result, &f);
    crdb_buffer_free(environment);
    if (ran) {
        *out = crdb_secret_copy(result.out.data, result.out.length);
        *err = crdb_secret_copy(result.err.data, result.err.length);
    }
    crdb_process_result_free(&result);
    if (!ran)
        return crdb_push_failure(L, &f);
    if (!*out || !*err)
        return crdb_raise_no_memory(L);
    push_result(L, &result, out_idx, out_idx + 1);
    return 1;
}

/* core.exec({program, argument, ...}, env) -> nil, message, code; does not return when it succeeds.
 * The program is this process from then on: same terminal, same process id, its exit status is ours. */
static int exec(lua_State *L) {
    crdb_check_count(L, 2);
    lua_settop(L, 2);
    char **argv = check_argv(L, 1, "exec");
    struct crdb_buffer *buffer = crdb_push_scratch(L);
    char **environment = make_environment(L, 2, ALL, buffer);
    execvpe(argv[0], argv, environment);
    struct crdb_failure f;
    crdb_fail_errno(&f, errno, "start", argv[0]);
    crdb_buffer_free(buffer);
    return crdb_push_failure(L, &f);
}

const luaL_Reg crdb_process_functions[] = {{"run", run}, {"exec", exec}, {NULL, NULL}};
