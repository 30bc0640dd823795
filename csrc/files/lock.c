#include "files/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_note(int fd, const void *note, size_t len) {
    if (len > CRDB_LOCK_NOTE_MAX)
        len = CRDB_LOCK_NOTE_MAX;
    ssize_t n = pwrite(fd, note, len, 0);
    if (n >= 0 && n < (ssize_t)len)
        errno = ENOSPC; /* a short write to a regular file sets no errno */
    return n == (ssize_t)len && ftruncate(fd, (off_t)len) == 0;
}

static int open_lock_file(const char *path, struct crdb_failure *f) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    struct stat st;
    if (fd < 0) {
        int err = errno;
        if (err == ELOOP && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
            crdb_fail(f, "symlink", "%.800s is a symbolic link; name the lock file itself", path);
        else
            crdb_fail_errno(f, err, "open the lock", path);
        return -1;
    }
    if (fstat(fd, &st) != 0) {
        crdb_fail_errno(f, errno, "look at", path);
    } else if (!S_ISREG(st.st_mode)) {
        crdb_fail(f, "type", "%.800s is not a regular file", path);
    } else if (st.st_uid != geteuid()) {
        crdb_fail(f, "owner", "the lock %.800s belongs to uid %ju, not to uid %ju that takes it",
                  path, (uintmax_t)st.st_uid, (uintmax_t)geteuid());
    } else if (st.st_nlink > 1) {
        crdb_fail(f, "links", "the lock %.800s has a second name (a hard link), so it is not ours",
                  path);
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

enum naming { NAMED, UNNAMED, UNSEEN };

static enum naming look(int fd, const char *path) {
    struct stat locked, named;
    if (fstat(fd, &locked) != 0)
        return UNNAMED;
    if (lstat(path, &named) != 0)
        return errno == ENOENT ? UNNAMED : UNSEEN;
    return locked.st_dev == named.st_dev && locked.st_ino == named.st_ino ? NAMED : UNNAMED;
}

/* Returns a descriptor with the lock, or -1. */
static int take(const char *path, struct crdb_lock_note *holder, struct crdb_failure *f) {
    int fd = open_lock_file(path, f);
    if (fd < 0)
        return -1;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        if (err == EINTR)
            continue;
        if (err == EWOULDBLOCK) {
            ssize_t n = pread(fd, holder->text, sizeof holder->text, 0);
            holder->length = n > 0 ? (size_t)n : 0;
            crdb_fail(f, "busy", "%.800s is locked by another run", path);
        } else {
            crdb_fail_errno(f, err, "lock", path);
        }
        close(fd);
        return -1;
    }
    return fd;
}

bool crdb_lock_open(struct crdb_lock *lock, const char *path, const void *note, size_t note_len,
                    struct crdb_lock_note *holder, struct crdb_failure *f) {
    enum { TRIES = 10 };
    int fd = -1;
    holder->length = 0;
    for (int i = 0; i < TRIES && fd < 0; i++) {
        fd = take(path, holder, f);
        if (fd < 0)
            return false;
        if (look(fd, path) != NAMED) { /* removed after it was opened */
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        crdb_fail(f, "busy", "%.800s is removed again and again", path);
        return false;
    }
    if (note && !write_note(fd, note, note_len)) {
        crdb_fail_errno(f, errno, "write to the lock", path);
        close(fd);
        return false;
    }
    *lock = (struct crdb_lock){.open = true, .fd = fd, .pid = getpid()};
    return true;
}

bool crdb_lock_holds(const struct crdb_lock *lock, const char *path) {
    /* Where we cannot look, nobody else can take it either: that is a fault of the file system. */
    return lock->open && look(lock->fd, path) != UNNAMED;
}

void crdb_lock_close(struct crdb_lock *lock) {
    if (!lock->open)
        return;
    lock->open = false;
    /* LOCK_UN in a forked child would free the parent's lock: they share it. */
    if (lock->pid == getpid())
        flock(lock->fd, LOCK_UN);
    close(lock->fd);
}
