/*
 * fingerprint.h - tells whether two secrets are the same without keeping either.
 *
 * For keys of caches: HMAC-SHA-256 under a random key that this process makes
 * at the first call and nobody else has. So a fingerprint that got into a log
 * or a core file tells nothing about the secret, not even to whoever can guess
 * it, and means nothing in another process, nor in a forked child. Safe from
 * any thread.
 */
#ifndef CRDB_FINGERPRINT_H
#define CRDB_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>

enum { CRDB_FINGERPRINT_BYTES = 32 };

/* False: no memory, or the system gives no random bytes. */
bool crdb_fingerprint(const void *bytes, size_t len, unsigned char out[CRDB_FINGERPRINT_BYTES]);

#endif
