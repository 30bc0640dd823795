/*
 * pgpass.h - one entry of a libpq password file, set without touching others.
 *
 * libpq uses the first line that matches (passwordFromFile in fe-connect.c):
 * host:port:database:user:password, where a lone * matches anything, a
 * backslash takes the next byte as it is, and a line that begins with # is a
 * comment.
 */
#ifndef CRDB_PGPASS_H
#define CRDB_PGPASS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { CRDB_PGPASS_FIELDS = 4 };

/* host, port, database, user; "*" stands for any. No line feed, carriage return
 * or NUL in any of them, none empty. All borrowed. */
struct crdb_pgpass_entry {
    struct {
        const char *bytes;
        size_t length;
    } fields[CRDB_PGPASS_FIELDS];
    const char *password; /* NULL: the entry is taken away */
    size_t password_length;
};

/* Whether a password file can hold these bytes as a field or password: not
 * empty, no line feed, carriage return or NUL. */
bool crdb_pgpass_can_hold(const void *bytes, size_t len);

/* Appends the new content of the file to out. A line for the same four fields
 * is replaced where it stands, later ones of the same fields, which libpq never
 * reads, are dropped. Where a line before it has wildcards that answer for the
 * entry, the entry goes before that line, as libpq would never get to it; with
 * neither, to the end. Without a password its lines are dropped. All other lines
 * stay byte for byte. False: no memory. */
bool crdb_pgpass_update(struct crdb_buffer *out, const char *file, size_t len,
                        const struct crdb_pgpass_entry *entry);

#endif
