/*
 * lua_system.h - what the system half of crdbcloud.core gives to core.c.
 */
#ifndef CRDB_LUA_SYSTEM_H
#define CRDB_LUA_SYSTEM_H

#include "lua/compat.h"

extern const luaL_Reg crdb_system_functions[];      /* lua_system.c */
extern const luaL_Reg crdb_file_functions[];        /* lua_file.c */
extern const luaL_Reg crdb_document_functions[];    /* lua_document.c */
extern const luaL_Reg crdb_record_functions[];      /* lua_record.c */
extern const luaL_Reg crdb_process_functions[];     /* lua_process.c */
extern const luaL_Reg crdb_ticket_functions[];      /* lua_ticket.c */
extern const luaL_Reg crdb_fingerprint_functions[]; /* lua_fingerprint.c */

/* Creates the metatable of locks; called by luaopen_crdbcloud_core. */
void crdb_open_lock(lua_State *L);

#endif
