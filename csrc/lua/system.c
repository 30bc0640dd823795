/*
 * system.c - random ids, names, clocks, pace and process facts for Lua.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/interrupts.h"
#include "base/names.h"
#include "base/random.h"
#include "http/pace.h"
#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"
#include "process/terminal.h"

static const double day = 86400;

enum { FDS_MAX = 256 };

static void take_random(lua_State *L, void *bytes, size_t n) {
    if (!crdb_random_bytes(bytes, n))
        luaL_error(L, "the system gives no random bytes: %s", crdb_errno_text(errno));
}

/* core.random_hex(bytes) -> string of twice as many digits; for ids, not for secrets */
static int random_hex(lua_State *L) {
    unsigned char bytes[64];
    crdb_check_count(L, 1);
    size_t n = (size_t)crdb_check_integer(L, 1, "bytes", 1, sizeof bytes);
    struct crdb_buffer *text = crdb_push_scratch(L);
    take_random(L, bytes, n);
    if (!crdb_encode_hex(text, bytes, n))
        return crdb_raise_no_memory(L);
    lua_pushlstring(L, text->data, text->length);
    crdb_buffer_free(text);
    return 1;
}

/* core.random() -> number within [0, 1); other than math.random's, no two processes have the same */
static int random_number(lua_State *L) {
    uint32_t bits;
    crdb_check_count(L, 0);
    take_random(L, &bits, sizeof bits);
    lua_pushnumber(L, bits / 4294967296.0);
    return 1;
}

/* core.fold_name(string) -> string | nil, "utf8" */
static int fold_name(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len, folded_len;
    const char *name = crdb_check_string(L, 1, "name", &len);
    struct crdb_buffer *result = crdb_push_scratch(L);
    char *folded;
    switch (crdb_fold_name(name, len, &folded, &folded_len)) {
    case CRDB_FOLD_OK:
        crdb_buffer_append(result, folded, folded_len);
        free(folded);
        if (result->failed)
            return crdb_raise_no_memory(L);
        lua_pushlstring(L, result->data, result->length);
        crdb_buffer_free(result);
        return 1;
    case CRDB_FOLD_NOT_UTF8:
        lua_pushnil(L);
        lua_pushliteral(L, "utf8");
        return 2;
    case CRDB_FOLD_NO_MEMORY:
        break;
    }
    return crdb_raise_no_memory(L);
}

/* core.name_problem(folded) -> nil | "empty" | "long" | "start" | "character", byte counted from 1 */
static int name_problem(lua_State *L) {
    crdb_check_count(L, 1);
    size_t len, offset;
    const char *name = crdb_check_string(L, 1, "name", &len);
    const char *problem = crdb_name_problem(name, len, &offset);
    if (!problem) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, problem);
    lua_pushinteger(L, (lua_Integer)(offset + 1));
    return 2;
}

static int monotonic(lua_State *L) {
    crdb_check_count(L, 0);
    lua_pushnumber(L, crdb_monotonic());
    return 1;
}

static int boottime(lua_State *L) {
    crdb_check_count(L, 0);
    lua_pushnumber(L, crdb_boottime());
    return 1;
}

static int now(lua_State *L) {
    crdb_check_count(L, 0);
    lua_pushnumber(L, crdb_time());
    return 1;
}

/* core.sleep(seconds) -> true, or false when an interrupt being counted cut it short */
static int sleep_for(lua_State *L) {
    crdb_check_count(L, 1);
    lua_pushboolean(L, crdb_sleep(crdb_check_number(L, 1, "seconds", 0, 366 * day)));
    return 1;
}

/* core.interrupts(on, last_words): SIGINT, SIGTERM and SIGHUP count from now on and SIGPIPE is
 * ignored, or all act as before again; with last_words a second SIGINT or SIGTERM says them and ends the process */
static int interrupts(lua_State *L) {
    crdb_check_count(L, 2);
    if (!lua_isboolean(L, 1))
        return crdb_raise_type(L, 1, "on", "true or false");
    const char *words = NULL;
    if (!lua_isnoneornil(L, 2))
        words = crdb_check_string(L, 2, "last_words", NULL);
    if (!crdb_interrupts(lua_toboolean(L, 1)))
        return luaL_error(L, "the signal handlers could not be set: %s", crdb_errno_text(errno));
    crdb_interrupts_end(lua_toboolean(L, 1) ? words : NULL);
    return 0;
}

/* core.interrupted() -> nil | number of the last signal, how many came */
static int interrupted(lua_State *L) {
    crdb_check_count(L, 0);
    unsigned count = crdb_interrupt_count();
    if (count == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, crdb_interrupt_signal());
    lua_pushinteger(L, (lua_Integer)count);
    return 2;
}

/* Which of the first count entries of set can be read, before the monotonic time until. */
static int readable_before(struct pollfd *set, nfds_t count, double until) {
    for (;;) {
        double left = until - crdb_monotonic();
        int ms = left <= 0 ? 0 : left > 86400 ? 86400000 : (int)(left * 1000) + 1;
        int ready = poll(set, count, ms);
        if (ready > 0 || (ready == 0 && left <= 0))
            return ready;
        if (ready < 0 && errno != EINTR)
            return -1;
    }
}

/* core.readable({fd, ...}, seconds) -> list of those that can be read or were closed by their
 * other end; empty when the time is over. No interrupt shortens it. */
static int readable(lua_State *L) {
    struct pollfd set[FDS_MAX];
    crdb_check_count(L, 2);
    if (!lua_istable(L, 1))
        return crdb_raise_type(L, 1, "fds", "a list of file descriptors");
    double until = crdb_monotonic() + crdb_check_number(L, 2, "seconds", 0, 366 * day);
    size_t count = crdb_rawlen(L, 1);
    if (count > FDS_MAX)
        return luaL_error(L, "fds: expected at most %d", (int)FDS_MAX);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (int)(i + 1));
        set[i].fd = (int)crdb_check_integer(L, -1, "fds", 0, INT32_MAX);
        set[i].events = POLLIN;
        lua_pop(L, 1);
    }
    if (readable_before(set, count, until) < 0)
        return luaL_error(L, "poll: %s", crdb_errno_text(errno));
    lua_newtable(L);
    for (size_t i = 0, found = 0; i < count; i++) {
        if (!set[i].revents)
            continue;
        lua_pushinteger(L, set[i].fd);
        lua_rawseti(L, -2, (int)++found);
    }
    return 1;
}

static const char *check_account(lua_State *L) {
    size_t len;
    const char *account = crdb_check_string(L, 1, "account", &len);
    if (len == 0 || strlen(account) != len)
        luaL_error(L, "account: expected a name, got %s",
                   len ? "a string with a NUL byte" : "an empty string");
    return account;
}

/* core.pace(account, rate, max_wait) -> seconds waited | nil, seconds needed, nil or "interrupted" */
static int pace(lua_State *L) {
    crdb_check_count(L, 3);
    const char *account = check_account(L);
    double rate = crdb_check_number(L, 2, "rate", 0, 1e6);
    double max_wait = crdb_check_number(L, 3, "max_wait", 0, 366 * day);
    double seconds;
    if (rate > 0 && rate < 1e-6)
        return luaL_error(L, "rate: expected 0 or at least 0.000001 per second");
    switch (crdb_pace(account, rate, max_wait, &seconds)) {
    case CRDB_PACE_OK:
        lua_pushnumber(L, seconds);
        return 1;
    case CRDB_PACE_TOO_LONG:
        lua_pushnil(L);
        lua_pushnumber(L, seconds);
        return 2;
    case CRDB_PACE_INTERRUPTED:
        lua_pushnil(L);
        lua_pushnumber(L, seconds);
        lua_pushliteral(L, "interrupted");
        return 3;
    case CRDB_PACE_NO_MEMORY:
        break;
    }
    return crdb_raise_no_memory(L);
}

/* core.pace_hold(account, seconds) */
static int pace_hold(lua_State *L) {
    crdb_check_count(L, 2);
    const char *account = check_account(L);
    double seconds = crdb_check_number(L, 2, "seconds", 0, 366 * day);
    return crdb_pace_hold(account, seconds) == CRDB_PACE_OK ? 0 : crdb_raise_no_memory(L);
}

static int effective_uid(lua_State *L) {
    crdb_check_count(L, 0);
    crdb_push_whole(L, (double)geteuid());
    return 1;
}

static int process_id(lua_State *L) {
    crdb_check_count(L, 0);
    lua_pushinteger(L, (lua_Integer)getpid());
    return 1;
}

static int host_name(lua_State *L) {
    char name[256] = "";
    crdb_check_count(L, 0);
    if (gethostname(name, sizeof name - 1) != 0)
        return luaL_error(L, "the host name is not known: %s", crdb_errno_text(errno));
    lua_pushstring(L, name);
    return 1;
}

/* core.is_terminal(fd) -> boolean */
static int is_terminal(lua_State *L) {
    crdb_check_count(L, 1);
    lua_pushboolean(L, isatty((int)crdb_check_integer(L, 1, "fd", 0, INT32_MAX)) == 1);
    return 1;
}

/* core.terminal_width(fd) -> columns | nil */
static int terminal_width(lua_State *L) {
    crdb_check_count(L, 1);
    int columns = crdb_terminal_width((int)crdb_check_integer(L, 1, "fd", 0, INT32_MAX));
    if (columns > 0)
        lua_pushinteger(L, columns);
    else
        lua_pushnil(L);
    return 1;
}

const luaL_Reg crdb_system_functions[] = {
    {"random_hex", random_hex},
    {"random", random_number},
    {"fold_name", fold_name},
    {"name_problem", name_problem},
    {"monotonic", monotonic},
    {"boottime", boottime},
    {"time", now},
    {"sleep", sleep_for},
    {"interrupts", interrupts},
    {"interrupted", interrupted},
    {"readable", readable},
    {"pace", pace},
    {"pace_hold", pace_hold},
    {"euid", effective_uid},
    {"pid", process_id},
    {"hostname", host_name},
    {"is_terminal", is_terminal},
    {"terminal_width", terminal_width},
    {NULL, NULL},
};
