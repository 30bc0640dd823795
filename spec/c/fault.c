/* Preloaded: counts the calls that change files, and at the one numbered FAULT_AT kills the
 * process or, when FAULT_ERRNO is set, makes the call fail. A write killed so has written half.
 * With FAULT_LOG=1 the names of the calls go to standard error. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int count;

static int number(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

/* True when this call must fail; does not return when the process must die. */
static int due(const char *name) {
    if (number("FAULT_LOG"))
        dprintf(2, "%s ", name);
    if (++count != number("FAULT_AT"))
        return 0;
    if (!number("FAULT_ERRNO"))
        raise(SIGKILL);
    errno = number("FAULT_ERRNO");
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int openat(int dir, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return due("openat") ? -1 : REAL(openat)(dir, path, flags, mode);
}

int fchmod(int fd, mode_t mode) {
    return due("fchmod") ? -1 : REAL(fchmod)(fd, mode);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    if (count + 1 == number("FAULT_AT") && !number("FAULT_ERRNO"))
        (void)!REAL(write)(fd, bytes, len / 2);
    return due("write") ? -1 : REAL(write)(fd, bytes, len);
}

int fsync(int fd) {
    return due("fsync") ? -1 : REAL(fsync)(fd);
}

int renameat(int olddir, const char *old, int newdir, const char *new) {
    return due("renameat") ? -1 : REAL(renameat)(olddir, old, newdir, new);
}

int unlinkat(int dir, const char *path, int flags) {
    return due("unlinkat") ? -1 : REAL(unlinkat)(dir, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    return due("mkdir") ? -1 : REAL(mkdir)(path, mode);
}
