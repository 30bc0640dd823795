#include "files/dotenv.h"

#include <stdio.h>
#include <string.h>

#include "files/dotenv_line.h"

static const char mark_head[] = "# crdbcloud: epoch ";
enum { MARK_LENGTH = sizeof mark_head - 1, NUMBER_MAX = 24 };

bool crdb_dotenv_is_key(const char *key, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = key[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return len > 0;
}

static bool check_value(const struct crdb_dotenv_entry *entry, struct crdb_failure *f) {
    const char *v = entry->value, *problem = NULL;
    size_t len = entry->value_length;
    if (len == 0)
        problem = "is empty";
    else if (memchr(v, '\0', len))
        problem = "has a NUL byte, which no environment can hold";
    else if (entry->dialect == CRDB_DOTENV_DOCKER) {
        if (memchr(v, '\n', len) || memchr(v, '\r', len))
            problem = "has a line break, which docker --env-file cannot hold";
        else if (len > 1 && v[0] == v[len - 1] && (v[0] == '\'' || v[0] == '"'))
            problem = "stands in quotes, which some versions of docker take off";
    }
    if (problem)
        crdb_fail(f, "value", "the password %s", problem);
    return !problem;
}

/* For a shell: single quotes, in which nothing has a meaning but the quote itself. */
static void append_posix(struct crdb_buffer *out, const char *value, size_t len) {
    crdb_buffer_text(out, "'");
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\'')
            crdb_buffer_text(out, "'\\''");
        else
            crdb_buffer_append(out, value + i, 1);
    }
    crdb_buffer_text(out, "'");
}

/* For systemd: double quotes, as a single quote cannot stand in single ones. All versions read
 * these four escapes alike. */
static void append_systemd(struct crdb_buffer *out, const char *value, size_t len) {
    crdb_buffer_text(out, "\"");
    for (size_t i = 0; i < len; i++) {
        if (value[i] && strchr("\"\\$`", value[i]))
            crdb_buffer_text(out, "\\");
        crdb_buffer_append(out, value + i, 1);
    }
    crdb_buffer_text(out, "\"");
}

/* Letters and digits mean themselves in every dialect, so what the generator makes stands bare. */
static bool is_plain(const char *value, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = value[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

static void append_value(struct crdb_buffer *out, const struct crdb_dotenv_entry *entry) {
    if (entry->dialect == CRDB_DOTENV_DOCKER || is_plain(entry->value, entry->value_length))
        crdb_buffer_append(out, entry->value, entry->value_length);
    else if (entry->dialect == CRDB_DOTENV_POSIX)
        append_posix(out, entry->value, entry->value_length);
    else
        append_systemd(out, entry->value, entry->value_length);
}

static void append_mark(struct crdb_buffer *out, const struct crdb_dotenv_entry *entry) {
    char number[NUMBER_MAX];
    snprintf(number, sizeof number, "%llu", entry->epoch);
    crdb_buffer_text(out, mark_head);
    crdb_buffer_text(out, number);
    crdb_buffer_text(out, " of ");
    crdb_buffer_append(out, entry->key, entry->key_length);
    crdb_buffer_text(out, "\n");
}

/* Whether the line is our comment about the variable; then the epoch that it tells. */
static bool read_mark(const char *line, size_t len, const struct crdb_dotenv_entry *entry,
                      unsigned long long *epoch) {
    static const char of[] = " of ";
    if (len && line[len - 1] == '\n')
        len--;
    if (len < MARK_LENGTH || memcmp(line, mark_head, MARK_LENGTH) != 0)
        return false;
    size_t digits = 0;
    *epoch = 0;
    while (MARK_LENGTH + digits < len && digits < 18 && line[MARK_LENGTH + digits] >= '0' &&
           line[MARK_LENGTH + digits] <= '9')
        *epoch = *epoch * 10 + (unsigned long long)(line[MARK_LENGTH + digits++] - '0');
    const char *rest = line + MARK_LENGTH + digits;
    size_t left = len - MARK_LENGTH - digits;
    return digits && left == sizeof of - 1 + entry->key_length &&
           memcmp(rest, of, sizeof of - 1) == 0 &&
           memcmp(rest + sizeof of - 1, entry->key, entry->key_length) == 0;
}

/* Appends the file's content, changed. *set: in how many places the variable is now set. */
static bool copy_lines(struct crdb_buffer *out, const char *file, size_t len,
                       const struct crdb_dotenv_entry *entry, size_t *set, struct crdb_failure *f) {
    struct crdb_dotenv_line line = {0};
    for (size_t at = 0; at < len; at = line.end) {
        if (!crdb_dotenv_read_line(entry->dialect, file, len, at, entry->key, entry->key_length,
                                   &line, f))
            return false;
        unsigned long long epoch;
        crdb_buffer_append(out, file + at, line.text - at);
        if (read_mark(file + line.text, line.end - line.text, entry, &epoch)) {
            if (epoch > entry->epoch) {
                crdb_fail(f, "newer", "it holds epoch %llu, which is newer than %llu", epoch,
                          entry->epoch);
                return false;
            }
        } else if (line.sets && !entry->value) {
            (*set)++;
        } else if (line.sets) {
            if ((*set)++ == 0)
                append_mark(out, entry);
            crdb_buffer_append(out, file + line.text, line.value - line.text);
            append_value(out, entry);
            crdb_buffer_append(out, file + line.behind, line.end - line.behind);
        } else {
            crdb_buffer_append(out, file + line.text, line.end - line.text);
        }
    }
    if (*set == 0 && line.dangling && entry->value) {
        crdb_fail(f, "content",
                  "its last line ends with a backslash, so nothing is appended to it");
        return false;
    }
    return true;
}

bool crdb_dotenv_update(struct crdb_buffer *out, const char *file, size_t len,
                        const struct crdb_dotenv_entry *entry, struct crdb_failure *f) {
    size_t before = out->length, set = 0;
    if (entry->value && !check_value(entry, f))
        return false;
    if (len && memchr(file, '\0', len)) {
        crdb_fail(f, "content", "it has a NUL byte, so it is no environment file");
        return false;
    }
    if (!copy_lines(out, file, len, entry, &set, f))
        return false;
    if (set == 0 && entry->value) {
        if (out->length > before && out->data[out->length - 1] != '\n')
            crdb_buffer_text(out, "\n");
        append_mark(out, entry);
        crdb_buffer_append(out, entry->key, entry->key_length);
        crdb_buffer_text(out, "=");
        append_value(out, entry);
        crdb_buffer_text(out, "\n");
    }
    if (out->failed)
        crdb_fail(f, "ENOMEM", "cannot edit the file: out of memory");
    return !out->failed;
}
