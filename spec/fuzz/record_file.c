/*
 * A record file is read whole or refused, and what is read encodes to the same bytes again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "files/record_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct crdb_record *record, const void *file, size_t len) {
    struct crdb_buffer again = {0};
    if (!crdb_record_encode(record, &again) || again.length != len ||
        memcmp(again.data, file, len) != 0)
        abort();
    crdb_buffer_free(&again);
}

/* A file that is valid by construction: the input cut into metadata and two secrets. */
static void encode_and_read(const uint8_t *data, size_t size) {
    if (size < 2)
        return;
    size_t meta = data[0] % size, first = data[1] % (size - meta);
    const char *bytes = (const char *)data;
    struct crdb_record record = {.meta = bytes, .meta_length = meta, .count = 2};
    strcpy(record.secrets[0].name, "staged");
    record.secrets[0].bytes = bytes + meta;
    record.secrets[0].length = first;
    strcpy(record.secrets[1].name, "current");
    record.secrets[1].bytes = bytes + meta + first;
    record.secrets[1].length = size - meta - first;

    struct crdb_buffer file = {0};
    struct crdb_record read;
    struct crdb_failure failure;
    if (!crdb_record_encode(&record, &file) ||
        !crdb_record_decode(file.data, file.length, &read, &failure))
        abort();
    if (read.meta_length != meta || read.count != 2)
        abort();
    check_round_trip(&read, file.data, file.length);

    /* One byte changed or missing is never accepted. */
    file.data[data[size - 1] % file.length] ^= 0x10;
    if (crdb_record_decode(file.data, file.length, &read, &failure))
        abort();
    crdb_buffer_free(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct crdb_record record;
    struct crdb_failure failure;
    if (crdb_record_decode(data, size, &record, &failure))
        check_round_trip(&record, data, size);
    encode_and_read(data, size);
    return 0;
}
