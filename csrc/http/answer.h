/*
 * answer.h - what the JSON of an answer says: whose user, which error, in which words.
 *
 * Errors are google.rpc.Status documents, {code, message, details}, but nothing
 * here relies on it: members may be absent, details may be strings or objects.
 */
#ifndef CRDB_ANSWER_H
#define CRDB_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct crdb_answer {
    bool whole;        /* one whole JSON document */
    long code;         /* gRPC code; -1 for none */
    bool has_name;     /* there is a name, */
    bool name_matches; /* and it is the one asked about, as the service folds names */
};

/* Reads body. name is the user that was asked about. The message, followed by
 * the first text among the details, is appended to message; raw, as it came. */
struct crdb_answer crdb_answer_read(const struct crdb_buffer *body, const struct crdb_buffer *name,
                                    struct crdb_buffer *message);

#endif
