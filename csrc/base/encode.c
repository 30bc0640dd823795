#include "base/encode.h"

#include "base/secret.h"

bool crdb_encode_base64(struct crdb_buffer *b, const void *bytes, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    bool fits = true;
    char group[4] = {0};
    for (size_t i = 0; i < len && fits; i += 3) {
        size_t left = len - i;
        unsigned second = left > 1 ? p[i + 1] : 0, third = left > 2 ? p[i + 2] : 0;
        unsigned bits = (unsigned)p[i] << 16 | second << 8 | third;
        group[0] = digits[bits >> 18];
        group[1] = digits[bits >> 12 & 63];
        group[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
        group[3] = left > 2 ? digits[bits & 63] : '=';
        fits = crdb_buffer_append(b, group, sizeof group);
    }
    crdb_wipe(group, sizeof group);
    return fits && crdb_buffer_append(b, "", 0);
}

bool crdb_encode_hex(struct crdb_buffer *b, const void *bytes, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    bool fits = true;
    char pair[2] = {0};
    for (size_t i = 0; i < len && fits; i++) {
        pair[0] = digits[p[i] >> 4];
        pair[1] = digits[p[i] & 15];
        fits = crdb_buffer_append(b, pair, sizeof pair);
    }
    crdb_wipe(pair, sizeof pair);
    return fits && crdb_buffer_append(b, "", 0);
}

bool crdb_encode_pgpass(struct crdb_buffer *b, const void *bytes, size_t len) {
    const char *p = bytes;
    for (size_t i = 0; i < len; i++) {
        if ((p[i] == ':' || p[i] == '\\') && !crdb_buffer_append(b, "\\", 1))
            return false;
        if (!crdb_buffer_append(b, p + i, 1))
            return false;
    }
    return crdb_buffer_append(b, "", 0);
}
