/*
 * record.c - record files and the sealing of their secrets.
 *
 * In each function the userdata that will own the result is pushed before there
 * is a result; borrowed bytes stay on the stack, or in a table on it, while they
 * are used. What is read of a record file (names, key ids) is checked there.
 */
#include <string.h>

#include "files/record_file.h"
#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"
#include "secrets/seal.h"

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

/* The key at idx, borrowed. */
static const unsigned char *check_key(lua_State *L, int idx) {
    struct crdb_secret *key = crdb_check_secret(L, idx);
    if (crdb_secret_length(key) != CRDB_SEAL_KEY)
        luaL_error(L, "key: expected a secret of %d bytes, got one of %d", (int)CRDB_SEAL_KEY,
                   (int)crdb_secret_length(key));
    return crdb_secret_bytes(key);
}

/* What a secret is bound to: the string of its name in the table at idx, borrowed from there. */
static const char *check_bound(lua_State *L, int idx, const char *name, size_t *len) {
    if (crdb_push_field(L, idx, name) != LUA_TSTRING)
        luaL_error(L, "aad: expected a string for '%s', got %s", name, luaL_typename(L, -1));
    const char *bound = lua_tolstring(L, -1, len);
    lua_pop(L, 1);
    return bound;
}

/* Pushes the field aad of the options at idx, which must be a table. */
static void push_bindings(lua_State *L, int idx) {
    if (crdb_push_field(L, idx, "aad") != LUA_TTABLE)
        crdb_raise_type(L, -1, "aad", "a table of strings");
}

/* Replaces each secret of the record by its sealed form, kept in room. */
static void seal_all(lua_State *L, int idx, struct crdb_record *record, struct crdb_buffer *room) {
    crdb_push_field(L, idx, "key");
    static const char extra[CRDB_SEAL_EXTRA];
    const unsigned char *key = check_key(L, lua_gettop(L));
    push_bindings(L, idx);
    int bindings = lua_gettop(L);
    /* Whole before any of it is used, as it moves when it grows. */
    for (size_t i = 0; i < record->count; i++) {
        crdb_buffer_append(room, record->secrets[i].bytes, record->secrets[i].length);
        crdb_buffer_append(room, extra, sizeof extra);
    }
    if (room->failed)
        crdb_raise_no_memory(L);
    char *at = room->data;
    for (size_t i = 0; i < record->count; i++) {
        struct crdb_record_secret *s = &record->secrets[i];
        size_t bound_len;
        const char *bound = check_bound(L, bindings, s->name, &bound_len);
        if (crdb_seal(key, bound, bound_len, s->bytes, s->length, at) != CRDB_SEAL_OK)
            luaL_error(L, "cannot seal: no memory or no random bytes");
        crdb_seal_key_id(key, s->key_id);
        s->bytes = at;
        s->length += CRDB_SEAL_EXTRA;
        at += s->length;
    }
}

/* core.record_encode(meta, {name = secret}, {key = secret, aad = {name = string}} | nil) -> secret */
static int record_encode(lua_State *L) {
    static const char *const options[] = {"key", "aad", NULL};
    crdb_check_count(L, 3);
    struct crdb_record record = {0};
    record.meta = crdb_check_string(L, 1, "meta", &record.meta_length);
    lua_settop(L, 3);
    struct crdb_buffer *room = crdb_push_scratch(L);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    int slot_idx = lua_gettop(L);
    check_record_secrets(L, 2, &record); /* borrowed last: see crdb_check_secret */
    crdb_check_fields(L, 3, "record_encode", options);
    if (!lua_isnil(L, 3))
        seal_all(L, 3, &record, room);
    struct crdb_buffer b = {0};
    crdb_record_encode(&record, &b);
    crdb_buffer_free(room);
    crdb_scratch_to_secret(L, slot, &b);
    lua_settop(L, slot_idx);
    return 1;
}

/* core.record_meta(secret) -> meta, {name = "plain" | key id} | nil, message, code; codes: see
 * record_file.h. Opens nothing, so that what the secrets are bound to can be read first. */
static int record_meta(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    crdb_check_bytes(L, 1, "record", NULL);
    crdb_hold_secret(L, 1);
    const char *file = crdb_check_bytes(L, 1, "record", &len);
    struct crdb_record record;
    struct crdb_failure f;
    if (!crdb_record_decode(file, len, &record, &f))
        return crdb_push_failure(L, &f);
    lua_pushlstring(L, record.meta, record.meta_length);
    lua_createtable(L, 0, (int)record.count);
    for (size_t i = 0; i < record.count; i++) {
        const struct crdb_record_secret *s = &record.secrets[i];
        lua_pushstring(L, s->key_id[0] ? s->key_id : "plain");
        lua_setfield(L, -2, s->name);
    }
    return 2;
}

/* The key with that id in the list at idx, borrowed; NULL: none. */
static const unsigned char *find_key(lua_State *L, int idx, const char *wanted) {
    int count = (int)crdb_rawlen(L, idx);
    for (int i = 1; i <= count; i++) {
        char id[CRDB_SEAL_ID + 1];
        lua_rawgeti(L, idx, i);
        const unsigned char *key = check_key(L, lua_gettop(L));
        lua_pop(L, 1);
        crdb_seal_key_id(key, id);
        if (strcmp(id, wanted) == 0)
            return key;
    }
    return NULL;
}

/* Opens a sealed secret into the slot by the options at 2; false: *f says why not. */
static bool open_secret(lua_State *L, const struct crdb_record_secret *s, struct crdb_secret **slot,
                        struct crdb_failure *f) {
    const unsigned char *key = NULL;
    size_t bound_len = 0;
    const char *bound = NULL;
    if (!lua_isnil(L, 2)) {
        if (crdb_push_field(L, 2, "keys") != LUA_TTABLE)
            crdb_raise_type(L, -1, "keys", "a list of secrets");
        key = find_key(L, lua_gettop(L), s->key_id);
        push_bindings(L, 2);
        bound = check_bound(L, lua_gettop(L), s->name, &bound_len);
        lua_pop(L, 2);
    }
    if (!key) {
        crdb_fail(f, "sealed", "secret %s is sealed with key %s, which was not given", s->name,
                  s->key_id);
        return false;
    }
    enum crdb_seal_result result = CRDB_SEAL_TAMPERED;
    if (s->length >= CRDB_SEAL_EXTRA) {
        *slot = crdb_secret_new(s->length - CRDB_SEAL_EXTRA);
        if (!*slot)
            crdb_raise_no_memory(L);
        result = crdb_unseal(key, bound, bound_len, s->bytes, s->length, crdb_secret_bytes(*slot));
    }
    if (result == CRDB_SEAL_FAILED)
        crdb_raise_no_memory(L);
    if (result == CRDB_SEAL_TAMPERED)
        crdb_fail(f, "tampered",
                  "secret %s does not open: it was changed, or moved here from elsewhere", s->name);
    return result == CRDB_SEAL_OK;
}

/* core.record_decode(secret, {keys = {secret, ...}, aad = {name = string}} | nil)
 *   -> meta, {name = secret} | nil, message, code
 * Codes: as of record_file.h; "sealed" (needs a key that was not given), "tampered". */
static int record_decode(lua_State *L) {
    static const char *const options[] = {"keys", "aad", NULL};
    crdb_check_count(L, 2);
    size_t len;
    lua_settop(L, 2);
    crdb_hold_secret(L, 1);
    const char *file = crdb_check_bytes(L, 1, "record", &len);
    crdb_check_fields(L, 2, "record_decode", options);
    struct crdb_record record;
    struct crdb_failure f;
    if (!crdb_record_decode(file, len, &record, &f))
        return crdb_push_failure(L, &f);
    lua_pushlstring(L, record.meta, record.meta_length);
    lua_newtable(L);
    for (size_t i = 0; i < record.count; i++) {
        const struct crdb_record_secret *s = &record.secrets[i];
        struct crdb_secret **slot = crdb_push_secret_slot(L);
        if (s->key_id[0]) {
            if (!open_secret(L, s, slot, &f))
                return crdb_push_failure(L, &f);
        } else {
            *slot = crdb_secret_copy(s->bytes, s->length);
            if (!*slot)
                return crdb_raise_no_memory(L);
        }
        lua_setfield(L, -2, s->name);
    }
    return 2;
}

/* core.seal_keys(secret) -> {secret, ...} | nil, message, code; codes: see seal.h */
static int seal_keys(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len;
    crdb_check_bytes(L, 1, "keys", NULL);
    struct crdb_buffer *keys = crdb_push_scratch(L);
    const char *text = crdb_check_bytes(L, 1, "keys", &len);
    struct crdb_failure f;
    if (!crdb_seal_keys(text, len, keys, &f)) {
        crdb_buffer_free(keys);
        return crdb_push_failure(L, &f);
    }
    lua_newtable(L);
    for (int i = 0; (size_t)i < keys->length / CRDB_SEAL_KEY; i++) {
        struct crdb_secret **slot = crdb_push_secret_slot(L);
        *slot = crdb_secret_copy(keys->data + i * CRDB_SEAL_KEY, CRDB_SEAL_KEY);
        if (!*slot)
            return crdb_raise_no_memory(L);
        lua_rawseti(L, -2, i + 1);
    }
    crdb_buffer_free(keys);
    return 1;
}

/* core.seal_key_id(key) -> string of 16 hexadecimal digits */
static int seal_key_id(lua_State *L) {
    crdb_check_count(L, 1);
    char id[CRDB_SEAL_ID + 1];
    crdb_seal_key_id(check_key(L, 1), id);
    lua_pushstring(L, id);
    return 1;
}

const luaL_Reg crdb_record_functions[] = {
    {"record_encode", record_encode}, {"record_meta", record_meta},
    {"record_decode", record_decode}, {"seal_keys", seal_keys},
    {"seal_key_id", seal_key_id},     {NULL, NULL},
};
