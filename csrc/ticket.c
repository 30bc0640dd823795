#include "ticket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "random.h"

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

static void drop(struct lent *l) {
    crdb_secret_release(l->secret);
    crdb_wipe(l, sizeof *l);
    free(l);
    count--;
}

static void unlock_in_child(void) {
    while (newest) {
        struct lent *l = newest;
        newest = l->next;
        drop(l);
    }
    pthread_mutex_unlock(&mutex);
}

static void install_fork_handlers(void) {
    /* Without memory for the handlers a child's copies hold zeros all the same: see secret.h. */
    (void)pthread_atfork(lock, unlock, unlock_in_child);
}

/* Newest first, so from the first that is too old on, all are. The mutex is held. */
static void drop_old(double now) {
    struct lent **link = &newest;
    while (*link && (*link)->until > now)
        link = &(*link)->next;
    struct lent *old = *link;
    *link = NULL;
    while (old) {
        struct lent *next = old->next;
        drop(old);
        old = next;
    }
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
    drop_old(now);
    if (count == CRDB_TICKETS_MAX) {
        unlock();
        free(l);
        return CRDB_TICKET_FULL;
    }
    l->secret = crdb_secret_ref(s);
    l->until = now + CRDB_TICKET_SECONDS;
    l->next = newest;
    newest = l;
    count++;
    unlock();
    return CRDB_TICKET_OK;
}

void crdb_tickets_expire(void) {
    lock();
    if (newest)
        drop_old(crdb_boottime());
    unlock();
}

struct crdb_secret *crdb_take(const unsigned char ticket[CRDB_TICKET_BYTES]) {
    pthread_once(&fork_handlers, install_fork_handlers);
    struct crdb_secret *found = NULL;
    lock();
    drop_old(crdb_boottime());
    for (struct lent **link = &newest; *link; link = &(*link)->next) {
        struct lent *l = *link;
        if (!crdb_secret_equal(l->ticket, CRDB_TICKET_BYTES, ticket, CRDB_TICKET_BYTES))
            continue;
        found = crdb_secret_ref(l->secret);
        *link = l->next;
        drop(l);
        break;
    }
    unlock();
    return found;
}
