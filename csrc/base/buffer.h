/*
 * buffer.h - a growing byte buffer that never leaves a copy behind.
 *
 * For request bodies, responses and files that may hold secrets. Growth copies
 * into fresh memory and wipes the old block (realloc would leave it as it was).
 * A zeroed struct is an empty buffer. After a failed append the buffer is
 * marked failed and stays as it was; so a caller may append several times and
 * check once. limit is the largest length in bytes, 0 for none. With guarded,
 * set before the first append, the bytes lie where secrets do (secret.h): for
 * a secret that stays here for longer than a moment.
 */
#ifndef CRDB_BUFFER_H
#define CRDB_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct crdb_secret;

struct crdb_buffer {
    char *data; /* NUL-terminated when not NULL; the NUL is not counted */
    size_t length, capacity, limit;
    bool failed, over_limit; /* no memory; larger than limit */
    bool guarded;
    struct crdb_secret *memory; /* what data lies in; NULL: malloc */
};

/* Each returns false when the bytes did not fit or memory was short. */
bool crdb_buffer_append(struct crdb_buffer *b, const void *bytes, size_t len);
bool crdb_buffer_text(struct crdb_buffer *b, const char *text);

/* Appends bytes as the inside of a JSON string (no quotes). */
bool crdb_buffer_json(struct crdb_buffer *b, const void *bytes, size_t len);

/* Appends bytes percent-encoded; only RFC 3986 unreserved characters stay. */
bool crdb_buffer_uri(struct crdb_buffer *b, const void *bytes, size_t len);

/* Wipes what lies beyond length bytes and forgets it. */
void crdb_buffer_cut(struct crdb_buffer *b, size_t length);

/* Empties and wipes, keeping the memory for reuse. */
void crdb_buffer_reset(struct crdb_buffer *b);

/* Wipes and frees; the buffer is empty and usable afterwards. */
void crdb_buffer_free(struct crdb_buffer *b);

#endif
