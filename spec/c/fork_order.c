/* Threads that hand over and compare secrets while others fork: for ThreadSanitizer, which tells of
 * two mutexes that are taken in both orders, fork handlers included. Prints "ok" and returns 0. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "secrets/fingerprint.h"
#include "secrets/ticket.h"

enum { THREADS = 4, ROUNDS = 300, FORKS = 20, SECONDS = 60 };

/* A minute passes all the time, so that tickets end. */
double crdb_boottime(void) {
    static int calls;
    return __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) * (CRDB_TICKET_SECONDS / 8.0);
}

static void check(int right, const char *what) {
    if (!right) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

static void hand_over(unsigned char print[CRDB_FINGERPRINT_BYTES]) {
    unsigned char ticket[CRDB_TICKET_BYTES];
    check(crdb_fingerprint("x", 1, print), "there is a fingerprint");
    struct crdb_secret *s = crdb_secret_copy("SECRETMARK", 10);
    check(crdb_lend(s, ticket) == CRDB_TICKET_OK, "a ticket is given");
    crdb_secret_release(s);
    struct crdb_secret *taken = crdb_take(ticket);
    check(!taken || memcmp(crdb_secret_bytes(taken), "SECRETMARK", 10) == 0,
          "it is the secret that was lent");
    crdb_secret_release(taken);
}

static void *work(void *arg) {
    unsigned char print[CRDB_FINGERPRINT_BYTES];
    for (int i = 0; i < ROUNDS; i++) {
        hand_over(print);
        check(memcmp(print, arg, sizeof print) == 0, "it is the fingerprint of this process");
    }
    return NULL;
}

static void *split(void *arg) {
    for (int i = 0; i < FORKS; i++) {
        unsigned char print[CRDB_FINGERPRINT_BYTES];
        pid_t child = fork();
        if (child == 0) {
            alarm(SECONDS);
            hand_over(print);
            _exit(memcmp(print, arg, sizeof print) == 0); /* a child has a key of its own */
        }
        int status = -1;
        check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child works");
    }
    return NULL;
}

int main(void) {
    static unsigned char print[CRDB_FINGERPRINT_BYTES];
    pthread_t threads[THREADS];
    alarm(SECONDS);
    /* First of all, so that its fork handlers are the first to be registered. */
    hand_over(print);
    for (int i = 0; i < THREADS; i++)
        check(pthread_create(&threads[i], NULL, i % 2 ? split : work, print) == 0, "a thread runs");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts("ok");
    return 0;
}
