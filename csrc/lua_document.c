/*
 * lua_document.c - documents that hold secrets: password files, JSON.
 *
 * In each function the userdata that will own the result is pushed before there
 * is a result; borrowed bytes stay on the stack while they are used.
 */
#include "json_take.h"
#include "lua_check.h"
#include "lua_scratch.h"
#include "lua_secret.h"
#include "lua_system.h"
#include "pgpass.h"

/* Leaves the field's value on the stack, as the entry points into it. */
static void check_pgpass_field(lua_State *L, int idx, const char *name, const char **bytes,
                               size_t *len) {
    crdb_push_field(L, idx, name);
    *bytes = crdb_check_string(L, -1, name, len);
    if (!crdb_pgpass_can_hold(*bytes, *len))
        luaL_error(L, "%s: expected one line that is not empty, without a NUL", name);
}

/* core.pgpass_update(secret | nil, {host, port, database, user}, password) -> secret */
static int pgpass_update(lua_State *L) {
    static const char *const names[] = {"host", "port", "database", "user", NULL};
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    size_t len = 0;
    const char *file = lua_isnil(L, 1) ? NULL : crdb_check_bytes(L, 1, "file", &len);
    if (!lua_istable(L, 2))
        return crdb_raise_type(L, 2, "entry", "a table with host, port, database and user");
    crdb_check_fields(L, 2, "entry", names);
    struct crdb_pgpass_entry entry;
    for (int i = 0; i < CRDB_PGPASS_FIELDS; i++)
        check_pgpass_field(L, 2, names[i], &entry.fields[i].bytes, &entry.fields[i].length);
    entry.password = crdb_check_bytes(L, 3, "password", &entry.password_length);
    if (!crdb_pgpass_can_hold(entry.password, entry.password_length))
        return luaL_error(L, "password: it is empty, or has a line break or NUL, which a password "
                             "file cannot hold");
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_buffer b = {0};
    crdb_pgpass_update(&b, file, len, &entry);
    crdb_scratch_to_secret(L, slot, &b);
    return 1;
}

/* Fills taken from the list of keys at idx and makes one closed secret per key on the stack, so
 * that each value has an owner as soon as it is there. Returns how many. */
static size_t check_keys(lua_State *L, int idx, struct crdb_json_taken taken[],
                         struct crdb_secret **slots[]) {
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "keys", "a list of strings");
    size_t count = crdb_rawlen(L, idx);
    if (count > CRDB_JSON_TAKE_MAX)
        luaL_error(L, "keys: expected at most %d", (int)CRDB_JSON_TAKE_MAX);
    luaL_checkstack(L, 2 * CRDB_JSON_TAKE_MAX, "keys");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, idx, (int)(i + 1));
        taken[i].key = crdb_check_string(L, -1, "keys", &taken[i].key_length);
        slots[i] = crdb_push_secret_slot(L);
    }
    return count;
}

/* core.json_take(secret, {key, ...}) -> rest, {key = secret} | nil, message */
static int json_take(lua_State *L) {
    crdb_check_count(L, 2);
    size_t len;
    const char *text = crdb_check_bytes(L, 1, "document", &len);
    struct crdb_json_taken taken[CRDB_JSON_TAKE_MAX];
    struct crdb_secret **slots[CRDB_JSON_TAKE_MAX];
    lua_settop(L, 2);
    struct crdb_buffer *rest = crdb_push_scratch(L);
    size_t count = check_keys(L, 2, taken, slots);
    enum crdb_json_take_result result = crdb_json_take(text, len, taken, count, rest);
    for (size_t i = 0; i < count; i++)
        *slots[i] = taken[i].value;
    if (result == CRDB_JSON_TAKE_NO_MEMORY)
        return crdb_raise_no_memory(L);
    if (result == CRDB_JSON_TAKE_NOT_OBJECT) {
        lua_pushnil(L);
        lua_pushliteral(L, "expected one whole JSON object");
        return 2;
    }
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        if (!*slots[i])
            continue;
        lua_pushvalue(L, (int)(4 + 2 * i)); /* key */
        lua_pushvalue(L, (int)(5 + 2 * i)); /* secret */
        lua_rawset(L, -3);
    }
    lua_pushlstring(L, rest->data, rest->length);
    lua_insert(L, -2);
    crdb_buffer_free(rest);
    return 2;
}

const luaL_Reg crdb_document_functions[] = {
    {"pgpass_update", pgpass_update},
    {"json_take", json_take},
    {NULL, NULL},
};
