/*
 * base_url.h - the address of the API server, checked before anything is sent.
 *
 * https to any host; plain http only to this machine, because a key and
 * passwords go over it. A path is allowed in front of /api (a gateway).
 */
#ifndef CRDB_BASE_URL_H
#define CRDB_BASE_URL_H

#include <stdbool.h>

#include "base/buffer.h"

#define CRDB_DEFAULT_BASE_URL "https://cockroachlabs.cloud"

/* Zeroed is empty; whoever parsed one frees it. */
struct crdb_base_url {
    struct crdb_buffer text; /* scheme://host[:port][/path], without a slash at the end */
    struct crdb_buffer pin;  /* CURLOPT_RESOLVE entry for localhost, else empty */
    bool loopback_only;      /* plain http */
};

/* NULL when good; else what was expected, never quoting the text, which may
 * hold a password. text must be NUL-terminated and without CR or LF. */
const char *crdb_base_url_parse(struct crdb_base_url *base, const char *text);

void crdb_base_url_free(struct crdb_base_url *base);

#endif
