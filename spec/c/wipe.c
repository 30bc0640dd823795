/* Checks what only C can see: that memory which held a secret is zero afterwards, and what a
 * forked child finds. Prints "ok" and returns 0, or says what is wrong. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/secret.h"

static void check(int right, const char *what) {
    if (!right) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

static int zero(const unsigned char *p, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return 0;
    return 1;
}

/* Every block that malloc gave to buffer.c goes through here on its way back. */
static unsigned freed, dirty;
void __real_free(void *p);
void __wrap_free(void *p);
size_t malloc_usable_size(void *p);

static int watching;
void __wrap_free(void *p) {
    if (p && watching) {
        freed++;
        /* The tail that malloc added was never ours and is not looked at: only the mark counts. */
        if (memmem(p, malloc_usable_size(p), "SECRETMARK", 10))
            dirty++;
    }
    __real_free(p);
}

static void wipes_secrets(void) {
    /* One of each slot size stays, so that the region stays mapped while it is looked at. */
    static const size_t sizes[] = {1, 32, 63, 64, 100, 500, 1000, 1023};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct crdb_secret *stays = crdb_secret_new(sizes[i]);
        struct crdb_secret *goes = crdb_secret_new(sizes[i]);
        unsigned char *bytes = crdb_secret_bytes(goes);
        memset(bytes, 0x5a, sizes[i]);
        crdb_secret_ref(goes);
        crdb_secret_release(goes);
        check(bytes[0] == 0x5a, "a secret with an owner left keeps its bytes");
        crdb_secret_release(goes);
        check(zero(bytes, sizes[i]), "the last release wipes");
        crdb_secret_release(stays);
    }
}

static void wipes_buffers(void) {
    struct crdb_buffer b = {0};
    watching = 1;
    for (int i = 0; i < 1000; i++)
        check(crdb_buffer_text(&b, "SECRETMARK"), "a buffer grows");
    check(freed >= 5, "a growing buffer gives its old blocks back");
    crdb_buffer_reset(&b);
    check(b.length == 0 && zero((unsigned char *)b.data, b.capacity), "a reset buffer is zero");
    crdb_buffer_text(&b, "SECRETMARK");
    crdb_buffer_free(&b);
    watching = 0;
    check(dirty == 0, "no block of a buffer goes back with its content");
}

static void limits_buffers(void) {
    struct crdb_buffer b = {.limit = 10};
    check(crdb_buffer_text(&b, "12345"), "what fits the limit is taken");
    check(!crdb_buffer_text(&b, "678901"), "what exceeds it is refused");
    check(b.over_limit && b.failed && b.length == 5, "the content stays as it was");
    check(!crdb_buffer_text(&b, "6"), "a failed buffer stays failed");
    crdb_buffer_free(&b);
    check(crdb_buffer_text(&b, "1234567890"), "a freed buffer is usable and has its limit");
    crdb_buffer_free(&b);
}

static void many_under_a_small_limit(void) {
    enum { MANY = 10000 };
    static struct crdb_secret *all[MANY];
    struct rlimit limit = {65536, 65536};
    check(setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "the memlock limit can be lowered");
    /* root is not bound by the limit */
    if (geteuid() == 0)
        check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0,
              "root becomes nobody");
    for (int i = 0; i < MANY; i++) {
        all[i] = crdb_secret_new((size_t)i % 1500);
        check(all[i] != NULL, "10,000 secrets fit under a memlock limit of 64 KiB");
        memset(crdb_secret_bytes(all[i]), i & 255, (size_t)i % 1500);
    }
    for (int i = 0; i < MANY; i++)
        for (size_t k = 0; k < (size_t)i % 1500; k++)
            check(crdb_secret_bytes(all[i])[k] == (i & 255), "no secret touches another");
    for (int i = 0; i < MANY; i++)
        crdb_secret_release(all[i]);
}

static void *make_and_release(void *unused) {
    struct crdb_secret *mine[64] = {0};
    unsigned seed = (unsigned)(size_t)&mine;
    for (int i = 0; i < 20000; i++) {
        int k = rand_r(&seed) % 64;
        crdb_secret_release(mine[k]);
        mine[k] = crdb_secret_new((size_t)rand_r(&seed) % 300);
        check(mine[k] && zero(crdb_secret_bytes(mine[k]), crdb_secret_length(mine[k])),
              "a new secret is zero, also in a slot used before");
        memset(crdb_secret_bytes(mine[k]), 0x5a, crdb_secret_length(mine[k]));
    }
    for (int k = 0; k < 64; k++)
        crdb_secret_release(mine[k]);
    return unused;
}

static void threads_share_the_arena(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        check(pthread_create(&threads[i], NULL, make_and_release, NULL) == 0, "a thread starts");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void a_forked_child_has_no_secret(void) {
    struct crdb_secret *s = crdb_secret_copy("SECRETMARK", 10);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        check(crdb_secret_forked(s), "the child knows that the secret is not its own");
        check(zero(crdb_secret_bytes(s), 10), "the child finds zeros");
        crdb_secret_release(s);
        struct crdb_secret *own = crdb_secret_copy("own", 3);
        check(own && !crdb_secret_forked(own), "the child makes secrets of its own");
        check(memcmp(crdb_secret_bytes(own), "own", 4) == 0, "they hold their bytes");
        crdb_secret_release(own);
        exit(0);
    }
    int status;
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "the child is content");
    check(memcmp(crdb_secret_bytes(s), "SECRETMARK", 10) == 0, "the parent keeps the secret");
    crdb_secret_release(s);
}

int main(void) {
    wipes_secrets();
    wipes_buffers();
    limits_buffers();
    threads_share_the_arena();
    a_forked_child_has_no_secret();
    many_under_a_small_limit();
    puts("ok");
    return 0;
}
