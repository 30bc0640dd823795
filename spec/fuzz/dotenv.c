/*
 * Environment files in each dialect: any bytes are taken without harm, the same entry again
 * changes nothing, and what is not the variable's stays.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "files/dotenv.h"
#include "files/dotenv_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mark[] = "# crdbcloud: epoch 5 of K\n";

/* How often the variable is set; the lines must follow each other without a gap. */
static size_t count_settings(enum crdb_dotenv_dialect dialect, const char *file, size_t len) {
    size_t count = 0;
    struct crdb_dotenv_line line = {0};
    struct crdb_failure f;
    for (size_t at = 0; at < len; at = line.end) {
        if (!crdb_dotenv_read_line(dialect, file, len, at, "K", 1, &line, &f))
            abort();
        if (line.start != at || line.end <= at || line.end > len)
            abort();
        if (line.sets && (line.value <= at || line.behind < line.value || line.behind > line.end))
            abort();
        count += line.sets;
    }
    return count;
}

static void check(enum crdb_dotenv_dialect dialect, const char *file, size_t len) {
    static const char value[] = "it's \"q\" $x \\ `";
    const struct crdb_dotenv_entry entry = {.dialect = dialect,
                                            .key = "K",
                                            .key_length = 1,
                                            .value = value,
                                            .value_length = sizeof value - 1,
                                            .epoch = 5};
    struct crdb_buffer once = {0}, twice = {0};
    struct crdb_failure f;
    if (crdb_dotenv_update(&once, file, len, &entry, &f)) {
        if (!crdb_dotenv_update(&twice, once.data, once.length, &entry, &f) ||
            once.length != twice.length || memcmp(once.data, twice.data, once.length) != 0)
            abort();
        size_t before = count_settings(dialect, file, len);
        if (count_settings(dialect, once.data, once.length) != (before ? before : 1))
            abort();
        if (!memmem(once.data, once.length, mark, sizeof mark - 1))
            abort();
        /* A file without the variable, and without a mark of it, is kept and added to. */
        if (!before && !memmem(file, len, mark, 19) && memcmp(once.data, file, len) != 0)
            abort();
    } else if (once.length && f.code[0] == '\0') {
        abort();
    }
    crdb_buffer_free(&once);
    crdb_buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    check(CRDB_DOTENV_POSIX, text, size);
    check(CRDB_DOTENV_DOCKER, text, size);
    check(CRDB_DOTENV_SYSTEMD, text, size);
    return 0;
}
