/*
 * dotenv_line.h - where one line of an environment file ends, and what it sets.
 */
#ifndef CRDB_DOTENV_LINE_H
#define CRDB_DOTENV_LINE_H

#include "files/dotenv.h"

/* Offsets in the file. Quotes and escapes may take a line over several line feeds. */
struct crdb_dotenv_line {
    size_t start, end;    /* end: behind its line feed */
    size_t text;          /* behind a byte-order mark, which stays in front of everything */
    bool dangling;        /* the file ends with it, and what is appended would go on with it */
    bool sets;            /* it sets the variable */
    size_t value, behind; /* then: where the value begins, and what comes after it */
};

/* Reads the line at offset start, which is within the file. False: *f says (code "content") why
 * a file with such a line is not edited. */
bool crdb_dotenv_read_line(enum crdb_dotenv_dialect dialect, const char *file, size_t len,
                           size_t start, const char *key, size_t key_len,
                           struct crdb_dotenv_line *line, struct crdb_failure *f);

#endif
