/*
 * process_spawn.c - starts a program with three pipes and nothing else of ours.
 *
 * posix_spawn does what has to happen between fork and exec, with only
 * async-signal-safe calls and without copying our memory; so it may be called
 * while other threads run, and says why exec failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "process/process.h"
#include "process/process_keeper.h"

struct pipe_ends {
    int ours, its;
};

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A pipe whose end for the program is above the standard descriptors, which are about to be
 * replaced; ours does not block. Returns 0 or an errno value. */
static int open_pipe(struct pipe_ends *p, bool we_write) {
    int fd[2];
    *p = (struct pipe_ends){-1, -1};
    if (pipe2(fd, O_CLOEXEC) != 0)
        return errno;
    p->ours = fd[we_write];
    p->its = fd[!we_write];
    if (p->its <= STDERR_FILENO) {
        int high = fcntl(p->its, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (high < 0)
            return errno;
        close(p->its);
        p->its = high;
    }
    return fcntl(p->ours, F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
}

/* All descriptors above the standard ones, whoever opened them. */
static int close_others(posix_spawn_file_actions_t *actions) {
#ifdef __GLIBC__
    return posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
#else
    /* Where that is missing: those that are open now and would survive exec. */
    long last = sysconf(_SC_OPEN_MAX);
    int e = 0;
    for (int fd = STDERR_FILENO + 1; fd < (last > 0 && last < 65536 ? last : 65536) && !e; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC))
            e = posix_spawn_file_actions_addclose(actions, fd);
    }
    return e;
#endif
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct pipe_ends pipes[3],
                       int directory) {
    int e = 0;
    if (directory >= 0)
        e = posix_spawn_file_actions_addfchdir_np(actions, directory);
    if (!e && pipes[0].its < 0)
        e = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (int fd = 0; fd < 3 && !e; fd++)
        if (pipes[fd].its >= 0)
            e = posix_spawn_file_actions_adddup2(actions, pipes[fd].its, fd);
    return e ? e : close_others(actions);
}

/* No signal blocked, none ignored: what the host program or this thread does with signals is no
 * business of the program's. */
static int set_attributes(posix_spawnattr_t *attributes) {
    static const int reset[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM, SIGTERM,
                                SIGUSR1, SIGUSR2, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU};
    sigset_t signals;
    sigemptyset(&signals);
    int e = posix_spawnattr_setsigmask(attributes, &signals);
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
        sigaddset(&signals, reset[i]);
    if (!e)
        e = posix_spawnattr_setsigdefault(attributes, &signals);
    if (!e)
        e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETSIGDEF);
    return e;
}

static int start(const struct crdb_process_spec *spec, const struct pipe_ends pipes[3],
                 int directory, struct crdb_child *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int e = posix_spawn_file_actions_init(&actions);
    if (e)
        return e;
    e = posix_spawnattr_init(&attributes);
    if (!e) {
        e = set_actions(&actions, pipes, directory);
        if (!e)
            e = set_attributes(&attributes);
        if (!e && crdb_keeper_needed())
            e = crdb_keeper_spawn(spec, &actions, &attributes, child);
        else if (!e)
            e = posix_spawnp(&child->pid, spec->argv[0], &actions, &attributes, spec->argv,
                             spec->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return e;
}

bool crdb_process_spawn(const struct crdb_process_spec *spec, struct crdb_child *child,
                        struct crdb_failure *f) {
    /* Opened here, so that a missing directory and a missing program are told apart. */
    int directory = -1;
    if (spec->directory) {
        directory = open(spec->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) {
            crdb_fail_errno(f, errno, "enter", spec->directory);
            return false;
        }
    }
    struct pipe_ends pipes[3] = {{-1, -1}, {-1, -1}, {-1, -1}};
    child->report = -1;
    int e = spec->input_length ? open_pipe(&pipes[0], true) : 0;
    if (!e)
        e = open_pipe(&pipes[1], false);
    if (!e)
        e = open_pipe(&pipes[2], false);
    if (!e)
        e = start(spec, pipes, directory, child);
    close_end(&directory);
    for (int i = 0; i < 3; i++) {
        close_end(&pipes[i].its);
        if (e)
            close_end(&pipes[i].ours);
    }
    child->in = pipes[0].ours;
    child->out = pipes[1].ours;
    child->err = pipes[2].ours;
    if (e)
        crdb_fail_errno(f, e, "run", spec->argv[0]);
    return e == 0;
}
