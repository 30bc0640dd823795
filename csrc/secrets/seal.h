/*
 * seal.h - AES-256-GCM around a password that is kept somewhere (libcrypto).
 *
 * Sealed bytes are nonce (12, random) || ciphertext || tag (16). What the
 * password belongs to is given as associated data: it is not stored, and bytes
 * moved elsewhere do not open. A key has an id, so that several may be in use:
 * the first 16 hexadecimal digits of its SHA-256.
 */
#ifndef CRDB_SEAL_H
#define CRDB_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/failure.h"

enum { CRDB_SEAL_KEY = 32, CRDB_SEAL_NONCE = 12, CRDB_SEAL_TAG = 16, CRDB_SEAL_ID = 16 };
enum { CRDB_SEAL_KEYS_MAX = 64, CRDB_SEAL_EXTRA = CRDB_SEAL_NONCE + CRDB_SEAL_TAG };

enum crdb_seal_result {
    CRDB_SEAL_OK,
    CRDB_SEAL_TAMPERED, /* other key, other associated data, or changed bytes */
    CRDB_SEAL_FAILED    /* no memory, or no random bytes */
};

/* Writes the id of a key of CRDB_SEAL_KEY bytes and a NUL. */
void crdb_seal_key_id(const void *key, char id[CRDB_SEAL_ID + 1]);

/* Seals len bytes into out, which has room for len + CRDB_SEAL_EXTRA. OK or FAILED. */
enum crdb_seal_result crdb_seal(const void *key, const void *data, size_t data_len,
                                const void *plain, size_t len, void *out);

/* Opens len sealed bytes into out, which has room for len - CRDB_SEAL_EXTRA
 * (fewer sealed bytes are TAMPERED). Unless OK, out is wiped. */
enum crdb_seal_result crdb_unseal(const void *key, const void *data, size_t data_len,
                                  const void *sealed, size_t len, void *out);

/* Reads a file of keys: one a line, as 64 hexadecimal digits or as base64. The first seals, all of
 * them open. Empty lines and lines that begin with '#' are left out; blanks around a key do not
 * count. Appends the bytes of the keys (CRDB_SEAL_KEY each) to out, which its owner wipes. Codes of
 * *f: "key" (a line is no key; the message gives its number and none of it), "empty" (no key),
 * "large" (more than CRDB_SEAL_KEYS_MAX), "ENOMEM". */
bool crdb_seal_keys(const void *text, size_t len, struct crdb_buffer *out, struct crdb_failure *f);

#endif
