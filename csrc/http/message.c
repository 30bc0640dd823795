#include "http/message.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

static bool is_unprintable(utf8proc_int32_t c) {
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF: /* among them those that turn the direction of writing */
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return false;
    }
}

void crdb_message_clean(struct crdb_buffer *text) {
    size_t to = 0; /* never ahead of from: nothing grows */
    for (size_t from = 0; from < text->length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((utf8proc_uint8_t *)text->data + from,
                                              (utf8proc_ssize_t)(text->length - from), &c);
        size_t used = n > 0 ? (size_t)n : 1, kept = used;
        if (n <= 0 || is_unprintable(c)) {
            text->data[to] = n <= 0 ? '?' : ' ';
            kept = 1;
        } else {
            memmove(text->data + to, text->data + from, used);
        }
        if (to + kept > CRDB_MESSAGE_MAX - 3) {
            memcpy(text->data + to, "...", 3);
            to += 3;
            break;
        }
        to += kept;
        from += used;
    }
    if (text->data) {
        text->length = to;
        text->data[to] = '\0';
    }
}

static const char *status_text(long status) {
    static const struct {
        long status;
        const char *text;
    } names[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].status == status)
            return names[i].text;
    return "";
}

/* What is wrong with the answer beyond its status, or "". */
static const char *remark(const struct crdb_evidence *e, const struct crdb_outcome *o) {
    bool is = !e->body_empty;
    if (o->reason && strcmp(o->reason, "redirect") == 0)
        return " (a redirect; none is followed, check the server's address)";
    if (is && e->content == CRDB_CONTENT_HTML)
        return " (an HTML page from a gateway, not the API)";
    if (is && e->content != CRDB_CONTENT_JSON)
        return " (the answer is not of type application/json: not the API)";
    if (is && !e->body_whole)
        return " (the JSON in the answer is cut or broken)";
    if (o->reason && strcmp(o->reason, "wrong_name") == 0)
        return " (the answer names another user)";
    if (o->reason && strcmp(o->reason, "broken_body") == 0)
        return is ? " (the answer names no user)" : " (the answer is empty)";
    return "";
}

static const char *transport_text(const struct crdb_evidence *e, const char *transport) {
    if (e->stream_refused)
        return "the server refused the request before processing it";
    return e->repeat_refused ? "the server closed a kept connection without an answer" : transport;
}

void crdb_message_explain(struct crdb_buffer *text, const struct crdb_evidence *e,
                          const struct crdb_outcome *o, const char *transport) {
    crdb_buffer_reset(text);
    if (e->curl != CURLE_OK) {
        crdb_buffer_text(text, transport_text(e, transport));
    } else {
        char status[32];
        const char *name = status_text(e->status);
        snprintf(status, sizeof status, "%ld%s", e->status, *name ? " " : "");
        crdb_buffer_text(text, status);
        crdb_buffer_text(text, name);
        crdb_buffer_text(text, remark(e, o));
    }
    crdb_message_clean(text);
}
