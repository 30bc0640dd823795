/*
 * json_scan.h - reads the top-level members of a JSON object without building a tree.
 *
 * For answers whose one or two texts matter (name, code, message), and for
 * documents from which secrets are taken before anything else sees them. The
 * scanner allocates nothing and copies nothing: members point into the text.
 * It is tolerant: number syntax is not checked beyond its characters, control
 * characters inside strings and any bytes above 0x7f pass. Structure is
 * checked, so a document that was cut is never taken for a whole one.
 */
#ifndef CRDB_JSON_SCAN_H
#define CRDB_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum crdb_json_shape {
    CRDB_JSON_BROKEN, /* cut, empty, trailing bytes, or no JSON at all */
    CRDB_JSON_OBJECT, /* one whole object */
    CRDB_JSON_OTHER,  /* one whole array, string, number, true, false or null */
};

struct crdb_json_member {
    const char *key, *value; /* keys and strings: what stands between the quotes, escapes and all */
    size_t key_length, value_length;
    bool is_string;
};

/* Called for each top-level member as soon as its value is complete, in order. */
typedef void crdb_json_visit(void *context, const struct crdb_json_member *member);

/* Scans the whole text. visit may be NULL. Of a broken document the members
 * before the break have been visited. Nesting beyond 512 counts as broken. */
enum crdb_json_shape crdb_json_scan(const char *text, size_t length, crdb_json_visit *visit,
                                    void *context);

/* True when the member's key is spelt exactly so (escaped spellings do not match). */
bool crdb_json_key_is(const struct crdb_json_member *member, const char *key);

/* Appends the decoded form of the inside of a JSON string to out; a lone
 * surrogate becomes U+FFFD. False: a malformed escape, or out failed. */
bool crdb_json_decode(const char *inside, size_t length, struct crdb_buffer *out);

/* Appends a code point as UTF-8. */
bool crdb_utf8_append(struct crdb_buffer *out, unsigned long code_point);

/* Value of four hexadecimal digits at p, of which at least `left` bytes exist; -1 if they are none. */
long crdb_json_hex4(const char *p, size_t left);

#endif
