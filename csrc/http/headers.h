/*
 * headers.h - the header lines of a client, built once; they hold the API key.
 */
#ifndef CRDB_HEADERS_H
#define CRDB_HEADERS_H

#include <curl/curl.h>

struct crdb_transfer_options;

/* The lines of every request; NULL when memory was short. The caller frees. */
struct curl_slist *crdb_headers_make(const struct crdb_transfer_options *options);

/* Wipes and frees; NULL is allowed. */
void crdb_headers_free(struct curl_slist *headers);

#endif
