/*
 * lock.h - one holder at a time, across threads, processes and Lua states.
 *
 * flock(2) on a file that we never rename or remove: removing it lets two
 * holders lock two files of one name. Should somebody else remove it,
 * crdb_lock_open locks the new file of that name, and crdb_lock_holds is false for
 * the holder of the old one.
 * Unlike POSIX record locks it also excludes a second open in the same process.
 * The system frees it when the holder dies, so no lock outlives its holder; the note left
 * in the file then only says who held it last. Over NFS it holds on Linux 2.6.12
 * and later, as the kernel turns it into a lock of the server.
 *
 * After a fork parent and child share the lock. Closing it in the child closes
 * the child's descriptor and leaves the parent's lock alone; closing it in the
 * process that took it frees it, also while a child still has the descriptor.
 * When the parent dies without closing, a child that has not closed it keeps
 * it. A program started by exec never inherits it.
 */
#ifndef CRDB_LOCK_H
#define CRDB_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/failure.h"

enum { CRDB_LOCK_NOTE_MAX = 1024 };

/* open tells whether there is a descriptor; a zeroed struct is closed. */
struct crdb_lock {
    bool open;
    int fd;
    pid_t pid;
};

/* What the present holder wrote, cut at CRDB_LOCK_NOTE_MAX bytes. */
struct crdb_lock_note {
    size_t length;
    char text[CRDB_LOCK_NOTE_MAX];
};

/* Takes the lock or fails at once. Code "busy": someone has it, and *holder is
 * what he wrote; it may be empty, as he may be just about to write. Codes
 * "symlink" and "type" as in durable.h; "owner" and "links": the file is another
 * user's, or another file's too. note is cut at CRDB_LOCK_NOTE_MAX; NULL: nothing is
 * written, for a lock in a directory where others may have files of that name. */
bool crdb_lock_open(struct crdb_lock *lock, const char *path, const void *note, size_t note_len,
                    struct crdb_lock_note *holder, struct crdb_failure *f);

/* False once the file at path is gone or another one, so that somebody else may hold a lock of that name. */
bool crdb_lock_holds(const struct crdb_lock *lock, const char *path);

/* Lets go; does nothing to a closed lock. */
void crdb_lock_close(struct crdb_lock *lock);

#endif
