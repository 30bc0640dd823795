/*
 * request.c - client:request(), for endpoints that have no method of their own.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua/check.h"
#include "lua/client.h"
#include "lua/result.h"
#include "lua/secret.h"

/* Static texts, because the transfer compares and keeps their addresses. */
static const char *check_method(lua_State *L, int idx) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const char *given = crdb_check_string(L, idx, "method", NULL);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(given, methods[i]) == 0)
            return methods[i];
    luaL_error(L, "method: expected GET, POST, PUT, PATCH or DELETE, got '%s'", given);
    return NULL;
}

/* Appends the key at -2 and value at -1; leaves the stack as it was. */
static void add_query(lua_State *L, struct crdb_request *r) {
    size_t key_length, length = 0;
    char number[32];
    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "query: expected names as keys, got a %s", luaL_typename(L, -2));
    const char *key = lua_tolstring(L, -2, &key_length), *value = number;
    if (lua_type(L, -1) == LUA_TNUMBER) {
        double n = (double)lua_tonumber(L, -1);
        if (!(fabs(n) < 1e15)) /* larger ones lose digits, and not all are finite */
            luaL_error(L, "query.%s: expected a number below 1e15, or a string", key);
        length = (size_t)snprintf(number, sizeof number, n == floor(n) ? "%.0f" : "%.17g", n);
    } else if (lua_isboolean(L, -1)) {
        value = lua_toboolean(L, -1) ? "true" : "false";
        length = strlen(value);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        value = crdb_check_line(L, -1, key, &length);
    } else {
        luaL_error(L, "query.%s: expected a string, number or boolean, got %s", key,
                   luaL_typename(L, -1));
    }
    crdb_request_query(r, key, key_length, value, length);
}

/* client:request(method, path, {query, body, timeout}) -> result
 * body: JSON as a string or a secret. */
static int request(lua_State *L) {
    static const char *const allowed[] = {"query", "body", "timeout", NULL};
    struct crdb_client *c = crdb_check_client(L, 1);
    struct crdb_request *r = &c->exchange.request;
    struct crdb_result result;
    size_t length;
    crdb_check_count(L, 4);
    lua_settop(L, 4);
    const char *method = check_method(L, 2);
    const char *path = crdb_check_string(L, 3, "path", &length);
    const char *problem = crdb_path_problem(path, length);
    if (problem)
        return luaL_error(L, "path: expected one such as /api/v1/clusters, got %s", problem);
    crdb_check_fields(L, 4, "request", allowed);
    bool read = strcmp(method, "GET") == 0;
    unsigned long number = crdb_client_begin(c, read ? CRDB_READ : CRDB_OTHER_WRITE, method);
    crdb_request_path(r, path, length);
    if (crdb_push_field(L, 4, "query") != LUA_TNIL) {
        if (!lua_istable(L, -1))
            crdb_raise_type(L, -1, "query", "a table");
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            add_query(L, r);
    }
    long timeout_ms = crdb_check_timeout(L, 4, "timeout", c->timeout_ms);
    bool has_body = crdb_push_field(L, 4, "body") != LUA_TNIL;
    struct crdb_held *held = crdb_push_held(L);
    crdb_client_check_call(L, c, number);
    if (has_body) {
        const char *body = crdb_check_bytes(L, -2, "body", &length);
        if (read || strcmp(method, "DELETE") == 0)
            return luaL_error(L, "body: %s takes none", method);
        crdb_request_raw_body(r, body, length);
    }
    crdb_exchange_run(&c->exchange, timeout_ms, &result);
    crdb_push_result(L, held, &c->exchange, &result);
    return 1;
}

const luaL_Reg crdb_request_methods[] = {{"request", request}, {NULL, NULL}};
