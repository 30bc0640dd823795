/*
 * The floor: as many list requests with bare libcurl as argv[1] says, on one handle. Prints the
 * microseconds of CPU per call, user and system. Server, key, authority and cluster come from the
 * environment of the sandbox.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static size_t discard(char *data, size_t size, size_t count, void *context) {
    (void)data;
    (void)context;
    return size * count;
}

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    const char *server = getenv("COCKROACH_SERVER"), *file = getenv("COCKROACH_API_KEY_FILE");
    const char *cluster = getenv("CRDBCLOUD_CLUSTER"), *authority = getenv("CRDBCLOUD_CA_FILE");
    FILE *key_file = file ? fopen(file, "r") : NULL;
    char key[256] = "", url[512], header[512];
    if (argc != 2 || !server || !cluster || !authority || !key_file ||
        !fgets(key, sizeof key, key_file))
        return 2;
    fclose(key_file);
    key[strcspn(key, "\n")] = '\0';
    snprintf(url, sizeof url, "%s/api/v1/clusters/%s/sql-users?pagination.limit=500", server,
             cluster);
    snprintf(header, sizeof header, "Authorization: Bearer %s", key);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    CURL *easy = curl_easy_init();
    if (!headers || !easy || curl_easy_setopt(easy, CURLOPT_URL, url) ||
        curl_easy_setopt(easy, CURLOPT_CAINFO, authority) ||
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) ||
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS) ||
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard))
        return 2;
    /* The first call makes the connection, which is not what is measured. */
    if (curl_easy_perform(easy) != CURLE_OK)
        return 1;
    int count = atoi(argv[1]);
    double start = cpu();
    for (int i = 0; i < count; i++)
        if (curl_easy_perform(easy) != CURLE_OK)
            return 1;
    printf("%.1f\n", (cpu() - start) / count * 1e6);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return 0;
}
