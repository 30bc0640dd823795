/*
 * client_new.c - the type of clients, and core.client(options): checks every option, then opens.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/failure.h"
#include "http/curl_global.h"
#include "lua/check.h"
#include "lua/client.h"
#include "lua/core.h"
#include "lua/result.h"
#include "lua/secret.h"

enum { DEFAULT_CONNECT_MS = 10000, DEFAULT_TIMEOUT_MS = 30000, DEFAULT_BODY = 8 * 1024 * 1024 };
enum { BODY_MIN = 1024, BODY_MAX = 1024 * 1024 * 1024 };

static const char *const allowed[] = {"base_url",    "api_key",         "vanity_name", "username",
                                      "api_version", "connect_timeout", "timeout",     "ca_file",
                                      "ca_path",     "proxy",           "user_agent",  "max_body",
                                      NULL};

/* A text option; its value remains on the stack, so that the pointer remains valid. */
static const char *text(lua_State *L, const char *field, const char *fallback) {
    size_t length;
    if (crdb_push_field(L, 1, field) == LUA_TNIL)
        return fallback;
    const char *value = crdb_check_line(L, -1, field, &length);
    if (length == 0)
        luaL_error(L, "%s: expected a text, got an empty one", field);
    return value;
}

/* The key goes into a header, so it must be one printable word. */
static void take_key(lua_State *L, struct crdb_client *c) {
    size_t length;
    crdb_push_field(L, 1, "api_key");
    const char *key = crdb_check_bytes(L, -1, "api_key", &length);
    if (length == 0)
        luaL_error(L, "api_key: expected a key, got an empty one");
    for (size_t i = 0; i < length; i++)
        if (key[i] <= ' ' || key[i] > '~')
            luaL_error(L,
                       "api_key: expected printable ASCII without spaces, got another "
                       "character at byte %d of %d",
                       (int)(i + 1), (int)length);
    struct crdb_secret *given = crdb_test_secret(L, -1);
    c->exchange.api_key = given ? crdb_secret_ref(given) : crdb_secret_copy(key, length);
    if (!c->exchange.api_key)
        luaL_error(L, "there is not enough memory");
    /* CCDB1_<id>_<secret>: the first two parts may be shown. */
    const char *id = length > 6 && memcmp(key, "CCDB1_", 6) == 0 ? key + 6 : NULL;
    const char *end = id ? memchr(id, '_', length - 6) : NULL;
    if (end && (size_t)(end - key) < sizeof c->key_id)
        memcpy(c->key_id, key, (size_t)(end - key));
}

static void check_proxy(lua_State *L, const char *proxy, const struct crdb_base_url *base) {
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    bool known = false;
    if (!proxy)
        return;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        known |= strncmp(proxy, schemes[i], strlen(schemes[i])) == 0;
    if (!known)
        luaL_error(L, "proxy: expected a URL that starts with http://, https://, socks5:// or "
                      "socks5h://");
    if (base->loopback_only)
        luaL_error(L, "proxy: plain http to this machine never goes through a proxy");
}

/* nil, message, code */
static int push_failure(lua_State *L, const char *message, const char *code) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

/* What libcurl would only report as a failed handshake. */
static bool readable(const char *path, int mode, struct crdb_failure *f) {
    if (!path || access(path, mode) == 0)
        return true;
    crdb_fail_errno(f, errno, "read the certificate authorities of", path);
    return false;
}

/* core.client(options) -> client | nil, message, code */
static int client_new(lua_State *L) {
    struct crdb_transfer_options o = {0};
    struct crdb_failure f;
    crdb_check_count(L, 1);
    if (!lua_istable(L, 1))
        crdb_raise_type(L, 1, "client", "a table of options");
    crdb_check_fields(L, 1, "client", allowed);
    const char *problem = crdb_curl_global();
    if (problem)
        return push_failure(L, problem, "curl");
    struct crdb_client *c = crdb_new(L, sizeof *c, CRDB_CLIENT_TYPE);
    int client = lua_gettop(L);
    problem = crdb_base_url_parse(&c->base, text(L, "base_url", CRDB_DEFAULT_BASE_URL));
    if (problem)
        return luaL_error(L, "base_url: %s", problem);
    take_key(L, c);
    o.base = &c->base;
    o.api_key = c->exchange.api_key;
    o.vanity_name = text(L, "vanity_name", NULL);
    o.username = text(L, "username", NULL);
    o.api_version = text(L, "api_version", "2024-09-16");
    o.ca_file = text(L, "ca_file", NULL);
    o.ca_path = text(L, "ca_path", NULL);
    o.proxy = text(L, "proxy", NULL);
    check_proxy(L, o.proxy, &c->base);
    const char *agent = text(L, "user_agent", NULL);
    o.user_agent =
        lua_pushfstring(L, "crdbcloud/%s%s%s", CRDB_VERSION, agent ? " " : "", agent ? agent : "");
    o.connect_timeout_ms = crdb_check_timeout(L, 1, "connect_timeout", DEFAULT_CONNECT_MS);
    c->timeout_ms = crdb_check_timeout(L, 1, "timeout", DEFAULT_TIMEOUT_MS);
    c->exchange.response.body.limit = DEFAULT_BODY;
    if (crdb_push_field(L, 1, "max_body") != LUA_TNIL)
        c->exchange.response.body.limit =
            (size_t)crdb_check_integer(L, -1, "max_body", BODY_MIN, BODY_MAX);
    if (!readable(o.ca_file, R_OK, &f) || !readable(o.ca_path, R_OK | X_OK, &f))
        return push_failure(L, f.message, f.code);
    CURLcode rc = crdb_transfer_open(&c->exchange.transfer, &o);
    if (rc != CURLE_OK) {
        crdb_client_release(c);
        return push_failure(L, curl_easy_strerror(rc), "curl");
    }
    c->pid = getpid();
    c->open = true;
    lua_settop(L, client);
    return 1;
}

/* client:close(); again is allowed, and in a child process too */
static int client_close(lua_State *L) {
    struct crdb_client *c = luaL_testudata(L, 1, CRDB_CLIENT_TYPE);
    if (!c)
        return crdb_raise_type(L, 1, "client", "a client as in client:close()");
    crdb_client_release(c);
    return 0;
}

static int client_tostring(lua_State *L) {
    const struct crdb_client *c = luaL_testudata(L, 1, CRDB_CLIENT_TYPE);
    if (!c)
        return crdb_raise_type(L, 1, "client", "a client");
    if (c->open)
        lua_pushfstring(L, "crdbcloud.client %s %s", c->base.text.data,
                        c->key_id[0] ? c->key_id : "(key without an id)");
    else
        lua_pushliteral(L, "crdbcloud.client (closed)");
    return 1;
}

void crdb_open_client(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", client_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", client_close},
                                           {"__close", client_close},
                                           {"__tostring", client_tostring},
                                           {NULL, NULL}};
    crdb_open_held(L);
    crdb_open_type(L, CRDB_CLIENT_TYPE, metamethods, methods);
    luaL_getmetatable(L, CRDB_CLIENT_TYPE);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, crdb_request_methods, 0);
    crdb_add_operations(L);
    lua_pop(L, 2);
}

const luaL_Reg crdb_client_functions[] = {{"client", client_new}, {NULL, NULL}};
