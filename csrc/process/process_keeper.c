#include "process/process_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the keeper has its end of the channel; all other descriptors are closed. */
enum { CHANNEL = STDERR_FILENO + 1 };

struct report {
    pid_t pid;
    int error;          /* errno when it could not be started */
    int status, signal; /* how it ended; -1, 0: not yet */
};

bool crdb_keeper_needed(void) {
    struct sigaction now;
    return sigaction(SIGCHLD, NULL, &now) == 0 &&
           (now.sa_handler != SIG_DFL || (now.sa_flags & SA_NOCLDWAIT));
}

static void close_from(int first) {
#ifdef __GLIBC__
    closefrom(first);
#else
    long last = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (last > 0 && last < 65536 ? last : 65536); fd++)
        close(fd);
#endif
}

static void tell(const struct report *r) {
    while (send(CHANNEL, r, sizeof *r, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void wait_for(struct report *r) {
    siginfo_t info = {0};
    while (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOWAIT) != 0)
        if (errno != EINTR)
            return;
    if (info.si_code == CLD_EXITED)
        r->status = info.si_status;
    else
        r->signal = info.si_status;
}

/* The keeper: in a fork of a process with threads, so nothing but system calls and posix_spawn. */
_Noreturn static void keep(int channel, const struct crdb_process_spec *spec,
                           const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes) {
    struct report r = {.status = -1};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t all;
    char none;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* what is sent to the host's group is not for us */
    sigaction(SIGCHLD, &plain, NULL);
    prctl(PR_SET_DUMPABLE, 0); /* our memory is a copy of the host's */
    r.error =
        posix_spawnp(&r.pid, spec->argv[0], actions, attributes, spec->argv, spec->environment);
    if (channel != CHANNEL)
        dup2(channel, CHANNEL);
    for (int fd = STDIN_FILENO; fd < CHANNEL; fd++)
        close(fd);
    close_from(CHANNEL + 1);
    tell(&r);
    if (r.error == 0) {
        wait_for(&r);
        tell(&r);
        while (recv(CHANNEL, &none, 1, 0) < 0 && errno == EINTR)
            ;
    }
    _exit(0);
}

/* Waits as flags say; false: nothing is there yet (EAGAIN), or the keeper has gone. */
static bool hear(int channel, struct report *r, int flags) {
    ssize_t n;
    do
        n = recv(channel, r, sizeof *r, flags);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ECHILD;
    return n == (ssize_t)sizeof *r;
}

void crdb_keeper_release(struct crdb_child *child, bool ended) {
    close(child->report);
    child->report = -1;
    /* A keeper whose program cannot be killed waits on; the host, or init, will take it. */
    while (ended && waitpid(child->keeper, NULL, 0) < 0 && errno == EINTR)
        ;
}

int crdb_keeper_spawn(const struct crdb_process_spec *spec,
                      const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, struct crdb_child *child) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    child->keeper = fork();
    if (child->keeper == 0)
        keep(ends[1], spec, actions, attributes);
    int e = child->keeper < 0 ? errno : 0;
    close(ends[1]);
    child->report = ends[0];
    struct report r = {0};
    if (e) {
        close(child->report);
        child->report = -1;
        return e;
    }
    if (!hear(child->report, &r, 0))
        r.error = errno;
    if (r.error)
        crdb_keeper_release(child, true);
    child->pid = r.pid;
    return r.error;
}

bool crdb_keeper_ended(struct crdb_child *child, struct crdb_process_result *result) {
    struct report r;
    if (!hear(child->report, &r, MSG_DONTWAIT))
        return errno != EAGAIN;
    result->status = r.status;
    result->signal = r.signal;
    return true;
}
