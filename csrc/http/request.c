#include "http/request.h"

#include <string.h>
#include <utf8proc.h>

#include "base/json_scan.h"

void crdb_request_begin(struct crdb_request *r, enum crdb_operation operation, const char *method,
                        const struct crdb_buffer *base) {
    crdb_buffer_reset(&r->url);
    crdb_buffer_reset(&r->name);
    crdb_request_forget(r);
    r->body.guarded = r->quote.guarded = true;
    r->operation = operation;
    r->method = method;
    r->has_query = r->has_member = false;
    crdb_buffer_append(&r->url, base->data, base->length);
}

void crdb_request_path(struct crdb_request *r, const char *text, size_t length) {
    crdb_buffer_append(&r->url, text, length);
}

void crdb_request_segment(struct crdb_request *r, const void *bytes, size_t length) {
    crdb_buffer_uri(&r->url, bytes, length);
}

void crdb_request_query(struct crdb_request *r, const char *key, size_t key_length,
                        const void *value, size_t length) {
    crdb_buffer_append(&r->url, r->has_query ? "&" : "?", 1);
    crdb_buffer_uri(&r->url, key, key_length);
    crdb_buffer_append(&r->url, "=", 1);
    crdb_buffer_uri(&r->url, value, length);
    r->has_query = true;
}

void crdb_request_member(struct crdb_request *r, const char *key, const void *value,
                         size_t length) {
    crdb_buffer_text(&r->body, r->has_member ? ",\"" : "{\"");
    crdb_buffer_text(&r->body, key);
    crdb_buffer_text(&r->body, "\":\"");
    crdb_buffer_json(&r->body, value, length);
    crdb_buffer_text(&r->body, "\"");
    r->has_member = true;
}

void crdb_request_body_end(struct crdb_request *r) {
    crdb_buffer_text(&r->body, "}\n");
}

static void quote_password(void *context, const struct crdb_json_member *member) {
    struct crdb_request *r = context;
    if (!member->is_string || !crdb_json_key_is(member, "password"))
        return;
    crdb_buffer_reset(&r->quote);
    crdb_json_decode(member->value, member->value_length, &r->quote);
}

void crdb_request_raw_body(struct crdb_request *r, const void *bytes, size_t length) {
    if (crdb_buffer_append(&r->body, bytes, length))
        crdb_json_scan(r->body.data, length, quote_password, r);
}

void crdb_request_quote(struct crdb_request *r, const void *password, size_t length) {
    crdb_buffer_append(&r->quote, password, length);
}

bool crdb_request_ok(const struct crdb_request *r) {
    return !r->url.failed && !r->name.failed && !r->body.failed && !r->quote.failed;
}

void crdb_request_forget(struct crdb_request *r) {
    crdb_buffer_reset(&r->body);
    crdb_buffer_reset(&r->quote);
}

void crdb_request_free(struct crdb_request *r) {
    crdb_buffer_free(&r->url);
    crdb_buffer_free(&r->name);
    crdb_buffer_free(&r->body);
    crdb_buffer_free(&r->quote);
}

const char *crdb_segment_problem(const char *bytes, size_t length) {
    if (length == 0)
        return "an empty one";
    if (bytes[0] == '.' && (length == 1 || (length == 2 && bytes[1] == '.')))
        return "one that means a directory";
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)bytes + i,
                                              (utf8proc_ssize_t)(length - i), &c);
        if (n <= 0)
            return "one that is not UTF-8";
        if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            return "one with a control character in it";
        i += (size_t)n;
    }
    return NULL;
}

const char *crdb_path_problem(const char *path, size_t length) {
    if (length == 0 || path[0] != '/')
        return "one that does not start with a slash";
    size_t segment = 1; /* where the current one starts */
    for (size_t i = 1; i <= length; i++) {
        if (i == length || path[i] == '/') {
            size_t n = i - segment;
            if (path[segment] == '.' && (n == 1 || (n == 2 && path[segment + 1] == '.')))
                return "one with a '.' or '..' segment";
            segment = i + 1;
        } else if (path[i] == '?' || path[i] == '#') {
            return "one with a query or fragment (give the query as a table)";
        } else if (path[i] <= ' ' || path[i] > '~') {
            return "one with characters that need percent-encoding";
        }
    }
    return NULL;
}
