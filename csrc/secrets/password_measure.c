#include "secrets/password_measure.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

#include "base/secret.h"

/* The password in lower case, and twice more with look-alike signs read as
 * letters: 1 stands for i as often as for l. */
struct views {
    unsigned char lower[CRDB_PASSWORD_LONGEST];
    unsigned char as_i[CRDB_PASSWORD_LONGEST];
    unsigned char as_l[CRDB_PASSWORD_LONGEST];
    size_t length;
};

static unsigned char letter_for(unsigned char c, unsigned char one) {
    switch (c) {
    case '0':
        return 'o';
    case '1':
    case '!':
    case '|':
        return one;
    case '3':
        return 'e';
    case '4':
    case '@':
        return 'a';
    case '5':
    case '$':
        return 's';
    case '7':
        return 't';
    default:
        return c;
    }
}

static bool is_letter(unsigned char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_digit(unsigned char c) {
    return c >= '0' && c <= '9';
}

static bool is_utf8(const char *bytes, size_t len) {
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)bytes;
    utf8proc_ssize_t left = (utf8proc_ssize_t)len;
    while (left > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t used = utf8proc_iterate(p, left, &point);
        if (used <= 0)
            return false;
        p += used;
        left -= used;
    }
    return true;
}

static bool has_control(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

/* CockroachDB stores a password of these forms as the hash itself. */
static bool is_hash(const char *bytes, size_t len) {
    static const char *const prefixes[] = {"SCRAM-SHA-256$", "CRDB-BCRYPT$", "$2a$", "$2b$",
                                           "$2y$"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        if (len >= n && strncasecmp(bytes, prefixes[i], n) == 0)
            return true;
    }
    if (len != 35 || strncasecmp(bytes, "md5", 3) != 0)
        return false;
    for (size_t i = 3; i < len; i++)
        if (!isxdigit((unsigned char)bytes[i]))
            return false;
    return true;
}

/* Length of the run at text that goes by one step: 0 (aaaa), 1 (abcd), -1 (4321). */
static size_t step_run(const unsigned char *text, size_t left) {
    size_t best = 1;
    for (int step = -1; step <= 1; step++) {
        size_t n = 1;
        while (n < left) {
            int want = text[n - 1] + step;
            if (is_digit(text[n - 1]) && step == 1 && text[n - 1] == '9')
                want = '0';
            if (is_digit(text[n - 1]) && step == -1 && text[n - 1] == '0')
                want = '9';
            bool same_kind = step == 0 || (is_letter(text[n - 1]) && is_letter(text[n])) ||
                             (is_digit(text[n - 1]) && is_digit(text[n]));
            if (text[n] != want || !same_kind)
                break;
            n++;
        }
        if (n > best)
            best = n;
    }
    return best;
}

/* Length of the run at text along a keyboard row, either way. */
static size_t row_run(const unsigned char *text, size_t left) {
    static const char *const rows[] = {"qwertyuiop", "qwertzuiop", "azertyuiop",
                                       "asdfghjkl",  "qsdfghjklm", "zxcvbnm",
                                       "yxcvbnm",    "wxcvbn",     "!@#$%^&*()"};
    size_t best = 1;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t width = strlen(rows[r]);
        const char *at = memchr(rows[r], text[0], width);
        if (!at)
            continue;
        size_t start = (size_t)(at - rows[r]), n = 1;
        while (n < left && start + n < width && text[n] == (unsigned char)rows[r][start + n])
            n++;
        if (n > best)
            best = n;
        n = 1;
        while (n < left && n <= start && text[n] == (unsigned char)rows[r][start - n])
            n++;
        if (n > best)
            best = n;
    }
    return best;
}

static bool digits(const unsigned char *text, size_t left, size_t count) {
    if (left < count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_digit(text[i]))
            return false;
    return true;
}

static bool is_year(const unsigned char *text, size_t left) {
    return digits(text, left, 4) &&
           ((text[0] == '1' && text[1] == '9') || (text[0] == '2' && text[1] == '0'));
}

/* A day and a month, in either order. */
static bool is_day(const unsigned char *text) {
    int a = (text[0] - '0') * 10 + (text[1] - '0'), b = (text[2] - '0') * 10 + (text[3] - '0');
    return a >= 1 && b >= 1 && a <= 31 && b <= 31 && (a <= 12 || b <= 12);
}

/* yyyymmdd, ddmmyyyy or mmddyyyy. */
static bool is_date(const unsigned char *text, size_t left) {
    return digits(text, left, 8) && ((is_year(text, left) && is_day(text + 4)) ||
                                     (is_year(text + 4, left - 4) && is_day(text)));
}

static void lower_to(unsigned *cost, unsigned value) {
    if (value < *cost)
        *cost = value;
}

/* Cheapest split of the first length bytes; best[i] is the cost of what stands before i. */
static unsigned split_cost(const struct views *v, size_t length, const struct crdb_word *words,
                           size_t word_count) {
    unsigned best[CRDB_PASSWORD_LONGEST + 1];
    best[0] = 0;
    for (size_t i = 1; i <= length; i++)
        best[i] = 2 * CRDB_PASSWORD_LONGEST;
    for (size_t i = 0; i < length; i++) {
        const unsigned char *here = v->lower + i;
        size_t left = length - i;
        bool cheap = here[0] < 0x80 && !is_letter(here[0]);
        lower_to(&best[i + 1], best[i] + (cheap ? 1 : 2));
        size_t steps = step_run(here, left), rows = row_run(here, left);
        size_t run = steps > rows ? steps : rows;
        for (size_t n = 3; n <= run; n++)
            lower_to(&best[i + n], best[i] + 1);
        if (is_year(here, left))
            lower_to(&best[i + 4], best[i] + 1);
        if (is_date(here, left))
            lower_to(&best[i + 8], best[i] + 1);
        for (size_t w = 0; w < word_count; w++) {
            size_t n = words[w].length;
            if (n < 3 || n > left)
                continue;
            if (memcmp(words[w].text, here, n) == 0 || memcmp(words[w].text, v->as_i + i, n) == 0 ||
                memcmp(words[w].text, v->as_l + i, n) == 0)
                lower_to(&best[i + n], best[i] + 1);
        }
    }
    unsigned cost = best[length];
    crdb_wipe(best, sizeof best);
    return cost;
}

/* The shortest unit that the text consists of, cut anywhere; its length if nothing repeats. */
static size_t period(const unsigned char *text, size_t length) {
    for (size_t p = 1; p * 2 <= length; p++)
        if (memcmp(text, text + p, length - p) == 0)
            return p;
    return length;
}

void crdb_password_measure(const char *bytes, size_t len, const struct crdb_word *words,
                           size_t word_count, struct crdb_password_traits *traits) {
    traits->utf8 = is_utf8(bytes, len);
    traits->control = has_control(bytes, len);
    traits->hash = is_hash(bytes, len);
    traits->cost = 0;
    if (len == 0 || len > CRDB_PASSWORD_LONGEST)
        return;
    struct views v;
    v.length = len;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        v.lower[i] = c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
        v.as_i[i] = letter_for(v.lower[i], 'i');
        v.as_l[i] = letter_for(v.lower[i], 'l');
    }
    size_t unit = period(v.lower, len);
    unsigned whole = split_cost(&v, len, words, word_count);
    traits->cost = whole;
    if (unit < len)
        lower_to(&traits->cost, split_cost(&v, unit, words, word_count) + 1);
    crdb_wipe(&v, sizeof v);
}
