/*
 * recent.h - the passwords that this process has sent in the last minutes, so that no later answer
 * shows one. No password is kept: only its length and a hash under a key that is drawn once for the
 * process. All threads and Lua states share the list, guarded by a mutex; the newest LIST_SIZE of
 * recent.c count, for CRDB_RECENT_SECONDS each.
 */
#ifndef CRDB_RECENT_H
#define CRDB_RECENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define CRDB_RECENT_SECONDS 600

/* Remembers a password that is about to be sent; shorter ones than eight bytes are not looked for. */
void crdb_recent_note(const void *password, size_t length);

/* Replaces each of them in text by CRDB_REDACTED: as it is, and in the text behind JSON escapes or
 * percent-encoding, in which case all of text is replaced. Time is linear in the text. False only when
 * memory was short; text is then empty. */
bool crdb_recent_redact(struct crdb_buffer *text, bool json);

#endif
