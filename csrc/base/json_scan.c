#include "base/json_scan.h"

#include <string.h>

enum { DEPTH_MAX = 512 };

struct scanner {
    const char *p, *end;
    unsigned depth;
    unsigned char is_object[DEPTH_MAX / 8]; /* one bit a level */
};

static void skip_space(struct scanner *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool push(struct scanner *s, bool object) {
    if (s->depth == DEPTH_MAX)
        return false;
    unsigned char bit = (unsigned char)(1u << (s->depth & 7));
    unsigned char *byte = &s->is_object[s->depth / 8];
    *byte = (unsigned char)(object ? *byte | bit : *byte & ~bit);
    s->depth++;
    return true;
}

static bool in_object(const struct scanner *s) {
    unsigned level = s->depth - 1;
    return s->is_object[level / 8] >> (level & 7) & 1;
}

/* Stands on the opening quote; leaves p behind the closing one. */
static bool skip_string(struct scanner *s) {
    for (s->p++; s->p < s->end; s->p++) {
        if (*s->p == '"') {
            s->p++;
            return true;
        }
        if (*s->p == '\\' && ++s->p == s->end)
            return false;
    }
    return false;
}

static bool skip_scalar(struct scanner *s) {
    static const char *const words[] = {"true", "false", "null"};
    size_t left = (size_t)(s->end - s->p);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (left >= n && memcmp(s->p, words[i], n) == 0) {
            s->p += n;
            return true;
        }
    }
    const char *start = s->p;
    bool digits = false;
    for (; s->p < s->end; s->p++) {
        if (*s->p >= '0' && *s->p <= '9')
            digits = true;
        else if (*s->p == '\0' || !strchr("+-.eE", *s->p))
            break;
    }
    return digits && (*start == '-' || (*start >= '0' && *start <= '9'));
}

/* The member that is being read at depth 1; value is NULL while there is none. */
struct pending {
    struct crdb_json_member member;
    crdb_json_visit *visit;
    void *context;
};

static void finish_member(struct pending *m, const struct scanner *s) {
    if (!m->member.value)
        return;
    m->member.value_length = (size_t)(s->p - m->member.value);
    m->member.is_string = *m->member.value == '"';
    if (m->member.is_string) {
        m->member.value++;
        m->member.value_length -= 2;
    }
    if (m->visit)
        m->visit(m->context, &m->member);
    m->member.value = NULL;
}

/* Key and colon of a member. */
static bool read_key(struct scanner *s, struct pending *m) {
    const char *key = s->p + 1;
    if (*s->p != '"' || !skip_string(s))
        return false;
    if (s->depth == 1) {
        m->member.key = key;
        m->member.key_length = (size_t)(s->p - key) - 1;
    }
    skip_space(s);
    return s->p < s->end && *s->p++ == ':';
}

/* Closers and the comma behind a value, or the end of the document (depth 0). */
static bool read_after_value(struct scanner *s, struct pending *m) {
    while (s->depth > 0) {
        if (s->depth == 1)
            finish_member(m, s);
        skip_space(s);
        if (s->p == s->end)
            return false;
        if (*s->p == ',') {
            s->p++;
            return true;
        }
        if (*s->p != (in_object(s) ? '}' : ']'))
            return false;
        s->p++;
        s->depth--;
    }
    return true;
}

/* One value up to its end, or into the first element of a container: sets *opened. */
static bool read_value(struct scanner *s, bool *opened) {
    *opened = false;
    if (*s->p == '"')
        return skip_string(s);
    if (*s->p != '{' && *s->p != '[')
        return skip_scalar(s);
    char closer = *s->p == '{' ? '}' : ']';
    if (!push(s, closer == '}'))
        return false;
    s->p++;
    skip_space(s);
    if (s->p < s->end && *s->p == closer) {
        s->p++;
        s->depth--;
    } else {
        *opened = true;
    }
    return true;
}

enum crdb_json_shape crdb_json_scan(const char *text, size_t length, crdb_json_visit *visit,
                                    void *context) {
    if (length == 0)
        return CRDB_JSON_BROKEN;
    struct scanner s = {.p = text, .end = text + length};
    struct pending m = {.visit = visit, .context = context};
    skip_space(&s);
    enum crdb_json_shape shape = s.p < s.end && *s.p == '{' ? CRDB_JSON_OBJECT : CRDB_JSON_OTHER;
    do {
        skip_space(&s);
        if (s.depth > 0 && in_object(&s)) {
            if (s.p == s.end || !read_key(&s, &m))
                return CRDB_JSON_BROKEN;
            skip_space(&s);
        }
        if (s.p == s.end)
            return CRDB_JSON_BROKEN;
        if (s.depth == 1 && in_object(&s))
            m.member.value = s.p;
        bool opened;
        if (!read_value(&s, &opened) || (!opened && !read_after_value(&s, &m)))
            return CRDB_JSON_BROKEN;
    } while (s.depth > 0);
    skip_space(&s);
    return s.p == s.end ? shape : CRDB_JSON_BROKEN;
}

bool crdb_json_key_is(const struct crdb_json_member *member, const char *key) {
    size_t n = strlen(key);
    return member->key_length == n && memcmp(member->key, key, n) == 0;
}

bool crdb_utf8_append(struct crdb_buffer *out, unsigned long c) {
    char bytes[4];
    size_t n = 0;
    if (c < 0x80) {
        bytes[n++] = (char)c;
    } else if (c < 0x800) {
        bytes[n++] = (char)(0xc0 | c >> 6);
        bytes[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        bytes[n++] = (char)(0xe0 | c >> 12);
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        bytes[n++] = (char)(0xf0 | c >> 18);
        bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[n++] = (char)(0x80 | (c & 0x3f));
    }
    return crdb_buffer_append(out, bytes, n);
}

long crdb_json_hex4(const char *p, size_t left) {
    if (left < 4)
        return -1;
    long value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* p stands behind "\u"; returns how many bytes were used, 0 if malformed. */
static size_t decode_unicode(const char *p, size_t left, struct crdb_buffer *out) {
    long c = crdb_json_hex4(p, left);
    if (c < 0)
        return 0;
    size_t used = 4;
    if (c >= 0xd800 && c < 0xdc00 && left >= 10 && p[4] == '\\' && p[5] == 'u') {
        long low = crdb_json_hex4(p + 6, left - 6);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            used = 10;
        }
    }
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd;
    return crdb_utf8_append(out, (unsigned long)c) ? used : 0;
}

bool crdb_json_decode(const char *inside, size_t length, struct crdb_buffer *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    for (size_t i = 0; i < length;) {
        const char *escape = memchr(inside + i, '\\', length - i);
        size_t plain = escape ? (size_t)(escape - inside) - i : length - i;
        if (!crdb_buffer_append(out, inside + i, plain))
            return false;
        i += plain;
        if (!escape)
            break;
        if (i + 1 >= length)
            return false;
        char c = inside[i + 1];
        i += 2;
        if (c == 'u') {
            size_t used = decode_unicode(inside + i, length - i, out);
            if (used == 0)
                return false;
            i += used;
        } else {
            const char *which = c ? strchr(from, c) : NULL;
            if (!which || !crdb_buffer_append(out, &to[which - from], 1))
                return false;
        }
    }
    return crdb_buffer_append(out, "", 0);
}
