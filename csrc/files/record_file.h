/*
 * record_file.h - the file format of a credential record: metadata and secrets.
 *
 *   crdbcloud-record 1\n
 *   meta LENGTH\n BYTES \n
 *   secret NAME FORM LENGTH\n BYTES \n       (any number, sorted by name)
 *   sha256 HEX\n                             (end of file)
 *
 * LENGTH is decimal without leading zeros, NAME matches [a-z0-9_]{1,32}, HEX is the
 * lower-case SHA-256 of everything before its line. The checksum finds torn and
 * damaged files; it is no protection against someone who may write there. A
 * file is read whole or refused: no byte may be missing, changed or added.
 * FORM is "plain", or "aes-256-gcm:KEYID" for bytes as of seal.h.
 */
#ifndef CRDB_RECORD_FILE_H
#define CRDB_RECORD_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/failure.h"
#include "secrets/seal.h"

enum { CRDB_RECORD_SECRETS_MAX = 32, CRDB_RECORD_NAME_MAX = 32 };

struct crdb_record_secret {
    char name[CRDB_RECORD_NAME_MAX + 1];
    char key_id[CRDB_SEAL_ID + 1]; /* "": plain; else the bytes are sealed with that key */
    const char *bytes;             /* borrowed */
    size_t length;
};

struct crdb_record {
    const char *meta; /* borrowed */
    size_t meta_length;
    struct crdb_record_secret secrets[CRDB_RECORD_SECRETS_MAX];
    size_t count;
};

/* Whether a secret may have that name. */
bool crdb_record_name_valid(const char *name, size_t len);

/* Appends the file to out, and sorts the record's secrets by name. The names
 * must be valid and differ. False: no memory, or over out's limit. */
bool crdb_record_encode(struct crdb_record *record, struct crdb_buffer *out);

/* Reads a file; the record then points into it. Codes of *f: "torn" (cut short,
 * or the checksum is wrong), "foreign" (not this format), "newer" (a later
 * version of it, or a form of secrets that it does not know). */
bool crdb_record_decode(const void *file, size_t len, struct crdb_record *record,
                        struct crdb_failure *f);

#endif
