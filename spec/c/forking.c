/* A Lua module: fork, wait and leave without finalisers. */
#include <lauxlib.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int luaopen_forking(lua_State *L);

static int fork_process(lua_State *L) {
    lua_pushinteger(L, fork());
    return 1;
}

/* Waits for a child; returns its exit status, or 128 and the signal. */
static int wait_process(lua_State *L) {
    int status = 0;
    if (waitpid((pid_t)lua_tointeger(L, 1), &status, 0) < 0)
        return luaL_error(L, "no such child");
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 1;
}

/* Another program gives the status: a memory checker would count what the child of a fork leaves. */
static int leave(lua_State *L) {
    char status[16];
    snprintf(status, sizeof status, "%d", (int)lua_tointeger(L, 1));
    execl("/bin/sh", "sh", "-c", "exit $0", status, (char *)NULL);
    _exit(127);
}

int luaopen_forking(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, fork_process);
    lua_setfield(L, -2, "fork");
    lua_pushcfunction(L, wait_process);
    lua_setfield(L, -2, "wait");
    lua_pushcfunction(L, leave);
    lua_setfield(L, -2, "leave");
    return 1;
}
