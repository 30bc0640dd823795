/*
 * keylog.h - keeps TLS session keys out of the file that SSLKEYLOGFILE names.
 *
 * libcurl writes the keys of each connection there when the environment has
 * that variable, and whoever has the keys and the packets reads the API key and
 * every password. A debugging aid for a process is no reason to give them away.
 */
#ifndef CRDB_KEYLOG_H
#define CRDB_KEYLOG_H

#include <curl/curl.h>

/* Connections made by easy from now on log no keys, whatever the environment says. CURLE_OK, or
 * what libcurl refused; then nothing has been promised. Call crdb_curl_global first. */
CURLcode crdb_keylog_forbid(CURL *easy);

#endif
