/*
 * pace.h - evenly spaced requests, one budget per API account.
 *
 * The budget is shared by all threads and Lua states of the process, because
 * the server counts per account and not per handle. Tokens are 1/rate seconds
 * apart and are not saved up: a burst after a pause would meet the server's
 * limit just as surely as one at the start. All times in seconds.
 */
#ifndef CRDB_PACE_H
#define CRDB_PACE_H

#include <stdbool.h>

enum crdb_pace_result {
    CRDB_PACE_OK,
    CRDB_PACE_TOO_LONG,
    CRDB_PACE_INTERRUPTED,
    CRDB_PACE_NO_MEMORY
};

/* Takes one token and sleeps until it is due; *seconds is the time waited. When
 * that would be more than max_wait it takes none, and *seconds is the wait
 * that was needed. When a hold comes while it sleeps, it gives the token up and
 * takes a later one. An interrupt counted by interrupts.h, before or
 * while it sleeps, does not shorten the wait for others, so that what is in hand
 * is finished; but a hold that lasts a second more ends it, and *seconds is what
 * is left of the hold. rate is in tokens per second; 0 is unpaced and returns at
 * once. */
enum crdb_pace_result crdb_pace(const char *account, double rate, double max_wait, double *seconds);

/* No token of this account before now + seconds: the server answered 429. */
enum crdb_pace_result crdb_pace_hold(const char *account, double seconds);

#endif
