#include "files/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

/* Some file systems cannot sync a directory and say so; then there is nothing more to do. */
static bool sync_dir(int dir) {
    while (fsync(dir) != 0) {
        if (errno == EINVAL || errno == EROFS || errno == ENOTSUP)
            return true;
        if (errno != EINTR)
            return false;
    }
    return true;
}

static bool sync_file(int fd) {
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

static bool write_all(int fd, const void *bytes, size_t len) {
    const char *p = bytes;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Opens the directory that holds path; *name points to the last part within path. -1: failed. */
static int open_parent(const char *path, const char **name, struct crdb_failure *f) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (len >= sizeof parent) {
        crdb_fail_errno(f, ENAMETOOLONG, "open", path);
        return -1;
    }
    if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) {
        crdb_fail_errno(f, **name ? EISDIR : (slash ? EISDIR : ENOENT), "use as a file", path);
        return -1;
    }
    if (slash) {
        memcpy(parent, path, len);
        parent[len] = '\0';
    }
    int dir = open(!slash ? "." : (len == 0 ? "/" : parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        crdb_fail_errno(f, errno, "open the directory of", path);
    return dir;
}

/* Looks at what is there to be replaced; *found tells whether something is. */
static bool check_target(int dir, const char *name, const char *path, struct stat *st, bool *found,
                         struct crdb_failure *f) {
    *found = fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*found) {
        if (errno == ENOENT)
            return true;
        crdb_fail_errno(f, errno, "look at", path);
        return false;
    }
    if (S_ISREG(st->st_mode) && st->st_uid == geteuid())
        return true;
    if (S_ISREG(st->st_mode))
        crdb_fail(f, "owner", "%.800s belongs to uid %ju, not to uid %ju that writes it", path,
                  (uintmax_t)st->st_uid, (uintmax_t)geteuid());
    else if (S_ISLNK(st->st_mode))
        crdb_fail(f, "symlink", "%.800s is a symbolic link; name the file itself", path);
    else
        crdb_fail(f, "type", "%.800s is %s, not a regular file", path,
                  S_ISDIR(st->st_mode) ? "a directory" : "a special file");
    return false;
}

/* Gives the new file the group of the one it replaces. */
static bool keep_group(int fd, const struct stat *old, const char *path, struct crdb_failure *f) {
    struct stat new;
    if (fstat(fd, &new) != 0) {
        crdb_fail_errno(f, errno, "look at", path);
        return false;
    }
    if (new.st_gid == old->st_gid || fchown(fd, (uid_t)-1, old->st_gid) == 0)
        return true;
    crdb_fail(f, "owner", "%.800s has gid %ju, and uid %ju may not give the new file to it", path,
              (uintmax_t)old->st_gid, (uintmax_t)geteuid());
    return false;
}

/* Fills the open temporary file; errors of the system are reported against path. */
static bool fill(int fd, const char *path, const void *bytes, size_t len, mode_t mode,
                 const struct stat *old, struct crdb_failure *f) {
    if (old && !keep_group(fd, old, path, f))
        return false;
    if (fchmod(fd, mode) == 0 && write_all(fd, bytes, len) && sync_file(fd))
        return true;
    crdb_fail_errno(f, errno, "write", path);
    return false;
}

static bool replace(int dir, const char *name, const char *path, const void *bytes, size_t len,
                    mode_t mode, struct crdb_failure *f) {
    struct stat old;
    bool found;
    if (!check_target(dir, name, path, &old, &found, f))
        return false;
    uint64_t number;
    char temporary[NAME_MAX + 1];
    if (!crdb_random_bytes(&number, sizeof number)) {
        crdb_fail_errno(f, errno, "get random bytes to write", path);
        return false;
    }
    if (snprintf(temporary, sizeof temporary, ".%s.tmp.%016jx", name, (uintmax_t)number) >=
        (int)sizeof temporary) {
        crdb_fail_errno(f, ENAMETOOLONG, "write", path);
        return false;
    }
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        crdb_fail_errno(f, errno, "make a file beside", path);
        return false;
    }
    bool done = fill(fd, path, bytes, len, mode, found ? &old : NULL, f);
    if (close(fd) != 0 && done && errno != EINTR) {
        crdb_fail_errno(f, errno, "write", path);
        done = false;
    }
    if (done && renameat(dir, temporary, dir, name) != 0) {
        crdb_fail_errno(f, errno, "replace", path);
        done = false;
    }
    if (!done) {
        unlinkat(dir, temporary, 0);
        return false;
    }
    if (!sync_dir(dir)) {
        crdb_fail_errno(f, errno, "sync the directory after replacing", path);
        return false;
    }
    return true;
}

bool crdb_durable_write(const char *path, const void *bytes, size_t len, mode_t mode,
                        struct crdb_failure *f) {
    const char *name;
    int dir = open_parent(path, &name, f);
    if (dir < 0)
        return false;
    bool done = replace(dir, name, path, bytes, len, mode, f);
    close(dir);
    return done;
}

bool crdb_durable_remove(const char *path, struct crdb_failure *f) {
    const char *name;
    int dir = open_parent(path, &name, f);
    if (dir < 0)
        return false;
    bool done = unlinkat(dir, name, 0) == 0 && sync_dir(dir);
    if (!done)
        crdb_fail_errno(f, errno, "remove", path);
    close(dir);
    return done;
}

/* Makes one directory whose parent exists, and syncs the parent. */
static bool make_one(const char *path, struct crdb_failure *f) {
    struct stat st;
    if (mkdir(path, 0700) != 0) {
        int err = errno;
        if (stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode))
                return true;
            crdb_fail(f, "type", "%.800s exists and is not a directory", path);
        } else {
            crdb_fail_errno(f, err, "make the directory", path);
        }
        return false;
    }
    const char *name;
    int parent = open_parent(path, &name, f);
    if (parent < 0)
        return false;
    bool done = sync_dir(parent);
    if (!done)
        crdb_fail_errno(f, errno, "sync the directory of", path);
    close(parent);
    return done;
}

bool crdb_durable_make_dir(const char *path, struct crdb_failure *f) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof part) {
        crdb_fail_errno(f, len ? ENAMETOOLONG : ENOENT, "make the directory", path);
        return false;
    }
    for (size_t i = 1; i <= len; i++) {
        if (i < len && (path[i] != '/' || path[i - 1] == '/'))
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (!make_one(part, f))
            return false;
    }
    return true;
}
