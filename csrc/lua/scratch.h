/*
 * lua_scratch.h - failures and temporary buffers on their way to Lua.
 */
#ifndef CRDB_LUA_SCRATCH_H
#define CRDB_LUA_SCRATCH_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/failure.h"
#include "base/secret.h"
#include "lua/compat.h"

/* Pushes a userdata that owns the empty buffer returned, so that the bytes are
 * wiped and freed also when Lua raises. Free it as soon as it is done with:
 * the collector may take long. May raise. */
struct crdb_buffer *crdb_push_scratch(lua_State *L);

/* Moves the buffer into the slot as a secret and frees it; raises when memory
 * was short. */
void crdb_scratch_to_secret(lua_State *L, struct crdb_secret **slot, struct crdb_buffer *b);

/* nil, message, code: returns 3. */
int crdb_push_failure(lua_State *L, const struct crdb_failure *f);

/* A path: a string without a NUL; raises otherwise. what names the argument. */
const char *crdb_check_path(lua_State *L, int idx, const char *what);

int crdb_raise_no_memory(lua_State *L);

/* Creates the metatable; called by luaopen_crdbcloud_core. */
void crdb_open_scratch(lua_State *L);

#endif
