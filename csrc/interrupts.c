#include "interrupts.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Process-wide like the handlers themselves; lock-free atomics, as a handler demands. */
static atomic_uint count;
static atomic_int last_signal;
static atomic_bool installed;
static struct sigaction previous_int, previous_term;

static void on_signal(int number) {
    atomic_store(&last_signal, number);
    atomic_fetch_add(&count, 1);
}

bool crdb_interrupts(bool on) {
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
