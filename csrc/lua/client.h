/*
 * client.h - the Lua type crdbcloud.client: one connection to the API.
 *
 * The userdata is made closed (all zero), then opened; __gc, __close and
 * close() use one release function. It belongs to the process that made it:
 * in a child it can only be closed.
 */
#ifndef CRDB_LUA_CLIENT_H
#define CRDB_LUA_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "http/base_url.h"
#include "http/exchange.h"
#include "lua/compat.h"

#define CRDB_CLIENT_TYPE "crdbcloud.client"

struct crdb_client {
    bool open;
    pid_t pid; /* of the process that opened it */
    struct crdb_base_url base;
    struct crdb_exchange exchange;
    long timeout_ms;     /* of a call that names none */
    char key_id[48];     /* the part of the key that may be shown */
    unsigned long calls; /* begun so far */
};

/* The open client at idx; raises if it is none, closed, or made before a fork. */
struct crdb_client *crdb_check_client(lua_State *L, int idx);

/* Begins a call: the request is empty afterwards. Returns the number of the call. */
unsigned long crdb_client_begin(struct crdb_client *c, enum crdb_operation operation,
                                const char *method);

/* Makes sure that the request of that call is still the one being filled. Lua code runs whenever
 * memory is asked of Lua, as finalisers; the client may have been closed or used by one. From here
 * to the exchange nothing may ask for any. Raises otherwise. */
void crdb_client_check_call(lua_State *L, const struct crdb_client *c, unsigned long number);

/* Releases what it holds; for half-built, whole and closed ones. */
void crdb_client_release(struct crdb_client *c);

/* Adds the methods for the operations of the API to the table at the top of the stack. */
void crdb_add_operations(lua_State *L);

extern const luaL_Reg crdb_request_methods[]; /* request; request.c */

#endif
