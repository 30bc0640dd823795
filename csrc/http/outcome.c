#include "http/outcome.h"

#include <stddef.h>
#include <string.h>

/* gRPC codes that change the meaning of a status. */
enum { RESOURCE_EXHAUSTED = 8, FAILED_PRECONDITION = 9, ABORTED = 10, ALREADY_EXISTS = 6 };

static struct crdb_outcome make(const char *outcome, const char *kind, const char *reason) {
    return (struct crdb_outcome){.outcome = outcome, .kind = kind, .reason = reason};
}

/* ---- Texts. Compared in lower case, as parts of the message. ----
 *
 * The service gives no finer codes, so these few meanings hang on words. The
 * documented or reported wordings stand first, likely variations after them. */
enum meaning { MUST_DIFFER, FROM_NAME, PASSWORD_REFUSED, LOCKED, EXISTS, RATE_LIMITED, IN_USE };

static const struct {
    enum meaning meaning;
    const char *text;
} texts[] = {
    {MUST_DIFFER, "must differ"},
    {MUST_DIFFER, "must be different"},
    {MUST_DIFFER, "different from the current"},
    {MUST_DIFFER, "same as the current"},
    {MUST_DIFFER, "same as the old"},
    {MUST_DIFFER, "same as the previous"},
    {MUST_DIFFER, "cannot be the same"},
    /* A rule about the user's name says nothing about the password in force. */
    {FROM_NAME, "username"},
    {FROM_NAME, "user name"},
    {PASSWORD_REFUSED, "password"},
    {LOCKED, "lock"}, /* "cluster lock is held" */
    {EXISTS, "already exists"},
    {RATE_LIMITED, "rate limit exceeded"},
    {IN_USE, "cannot drop role"},
    {IN_USE, "grants still exist"},
    {IN_USE, "depend on it"},
    {IN_USE, "owns objects"},
};

static bool says(const struct crdb_evidence *e, enum meaning meaning) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].meaning == meaning && strstr(e->message, texts[i].text))
            return true;
    return false;
}

/* ---- No answer. ---- */

/* Of a code that libcurl gives: what it is called before anything left, and after. */
static const struct {
    CURLcode curl;
    const char *kind, *reason;
} transport[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "network", "resolve"},
    {CURLE_COULDNT_RESOLVE_PROXY, "network", "proxy"},
    {CURLE_PROXY, "network", "proxy"},
    {CURLE_COULDNT_CONNECT, "network", "connect"},
    {CURLE_OPERATION_TIMEDOUT, "timeout", "timeout"},
    {CURLE_SSL_CONNECT_ERROR, "tls", "tls"},
    {CURLE_PEER_FAILED_VERIFICATION, "tls", "tls"},
    {CURLE_SSL_CERTPROBLEM, "tls", "tls"},
    {CURLE_SSL_CIPHER, "tls", "tls"},
    {CURLE_SSL_CACERT_BADFILE, "tls", "tls"},
    {CURLE_SSL_ISSUER_ERROR, "tls", "tls"},
    {CURLE_SSL_CRL_BADFILE, "tls", "tls"},
    {CURLE_SSL_ENGINE_NOTFOUND, "tls", "tls"},
    {CURLE_SSL_ENGINE_SETFAILED, "tls", "tls"},
    {CURLE_SSL_ENGINE_INITFAILED, "tls", "tls"},
    {CURLE_SSL_INVALIDCERTSTATUS, "tls", "tls"},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, "tls", "tls"},
    {CURLE_SSL_CLIENTCERT, "tls", "tls"},
    {CURLE_SSL_SHUTDOWN_FAILED, "network", "reset"},
    {CURLE_GOT_NOTHING, "network", "empty_reply"},
    {CURLE_PARTIAL_FILE, "network", "partial_body"},
    {CURLE_SEND_ERROR, "network", "send_error"},
    {CURLE_RECV_ERROR, "network", "reset"},
    {CURLE_HTTP2, "network", "http2"},
    {CURLE_HTTP2_STREAM, "network", "http2"},
    {CURLE_SEND_FAIL_REWIND, "network", "cannot_rewind"},
    {CURLE_UNSUPPORTED_PROTOCOL, "protocol", "other"}, /* no HTTP, or HTTP/0.9 */
    {CURLE_WEIRD_SERVER_REPLY, "protocol", "other"},
    {CURLE_WRITE_ERROR, "protocol", "other"},
};

static struct crdb_outcome without_answer(const struct crdb_evidence *e) {
    bool nothing_left = e->begun == 0 && e->pretransfer_us == 0 && e->request_size == 0;
    const char *outcome = nothing_left ? "not_sent" : "unknown";
    if (e->too_large)
        return make(outcome, "protocol", "too_large");
    if (e->stream_refused)
        return make("not_sent", "network", "refused_stream");
    if (e->repeat_refused)
        return make(outcome, "network", "empty_reply");
    if (e->proxy && nothing_left)
        return make(outcome, "network", "proxy");
    for (size_t i = 0; i < sizeof transport / sizeof *transport; i++)
        if (transport[i].curl == e->curl)
            return make(outcome, transport[i].kind, transport[i].reason);
    return make(outcome, "network", "other");
}

/* ---- Answers. ---- */

static struct crdb_outcome success(const struct crdb_evidence *e) {
    bool names_user = e->operation == CRDB_CREATE_USER || e->operation == CRDB_DELETE_USER ||
                      e->operation == CRDB_UPDATE_PASSWORD;
    if (e->body_empty && e->operation == CRDB_OTHER_WRITE)
        return make("applied", NULL, NULL);
    if (!e->body_empty && e->content == CRDB_CONTENT_HTML)
        return make("unknown", "protocol", "html");
    if (!e->body_empty && e->content != CRDB_CONTENT_JSON)
        return make("unknown", "protocol", "bad_content_type");
    if (!e->body_whole || (names_user && !e->has_name))
        return make("unknown", "protocol", "broken_body");
    if (names_user && !e->name_matches)
        return make("unknown", "protocol", "wrong_name");
    return make("applied", NULL, NULL);
}

/* Statuses whose meaning does not hang on the body. */
static struct crdb_outcome by_status(const struct crdb_evidence *e) {
    switch (e->status) {
    case 401:
        return make("rejected", "unauthenticated", "unauthenticated");
    case 403:
        return make("rejected", "permission_denied", "permission_denied");
    case 404:
        /* A gateway's page speaks of a path, not of a user or cluster. */
        if (e->content == CRDB_CONTENT_HTML && !e->body_empty)
            return make("rejected", "protocol", "html");
        return make("rejected", "not_found", "not_found");
    case 408:
        return make("unknown", "timeout", "timeout");
    case 425:
    case 502:
    case 503:
        return make("unknown", "unavailable", "server");
    case 504:
        return make("unknown", "timeout", "server");
    default:
        if (e->status >= 500)
            return make("unknown", "server", "server");
        return make("rejected", "invalid_argument", "invalid_argument");
    }
}

static struct crdb_outcome refusal(const struct crdb_evidence *e) {
    bool has_password = e->operation == CRDB_CREATE_USER || e->operation == CRDB_UPDATE_PASSWORD;
    if (e->operation == CRDB_UPDATE_PASSWORD && says(e, MUST_DIFFER) && !says(e, FROM_NAME))
        return make("rejected", "invalid_argument", "must_differ");
    if (has_password && (e->status == 400 || e->status == 422) && says(e, PASSWORD_REFUSED))
        return make("rejected", "invalid_argument", "password_refused");
    if (e->status == 401 || e->status == 403 || e->status == 404)
        return by_status(e);
    if (e->code == ALREADY_EXISTS || (e->status == 409 && says(e, EXISTS)))
        return make("rejected", "already_exists", "already_exists");
    if (e->operation == CRDB_DELETE_USER && says(e, IN_USE))
        return make("rejected", "conflict", "conflict");
    if (e->status == 409 && (e->code == ABORTED || says(e, LOCKED)))
        return make("rejected", "conflict", "locked");
    if (e->status == 400 && e->code == FAILED_PRECONDITION)
        return make("rejected", "unavailable", "not_ready");
    if (e->status == 409 || e->status == 412)
        return make("rejected", "conflict", "conflict");
    return by_status(e);
}

struct crdb_outcome crdb_outcome_decide(const struct crdb_evidence *e) {
    if (e->curl != CURLE_OK)
        return without_answer(e);
    if (e->status >= 200 && e->status < 300)
        return success(e);
    if (e->status == 429 || e->code == RESOURCE_EXHAUSTED)
        return make("not_sent", "rate_limited", "rate_limited");
    if (e->status >= 300 && e->status < 400)
        return make("rejected", "protocol", "redirect");
    if (e->status >= 500) {
        struct crdb_outcome o = by_status(e);
        return says(e, RATE_LIMITED) ? make(o.outcome, "rate_limited", "rate_limited") : o;
    }
    if (e->status == 408 || e->status == 425)
        return by_status(e);
    if (e->status >= 400)
        return says(e, RATE_LIMITED) ? make("not_sent", "rate_limited", "rate_limited")
                                     : refusal(e);
    return make("unknown", "protocol", "other"); /* no final status */
}
