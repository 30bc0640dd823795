#include "secrets/ticket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"

struct lent {
    struct lent *next;
    struct crdb_secret *secret;
    double until; /* boot time, so that a suspended machine does not lengthen it */
    unsigned char ticket[CRDB_TICKET_BYTES];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_handlers = PTHREAD_ONCE_INIT;
static struct lent *newest;
static unsigned count;

static void lock(void) {
    pthread_mutex_lock(&mutex);
}

static void unlock(void) {
    pthread_mutex_unlock(&mutex);
}

/* Not while the mutex is held: a secret may belong to another module's arena, whose mutex a fork in
 * another thread may hold while it waits for ours. */
static void drop_all(struct lent *l) {
    while (l) {
        struct lent *next = l->next;
        crdb_secret_release(l->secret);
        crdb_wipe(l, sizeof *l);
        free(l);
        l = next;
    }
}

static void unlock_in_child(void) {
    struct lent *all = newest;
    newest = NULL;
    count = 0;
    pthread_mutex_unlock(&mutex);
    drop_all(all);
}

static void install_fork_handlers(void) {
    /* Without memory for the handlers a child's copies hold zeros all the same: see secret.h. */
    (void)pthread_atfork(lock, unlock, unlock_in_child);
}

/* Unlinks what is too old. Newest first, so from the first that is too old on, all are. The mutex
 * is held. */
static struct lent *cut_old(double now) {
    struct lent **link = &newest;
    while (*link && (*link)->until > now)
        link = &(*link)->next;
    struct lent *old = *link;
    *link = NULL;
    for (struct lent *l = old; l; l = l->next)
        count--;
    return old;
}

enum crdb_ticket_result crdb_lend(struct crdb_secret *s, unsigned char ticket[CRDB_TICKET_BYTES]) {
    pthread_once(&fork_handlers, install_fork_handlers);
    if (!crdb_random_bytes(ticket, CRDB_TICKET_BYTES))
        return CRDB_TICKET_NO_RANDOM;
    struct lent *l = malloc(sizeof *l);
    if (!l)
        return CRDB_TICKET_NO_MEMORY;
    memcpy(l->ticket, ticket, CRDB_TICKET_BYTES);
    lock();
    double now = crdb_boottime();
    struct lent *old = cut_old(now);
    bool full = count == CRDB_TICKETS_MAX;
    if (!full) {
        l->secret = crdb_secret_ref(s);
        l->until = now + CRDB_TICKET_SECONDS;
        l->next = newest;
        newest = l;
        count++;
    }
    unlock();
    drop_all(old);
    if (full)
        free(l);
    return full ? CRDB_TICKET_FULL : CRDB_TICKET_OK;
}

struct crdb_secret *crdb_take(const unsigned char ticket[CRDB_TICKET_BYTES]) {
    pthread_once(&fork_handlers, install_fork_handlers);
    struct crdb_secret *found = NULL;
    lock();
    struct lent *done = cut_old(crdb_boottime());
    for (struct lent **link = &newest; *link; link = &(*link)->next) {
        struct lent *l = *link;
        if (!crdb_secret_equal(l->ticket, CRDB_TICKET_BYTES, ticket, CRDB_TICKET_BYTES))
            continue;
        found = crdb_secret_ref(l->secret);
        *link = l->next;
        count--;
        l->next = done;
        done = l;
        break;
    }
    unlock();
    drop_all(done);
    return found;
}
