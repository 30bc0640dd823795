/*
 * The floor of http_bench.lua: the same requests with bare libcurl, on one handle.
 *
 *   http_bench URL CA-FILE GET|PUT COUNT
 *
 * Prints microseconds of CPU per call, the first one (which connects) left out.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY "{\"password\":\"correct-horse-battery\"}\n"

static size_t discard(char *data, size_t size, size_t count, void *context) {
    (void)data;
    (void)context;
    return size * count;
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    int count = atoi(argv[4]), put = strcmp(argv[3], "PUT") == 0;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    headers = curl_slist_append(headers, "Authorization: Bearer CCDB1_0123456789abcdefghijkl_"
                                         "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");
    headers = curl_slist_append(headers, "Cc-Version: 2024-09-16");
    CURL *easy = curl_easy_init();
    if (put) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, BODY);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(BODY));
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
    }
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    curl_easy_setopt(easy, CURLOPT_CAINFO, argv[2]);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "crdbcloud/0.0.0");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    if (curl_easy_perform(easy) != CURLE_OK)
        return 1;
    clock_t start = clock();
    for (int i = 0; i < count; i++)
        if (curl_easy_perform(easy) != CURLE_OK)
            return 1;
    printf("%.1f\n", (double)(clock() - start) / CLOCKS_PER_SEC / (count ? count : 1) * 1e6);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return 0;
}
