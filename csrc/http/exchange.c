#include "http/exchange.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json_scan.h"
#include "http/answer.h"
#include "http/message.h"
#include "http/recent.h"
#include "http/redact.h"

/* ---- Keeping secrets out of it ---- */

typedef bool redactor(struct crdb_buffer *text, const void *secret, size_t length);

/* False: no memory; text is empty then. */
static bool redact(const struct crdb_exchange *x, bool json, struct crdb_buffer *text) {
    const struct crdb_buffer *quote = &x->request.quote;
    redactor *clean = json ? crdb_redact_json : crdb_redact;
    return clean(text, quote->data, quote->length) &&
           clean(text, crdb_secret_bytes(x->api_key), crdb_secret_length(x->api_key)) &&
           crdb_recent_redact(text, json);
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

/* Whole words only: a user called "e" must not make "must differ" unreadable. */
static void blot_word(struct crdb_buffer *text, const struct crdb_buffer *word) {
    size_t n = word->length;
    for (size_t i = 0; n > 0 && i + n <= text->length; i++)
        if (memcmp(text->data + i, word->data, n) == 0 && (i == 0 || !is_word(text->data[i - 1])) &&
            !is_word(text->data[i + n]))
            memset(text->data + i, '?', n);
}

/* The message in lower case for the table of texts, without the user's name: a user
 * called "password_service" does not make an answer speak of the password. */
static const char *recognisable(struct crdb_exchange *x, const struct crdb_buffer *text) {
    crdb_buffer_reset(&x->scratch);
    if (!crdb_buffer_append(&x->scratch, text->data, text->length))
        return "";
    for (char *c = x->scratch.data; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    blot_word(&x->scratch, &x->request.name);
    return x->scratch.data;
}

/* ---- Putting it together ---- */

/* A body that is not whole may end in the middle of a quoted password, where no
 * search finds it; such a one is given only when there was no password. */
static void keep_body(struct crdb_exchange *x, const struct crdb_evidence *e,
                      struct crdb_result *result) {
    if (e->curl != CURLE_OK || e->body_empty || (!e->body_whole && x->request.quote.length > 0))
        return;
    if (!redact(x, e->body_whole, &x->response.body))
        return;
    result->body = x->response.body.data;
    result->body_length = x->response.body.length;
}

/* Copied, because libcurl's goes with its handle; and as a header may quote a request, too, cleaned. */
static void keep_content_type(struct crdb_exchange *x, const char *type,
                              struct crdb_result *result) {
    crdb_buffer_reset(&x->scratch);
    if (!type || !crdb_buffer_text(&x->scratch, type) || !redact(x, false, &x->scratch))
        return;
    crdb_message_clean(&x->scratch);
    snprintf(result->content_type, sizeof result->content_type, "%s", x->scratch.data);
}

static const char *transport_text(const struct crdb_exchange *x, CURLcode curl, char *text,
                                  size_t size) {
    const struct crdb_buffer *body = &x->response.body;
    if (x->response.headers_too_large) {
        snprintf(text, size, "the headers of the answer are larger than %d bytes",
                 CRDB_HEADERS_MAX);
        return text;
    }
    if (body->over_limit) {
        snprintf(text, size, "the answer is larger than %zu bytes (max_body)", body->limit);
        return text;
    }
    if (body->failed || x->response.retry_after.failed)
        return "there is not enough memory for the answer";
    return x->transfer.error[0] ? x->transfer.error : curl_easy_strerror(curl);
}

static struct crdb_evidence observe(struct crdb_exchange *x, const struct crdb_transfer_facts *f) {
    const struct crdb_buffer *body = &x->response.body;
    bool via_proxy = f->proxy_status != 0 || f->curl == CURLE_PROXY;
    struct crdb_evidence e = {
        .operation = x->request.operation,
        .curl = f->curl,
        .begun = f->begun,
        .pretransfer_us = f->pretransfer_us,
        .request_size = via_proxy && f->begun == 0 ? 0 : f->request_size,
        .repeat_refused = f->repeat_refused,
        .stream_refused = f->stream_refused,
        .proxy = via_proxy && (f->curl == CURLE_PROXY || f->proxy_status >= 300),
        .too_large = x->response.headers_too_large || body->over_limit,
        .status = f->status,
        .content = crdb_content_type(f->content_type),
        .body_empty = body->length == 0,
        .code = -1,
        .message = "",
    };
    if (f->curl != CURLE_OK || e.body_empty || e.content == CRDB_CONTENT_HTML)
        return e;
    bool success = f->status >= 200 && f->status < 300;
    if (success && x->request.name.length == 0) { /* a page of a list: only, is it whole? */
        e.body_whole = crdb_json_scan(body->data, body->length, NULL, NULL) != CRDB_JSON_BROKEN;
        return e;
    }
    struct crdb_answer a = crdb_answer_read(body, &x->request.name, &x->message);
    e.body_whole = a.whole;
    e.has_name = a.has_name;
    e.name_matches = a.name_matches;
    e.code = a.code;
    if (!success && x->message.length > 0 && redact(x, false, &x->message)) {
        crdb_message_clean(&x->message);
        e.message = recognisable(x, &x->message);
    }
    return e;
}

void crdb_exchange_run(struct crdb_exchange *x, long timeout_ms, struct crdb_result *result) {
    struct crdb_transfer_facts f;
    char text[128];
    memset(result, 0, sizeof *result);
    crdb_buffer_reset(&x->message);
    crdb_recent_note(x->request.quote.data, x->request.quote.length);
    if (crdb_request_ok(&x->request))
        crdb_transfer_perform(&x->transfer, &x->request, &x->response, timeout_ms, &f);
    else
        crdb_transfer_refuse(&x->transfer, &x->response, CURLE_OUT_OF_MEMORY, &f);
    struct crdb_evidence e = observe(x, &f);
    result->outcome = crdb_outcome_decide(&e);
    if (result->outcome.kind) {
        if (!*e.message) {
            crdb_message_explain(&x->message, &e, &result->outcome,
                                 transport_text(x, f.curl, text, sizeof text));
            redact(x, false, &x->message);
        }
        result->message = x->message.length ? x->message.data : "there is not enough memory";
    }
    keep_body(x, &e, result);
    keep_content_type(x, f.content_type, result);
    crdb_request_forget(&x->request);
    result->curl = f.curl;
    result->status = f.status;
    result->code = e.code;
    result->http = f.http_version == CURL_HTTP_VERSION_2_0   ? "2"
                   : f.http_version == CURL_HTTP_VERSION_1_1 ? "1.1"
                   : f.http_version == CURL_HTTP_VERSION_1_0 ? "1.0"
                                                             : NULL;
    const struct crdb_buffer *wait = &x->response.retry_after;
    result->retry_after = wait->length ? crdb_retry_after(wait->data, time(NULL)) : -1;
    result->elapsed = (double)f.total_us / 1e6;
    result->sent = e.begun > 0 || e.pretransfer_us > 0 || e.request_size > 0;
    result->new_connection = f.connects > 0;
}

void crdb_exchange_close(struct crdb_exchange *x, bool in_child) {
    if (in_child)
        crdb_transfer_abandon(&x->transfer);
    else
        crdb_transfer_close(&x->transfer);
    crdb_request_free(&x->request);
    crdb_response_free(&x->response);
    crdb_buffer_free(&x->message);
    crdb_buffer_free(&x->scratch);
    crdb_secret_release(x->api_key);
    x->api_key = NULL;
}
