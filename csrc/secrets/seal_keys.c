#include "secrets/seal_keys.h"

#include <string.h>

#include "base/decode.h"
#include "secrets/seal.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool append_key(struct crdb_buffer *out, const char *line, size_t len) {
    size_t before = out->length;
    bool read = len == 2 * CRDB_SEAL_KEY ? crdb_decode_hex(out, line, len)
                                         : crdb_decode_base64(out, line, len);
    return read && out->length - before == CRDB_SEAL_KEY;
}

bool crdb_seal_keys(const void *text, size_t len, struct crdb_buffer *out, struct crdb_failure *f) {
    const char *at = text, *end = at + len;
    for (int number = 1; at < end; number++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *next = feed ? feed + 1 : end, *last = feed ? feed : end;
        while (at < last && is_blank(*at))
            at++;
        while (at < last && is_blank(last[-1]))
            last--;
        if (at < last && *at != '#') {
            if (out->length == (size_t)CRDB_SEAL_KEYS_MAX * CRDB_SEAL_KEY) {
                crdb_fail(f, "large", "more than %d keys", (int)CRDB_SEAL_KEYS_MAX);
                return false;
            }
            if (!append_key(out, at, (size_t)(last - at))) {
                if (out->failed)
                    crdb_fail(f, "ENOMEM", "out of memory while reading keys");
                else
                    crdb_fail(f, "key",
                              "line %d is no key: expected 32 bytes as 64 hexadecimal digits or "
                              "as base64",
                              number);
                return false;
            }
        }
        at = next;
    }
    if (out->length == 0) {
        crdb_fail(f, "empty", "no key");
        return false;
    }
    return true;
}
