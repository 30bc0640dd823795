#include "lua/scratch.h"

#include <string.h>

#include "lua/check.h"

#define SCRATCH_TYPE "crdbcloud.scratch"

struct crdb_buffer *crdb_push_scratch(lua_State *L) {
    struct crdb_buffer *b = crdb_newuserdata(L, sizeof *b);
    *b = (struct crdb_buffer){0};
    luaL_getmetatable(L, SCRATCH_TYPE);
    lua_setmetatable(L, -2);
    return b;
}

void crdb_scratch_to_secret(lua_State *L, struct crdb_secret **slot, struct crdb_buffer *b) {
    if (!b->failed)
        *slot = crdb_secret_copy(b->data, b->length);
    crdb_buffer_free(b);
    if (!*slot)
        crdb_raise_no_memory(L);
}

int crdb_push_failure(lua_State *L, const struct crdb_failure *f) {
    lua_pushnil(L);
    lua_pushstring(L, f->message);
    lua_pushstring(L, f->code);
    return 3;
}

const char *crdb_check_path(lua_State *L, int idx, const char *what) {
    size_t len;
    const char *path = crdb_check_string(L, idx, what, &len);
    if (len == 0 || strlen(path) != len)
        luaL_error(L, "%s: expected a path, got %s", what,
                   len ? "a string with a NUL byte" : "an empty string");
    return path;
}

int crdb_raise_no_memory(lua_State *L) {
    return luaL_error(L, "out of memory");
}

static int release(lua_State *L) {
    crdb_buffer_free(luaL_checkudata(L, 1, SCRATCH_TYPE));
    return 0;
}

void crdb_open_scratch(lua_State *L) {
    luaL_newmetatable(L, SCRATCH_TYPE);
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
