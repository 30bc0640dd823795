/*
 * lua_document.c - documents that hold secrets: record files, password files, JSON.
 *
 * In each function the userdata that will own the result is pushed before there
 * is a result; borrowed bytes stay on the stack while they are used.
 */
#include <stdbool.h>
#include <string.h>

#include "json_take.h"
#include "lua_check.h"
#include "lua_scratch.h"
#include "lua_secret.h"
#include "lua_system.h"
#include "pgpass.h"
#include "record_file.h"

/* Fills the record from the table {name = secret} at idx. Each secret is left in
 * the table alone: it is borrowed while the table stays on the stack. */
static void check_record_secrets(lua_State *L, int idx, struct crdb_record *record) {
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "secrets", "a table of secrets");
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        size_t len;
        const char *name = crdb_check_string(L, -2, "secrets: name", &len);
        if (!crdb_record_name_valid(name, len))
            luaL_error(
                L, "secrets: expected names of 1 to %d of the characters a-z, 0-9 and _, got '%s'",
                (int)CRDB_RECORD_NAME_MAX, name);
        if (record->count == CRDB_RECORD_SECRETS_MAX)
            luaL_error(L, "secrets: expected at most %d", (int)CRDB_RECORD_SECRETS_MAX);
        struct crdb_secret *secret = crdb_test_secret(L, -1);
        if (!secret)
            luaL_error(L, "secrets: expected '%s' to be a secret, got %s", name,
                       luaL_typename(L, -1));
        struct crdb_record_secret *s = &record->secrets[record->count++];
        memcpy(s->name, name, len + 1);
        s->bytes = (const char *)crdb_secret_bytes(secret);
        s->length = crdb_secret_length(secret);
        lua_pop(L, 1);
    }
}

/* core.record_encode(meta, {name = secret}) -> secret */
static int record_encode(lua_State *L) {
    crdb_check_count(L, 2);
    struct crdb_record record = {0};
    record.meta = crdb_check_string(L, 1, "meta", &record.meta_length);
    lua_settop(L, 2);
    check_record_secrets(L, 2, &record);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_buffer b = {0};
    crdb_record_encode(&record, &b);
    crdb_scratch_to_secret(L, slot, &b);
    return 1;
}

/* core.record_decode(secret) -> meta, {name = secret} | nil, message, code; codes: see record_file.h */
static int record_decode(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    const char *file = crdb_check_bytes(L, 1, "record", &len);
    struct crdb_record record;
    struct crdb_failure f;
    if (!crdb_record_decode(file, len, &record, &f))
        return crdb_push_failure(L, &f);
    lua_pushlstring(L, record.meta, record.meta_length);
    lua_newtable(L);
    for (size_t i = 0; i < record.count; i++) {
        struct crdb_secret **slot = crdb_push_secret_slot(L);
        *slot = crdb_secret_copy(record.secrets[i].bytes, record.secrets[i].length);
        if (!*slot)
            return crdb_raise_no_memory(L);
        lua_setfield(L, -2, record.secrets[i].name);
    }
    return 2;
}

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
    {"record_encode", record_encode},
    {"record_decode", record_decode},
    {"pgpass_update", pgpass_update},
    {"json_take", json_take},
    {NULL, NULL},
};
