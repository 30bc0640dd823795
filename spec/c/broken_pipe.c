/*
 * Preloaded: a connection breaks in mid-write and the kernel sends SIGPIPE, as it does for whoever
 * writes without MSG_NOSIGNAL (OpenSSL by itself, libcurl before 7.87). BREAK_AFTER: bytes that a
 * socket may send.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static long sent;

static int is_broken(size_t size) {
    const char *limit = getenv("BREAK_AFTER");
    sent += (long)size;
    if (!limit || sent <= atol(limit))
        return 0;
    raise(SIGPIPE); /* to this thread, like the kernel's */
    errno = EPIPE;
    return 1;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    return is_broken(size) ? -1 : real(fd, bytes, size, flags);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    int type;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && is_broken(size))
        return -1;
    return real(fd, bytes, size);
}
