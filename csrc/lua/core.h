/*
 * core.h - what the files of this room give to core.c, which puts it into one table.
 */
#ifndef CRDB_LUA_CORE_H
#define CRDB_LUA_CORE_H

#include "lua/compat.h"

extern const luaL_Reg crdb_secret_functions[];   /* secret_make.c */
extern const luaL_Reg crdb_password_functions[]; /* password.c */
extern const luaL_Reg crdb_client_functions[];   /* client_new.c */
extern const luaL_Reg crdb_system_functions[];   /* system.c */
extern const luaL_Reg crdb_file_functions[];     /* file.c */
extern const luaL_Reg crdb_document_functions[]; /* document.c */
extern const luaL_Reg crdb_record_functions[];   /* record.c */
extern const luaL_Reg crdb_process_functions[];  /* process.c */

/* Each creates the metatable of a type. */
void crdb_open_secret(lua_State *L); /* secret_type.c */
void crdb_open_client(lua_State *L); /* client_new.c */
void crdb_open_lock(lua_State *L);   /* file.c */

#endif
