/*
 * Whatever text quotes a secret, after redaction the secret is not in it, as it is, in hexadecimal
 * or percent-encoded.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_gone(const struct crdb_buffer *text, const void *needle, size_t length) {
    if (length >= 12 && text->length && memmem(text->data, text->length, needle, length))
        abort();
}

/* Bytes of the mark with their new neighbours can spell the secret by chance. */
static bool may_meet_mark(const uint8_t *secret, size_t length) {
    return memchr(secret, '<', length) || memchr(secret, '>', length) ||
           memmem(CRDB_REDACTED, strlen(CRDB_REDACTED), secret, 1) ||
           memmem(CRDB_REDACTED, strlen(CRDB_REDACTED), secret + length - 1, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 13)
        return 0;
    /* The first byte says how long the secret is, the rest is secret and text around it. */
    size_t length = 12 + data[0] % (size - 12);
    const uint8_t *secret = data + 1;
    const uint8_t *around = secret + length;
    size_t left = size - 1 - length;

    struct crdb_buffer uri = {0}, text = {0};
    if (!crdb_buffer_uri(&uri, secret, length) || !crdb_buffer_append(&text, around, left) ||
        !crdb_buffer_append(&text, secret, length) || !crdb_buffer_append(&text, "|", 1) ||
        !crdb_buffer_append(&text, uri.data, uri.length) ||
        !crdb_buffer_append(&text, around, left))
        abort();
    if (!crdb_redact(&text, secret, length))
        abort();
    if (!may_meet_mark(secret, length)) {
        must_be_gone(&text, secret, length);
        must_be_gone(&text, uri.data, uri.length);
    }
    crdb_buffer_free(&uri);
    crdb_buffer_free(&text);
    return 0;
}
