/*
 * pq_rows.c - a result of libpq as Lua tables.
 */
#include "lua/pq_connection.h"
#include "lua/secret.h"

#include <stdbool.h>
#include <string.h>

static bool is_listed(lua_State *L, int idx, const char *name) {
    if (!lua_istable(L, idx))
        return false;
    bool found = false;
    for (int i = 1; !found && i <= (int)crdb_rawlen(L, idx); i++) {
        lua_rawgeti(L, idx, i);
        found = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), name) == 0;
        lua_pop(L, 1);
    }
    return found;
}

static const char *missing_column(lua_State *L, PGresult *result, int idx) {
    if (!lua_istable(L, idx) || PQnfields(result) == 0)
        return NULL;
    for (int i = 1; i <= (int)crdb_rawlen(L, idx); i++) {
        lua_rawgeti(L, idx, i);
        const char *name = lua_tostring(L, -1); /* stays alive in the table */
        lua_pop(L, 1);
        bool found = false;
        for (int c = 0; name && !found && c < PQnfields(result); c++)
            found = strcmp(PQfname(result, c), name) == 0;
        if (name && !found)
            return name;
    }
    return NULL;
}

static void push_secret(lua_State *L, PGresult *result, int row, int column) {
    char *bytes = PQgetvalue(result, row, column);
    size_t length = (size_t)PQgetlength(result, row, column);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    *slot = crdb_secret_copy(bytes, length);
    if (!*slot)
        luaL_error(L, "not enough memory for a secret");
    crdb_wipe(bytes, length); /* the result is ours and is cleared next */
}

const char *crdb_push_rows(lua_State *L, PGresult *result, int idx) {
    const char *missing = missing_column(L, result, idx);
    if (missing)
        return missing;
    int rows = PQntuples(result), columns = PQnfields(result);
    luaL_checkstack(L, 8, "rows");
    lua_createtable(L, rows, 3);
    lua_pushinteger(L, rows);
    lua_setfield(L, -2, "n");
    lua_pushstring(L, PQcmdStatus(result));
    lua_setfield(L, -2, "tag");
    lua_createtable(L, columns, 0);
    for (int c = 0; c < columns; c++) {
        lua_pushstring(L, PQfname(result, c));
        lua_rawseti(L, -2, c + 1);
    }
    lua_setfield(L, -2, "columns");
    for (int r = 0; r < rows; r++) {
        lua_createtable(L, 0, columns);
        for (int c = 0; c < columns; c++) {
            if (PQgetisnull(result, r, c))
                continue;
            if (is_listed(L, idx, PQfname(result, c)))
                push_secret(L, result, r, c);
            else
                lua_pushlstring(L, PQgetvalue(result, r, c), (size_t)PQgetlength(result, r, c));
            lua_setfield(L, -2, PQfname(result, c));
        }
        lua_rawseti(L, -2, r + 1);
    }
    return NULL;
}
