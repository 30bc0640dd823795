/*
 * lua_secret_make.c - the functions that make secrets.
 *
 * In each of them the userdata comes first, so that no secret is without an
 * owner when Lua raises.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "files/file.h"
#include "lua/check.h"
#include "lua/scratch.h"
#include "lua/secret.h"
#include "process/terminal.h"
#include "secrets/password.h"

enum { SECRET_FILE_MAX = 65536, LENGTH_DEFAULT = 32 };

/* core.secret(string) -> secret */
static int from_string(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    const char *bytes = crdb_check_string(L, 1, "secret", &len);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    *slot = crdb_secret_copy(bytes, len);
    return *slot ? 1 : crdb_raise_no_memory(L);
}

/* core.secret_join{string | secret, ...} -> secret */
static int join(lua_State *L) {
    crdb_check_count(L, 1);
    if (!lua_istable(L, 1))
        return crdb_raise_type(L, 1, "secret_join", "a list of strings and secrets");
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    int count = (int)crdb_rawlen(L, 1);
    size_t total = 0;
    /* Two passes: all that can raise comes before there is memory to lose. */
    for (int i = 1; i <= count; i++) {
        size_t len;
        lua_rawgeti(L, 1, i);
        crdb_check_bytes(L, -1, "secret_join", &len);
        total += len;
        lua_pop(L, 1);
    }
    *slot = crdb_secret_new(total);
    if (!*slot)
        return crdb_raise_no_memory(L);
    unsigned char *to = crdb_secret_bytes(*slot);
    for (int i = 1; i <= count; i++) {
        size_t len;
        lua_rawgeti(L, 1, i);
        const char *bytes = crdb_check_bytes(L, -1, "secret_join", &len);
        if (len)
            memcpy(to, bytes, len);
        to += len;
        lua_pop(L, 1);
    }
    return 1;
}

/* Whether the file's bytes can be a secret, and without its trailing newline. */
static bool trim(struct crdb_secret *content, const char *path, size_t *len,
                 struct crdb_failure *f) {
    const unsigned char *bytes = crdb_secret_bytes(content);
    *len = crdb_secret_length(content);
    if (*len && bytes[*len - 1] == '\n')
        --*len;
    if (*len && bytes[*len - 1] == '\r')
        --*len;
    if (*len == 0)
        crdb_fail(f, "empty", "%.800s holds no secret: it is empty", path);
    else if (memchr(bytes, '\0', *len))
        crdb_fail(f, "nul", "%.800s holds a NUL byte, so it is not a secret in text form", path);
    else
        return true;
    return false;
}

/* core.secret_from_file(path) -> secret | nil, message, code. One trailing
 * newline is dropped. Codes besides errno names: mode, type, large, empty, nul. */
static int from_file(lua_State *L) {
    crdb_check_count(L, 1);
    const char *path = crdb_check_path(L, 1, "path");
    struct crdb_secret **whole = crdb_push_secret_slot(L), **slot = crdb_push_secret_slot(L);
    struct crdb_failure f;
    size_t len;
    *whole = crdb_file_read(path, SECRET_FILE_MAX, CRDB_FILE_GIVEN, &f);
    if (!*whole || !trim(*whole, path, &len, &f))
        return crdb_push_failure(L, &f);
    *slot = crdb_secret_copy(crdb_secret_bytes(*whole), len);
    crdb_secret_release(*whole);
    *whole = NULL;
    return *slot ? 1 : crdb_raise_no_memory(L);
}

/* core.secret_from_env(name) -> secret | nil, message, "unset" | "empty" */
static int from_env(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    const char *name = crdb_check_line(L, 1, "name", &len);
    if (len == 0 || strchr(name, '='))
        return luaL_error(L, "name: expected the name of an environment variable, got '%s'", name);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    const char *value = getenv(name);
    if (!value || !*value) {
        lua_pushnil(L);
        lua_pushfstring(L, "environment variable %s is %s", name, value ? "empty" : "not set");
        lua_pushstring(L, value ? "empty" : "unset");
        return 3;
    }
    *slot = crdb_secret_copy(value, strlen(value));
    return *slot ? 1 : crdb_raise_no_memory(L);
}

/* core.secret_prompt(text) -> secret | nil, message, code; codes: see terminal.h */
static int from_prompt(lua_State *L) {
    crdb_check_count(L, 1);
    const char *text = crdb_check_line(L, 1, "text", NULL);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_failure f;
    *slot = crdb_terminal_prompt(text, &f);
    return *slot ? 1 : crdb_push_failure(L, &f);
}

/* core.is_secret(value) -> boolean; true for a closed one as well */
static int is_secret(lua_State *L) {
    crdb_check_count(L, 1);
    lua_pushboolean(L, luaL_testudata(L, 1, CRDB_SECRET_TYPE) != NULL);
    return 1;
}

static void check_alphabet(lua_State *L, int idx, struct crdb_bytes *alphabet) {
    static const char base62[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    alphabet->bytes = (const unsigned char *)base62;
    alphabet->length = sizeof base62 - 1;
    if (lua_isnoneornil(L, idx))
        return;
    alphabet->bytes =
        (const unsigned char *)crdb_check_string(L, idx, "alphabet", &alphabet->length);
    if (alphabet->length < 2 || alphabet->length > 256)
        luaL_error(L, "alphabet: expected 2 to 256 distinct bytes, got %d", (int)alphabet->length);
    for (size_t i = 1; i < alphabet->length; i++)
        if (memchr(alphabet->bytes, alphabet->bytes[i], i))
            luaL_error(L, "alphabet: expected distinct bytes, but byte %d repeats an earlier one",
                       (int)(i + 1));
}

/* The classes stay on the stack, since the policy points into them. */
static void check_classes(lua_State *L, int idx, struct crdb_password_policy *policy) {
    if (lua_isnoneornil(L, idx))
        return;
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "classes", "a list of strings");
    size_t count = crdb_rawlen(L, idx);
    if (count > CRDB_PASSWORD_CLASSES_MAX)
        luaL_error(L, "classes: expected at most %d, got %d", (int)CRDB_PASSWORD_CLASSES_MAX,
                   (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, idx, (int)(i + 1));
        struct crdb_bytes *class = &policy->classes[i];
        class->bytes = (const unsigned char *)crdb_check_string(L, -1, "classes", &class->length);
    }
    policy->class_count = count;
}

/* core.password(length = 32, alphabet = letters and digits, classes = {}) -> secret | nil, message */
static int password(lua_State *L) {
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    struct crdb_password_policy policy = {0};
    policy.length = LENGTH_DEFAULT;
    if (!lua_isnil(L, 1))
        policy.length = (size_t)crdb_check_integer(L, 1, "length", 1, CRDB_PASSWORD_LENGTH_MAX);
    check_alphabet(L, 2, &policy.alphabet);
    check_classes(L, 3, &policy);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    lua_pushnil(L);
    switch (crdb_password_generate(&policy, slot)) {
    case CRDB_PASSWORD_OK:
        lua_pop(L, 1);
        return 1;
    case CRDB_PASSWORD_NO_MEMORY:
        return crdb_raise_no_memory(L);
    case CRDB_PASSWORD_IMPOSSIBLE:
        lua_pushliteral(L, "no password of this length and alphabet has a character of each class");
        break;
    case CRDB_PASSWORD_UNLIKELY:
        lua_pushliteral(L,
                        "fewer than one in a million passwords of this length and alphabet has a "
                        "character of each class");
        break;
    case CRDB_PASSWORD_NO_RANDOM:
        lua_pushliteral(L, "the system gives no random bytes");
        break;
    }
    return 2;
}

const luaL_Reg crdb_secret_functions[] = {
    {"secret", from_string},         {"secret_join", join},
    {"secret_from_file", from_file}, {"secret_from_env", from_env},
    {"secret_prompt", from_prompt},  {"is_secret", is_secret},
    {"password", password},          {NULL, NULL},
};
