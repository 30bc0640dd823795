/*
 * interrupts.h - SIGINT, SIGTERM and SIGHUP that only count, for the command line.
 *
 * A write that is under way must be finished and recorded before the program
 * ends, so the handlers do nothing but count and the program looks. SIGPIPE is
 * ignored meanwhile: whoever stops reading our output must not end a change. A
 * SIGHUP that was ignored before, by nohup(1), stays so. Signal
 * handlers belong to the process: a library user who never calls
 * crdb_interrupts keeps his own.
 */
#ifndef CRDB_INTERRUPTS_H
#define CRDB_INTERRUPTS_H

#include <stdbool.h>

/* Installs the handlers, or puts back those found then; either sets the count to 0.
 * Doing either twice changes nothing. Not for two threads at a time. */
bool crdb_interrupts(bool on);

bool crdb_interrupts_on(void);

/* A second SIGINT or SIGTERM ends the process at once, with 128 and its number, after these words (cut to
 * 511 bytes) on standard error; NULL: it only counts, as it does after each crdb_interrupts. One
 * that comes within 0.3 s of the first is the same wish: timeout(1) and terminals send a signal to
 * a process and to its group. Not for two threads at a time. */
void crdb_interrupts_end(const char *words);

/* How many came since they were switched on. */
unsigned crdb_interrupt_count(void);

/* The number of the last one, 0 for none. */
int crdb_interrupt_signal(void);

#endif
