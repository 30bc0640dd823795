/*
 * params.h - connection parameters; the environment sets none of them.
 *
 * libpq fills every parameter that it is not told from PG* variables, a service
 * file and the home directory. A login that is to prove a password must not be
 * let in by a client certificate or another host from there, so each parameter
 * is passed explicitly. libpq skips empty values in its arrays, but not in a
 * connection string; therefore the ones without a harmless value are blanked
 * by such a string, put in front as the first dbname.
 */
#ifndef CRDB_PQ_PARAMS_H
#define CRDB_PQ_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

enum { CRDB_PQ_PARAMS_MAX = 96 };

/* For PQconnectStartParams with expand_dbname = 1. Pointers are borrowed from what was given, from
 * static memory or from text[], so the struct must not be copied. */
struct crdb_pq_params {
    const char *keywords[CRDB_PQ_PARAMS_MAX + 1], *values[CRDB_PQ_PARAMS_MAX + 1];
    size_t count;
    char text[2048]; /* the blanking string and copies of libpq's defaults */
    size_t text_used;
    bool full; /* something did not fit: do not connect */
    bool
        scram; /* set before finish: only SCRAM may carry the password, or no password is asked for */
    bool watch; /* set by finish: this libpq (before 16) cannot be told so; see session.c */
};

void crdb_pq_params_start(struct crdb_pq_params *p);

/* Adds one parameter; value is NUL-terminated and outlives p. NULL and "" count as not given. */
void crdb_pq_params_add(struct crdb_pq_params *p, const char *keyword, const char *value);

/* Makes all other parameters explicit and ends the arrays. With ambient_password libpq may take
 * the password from PGPASSWORD or a password file; without it only from what was added. False when
 * it does not fit or memory is short. */
bool crdb_pq_params_finish(struct crdb_pq_params *p, bool ambient_password);

#endif
