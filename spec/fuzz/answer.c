/*
 * What an answer may hold, with any bytes: reading it stays within it, a message becomes one clean
 * line, and after redaction no string of the document decodes to a text that holds the secret.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/json_scan.h"
#include "http/answer.h"
#include "http/message.h"
#include "http/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "aZ\"3/<\\&%q x";

static void must_lack_secret(void *context, const struct crdb_json_member *m) {
    struct crdb_buffer text = {0};
    (void)context;
    if (m->is_string && crdb_json_decode(m->value, m->value_length, &text) &&
        memmem(text.data, text.length, secret, sizeof secret - 1))
        abort();
    crdb_buffer_free(&text);
}

static void must_be_clean(const struct crdb_buffer *text) {
    if (text->length > CRDB_MESSAGE_MAX)
        abort();
    for (size_t i = 0; i < text->length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((utf8proc_uint8_t *)text->data + i,
                                              (utf8proc_ssize_t)(text->length - i), &c);
        if (n <= 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
            abort();
        i += (size_t)n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct crdb_buffer body = {0}, name = {0}, message = {0};
    crdb_buffer_append(&body, data, size);
    crdb_buffer_text(&name, "app");
    struct crdb_answer answer = crdb_answer_read(&body, &name, &message);
    if (answer.name_matches && !answer.has_name)
        abort();
    crdb_message_clean(&message);
    must_be_clean(&message);
    if (answer.whole && crdb_redact_json(&body, secret, sizeof secret - 1)) {
        if (crdb_json_scan(body.data, body.length, must_lack_secret, NULL) == CRDB_JSON_BROKEN)
            abort();
    }
    crdb_buffer_free(&body);
    crdb_buffer_free(&name);
    crdb_buffer_free(&message);
    return 0;
}
