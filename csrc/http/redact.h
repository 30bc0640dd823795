/*
 * redact.h - takes a secret out of a text that came from elsewhere.
 *
 * Servers and gateways sometimes quote the request in an error. Before such a
 * text becomes a Lua string, every spelling of the secret in it is replaced by
 * CRDB_REDACTED: as it is, with JSON escapes (also \u003c as Go writes it),
 * percent-encoded (either case, '+' for a space), with HTML entities, in
 * hexadecimal (either case), in base64 (both alphabets, at each of the three
 * alignments inside a longer text). Hexadecimal and base64 are looked for only
 * with secrets of at least four bytes; shorter ones would match by chance. A text
 * that holds the secret below further levels of JSON escapes, up to eight, is
 * replaced as a whole.
 */
#ifndef CRDB_REDACT_H
#define CRDB_REDACT_H

#include "base/buffer.h"

#define CRDB_REDACTED "<redacted>"

/* Rewrites text in place and wipes what it held before. False only when memory
 * was short; text is then empty, so that nothing leaks. An empty secret
 * changes nothing. */
bool crdb_redact(struct crdb_buffer *text, const void *secret, size_t length);

/* The same for a JSON document, which may hold a spelling inside a string that
 * is escaped once more (a quoted request, base64 with "\/"). Stays JSON. */
bool crdb_redact_json(struct crdb_buffer *text, const void *secret, size_t length);

#endif
