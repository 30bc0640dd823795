#include "process/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "process/process_keeper.h"

enum {
    CHUNK = 16384,
    CHUNKS_MAX = 64,    /* read in one go; more than a pipe holds */
    BLIND_POLL_MS = 20, /* between looks at a child where the kernel has no pidfd */
    LONGEST_POLL_MS = 1000000
};

static const double grace = 2; /* seconds from SIGTERM to SIGKILL, and from there to giving up */

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Writes what fits. A program that closes its input does not want the rest: that is no failure. */
static void feed(struct crdb_child *c, const struct crdb_process_spec *spec, size_t *written) {
    while (c->in >= 0 && *written < spec->input_length) {
        ssize_t n =
            write(c->in, (const char *)spec->input + *written, spec->input_length - *written);
        if (n > 0)
            *written += (size_t)n;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR)
            break;
    }
    close_fd(&c->in);
}

static void keep(struct crdb_buffer *b, const char *bytes, size_t len, size_t max,
                 bool *truncated) {
    size_t room = max - b->length;
    if (len > room) {
        len = room;
        *truncated = true;
    }
    crdb_buffer_append(b, bytes, len);
}

/* Reads what is there. Bounded, as somebody may write for ever. */
static void drain(int *fd, struct crdb_buffer *b, size_t max, bool *truncated) {
    char chunk[CHUNK];
    for (int i = 0; i < CHUNKS_MAX && *fd >= 0; i++) {
        ssize_t n = read(*fd, chunk, sizeof chunk);
        if (n > 0)
            keep(b, chunk, (size_t)n, max, truncated);
        else if (n < 0 && errno == EAGAIN)
            break;
        else if (n == 0 || errno != EINTR)
            close_fd(fd);
    }
    crdb_wipe(chunk, sizeof chunk);
}

/* Whether the program has ended. It is left unreaped, so that its process group stays its own. */
static bool has_ended(struct crdb_child *c, struct crdb_process_result *result) {
    siginfo_t info;
    if (c->report >= 0)
        return crdb_keeper_ended(c, result);
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
            return info.si_pid != 0;
        if (errno != EINTR)
            return true; /* ECHILD: somebody else has waited for it */
    }
}

static void reap(pid_t pid, struct crdb_process_result *result) {
    int how;
    pid_t got;
    do
        got = waitpid(pid, &how, 0);
    while (got < 0 && errno == EINTR);
    if (got != pid)
        return;
    if (WIFEXITED(how))
        result->status = WEXITSTATUS(how);
    else if (WIFSIGNALED(how))
        result->signal = WTERMSIG(how);
}

static void wait_for_news(const struct crdb_child *c, int end, double seconds) {
    struct pollfd watched[] = {
        {.fd = c->in, .events = POLLOUT},
        {.fd = c->out, .events = POLLIN},
        {.fd = c->err, .events = POLLIN},
        {.fd = end, .events = POLLIN},
    };
    int ms = seconds * 1000 < LONGEST_POLL_MS ? (int)(seconds * 1000) + 1 : LONGEST_POLL_MS;
    if (end < 0 && ms > BLIND_POLL_MS)
        ms = BLIND_POLL_MS;
    (void)poll(watched, sizeof watched / sizeof *watched, ms);
}

/* Attends to the program until it has ended; false: it does not end even when killed. */
static bool attend(struct crdb_child *c, int pidfd, const struct crdb_process_spec *spec,
                   struct crdb_process_result *result) {
    static const int measures[] = {SIGTERM, SIGKILL};
    double end = crdb_monotonic() + spec->timeout;
    size_t written = 0, taken = 0;
    for (;;) {
        feed(c, spec, &written);
        /* Asked before reading: what it wrote before its end is then in the pipes. */
        bool ended = has_ended(c, result);
        drain(&c->out, &result->out, spec->output_max, &result->truncated);
        drain(&c->err, &result->err, spec->output_max, &result->truncated);
        if (ended)
            return true;
        double left = end - crdb_monotonic();
        if (left <= 0) {
            if (taken == sizeof measures / sizeof *measures)
                return false;
            result->timed_out = true;
            kill(-c->pid, measures[taken++]);
            kill(-c->pid, SIGCONT); /* a stopped program hears nothing */
            left = grace;
            end = crdb_monotonic() + grace;
        }
        wait_for_news(c, c->report >= 0 ? c->report : pidfd, left);
    }
}

/* Writing to a program that has gone raises SIGPIPE in this thread. It is blocked meanwhile and
 * taken back, unless it was pending before: then it is not ours. */
struct sigpipe {
    sigset_t before, only;
    bool pending;
};

static void hold_sigpipe(struct sigpipe *s) {
    sigset_t pending;
    sigpending(&pending);
    s->pending = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&s->only);
    sigaddset(&s->only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &s->only, &s->before);
}

static void release_sigpipe(const struct sigpipe *s) {
    const struct timespec now = {0};
    if (!s->pending)
        while (sigtimedwait(&s->only, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &s->before, NULL);
}

/* A descriptor that can be polled for the end of the program; -1 where the kernel has none. A
 * kernel that does not know the call (before Linux 5.3) is asked once. */
static int open_pidfd(pid_t pid) {
    static atomic_bool unknown_call;
    if (atomic_load(&unknown_call))
        return -1;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && errno == ENOSYS)
        atomic_store(&unknown_call, true);
    return fd;
}

bool crdb_process_run(const struct crdb_process_spec *spec, struct crdb_process_result *result,
                      struct crdb_failure *f) {
    *result = (struct crdb_process_result){.status = -1};
    struct crdb_child c;
    if (!crdb_process_spawn(spec, &c, f))
        return false;
    int pidfd = c.report >= 0 ? -1 : open_pidfd(c.pid);
    struct sigpipe sigpipe;
    hold_sigpipe(&sigpipe);
    bool ended = attend(&c, pidfd, spec, result);
    release_sigpipe(&sigpipe);
    if (result->timed_out)
        kill(-c.pid, SIGKILL); /* whatever it started and left behind */
    if (c.report >= 0)
        crdb_keeper_release(&c, ended);
    else if (ended)
        reap(c.pid, result);
    close_fd(&c.in);
    close_fd(&c.out);
    close_fd(&c.err);
    close_fd(&pidfd);
    if (!ended)
        crdb_fail(f, "ETIMEDOUT", "%.800s does not end even when it is killed", spec->argv[0]);
    else if (result->out.failed || result->err.failed)
        crdb_fail_errno(f, ENOMEM, "keep the output of", spec->argv[0]);
    else
        return true;
    return false;
}

void crdb_process_result_free(struct crdb_process_result *result) {
    crdb_buffer_free(&result->out);
    crdb_buffer_free(&result->err);
}
