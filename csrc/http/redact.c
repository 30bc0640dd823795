#include "http/redact.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/json_scan.h"
#include "base/secret.h"

/* A text with more escapes than this is no answer of an honest service (a page has 500 names); it is replaced
 * as a whole, which bounds the time. */
enum { ENCODED_MIN = 4, ALIGNMENTS = 3, LEVELS = 8, ESCAPES_MAX = 100000, LONGEST_ESCAPE = 12 };

/* The secret and its fixed encodings; starts marks bytes a spelling can begin with. */
struct forms {
    const unsigned char *secret;
    size_t length;
    struct crdb_buffer hex, base64[ALIGNMENTS];
    bool cut_before[ALIGNMENTS], cut_after[ALIGNMENTS]; /* a neighbour holds some of the bits */
    bool starts[256];
    bool has_escape;         /* a byte of the secret could begin an escape */
    bool prepared;           /* all of this is made for the first text that could hold the secret */
    struct crdb_buffer unit; /* one decoded escape; has its memory before the search begins */
};

static unsigned char lower(unsigned char c) {
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

static bool is_base64(unsigned char c) {
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' ||
           c == '_';
}

/* The digits of the secret as they stand in the base64 of a text in which
 * `before` bytes precede it in its group of three. */
static bool add_base64(struct forms *f, size_t before) {
    struct crdb_buffer plain = {0}, whole = {0};
    size_t first = (before * 8 + 5) / 6, end = (before + f->length) * 8 / 6;
    bool fits = crdb_buffer_append(&plain, "\0\0", before) &&
                crdb_buffer_append(&plain, f->secret, f->length) &&
                crdb_encode_base64(&whole, plain.data, plain.length) &&
                crdb_buffer_append(&f->base64[before], whole.data + first, end - first);
    f->cut_before[before] = before > 0;
    f->cut_after[before] = (before + f->length) % 3 != 0;
    crdb_buffer_free(&plain);
    crdb_buffer_free(&whole);
    return fits;
}

static void mark(struct forms *f, unsigned char c) {
    f->starts[c] = true;
    f->starts[c == '+' ? '-' : (c == '/' ? '_' : c)] = true;
}

static bool prepare(struct forms *f) {
    if (f->prepared)
        return true;
    f->prepared = true;
    mark(f, f->secret[0]);
    f->starts['\\'] = f->starts['%'] = f->starts['&'] = true;
    f->starts['+'] |= f->secret[0] == ' ';
    for (size_t i = 0; i < f->length; i++)
        f->has_escape |= strchr("\\%&+", f->secret[i]) != NULL && f->secret[i];
    if (!crdb_buffer_append(&f->unit, "", 0))
        return false;
    if (f->length < ENCODED_MIN)
        return true;
    if (!crdb_encode_hex(&f->hex, f->secret, f->length))
        return false;
    unsigned char digit = (unsigned char)f->hex.data[0];
    mark(f, digit);
    mark(f, digit >= 'a' ? (unsigned char)(digit - 32) : digit);
    for (size_t i = 0; i < ALIGNMENTS; i++) {
        if (!add_base64(f, i))
            return false;
        mark(f, (unsigned char)f->base64[i].data[0]);
    }
    return true;
}

static void release(struct forms *f) {
    crdb_buffer_free(&f->unit);
    crdb_buffer_free(&f->hex);
    for (size_t i = 0; i < ALIGNMENTS; i++)
        crdb_buffer_free(&f->base64[i]);
}

/* Each appends the bytes that the escape at p means and sets the length of the escape. */
typedef bool decode_unit(const char *p, size_t left, size_t *used, struct crdb_buffer *bytes);

static bool decode_json(const char *p, size_t left, size_t *used, struct crdb_buffer *bytes) {
    if (left < 2)
        return false;
    *used = 2;
    if (p[1] == 'u') {
        *used = 6;
        long c = crdb_json_hex4(p + 2, left - 2);
        if (c >= 0xd800 && c < 0xdc00 && left >= 12 && p[6] == '\\' && p[7] == 'u')
            *used = 12;
    }
    return *used <= left && crdb_json_decode(p, *used, bytes);
}

static bool decode_percent(const char *p, size_t left, size_t *used, struct crdb_buffer *bytes) {
    char digits[5] = "00";
    if (*p == '+') {
        *used = 1;
        return crdb_buffer_append(bytes, " ", 1);
    }
    if (left < 3)
        return false;
    memcpy(digits + 2, p + 1, 2);
    long c = crdb_json_hex4(digits, 4);
    char byte = (char)c;
    *used = 3;
    return c >= 0 && crdb_buffer_append(bytes, &byte, 1);
}

static bool decode_entity(const char *p, size_t left, size_t *used, struct crdb_buffer *bytes) {
    static const struct {
        const char *name, *text;
    } named[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        size_t n = strlen(named[i].name);
        if (left >= n && memcmp(p, named[i].name, n) == 0) {
            *used = n;
            return crdb_buffer_text(bytes, named[i].text);
        }
    }
    char digits[9] = {0};
    bool hex = left > 2 && lower((unsigned char)p[2]) == 'x';
    size_t start = hex ? 3 : 2, n = 0;
    if (left < 4 || p[1] != '#')
        return false;
    while (n < sizeof digits - 1 && start + n < left && p[start + n] != ';') {
        digits[n] = p[start + n];
        n++;
    }
    char *end;
    unsigned long c = strtoul(digits, &end, hex ? 16 : 10);
    if (n == 0 || start + n >= left || p[start + n] != ';' || *end != '\0' || c == 0 ||
        c > 0x10ffff)
        return false;
    *used = start + n + 1;
    return crdb_utf8_append(bytes, c);
}

/* Length of the spelling at p in which `escape` introduces escapes, or 0. The first `at` bytes are the secret's own. */
static size_t match_escaped(struct forms *f, const char *p, size_t left, size_t at, char escape,
                            decode_unit *decode) {
    size_t done = at;
    while (done < f->length && at < left) {
        const char *bytes = p + at;
        size_t count = 1, used = 1;
        if (p[at] == escape || (escape == '%' && p[at] == '+')) {
            crdb_buffer_reset(&f->unit);
            if (decode(p + at, left - at, &used, &f->unit)) {
                bytes = f->unit.data;
                count = f->unit.length;
            } else {
                used = 1;
            }
        }
        if (count > f->length - done || memcmp(bytes, f->secret + done, count) != 0)
            break;
        done += count;
        at += used;
    }
    return done == f->length ? at : 0;
}

/* The same with the escapes that the first difference from the secret introduces: any before it would differ, too. */
static size_t match_spelling(struct forms *f, const char *p, size_t left) {
    size_t same = 0;
    while (same < f->length && same < left && (unsigned char)p[same] == f->secret[same])
        same++;
    if (same == f->length)
        return same;
    if (same == left)
        return 0;
    /* An escape whose own first byte is the secret's next one may stand before the difference. */
    size_t n = 0;
    if (f->has_escape)
        same = 0;
    if (same == 0 || p[same] == '\\')
        n = match_escaped(f, p, left, same, '\\', decode_json);
    if (n == 0 && (same == 0 || p[same] == '%' || p[same] == '+'))
        n = match_escaped(f, p, left, same, '%', decode_percent);
    if (n == 0 && (same == 0 || p[same] == '&'))
        n = match_escaped(f, p, left, same, '&', decode_entity);
    return n;
}

static size_t match_hex(const struct forms *f, const char *p, size_t left) {
    if (f->hex.length == 0 || left < f->hex.length)
        return 0;
    for (size_t i = 0; i < f->hex.length; i++)
        if (lower((unsigned char)p[i]) != (unsigned char)f->hex.data[i])
            return 0;
    return f->hex.length;
}

static size_t match_base64(const struct crdb_buffer *digits, const char *p, size_t left) {
    if (digits->length == 0 || left < digits->length)
        return 0;
    for (size_t i = 0; i < digits->length; i++) {
        char c = p[i] == '-' ? '+' : (p[i] == '_' ? '/' : p[i]);
        if (c != digits->data[i])
            return 0;
    }
    return digits->length;
}

/* Length of the spelling that begins at text[i], or 0; *before is set to 1 when
 * the byte in front of it belongs to it too. */
static size_t match_at(struct forms *f, const char *text, size_t i, size_t end, size_t *before) {
    const char *p = text + i;
    size_t left = end - i, n;
    *before = 0;
    if ((n = match_spelling(f, p, left)) > 0 || (n = match_hex(f, p, left)) > 0)
        return n;
    for (size_t k = 0; k < ALIGNMENTS; k++) {
        if ((n = match_base64(&f->base64[k], p, left)) == 0)
            continue;
        *before = f->cut_before[k] && i > 0 && is_base64((unsigned char)text[i - 1]);
        return n + (f->cut_after[k] && n < left && is_base64((unsigned char)p[n]));
    }
    return 0;
}

/* Copies text to out without the secret; false: no memory. */
static bool rewrite(struct forms *f, const struct crdb_buffer *text, struct crdb_buffer *out) {
    size_t copied = 0; /* text before this is in out */
    for (size_t i = 0; i < text->length;) {
        size_t before, n = f->starts[(unsigned char)text->data[i]]
                               ? match_at(f, text->data, i, text->length, &before)
                               : 0;
        if (n == 0) {
            i++;
            continue;
        }
        size_t from = i > copied ? i - before : i;
        if (!crdb_buffer_append(out, text->data + copied, from - copied) ||
            !crdb_buffer_text(out, CRDB_REDACTED))
            return false;
        i += n;
        copied = i;
    }
    return copied == 0 || crdb_buffer_append(out, text->data + copied, text->length - copied);
}

/* Replaces text by out unless out is empty; empties both when fits is false. Returns fits. */
static bool replace(struct crdb_buffer *text, struct crdb_buffer *out, bool fits) {
    if (!fits) {
        crdb_buffer_free(out);
        crdb_buffer_reset(text);
    } else if (out->data) {
        out->limit = text->limit;
        crdb_buffer_free(text);
        *text = *out;
    }
    return fits;
}

/* In place; false: no memory, and text is empty. *changed is set when there was something. */
static bool redact_text(struct forms *f, struct crdb_buffer *text, bool *changed) {
    struct crdb_buffer out = {0};
    bool fits = prepare(f) && rewrite(f, text, &out);
    *changed |= fits && out.data;
    return replace(text, &out, fits);
}

static bool replace_all(struct crdb_buffer *text, bool json) {
    crdb_buffer_reset(text);
    return crdb_buffer_text(text, json ? "\"" CRDB_REDACTED "\"" : CRDB_REDACTED);
}

/* Appends what is no escape. Its middle has been searched already, and no spelling that an escape belongs to
 * reaches further than `reach` into it. */
static bool append_edges(struct crdb_buffer *out, const char *p, size_t length, size_t reach) {
    if (length <= 2 * reach + 1)
        return crdb_buffer_append(out, p, length);
    return crdb_buffer_append(out, p, reach) && crdb_buffer_append(out, "\n", 1) &&
           crdb_buffer_append(out, p + length - reach, reach);
}

/* Takes one level of JSON escapes off; what is none stays. */
static bool unescape(const struct crdb_buffer *text, size_t reach, struct crdb_buffer *out) {
    size_t used;
    for (size_t i = 0; i < text->length; i += used) {
        const char *p = text->data + i, *escape = memchr(p, '\\', text->length - i);
        used = escape ? (size_t)(escape - p) : text->length - i;
        if (used == 0 && !decode_json(p, text->length - i, &used, out))
            used = 1;
        else if (p == escape)
            continue; /* decoded */
        if (!append_edges(out, p, used, reach))
            return false;
    }
    return !out->failed;
}

/* Nobody can say which part of the text holds a secret under further levels of escapes (a log line in
 * a message), so this replaces the whole text. In place; false: no memory, and text is empty. */
static bool redact_deeper(struct forms *f, struct crdb_buffer *text, bool json) {
    struct crdb_buffer now = {0}, next = {0};
    bool found = false, fits = true;
    for (int i = 0; i < LEVELS && fits && !found; i++) {
        const struct crdb_buffer *level = i == 0 ? text : &now;
        if (!level->data || !memchr(level->data, '\\', level->length))
            break;
        fits = unescape(level, LONGEST_ESCAPE * f->length, &next);
        crdb_buffer_free(&now);
        now = next;
        next = (struct crdb_buffer){0};
        fits = fits && redact_text(f, &now, &found);
    }
    crdb_buffer_free(&now);
    if (!fits)
        crdb_buffer_reset(text);
    return fits && (!found || replace_all(text, json));
}

/* The string that begins at the quote text[i]: decoded, redacted, and written to out if that
 * changed it, up to which *copied has been. Returns where it ends, or 0: no memory. */
static size_t redact_string(struct forms *f, const struct crdb_buffer *text, size_t i,
                            size_t *copied, struct crdb_buffer *out) {
    struct crdb_buffer inside = {0};
    bool changed = false, fits = true;
    size_t end = i + 1;
    while (end < text->length && text->data[end] != '"')
        end += text->data[end] == '\\' ? 2 : 1;
    if (end >= text->length)
        return text->length;
    if (end - i - 1 >= f->length && memchr(text->data + i, '\\', end - i)) {
        bool decoded = crdb_json_decode(text->data + i + 1, end - i - 1, &inside);
        fits = decoded ? redact_text(f, &inside, &changed) : !inside.failed;
        if (fits && changed) {
            fits = crdb_buffer_append(out, text->data + *copied, i + 1 - *copied) &&
                   crdb_buffer_json(out, inside.data, inside.length);
            *copied = end;
        }
        crdb_buffer_free(&inside);
    }
    return fits ? end + 1 : 0;
}

static bool redact_strings(struct forms *f, struct crdb_buffer *text) {
    struct crdb_buffer out = {0};
    size_t copied = 0, i = 0;
    bool fits = true;
    while (fits && i < text->length) {
        const char *quote = memchr(text->data + i, '"', text->length - i);
        if (!quote)
            break;
        i = redact_string(f, text, (size_t)(quote - text->data), &copied, &out);
        fits = i > 0;
    }
    if (fits && copied > 0)
        fits = crdb_buffer_append(&out, text->data + copied, text->length - copied);
    return replace(text, &out, fits);
}

static size_t count_escapes(const struct crdb_buffer *text) {
    size_t n = 0;
    for (size_t i = 0; i < text->length; i++)
        n += text->data[i] == '\\' || text->data[i] == '%' || text->data[i] == '&';
    return n;
}

static bool redact(struct crdb_buffer *text, const void *secret, size_t length, bool json) {
    struct forms f = {.secret = secret, .length = length};
    bool changed = false;
    /* No spelling is shorter than the secret. */
    if (length == 0 || text->length < length)
        return true;
    if (count_escapes(text) > ESCAPES_MAX)
        return replace_all(text, json);
    /* A string without an escape is what it is; the others are looked at decoded. */
    bool escaped = memchr(text->data, '\\', text->length) != NULL;
    bool fits = !json || !escaped || redact_strings(&f, text);
    fits = fits && redact_text(&f, text, &changed);
    fits = fits && (!escaped || redact_deeper(&f, text, json));
    release(&f);
    return fits;
}

bool crdb_redact(struct crdb_buffer *text, const void *secret, size_t length) {
    return redact(text, secret, length, false);
}

bool crdb_redact_json(struct crdb_buffer *text, const void *secret, size_t length) {
    return redact(text, secret, length, true);
}
