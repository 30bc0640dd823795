/*
 * password_measure.h - how hard a password that a person chose is to guess.
 *
 * Splits the password into the cheapest sequence of guessable pieces: a word of
 * a list (also with 4 for a, 0 for o and the like), a run of one character, a
 * step sequence (abcd, 4321), a walk along a keyboard row, a year, a date. Each
 * piece costs 1, a digit or sign on its own 1, any other character on its own
 * 2. A password that repeats a shorter one costs what that one costs, plus 1.
 * Which cost is too low is not decided here.
 *
 * The functions allocate nothing and wipe what they copied.
 */
#ifndef CRDB_PASSWORD_MEASURE_H
#define CRDB_PASSWORD_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

#define CRDB_PASSWORD_LONGEST 500 /* bytes; the service refuses more */

/* A guessable word in lower case, borrowed from the caller. */
struct crdb_word {
    const char *text;
    size_t length;
};

struct crdb_password_traits {
    bool utf8;     /* valid UTF-8, as JSON wants it */
    bool control;  /* holds a control character, such as a newline */
    bool hash;     /* looks like a stored hash, which the database would take for one */
    unsigned cost; /* 0 for an empty password or one above CRDB_PASSWORD_LONGEST */
};

void crdb_password_measure(const char *bytes, size_t len, const struct crdb_word *words,
                           size_t word_count, struct crdb_password_traits *traits);

#endif
