/*
 * dotenv.h - one variable of an environment file, set without touching others.
 *
 * Three programs read such files by three rules:
 *   posix    a shell that sources it: quotes, escapes, comments, "export"
 *   docker   docker run --env-file: KEY=VALUE a line, the value as it is; newer
 *            versions take a pair of quotes off
 *   systemd  EnvironmentFile= of a unit: quotes, escapes, continued lines; in a
 *            comment too before version 254
 *
 * A comment before the variable tells which epoch it holds, so that an older
 * one never replaces a newer one.
 */
#ifndef CRDB_DOTENV_H
#define CRDB_DOTENV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/failure.h"

enum crdb_dotenv_dialect { CRDB_DOTENV_POSIX, CRDB_DOTENV_DOCKER, CRDB_DOTENV_SYSTEMD };

/* All borrowed. */
struct crdb_dotenv_entry {
    enum crdb_dotenv_dialect dialect;
    const char *key; /* letters, digits and _, no digit first */
    size_t key_length;
    const char *value; /* NULL: the variable is taken away, in each place */
    size_t value_length;
    unsigned long long epoch;
};

/* Whether that is the name of a variable. */
bool crdb_dotenv_is_key(const char *key, size_t len);

/* Appends the new content of the file to out: the value is replaced where the
 * variable is set, in each place, or the variable is added at the end. Every
 * other byte stays. Nothing is written to out when it returns false; codes of
 * *f: "value" (the dialect cannot hold it), "newer" (the file holds a later
 * epoch), "content" (the file has what this reader does not understand or
 * would not keep), "ENOMEM". */
bool crdb_dotenv_update(struct crdb_buffer *out, const char *file, size_t len,
                        const struct crdb_dotenv_entry *entry, struct crdb_failure *f);

#endif
