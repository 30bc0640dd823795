#include "files/dotenv_line.h"

#include <string.h>

struct text {
    const char *bytes;
    size_t length, at;
};

struct name {
    const char *bytes;
    size_t length;
};

static bool at_end(const struct text *t) {
    return t->at >= t->length;
}

/* The byte at hand, or a line feed at the end of the file. */
static char peek(const struct text *t) {
    return at_end(t) ? '\n' : t->bytes[t->at];
}

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

static void skip(struct text *t, const char *set) {
    while (!at_end(t) && is_one_of(t->bytes[t->at], set))
        t->at++;
}

static bool skip_word(struct text *t, const char *word, size_t len) {
    if (t->length - t->at < len || memcmp(t->bytes + t->at, word, len) != 0)
        return false;
    t->at += len;
    return true;
}

static void skip_until(struct text *t, const char *set) {
    while (!at_end(t) && !is_one_of(t->bytes[t->at], set))
        t->at++;
}

static bool unfit(struct crdb_failure *f, const char *what) {
    crdb_fail(f, "content", "%s, so it is not edited; give the password a file of its own", what);
    return false;
}

/* What a backslash was before. */
static void escape(struct text *t, const char *line_ends, struct crdb_dotenv_line *line) {
    bool ends = is_one_of(peek(t), line_ends);
    if (!at_end(t))
        t->at++;
    line->dangling = ends && at_end(t);
}

/* Behind the closing quote. */
static bool quoted(struct text *t, char quote, struct crdb_failure *f) {
    while (!at_end(t)) {
        char c = t->bytes[t->at++];
        if (c == quote)
            return true;
        if (quote == '"' && c == '\\' && !at_end(t))
            t->at++;
    }
    return unfit(f, "a quote in the file is not closed");
}

/* Whether the shell would run something, or read quotes by rules of its own. */
static bool is_command(const struct text *t, size_t at, const char *after_dollar) {
    char c = t->bytes[at];
    return c == '`' ||
           (c == '$' && at + 1 < t->length && is_one_of(t->bytes[at + 1], after_dollar));
}

/* One byte, escape or quoted text of a shell line. */
static bool shell_piece(struct text *t, struct crdb_dotenv_line *line, struct crdb_failure *f) {
    size_t start = t->at;
    char c = t->bytes[t->at++];
    bool runs = is_command(t, start, "('\"");
    if (c == '\\')
        escape(t, "\n", line);
    if ((c == '\'' || c == '"') && !quoted(t, c, f))
        return false;
    for (size_t i = start + 1; c == '"' && i < t->at; i++) {
        if (t->bytes[i] == '\\')
            i++;
        else
            runs = runs || is_command(t, i, "(");
    }
    return !runs || unfit(f, "the file runs commands");
}

static bool read_posix(struct text *t, const struct name *key, struct crdb_dotenv_line *line,
                       struct crdb_failure *f) {
    static const char blanks[] = " \t", ends_word[] = " \t\n;&|()<>";
    skip(t, blanks);
    size_t begin = t->at;
    if (skip_word(t, "export", 6) && is_one_of(peek(t), blanks))
        skip(t, blanks);
    else
        t->at = begin;
    if (skip_word(t, key->bytes, key->length) && skip_word(t, "=", 1)) {
        line->sets = true;
        line->value = t->at;
        while (!is_one_of(peek(t), ends_word))
            if (!shell_piece(t, line, f))
                return false;
        line->behind = t->at;
        skip(t, blanks);
        if (!is_one_of(peek(t), "\n#"))
            return unfit(f, "the line of the variable does more than set it");
    } else {
        t->at = begin;
    }
    for (bool word_begins = true; peek(t) != '\n';) {
        if (word_begins && peek(t) == '#') {
            skip_until(t, "\n");
            break;
        }
        if (skip_word(t, "<<", 2))
            return unfit(f, "the file has a here-document");
        word_begins = is_one_of(peek(t), ends_word);
        if (!shell_piece(t, line, f))
            return false;
    }
    return true;
}

static bool read_docker(struct text *t, const struct name *key, struct crdb_dotenv_line *line) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    if (t->at == 0 && skip_word(t, byte_order_mark, sizeof byte_order_mark - 1))
        line->text = t->at;
    skip(t, " \t\v\f\r");
    line->sets = skip_word(t, key->bytes, key->length) && skip_word(t, "=", 1);
    line->value = t->at;
    skip_until(t, "\n");
    line->behind = t->at;
    if (t->at > line->value && t->bytes[t->at - 1] == '\r')
        line->behind--;
    return true;
}

/* Quotes count where a value begins and after a closing quote, not within bare text. */
static bool systemd_value(struct text *t, const char *line_ends, struct crdb_dotenv_line *line,
                          struct crdb_failure *f) {
    bool bare = false;
    while (!is_one_of(peek(t), line_ends)) {
        char c = t->bytes[t->at++];
        if (c == '\\')
            escape(t, line_ends, line);
        if (!bare && (c == '\'' || c == '"')) {
            if (!quoted(t, c, f))
                return false;
        } else if (c != ' ' && c != '\t') {
            bare = true;
        }
    }
    return true;
}

static bool read_systemd(struct text *t, const struct name *key, struct crdb_dotenv_line *line,
                         struct crdb_failure *f) {
    static const char blanks[] = " \t", line_ends[] = "\n\r";
    skip(t, blanks);
    if (is_one_of(peek(t), "#;")) {
        while (!is_one_of(peek(t), line_ends))
            if (t->bytes[t->at++] == '\\')
                escape(t, line_ends, line); /* before version 254 it takes the next line in */
        return true;
    }
    size_t begin = t->at;
    if (skip_word(t, key->bytes, key->length)) {
        skip(t, blanks);
        line->sets = peek(t) == '=';
    }
    if (!line->sets) {
        t->at = begin;
        skip_until(t, "=\n\r");
    }
    if (skip_word(t, "=", 1)) {
        line->value = t->at;
        if (!systemd_value(t, line_ends, line, f))
            return false;
        line->behind = t->at;
    }
    return true;
}

bool crdb_dotenv_read_line(enum crdb_dotenv_dialect dialect, const char *file, size_t len,
                           size_t start, const char *key, size_t key_len,
                           struct crdb_dotenv_line *line, struct crdb_failure *f) {
    struct text t = {.bytes = file, .length = len, .at = start};
    const struct name name = {.bytes = key, .length = key_len};
    *line = (struct crdb_dotenv_line){.start = start, .text = start};
    bool understood = dialect == CRDB_DOTENV_POSIX    ? read_posix(&t, &name, line, f)
                      : dialect == CRDB_DOTENV_DOCKER ? read_docker(&t, &name, line)
                                                      : read_systemd(&t, &name, line, f);
    line->end = at_end(&t) ? len : t.at + 1;
    return understood;
}
