/* Takes a lock whose file somebody removes each time between its opening and its locking. Prints "ok"
 * and returns 0, or says what is wrong. Argument: a path for the lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/lock.h"

static const char *path;
static int removals;

/* In the place of libc's. */
int flock(int fd, int operation) {
    if (operation != LOCK_UN && removals > 0) {
        removals--;
        unlink(path);
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static void check(int right, const char *what) {
    if (!right) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

int main(int argc, char **argv) {
    struct crdb_lock lock = {0}, other = {0};
    struct crdb_lock_note holder;
    struct crdb_failure f;
    check(argc == 2, "one argument");
    path = argv[1];

    removals = 3;
    check(crdb_lock_open(&lock, path, "me", 2, &holder, &f), "the lock is taken");
    check(removals == 0, "after some tries");
    check(crdb_lock_holds(&lock, path), "on the file that has the name");
    check(!crdb_lock_open(&other, path, "", 0, &holder, &f), "nobody else gets it");
    check(strcmp(f.code, "busy") == 0 && holder.length == 2, "and he is told who has it");
    crdb_lock_close(&lock);
    check(!crdb_lock_holds(&lock, path), "a closed one holds nothing");

    removals = 1000;
    check(!crdb_lock_open(&lock, path, "me", 2, &holder, &f), "it is given up");
    check(strcmp(f.code, "busy") == 0 && holder.length == 0 && !lock.open, "as busy");
    puts("ok");
    return 0;
}
