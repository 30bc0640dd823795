#include "base/json_take.h"

#include <string.h>

#include "base/json_scan.h"

struct take {
    struct crdb_json_taken *taken;
    size_t count;
    struct crdb_buffer *rest;
    const char *copied; /* the document up to here is in rest */
    enum crdb_json_take_result result;
};

static bool decode(const char *inside, size_t len, struct crdb_buffer *out, struct take *t) {
    /* An empty buffer needs its memory too, so that data is never NULL. */
    if (crdb_buffer_append(out, "", 0) && crdb_json_decode(inside, len, out))
        return true;
    t->result = out->failed ? CRDB_JSON_TAKE_NO_MEMORY : CRDB_JSON_TAKE_NOT_OBJECT;
    return false;
}

static struct crdb_json_taken *wanted(struct take *t, const struct crdb_json_member *member) {
    struct crdb_buffer key = {0};
    struct crdb_json_taken *found = NULL;
    if (decode(member->key, member->key_length, &key, t))
        for (size_t i = 0; i < t->count && !found; i++)
            if (t->taken[i].key_length == key.length &&
                memcmp(t->taken[i].key, key.data, key.length) == 0)
                found = &t->taken[i];
    crdb_buffer_free(&key);
    return found;
}

static void visit(void *context, const struct crdb_json_member *member) {
    struct take *t = context;
    if (t->result != CRDB_JSON_TAKE_OK || !member->is_string)
        return;
    struct crdb_json_taken *taken = wanted(t, member);
    if (!taken)
        return;
    struct crdb_buffer value = {0};
    if (decode(member->value, member->value_length, &value, t)) {
        crdb_secret_release(taken->value);
        taken->value = crdb_secret_copy(value.data, value.length);
        const char *quote = member->value - 1;
        if (!taken->value || !crdb_buffer_append(t->rest, t->copied, (size_t)(quote - t->copied)) ||
            !crdb_buffer_text(t->rest, "null"))
            t->result = CRDB_JSON_TAKE_NO_MEMORY;
        t->copied = member->value + member->value_length + 1;
    }
    crdb_buffer_free(&value);
}

enum crdb_json_take_result crdb_json_take(const char *text, size_t len,
                                          struct crdb_json_taken *taken, size_t count,
                                          struct crdb_buffer *rest) {
    struct take t = {
        .taken = taken, .count = count, .rest = rest, .copied = text, .result = CRDB_JSON_TAKE_OK};
    for (size_t i = 0; i < count; i++)
        taken[i].value = NULL;
    if (crdb_json_scan(text, len, visit, &t) != CRDB_JSON_OBJECT)
        t.result = CRDB_JSON_TAKE_NOT_OBJECT;
    if (t.result == CRDB_JSON_TAKE_OK &&
        !crdb_buffer_append(rest, t.copied, len - (size_t)(t.copied - text)))
        t.result = CRDB_JSON_TAKE_NO_MEMORY;
    if (t.result != CRDB_JSON_TAKE_OK)
        for (size_t i = 0; i < count; i++) {
            crdb_secret_release(taken[i].value);
            taken[i].value = NULL;
        }
    return t.result;
}
