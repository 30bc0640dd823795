/*
 * file.c - files, directories and locks for Lua; see file.h, durable.h, lock.h.
 *
 * What fails returns nil, message, code; misuse raises.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "files/durable.h"
#include "files/file.h"
#include "files/lock.h"
#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"

#define LOCK_TYPE "crdbcloud.lock"

enum { READ_MAX_DEFAULT = 16777216 };

/* core.read_file(path, {max = bytes, private = boolean}) -> secret */
static int read_file(lua_State *L) {
    static const char *const fields[] = {"max", "private", NULL};
    crdb_check_count(L, 2);
    lua_settop(L, 2);
    const char *path = crdb_check_path(L, 1, "path");
    crdb_check_fields(L, 2, "read_file", fields);
    size_t max = READ_MAX_DEFAULT;
    if (crdb_push_field(L, 2, "max") != LUA_TNIL)
        max = (size_t)crdb_check_integer(L, -1, "max", 1, INT32_MAX);
    if (crdb_push_field(L, 2, "private") != LUA_TNIL && !lua_isboolean(L, -1))
        return crdb_raise_type(L, -1, "private", "true or false");
    bool private = lua_toboolean(L, -1);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    struct crdb_failure f;
    *slot = crdb_file_read(path, max, private ? CRDB_FILE_PRIVATE : CRDB_FILE_ANY, &f);
    return *slot ? 1 : crdb_push_failure(L, &f);
}

static int push_done(lua_State *L, bool done, const struct crdb_failure *f) {
    if (!done)
        return crdb_push_failure(L, f);
    lua_pushboolean(L, true);
    return 1;
}

/* core.write_file(path, string | secret, {mode = number}) -> true */
static int write_file(lua_State *L) {
    static const char *const fields[] = {"mode", NULL};
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    const char *path = crdb_check_path(L, 1, "path");
    size_t len;
    const char *bytes = crdb_check_bytes(L, 2, "content", &len);
    crdb_check_fields(L, 3, "write_file", fields);
    mode_t mode = 0600;
    if (crdb_push_field(L, 3, "mode") != LUA_TNIL)
        mode = (mode_t)crdb_check_integer(L, -1, "mode", 0, 0777);
    struct crdb_failure f;
    return push_done(L, crdb_durable_write(path, bytes, len, mode, &f), &f);
}

/* core.remove_file(path) -> true */
static int remove_file(lua_State *L) {
    crdb_check_count(L, 1);
    struct crdb_failure f;
    return push_done(L, crdb_durable_remove(crdb_check_path(L, 1, "path"), &f), &f);
}

/* core.make_dir(path) -> true */
static int make_dir(lua_State *L) {
    crdb_check_count(L, 1);
    struct crdb_failure f;
    return push_done(L, crdb_durable_make_dir(crdb_check_path(L, 1, "path"), &f), &f);
}

/* core.list_dir(path) -> names, sorted by byte */
static int list_dir(lua_State *L) {
    crdb_check_count(L, 1);
    const char *path = crdb_check_path(L, 1, "path");
    struct crdb_buffer *names = crdb_push_scratch(L);
    struct crdb_failure f;
    if (!crdb_list_dir(path, names, &f))
        return crdb_push_failure(L, &f);
    lua_newtable(L);
    int count = 0;
    for (const char *p = names->data; p && p < names->data + names->length; p += strlen(p) + 1) {
        lua_pushstring(L, p);
        lua_rawseti(L, -2, ++count);
    }
    crdb_buffer_free(names);
    return 1;
}

/* core.stat(path) -> {type, mode, uid, size, mtime, fs}; symlinks are not followed */
static int stat_path(lua_State *L) {
    crdb_check_count(L, 1);
    struct crdb_file_info info;
    struct crdb_failure f;
    if (!crdb_file_stat(crdb_check_path(L, 1, "path"), &info, &f))
        return crdb_push_failure(L, &f);
    lua_newtable(L);
    lua_pushstring(L, info.type);
    lua_setfield(L, -2, "type");
    lua_pushinteger(L, (lua_Integer)info.mode);
    lua_setfield(L, -2, "mode");
    crdb_push_whole(L, (double)info.uid);
    lua_setfield(L, -2, "uid");
    crdb_push_whole(L, info.size);
    lua_setfield(L, -2, "size");
    lua_pushnumber(L, info.mtime);
    lua_setfield(L, -2, "mtime");
    lua_pushstring(L, info.file_system);
    lua_setfield(L, -2, "fs");
    return 1;
}

/* core.lock(path, note) -> lock (without a note nothing is written) | nil, message, "busy", holder's note | nil, message, code */
static int lock(lua_State *L) {
    crdb_check_count(L, 2);
    const char *path = crdb_check_path(L, 1, "path");
    size_t len = 0;
    const char *note = lua_isnoneornil(L, 2) ? NULL : crdb_check_string(L, 2, "note", &len);
    if (len > CRDB_LOCK_NOTE_MAX)
        return luaL_error(L, "note: expected at most %d bytes, got %d", (int)CRDB_LOCK_NOTE_MAX,
                          (int)len);
    struct crdb_lock *l = crdb_new(L, sizeof *l, LOCK_TYPE);
    struct crdb_lock_note holder;
    struct crdb_failure f;
    if (crdb_lock_open(l, path, note, len, &holder, &f))
        return 1;
    crdb_push_failure(L, &f);
    if (strcmp(f.code, "busy") != 0)
        return 3;
    lua_pushlstring(L, holder.text, holder.length);
    return 4;
}

/* lock:holds(path) -> false once the file at path is gone or another one */
static int lock_holds(lua_State *L) {
    crdb_check_count(L, 2);
    const struct crdb_lock *l = luaL_checkudata(L, 1, LOCK_TYPE);
    lua_pushboolean(L, crdb_lock_holds(l, crdb_check_path(L, 2, "path")));
    return 1;
}

/* lock:close(), __gc, __close; a second time does nothing. */
static int lock_close(lua_State *L) {
    crdb_lock_close(luaL_checkudata(L, 1, LOCK_TYPE));
    return 0;
}

static int lock_to_string(lua_State *L) {
    const struct crdb_lock *l = luaL_checkudata(L, 1, LOCK_TYPE);
    lua_pushstring(L, l->open ? "crdbcloud.lock (held)" : "crdbcloud.lock (closed)");
    return 1;
}

/* core.cwd() -> the working directory, without a slash at its end */
static int working_directory(lua_State *L) {
    crdb_check_count(L, 0);
    char path[PATH_MAX];
    struct crdb_failure f;
    if (!getcwd(path, sizeof path)) {
        crdb_fail_errno(&f, errno, "find", "the working directory");
        return crdb_push_failure(L, &f);
    }
    lua_pushstring(L, strcmp(path, "/") == 0 ? "" : path);
    return 1;
}

const luaL_Reg crdb_file_functions[] = {
    {"read_file", read_file},
    {"write_file", write_file},
    {"remove_file", remove_file},
    {"make_dir", make_dir},
    {"list_dir", list_dir},
    {"stat", stat_path},
    {"cwd", working_directory},
    {"lock", lock},
    {NULL, NULL},
};

void crdb_open_lock(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", lock_close}, {"holds", lock_holds}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__tostring", lock_to_string},
        {"__gc", lock_close},
        {"__close", lock_close},
        {NULL, NULL},
    };
    crdb_open_type(L, LOCK_TYPE, metamethods, methods);
}
