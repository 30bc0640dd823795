/*
 * document.c - documents that hold secrets: password files, environment files, JSON.
 *
 * In each function the userdata that will own the result is pushed before there
 * is a result; borrowed bytes stay on the stack while they are used.
 */
#include <string.h>

#include "base/json_scan.h"
#include "base/json_take.h"
#include "files/dotenv.h"
#include "files/pgpass.h"
#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"

/* Leaves the field's value on the stack, as the entry points into it. */
static void check_pgpass_field(lua_State *L, int idx, const char *name, const char **bytes,
                               size_t *len) {
    crdb_push_field(L, idx, name);
    *bytes = crdb_check_string(L, -1, name, len);
    if (!crdb_pgpass_can_hold(*bytes, *len))
        luaL_error(L, "%s: expected one line that is not empty, without a NUL", name);
}

/* False, which no password is by mistake, stands for none. */
static bool takes_away(lua_State *L, int idx) {
    return lua_isboolean(L, idx) && !lua_toboolean(L, idx);
}

/* core.pgpass_update(secret | nil, {host, port, database, user}, password | false) -> secret; false takes the
 * entry away */
static int pgpass_update(lua_State *L) {
    static const char *const names[] = {"host", "port", "database", "user", NULL};
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    size_t len = 0;
    const char *file = lua_isnil(L, 1) ? NULL : crdb_check_bytes(L, 1, "file", &len);
    if (!lua_istable(L, 2))
        return crdb_raise_type(L, 2, "entry", "a table with host, port, database and user");
    crdb_check_fields(L, 2, "entry", names);
    struct crdb_pgpass_entry entry;
    for (int i = 0; i < CRDB_PGPASS_FIELDS; i++)
        check_pgpass_field(L, 2, names[i], &entry.fields[i].bytes, &entry.fields[i].length);
    entry.password_length = 0;
    entry.password =
        takes_away(L, 3) ? NULL : crdb_check_bytes(L, 3, "password", &entry.password_length);
    if (entry.password && !crdb_pgpass_can_hold(entry.password, entry.password_length))
        return luaL_error(L, "password: it is empty, or has a line break or NUL, which a password "
                             "file cannot hold");
    struct crdb_buffer b = {0};
    crdb_pgpass_update(&b, file, len, &entry);
    crdb_scratch_to_secret(L, slot, &b);
    lua_settop(L, 4); /* the slot */
    return 1;
}

static enum crdb_dotenv_dialect check_dialect(lua_State *L, int idx) {
    static const struct {
        const char *name;
        enum crdb_dotenv_dialect dialect;
    } dialects[] = {{"posix", CRDB_DOTENV_POSIX},
                    {"docker", CRDB_DOTENV_DOCKER},
                    {"systemd", CRDB_DOTENV_SYSTEMD}};
    const char *name = crdb_check_string(L, idx, "dialect", NULL);
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++)
        if (strcmp(dialects[i].name, name) == 0)
            return dialects[i].dialect;
    luaL_error(L, "dialect: expected posix, docker or systemd, got '%s'", name);
    return CRDB_DOTENV_POSIX;
}

/* core.dotenv_update(secret | nil, {key, dialect, epoch}, password | false) -> secret | nil, message,
 * code; false takes the variable away; codes: see dotenv.h */
static int dotenv_update(lua_State *L) {
    static const char *const names[] = {"key", "dialect", "epoch", NULL};
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    size_t len = 0;
    const char *file = lua_isnil(L, 1) ? NULL : crdb_check_bytes(L, 1, "file", &len);
    if (!lua_istable(L, 2))
        return crdb_raise_type(L, 2, "entry", "a table with key, dialect and epoch");
    crdb_check_fields(L, 2, "entry", names);
    struct crdb_dotenv_entry entry;
    crdb_push_field(L, 2, "key");
    entry.key = crdb_check_string(L, -1, "key", &entry.key_length);
    if (!crdb_dotenv_is_key(entry.key, entry.key_length))
        return luaL_error(L, "key: expected the name of a variable, got '%s'", entry.key);
    crdb_push_field(L, 2, "dialect");
    entry.dialect = check_dialect(L, -1);
    crdb_push_field(L, 2, "epoch");
    entry.epoch = (unsigned long long)crdb_check_integer(L, -1, "epoch", 0, INT64_C(1) << 53);
    entry.value_length = 0;
    entry.value = takes_away(L, 3) ? NULL : crdb_check_bytes(L, 3, "password", &entry.value_length);
    struct crdb_buffer b = {0};
    struct crdb_failure f;
    if (!crdb_dotenv_update(&b, file, len, &entry, &f)) {
        crdb_buffer_free(&b);
        return crdb_push_failure(L, &f);
    }
    crdb_scratch_to_secret(L, slot, &b);
    lua_settop(L, 4); /* the slot */
    return 1;
}

struct wanted_member {
    const char *key, *value;
    size_t value_length;
};

static void find_member(void *context, const struct crdb_json_member *member) {
    struct wanted_member *wanted = context;
    if (!member->is_string && crdb_json_key_is(member, wanted->key)) {
        wanted->value = member->value;
        wanted->value_length = member->value_length;
    }
}

/* core.json_member(secret, key) -> JSON of that member, or nil: for the parts of a document beside
 * its secrets. A member that is a string may be one, so it is not found. */
static int json_member(lua_State *L) {
    crdb_check_count(L, 2);
    size_t len;
    crdb_check_bytes(L, 1, "document", NULL);
    crdb_hold_secret(L, 1);
    const char *text = crdb_check_bytes(L, 1, "document", &len);
    struct wanted_member wanted = {.key = crdb_check_string(L, 2, "key", NULL)};
    if (crdb_json_scan(text, len, find_member, &wanted) == CRDB_JSON_OBJECT && wanted.value)
        lua_pushlstring(L, wanted.value, wanted.value_length);
    else
        lua_pushnil(L);
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
    crdb_check_bytes(L, 1, "document", NULL);
    struct crdb_json_taken taken[CRDB_JSON_TAKE_MAX];
    struct crdb_secret **slots[CRDB_JSON_TAKE_MAX];
    lua_settop(L, 2);
    struct crdb_buffer *rest = crdb_push_scratch(L);
    size_t count = check_keys(L, 2, taken, slots);
    const char *text = crdb_check_bytes(L, 1, "document", &len);
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
    {"dotenv_update", dotenv_update},
    {"json_member", json_member},
    {"json_take", json_take},
    {NULL, NULL},
};
