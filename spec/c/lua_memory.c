/* Runs a Lua script again and again in states whose allocator fails from the Nth allocation on,
 * for every N until the script ends well. (An allocator that fails only once is no test: Lua
 * collects garbage and asks again.) Arguments: script, path of the module's directory, Lua path. The
 * leak check of AddressSanitizer looks at what the C side lost. Prints "ok" and how often it failed. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long allocations, fail_from;

static void *allocate(void *unused, void *block, size_t old, size_t new) {
    (void)unused;
    if (new == 0) {
        free(block);
        return NULL;
    }
    /* Lua relies on a block that shrinks. */
    if ((!block || new > old) && fail_from && ++allocations >= fail_from)
        return NULL;
    return realloc(block, new);
}

static int prepare(lua_State *L) {
    char **argv = lua_touserdata(L, 1);
    luaL_openlibs(L);
    /* Lua drops an object when it has no memory to call its finaliser; so finalisers wait for lua_close. */
    lua_gc(L, LUA_GCSTOP);
    lua_getglobal(L, "package");
    lua_pushstring(L, argv[2]);
    lua_setfield(L, -2, "cpath");
    lua_pushstring(L, argv[3]);
    lua_setfield(L, -2, "path");
    if (luaL_loadfile(L, argv[1]) != LUA_OK)
        return lua_error(L);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    for (unsigned long n = 1; n < 100000; n++) {
        fail_from = 0;
        lua_State *L = lua_newstate(allocate, NULL);
        lua_pushcfunction(L, prepare);
        lua_pushlightuserdata(L, argv);
        if (!L || lua_pcall(L, 1, 1, 0) != LUA_OK) {
            printf("wrong: %s\n", L ? lua_tostring(L, -1) : "no state");
            return 1;
        }
        allocations = 0;
        fail_from = n;
        int status = lua_pcall(L, 0, 0, 0);
        fail_from = 0;
        const char *message = status == LUA_OK ? "" : lua_tostring(L, -1);
        if (status != LUA_OK && (!message || !strstr(message, "not enough memory"))) {
            printf("wrong: allocation %lu failed and Lua says: %s\n", n, message ? message : "?");
            return 1;
        }
        lua_close(L);
        if (status == LUA_OK) {
            printf("ok after %lu failures\n", n - 1);
            return 0;
        }
    }
    puts("wrong: it never ends well");
    return 1;
}
