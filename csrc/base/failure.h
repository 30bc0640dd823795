/*
 * failure.h - what a system function says when it could not do its work.
 *
 * code is an errno name such as "ENOENT" or a word that the function's header
 * gives; message is one line that names the path. Filled by the callee only
 * when it fails; lives on the caller's stack and owns nothing.
 */
#ifndef CRDB_FAILURE_H
#define CRDB_FAILURE_H

struct crdb_failure {
    char code[24];
    char message[1024]; /* a longer one is cut */
};

/* "cannot <doing> <path>: <text of err>"; err is an errno value. */
void crdb_fail_errno(struct crdb_failure *f, int err, const char *doing, const char *path);

/* The text of an errno value, in English whatever the locale; never NULL. */
const char *crdb_errno_text(int err);

/* A failure of our own; code is a word of at most 23 bytes. */
__attribute__((format(printf, 3, 4))) void crdb_fail(struct crdb_failure *f, const char *code,
                                                     const char *format, ...);

#endif
