#include "interrupts.h"

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
static atomic_llong first_at; /* ms of the monotonic clock; 0: none came */
static atomic_bool installed, ends;
static char last_words[512];
static struct sigaction previous_int, previous_term;

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
    if (!atomic_compare_exchange_strong(&first_at, &first, now) && now - first >= SAME_WISH_MS &&
        atomic_load(&ends)) {
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

bool crdb_interrupts(bool on) {
    atomic_store(&ends, false);
    if (on == atomic_load(&installed))
        return true;
    if (!on) {
        atomic_store(&installed, false);
        bool restored = sigaction(SIGINT, &previous_int, NULL) == 0 &&
                        sigaction(SIGTERM, &previous_term, NULL) == 0;
        atomic_store(&count, 0); /* who no longer counts is not interrupted */
        return restored;
    }
    atomic_store(&count, 0);
    atomic_store(&first_at, 0);
    atomic_store(&last_signal, 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, &previous_int) != 0)
        return false;
    if (sigaction(SIGTERM, &action, &previous_term) != 0) {
        sigaction(SIGINT, &previous_int, NULL);
        return false;
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
