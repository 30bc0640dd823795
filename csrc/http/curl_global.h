/*
 * curl_global.h - libcurl's process-wide state, set up once for all threads.
 *
 * It is never torn down: other Lua states, and other users of libcurl in the
 * process, may still be using it, and the module stays loaded (-z nodelete).
 */
#ifndef CRDB_CURL_GLOBAL_H
#define CRDB_CURL_GLOBAL_H

#include <curl/curl.h>

/* Safe from any thread, any number of times. NULL, or what is wrong. */
const char *crdb_curl_global(void);

/* The system's directory of certificate authorities when it is indexed by hash,
 * else NULL; valid for the life of the process, after crdb_curl_global. Looking
 * up one file there takes a tenth of the time of parsing the whole bundle. */
const char *crdb_curl_ca_path(void);

/* Keeps TLS session keys out of the file that SSLKEYLOGFILE names: libcurl writes the keys of each
 * connection there, and whoever has them and the packets reads the API key and every password. From
 * now on no connection of easy logs keys, whatever the environment says. CURLE_OK, or what libcurl
 * refused; then nothing is promised. Call crdb_curl_global first. */
CURLcode crdb_keylog_forbid(CURL *easy);

#endif
