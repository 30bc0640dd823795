#include "lua/result.h"

#include "lua/check.h"

#define HELD_TYPE "crdbcloud.held"

struct crdb_held {
    struct crdb_buffer body, message;
};

struct crdb_held *crdb_push_held(lua_State *L) {
    return crdb_new(L, sizeof(struct crdb_held), HELD_TYPE);
}

static int release(lua_State *L) {
    struct crdb_held *held = luaL_checkudata(L, 1, HELD_TYPE);
    crdb_buffer_free(&held->body);
    crdb_buffer_free(&held->message);
    return 0;
}

void crdb_open_held(lua_State *L) {
    static const luaL_Reg metamethods[] = {{"__gc", release}, {NULL, NULL}};
    crdb_open_type(L, HELD_TYPE, metamethods, NULL);
}

/* The bytes stay where they are, only their owner changes. */
static void take(struct crdb_buffer *from, struct crdb_buffer *to) {
    *to = *from;
    *from = (struct crdb_buffer){.limit = to->limit};
}

/* Back to the exchange, so that its next answer finds the memory; unless a finaliser has used it. */
static void give_back(struct crdb_buffer *from, struct crdb_buffer *to) {
    if (to->data || to->failed) {
        crdb_buffer_free(from);
        return;
    }
    size_t limit = to->limit;
    *to = *from;
    to->limit = limit;
    *from = (struct crdb_buffer){0};
}

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

void crdb_push_result(lua_State *L, struct crdb_held *held, struct crdb_exchange *x,
                      const struct crdb_result *r) {
    take(&x->response.body, &held->body);
    take(&x->message, &held->message);
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
    set_text(L, "content_type", r->content_type[0] ? r->content_type : NULL);
    if (r->retry_after >= 0)
        set_seconds(L, "retry_after", r->retry_after);
    set_whole(L, "curl", (long)r->curl);
    set_seconds(L, "elapsed", r->elapsed);
    set_flag(L, "sent", r->sent);
    set_text(L, "http", r->http);
    set_flag(L, "new_connection", r->new_connection);
    give_back(&held->body, &x->response.body);
    give_back(&held->message, &x->message);
    lua_replace(L, -2); /* the table takes the place of held */
}
