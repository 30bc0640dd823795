#include "lua/check.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int crdb_raise_type(lua_State *L, int idx, const char *what, const char *expected) {
    const char *got = idx != 0 && lua_type(L, idx) == LUA_TNONE ? "nothing" : luaL_typename(L, idx);
    return luaL_error(L, "%s: expected %s, got %s", what, expected, got);
}

/* The same words on both interpreters, which print numbers differently. */
static int raise_range(lua_State *L, const char *what, const char *kind, double lo, double hi,
                       double got) {
    char low[32], high[32], came[32];
    snprintf(low, sizeof low, "%.15g", lo);
    snprintf(high, sizeof high, "%.15g", hi);
    snprintf(came, sizeof came, "%.15g", got);
    if (hi >= DBL_MAX)
        return luaL_error(L, "%s: expected %s of at least %s, got %s", what, kind, low, came);
    return luaL_error(L, "%s: expected %s from %s to %s, got %s", what, kind, low, high, came);
}

int64_t crdb_check_integer(lua_State *L, int idx, const char *what, int64_t lo, int64_t hi) {
    if (lua_type(L, idx) != LUA_TNUMBER)
        crdb_raise_type(L, idx, what, "a whole number");
    double n = (double)lua_tonumber(L, idx);
    if (!(n >= (double)lo && n <= (double)hi) || n != floor(n))
        raise_range(L, what, "a whole number", (double)lo, (double)hi, n);
    return (int64_t)n;
}

double crdb_check_number(lua_State *L, int idx, const char *what, double lo, double hi) {
    if (lua_type(L, idx) != LUA_TNUMBER)
        crdb_raise_type(L, idx, what, "a number");
    double n = (double)lua_tonumber(L, idx);
    if (!isfinite(n) || n < lo || n > hi)
        raise_range(L, what, "a number", lo, hi, n);
    return n;
}

const char *crdb_check_string(lua_State *L, int idx, const char *what, size_t *len) {
    if (lua_type(L, idx) != LUA_TSTRING)
        crdb_raise_type(L, idx, what, "a string");
    return lua_tolstring(L, idx, len);
}

const char *crdb_check_line(lua_State *L, int idx, const char *what, size_t *len) {
    size_t n;
    const char *s = crdb_check_string(L, idx, what, &n);
    for (size_t i = 0; i < n; i++)
        if (s[i] == '\r' || s[i] == '\n' || s[i] == '\0')
            luaL_error(L, "%s: expected one line of text, got a %s at byte %d", what,
                       s[i] == '\r' ? "carriage return" : (s[i] == '\n' ? "line feed" : "NUL"),
                       (int)(i + 1));
    if (len)
        *len = n;
    return s;
}

void crdb_check_count(lua_State *L, int max) {
    int n = lua_gettop(L);
    if (n > max)
        luaL_error(L, "too many arguments: expected at most %d, got %d", max, n);
}

static int raise_unknown(lua_State *L, const char *what, const char *name,
                         const char *const allowed[]) {
    luaL_Buffer list;
    luaL_buffinit(L, &list);
    for (size_t i = 0; allowed[i]; i++) {
        if (i)
            luaL_addstring(&list, ", ");
        luaL_addstring(&list, allowed[i]);
    }
    luaL_pushresult(&list);
    return luaL_error(L, "%s: unknown option '%s'; expected one of: %s", what, name,
                      lua_tostring(L, -1));
}

void crdb_check_fields(lua_State *L, int idx, const char *what, const char *const allowed[]) {
    if (lua_isnoneornil(L, idx))
        return;
    idx = crdb_absindex(L, idx);
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, what, "a table");
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "%s: expected named options only, got a key of type %s", what,
                       luaL_typename(L, -1));
        const char *name = lua_tostring(L, -1);
        bool known = false;
        for (size_t i = 0; allowed[i] && !known; i++)
            known = strcmp(name, allowed[i]) == 0;
        if (!known)
            raise_unknown(L, what, name, allowed);
    }
}

int crdb_push_field(lua_State *L, int idx, const char *name) {
    if (lua_isnoneornil(L, idx)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    idx = crdb_absindex(L, idx);
    if (lua_getmetatable(L, idx)) {
        /* Raw, as crdb_check_fields looks: a metamethod could close what the caller is working on. */
        lua_pop(L, 1);
        lua_pushstring(L, name);
        lua_rawget(L, idx);
    } else {
        lua_getfield(L, idx, name);
    }
    return lua_type(L, -1);
}

long crdb_check_timeout(lua_State *L, int idx, const char *field, long fallback) {
    long ms = fallback;
    if (crdb_push_field(L, idx, field) != LUA_TNIL)
        ms = (long)ceil(crdb_check_number(L, -1, field, 0.001, 86400) * 1000);
    lua_pop(L, 1);
    return ms;
}

const char *crdb_check_path(lua_State *L, int idx, const char *what) {
    size_t len;
    const char *path = crdb_check_string(L, idx, what, &len);
    if (len == 0 || strlen(path) != len)
        luaL_error(L, "%s: expected a path, got %s", what,
                   len ? "a string with a NUL byte" : "an empty string");
    return path;
}

int crdb_push_failure(lua_State *L, const struct crdb_failure *f) {
    lua_pushnil(L);
    lua_pushstring(L, f->message);
    lua_pushstring(L, f->code);
    return 3;
}

int crdb_raise_no_memory(lua_State *L) {
    return luaL_error(L, "out of memory");
}

void *crdb_new(lua_State *L, size_t size, const char *type) {
    void *made = crdb_newuserdata(L, size);
    memset(made, 0, size);
    luaL_getmetatable(L, type);
    lua_setmetatable(L, -2);
    return made;
}

void crdb_open_type(lua_State *L, const char *type, const luaL_Reg metamethods[],
                    const luaL_Reg methods[]) {
    luaL_newmetatable(L, type);
    luaL_setfuncs(L, metamethods, 0);
    if (methods) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__name");
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
