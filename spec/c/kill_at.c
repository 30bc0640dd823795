/* Preloaded: numbers the calls by which a process touches the world (files that change, sockets) and at one of them
 * kills the process, or lets the call fail or stop half-way. Loaded into the real program, so that every boundary is
 * reached without a hook in the product.
 *
 *   KILL_TRACE=FILE  required; a line "N CALL TARGET" for each numbered call, "- CALL TARGET" for one that the settings
 *                    below leave out, "# NAME" for each mark; the last line is where it ended
 *   KILL_AT=N        the call, from 1; 0 or missing: only count
 *   KILL_HOW=before  SIGKILL before the call (default); after: when it has been made; half: when half of its bytes are
 *                    out (before, where a call has no bytes); a number: the call fails with that errno; short: half of
 *                    the bytes are taken and the program goes on
 *   KILL_LAST=M      for errno and short: calls N to M; default N; "all": N and every later one
 *   KILL_ONLY=A,B    only calls of these names are numbered
 *   KILL_PATH=TEXT   only calls whose target holds TEXT: a path, "tcp:PORT", "unix"
 *   KILL_MARK=NAME   numbering begins at this mark; a program sets marks by rename("@mark", NAME)
 *
 * Receiving counts only when there is something to be received, or the call would block. Writes to standard output
 * and error do not count. Calls inside libc (stdio) are not seen. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { PASS, BEFORE, AFTER, HALF, FAIL, SHORT };

static struct {
    long at, last;
    enum how how;
    int error;
    const char *only, *path, *mark;
    int trace; /* descriptor, -1: not set up */
    atomic_bool counting;
    atomic_long count;
} plan = {.trace = -1};

static void say(const char *format, ...) {
    char line[PATH_MAX + 64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (plan.trace >= 0 && len > 0)
        syscall(SYS_write, plan.trace, line,
                (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

__attribute__((constructor)) static void set_up(void) {
    const char *file = getenv("KILL_TRACE"), *how = getenv("KILL_HOW"), *text;
    if (!file)
        return;
    plan.at = (text = getenv("KILL_AT")) ? atol(text) : 0;
    plan.last = !(text = getenv("KILL_LAST")) ? plan.at
                : strcmp(text, "all") == 0    ? LONG_MAX
                                              : atol(text);
    plan.only = getenv("KILL_ONLY");
    plan.path = getenv("KILL_PATH");
    plan.mark = getenv("KILL_MARK");
    plan.how = !how || !strcmp(how, "before") ? BEFORE
               : !strcmp(how, "after")        ? AFTER
               : !strcmp(how, "half")         ? HALF
               : !strcmp(how, "short")        ? SHORT
                                              : FAIL;
    plan.error = plan.how == FAIL ? atoi(how) : 0;
    plan.counting = plan.mark == NULL;
    int fd =
        (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    plan.trace = fcntl(fd, F_DUPFD_CLOEXEC, 900); /* out of the way of the program's own */
    syscall(SYS_close, fd);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static bool named(const char *call) {
    size_t len = strlen(call);
    for (const char *p = plan.only; p && (p = strstr(p, call)); p += len)
        if ((p == plan.only || p[-1] == ',') && (p[len] == '\0' || p[len] == ','))
            return true;
    return plan.only == NULL;
}

/* What the call is about to do: numbers it and, when its turn has come, tells how it ends. */
static enum how boundary(const char *call, const char *target) {
    if (plan.trace < 0)
        return PASS;
    if (!plan.counting || !named(call) || (plan.path && !strstr(target, plan.path))) {
        say("- %s %s\n", call, target);
        return PASS;
    }
    long n = atomic_fetch_add(&plan.count, 1) + 1;
    say("%ld %s %s\n", n, call, target);
    bool kills = plan.how == BEFORE || plan.how == AFTER || plan.how == HALF;
    if (plan.at == 0 || n < plan.at || n > (kills ? plan.at : plan.last))
        return PASS;
    if (plan.how == BEFORE)
        die();
    return plan.how;
}

static void address(const struct sockaddr *a, char *target, size_t size) {
    const struct sockaddr_in *four = (const void *)a;
    const struct sockaddr_in6 *six = (const void *)a;
    if (a->sa_family == AF_INET)
        snprintf(target, size, "tcp:%d", ntohs(four->sin_port));
    else if (a->sa_family == AF_INET6)
        snprintf(target, size, "tcp:%d", ntohs(six->sin6_port));
    else
        snprintf(target, size, "unix");
}

static void at_path(int dir, const char *path, char *target, size_t size) {
    char link[64], name[PATH_MAX];
    ssize_t len = -1;
    if (dir != AT_FDCWD && path[0] != '/') {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        len = readlink(link, name, sizeof name - 1);
    }
    snprintf(target, size, "%.*s%s%s", len > 0 ? (int)len : 0, name, len > 0 ? "/" : "", path);
}

static enum how at_fd(const char *call, int fd) {
    int saved = errno;
    char target[PATH_MAX * 2] = "", link[64];
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    if (plan.trace >= 0 && getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
        address((struct sockaddr *)&peer, target, sizeof target);
    } else if (plan.trace >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
    }
    errno = saved;
    return boundary(call, target);
}

static enum how at_name(const char *call, int dir, const char *path) {
    char target[PATH_MAX * 2];
    at_path(dir, path, target, sizeof target);
    return boundary(call, target);
}

static bool is_socket(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool would_get(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int saved = errno;
    bool yes = poll(&p, 1, 0) != 0 || !(fcntl(fd, F_GETFL) & O_NONBLOCK);
    errno = saved;
    return yes;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The call itself; `len` is the number of bytes that it gives away, 0 when it gives none. */
#define RUN(type, verdict, call)                                                                   \
    do {                                                                                           \
        enum how end = (verdict);                                                                  \
        if (end == FAIL) {                                                                         \
            errno = plan.error;                                                                    \
            return (type)-1;                                                                       \
        }                                                                                          \
        if (end == HALF && len < 2)                                                                \
            die();                                                                                 \
        if (end == HALF || end == SHORT)                                                           \
            len -= len / 2;                                                                        \
        type result = (call);                                                                      \
        if (end == AFTER || end == HALF)                                                           \
            die();                                                                                 \
        return result;                                                                             \
    } while (0)

#define NO_BYTES                                                                                   \
    size_t len = 0;                                                                                \
    (void)len

ssize_t write(int fd, const void *bytes, size_t len) {
    RUN(ssize_t, fd <= 2 ? PASS : at_fd("write", fd), REAL(write)(fd, bytes, len));
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t where) {
    RUN(ssize_t, at_fd("pwrite", fd), REAL(pwrite)(fd, bytes, len, where));
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    NO_BYTES;
    RUN(ssize_t, fd <= 2 ? PASS : at_fd("writev", fd), REAL(writev)(fd, parts, n));
}

ssize_t send(int fd, const void *bytes, size_t len, int flags) {
    RUN(ssize_t, at_fd("send", fd), REAL(send)(fd, bytes, len, flags));
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
               socklen_t size) {
    RUN(ssize_t, at_fd("sendto", fd), REAL(sendto)(fd, bytes, len, flags, to, size));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    NO_BYTES;
    RUN(ssize_t, at_fd("sendmsg", fd), REAL(sendmsg)(fd, message, flags));
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    NO_BYTES;
    RUN(ssize_t, would_get(fd) ? at_fd("recv", fd) : PASS, REAL(recv)(fd, bytes, size, flags));
}

ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from,
                 socklen_t *room) {
    NO_BYTES;
    RUN(ssize_t, would_get(fd) ? at_fd("recvfrom", fd) : PASS,
        REAL(recvfrom)(fd, bytes, size, flags, from, room));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    NO_BYTES;
    RUN(ssize_t, would_get(fd) ? at_fd("recvmsg", fd) : PASS, REAL(recvmsg)(fd, message, flags));
}

ssize_t read(int fd, void *bytes, size_t size) {
    NO_BYTES;
    RUN(ssize_t, is_socket(fd) && would_get(fd) ? at_fd("read", fd) : PASS,
        REAL(read)(fd, bytes, size));
}

int connect(int fd, const struct sockaddr *to, socklen_t size) {
    NO_BYTES;
    char target[64];
    address(to, target, sizeof target);
    RUN(int, boundary("connect", target), REAL(connect)(fd, to, size));
}

int fsync(int fd) {
    NO_BYTES;
    RUN(int, at_fd("fsync", fd), REAL(fsync)(fd));
}

int fdatasync(int fd) {
    NO_BYTES;
    RUN(int, at_fd("fdatasync", fd), REAL(fdatasync)(fd));
}

int ftruncate(int fd, off_t size) {
    NO_BYTES;
    RUN(int, at_fd("ftruncate", fd), REAL(ftruncate)(fd, size));
}

int fchmod(int fd, mode_t mode) {
    NO_BYTES;
    RUN(int, at_fd("fchmod", fd), REAL(fchmod)(fd, mode));
}

int flock(int fd, int what) {
    NO_BYTES;
    RUN(int, at_fd("flock", fd), REAL(flock)(fd, what));
}

int rename(const char *old, const char *new) {
    NO_BYTES;
    if (strcmp(old, "@mark") == 0) {
        say("# %s\n", new);
        if (plan.mark && strcmp(plan.mark, new) == 0)
            plan.counting = true;
        errno = ENOENT;
        return -1;
    }
    RUN(int, at_name("rename", AT_FDCWD, new), REAL(rename)(old, new));
}

int renameat(int old_dir, const char *old, int new_dir, const char *new) {
    NO_BYTES;
    RUN(int, at_name("renameat", new_dir, new), REAL(renameat)(old_dir, old, new_dir, new));
}

int unlink(const char *path) {
    NO_BYTES;
    RUN(int, at_name("unlink", AT_FDCWD, path), REAL(unlink)(path));
}

int unlinkat(int dir, const char *path, int flags) {
    NO_BYTES;
    RUN(int, at_name("unlinkat", dir, path), REAL(unlinkat)(dir, path, flags));
}

int mkdir(const char *path, mode_t mode) {
    NO_BYTES;
    RUN(int, at_name("mkdir", AT_FDCWD, path), REAL(mkdir)(path, mode));
}

#define OPENED(variable)                                                                           \
    mode_t variable = 0;                                                                           \
    if (flags & O_CREAT) {                                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        variable = va_arg(args, mode_t);                                                           \
        va_end(args);                                                                              \
    }

int open(const char *path, int flags, ...) {
    NO_BYTES;
    OPENED(mode)
    RUN(int, flags &O_CREAT ? at_name("open", AT_FDCWD, path) : PASS,
        REAL(open)(path, flags, mode));
}

int openat(int dir, const char *path, int flags, ...) {
    NO_BYTES;
    OPENED(mode)
    RUN(int, flags &O_CREAT ? at_name("openat", dir, path) : PASS,
        REAL(openat)(dir, path, flags, mode));
}
