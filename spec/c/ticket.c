/* Checks of ticket.c what takes a clock of one's own, a fork or a look at memory. Prints "ok" and
 * returns 0, or says what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "secrets/ticket.h"

static double now = 1000;

double crdb_boottime(void) {
    return now;
}

static void check(int right, const char *what) {
    if (!right) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

/* Lends a secret that nobody else holds. */
static unsigned char *lend(unsigned char ticket[CRDB_TICKET_BYTES]) {
    struct crdb_secret *s = crdb_secret_copy("SECRETMARK", 10);
    unsigned char *bytes = crdb_secret_bytes(s);
    check(crdb_lend(s, ticket) == CRDB_TICKET_OK, "a ticket is given");
    crdb_secret_release(s);
    check(memcmp(bytes, "SECRETMARK", 10) == 0, "what is lent is kept");
    return bytes;
}

static void take(const unsigned char ticket[CRDB_TICKET_BYTES], int there, const char *what) {
    struct crdb_secret *s = crdb_take(ticket);
    check((s != NULL) == there, what);
    check(!s || memcmp(crdb_secret_bytes(s), "SECRETMARK", 10) == 0,
          "it is the secret that was lent");
    crdb_secret_release(s);
}

static void ends_after_its_time(void) {
    unsigned char first[CRDB_TICKET_BYTES], second[CRDB_TICKET_BYTES], third[CRDB_TICKET_BYTES];
    /* Another secret of that size stays, so that the memory stays mapped while it is looked at. */
    struct crdb_secret *stays = crdb_secret_new(10);
    unsigned char *bytes = lend(first);
    now += 30;
    lend(second);
    now += CRDB_TICKET_SECONDS - 30;
    unsigned char *newer = lend(third);
    check(newer == bytes || bytes[0] == 0, "what nobody fetched in time is wiped at the next call");
    take(first, 0, "a ticket that is too old gives nothing");
    take(second, 1, "a younger one does");
    now += CRDB_TICKET_SECONDS - 0.001;
    take(third, 1, "a ticket is good until its time is over");
    take(third, 0, "a ticket is good once");
    check(newer[0] == 0, "what was fetched and let go of is wiped");
    crdb_secret_release(stays);
}

static void is_bounded(void) {
    static unsigned char tickets[CRDB_TICKETS_MAX][CRDB_TICKET_BYTES];
    unsigned char more[CRDB_TICKET_BYTES];
    struct crdb_secret *s = crdb_secret_copy("SECRETMARK", 10);
    for (int i = 0; i < CRDB_TICKETS_MAX; i++)
        check(crdb_lend(s, tickets[i]) == CRDB_TICKET_OK, "as many as there are places");
    check(crdb_lend(s, more) == CRDB_TICKET_FULL, "one more is refused");
    take(tickets[CRDB_TICKETS_MAX / 2], 1, "one from the middle is found");
    check(crdb_lend(s, more) == CRDB_TICKET_OK, "its place is free again");
    now += CRDB_TICKET_SECONDS;
    take(more, 0, "all are too old");
    for (int i = 0; i < CRDB_TICKETS_MAX; i++)
        check(crdb_lend(s, tickets[i]) == CRDB_TICKET_OK, "all places are free again");
    now += CRDB_TICKET_SECONDS;
    take(more, 0, "and again");
    crdb_secret_release(s);
}

static void is_not_inherited(void) {
    unsigned char ticket[CRDB_TICKET_BYTES], own[CRDB_TICKET_BYTES];
    lend(ticket);
    pid_t pid = fork();
    check(pid >= 0, "a fork");
    if (pid == 0) {
        take(ticket, 0, "a forked child finds no ticket of its parent");
        lend(own);
        take(own, 1, "it may use tickets of its own");
        exit(0);
    }
    int status;
    check(waitpid(pid, &status, 0) == pid && status == 0, "the child is content");
    take(ticket, 1, "the parent still has its ticket");
}

int main(void) {
    ends_after_its_time();
    is_bounded();
    is_not_inherited();
    puts("ok");
    return 0;
}
