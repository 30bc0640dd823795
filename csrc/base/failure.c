#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifdef __GLIBC__
static const char *errno_name(int err) {
    return strerrorname_np(err);
}

const char *crdb_errno_text(int err) {
    const char *text = strerrordesc_np(err);
    return text ? text : "unknown error";
}
#else
/* Other C libraries (musl) have no such function; these are the errors of files and terminals. */
static const char *errno_name(int err) {
#define NAME(e)                                                                                    \
    { e, #e }
    static const struct {
        int err;
        const char *name;
    } known[] = {
        NAME(EACCES),  NAME(EAGAIN),       NAME(EBADF),   NAME(EBUSY),  NAME(EDQUOT),
        NAME(EEXIST),  NAME(EFBIG),        NAME(EINTR),   NAME(EINVAL), NAME(EIO),
        NAME(EISDIR),  NAME(ELOOP),        NAME(EMFILE),  NAME(ENFILE), NAME(ENODEV),
        NAME(ENOENT),  NAME(ENAMETOOLONG), NAME(ENOMEM),  NAME(ENOSPC), NAME(ENOSYS),
        NAME(ENOTDIR), NAME(ENOTEMPTY),    NAME(ENOTTY),  NAME(ENXIO),  NAME(EPERM),
        NAME(EROFS),   NAME(ESTALE),       NAME(ETXTBSY), NAME(EXDEV),
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].err == err)
            return known[i].name;
    return NULL;
}

const char *crdb_errno_text(int err) {
    return strerror(err); /* constant strings there */
}
#endif

void crdb_fail_errno(struct crdb_failure *f, int err, const char *doing, const char *path) {
    const char *name = errno_name(err);
    if (name)
        snprintf(f->code, sizeof f->code, "%s", name);
    else
        snprintf(f->code, sizeof f->code, "errno %d", err);
    snprintf(f->message, sizeof f->message, "cannot %s %.800s: %s", doing, path,
             crdb_errno_text(err));
}

void crdb_fail(struct crdb_failure *f, const char *code, const char *format, ...) {
    snprintf(f->code, sizeof f->code, "%s", code);
    va_list args;
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
}
