#include "http/answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/names.h"

/* What a walk through the top-level members leaves behind. */
struct reading {
    const struct crdb_buffer *name;
    struct crdb_answer *answer;
    struct crdb_json_member message, details; /* value is NULL for none */
};

static long to_code(const struct crdb_json_member *m) {
    char digits[8] = {0};
    char *end;
    if (m->value_length == 0 || m->value_length >= sizeof digits)
        return -1;
    memcpy(digits, m->value, m->value_length);
    long code = strtol(digits, &end, 10);
    return *end == '\0' && code >= 0 ? code : -1;
}

static bool same_folded(const struct crdb_buffer *a, const struct crdb_buffer *b) {
    char *fa = NULL, *fb = NULL;
    size_t na, nb;
    bool same = crdb_fold_name(a->data, a->length, &fa, &na) == CRDB_FOLD_OK &&
                crdb_fold_name(b->data, b->length, &fb, &nb) == CRDB_FOLD_OK && na == nb &&
                memcmp(fa, fb, na) == 0;
    free(fa);
    free(fb);
    return same;
}

/* The service folds names, so it may spell the user differently from the caller. */
static bool is_user(const struct crdb_json_member *m, const struct crdb_buffer *name) {
    if (m->value_length == name->length && memcmp(m->value, name->data, name->length) == 0)
        return true;
    struct crdb_buffer decoded = {0};
    bool same =
        crdb_json_decode(m->value, m->value_length, &decoded) && same_folded(&decoded, name);
    crdb_buffer_free(&decoded);
    return same;
}

static void read_member(void *context, const struct crdb_json_member *m) {
    struct reading *r = context;
    if (crdb_json_key_is(m, "name") && m->is_string && r->name->length > 0) {
        r->answer->has_name = true;
        r->answer->name_matches = is_user(m, r->name);
    } else if (crdb_json_key_is(m, "code")) {
        r->answer->code = to_code(m);
    } else if (crdb_json_key_is(m, "message") && m->is_string) {
        r->message = *m;
    } else if (crdb_json_key_is(m, "details") && !m->is_string) {
        r->details = *m;
    }
}

static const char *string_end(const char *quote, const char *end) {
    for (const char *p = quote + 1; p < end; p++) {
        if (*p == '"')
            return p;
        if (*p == '\\' && ++p == end)
            break;
    }
    return NULL;
}

static bool is_text_key(const char *key, size_t length) {
    static const char *const keys[] = {"detail", "description", "message"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (length == strlen(keys[i]) && memcmp(key, keys[i], length) == 0)
            return true;
    return false;
}

/* Finds the first text for people in a details array: an element that is a string, or the value of
 * one of the keys above at any depth (google.rpc.BadRequest, DebugInfo, LocalizedMessage). */
static bool find_detail(const struct crdb_json_member *details, const char **text, size_t *length) {
    const char *end = details->value + details->value_length;
    int depth = 0;
    bool wanted = false;
    for (const char *p = details->value; p < end; p++) {
        if (*p == '[' || *p == '{') {
            depth++;
        } else if (*p == ']' || *p == '}') {
            depth--;
        } else if (*p == ',') {
            wanted = false;
        } else if (*p == '"') {
            const char *start = p + 1, *close = string_end(p, end);
            if (!close)
                return false;
            *text = start;
            *length = (size_t)(close - start);
            p = close;
            do
                close++;
            while (close < end && strchr(" \t\r\n", *close) && *close);
            if (close < end && *close == ':')
                wanted = is_text_key(*text, *length);
            else if (wanted || depth == 1)
                return true;
        }
    }
    return false;
}

/* Appends a text whole or not at all: the beginning of a password would not be recognised. */
static void write_text(const char *value, size_t value_length, struct crdb_buffer *out) {
    size_t before = out->length;
    if (!crdb_json_decode(value, value_length, out))
        crdb_buffer_cut(out, before);
}

static void write_message(const struct reading *r, struct crdb_buffer *out) {
    const char *detail = NULL;
    size_t length = 0;
    if (r->message.value)
        write_text(r->message.value, r->message.value_length, out);
    if (!r->details.value || !find_detail(&r->details, &detail, &length) || length == 0)
        return;
    if (out->length > 0) {
        if (memmem(r->message.value, r->message.value_length, detail, length))
            return;
        crdb_buffer_text(out, ": ");
    }
    write_text(detail, length, out);
}

struct crdb_answer crdb_answer_read(const struct crdb_buffer *body, const struct crdb_buffer *name,
                                    struct crdb_buffer *message) {
    struct crdb_answer answer = {.code = -1};
    struct reading r = {.name = name, .answer = &answer};
    answer.whole = crdb_json_scan(body->data, body->length, read_member, &r) != CRDB_JSON_BROKEN;
    write_message(&r, message);
    return answer;
}
