/*
 * session.h - one SQL connection on libpq; every wait has a deadline.
 *
 * Connecting and each statement are done with libpq's non-blocking calls and
 * poll(2) under one deadline of the monotonic clock. What the deadline does not
 * cover is the look-up of a host name: libpq asks the system's resolver, which
 * has its own limits (resolv.conf).
 *
 * Ownership: crdb_pq_connect gives one session, crdb_pq_close takes it. A
 * session belongs to one thread at a time and to the process that made it. The
 * strings and secrets given to a call are borrowed for that call. libpq's own
 * buffers hold parameters and rows for a while and are not wiped by it.
 */
#ifndef CRDB_PQ_SESSION_H
#define CRDB_PQ_SESSION_H

#include "sql/error.h"
#include "sql/params.h"

struct crdb_pq;

/* One statement of the extended protocol, so exactly one command. values[i] is NULL for NULL, else
 * NUL-terminated text. */
struct crdb_pq_statement {
    const char *text;
    int count;
    const char *const *values;
    const struct crdb_pq_hidden *hidden; /* secrets among the values */
    size_t hidden_count;
};

/* Connects within timeout seconds; hidden is kept out of messages. NULL and error on failure. */
struct crdb_pq *crdb_pq_connect(const struct crdb_pq_params *params, double timeout,
                                const struct crdb_pq_hidden *hidden, size_t hidden_count,
                                struct crdb_pq_error *error);

/* Runs the statement within timeout seconds and returns its result, which the caller clears. NULL
 * and error on failure. When the deadline passes the server is asked to cancel, and the session is
 * broken from then on: an answer that is still under way would be read as that of the next statement. */
PGresult *crdb_pq_query(struct crdb_pq *session, const struct crdb_pq_statement *statement,
                        double timeout, struct crdb_pq_error *error);

/* False once the connection was lost or a deadline has passed. */
bool crdb_pq_usable(const struct crdb_pq *session);

/* True in a process that was forked after the connection was made. */
bool crdb_pq_forked(const struct crdb_pq *session);

/* True when the server asked for a password and was given it. */
bool crdb_pq_used_password(const struct crdb_pq *session);

/* Says goodbye without waiting and frees. In a forked child the parent's connection is left as it
 * is: only this process's descriptor is closed. NULL is allowed. */
void crdb_pq_close(struct crdb_pq *session);

#endif
