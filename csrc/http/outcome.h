/*
 * outcome.h - THE table: what one exchange means for the world.
 *
 * A pure function. Its input is everything that was observed, its output what
 * may be concluded: a change was made (applied), was refused (rejected), never
 * reached the service or was turned away before anything was done (not_sent),
 * or nobody can tell (unknown). When in doubt the answer is unknown: taking an
 * applied change for a failed one loses a password.
 */
#ifndef CRDB_OUTCOME_H
#define CRDB_OUTCOME_H

#include <curl/curl.h>
#include <stdbool.h>

#include "http/request.h"
#include "http/response.h"

struct crdb_evidence {
    enum crdb_operation operation;
    CURLcode curl;

    /* Did anything leave? Requests started on a connection; time until the
     * first of them in microseconds; bytes of requests sent, those to a proxy
     * not counted. All zero: nothing did. */
    unsigned begun;
    long long pretransfer_us, request_size;

    bool repeat_refused; /* a kept connection died, and transfer.c did not repeat the write */
    bool stream_refused; /* the server turned it away unprocessed (HTTP/2) */
    bool proxy;          /* the failure is the proxy's */
    bool too_large;      /* the answer was broken off by one of our caps */

    /* The answer; meaningful when curl is CURLE_OK. */
    long status;               /* HTTP */
    enum crdb_content content; /* of a body that is not empty */
    bool body_empty;
    bool body_whole;     /* one whole JSON document */
    long code;           /* gRPC code in the body, -1 for none */
    const char *message; /* its message in lower case, "" for none */
    bool has_name;       /* the body has a name */
    bool name_matches;   /* and it is the user's */
};

/* Each text is static. */
struct crdb_outcome {
    const char *outcome; /* applied, rejected, not_sent, unknown */
    const char *kind;    /* as an error's kind; NULL when applied */
    const char *reason;  /* finer; NULL when applied */
};

struct crdb_outcome crdb_outcome_decide(const struct crdb_evidence *e);

#endif
