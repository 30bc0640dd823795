#include "http/curl_global.h"

#include <dirent.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if LIBCURL_VERSION_NUM < 0x075500
#error "libcurl 7.85.0 or later is needed"
#endif

#define SYSTEM_CA_PATH "/etc/ssl/certs"

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Written by set_up alone, inside pthread_once; read-only afterwards. */
static const char *problem;
static bool ca_path_is_hashed;

/* OpenSSL finds an authority by the name HASH.N, eight hexadecimal digits. A
 * directory of plain bundles holds no such name and would verify nothing. */
static bool is_hashed(const char *path) {
    DIR *dir = opendir(path);
    bool found = false;
    const struct dirent *entry;
    while (dir && !found && (entry = readdir(dir)) != NULL)
        found = strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.' &&
                entry->d_name[9] >= '0' && entry->d_name[9] <= '9';
    if (dir)
        closedir(dir);
    return found;
}

static void set_up(void) {
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        problem = "libcurl could not be initialised";
    else if (version->version_num < 0x075500)
        problem = "libcurl 7.85.0 or later is needed; an older one is installed";
    else if (!(version->features & CURL_VERSION_SSL))
        problem = "the installed libcurl cannot do TLS";
    ca_path_is_hashed = is_hashed(SYSTEM_CA_PATH);
}

const char *crdb_curl_global(void) {
    int rc = pthread_once(&once, set_up);
    return rc != 0 ? "libcurl could not be initialised" : problem;
}

const char *crdb_curl_ca_path(void) {
    return ca_path_is_hashed ? SYSTEM_CA_PATH : NULL;
}

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
