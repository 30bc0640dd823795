/*
 * ticket.h - hands a secret from one Lua state of this process to another.
 *
 * Lua states share nothing, and a secret must not become a string on its way.
 * So crdb_lend keeps a reference and returns a ticket, random bytes that mean
 * nothing outside this process; crdb_take exchanges the ticket for the reference,
 * once, within CRDB_TICKET_SECONDS. Whichever of the two is called next releases
 * the secrets of older tickets. A forked child finds no tickets. Safe from any thread.
 */
#ifndef CRDB_TICKET_H
#define CRDB_TICKET_H

#include "base/secret.h"

enum { CRDB_TICKET_BYTES = 16, CRDB_TICKET_SECONDS = 60, CRDB_TICKETS_MAX = 1024 };

enum crdb_ticket_result {
    CRDB_TICKET_OK,
    CRDB_TICKET_FULL, /* CRDB_TICKETS_MAX are waiting to be fetched */
    CRDB_TICKET_NO_MEMORY,
    CRDB_TICKET_NO_RANDOM
};

/* Takes a reference of its own; the caller keeps the one it has. */
enum crdb_ticket_result crdb_lend(struct crdb_secret *s, unsigned char ticket[CRDB_TICKET_BYTES]);

/* The reference, which the caller now owns. NULL: there is no such ticket, or it was used, or it is
 * too old. */
struct crdb_secret *crdb_take(const unsigned char ticket[CRDB_TICKET_BYTES]);

#endif
