#include "files/pgpass.h"

#include <string.h>

#include "base/encode.h"

bool crdb_pgpass_can_hold(const void *bytes, size_t len) {
    return len && !memchr(bytes, '\n', len) && !memchr(bytes, '\r', len) &&
           !memchr(bytes, '\0', len);
}

enum answer { NO, BY_WILDCARD, EXACTLY };

/* Compares the field at the start of the line with the wanted one; *used is its
 * length without the colon that must follow. */
static enum answer compare_field(const char *line, size_t len, const char *wanted,
                                 size_t wanted_len, size_t *used) {
    size_t i = 0, matched = 0;
    bool equal = true;
    while (i < len && line[i] != ':') {
        if (line[i] == '\\' && i + 1 < len)
            i++;
        equal = equal && matched < wanted_len && line[i] == wanted[matched];
        matched++;
        i++;
    }
    *used = i;
    if (i == len)
        return NO; /* a line with fewer fields matches nothing */
    if (equal && matched == wanted_len)
        return EXACTLY;
    return i == 1 && line[0] == '*' ? BY_WILDCARD : NO;
}

/* Whether libpq would take this line for the entry, and whether it is the entry's own. */
static enum answer compare_line(const char *line, size_t len,
                                const struct crdb_pgpass_entry *entry) {
    enum answer answer = EXACTLY;
    if (len && line[0] == '#')
        return NO;
    for (size_t i = 0; i < CRDB_PGPASS_FIELDS; i++) {
        size_t used;
        enum answer field =
            compare_field(line, len, entry->fields[i].bytes, entry->fields[i].length, &used);
        if (field == NO)
            return NO;
        if (field == BY_WILDCARD)
            answer = BY_WILDCARD;
        line += used + 1;
        len -= used + 1;
    }
    return answer;
}

static bool append_entry(struct crdb_buffer *out, const struct crdb_pgpass_entry *entry) {
    if (entry->fields[0].length && entry->fields[0].bytes[0] == '#')
        crdb_buffer_text(out, "\\"); /* or the line would be a comment */
    for (size_t i = 0; i < CRDB_PGPASS_FIELDS; i++) {
        crdb_encode_pgpass(out, entry->fields[i].bytes, entry->fields[i].length);
        crdb_buffer_text(out, ":");
    }
    crdb_encode_pgpass(out, entry->password, entry->password_length);
    return crdb_buffer_text(out, "\n");
}

bool crdb_pgpass_update(struct crdb_buffer *out, const char *file, size_t len,
                        const struct crdb_pgpass_entry *entry) {
    bool placed = !entry->password;
    size_t at = 0;
    while (at < len) {
        const char *line = file + at, *feed = memchr(line, '\n', len - at);
        size_t whole = feed ? (size_t)(feed - line) + 1 : len - at;
        enum answer answer = compare_line(line, whole - (feed != NULL), entry);
        if (answer != NO && !placed) {
            append_entry(out, entry);
            placed = true;
        }
        if (answer != EXACTLY)
            crdb_buffer_append(out, line, whole);
        at += whole;
    }
    if (!placed) {
        if (out->length && out->data[out->length - 1] != '\n')
            crdb_buffer_text(out, "\n");
        append_entry(out, entry);
    }
    return !out->failed;
}
