/*
 * message.h - the one line that tells a person what became of an exchange.
 */
#ifndef CRDB_MESSAGE_H
#define CRDB_MESSAGE_H

#include "base/buffer.h"
#include "http/outcome.h"

enum { CRDB_MESSAGE_MAX = 500 }; /* bytes; a longer one is cut */

/* Makes text one clean line: control and formatting characters become spaces,
 * what is not UTF-8 becomes '?', the rest behind CRDB_MESSAGE_MAX is cut. */
void crdb_message_clean(struct crdb_buffer *text);

/* Writes our own line for an answer, or the lack of one, that brought no
 * message. transport is libcurl's text for evidence->curl. */
void crdb_message_explain(struct crdb_buffer *text, const struct crdb_evidence *evidence,
                          const struct crdb_outcome *outcome, const char *transport);

#endif
