/*
 * decode.h - the bytes behind their spellings in hexadecimal and base64.
 *
 * Each appends to a wiped buffer. False: the text is no such spelling, or the
 * buffer has failed; what was appended before is left there.
 */
#ifndef CRDB_DECODE_H
#define CRDB_DECODE_H

#include "base/buffer.h"

/* Pairs of digits in either case, nothing between them. */
bool crdb_decode_hex(struct crdb_buffer *b, const void *text, size_t len);

/* RFC 4648 section 4. Padding may be missing; bits that no byte has must be 0. */
bool crdb_decode_base64(struct crdb_buffer *b, const void *text, size_t len);

#endif
