/*
 * process_keeper.h - keeps the exit status of a program from a host that waits for all children.
 *
 * nginx waits for every child of its workers, and whoever ignores SIGCHLD gets
 * no exit status at all. There the program is started as the child of a small
 * process between the two, the keeper: a fork of ours that does nothing but
 * start the program, wait for it and report. It holds no descriptor of ours.
 */
#ifndef CRDB_PROCESS_KEEPER_H
#define CRDB_PROCESS_KEEPER_H

#include <spawn.h>

#include "process/process.h"

/* True when somebody else would take the exit status of a child of ours, or might. */
bool crdb_keeper_needed(void);

/* Starts the program under a keeper and fills child->pid, ->keeper and ->report.
 * Returns 0 or an errno value, with nothing left over then. */
int crdb_keeper_spawn(const struct crdb_process_spec *spec,
                      const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, struct crdb_child *child);

/* Whether the program has ended, as its keeper reports; fills status or signal. When somebody
 * killed the keeper, the program counts as ended, with an unknown status. */
bool crdb_keeper_ended(struct crdb_child *child, struct crdb_process_result *result);

/* Ends the keeper, at once if the program has ended. No other process can get the program's process
 * group as long as the keeper lives. */
void crdb_keeper_release(struct crdb_child *child, bool ended);

#endif
