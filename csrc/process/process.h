/*
 * process.h - runs one program to its end: no shell, a time limit, bounded output.
 *
 * The program sees the given environment only, standard input, output and
 * error, and no other descriptor of ours. It gets a session of its own, so that
 * it cannot ask on our terminal and the time limit reaches all that it started
 * (but what moved to another session). It starts with no signal blocked or
 * ignored. Any number of threads may run programs at once: nothing here
 * is shared, no signal handler is set, and only this program is waited for.
 *
 * Where the host waits for all children (nginx) or ignores SIGCHLD, a process
 * of ours is the parent and keeps the exit status: see process_keeper.h.
 */
#ifndef CRDB_PROCESS_H
#define CRDB_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/failure.h"

struct crdb_process_spec {
    char *const *argv; /* NULL at the end; argv[0] is looked for in PATH unless it has a '/' */
    char *const *environment; /* NULL at the end; NAME=VALUE */
    const char *directory;    /* where it runs; NULL: where we do */
    const void *input;        /* for its standard input; may be left unread */
    size_t input_length;      /* bytes; 0: the input is empty */
    double timeout;           /* seconds; then SIGTERM, and SIGKILL two seconds later */
    size_t output_max;        /* bytes kept of each stream; what follows is read and dropped */
};

struct crdb_process_result {
    struct crdb_buffer out, err;
    int status;     /* exit status; -1: it did not exit, or that is not known */
    int signal;     /* that ended it; 0: none, or that is not known */
    bool timed_out; /* it was stopped by us */
    bool truncated; /* a stream was longer than output_max */
};

/* Runs the program and fills *result, which the caller frees also after a
 * failure. False: it could not be started (errno name), memory was short
 * ("ENOMEM"), or it cannot be killed ("ETIMEDOUT", after timeout + 4 s). */
bool crdb_process_run(const struct crdb_process_spec *spec, struct crdb_process_result *result,
                      struct crdb_failure *f);

/* Wipes and frees what the result holds. */
void crdb_process_result_free(struct crdb_process_result *result);

/* A program that was started, and our ends of its pipes (-1: closed); process_spawn.c. */
struct crdb_child {
    pid_t pid;
    int in, out, err; /* do not block */
    pid_t keeper;     /* its parent, when that is not us */
    int report;       /* where the keeper tells of it; -1: there is none */
};

/* Starts the program. False: nothing is left of it, and *f says why. */
bool crdb_process_spawn(const struct crdb_process_spec *spec, struct crdb_child *child,
                        struct crdb_failure *f);

#endif
