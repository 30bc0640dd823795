/*
 * secret_make.c - the functions that make secrets, lend them (ticket.h) and tell them apart
 * (fingerprint.h).
 *
 * In each of them the userdata comes first, so that no secret is without an
 * owner when Lua raises.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "files/file.h"
#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"
#include "process/terminal.h"
#include "secrets/fingerprint.h"
#include "secrets/ticket.h"

enum { SECRET_FILE_MAX = 65536 };

/* core.secret(string) -> secret */
static int from_string(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    const char *bytes = crdb_check_string(L, 1, "secret", &len);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    *slot = crdb_secret_copy(bytes, len);
    return *slot ? 1 : crdb_raise_no_memory(L);
}

/* core.secret_join{string | secret, ...} -> secret */
static int join(lua_State *L) {
    crdb_check_count(L, 1);
    if (!lua_istable(L, 1))
        return crdb_raise_type(L, 1, "secret_join", "a list of strings and secrets");
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    int count = (int)crdb_rawlen(L, 1);
    size_t total = 0;
    /* Two passes: all that can raise comes before there is memory to lose. */
    for (int i = 1; i <= count; i++) {
        size_t len;
        lua_rawgeti(L, 1, i);
        crdb_check_bytes(L, -1, "secret_join", &len);
        total += len;
        lua_pop(L, 1);
    }
    *slot = crdb_secret_new(total);
    if (!*slot)
        return crdb_raise_no_memory(L);
    unsigned char *to = crdb_secret_bytes(*slot);
    for (int i = 1; i <= count; i++) {
        size_t len;
        lua_rawgeti(L, 1, i);
        const char *bytes = crdb_check_bytes(L, -1, "secret_join", &len);
        if (len)
            memcpy(to, bytes, len);
        to += len;
        lua_pop(L, 1);
    }
    return 1;
}

/* Whether the file's bytes can be a secret, and without its trailing newline. */
static bool trim(struct crdb_secret *content, const char *path, size_t *len,
                 struct crdb_failure *f) {
    const unsigned char *bytes = crdb_secret_bytes(content);
    *len = crdb_secret_length(content);
    if (*len && bytes[*len - 1] == '\n')
        --*len;
    if (*len && bytes[*len - 1] == '\r')
        --*len;
    if (*len == 0)
        crdb_fail(f, "empty", "%.800s holds no secret: it is empty", path);
    else if (memchr(bytes, '\0', *len))
        crdb_fail(f, "nul", "%.800s holds a NUL byte, so it is not a secret in text form", path);
    else
        return true;
    return false;
}

/* core.secret_from_file(path) -> secret | nil, message, code. One trailing
 * newline is dropped. Codes besides errno names: mode, type, large, empty, nul. */
static int from_file(lua_State *L) {
    crdb_check_count(L, 1);
    const char *path = crdb_check_path(L, 1, "path");
    struct crdb_secret **whole = crdb_push_secret_slot(L), **slot = crdb_push_secret_slot(L);
    struct crdb_failure f;
    size_t len;
    *whole = crdb_file_read(path, SECRET_FILE_MAX, CRDB_FILE_GIVEN, &f);
    if (!*whole || !trim(*whole, path, &len, &f))
        return crdb_push_failure(L, &f);
    *slot = crdb_secret_copy(crdb_secret_bytes(*whole), len);
    crdb_secret_release(*whole);
    *whole = NULL;
    return *slot ? 1 : crdb_raise_no_memory(L);
}

/* core.secret_from_env(name) -> secret | nil, message, "unset" | "empty" */
static int from_env(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    const char *name = crdb_check_line(L, 1, "name", &len);
    if (len == 0 || strchr(name, '='))
        return luaL_error(L, "name: expected the name of an environment variable, got '%s'", name);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    const char *value = getenv(name);
    if (!value || !*value) {
        lua_pushnil(L);
        lua_pushfstring(L, "environment variable %s is %s", name, value ? "empty" : "not set");
        lua_pushstring(L, value ? "empty" : "unset");
        return 3;
    }
    *slot = crdb_secret_copy(value, strlen(value));
    return *slot ? 1 : crdb_raise_no_memory(L);
}

/* core.secret_prompt(text) -> secret | nil, message, code; codes: see terminal.h */
static int from_prompt(lua_State *L) {
    crdb_check_count(L, 1);
    const char *text = crdb_check_line(L, 1, "text", NULL);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_failure f;
    *slot = crdb_terminal_prompt(text, &f);
    return *slot ? 1 : crdb_push_failure(L, &f);
}

/* core.is_secret(value) -> boolean; true for a closed one as well */
static int is_secret(lua_State *L) {
    crdb_check_count(L, 1);
    lua_pushboolean(L, luaL_testudata(L, 1, CRDB_SECRET_TYPE) != NULL);
    return 1;
}

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

/* core.fingerprint(string | secret) -> string of 64 hexadecimal digits */
static int fingerprint(lua_State *L) {
    unsigned char bytes[CRDB_FINGERPRINT_BYTES];
    size_t len;
    crdb_check_count(L, 1);
    crdb_check_bytes(L, 1, "fingerprint", NULL);
    struct crdb_buffer *text = crdb_push_scratch(L);
    const char *from = crdb_check_bytes(L, 1, "fingerprint", &len); /* borrowed last */
    if (!crdb_fingerprint(from, len, bytes) || !crdb_encode_hex(text, bytes, sizeof bytes))
        return luaL_error(L, "no memory, or the system gives no random bytes");
    lua_pushlstring(L, text->data, text->length);
    crdb_buffer_free(text);
    return 1;
}

const luaL_Reg crdb_secret_functions[] = {
    {"secret", from_string},
    {"secret_join", join},
    {"secret_from_file", from_file},
    {"secret_from_env", from_env},
    {"secret_prompt", from_prompt},
    {"is_secret", is_secret},
    {"lend", lend},
    {"take", take},
    {"fingerprint", fingerprint},
    {NULL, NULL},
};
