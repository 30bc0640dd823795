/*
 * secret_type.c - the methods of secrets.
 *
 * Only crdbcloud.core has this file; crdbcloud.pq shares the type through
 * secret.c.
 */
#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/encode.h"
#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"

/* secret:reveal() -> string */
static int reveal(lua_State *L) {
    crdb_check_count(L, 1);
    crdb_check_secret(L, 1);
    crdb_hold_secret(L, 1); /* LuaJIT may collect before it copies */
    struct crdb_secret *s = crdb_check_secret(L, -1);
    lua_pushlstring(L, (const char *)crdb_secret_bytes(s), crdb_secret_length(s));
    return 1;
}

/* secret:equals(string | secret) -> boolean */
static int equals(lua_State *L) {
    crdb_check_count(L, 2);
    struct crdb_secret *s = crdb_check_secret(L, 1);
    size_t len;
    const char *other = crdb_check_bytes(L, 2, "equals", &len);
    lua_pushboolean(L, crdb_secret_equal(crdb_secret_bytes(s), crdb_secret_length(s), other, len));
    return 1;
}

/* __eq of two secrets; unlike equals it never raises, so a table of closed ones can be searched. */
static int same(lua_State *L) {
    struct crdb_secret **a = luaL_testudata(L, 1, CRDB_SECRET_TYPE);
    struct crdb_secret **b = luaL_testudata(L, 2, CRDB_SECRET_TYPE);
    bool equal = a && b && *a && *b && !crdb_secret_forked(*a) && !crdb_secret_forked(*b) &&
                 crdb_secret_equal(crdb_secret_bytes(*a), crdb_secret_length(*a),
                                   crdb_secret_bytes(*b), crdb_secret_length(*b));
    lua_pushboolean(L, equal);
    return 1;
}

static const struct {
    const char *name;
    bool (*append)(struct crdb_buffer *, const void *, size_t);
} forms[] = {
    {"json", crdb_buffer_json},     {"uri", crdb_buffer_uri}, {"pgpass", crdb_encode_pgpass},
    {"base64", crdb_encode_base64}, {"hex", crdb_encode_hex},
};

/* secret:encode(form) -> secret; form: json, uri, pgpass, base64 or hex */
static int encode(lua_State *L) {
    crdb_check_count(L, 2);
    crdb_check_secret(L, 1);
    const char *name = crdb_check_string(L, 2, "form", NULL);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_secret *s = crdb_check_secret(L, 1); /* borrowed last */
    size_t i = 0;
    while (i < sizeof forms / sizeof *forms && strcmp(forms[i].name, name) != 0)
        i++;
    if (i == sizeof forms / sizeof *forms)
        return luaL_error(L, "form: expected json, uri, pgpass, base64 or hex, got '%s'", name);
    const unsigned char *bytes = crdb_secret_bytes(s);
    size_t len = crdb_secret_length(s);
    if (forms[i].append == crdb_encode_pgpass &&
        (memchr(bytes, '\n', len) || memchr(bytes, '\r', len) || memchr(bytes, '\0', len)))
        return luaL_error(L, "form: a password file cannot hold a line break or a NUL byte, "
                             "and this secret has one");
    struct crdb_buffer b = {0};
    forms[i].append(&b, bytes, len);
    crdb_scratch_to_secret(L, slot, &b);
    return 1;
}

/* secret:decode(form) -> secret | nil, message; form: hex or base64 */
static int decode(lua_State *L) {
    crdb_check_count(L, 2);
    crdb_check_secret(L, 1);
    const char *form = crdb_check_string(L, 2, "form", NULL);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_secret *s = crdb_check_secret(L, 1); /* borrowed last */
    bool hex = strcmp(form, "hex") == 0;
    if (!hex && strcmp(form, "base64") != 0)
        return luaL_error(L, "form: expected hex or base64, got '%s'", form);
    struct crdb_buffer b = {0};
    bool read = (hex ? crdb_decode_hex : crdb_decode_base64)(&b, crdb_secret_bytes(s),
                                                             crdb_secret_length(s));
    if (!read && !b.failed) {
        crdb_buffer_free(&b);
        lua_pushnil(L);
        lua_pushfstring(L, "the secret is no %s", hex ? "hexadecimal" : "base64");
        return 2;
    }
    crdb_scratch_to_secret(L, slot, &b);
    return 1;
}

/* secret:close(), __gc, __close: lets go of the bytes; a second time does nothing. */
static int release(lua_State *L) {
    struct crdb_secret **slot = luaL_checkudata(L, 1, CRDB_SECRET_TYPE);
    struct crdb_secret *s = *slot;
    *slot = NULL;
    crdb_secret_release(s);
    return 0;
}

static int length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)crdb_secret_length(crdb_check_secret(L, 1)));
    return 1;
}

static int to_string(lua_State *L) {
    struct crdb_secret **slot = luaL_checkudata(L, 1, CRDB_SECRET_TYPE);
    if (*slot)
        lua_pushfstring(L, "<secret %d bytes>", (int)crdb_secret_length(*slot));
    else
        lua_pushliteral(L, "<secret (closed)>");
    return 1;
}

static int concat(lua_State *L) {
    return luaL_error(L, "a secret does not join with text: hand it to a sink or to secret_join, "
                         "or write secret:reveal() where it must become a string");
}

static const luaL_Reg methods[] = {
    {"reveal", reveal}, {"equals", equals}, {"encode", encode},
    {"decode", decode}, {"close", release}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__eq", same},       {"__len", length},    {"__tostring", to_string},
    {"__concat", concat}, {"__close", release}, {"__gc", release},
    {NULL, NULL},
};

void crdb_open_secret(lua_State *L) {
    crdb_open_type(L, CRDB_SECRET_TYPE, metamethods, methods);
}
