/*
 * watch.h - how a password went to the server, for libpq before version 16.
 *
 * From version 16 on, libpq takes require_auth and refuses to send a password in the clear. Before,
 * the only sign is libpq's trace of what was sent: one message of the type 'p' where that
 * was the password itself or an md5 of it, two where it was SCRAM. libpq 13 and older write
 * another trace, in which nothing is found.
 */
#ifndef CRDB_PQ_WATCH_H
#define CRDB_PQ_WATCH_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A zeroed struct watches nothing. */
struct crdb_pq_watch {
    FILE *file;
    char *text;
    size_t length;
};

/* Call it before the first PQconnectPoll. Without memory nothing is watched. */
void crdb_pq_watch_start(struct crdb_pq_watch *w, PGconn *connection);

/* Ends it and frees. True when the password, or an md5 of it, was sent. */
bool crdb_pq_watch_end(struct crdb_pq_watch *w, PGconn *connection);

#endif
