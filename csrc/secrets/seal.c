#include "secrets/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/random.h"
#include "base/secret.h"

void crdb_seal_key_id(const void *key, char id[CRDB_SEAL_ID + 1]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(key, CRDB_SEAL_KEY, digest);
    for (int i = 0; i < CRDB_SEAL_ID / 2; i++)
        snprintf(id + 2 * i, 3, "%02x", digest[i]);
    crdb_wipe(digest, sizeof digest);
}

/* EVP counts in int. */
static bool fits(size_t len) {
    return len <= INT_MAX - CRDB_SEAL_EXTRA;
}

/* EVP refuses no bytes in one place and NULL in another, so an empty part is not fed at all. */
static bool feed(EVP_CIPHER_CTX *c, unsigned char *out, const void *in, size_t len) {
    int written;
    return len == 0 || EVP_CipherUpdate(c, out, &written, in, (int)len) == 1;
}

static EVP_CIPHER_CTX *start(const void *key, const unsigned char *nonce, const void *data,
                             size_t data_len, int encrypt) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
        feed(c, NULL, data, data_len))
        return c;
    EVP_CIPHER_CTX_free(c);
    return NULL;
}

enum crdb_seal_result crdb_seal(const void *key, const void *data, size_t data_len,
                                const void *plain, size_t len, void *out) {
    unsigned char *nonce = out, *text = nonce + CRDB_SEAL_NONCE, *tag = text + len;
    if (!fits(len) || !fits(data_len) || !crdb_random_bytes(nonce, CRDB_SEAL_NONCE))
        return CRDB_SEAL_FAILED;
    EVP_CIPHER_CTX *c = start(key, nonce, data, data_len, 1);
    int rest;
    bool done = c && feed(c, text, plain, len) && EVP_CipherFinal_ex(c, tag, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CRDB_SEAL_TAG, tag) == 1;
    EVP_CIPHER_CTX_free(c);
    return done ? CRDB_SEAL_OK : CRDB_SEAL_FAILED;
}

enum crdb_seal_result crdb_unseal(const void *key, const void *data, size_t data_len,
                                  const void *sealed, size_t len, void *out) {
    if (len < CRDB_SEAL_EXTRA)
        return CRDB_SEAL_TAMPERED;
    const unsigned char *nonce = sealed, *text = nonce + CRDB_SEAL_NONCE;
    size_t plain_len = len - CRDB_SEAL_EXTRA;
    unsigned char tag[CRDB_SEAL_TAG], none[1];
    int rest;
    for (size_t i = 0; i < sizeof tag; i++)
        tag[i] = text[plain_len + i];
    if (!fits(plain_len) || !fits(data_len))
        return CRDB_SEAL_FAILED;
    enum crdb_seal_result result = CRDB_SEAL_FAILED;
    EVP_CIPHER_CTX *c = start(key, nonce, data, data_len, 0);
    if (c && feed(c, out, text, plain_len) &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CRDB_SEAL_TAG, tag) == 1)
        result = EVP_CipherFinal_ex(c, none, &rest) == 1 ? CRDB_SEAL_OK : CRDB_SEAL_TAMPERED;
    EVP_CIPHER_CTX_free(c);
    if (result != CRDB_SEAL_OK && plain_len)
        crdb_wipe(out, plain_len);
    return result;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool append_key(struct crdb_buffer *out, const char *line, size_t len) {
    size_t before = out->length;
    bool read = len == 2 * CRDB_SEAL_KEY ? crdb_decode_hex(out, line, len)
                                         : crdb_decode_base64(out, line, len);
    return read && out->length - before == CRDB_SEAL_KEY;
}

bool crdb_seal_keys(const void *text, size_t len, struct crdb_buffer *out, struct crdb_failure *f) {
    const char *at = text, *end = at + len;
    for (int number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline ? newline + 1 : end, *last = newline ? newline : end;
        while (at < last && is_blank(*at))
            at++;
        while (at < last && is_blank(last[-1]))
            last--;
        if (at < last && *at != '#') {
            if (out->length == (size_t)CRDB_SEAL_KEYS_MAX * CRDB_SEAL_KEY) {
                crdb_fail(f, "large", "more than %d keys", (int)CRDB_SEAL_KEYS_MAX);
                return false;
            }
            if (!append_key(out, at, (size_t)(last - at))) {
                if (out->failed)
                    crdb_fail(f, "ENOMEM", "out of memory while reading keys");
                else
                    crdb_fail(f, "key",
                              "line %d is no key: expected 32 bytes as 64 hexadecimal digits or "
                              "as base64",
                              number);
                return false;
            }
        }
        at = next;
    }
    if (out->length == 0) {
        crdb_fail(f, "empty", "no key");
        return false;
    }
    return true;
}
