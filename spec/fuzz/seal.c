/*
 * Sealed passwords and files of keys: any bytes are taken without harm, what was sealed opens, and
 * nothing that was changed does.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "secrets/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char key[CRDB_SEAL_KEY] = "0123456789abcdef0123456789abcde";

static void seal_and_open(const uint8_t *data, size_t size) {
    if (size < 3)
        return;
    size_t bound = data[0] % size, len = size - bound;
    unsigned char *sealed = malloc(len + CRDB_SEAL_EXTRA), *opened = malloc(len);
    if (!sealed || !opened)
        abort();
    if (crdb_seal(key, data, bound, data + bound, len, sealed) != CRDB_SEAL_OK ||
        crdb_unseal(key, data, bound, sealed, len + CRDB_SEAL_EXTRA, opened) != CRDB_SEAL_OK ||
        memcmp(opened, data + bound, len) != 0)
        abort();
    if (bound && crdb_unseal(key, data, bound - 1, sealed, len + CRDB_SEAL_EXTRA, opened) !=
                     CRDB_SEAL_TAMPERED)
        abort();
    sealed[(data[1] * 256u + data[2]) % (len + CRDB_SEAL_EXTRA)] ^=
        (unsigned char)(1 << data[1] % 8);
    if (crdb_unseal(key, data, bound, sealed, len + CRDB_SEAL_EXTRA, opened) != CRDB_SEAL_TAMPERED)
        abort();
    free(sealed);
    free(opened);
}

/* What is read as hexadecimal or base64 is written the same again, but for case and padding. */
static void decode(const uint8_t *data, size_t size) {
    struct crdb_buffer bytes = {0}, text = {0};
    if (crdb_decode_hex(&bytes, data, size) &&
        (!crdb_encode_hex(&text, bytes.data, bytes.length) || text.length != size))
        abort();
    crdb_buffer_free(&bytes);
    crdb_buffer_free(&text);
    if (crdb_decode_base64(&bytes, data, size)) {
        if (!crdb_encode_base64(&text, bytes.data, bytes.length) || text.length < size ||
            (size && memcmp(text.data, data, size) != 0))
            abort();
    }
    crdb_buffer_free(&bytes);
    crdb_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct crdb_buffer keys = {0};
    struct crdb_failure failure;
    unsigned char opened[4096];
    if (crdb_seal_keys(data, size, &keys, &failure) &&
        (keys.length == 0 || keys.length % CRDB_SEAL_KEY))
        abort();
    crdb_buffer_free(&keys);
    if (size <= sizeof opened &&
        crdb_unseal(key, NULL, 0, data, size, opened) != CRDB_SEAL_TAMPERED)
        abort();
    seal_and_open(data, size);
    decode(data, size);
    return 0;
}
