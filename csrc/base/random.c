#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

bool crdb_random_bytes(void *to, size_t len) {
    unsigned char *p = to;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        p += n;
        len -= (size_t)n;
    }
    return true;
}
