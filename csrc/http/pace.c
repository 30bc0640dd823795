#include "http/pace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupts.h"

struct account {
    struct account *next;
    double next_due;   /* monotonic time of the next free token */
    double hold_until; /* tokens due before this are void */
    unsigned sleepers; /* threads that hold a pointer to this while they sleep */
    char name[];
};

static const double PATIENCE = 1; /* seconds */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_handlers = PTHREAD_ONCE_INIT;
static struct account *accounts;

static void lock(void) {
    pthread_mutex_lock(&mutex);
}

static void unlock(void) {
    pthread_mutex_unlock(&mutex);
}

/* The sleepers of the parent are not in the child, so their count must not keep an account. */
static void unlock_in_child(void) {
    for (struct account *a = accounts; a; a = a->next)
        a->sleepers = 0;
    pthread_mutex_unlock(&mutex);
}

static void install_fork_handlers(void) {
    (void)pthread_atfork(lock, unlock, unlock_in_child);
}

/* Forgets accounts whose budget is free again: they say nothing that a new one would not. */
static void prune(double now) {
    struct account **link = &accounts;
    while (*link) {
        struct account *a = *link;
        if (a->sleepers == 0 && a->next_due <= now) {
            *link = a->next;
            free(a);
        } else {
            link = &a->next;
        }
    }
}

static struct account *find(const char *name, double now) {
    for (struct account *a = accounts; a; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a;
    prune(now);
    size_t len = strlen(name) + 1;
    struct account *a = calloc(1, sizeof *a + len);
    if (!a)
        return NULL;
    memcpy(a->name, name, len);
    a->next_due = a->hold_until = now;
    a->next = accounts;
    accounts = a;
    return a;
}

/* Whoever has interrupted us shall not wait for the end of a hold. */
static bool give_up(const struct account *a, double now) {
    return crdb_interrupt_count() > 0 && a->hold_until - now > PATIENCE;
}

/* Returns the time at its end, which is early only after give_up. The mutex is held, but not while
 * it sleeps; it looks up as crdb_sleep does. */
static double sleep_until(const struct account *a, double due) {
    const double slice = 0.05;
    for (;;) {
        double now = crdb_monotonic();
        if (now >= due || give_up(a, now))
            return now;
        unlock();
        crdb_sleep_until(crdb_interrupts_on() && due - now > slice ? now + slice : due);
        lock();
    }
}

enum crdb_pace_result crdb_pace(const char *name, double rate, double max_wait, double *seconds) {
    *seconds = 0;
    if (rate <= 0)
        return CRDB_PACE_OK;
    pthread_once(&fork_handlers, install_fork_handlers);
    double start = crdb_monotonic(), now = start;
    enum crdb_pace_result result = CRDB_PACE_TOO_LONG;
    lock();
    struct account *a = find(name, now);
    if (!a) {
        unlock();
        return CRDB_PACE_NO_MEMORY;
    }
    a->sleepers++;
    for (;;) {
        double due = a->next_due > now ? a->next_due : now;
        if (due - start > max_wait) {
            *seconds = due - start;
            break;
        }
        if (give_up(a, now)) {
            *seconds = a->hold_until - now;
            result = CRDB_PACE_INTERRUPTED;
            break;
        }
        a->next_due = due + 1 / rate;
        now = sleep_until(a, due);
        if (a->hold_until <= due && now >= due) {
            *seconds = due - start;
            result = CRDB_PACE_OK;
            break;
        }
    }
    a->sleepers--;
    unlock();
    return result;
}

enum crdb_pace_result crdb_pace_hold(const char *name, double seconds) {
    pthread_once(&fork_handlers, install_fork_handlers);
    double now = crdb_monotonic(), until = now + seconds;
    lock();
    struct account *a = find(name, now);
    if (a && a->hold_until < until)
        a->hold_until = until;
    if (a && a->next_due < until)
        a->next_due = until;
    unlock();
    return a ? CRDB_PACE_OK : CRDB_PACE_NO_MEMORY;
}
