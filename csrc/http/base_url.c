#include "http/base_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define NO_MEMORY "there is not enough memory"

/* The parts of a URL; each belongs to libcurl's allocator or is NULL. */
struct parts {
    char *scheme, *host, *port, *path;
    char *given_port; /* NULL when it is the scheme's own */
};

/* libcurl's parser has already brought 127.1 and 0x7f.1 into the dotted form. */
static bool is_loopback(const char *host) {
    struct in_addr v4;
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool has(CURLU *url, CURLUPart part) {
    char *text = NULL;
    bool found = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return found;
}

static const char *check(CURLU *url, const struct parts *p) {
    if (strcmp(p->scheme, "https") != 0 && strcmp(p->scheme, "http") != 0)
        return "expected https://HOST[:PORT], got another scheme";
    if (has(url, CURLUPART_USER) || has(url, CURLUPART_PASSWORD) || has(url, CURLUPART_OPTIONS))
        return "expected https://HOST[:PORT], got one with a user name or password in it";
    if (has(url, CURLUPART_QUERY) || has(url, CURLUPART_FRAGMENT))
        return "expected https://HOST[:PORT], got one with a query or fragment";
    if (strcmp(p->scheme, "http") == 0 && !is_loopback(p->host))
        return "plain http is allowed only to 127.0.0.0/8, [::1] and localhost; write https://";
    return NULL;
}

static bool build(struct crdb_base_url *base, const struct parts *p) {
    size_t path = strlen(p->path);
    while (path > 0 && p->path[path - 1] == '/')
        path--;
    struct crdb_buffer *t = &base->text, *pin = &base->pin;
    bool fits = crdb_buffer_text(t, p->scheme) && crdb_buffer_text(t, "://") &&
                crdb_buffer_text(t, p->host) && crdb_buffer_text(t, p->given_port ? ":" : "") &&
                crdb_buffer_text(t, p->given_port ? p->given_port : "") &&
                crdb_buffer_append(t, p->path, path);
    if (fits && strcasecmp(p->host, "localhost") == 0)
        fits = crdb_buffer_text(pin, p->host) && crdb_buffer_text(pin, ":") &&
               crdb_buffer_text(pin, p->port) && crdb_buffer_text(pin, ":127.0.0.1,[::1]");
    base->loopback_only = strcmp(p->scheme, "http") == 0;
    return fits;
}

static const char *parse(struct crdb_base_url *base, CURLU *url, const char *text,
                         struct parts *p) {
    if (strchr(text, '@'))
        return "expected https://HOST[:PORT], got one with a user name or password in it";
    if (strchr(text, ' ') || !strstr(text, "://") ||
        curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &p->scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &p->host, 0) != CURLUE_OK)
        return "expected https://HOST[:PORT]";
    const char *problem = check(url, p);
    if (problem)
        return problem;
    if (curl_url_get(url, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PATH, &p->path, 0) != CURLUE_OK)
        return NO_MEMORY;
    CURLUcode rc = curl_url_get(url, CURLUPART_PORT, &p->given_port, CURLU_NO_DEFAULT_PORT);
    if (rc != CURLUE_OK && rc != CURLUE_NO_PORT)
        return NO_MEMORY;
    return build(base, p) ? NULL : NO_MEMORY;
}

const char *crdb_base_url_parse(struct crdb_base_url *base, const char *text) {
    struct parts p = {0};
    CURLU *url = curl_url();
    const char *problem = url ? parse(base, url, text, &p) : NO_MEMORY;
    curl_free(p.scheme);
    curl_free(p.host);
    curl_free(p.port);
    curl_free(p.given_port);
    curl_free(p.path);
    curl_url_cleanup(url);
    return problem;
}

void crdb_base_url_free(struct crdb_base_url *base) {
    crdb_buffer_free(&base->text);
    crdb_buffer_free(&base->pin);
}
