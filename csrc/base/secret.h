/*
 * secret.h - reference-counted bytes that are wiped when the last owner lets go.
 *
 * For API keys and passwords. The bytes are kept out of core files where the
 * kernel allows it and out of swap where the memlock limit allows it; both are
 * best effort, and a limit of 64 KiB does not bound the number of secrets.
 * They lie in pages that hold nothing else, as locks and core-file flags work
 * on whole pages; secret.c says how. A forked child finds zeros in their place.
 * A secret is immutable once it has been filled and handed on.
 *
 * Ownership: whoever calls crdb_secret_new, _copy or _ref owns one reference
 * and gives it back with crdb_secret_release. References may be taken and
 * given back by different threads. Lengths are in bytes.
 */
#ifndef CRDB_SECRET_H
#define CRDB_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct crdb_secret;

/* A zero-filled secret of len bytes, to be filled by the caller; NULL: no memory. */
struct crdb_secret *crdb_secret_new(size_t len);

/* A secret that holds a copy of the bytes; NULL: no memory. */
struct crdb_secret *crdb_secret_copy(const void *bytes, size_t len);

/* One more reference; returns its argument. */
struct crdb_secret *crdb_secret_ref(struct crdb_secret *s);

/* Gives one reference back and wipes the bytes with the last; NULL is allowed. */
void crdb_secret_release(struct crdb_secret *s);

/* The bytes, followed by a NUL that the length does not count. */
unsigned char *crdb_secret_bytes(struct crdb_secret *s);
size_t crdb_secret_length(const struct crdb_secret *s);

/* Whether our generator drew the bytes, so that nobody can guess them. The generator marks the secret
 * before it hands it on; no copy has the mark. */
void crdb_secret_mark_generated(struct crdb_secret *s);
bool crdb_secret_generated(const struct crdb_secret *s);

/* True in a process that was forked after the secret was made. */
bool crdb_secret_forked(const struct crdb_secret *s);

/* Compares in a time that depends only on the lengths. */
bool crdb_secret_equal(const void *a, size_t alen, const void *b, size_t blen);

/* Overwrites memory in a way that the compiler may not leave out. */
void crdb_wipe(void *p, size_t len);

#endif
