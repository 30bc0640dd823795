/*
 * random.h - random bytes from the kernel.
 *
 * No generator state in user space: a state would be copied by fork and two
 * workers would hand out the same password. Safe from any thread.
 */
#ifndef CRDB_RANDOM_H
#define CRDB_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Fills all len bytes; false when the kernel gives none (errno says why). */
bool crdb_random_bytes(void *to, size_t len);

#endif
