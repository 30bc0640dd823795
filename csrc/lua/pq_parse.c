/*
 * pq_parse.c - pq.parse(url): libpq's own reading of a URL or connection string.
 *
 * The password becomes a secret, and libpq's copy of it is wiped. A
 * message quotes nothing of what was given, because any part may be a piece of
 * a password with a stray "@" or "?" in it.
 */
#include "lua/check.h"
#include "lua/pq_connection.h"
#include "lua/secret.h"

#include <stdbool.h>
#include <string.h>

#define CONNINFO_TYPE "crdbcloud.conninfo"

struct conninfo {
    PQconninfoOption *options;
    char *message;
};

static bool is_secret_keyword(const char *keyword) {
    return strcmp(keyword, "password") == 0 || strcmp(keyword, "sslpassword") == 0;
}

static int release(lua_State *L) {
    struct conninfo *info = luaL_checkudata(L, 1, CONNINFO_TYPE);
    PQconninfoOption *options = info->options;
    char *message = info->message;
    info->options = NULL;
    info->message = NULL;
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->val && is_secret_keyword(o->keyword))
            crdb_wipe(o->val, strlen(o->val));
    PQconninfoFree(options);
    if (message)
        crdb_wipe(message, strlen(message));
    PQfreemem(message);
    return 0;
}

void crdb_open_conninfo(lua_State *L) {
    static const luaL_Reg metamethods[] = {{"__gc", release}, {NULL, NULL}};
    crdb_open_type(L, CONNINFO_TYPE, metamethods, NULL);
}

/* The fixed words at the start of libpq's message; what it quotes begins at the first mark. */
static void push_problem(lua_State *L, const char *message) {
    size_t length = message ? strcspn(message, "\":\n") : 0;
    while (length && message[length - 1] == ' ')
        length--;
    if (length)
        lua_pushlstring(L, message, length);
    else
        lua_pushliteral(L, "cannot be read");
}

int crdb_pq_lua_parse(lua_State *L) {
    size_t length;
    crdb_check_count(L, 1);
    crdb_check_bytes(L, 1, "url", NULL);
    struct conninfo *info = crdb_new(L, sizeof *info, CONNINFO_TYPE);
    int holder = lua_gettop(L);

    const char *text = crdb_check_bytes(L, 1, "url", &length); /* borrowed last */
    if (memchr(text, '\0', length)) {
        lua_pushnil(L);
        lua_pushliteral(L, "it holds a NUL byte");
        return 2;
    }
    info->options = PQconninfoParse(text, &info->message);
    if (!info->options) {
        lua_pushnil(L);
        push_problem(L, info->message);
        return 2;
    }
    lua_newtable(L);
    for (const PQconninfoOption *o = info->options; o->keyword; o++) {
        if (!o->val)
            continue;
        if (is_secret_keyword(o->keyword)) {
            struct crdb_secret **slot = crdb_push_secret_slot(L);
            *slot = crdb_secret_copy(o->val, strlen(o->val));
            if (!*slot)
                luaL_error(L, "not enough memory for a secret");
        } else {
            lua_pushstring(L, o->val);
        }
        lua_setfield(L, -2, o->keyword);
    }
    lua_pushcfunction(L, release); /* now, not at some later collection */
    lua_pushvalue(L, holder);
    lua_call(L, 1, 0);
    return 1;
}
