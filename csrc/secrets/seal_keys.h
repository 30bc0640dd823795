/*
 * seal_keys.h - a file of sealing keys: one a line, as 64 hexadecimal digits or as base64.
 *
 * The first seals, all of them open. Empty lines and lines that begin with '#'
 * are left out; blanks around a key do not count.
 */
#ifndef CRDB_SEAL_KEYS_H
#define CRDB_SEAL_KEYS_H

#include "base/buffer.h"
#include "base/failure.h"

enum { CRDB_SEAL_KEYS_MAX = 64 };

/* Appends the bytes of the keys (CRDB_SEAL_KEY each) to out, which is wiped by
 * its owner. Codes of *f: "key" (a line is no key; the message gives its number
 * and none of it), "empty" (no key), "large" (more than CRDB_SEAL_KEYS_MAX),
 * "ENOMEM". */
bool crdb_seal_keys(const void *text, size_t len, struct crdb_buffer *out, struct crdb_failure *f);

#endif
