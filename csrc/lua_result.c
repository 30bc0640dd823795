#include "lua_result.h"

static void set_text(lua_State *L, const char *field, const char *text) {
    if (!text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static void set_whole(lua_State *L, const char *field, long n) {
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, field);
}

static void set_flag(lua_State *L, const char *field, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, field);
}

static void set_seconds(lua_State *L, const char *field, double seconds) {
    lua_pushnumber(L, (lua_Number)seconds);
    lua_setfield(L, -2, field);
}

void crdb_push_result(lua_State *L, const struct crdb_result *r) {
    lua_createtable(L, 0, 12);
    set_text(L, "outcome", r->outcome.outcome);
    set_text(L, "kind", r->outcome.kind);
    set_text(L, "reason", r->outcome.reason);
    set_whole(L, "status", r->status);
    if (r->code >= 0)
        set_whole(L, "code", r->code);
    set_text(L, "message", r->message);
    if (r->body) {
        lua_pushlstring(L, r->body, r->body_length);
        lua_setfield(L, -2, "body");
    }
    set_text(L, "content_type", r->content_type);
    if (r->retry_after >= 0)
        set_seconds(L, "retry_after", r->retry_after);
    set_whole(L, "curl", (long)r->curl);
    set_seconds(L, "elapsed", r->elapsed);
    set_flag(L, "sent", r->sent);
    set_text(L, "http", r->http);
    set_flag(L, "new_connection", r->new_connection);
}
