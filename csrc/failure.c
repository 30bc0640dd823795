#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void crdb_fail_errno(struct crdb_failure *f, int err, const char *doing, const char *path) {
    const char *name = strerrorname_np(err), *text = strerrordesc_np(err);
    if (name)
        snprintf(f->code, sizeof f->code, "%s", name);
    else
        snprintf(f->code, sizeof f->code, "errno %d", err);
    snprintf(f->message, sizeof f->message, "cannot %s %.800s: %s", doing, path,
             text ? text : "unknown error");
}

void crdb_fail(struct crdb_failure *f, const char *code, const char *format, ...) {
    snprintf(f->code, sizeof f->code, "%s", code);
    va_list args;
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
}
