#include "lua/secret.h"

#include "lua/check.h"

#define SCRATCH_TYPE "crdbcloud.scratch"

struct crdb_secret **crdb_push_secret_slot(lua_State *L) {
    return crdb_new(L, sizeof(struct crdb_secret *), CRDB_SECRET_TYPE);
}

static struct crdb_secret *usable(lua_State *L, struct crdb_secret *s) {
    if (!s)
        luaL_error(L, "secret is closed");
    if (crdb_secret_forked(s))
        luaL_error(L, "secret was made before a fork; make it again in this process");
    return s;
}

struct crdb_secret *crdb_check_secret(lua_State *L, int idx) {
    struct crdb_secret **slot = luaL_testudata(L, idx, CRDB_SECRET_TYPE);
    if (!slot)
        crdb_raise_type(L, idx, "secret", "a secret");
    return usable(L, *slot);
}

void crdb_hold_secret(lua_State *L, int idx) {
    if (!luaL_testudata(L, idx, CRDB_SECRET_TYPE)) {
        lua_pushnil(L);
        return;
    }
    struct crdb_secret **held = crdb_push_secret_slot(L);
    *held = crdb_secret_ref(crdb_check_secret(L, idx));
}

struct crdb_secret *crdb_test_secret(lua_State *L, int idx) {
    struct crdb_secret **slot = luaL_testudata(L, idx, CRDB_SECRET_TYPE);
    return slot ? usable(L, *slot) : NULL;
}

const char *crdb_check_bytes(lua_State *L, int idx, const char *what, size_t *len) {
    if (lua_type(L, idx) == LUA_TSTRING)
        return lua_tolstring(L, idx, len);
    struct crdb_secret *s = crdb_test_secret(L, idx);
    if (!s)
        crdb_raise_type(L, idx, what, "a string or a secret");
    if (len)
        *len = crdb_secret_length(s);
    return (const char *)crdb_secret_bytes(s);
}

struct crdb_buffer *crdb_push_scratch(lua_State *L) {
    return crdb_new(L, sizeof(struct crdb_buffer), SCRATCH_TYPE);
}

void crdb_scratch_to_secret(lua_State *L, struct crdb_secret **slot, struct crdb_buffer *b) {
    if (!b->failed)
        *slot = crdb_secret_copy(b->data, b->length);
    crdb_buffer_free(b);
    if (!*slot)
        crdb_raise_no_memory(L);
}

static int release_scratch(lua_State *L) {
    crdb_buffer_free(luaL_checkudata(L, 1, SCRATCH_TYPE));
    return 0;
}

void crdb_open_scratch(lua_State *L) {
    static const luaL_Reg metamethods[] = {{"__gc", release_scratch}, {NULL, NULL}};
    crdb_open_type(L, SCRATCH_TYPE, metamethods, NULL);
}
