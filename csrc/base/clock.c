#include "base/clock.h"

#include <errno.h>
#include <time.h>

#include "base/interrupts.h"

static double read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double crdb_monotonic(void) {
    return read_clock(CLOCK_MONOTONIC);
}

double crdb_boottime(void) {
    return read_clock(CLOCK_BOOTTIME);
}

double crdb_time(void) {
    return read_clock(CLOCK_REALTIME);
}

void crdb_sleep_until(double monotonic) {
    struct timespec until = {.tv_sec = (time_t)monotonic};
    until.tv_nsec = (long)((monotonic - (double)until.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

bool crdb_sleep(double seconds) {
    double end = crdb_monotonic() + seconds;
    unsigned before = crdb_interrupt_count();
    /* The signal may reach another thread, or come just before the sleep, so while signals are
     * being counted the sleep looks up every 50 ms. */
    const double slice = 0.05;
    for (;;) {
        if (crdb_interrupt_count() != before)
            return false;
        double now = crdb_monotonic();
        if (now >= end)
            return true;
        crdb_sleep_until(crdb_interrupts_on() && end - now > slice ? now + slice : end);
    }
}
