#include "http/recent.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/random.h"
#include "http/redact.h"

enum { LIST_SIZE = 1024, LENGTHS = 16, SHORTEST = 8, LEVELS = 8 };

static const uint64_t PRIME = 2147483647; /* a product of two residues fits into 64 bits */

struct sent {
    double until; /* boottime */
    uint64_t hash;
    size_t length;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t bases[2]; /* the key; zero: there was no randomness, and nothing is kept */
static struct sent list[LIST_SIZE];
static size_t newest, count;

static void lock(void) {
    pthread_mutex_lock(&mutex);
}

static void unlock(void) {
    pthread_mutex_unlock(&mutex);
}

static void prepare(void) {
    uint64_t drawn[2];
    (void)pthread_atfork(lock, unlock, unlock);
    if (!crdb_random_bytes(drawn, sizeof drawn))
        return;
    for (int i = 0; i < 2; i++)
        bases[i] = 256 + drawn[i] % (PRIME - 512);
}

static uint64_t joined(const uint64_t h[2]) {
    return h[0] << 32 | h[1];
}

static uint64_t hash_of(const unsigned char *bytes, size_t length) {
    uint64_t h[2] = {0, 0};
    for (size_t i = 0; i < length; i++)
        for (int k = 0; k < 2; k++)
            h[k] = (h[k] * bases[k] + bytes[i] + 1) % PRIME;
    return joined(h);
}

void crdb_recent_note(const void *password, size_t length) {
    if (length < SHORTEST)
        return;
    pthread_once(&once, prepare);
    struct sent s = {crdb_boottime() + CRDB_RECENT_SECONDS, hash_of(password, length), length};
    lock();
    /* The same is sent again by every retry. */
    if (count == 0 || list[newest].hash != s.hash) {
        newest = (newest + 1) % LIST_SIZE;
        if (count < LIST_SIZE)
            count++;
    }
    list[newest] = s;
    unlock();
}

/* What is looked for in one text, sorted by length and hash. */
struct wanted {
    struct sent *sent;
    size_t count;
};

static int compare(const void *a, const void *b) {
    const struct sent *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* False: no memory. */
static bool take_list(struct wanted *w) {
    size_t lengths[LENGTHS], kinds = 0;
    double now = crdb_boottime();
    bool fits = true;
    lock();
    if (count > 0 && bases[0]) {
        w->sent = malloc(count * sizeof *w->sent);
        fits = w->sent != NULL;
    }
    for (size_t i = 0; fits && w->sent && i < count; i++) {
        const struct sent *s = &list[(newest + LIST_SIZE - i) % LIST_SIZE];
        size_t k = 0;
        while (k < kinds && lengths[k] != s->length)
            k++;
        if (s->until < now || k == LENGTHS)
            continue;
        if (k == kinds)
            lengths[kinds++] = s->length;
        w->sent[w->count++] = *s;
    }
    unlock();
    if (w->count)
        qsort(w->sent, w->count, sizeof *w->sent, compare);
    return fits;
}

/* Marks the bytes of text that are one of the passwords [first, end) of one length. */
static bool mark_length(const struct crdb_buffer *text, const struct sent *first,
                        const struct sent *end, unsigned char *marks) {
    const unsigned char *p = (const unsigned char *)text->data;
    size_t length = first->length;
    uint64_t h[2] = {0, 0}, power[2] = {1, 1};
    unsigned char seen[1024] = {
        0}; /* a bit for each hash that there may be, so that few are searched */
    bool found = false;
    for (const struct sent *s = first; s < end; s++)
        seen[(s->hash >> 3) & 1023] |= (unsigned char)(1u << (s->hash & 7));
    for (size_t i = 0; i < length; i++)
        for (int k = 0; k < 2; k++)
            power[k] = power[k] * bases[k] % PRIME;
    for (size_t i = 0; i < text->length; i++) {
        for (int k = 0; k < 2; k++) {
            h[k] = h[k] * bases[k] + p[i] + 1;
            if (i >= length)
                h[k] += (PRIME - (p[i - length] + 1u)) * power[k];
            h[k] %= PRIME;
        }
        struct sent key = {0, joined(h), length};
        if (i + 1 < length || !(seen[(key.hash >> 3) & 1023] >> (key.hash & 7) & 1))
            continue;
        if (!bsearch(&key, first, (size_t)(end - first), sizeof key, compare))
            continue;
        found = true;
        if (!marks)
            return true;
        memset(marks + i + 1 - length, 1, length);
    }
    return found;
}

static bool mark(const struct crdb_buffer *text, const struct wanted *w, unsigned char *marks) {
    bool found = false;
    for (size_t i = 0, next; i < w->count; i = next) {
        for (next = i; next < w->count && w->sent[next].length == w->sent[i].length;)
            next++;
        if (text->length >= w->sent[i].length)
            found |= mark_length(text, w->sent + i, w->sent + next, marks);
    }
    return found;
}

/* Replaces what is marked; false: no memory. */
static bool cut_marked(struct crdb_buffer *text, const unsigned char *marks) {
    struct crdb_buffer out = {0};
    bool fits = true;
    for (size_t i = 0, next; fits && i < text->length; i = next) {
        for (next = i; next < text->length && marks[next] == marks[i];)
            next++;
        fits = marks[i] ? crdb_buffer_text(&out, CRDB_REDACTED)
                        : crdb_buffer_append(&out, text->data + i, next - i);
    }
    out.limit = text->limit;
    if (fits) {
        crdb_buffer_free(text);
        *text = out;
    } else {
        crdb_buffer_free(&out);
    }
    return fits;
}

/* Without the escapes that a letter introduces; what is none stays. */
static bool decode(const struct crdb_buffer *text, char escape, struct crdb_buffer *out) {
    for (size_t i = 0; i < text->length;) {
        const char *p = text->data + i, *next = memchr(p, escape, text->length - i);
        size_t plain = next ? (size_t)(next - p) : text->length - i,
               left = text->length - i - plain;
        if (!crdb_buffer_append(out, p, plain))
            return false;
        i += plain;
        if (!next)
            break;
        char hex[5] = "00", byte;
        size_t used = 1;
        if (escape == '%' && left >= 3) {
            memcpy(hex + 2, next + 1, 2);
            long c = crdb_json_hex4(hex, 4);
            byte = (char)c;
            used = c >= 0 && crdb_buffer_append(out, &byte, 1) ? 3 : 1;
        } else if (escape == '\\' && left >= 2) {
            used = next[1] == 'u' ? 6 : 2;
            if (used > left || !crdb_json_decode(next, used, out))
                used = 1;
        }
        if (used == 1 && !crdb_buffer_append(out, next, 1))
            return false;
        i += used;
    }
    return !out->failed;
}

/* Looks behind each level of escapes. The redaction of the key has bounded their number (redact.c). */
static bool find_decoded(const struct crdb_buffer *text, const struct wanted *w, bool *found) {
    bool fits = true;
    for (const char *escape = "\\%"; *escape && fits && !*found; escape++) {
        struct crdb_buffer now = {0}, next = {0};
        const struct crdb_buffer *level = text;
        for (int i = 0; i < LEVELS && fits && !*found; i++) {
            if (!level->data || !memchr(level->data, *escape, level->length))
                break;
            fits = decode(level, *escape, &next);
            crdb_buffer_free(&now);
            now = next;
            next = (struct crdb_buffer){0};
            level = &now;
            *found = fits && mark(&now, w, NULL);
        }
        crdb_buffer_free(&now);
    }
    return fits;
}

bool crdb_recent_redact(struct crdb_buffer *text, bool json) {
    struct wanted w = {0};
    if (text->length < SHORTEST)
        return true;
    bool fits = take_list(&w), found = false;
    if (fits && w.count > 0) {
        unsigned char *marks = calloc(1, text->length);
        fits = marks && (!mark(text, &w, marks) || cut_marked(text, marks));
        free(marks);
        fits = fits && find_decoded(text, &w, &found);
    }
    free(w.sent);
    if (!fits || found)
        crdb_buffer_reset(text);
    return fits &&
           (!found || crdb_buffer_text(text, json ? "\"" CRDB_REDACTED "\"" : CRDB_REDACTED));
}
