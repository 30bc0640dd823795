/*
 * exchange.h - the way of a call in plain C: request -> transfer -> response -> outcome.
 *
 * The caller fills exchange.request, calls crdb_exchange_run and reads the
 * result, whose texts point into the exchange and hold until the next run. No
 * text in it holds the password of the request or the API key.
 */
#ifndef CRDB_EXCHANGE_H
#define CRDB_EXCHANGE_H

#include "http/outcome.h"
#include "http/transfer.h"

struct crdb_exchange {
    struct crdb_transfer transfer;
    struct crdb_request request;
    struct crdb_response response;
    struct crdb_buffer message, scratch;
    struct crdb_secret *api_key; /* a reference of its own */
};

struct crdb_result {
    struct crdb_outcome outcome;
    CURLcode curl;
    long status;         /* HTTP; 0 for none */
    long code;           /* gRPC; -1 for none */
    const char *message; /* one line; NULL when applied */
    const char *body;    /* NULL for none */
    size_t body_length;
    char content_type[128]; /* of the answer, cut; "" for none */
    const char *http;       /* static: "1.1" or "2"; NULL for none */
    double retry_after;     /* seconds; -1 for none */
    double elapsed;         /* seconds */
    bool sent;              /* something of the request left */
    bool new_connection;
};

/* One exchange within timeout_ms; secrets of the request are wiped afterwards. */
void crdb_exchange_run(struct crdb_exchange *x, long timeout_ms, struct crdb_result *result);

/* Releases everything; again is allowed. in_child: see crdb_transfer_abandon. */
void crdb_exchange_close(struct crdb_exchange *x, bool in_child);

#endif
