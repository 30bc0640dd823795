#include "lua/client.h"

#include <string.h>
#include <unistd.h>

#include "base/names.h"
#include "lua/check.h"
#include "lua/result.h"
#include "lua/secret.h"

void crdb_client_release(struct crdb_client *c) {
    bool in_child = c->open && c->pid != getpid();
    c->open = false;
    crdb_exchange_close(&c->exchange, in_child);
    crdb_base_url_free(&c->base);
}

struct crdb_client *crdb_check_client(lua_State *L, int idx) {
    struct crdb_client *c = luaL_testudata(L, idx, CRDB_CLIENT_TYPE);
    if (!c)
        crdb_raise_type(L, idx, "client", "a client as in client:method(...)");
    else if (!c->open)
        luaL_error(L, "client is closed");
    else if (c->pid != getpid())
        luaL_error(L, "client was made before a fork; make it again in this process");
    return c;
}

unsigned long crdb_client_begin(struct crdb_client *c, enum crdb_operation operation,
                                const char *method) {
    crdb_request_begin(&c->exchange.request, operation, method, &c->base.text);
    return ++c->calls;
}

void crdb_client_check_call(lua_State *L, const struct crdb_client *c, unsigned long number) {
    if (!c->open)
        luaL_error(L, "client is closed: a finaliser closed it while a call was being prepared");
    if (c->calls != number)
        luaL_error(L, "client is busy: a finaliser made a call while another was being prepared");
}

/* ---- The operations of the API ---- */

enum field_type { TEXT, COUNT, FLAG };

/* An option of a call and its name in the query. */
struct field {
    const char *option, *wire;
    enum field_type type;
};

static const struct field page_fields[] = {{"page", "pagination.page", TEXT},
                                           {"limit", "pagination.limit", COUNT},
                                           {"as_of_time", "pagination.as_of_time", TEXT},
                                           {"sort_order", "pagination.sort_order", TEXT},
                                           {NULL, NULL, TEXT}};
static const struct field cluster_fields[] = {{"page", "pagination.page", TEXT},
                                              {"limit", "pagination.limit", COUNT},
                                              {"as_of_time", "pagination.as_of_time", TEXT},
                                              {"sort_order", "pagination.sort_order", TEXT},
                                              {"sort_by", "pagination.sort_by", TEXT},
                                              {"show_inactive", "show_inactive", FLAG},
                                              {NULL, NULL, TEXT}};
static const struct field connection_fields[] = {{"database", "database", TEXT},
                                                 {"sql_user", "sql_user", TEXT},
                                                 {"os", "os", TEXT},
                                                 {NULL, NULL, TEXT}};
static const struct field audit_fields[] = {{"starting_from", "starting_from", TEXT},
                                            {"sort_order", "sort_order", TEXT},
                                            {"limit", "limit", COUNT},
                                            {NULL, NULL, TEXT}};
static const struct field no_fields[] = {{NULL, NULL, TEXT}};

enum { FIELDS_MAX = 8 };

/* The arguments of a call are the parts in braces of its path, then the members of its body, then
 * options. */
static const struct endpoint {
    const char *name;
    enum crdb_operation operation;
    const char *method, *path;
    const struct field *fields;
} endpoints[] = {
    {"list_sql_users", CRDB_READ, "GET", "/api/v1/clusters/{cluster_id}/sql-users", page_fields},
    {"create_sql_user", CRDB_CREATE_USER, "POST", "/api/v1/clusters/{cluster_id}/sql-users",
     no_fields},
    {"delete_sql_user", CRDB_DELETE_USER, "DELETE",
     "/api/v1/clusters/{cluster_id}/sql-users/{name}", no_fields},
    {"update_sql_user_password", CRDB_UPDATE_PASSWORD, "PUT",
     "/api/v1/clusters/{cluster_id}/sql-users/{name}/password", no_fields},
    {"list_clusters", CRDB_READ, "GET", "/api/v1/clusters", cluster_fields},
    {"get_cluster", CRDB_READ, "GET", "/api/v1/clusters/{cluster_id}", no_fields},
    {"get_connection_string", CRDB_READ, "GET", "/api/v1/clusters/{cluster_id}/connection-string",
     connection_fields},
    {"list_databases", CRDB_READ, "GET", "/api/v1/clusters/{cluster_id}/databases", page_fields},
    {"list_audit_logs", CRDB_READ, "GET", "/api/v1/auditlogevents", audit_fields},
};

static const char *check_segment(lua_State *L, int idx, const char *what, size_t *length) {
    const char *value = crdb_check_string(L, idx, what, length);
    const char *problem = crdb_segment_problem(value, *length);
    if (problem)
        luaL_error(L, "%s: expected a %s, got %s", what,
                   strcmp(what, "name") == 0 ? "user name" : "cluster id", problem);
    return value;
}

static void check_password(lua_State *L, int idx, const char **password, size_t *length) {
    *password = crdb_check_bytes(L, idx, "password", length);
    if (*length == 0)
        luaL_error(L, "password: expected a password, got an empty one");
    /* A server would replace what is not UTF-8, and set another password than the one kept. */
    if (!crdb_is_utf8(*password, *length))
        luaL_error(L, "password: expected UTF-8");
}

static void add_field(lua_State *L, struct crdb_request *r, int options, const struct field *f) {
    size_t length;
    const char *value;
    if (crdb_push_field(L, options, f->option) != LUA_TNIL) {
        switch (f->type) {
        case COUNT:
            crdb_check_integer(L, -1, f->option, 1, INT32_MAX);
            value = lua_pushfstring(L, "%d", (int)lua_tonumber(L, -1));
            lua_replace(L, -2);
            length = strlen(value);
            break;
        case FLAG:
            if (!lua_isboolean(L, -1))
                crdb_raise_type(L, -1, f->option, "true or false");
            value = lua_toboolean(L, -1) ? "true" : "false";
            length = strlen(value);
            break;
        default:
            value = crdb_check_line(L, -1, f->option, &length);
        }
        crdb_request_query(r, f->wire, strlen(f->wire), value, length);
    }
    lua_pop(L, 1);
}

static void check_options(lua_State *L, int idx, const struct endpoint *e) {
    const char *allowed[FIELDS_MAX] = {NULL};
    size_t n = 0;
    for (const struct field *f = e->fields; f->option; f++)
        allowed[n++] = f->option;
    allowed[n] = "timeout";
    crdb_check_fields(L, idx, e->name, allowed);
}

/* Fills in the path and leaves idx behind its arguments; a name is needed for the answer too. */
static void fill_path(lua_State *L, struct crdb_request *r, const char *path, int *idx) {
    const char *brace;
    while ((brace = strchr(path, '{')) != NULL) {
        const char *what = brace[1] == 'n' ? "name" : "cluster_id";
        size_t length;
        const char *value = check_segment(L, *idx, what, &length);
        crdb_request_path(r, path, (size_t)(brace - path));
        crdb_request_segment(r, value, length);
        if (brace[1] == 'n')
            crdb_buffer_append(&r->name, value, length);
        path = strchr(brace, '}') + 1;
        ++*idx;
    }
    crdb_request_path(r, path, strlen(path));
}

/* The arguments behind those of the path: how many the body takes. */
static int body_arguments(enum crdb_operation operation) {
    return operation == CRDB_CREATE_USER ? 2 : (operation == CRDB_UPDATE_PASSWORD ? 1 : 0);
}

/* Raises for what fill_body would raise for, while the message can still say which argument is
 * missing. */
static void check_body(lua_State *L, enum crdb_operation operation, int idx) {
    const char *password;
    size_t length;
    if (operation == CRDB_CREATE_USER)
        check_segment(L, idx++, "name", &length);
    if (body_arguments(operation) > 0)
        check_password(L, idx, &password, &length);
}

static void fill_body(lua_State *L, struct crdb_request *r, int idx) {
    const char *password;
    size_t length;
    if (body_arguments(r->operation) == 0)
        return;
    if (r->operation == CRDB_CREATE_USER) {
        const char *name = check_segment(L, idx++, "name", &length);
        crdb_buffer_append(&r->name, name, length);
        crdb_request_member(r, "name", name, length);
    }
    check_password(L, idx, &password, &length);
    crdb_request_member(r, "password", password, length);
    crdb_request_body_end(r);
    crdb_request_quote(r, password, length);
}

/* client:<operation>([cluster_id], [name], [password], [options]) -> result; which one is upvalue 1 */
static int call(lua_State *L) {
    const struct endpoint *e = &endpoints[lua_tointeger(L, lua_upvalueindex(1))];
    struct crdb_client *c = crdb_check_client(L, 1);
    struct crdb_request *r = &c->exchange.request;
    struct crdb_result result;
    int idx = 2;
    struct crdb_held *held;
    unsigned long number = crdb_client_begin(c, e->operation, e->method);
    fill_path(L, r, e->path, &idx);
    int options = idx + body_arguments(e->operation);
    crdb_check_count(L, options);
    check_options(L, options, e);
    for (const struct field *f = e->fields; f->option; f++)
        add_field(L, r, options, f);
    long timeout_ms = crdb_check_timeout(L, options, "timeout", c->timeout_ms);
    check_body(L, e->operation, idx);
    lua_settop(L, options);
    held = crdb_push_held(L);
    crdb_client_check_call(L, c, number);
    fill_body(L, r, idx); /* last: nothing that is secret waits for another check */
    crdb_exchange_run(&c->exchange, timeout_ms, &result);
    crdb_push_result(L, held, &c->exchange, &result);
    return 1;
}

void crdb_add_operations(lua_State *L) {
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, call, 1);
        lua_setfield(L, -2, endpoints[i].name);
    }
}
