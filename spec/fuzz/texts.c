/*
 * What comes from outside as text: password files, user names, Retry-After, headers, server
 * addresses. Any bytes are taken without harm, and what is accepted keeps its promise.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "files/pgpass.h"
#include "http/base_url.h"
#include "http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pgpass(const char *file, size_t len) {
    struct crdb_pgpass_entry entry = {.password = "p:w\\d", .password_length = 5};
    static const char *const fields[] = {"host", "26257", "a:b", "user"};
    for (int i = 0; i < CRDB_PGPASS_FIELDS; i++) {
        entry.fields[i].bytes = fields[i];
        entry.fields[i].length = strlen(fields[i]);
    }
    struct crdb_buffer once = {0}, twice = {0};
    if (!crdb_pgpass_update(&once, file, len, &entry) ||
        !crdb_pgpass_update(&twice, once.data, once.length, &entry))
        abort();
    /* The same entry again changes nothing. */
    if (once.length != twice.length || memcmp(once.data, twice.data, once.length) != 0)
        abort();
    if (!memmem(once.data, once.length, "host:26257:a\\:b:user:p\\:w\\\\d", 27))
        abort();
    crdb_buffer_free(&once);
    crdb_buffer_free(&twice);
}

static void check_name(const char *name, size_t len) {
    char *folded = NULL, *again = NULL;
    size_t folded_len, again_len, offset = 0;
    if (crdb_fold_name(name, len, &folded, &folded_len) != CRDB_FOLD_OK)
        return;
    if (crdb_name_problem(folded, folded_len, &offset) && offset > folded_len)
        abort();
    if (crdb_fold_name(folded, folded_len, &again, &again_len) != CRDB_FOLD_OK)
        abort();
    free(folded);
    free(again);
}

static void check_line(const char *line, size_t len) {
    struct crdb_response response = {0};
    (void)crdb_response_header(&response, line, len);
    crdb_response_free(&response);
    char *text = malloc(len + 1);
    if (!text)
        return;
    memcpy(text, line, len);
    text[len] = '\0';
    double wait = crdb_retry_after(text, 1700000000);
    if (wait < -1 || wait > 86400)
        abort();
    (void)crdb_content_type(text);
    struct crdb_base_url base = {0};
    if (!strpbrk(text, "\r\n"))
        (void)crdb_base_url_parse(&base, text);
    crdb_base_url_free(&base);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    check_pgpass(text, size);
    check_name(text, size);
    check_line(text, size);
    return 0;
}
