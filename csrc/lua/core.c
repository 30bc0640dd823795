/*
 * core.c - opens crdbcloud.core.
 *
 * Each file of this room lists its own functions; this file puts the lists into one
 * table. Opening again in the same Lua state is allowed, also while objects of
 * the first time live: the metatables are found in the registry and filled anew.
 */
#include "lua/core.h"

#include "files/file.h"
#include "lua/secret.h"

#ifndef CRDB_VERSION
#error "CRDB_VERSION must be given by the build: it stands in lua/crdbcloud/version.lua"
#endif

CRDB_EXPORT int luaopen_crdbcloud_core(lua_State *L);

int luaopen_crdbcloud_core(lua_State *L) {
    crdb_file_fill_standard();
    crdb_open_scratch(L);
    crdb_open_secret(L);
    crdb_open_lock(L);
    crdb_open_client(L);
    lua_newtable(L);
    luaL_setfuncs(L, crdb_secret_functions, 0);
    luaL_setfuncs(L, crdb_password_functions, 0);
    luaL_setfuncs(L, crdb_client_functions, 0);
    luaL_setfuncs(L, crdb_system_functions, 0);
    luaL_setfuncs(L, crdb_file_functions, 0);
    luaL_setfuncs(L, crdb_document_functions, 0);
    luaL_setfuncs(L, crdb_record_functions, 0);
    luaL_setfuncs(L, crdb_process_functions, 0);
    lua_pushliteral(L, CRDB_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
