#include "base/interrupts.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Process-wide like the handlers themselves; lock-free atomics, as a handler demands. */
static atomic_uint count;
static atomic_int last_signal;
static atomic_llong first_at; /* of SIGINT or SIGTERM, ms of the monotonic clock; 0: none came */
static atomic_bool installed, ends;
static char last_words[512];

/* What the process had for each signal; ours[i] is true where we took its place. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
enum { SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction previous[SIGNALS];
static bool ours[SIGNALS];

enum { SAME_WISH_MS = 300 };

static long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Only what may be called in a signal handler. */
static void on_signal(int number) {
    int kept = errno;
    long long now = now_ms(), first = 0;
    atomic_store(&last_signal, number);
    atomic_fetch_add(&count, 1);
    /* Who hangs up is not there to insist, and shell and kernel both send it. */
    if (number != SIGHUP && !atomic_compare_exchange_strong(&first_at, &first, now) &&
        now - first >= SAME_WISH_MS && atomic_load(&ends)) {
        ssize_t written = write(STDERR_FILENO, last_words, strlen(last_words));
        (void)written;
        _exit(128 + number);
    }
    errno = kept;
}

void crdb_interrupts_end(const char *words) {
    atomic_store(&ends, false);
    if (!words)
        return;
    (void)snprintf(last_words, sizeof last_words, "%s", words);
    atomic_store(&ends, true);
}

static bool put_back(void) {
    bool done = true;
    for (int i = 0; i < SIGNALS; i++) {
        if (ours[i] && sigaction(signals[i], &previous[i], NULL) != 0)
            done = false;
        ours[i] = false;
    }
    return done;
}

static bool take(int i) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (signals[i] == SIGPIPE)
        action.sa_handler = SIG_IGN;
    if (sigaction(signals[i], NULL, &previous[i]) != 0)
        return false;
    if (signals[i] == SIGHUP && previous[i].sa_handler == SIG_IGN)
        return true; /* nohup(1) */
    ours[i] = sigaction(signals[i], &action, NULL) == 0;
    return ours[i];
}

bool crdb_interrupts(bool on) {
    atomic_store(&ends, false);
    if (on == atomic_load(&installed))
        return true;
    if (!on) {
        atomic_store(&installed, false);
        bool restored = put_back();
        atomic_store(&count, 0); /* who no longer counts is not interrupted */
        return restored;
    }
    atomic_store(&count, 0);
    atomic_store(&first_at, 0);
    atomic_store(&last_signal, 0);
    for (int i = 0; i < SIGNALS; i++) {
        if (!take(i)) {
            put_back();
            return false;
        }
    }
    atomic_store(&installed, true);
    return true;
}

bool crdb_interrupts_on(void) {
    return atomic_load(&installed);
}

unsigned crdb_interrupt_count(void) {
    return atomic_load(&count);
}

int crdb_interrupt_signal(void) {
    return atomic_load(&last_signal);
}
