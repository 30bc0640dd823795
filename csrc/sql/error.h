/*
 * error.h - what went wrong on a SQL connection, in words that may be shown.
 *
 * Messages of a server may quote a statement or its values, and a statement
 * that sets a password holds it. So only the primary message and, for a few
 * SQLSTATEs, the detail are kept; a secret that was given as a parameter is
 * blotted out; of a statement that sets a password even the primary message is
 * kept only where the SQLSTATE says that it names objects, not values.
 *
 * Plain values: nothing here owns memory.
 */
#ifndef CRDB_PQ_ERROR_H
#define CRDB_PQ_ERROR_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

enum crdb_pq_reason {
    CRDB_PQ_OK,
    CRDB_PQ_SERVER,  /* the server answered with an error; sqlstate is set */
    CRDB_PQ_NETWORK, /* no connection, or it was lost */
    CRDB_PQ_TLS,     /* certificate or handshake */
    CRDB_PQ_TIMEOUT, /* the deadline passed */
    CRDB_PQ_OPTION,  /* a connection option is unknown or has a bad value */
    CRDB_PQ_MEMORY,
    CRDB_PQ_PROTOCOL, /* an answer that this library does not take, such as COPY */
};

struct crdb_pq_error {
    enum crdb_pq_reason reason;
    char sqlstate[6]; /* "" when the server did not say */
    char message[768], detail[768];
    bool sent; /* the statement may have reached the server */
};

/* Bytes that must not appear in a message. */
struct crdb_pq_hidden {
    const char *bytes;
    size_t length;
};

/* The word for a reason: "server", "network", "tls", "timeout", "option", "memory", "protocol". */
const char *crdb_pq_reason_word(enum crdb_pq_reason reason);

/* Fills error with a message of our own. */
void crdb_pq_error_set(struct crdb_pq_error *error, enum crdb_pq_reason reason,
                       const char *message);

/* Reads libpq's text about a failed connection, made with PQERRORS_VERBOSE, and blots out hidden. */
void crdb_pq_error_of_connection(struct crdb_pq_error *error, const char *text,
                                 const struct crdb_pq_hidden *hidden, size_t count);

/* Reads the error of a result. sets_password: see crdb_pq_sets_password. */
void crdb_pq_error_of_result(struct crdb_pq_error *error, const PGresult *result,
                             bool sets_password, const struct crdb_pq_hidden *hidden, size_t count);

/* True when the statement has the word PASSWORD in it, in any case. */
bool crdb_pq_sets_password(const char *statement);

#endif
