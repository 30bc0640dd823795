#include "sql/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* Lengths of a password message: of an md5 ("md5", 32 digits, NUL, and 4 bytes of length), and
 * what a message in the clear has beside the password. */
enum { MD5_MESSAGE = 40, BESIDE = 5 };

void crdb_pq_watch_start(struct crdb_pq_watch *w, PGconn *connection) {
    w->file = open_memstream(&w->text, &w->length);
    if (w->file)
        PQtrace(connection, w->file);
}

/* Counts the messages of the type 'p' (112, 0x70) and tells the length of the last one. */
static int count(const char *trace, size_t *length) {
    int messages = 0;
    for (const char *at = trace; at && (at = strstr(at, "\tF\t")); at += 3) {
        char *end;
        unsigned long size = strtoul(at + 3, &end, 10);
        if (strncmp(end, "\tUnknown message: 70\n", 21) == 0) {
            messages++;
            *length = size;
        }
    }
    return messages;
}

bool crdb_pq_watch_end(struct crdb_pq_watch *w, PGconn *connection) {
    if (!w->file)
        return false;
    PQuntrace(connection);
    fclose(w->file);
    size_t length = 0;
    int messages = count(w->text, &length);
    if (w->text)
        crdb_wipe(w->text, w->length);
    free(w->text);
    const char *password = PQpass(connection);
    /* A SCRAM login that the server ends early has sent its first message only. */
    return messages == 1 && password &&
           (length == MD5_MESSAGE || length == strlen(password) + BESIDE);
}
