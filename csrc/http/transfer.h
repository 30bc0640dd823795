/*
 * transfer.h - one HTTP exchange at a time over one libcurl handle.
 *
 * The handle lives as long as the client: options are set once, connections
 * and TLS sessions are kept. libcurl sends a request a second time by itself
 * when a kept connection dies before any answer. A write must not be repeated so,
 * because the server may have carried out the first one: permit_request in
 * transfer.c refuses it.
 *
 * A struct crdb_transfer must not move while it is open: libcurl holds its
 * address. One thread at a time.
 */
#ifndef CRDB_TRANSFER_H
#define CRDB_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/secret.h"
#include "http/base_url.h"
#include "http/request.h"
#include "http/response.h"

/* Borrowed for the time of crdb_transfer_open. NULL texts are not sent or not set. */
struct crdb_transfer_options {
    const struct crdb_base_url *base;
    struct crdb_secret *api_key;
    const char *api_version, *vanity_name, *username, *user_agent;
    const char *ca_file, *ca_path; /* both NULL: the system's authorities */
    const char *proxy;
    long connect_timeout_ms;
};

struct crdb_transfer {
    CURL *easy;
    struct curl_slist *headers;  /* of every request; holds the key, wiped at close */
    struct curl_slist with_body; /* Content-Type, then headers */
    struct curl_slist *resolve;  /* pin of localhost */
    char error[CURL_ERROR_SIZE];
    bool loopback_only;
    long timeout_ms;    /* last set, to set it again only when it changes */
    const char *method; /* likewise */
    bool had_body;

    /* The exchange under way. */
    const struct crdb_request *request;
    struct crdb_response *response;
    unsigned begun;      /* requests that were started on a connection */
    long connects;       /* connections made before the last of them */
    bool reused;         /* the last of them was started on a kept connection */
    bool repeat_refused; /* libcurl wanted to send the request again */
};

/* What happened, for outcome.h. */
struct crdb_transfer_facts {
    CURLcode curl;
    long status, http_version, connects, proxy_status;
    curl_off_t pretransfer_us, total_us;
    long request_size;        /* bytes of all request headers and bodies sent */
    unsigned begun;           /* requests that were started on a connection */
    bool repeat_refused;      /* permit_request refused to repeat a write */
    bool stream_refused;      /* the server turned the request away unprocessed */
    const char *content_type; /* NULL for none; valid until the next exchange */
};

/* t must be zeroed. CURLE_OK, or what libcurl refused; t must be closed either way. */
CURLcode crdb_transfer_open(struct crdb_transfer *t, const struct crdb_transfer_options *options);

/* Sends request and reads the answer into response, all within timeout_ms.
 * SIGPIPE cannot reach the process; the caller's signal mask is as before. */
void crdb_transfer_perform(struct crdb_transfer *t, const struct crdb_request *request,
                           struct crdb_response *response, long timeout_ms,
                           struct crdb_transfer_facts *facts);

/* The same for a request that cannot be sent: nothing is, and facts say why. */
void crdb_transfer_refuse(struct crdb_transfer *t, struct crdb_response *response, CURLcode why,
                          struct crdb_transfer_facts *facts);

/* Closes connections, wipes the key; again is allowed. */
void crdb_transfer_close(struct crdb_transfer *t);

/* For a child process of the one that opened t: wipes the key but leaves the
 * handle alone, because closing it would write to the parent's connections. */
void crdb_transfer_abandon(struct crdb_transfer *t);

#endif
