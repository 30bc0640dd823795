#include "sql/error.h"

#include "base/secret.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char BLOT[] = "<redacted>";

const char *crdb_pq_reason_word(enum crdb_pq_reason reason) {
    switch (reason) {
    case CRDB_PQ_SERVER:
        return "server";
    case CRDB_PQ_NETWORK:
        return "network";
    case CRDB_PQ_TLS:
        return "tls";
    case CRDB_PQ_TIMEOUT:
        return "timeout";
    case CRDB_PQ_OPTION:
        return "option";
    case CRDB_PQ_MEMORY:
        return "memory";
    case CRDB_PQ_PROTOCOL:
    case CRDB_PQ_OK:
        break;
    }
    return "protocol";
}

/* Copies text to out[size] on one line, without the secrets; what does not fit is left out. A
 * secret is looked for in the whole text, so none can hide across the cut. */
static void copy_clean(char *out, size_t size, const char *text, size_t length,
                       const struct crdb_pq_hidden *hidden, size_t count) {
    size_t used = 0;
    for (size_t i = 0; i < length && used + 1 < size;) {
        size_t skip = 0;
        for (size_t h = 0; h < count; h++)
            if (hidden[h].length > skip && hidden[h].length <= length - i &&
                memcmp(text + i, hidden[h].bytes, hidden[h].length) == 0)
                skip = hidden[h].length;
        if (skip) {
            for (const char *b = BLOT; *b && used + 1 < size; b++)
                out[used++] = *b;
            i += skip;
            continue;
        }
        unsigned char c = (unsigned char)text[i++];
        if (c <= ' ') {
            if (used && out[used - 1] != ' ')
                out[used++] = ' ';
        } else {
            out[used++] = (char)c;
        }
    }
    while (used && out[used - 1] == ' ')
        used--;
    /* A cut must not leave half a UTF-8 character. */
    if (used + 1 >= size) {
        while (used && ((unsigned char)out[used - 1] & 0xc0) == 0x80)
            used--;
        if (used && ((unsigned char)out[used - 1] & 0x80))
            used--;
    }
    out[used] = '\0';
}

void crdb_pq_error_set(struct crdb_pq_error *error, enum crdb_pq_reason reason,
                       const char *message) {
    memset(error, 0, sizeof *error);
    error->reason = reason;
    snprintf(error->message, sizeof error->message, "%s", message);
}

static bool is_sqlstate(const char *s) {
    for (int i = 0; i < 5; i++)
        if (!(s[i] >= '0' && s[i] <= '9') && !(s[i] >= 'A' && s[i] <= 'Z'))
            return false;
    return true;
}

/* "SEVERITY:  SQLSTATE: message": the severity is translated by the server, the two spaces and the
 * code are not. Returns the code's first character. */
static const char *find_sqlstate(const char *text) {
    for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p += 3)
        if (strlen(p) > 10 && is_sqlstate(p + 3) && p[8] == ':' && p[9] == ' ')
            return p + 3;
    return NULL;
}

static bool mentions(const char *text, const char *const words[]) {
    for (; *words; words++)
        if (strcasestr(text, *words))
            return true;
    return false;
}

void crdb_pq_error_of_connection(struct crdb_pq_error *error, const char *text,
                                 const struct crdb_pq_hidden *hidden, size_t count) {
    /* libpq's own words; they are English unless the host program calls setlocale. */
    static const char *const lost[] = {"EOF detected", "closed unexpectedly", "reset by peer",
                                       "Broken pipe", NULL};
    static const char *const tls[] = {"SSL", "TLS", "certificate", NULL};
    static const char *const option[] = {"invalid connection option",
                                         "invalid port",
                                         "invalid integer value",
                                         "invalid sslmode",
                                         "no password supplied",
                                         "definition of service",
                                         "service file",
                                         "could not match",
                                         NULL};
    memset(error, 0, sizeof *error);
    const char *state = find_sqlstate(text);
    if (state) {
        error->reason = CRDB_PQ_SERVER;
        memcpy(error->sqlstate, state, 5);
        const char *primary = state + 7;
        copy_clean(error->message, sizeof error->message, primary, strcspn(primary, "\n"), hidden,
                   count);
        return;
    }
    if (strstr(text, "authentication method requirement"))
        error->reason = CRDB_PQ_PROTOCOL;
    else if (mentions(text, option))
        error->reason = CRDB_PQ_OPTION;
    else if (mentions(text, lost))
        error->reason = CRDB_PQ_NETWORK;
    else if (mentions(text, tls))
        error->reason = CRDB_PQ_TLS;
    else
        error->reason = CRDB_PQ_NETWORK;
    copy_clean(error->message, sizeof error->message, text, strlen(text), hidden, count);
    if (!error->message[0])
        snprintf(error->message, sizeof error->message, "the connection was lost");
}

bool crdb_pq_sets_password(const char *statement) {
    return strcasestr(statement, "password") != NULL;
}

/* Messages of these name objects, roles or states, never values. */
static bool names_only(const char *sqlstate) {
    static const char *const safe[] = {"42704", "42710", "42501", "42939", "42602", "2BP01",
                                       "25006", "40001", "40003", "57014", "57P01", "57P02",
                                       "57P03", "53300", "55006", "0LP01", NULL};
    for (const char *const *s = safe; *s; s++)
        if (strcmp(*s, sqlstate) == 0)
            return true;
    return false;
}

/* Details of these list objects; other details may hold rows. */
static bool detail_is_safe(const char *sqlstate) {
    return strcmp(sqlstate, "2BP01") == 0 || strcmp(sqlstate, "42501") == 0 ||
           strcmp(sqlstate, "55006") == 0;
}

void crdb_pq_error_of_result(struct crdb_pq_error *error, const PGresult *result,
                             bool sets_password, const struct crdb_pq_hidden *hidden,
                             size_t count) {
    memset(error, 0, sizeof *error);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (!state || strlen(state) != 5) {
        /* libpq's own: the connection broke under the statement. */
        crdb_pq_error_of_connection(error, PQresultErrorMessage(result), hidden, count);
        if (error->reason == CRDB_PQ_SERVER)
            return;
        error->reason = CRDB_PQ_NETWORK;
        return;
    }
    error->reason = CRDB_PQ_SERVER;
    memcpy(error->sqlstate, state, 5);
    if (sets_password && !names_only(state)) {
        snprintf(error->message, sizeof error->message,
                 "the server refused a statement about a password; its words are withheld because "
                 "they may quote it");
        return;
    }
    if (primary)
        copy_clean(error->message, sizeof error->message, primary, strlen(primary), hidden, count);
    if (detail && !sets_password && detail_is_safe(state))
        copy_clean(error->detail, sizeof error->detail, detail, strlen(detail), hidden, count);
}
