#include "sql/params.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values that switch a way off, or say what would hold without any surroundings. A path below
 * /dev/null can never exist, which libpq takes as "no such file". */
static const struct {
    const char *keyword, *value;
} fixed[] = {
    {"passfile", "/dev/null/none"}, {"sslrootcert", "/dev/null/none"},
    {"sslcert", "/dev/null/none"},  {"sslkey", "/dev/null/none"},
    {"sslcrl", "/dev/null/none"},   {"gssencmode", "disable"},
    {"client_encoding", "UTF8"},    {"application_name", "crdbcloud"},
};

/* Parameters for which libpq takes the empty value as "none"; they are blanked in any case. */
static const char *const blank[] = {"hostaddr",    "options",     "requirepeer", "dbname",
                                    "sslpassword", "replication", NULL};

void crdb_pq_params_start(struct crdb_pq_params *p) {
    memset(p, 0, sizeof *p);
    p->count = 1; /* the first place is for the blanking string */
}

void crdb_pq_params_add(struct crdb_pq_params *p, const char *keyword, const char *value) {
    if (!value || !*value)
        return;
    if (p->count >= CRDB_PQ_PARAMS_MAX) {
        p->full = true;
        return;
    }
    p->keywords[p->count] = keyword;
    p->values[p->count++] = value;
}

static bool given(const struct crdb_pq_params *p, const char *keyword) {
    for (size_t i = 1; i < p->count; i++)
        if (strcmp(p->keywords[i], keyword) == 0)
            return true;
    return false;
}

/* Copies bytes behind the text in use; NULL when they do not fit. */
static char *keep(struct crdb_pq_params *p, const char *s) {
    size_t length = strlen(s) + 1;
    if (length > sizeof p->text - p->text_used) {
        p->full = true;
        return NULL;
    }
    char *copy = memcpy(p->text + p->text_used, s, length);
    p->text_used += length;
    return copy;
}

static bool is_blank(const char *keyword) {
    for (size_t i = 0; blank[i]; i++)
        if (strcmp(blank[i], keyword) == 0)
            return true;
    return false;
}

static void add_blank(char *string, size_t size, bool *full, const char *keyword) {
    size_t used = strlen(string);
    int n = snprintf(string + used, size - used, "%s='' ", keyword);
    if (n < 0 || (size_t)n >= size - used)
        *full = true;
}

bool crdb_pq_params_finish(struct crdb_pq_params *p, bool ambient_password) {
    char blanks[512] = "";
    for (size_t i = 0; blank[i]; i++)
        add_blank(blanks, sizeof blanks, &p->full, blank[i]);
    if (!ambient_password && !given(p, "password"))
        add_blank(blanks, sizeof blanks, &p->full, "password");
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        bool ambient = ambient_password && strcmp(fixed[i].keyword, "passfile") == 0;
        if (!ambient && !given(p, fixed[i].keyword))
            crdb_pq_params_add(p, fixed[i].keyword, fixed[i].value);
    }

    PQconninfoOption *known = PQconndefaults();
    if (!known)
        return false;
    p->watch = p->scram;
    for (const PQconninfoOption *o = known; o->keyword; o++) {
        if (p->scram && strcmp(o->keyword, "require_auth") == 0) {
            p->watch = false;
            crdb_pq_params_add(p, "require_auth", "scram-sha-256,none");
        }
        bool password = strcmp(o->keyword, "password") == 0 || strcmp(o->keyword, "passfile") == 0;
        /* A service file can only fill what is left open, and that is nothing that decides who
         * may log in where; the name of the service itself cannot be blanked. */
        if (given(p, o->keyword) || is_blank(o->keyword) || (password && ambient_password) ||
            strcmp(o->keyword, "service") == 0)
            continue;
        const char *set = o->envvar ? getenv(o->envvar) : NULL;
        if (o->compiled && *o->compiled) {
            const char *keyword = keep(p, o->keyword), *value = keep(p, o->compiled);
            if (keyword && value)
                crdb_pq_params_add(p, keyword, value);
        } else if (set && *set) {
            add_blank(blanks, sizeof blanks, &p->full, o->keyword);
        }
    }
    PQconninfoFree(known);

    p->keywords[0] = "dbname";
    p->values[0] = keep(p, blanks);
    p->keywords[p->count] = p->values[p->count] = NULL;
    return !p->full;
}
