/*
 * The JSON scanner and what stands on it, with any bytes: no member outside the text, and taking
 * secrets leaves a document that is as whole as before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/json_take.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    const char *bytes;
    size_t length;
};

static void visit(void *context, const struct crdb_json_member *member) {
    const struct text *text = context;
    if (member->key < text->bytes || member->key_length > text->length ||
        member->key + member->key_length > text->bytes + text->length ||
        member->value < text->bytes || member->value_length > text->length ||
        member->value + member->value_length > text->bytes + text->length)
        abort();
    struct crdb_buffer decoded = {0};
    if (member->is_string)
        (void)crdb_json_decode(member->value, member->value_length, &decoded);
    (void)crdb_json_key_is(member, "message");
    crdb_buffer_free(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct text text = {(const char *)data, size};
    enum crdb_json_shape shape = crdb_json_scan(text.bytes, size, visit, &text);
    struct crdb_json_taken taken[] = {{.key = "password", .key_length = 8},
                                      {.key = "a", .key_length = 1}};
    struct crdb_buffer rest = {0};
    enum crdb_json_take_result result = crdb_json_take(text.bytes, size, taken, 2, &rest);
    if (result == CRDB_JSON_TAKE_OK) {
        if (shape != CRDB_JSON_OBJECT ||
            crdb_json_scan(rest.data, rest.length, NULL, NULL) != CRDB_JSON_OBJECT)
            abort();
        crdb_secret_release(taken[0].value);
        crdb_secret_release(taken[1].value);
    } else if (taken[0].value || taken[1].value) {
        abort();
    }
    crdb_buffer_free(&rest);
    return 0;
}
