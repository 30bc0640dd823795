#include "http/response.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LONGEST_WAIT 86400.0 /* seconds */

void crdb_response_reset(struct crdb_response *r) {
    crdb_buffer_reset(&r->body);
    crdb_buffer_reset(&r->retry_after);
    r->header_bytes = 0;
    r->headers_too_large = false;
}

void crdb_response_free(struct crdb_response *r) {
    crdb_buffer_free(&r->body);
    crdb_buffer_free(&r->retry_after);
}

/* All lines of all header blocks count, so that a server cannot go on for ever
 * with 1xx answers. */
bool crdb_response_header(struct crdb_response *r, const char *line, size_t length) {
    static const char name[] = "retry-after:";
    const size_t n = sizeof name - 1;
    r->header_bytes += length;
    if (r->header_bytes > CRDB_HEADERS_MAX) {
        r->headers_too_large = true;
        return false;
    }
    if (length <= n || (line[0] | 0x20) != 'r' || strncasecmp(line, name, n) != 0)
        return true;
    while (length > n && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    crdb_buffer_reset(&r->retry_after);
    return crdb_buffer_append(&r->retry_after, line + n, length - n);
}

bool crdb_response_body(struct crdb_response *r, const char *bytes, size_t length) {
    return crdb_buffer_append(&r->body, bytes, length);
}

/* The year of "Fri, 31 Dec 2049 23:59:59 GMT"; 0 for all else. */
static int year_of(const char *date) {
    int year = 0;
    return sscanf(date, "%*3s, %*2d %*3s %4d", &year) == 1 ? year : 0;
}

double crdb_retry_after(const char *value, time_t now) {
    if (!value)
        return -1;
    value += strspn(value, " \t");
    size_t digits = strspn(value, "0123456789");
    size_t rest = strspn(value + digits, " \t");
    double seconds = -1;
    if (digits > 0 && value[digits + rest] == '\0') {
        seconds = 0;
        for (size_t i = 0; i < digits && seconds < LONGEST_WAIT; i++)
            seconds = seconds * 10 + (value[i] - '0');
    } else if (digits == 0 && *value != '\0') {
        time_t at = curl_getdate(value, NULL);
        if (at != -1)
            seconds = at > now ? (double)(at - now) : 0;
        else if (sizeof at == 4 && year_of(value) >= 2038)
            seconds = LONGEST_WAIT; /* too late for the clock of this system */
    }
    return seconds > LONGEST_WAIT ? LONGEST_WAIT : seconds;
}

enum crdb_content crdb_content_type(const char *value) {
    if (!value)
        return CRDB_CONTENT_NONE;
    size_t n = strcspn(value, "; \t");
    if (n == 0)
        return CRDB_CONTENT_NONE;
    if ((n == 16 && strncasecmp(value, "application/json", n) == 0) ||
        (n > 17 && strncasecmp(value, "application/", 12) == 0 &&
         strncasecmp(value + n - 5, "+json", 5) == 0))
        return CRDB_CONTENT_JSON;
    if ((n == 9 && strncasecmp(value, "text/html", n) == 0) ||
        (n == 21 && strncasecmp(value, "application/xhtml+xml", n) == 0))
        return CRDB_CONTENT_HTML;
    return CRDB_CONTENT_OTHER;
}
