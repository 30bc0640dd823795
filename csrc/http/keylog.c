#include "http/keylog.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libcurl calls this after it has set its own callback, for each new connection. */
static CURLcode forbid(CURL *easy, void *context, void *user) {
    (void)easy, (void)user;
    SSL_CTX_set_keylog_callback(context, NULL);
    return CURLE_OK;
}

/* Other TLS libraries pass something else than an SSL_CTX. */
static bool is_our_openssl(void) {
    char ours[32];
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    snprintf(ours, sizeof ours, "OpenSSL/%d.", OPENSSL_VERSION_MAJOR);
    return version->ssl_version && strncmp(version->ssl_version, ours, strlen(ours)) == 0;
}

CURLcode crdb_keylog_forbid(CURL *easy) {
    if (is_our_openssl())
        return curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, forbid);
    const char *file = getenv("SSLKEYLOGFILE");
    return file && *file ? CURLE_NOT_BUILT_IN : CURLE_OK;
}
