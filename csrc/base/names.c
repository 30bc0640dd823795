#include "base/names.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

bool crdb_is_utf8(const char *bytes, size_t length) {
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)bytes + i,
                                              (utf8proc_ssize_t)(length - i), &c);
        if (n <= 0)
            return false;
        i += (size_t)n;
    }
    return true;
}

/* Folds one code point as the server does: utf8proc alone would keep U+0131 and turn U+0130
 * into an i with a combining dot. */
static utf8proc_int32_t fold_point(utf8proc_int32_t c) {
    if (c == 0x130 || c == 0x131)
        return 'i';
    return utf8proc_tolower(c);
}

enum crdb_fold_result crdb_fold_name(const char *name, size_t len, char **folded,
                                     size_t *folded_len) {
    if (len > PTRDIFF_MAX / 4 - 1)
        return CRDB_FOLD_NO_MEMORY;
    /* Lower case may be longer (U+023A has two bytes, U+2C65 three), never above four per byte. */
    utf8proc_uint8_t *lower = malloc(len * 4 + 1);
    if (!lower)
        return CRDB_FOLD_NO_MEMORY;
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)name;
    utf8proc_ssize_t left = (utf8proc_ssize_t)len, used = 0;
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, left, &c);
        if (n <= 0) {
            free(lower);
            return CRDB_FOLD_NOT_UTF8;
        }
        used += utf8proc_encode_char(fold_point(c), lower + used);
        p += n;
        left -= n;
    }
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t n = utf8proc_map(lower, used, &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    free(lower);
    if (n < 0)
        return n == UTF8PROC_ERROR_INVALIDUTF8 ? CRDB_FOLD_NOT_UTF8 : CRDB_FOLD_NO_MEMORY;
    *folded = (char *)composed;
    *folded_len = (size_t)n;
    return CRDB_FOLD_OK;
}

static bool allowed(utf8proc_int32_t c, bool first) {
    if (c == '_' || (c >= '0' && c <= '9'))
        return true;
    if (c == '-' || c == '.')
        return !first;
    return utf8proc_category(c) == UTF8PROC_CATEGORY_LL;
}

const char *crdb_name_problem(const char *folded, size_t len, size_t *offset) {
    *offset = 0;
    if (len == 0)
        return "empty";
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)folded;
    size_t at = 0;
    while (at < len) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p + at, (utf8proc_ssize_t)(len - at), &c);
        if (n <= 0 || !allowed(c, at == 0)) {
            *offset = at;
            return at == 0 ? "start" : "character";
        }
        at += (size_t)n;
    }
    if (len > CRDB_NAME_BYTES_MAX) {
        *offset = CRDB_NAME_BYTES_MAX;
        return "long";
    }
    return NULL;
}
