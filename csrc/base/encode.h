/*
 * encode.h - spellings of secret bytes for the places that take them, and back.
 *
 * Each function appends to a wiped buffer and returns false when the bytes did
 * not fit or memory was short. JSON and percent-encoding stand in buffer.h,
 * because every request needs them.
 */
#ifndef CRDB_ENCODE_H
#define CRDB_ENCODE_H

#include "base/buffer.h"

/* RFC 4648 section 4, with padding. */
bool crdb_encode_base64(struct crdb_buffer *b, const void *bytes, size_t len);

/* Lower-case hexadecimal. */
bool crdb_encode_hex(struct crdb_buffer *b, const void *bytes, size_t len);

/* A field of a libpq password file: ':' and '\' get a backslash. A field that
 * holds a line feed or NUL cannot be written there; the caller checks. */
bool crdb_encode_pgpass(struct crdb_buffer *b, const void *bytes, size_t len);

/* The bytes behind pairs of hexadecimal digits in either case. Also false when the text is no such
 * spelling, as below; what was appended before stays in the buffer. */
bool crdb_decode_hex(struct crdb_buffer *b, const void *text, size_t len);

/* The bytes behind RFC 4648 section 4. Padding may be missing; bits that no byte has must be 0. */
bool crdb_decode_base64(struct crdb_buffer *b, const void *text, size_t len);

#endif
