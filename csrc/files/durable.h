/*
 * durable.h - changes to files and directories that survive a crash.
 *
 * A function that returns true has reached the disk: the data and the directory
 * entry are both synced. Functions that fail fill *f; codes besides errno names
 * are given below. Paths are NUL-terminated.
 */
#ifndef CRDB_DURABLE_H
#define CRDB_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/failure.h"

/* Replaces the file, or makes it: a crash at any point leaves the old content or
 * the new, never a mixture. The new content is written to `.NAME.tmp.<random>`
 * beside it, with that mode whatever the umask, and synced before it takes the
 * name; a crash may leave that file behind. The new file is ours, whoever
 * has the old one: in a directory that others may write, the new content would else go to
 * whoever plants a file. A file of another owner is refused. The group is kept; where it cannot
 * be, the call fails, as the reader of the old file could not read the new one. Codes:
 * "symlink", "type" (the target is no regular file), "owner". */
bool crdb_durable_write(const char *path, const void *bytes, size_t len, mode_t mode,
                        struct crdb_failure *f);

/* Removes a file; that it is not there is a failure with the code ENOENT. */
bool crdb_durable_remove(const char *path, struct crdb_failure *f);

/* Makes the directory and those above it that are missing, mode 0700. One that
 * exists is left as it is. Code "type": something else has the name. */
bool crdb_durable_make_dir(const char *path, struct crdb_failure *f);

#endif
