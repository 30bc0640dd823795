/*
 * Opens a client in C and changes a password, with the 1st, the 2nd, the 3rd ... allocation failing
 * until all goes well: ours, and libcurl's too without TLS (with it libcurl 7.88 itself frees a block
 * twice when memory is short). Each attempt must end in one of the outcomes, which is printed; the
 * leak check of AddressSanitizer looks at what was lost. Arguments: URL, CA file.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/curl_global.h"
#include "http/exchange.h"

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);

static unsigned long allocations, fail_at;
static bool spare_libcurl;

static bool is_refused(void) {
    return ++allocations == fail_at;
}

void *__wrap_malloc(size_t n) {
    return is_refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n) {
    return is_refused() ? NULL : __real_calloc(count, n);
}

static bool is_refused_to_libcurl(void) {
    return !spare_libcurl && is_refused();
}

static void *curl_malloc(size_t n) {
    return is_refused_to_libcurl() ? NULL : __real_malloc(n);
}

static void *curl_calloc(size_t count, size_t n) {
    return is_refused_to_libcurl() ? NULL : __real_calloc(count, n);
}

static void *curl_realloc(void *p, size_t n) {
    return is_refused_to_libcurl() ? NULL : realloc(p, n);
}

static char *curl_strdup(const char *text) {
    return is_refused_to_libcurl() ? NULL : strdup(text);
}

/* Returns the outcome; "failed" when there was no client. */
static const char *attempt(const char *url, const char *ca_file) {
    static const char password[] = "correct-horse-battery";
    struct crdb_base_url base = {0};
    struct crdb_exchange x = {.api_key = crdb_secret_copy("key", 3)};
    struct crdb_transfer_options o = {.base = &base,
                                      .api_key = x.api_key,
                                      .api_version = "2024-09-16",
                                      .user_agent = "spec",
                                      .ca_file = ca_file,
                                      .connect_timeout_ms = 10000};
    struct crdb_result result = {.outcome.outcome = "failed"};
    if (x.api_key && !crdb_base_url_parse(&base, url) &&
        crdb_transfer_open(&x.transfer, &o) == CURLE_OK) {
        struct crdb_request *r = &x.request;
        crdb_request_begin(r, CRDB_UPDATE_PASSWORD, "PUT", &base.text);
        crdb_request_path(r, "/api/v1/clusters/c/sql-users/", 29);
        crdb_request_segment(r, "app", 3);
        crdb_request_path(r, "/password", 9);
        crdb_buffer_append(&r->name, "app", 3);
        crdb_request_member(r, "password", password, sizeof password - 1);
        crdb_request_body_end(r);
        crdb_request_quote(r, password, sizeof password - 1);
        crdb_exchange_run(&x, 10000, &result);
        if (result.outcome.kind && (!result.message || strstr(result.message, password)))
            result.outcome.outcome = "no message, or a wrong one";
    }
    const char *outcome = result.outcome.outcome;
    crdb_exchange_close(&x, false);
    crdb_base_url_free(&base);
    return outcome;
}

int main(int argc, char **argv) {
    if (argc != 3 || curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free, curl_realloc,
                                          curl_strdup, curl_calloc) != CURLE_OK)
        return 2;
    if (crdb_curl_global())
        return 3;
    spare_libcurl = strncmp(argv[1], "https", 5) == 0;
    const char *outcome = "";
    for (unsigned long n = 1; n < 10000; n++) {
        fail_at = n;
        allocations = 0;
        outcome = attempt(argv[1], argv[2]);
        printf("%s\n", outcome);
        if (allocations < n)
            break; /* nothing failed any more */
    }
    curl_global_cleanup();
    return strcmp(outcome, "applied") != 0;
}
