/*
 * file.h - reading files that may hold secrets, and looking at files and directories.
 */
#ifndef CRDB_FILE_H
#define CRDB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/failure.h"
#include "base/secret.h"

/* How much a file must be kept from others before it is read. */
enum crdb_file_care {
    CRDB_FILE_ANY,     /* a regular file, not through a symlink */
    CRDB_FILE_PRIVATE, /* also: ours, and no permission for group or others */
    /* Given by a person: symlinks are followed (mounted secrets of containers are symlinks), a
     * pipe will do (process substitution), and group and others may neither read nor write it. */
    CRDB_FILE_GIVEN
};

/* The whole file as a secret that the caller owns, or NULL with *f filled. Codes
 * besides errno names: "symlink", "type" (not a regular file), "owner", "mode",
 * "large" (more than max bytes). */
struct crdb_secret *crdb_file_read(const char *path, size_t max, enum crdb_file_care care,
                                   struct crdb_failure *f);

struct crdb_file_info {
    const char *type; /* file, directory, symlink or other */
    mode_t mode;      /* permission bits */
    uid_t uid;
    double size;          /* bytes */
    double mtime;         /* seconds since 1970 */
    char file_system[16]; /* ext, xfs, tmpfs, nfs, overlay, ... or its number in hexadecimal */
};

/* About the path itself, symlinks not followed. */
bool crdb_file_stat(const char *path, struct crdb_file_info *info, struct crdb_failure *f);

/* Opens /dev/null, for reading only, on each of the descriptors 0, 1 and 2 that is closed: the next
 * file or socket would get that number, and whatever is printed would go into it. What is written
 * there still fails, so nobody takes it for printed. */
void crdb_file_fill_standard(void);

/* The names in a directory without "." and "..", sorted by byte, one after the
 * other in *names, each ended by a NUL. The caller frees the buffer. */
bool crdb_list_dir(const char *path, struct crdb_buffer *names, struct crdb_failure *f);

#endif
