/*
 * response.h - one answer as it comes in: bounded body, bounded headers, the
 * few headers that matter.
 *
 * Filled by the callbacks of transfer.c, which know no Lua; read when the
 * exchange is over. A client keeps one and resets it for each exchange.
 */
#ifndef CRDB_RESPONSE_H
#define CRDB_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buffer.h"

enum { CRDB_HEADERS_MAX = 64 * 1024 }; /* bytes of all header lines of an answer */

enum crdb_content { CRDB_CONTENT_NONE, CRDB_CONTENT_JSON, CRDB_CONTENT_HTML, CRDB_CONTENT_OTHER };

struct crdb_response {
    struct crdb_buffer body;        /* its limit is the cap of the client */
    struct crdb_buffer retry_after; /* the header's value as it came */
    size_t header_bytes;
    bool headers_too_large;
};

void crdb_response_reset(struct crdb_response *r);
void crdb_response_free(struct crdb_response *r);

/* Each returns false when the answer must be broken off: too large or no memory. */
bool crdb_response_header(struct crdb_response *r, const char *line, size_t length);
bool crdb_response_body(struct crdb_response *r, const char *bytes, size_t length);

/* Seconds to wait, from a Retry-After value in either form (whole seconds or an
 * HTTP-date, RFC 9110 section 10.2.3); now is the time it arrived. -1 when there
 * is none or it makes no sense. A date in the past is 0; at most a day. */
double crdb_retry_after(const char *value, time_t now);

/* What a Content-Type value says; NULL is NONE. */
enum crdb_content crdb_content_type(const char *value);

#endif
