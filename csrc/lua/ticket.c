/*
 * lua_ticket.c - core.lend and core.take, see ticket.h.
 */
#include "secrets/ticket.h"
#include "base/decode.h"
#include "base/encode.h"
#include "lua/check.h"
#include "lua/scratch.h"
#include "lua/secret.h"
#include "lua/system.h"

/* core.lend(secret) -> ticket of 32 hexadecimal digits | nil, message, "full" */
static int lend(lua_State *L) {
    unsigned char ticket[CRDB_TICKET_BYTES];
    crdb_check_count(L, 1);
    crdb_check_secret(L, 1);
    struct crdb_buffer *text = crdb_push_scratch(L);
    switch (crdb_lend(crdb_check_secret(L, 1), ticket)) {
    case CRDB_TICKET_OK:
        break;
    case CRDB_TICKET_FULL:
        lua_pushnil(L);
        lua_pushfstring(L, "%d secrets wait to be taken already", (int)CRDB_TICKETS_MAX);
        lua_pushliteral(L, "full");
        return 3;
    case CRDB_TICKET_NO_MEMORY:
        return crdb_raise_no_memory(L);
    case CRDB_TICKET_NO_RANDOM:
        return luaL_error(L, "the system gives no random bytes");
    }
    if (!crdb_encode_hex(text, ticket, sizeof ticket))
        return crdb_raise_no_memory(L);
    lua_pushlstring(L, text->data, text->length);
    crdb_buffer_free(text);
    return 1;
}

/* core.take(ticket) -> secret | nil, message, "gone" */
static int take(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    const char *text = crdb_check_string(L, 1, "ticket", &len);
    struct crdb_buffer *ticket = crdb_push_scratch(L);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    bool whole = len == (size_t)2 * CRDB_TICKET_BYTES && crdb_decode_hex(ticket, text, len);
    if (ticket->failed)
        return crdb_raise_no_memory(L);
    if (whole)
        *slot = crdb_take((const unsigned char *)ticket->data);
    crdb_buffer_free(ticket);
    if (*slot)
        return 1;
    lua_pushnil(L);
    lua_pushliteral(L, "no secret waits for this ticket: it is wrong, was used, or is too old");
    lua_pushliteral(L, "gone");
    return 3;
}

const luaL_Reg crdb_ticket_functions[] = {{"lend", lend}, {"take", take}, {NULL, NULL}};
