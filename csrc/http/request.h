/*
 * request.h - one request of the API: URL and JSON body, built in wiped buffers.
 *
 * The body goes from here to the socket, is never a Lua string, and lies where
 * secrets do while the answer is waited for. A client keeps one struct
 * crdb_request and begins it anew for each call, so that the buffers keep their
 * memory. A failed append marks its buffer; crdb_request_ok is asked once at
 * the end.
 */
#ifndef CRDB_REQUEST_H
#define CRDB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* What a request means to the world; the outcome of an answer depends on it. */
enum crdb_operation {
    CRDB_READ,            /* GET: changes nothing */
    CRDB_CREATE_USER,     /* these three are answered with the user's name */
    CRDB_DELETE_USER,     /* */
    CRDB_UPDATE_PASSWORD, /* */
    CRDB_OTHER_WRITE,     /* any other request */
};

struct crdb_request {
    enum crdb_operation operation;
    const char *method;      /* static */
    struct crdb_buffer url;  /* whole; holds no secret */
    struct crdb_buffer name; /* the user the request is about, folded; empty for none */
    struct crdb_buffer body; /* wiped by crdb_request_forget; empty for none */
    struct crdb_buffer
        quote; /* the password in the body, to be redacted from answers; wiped likewise */
    bool has_query, has_member;
};

/* Starts anew; base is the server's address without a slash at the end. */
void crdb_request_begin(struct crdb_request *r, enum crdb_operation operation, const char *method,
                        const struct crdb_buffer *base);

/* Appends to the path: text as it stands; or one percent-encoded segment. */
void crdb_request_path(struct crdb_request *r, const char *text, size_t length);
void crdb_request_segment(struct crdb_request *r, const void *bytes, size_t length);

/* Appends ?key=value or &key=value, both percent-encoded (dots stay, as in pagination.page). */
void crdb_request_query(struct crdb_request *r, const char *key, size_t key_length,
                        const void *value, size_t length);

/* The JSON body: string members, then the end. */
void crdb_request_member(struct crdb_request *r, const char *key, const void *value, size_t length);
void crdb_request_body_end(struct crdb_request *r);

/* A body that was made elsewhere; the value of a top-level "password" in it is
 * remembered for redaction. */
void crdb_request_raw_body(struct crdb_request *r, const void *bytes, size_t length);

/* What the answer must not quote. */
void crdb_request_quote(struct crdb_request *r, const void *password, size_t length);

/* False when memory ran short somewhere since begin. */
bool crdb_request_ok(const struct crdb_request *r);

/* Wipes what is secret; called as soon as the answer has been worked on. */
void crdb_request_forget(struct crdb_request *r);
void crdb_request_free(struct crdb_request *r);

/* NULL when bytes may stand as one path segment; else what is wrong, as a noun
 * phrase after "got". "." and ".." are wrong: servers resolve them, encoded or not. */
const char *crdb_segment_problem(const char *bytes, size_t length);

/* The same for a path given whole: starts with a slash, already percent-encoded. */
const char *crdb_path_problem(const char *path, size_t length);

#endif
