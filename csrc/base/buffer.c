#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { FIRST_CAPACITY = 256 };

/* Fresh memory for the buffer; NULL: there is none. */
static char *take_memory(const struct crdb_buffer *b, size_t capacity,
                         struct crdb_secret **memory) {
    *memory = NULL;
    if (!b->guarded)
        return malloc(capacity);
    *memory = crdb_secret_new(capacity - 1);
    return *memory ? (char *)crdb_secret_bytes(*memory) : NULL;
}

static void give_memory_back(struct crdb_buffer *b) {
    if (b->memory) {
        crdb_secret_release(b->memory);
    } else if (b->data) {
        crdb_wipe(b->data, b->capacity);
        free(b->data);
    }
}

/* Makes room for len more bytes and a NUL. */
static bool reserve(struct crdb_buffer *b, size_t len) {
    if (b->failed)
        return false;
    if (len > PTRDIFF_MAX - 1 - b->length) {
        b->failed = true;
        return false;
    }
    size_t needed = b->length + len;
    if (b->limit && needed > b->limit) {
        b->failed = b->over_limit = true;
        return false;
    }
    if (needed < b->capacity)
        return true;
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    while (capacity <= needed)
        capacity = capacity > PTRDIFF_MAX / 2 ? needed + 1 : capacity * 2;
    struct crdb_secret *memory;
    char *data = take_memory(b, capacity, &memory);
    if (!data) {
        b->failed = true;
        return false;
    }
    if (b->length)
        memcpy(data, b->data, b->length);
    data[b->length] = '\0';
    give_memory_back(b);
    b->memory = memory;
    b->data = data;
    b->capacity = capacity;
    return true;
}

bool crdb_buffer_append(struct crdb_buffer *b, const void *bytes, size_t len) {
    if (!reserve(b, len))
        return false;
    if (len)
        memcpy(b->data + b->length, bytes, len);
    b->length += len;
    b->data[b->length] = '\0';
    return true;
}

bool crdb_buffer_text(struct crdb_buffer *b, const char *text) {
    return crdb_buffer_append(b, text, strlen(text));
}

bool crdb_buffer_json(struct crdb_buffer *b, const void *bytes, size_t len) {
    const unsigned char *p = bytes;
    size_t plain = 0; /* start of the bytes not yet appended */
    for (size_t i = 0; i < len; i++) {
        unsigned char c = p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        char escape[7];
        if (c >= 0x20)
            snprintf(escape, sizeof escape, "\\%c", c);
        else
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        bool fits = crdb_buffer_append(b, p + plain, i - plain) && crdb_buffer_text(b, escape);
        crdb_wipe(escape, sizeof escape);
        if (!fits)
            return false;
        plain = i + 1;
    }
    return crdb_buffer_append(b, p + plain, len - plain);
}

static bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool crdb_buffer_uri(struct crdb_buffer *b, const void *bytes, size_t len) {
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *p = bytes;
    size_t plain = 0; /* start of the bytes not yet appended */
    for (size_t i = 0; i < len; i++) {
        if (is_unreserved(p[i]))
            continue;
        char escape[3] = {'%', digits[p[i] >> 4], digits[p[i] & 15]};
        bool fits = crdb_buffer_append(b, p + plain, i - plain) &&
                    crdb_buffer_append(b, escape, sizeof escape);
        crdb_wipe(escape, sizeof escape);
        if (!fits)
            return false;
        plain = i + 1;
    }
    return crdb_buffer_append(b, p + plain, len - plain);
}

void crdb_buffer_cut(struct crdb_buffer *b, size_t length) {
    if (length >= b->length)
        return;
    crdb_wipe(b->data + length, b->length - length);
    b->length = length;
}

void crdb_buffer_reset(struct crdb_buffer *b) {
    crdb_wipe(b->data, b->capacity);
    b->length = 0;
    b->failed = b->over_limit = false;
}

void crdb_buffer_free(struct crdb_buffer *b) {
    give_memory_back(b);
    *b = (struct crdb_buffer){.limit = b->limit, .guarded = b->guarded};
}
