/*
 * pq.c - opens crdbcloud.pq, the SQL side, built where libpq is.
 *
 * It shares the secret type with crdbcloud.core, whose metatable must exist
 * first. Opening again in the same Lua state is allowed.
 */
#include "lua/pq_connection.h"

#include <libpq-fe.h>

CRDB_EXPORT int luaopen_crdbcloud_pq(lua_State *L);

static const luaL_Reg functions[] = {
    {"connect", crdb_pq_lua_connect},
    {"parse", crdb_pq_lua_parse},
    {NULL, NULL},
};

int luaopen_crdbcloud_pq(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "crdbcloud.core");
    lua_call(L, 1, 0);
    crdb_open_connection(L);
    crdb_open_conninfo(L);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushinteger(L, PQlibVersion());
    lua_setfield(L, -2, "libpq");
    return 1;
}
