/*
 * secret.c - where secrets live.
 *
 * mlock, madvise and core-dump flags work on whole pages, so a secret in a
 * malloc block would lock its neighbours, and unlocking it would unlock them.
 * Therefore the bytes lie in regions of our own: anonymous mappings cut into
 * slots of one size, locked as a whole when made and never unlocked but by
 * munmap. Locking may fail (the limit is often 64 KiB); the region then works
 * unlocked, so the number of secrets is not bounded by the limit. Bytes that
 * do not fit the largest slot get a mapping of their own.
 *
 * The kernel hands a forked child zeroed regions (MADV_WIPEONFORK). The child
 * never reuses them: locks are not inherited, so it starts with new ones.
 *
 * This file is compiled into both modules, crdbcloud.core and crdbcloud.pq,
 * and each copy has its own arena. A secret made by one may see its last
 * release in the other: each region therefore points to the arena it came
 * from, and that pointer remains valid because the modules are never unloaded
 * (-z nodelete).
 */
#include "base/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    REGION_BYTES = 16384,
    SLOT_SHIFT = 6, /* the smallest slot: 64 bytes */
    SIZES = 5,      /* 64, 128, 256, 512 and 1024 bytes */
    SLOTS_MAX = REGION_BYTES >> SLOT_SHIFT,
    MAP_WORDS = SLOTS_MAX / 64
};

struct region {
    struct region *next, *previous; /* in the arena's list while a slot is free */
    struct arena *arena;
    unsigned char *base;
    size_t bytes;
    pid_t pid;
    int size; /* index of the slot size; SIZES: one secret has it all */
    unsigned used, slots;
    uint64_t free_map[MAP_WORDS]; /* a set bit is a free slot */
};

struct arena {
    pthread_mutex_t mutex;
    struct region *with_room[SIZES];
    struct region *inherited[SIZES]; /* the parent's lists, kept reachable, never used */
};

struct crdb_secret {
    atomic_uint references;
    pid_t pid;
    size_t length;
    bool generated;
    struct region *region;
    unsigned char *bytes;
};

static struct arena arena = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t fork_handlers = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    pthread_mutex_lock(&arena.mutex);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&arena.mutex);
}

static void after_fork_in_child(void) {
    memcpy(arena.inherited, arena.with_room, sizeof arena.inherited);
    memset(arena.with_room, 0, sizeof arena.with_room);
    pthread_mutex_unlock(&arena.mutex);
}

static void install_fork_handlers(void) {
    /* Without memory for the handlers only a fork in mid-allocation could hang the child. */
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void link_region(struct region *r) {
    struct region **head = &r->arena->with_room[r->size];
    r->previous = NULL;
    r->next = *head;
    if (*head)
        (*head)->previous = r;
    *head = r;
}

static void unlink_region(struct region *r) {
    if (r->previous)
        r->previous->next = r->next;
    else
        r->arena->with_room[r->size] = r->next;
    if (r->next)
        r->next->previous = r->previous;
    r->next = r->previous = NULL;
}

static struct region *region_new(size_t bytes, int size) {
    struct region *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        free(r);
        return NULL;
    }
    /* Best effort, each of them: an old kernel or a small limit is no reason to fail. */
    (void)madvise(base, bytes, MADV_DONTDUMP);
    (void)madvise(base, bytes, MADV_WIPEONFORK);
    (void)mlock(base, bytes);
    r->arena = &arena;
    r->base = base;
    r->bytes = bytes;
    r->pid = getpid();
    r->size = size;
    if (size < SIZES) {
        r->slots = (unsigned)(bytes >> (SLOT_SHIFT + size));
        for (unsigned i = 0; i < r->slots; i++)
            r->free_map[i / 64] |= UINT64_C(1) << (i % 64);
    }
    return r;
}

static void region_free(struct region *r) {
    munmap(r->base, r->bytes);
    free(r);
}

/* The smallest slot size that holds len bytes; SIZES when none does. */
static int size_for(size_t len) {
    int size = 0;
    while (size < SIZES && len > ((size_t)1 << (SLOT_SHIFT + size)))
        size++;
    return size;
}

/* Takes a zeroed slot of that size; the arena's mutex is held. */
static unsigned char *take_slot(int size, struct region **from) {
    struct region *r = arena.with_room[size];
    if (!r) {
        r = region_new(REGION_BYTES, size);
        if (!r)
            return NULL;
        link_region(r);
    }
    unsigned word = 0;
    while (!r->free_map[word])
        word++;
    unsigned bit = (unsigned)__builtin_ctzll(r->free_map[word]);
    r->free_map[word] &= ~(UINT64_C(1) << bit);
    if (++r->used == r->slots)
        unlink_region(r);
    *from = r;
    return r->base + ((size_t)(word * 64 + bit) << (SLOT_SHIFT + size));
}

static void give_back(struct region *r, unsigned char *bytes, size_t len) {
    if (r->size == SIZES) {
        crdb_wipe(bytes, len);
        region_free(r);
        return;
    }
    if (r->pid != getpid())
        return; /* a forked child: the kernel has wiped it, the parent owns the slot */
    struct arena *home = r->arena;
    pthread_mutex_lock(&home->mutex);
    crdb_wipe(bytes, len);
    unsigned slot = (unsigned)((size_t)(bytes - r->base) >> (SLOT_SHIFT + r->size));
    r->free_map[slot / 64] |= UINT64_C(1) << (slot % 64);
    if (r->used-- == r->slots)
        link_region(r);
    /* One empty region per size is kept, so that a lone secret costs no mmap each time. */
    if (r->used == 0 && (r->next || r->previous)) {
        unlink_region(r);
        region_free(r);
    }
    pthread_mutex_unlock(&home->mutex);
}

struct crdb_secret *crdb_secret_new(size_t len) {
    if (len >= PTRDIFF_MAX)
        return NULL;
    pthread_once(&fork_handlers, install_fork_handlers);
    struct crdb_secret *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    size_t bytes = len + 1;
    int size = size_for(bytes);
    if (size < SIZES) {
        pthread_mutex_lock(&arena.mutex);
        s->bytes = take_slot(size, &s->region);
        pthread_mutex_unlock(&arena.mutex);
    } else {
        s->region = region_new(bytes, SIZES);
        s->bytes = s->region ? s->region->base : NULL;
    }
    if (!s->bytes) {
        free(s);
        return NULL;
    }
    atomic_init(&s->references, 1);
    s->pid = getpid();
    s->length = len;
    return s;
}

struct crdb_secret *crdb_secret_copy(const void *bytes, size_t len) {
    struct crdb_secret *s = crdb_secret_new(len);
    if (s && len)
        memcpy(s->bytes, bytes, len);
    return s;
}

struct crdb_secret *crdb_secret_ref(struct crdb_secret *s) {
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void crdb_secret_release(struct crdb_secret *s) {
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    give_back(s->region, s->bytes, s->length + 1);
    free(s);
}

unsigned char *crdb_secret_bytes(struct crdb_secret *s) {
    return s->bytes;
}

size_t crdb_secret_length(const struct crdb_secret *s) {
    return s->length;
}

void crdb_secret_mark_generated(struct crdb_secret *s) {
    s->generated = true;
}

bool crdb_secret_generated(const struct crdb_secret *s) {
    return s->generated;
}

bool crdb_secret_forked(const struct crdb_secret *s) {
    return s->pid != getpid();
}

bool crdb_secret_equal(const void *a, size_t alen, const void *b, size_t blen) {
    if (alen != blen)
        return false;
    const volatile unsigned char *x = a, *y = b;
    unsigned char difference = 0;
    for (size_t i = 0; i < alen; i++)
        difference = (unsigned char)(difference | (x[i] ^ y[i]));
    return difference == 0;
}

void crdb_wipe(void *p, size_t len) {
    if (p && len)
        explicit_bzero(p, len);
}
