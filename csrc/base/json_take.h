/*
 * json_take.h - takes the secrets out of a JSON object before anything else sees them.
 *
 * What a secret manager prints, or a credential file holds, becomes a document
 * that may be decoded into ordinary strings, and secrets apart from it.
 */
#ifndef CRDB_JSON_TAKE_H
#define CRDB_JSON_TAKE_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/secret.h"

enum { CRDB_JSON_TAKE_MAX = 32 };

struct crdb_json_taken {
    const char *key; /* given by the caller */
    size_t key_length;
    struct crdb_secret *value; /* NULL: no such string; the caller releases it */
};

enum crdb_json_take_result {
    CRDB_JSON_TAKE_OK,
    CRDB_JSON_TAKE_NOT_OBJECT, /* no whole JSON object, or a string in it is malformed */
    CRDB_JSON_TAKE_NO_MEMORY
};

/* Appends the document to rest with null in place of each top-level string that
 * a key in taken names, and puts the decoded strings there. Keys are compared
 * decoded; of a key that occurs twice the last counts and all are replaced.
 * It leaves values that are no strings. On failure taken holds no value. */
enum crdb_json_take_result crdb_json_take(const char *text, size_t len,
                                          struct crdb_json_taken *taken, size_t count,
                                          struct crdb_buffer *rest);

#endif
