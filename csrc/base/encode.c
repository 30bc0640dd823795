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

static int hex_digit(unsigned char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool crdb_decode_hex(struct crdb_buffer *b, const void *text, size_t len) {
    const unsigned char *p = text;
    if (len % 2)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(p[i]), low = hex_digit(p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        char byte = (char)(high << 4 | low);
        bool fits = crdb_buffer_append(b, &byte, 1);
        crdb_wipe(&byte, sizeof byte);
        if (!fits)
            return false;
    }
    return crdb_buffer_append(b, "", 0);
}

static int base64_digit(unsigned char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool crdb_decode_base64(struct crdb_buffer *b, const void *text, size_t len) {
    const unsigned char *p = text;
    if (len && len % 4 == 0 && p[len - 1] == '=')
        len -= p[len - 2] == '=' ? 2 : 1;
    if (len % 4 == 1)
        return false;
    bool right = true;
    unsigned bits = 0, held = 0; /* held: how many of the low bits are not written yet */
    for (size_t i = 0; i < len && right; i++) {
        int digit = base64_digit(p[i]);
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        right = digit >= 0;
        if (right && held >= 8) {
            held -= 8;
            char byte = (char)(bits >> held & 0xff);
            right = crdb_buffer_append(b, &byte, 1);
        }
    }
    right = right && (bits & ((1u << held) - 1)) == 0;
    crdb_wipe(&bits, sizeof bits);
    return right && crdb_buffer_append(b, "", 0);
}
