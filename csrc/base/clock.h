/*
 * clock.h - clocks and sleeping; all times in seconds.
 */
#ifndef CRDB_CLOCK_H
#define CRDB_CLOCK_H

#include <stdbool.h>

/* For time limits: never jumps, stands still while the machine is suspended. */
double crdb_monotonic(void);

/* Counts the time of suspension too: for how long something is really ago. */
double crdb_boottime(void);

/* Since 1970-01-01 UTC; may jump. */
double crdb_time(void);

/* Sleeps; false when an interrupt counted by interrupts.h cut it short. */
bool crdb_sleep(double seconds);

/* Sleeps until crdb_monotonic() reaches the given time; no interrupt shortens it. */
void crdb_sleep_until(double monotonic);

#endif
