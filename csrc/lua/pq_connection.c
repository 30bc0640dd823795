#include "lua/pq_connection.h"

#include "lua/check.h"
#include "lua/secret.h"
#include "sql/session.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RESULT_TYPE "crdbcloud.result"

struct connection {
    struct crdb_pq *session;
};

enum { PARAMS_GIVEN_MAX = 48, VALUES_MAX = 65535, TIMEOUT_MAX = 86400 };

int crdb_push_pq_error(lua_State *L, const struct crdb_pq_error *error) {
    lua_pushnil(L);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, crdb_pq_reason_word(error->reason));
    lua_setfield(L, -2, "reason");
    lua_pushstring(L, error->message);
    lua_setfield(L, -2, "message");
    if (error->sqlstate[0]) {
        lua_pushstring(L, error->sqlstate);
        lua_setfield(L, -2, "sqlstate");
    }
    if (error->detail[0]) {
        lua_pushstring(L, error->detail);
        lua_setfield(L, -2, "detail");
    }
    lua_pushboolean(L, error->sent);
    lua_setfield(L, -2, "sent");
    return 2;
}

static void release(struct connection *c) {
    struct crdb_pq *session = c->session;
    c->session = NULL;
    crdb_pq_close(session);
}

/* Pushes an owner for the result of one statement. Not the connection: handing rows to Lua may run
 * a finaliser, and that may close the connection or run a statement on it. */
static PGresult **push_result_slot(lua_State *L) {
    return crdb_new(L, sizeof(PGresult *), RESULT_TYPE);
}

static void clear_result(PGresult **slot) {
    PGresult *result = *slot;
    *slot = NULL;
    PQclear(result);
}

static int release_result(lua_State *L) {
    clear_result(luaL_checkudata(L, 1, RESULT_TYPE));
    return 0;
}

static struct connection *check_open(lua_State *L) {
    struct connection *c = luaL_checkudata(L, 1, CRDB_CONNECTION_TYPE);
    if (!c->session)
        luaL_error(L, "connection is closed");
    if (crdb_pq_forked(c->session))
        luaL_error(L, "connection was made before a fork; connect again in this process");
    return c;
}

/* Text for libpq at idx; raises when it has a NUL, which libpq would take as its end. */
static const char *check_text(lua_State *L, int idx, const char *what, size_t *length) {
    const char *text = crdb_check_bytes(L, idx, what, length);
    if (memchr(text, '\0', *length))
        luaL_error(L, "%s: holds a NUL byte, which SQL text cannot", what);
    return text;
}

static double check_timeout(lua_State *L, int idx, const char *what) {
    double timeout = 30;
    if (crdb_push_field(L, idx, "timeout") != LUA_TNIL)
        timeout = crdb_check_number(L, -1, what, 0.001, TIMEOUT_MAX);
    lua_pop(L, 1);
    return timeout;
}

static const char *const secret_params[] = {"password", "sslpassword"};
enum { SECRET_PARAMS = sizeof secret_params / sizeof *secret_params };

/* Adds the parameters in the table at 1; the strings and secrets stay alive in it. */
static void collect_params(lua_State *L, struct crdb_pq_params *params,
                           struct crdb_pq_hidden hidden[SECRET_PARAMS]) {
    int count = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "connect: parameters have names, got a key of type %s",
                       luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "timeout") == 0 || strcmp(name, "ambient_password") == 0 ||
            strcmp(name, "scram") == 0)
            continue;
        size_t length;
        const char *value = NULL;
        for (int i = 0; i < SECRET_PARAMS; i++)
            if (strcmp(name, secret_params[i]) == 0) {
                value = check_text(L, -1, name, &length);
                hidden[i] = (struct crdb_pq_hidden){value, length};
            }
        if (!value)
            value = crdb_check_line(L, -1, name, &length);
        if (++count > PARAMS_GIVEN_MAX)
            luaL_error(L, "connect: too many parameters");
        crdb_pq_params_add(params, name, value);
    }
}

static bool check_flag(lua_State *L, const char *name) {
    int type = crdb_push_field(L, 1, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        crdb_raise_type(L, -1, name, "true or false");
    bool flag = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return flag;
}

int crdb_pq_lua_connect(lua_State *L) {
    struct crdb_pq_params params;
    struct crdb_pq_hidden hidden[SECRET_PARAMS] = {{"", 0}, {"", 0}};
    struct crdb_pq_error error;
    crdb_check_count(L, 1);
    if (!lua_istable(L, 1))
        crdb_raise_type(L, 1, "connect", "a table of connection parameters");
    double timeout = check_timeout(L, 1, "timeout");
    bool ambient = check_flag(L, "ambient_password"), scram = check_flag(L, "scram");
    struct connection *c = crdb_new(L, sizeof *c, CRDB_CONNECTION_TYPE);
    /* Last: what is borrowed here must not wait while Lua makes something. */
    crdb_pq_params_start(&params);
    params.scram = scram;
    collect_params(L, &params, hidden);

    if (!crdb_pq_params_finish(&params, ambient)) {
        crdb_pq_error_set(&error, CRDB_PQ_MEMORY, "the connection parameters do not fit");
        return crdb_push_pq_error(L, &error);
    }
    c->session = crdb_pq_connect(&params, timeout, hidden, SECRET_PARAMS, &error);
    return c->session ? 1 : crdb_push_pq_error(L, &error);
}

/* Number of values in the table at idx: its field n, else its length. */
static int count_values(lua_State *L, int idx) {
    if (lua_isnoneornil(L, idx))
        return 0;
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "parameters", "a table");
    int64_t count = (int64_t)crdb_rawlen(L, idx);
    if (crdb_push_field(L, idx, "n") != LUA_TNIL)
        count = crdb_check_integer(L, -1, "parameters.n", 0, VALUES_MAX);
    lua_pop(L, 1);
    if (count > VALUES_MAX)
        luaL_error(L, "parameters: at most %d", VALUES_MAX);
    return (int)count;
}

/* Points values and hidden at the parameters in the table at idx, which keeps them alive. */
static void collect_values(lua_State *L, int idx, const char **values,
                           struct crdb_pq_hidden *hidden, struct crdb_pq_statement *statement) {
    for (int i = 0; i < statement->count; i++) {
        lua_rawgeti(L, idx, i + 1);
        size_t length;
        if (lua_isnil(L, -1)) {
            values[i] = NULL;
        } else {
            char what[32];
            snprintf(what, sizeof what, "parameter $%d", i + 1);
            values[i] = check_text(L, -1, what, &length);
            if (crdb_test_secret(L, -1)) {
                hidden[statement->hidden_count].bytes = values[i];
                hidden[statement->hidden_count++].length = length;
            }
        }
        lua_pop(L, 1);
    }
}

static int query(lua_State *L) {
    static const char *const options[] = {"timeout", "secret_columns", NULL};
    crdb_check_count(L, 4);
    struct connection *c = check_open(L);
    struct crdb_pq_statement statement = {0};
    struct crdb_pq_error error;
    size_t length;
    crdb_check_string(L, 2, "statement", NULL);
    statement.text = check_text(L, 2, "statement", &length);
    lua_settop(L, 4);
    crdb_check_fields(L, 4, "query", options);
    double timeout = check_timeout(L, 4, "timeout");
    int type = crdb_push_field(L, 4, "secret_columns"); /* now at 5 */
    if (type != LUA_TNIL && type != LUA_TTABLE)
        crdb_raise_type(L, 5, "secret_columns", "a list of column names");
    statement.count = count_values(L, 3);
    PGresult **result = push_result_slot(L); /* at 6 */
    if (statement.count > 0) {
        size_t count = (size_t)statement.count;
        struct crdb_pq_hidden *hidden =
            crdb_newuserdata(L, count * (sizeof *hidden + sizeof *statement.values));
        const char **values = (const char **)(void *)(hidden + count);
        collect_values(L, 3, values, hidden, &statement);
        statement.values = values;
        statement.hidden = hidden;
    }
    check_open(L); /* again: a finaliser may have closed it meanwhile */
    if (!crdb_pq_usable(c->session)) {
        crdb_pq_error_set(&error, CRDB_PQ_NETWORK, "the connection was lost; connect again");
        return crdb_push_pq_error(L, &error);
    }
    *result = crdb_pq_query(c->session, &statement, timeout, &error);
    if (!*result)
        return crdb_push_pq_error(L, &error);
    const char *missing = crdb_push_rows(L, *result, 5);
    clear_result(result);
    if (!missing)
        return 1;
    crdb_pq_error_set(&error, CRDB_PQ_OPTION, "");
    error.sent = true;
    crdb_push_pq_error(L, &error);
    lua_pushfstring(L, "secret_columns: the answer has no column \"%s\"", missing);
    lua_setfield(L, -2, "message");
    return 2;
}

static int used_password(lua_State *L) {
    struct connection *c = check_open(L);
    lua_pushboolean(L, crdb_pq_used_password(c->session));
    return 1;
}

static int is_open(lua_State *L) {
    struct connection *c = luaL_checkudata(L, 1, CRDB_CONNECTION_TYPE);
    lua_pushboolean(L, c->session && !crdb_pq_forked(c->session) && crdb_pq_usable(c->session));
    return 1;
}

static int close_connection(lua_State *L) {
    release(luaL_checkudata(L, 1, CRDB_CONNECTION_TYPE));
    return 0;
}

static int to_string(lua_State *L) {
    struct connection *c = luaL_checkudata(L, 1, CRDB_CONNECTION_TYPE);
    const char *state = !c->session ? "closed" : crdb_pq_usable(c->session) ? "open" : "lost";
    lua_pushfstring(L, "crdbcloud.connection (%s)", state);
    return 1;
}

static const luaL_Reg methods[] = {
    {"query", query},     {"used_password", used_password},
    {"is_open", is_open}, {"close", close_connection},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", close_connection},
    {"__close", close_connection},
    {"__tostring", to_string},
    {NULL, NULL},
};

void crdb_open_connection(lua_State *L) {
    static const luaL_Reg of_result[] = {{"__gc", release_result}, {NULL, NULL}};
    crdb_open_type(L, RESULT_TYPE, of_result, NULL);
    crdb_open_type(L, CRDB_CONNECTION_TYPE, metamethods, methods);
}
