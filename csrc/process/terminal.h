/*
 * terminal.h - asking a person for a secret, and the size of the window.
 */
#ifndef CRDB_TERMINAL_H
#define CRDB_TERMINAL_H

#include "base/failure.h"
#include "base/secret.h"

/* Asks on /dev/tty without echo and returns the line without its end; the
 * caller owns the secret. NULL with *f filled: "ENXIO" (no terminal), other
 * errno names, "empty" (nothing typed), "large", "EINTR". A signal that comes
 * meanwhile takes its usual course after echo is back; if the program survives
 * a stop, the question is put again. One prompt at a time per process. */
struct crdb_secret *crdb_terminal_prompt(const char *text, struct crdb_failure *f);

/* Columns of the terminal at fd; 0: not a terminal, or it does not say. */
int crdb_terminal_width(int fd);

#endif
