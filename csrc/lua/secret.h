/*
 * secret.h - the Lua type of a secret, shared by crdbcloud.core and crdbcloud.pq, and the buffers in
 * which one is made.
 *
 * A userdata of metatable CRDB_SECRET_TYPE holds one struct crdb_secret * and
 * owns one reference; NULL means closed.
 */
#ifndef CRDB_LUA_SECRET_H
#define CRDB_LUA_SECRET_H

#include "base/buffer.h"
#include "base/secret.h"
#include "lua/compat.h"

#define CRDB_SECRET_TYPE "crdbcloud.secret"

/* Pushes a closed secret and returns its slot; the caller stores a reference
 * there, which the userdata then owns. May raise (no memory), so call it
 * before there is anything to lose. */
struct crdb_secret **crdb_push_secret_slot(lua_State *L);

/* The secret at idx, borrowed for as long as the value stays on the stack and
 * no Lua code runs: that may close it. A finaliser is Lua code too, and runs
 * when Lua makes a value; so functions push what owns their result first, and
 * borrow last. Raises if it is no secret, closed, or made before a fork. */
struct crdb_secret *crdb_check_secret(lua_State *L, int idx);

/* Pushes a reference of the function's own to the secret at idx, nil if it is none: for what
 * makes values while it still reads what it has borrowed. */
void crdb_hold_secret(lua_State *L, int idx);

/* The same for a value that may be anything else: NULL when it is no secret. */
struct crdb_secret *crdb_test_secret(lua_State *L, int idx);

/* Bytes of a string or a secret at idx, borrowed likewise; what names the
 * argument in the message when it is neither. Numbers are not accepted. */
const char *crdb_check_bytes(lua_State *L, int idx, const char *what, size_t *len);

/* Pushes a userdata that owns the empty buffer returned, so that the bytes are
 * wiped and freed also when Lua raises. Free it as soon as it is done with:
 * the collector may take long. May raise. */
struct crdb_buffer *crdb_push_scratch(lua_State *L);

/* Moves the buffer into the slot as a secret and frees it; raises when memory
 * was short. */
void crdb_scratch_to_secret(lua_State *L, struct crdb_secret **slot, struct crdb_buffer *b);

/* Creates the metatable of scratch buffers. */
void crdb_open_scratch(lua_State *L);

#endif
