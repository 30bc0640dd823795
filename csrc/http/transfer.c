#include "http/transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/curl_global.h"

/* SIGPIPE: with CURLOPT_NOSIGNAL libcurl leaves it to us, and OpenSSL writes
 * without MSG_NOSIGNAL. It is kept from this thread alone, and one that came
 * meanwhile is taken away again unless it was already waiting. */
struct pipe_guard {
    sigset_t before;
    bool was_pending;
};

static void guard_pipe(struct pipe_guard *g) {
    sigset_t pipe, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    g->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &g->before);
}

static void unguard_pipe(const struct pipe_guard *g) {
    static const struct timespec at_once = {0};
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!g->was_pending)
        while (sigtimedwait(&pipe, NULL, &at_once) == -1 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &g->before, NULL);
}

/* Asked before each request that is started; so a second time in one exchange is
 * a repetition, which libcurl undertakes by itself when a kept connection dies
 * before any answer. Only reads may be repeated. It costs nothing, unlike a fresh
 * connection for each write; and unlike a body that libcurl cannot rewind it holds
 * for DELETE too, and lets header and body leave in one segment. */
static int permit_request(void *context, char *server, char *client, int server_port,
                          int client_port) {
    struct crdb_transfer *t = context;
    (void)server, (void)client, (void)server_port, (void)client_port;
    if (t->begun > 0 && t->request->operation != CRDB_READ) {
        t->repeat_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    long connects = 0;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    t->reused = connects == t->connects;
    t->connects = connects;
    t->begun++;
    return CURL_PREREQFUNC_OK;
}

/* libcurl treats anything but the given length as a failure of ours. */
static size_t take(bool taken, size_t length) {
    return taken ? length : (length == 0 ? 1 : 0);
}

static size_t write_body(char *from, size_t size, size_t count, void *context) {
    struct crdb_transfer *t = context;
    return take(crdb_response_body(t->response, from, size * count), size * count);
}

static size_t write_header(char *from, size_t size, size_t count, void *context) {
    struct crdb_transfer *t = context;
    return take(crdb_response_header(t->response, from, size * count), size * count);
}

static bool is_loopback(const struct curl_sockaddr *address) {
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    memset(&a, 0, sizeof a);
    if (address->addrlen > sizeof a)
        return false;
    memcpy(&a, &address->addr, address->addrlen);
    if (address->family == AF_INET)
        return ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
    return address->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
}

/* Closed on exec, so that a command run as a hook does not inherit connections;
 * and a plain connection leaves this machine under no name or configuration. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    const struct crdb_transfer *t = context;
    if (purpose != CURLSOCKTYPE_IPCXN || (t->loopback_only && !is_loopback(address)))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Sets one option in a chain of them; the first failure stays in rc. */
#define SET(option, value)                                                                         \
    (rc = rc == CURLE_OK ? curl_easy_setopt(t->easy, CURLOPT_##option, (value)) : rc)

static CURLcode set_callbacks(struct crdb_transfer *t) {
    CURLcode rc = CURLE_OK;
    SET(ERRORBUFFER, t->error);
    SET(PREREQFUNCTION, permit_request);
    SET(PREREQDATA, t);
    SET(WRITEFUNCTION, write_body);
    SET(WRITEDATA, t);
    SET(HEADERFUNCTION, write_header);
    SET(HEADERDATA, t);
    SET(OPENSOCKETFUNCTION, open_socket);
    SET(OPENSOCKETDATA, t);
    return rc;
}

static CURLcode set_trust(struct crdb_transfer *t, const struct crdb_transfer_options *o) {
    CURLcode rc = CURLE_OK;
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    const char *ca_path = o->ca_path;
    if (!o->ca_file && !ca_path)
        ca_path = crdb_curl_ca_path();
    if (o->ca_file || ca_path) {
        SET(CAINFO, o->ca_file);
        SET(CAPATH, ca_path);
    }
    return rc == CURLE_OK ? crdb_keylog_forbid(t->easy) : rc;
}

static CURLcode set_network(struct crdb_transfer *t, const struct crdb_transfer_options *o) {
    CURLcode rc = CURLE_OK;
    SET(PROTOCOLS_STR, t->loopback_only ? "http" : "https");
    SET(PROXY, o->proxy && !t->loopback_only ? o->proxy : ""); /* "": not even the environment's */
    SET(NOPROXY, "");
    SET(HEADEROPT, (long)CURLHEADER_SEPARATE); /* the key is not for the proxy */
    SET(SUPPRESS_CONNECT_HEADERS, 1L);
    SET(NETRC, (long)CURL_NETRC_IGNORED);
    SET(FOLLOWLOCATION, 0L);
    SET(PATH_AS_IS, 1L);
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(HTTP09_ALLOWED, 0L);
    SET(NOSIGNAL, 1L);
    SET(TCP_NODELAY, 1L); /* a large body leaves in several writes */
    SET(CONNECTTIMEOUT_MS, o->connect_timeout_ms);
    SET(USERAGENT, o->user_agent);
    if (t->resolve)
        SET(RESOLVE, t->resolve);
    return rc;
}

/* Appends "name: value"; NULL value: nothing to do. False: no memory. */
static bool add_header(struct curl_slist **list, const char *name, const char *value,
                       size_t length) {
    if (!value)
        return true;
    struct crdb_buffer line = {0};
    struct curl_slist *longer = NULL;
    if (crdb_buffer_text(&line, name) && crdb_buffer_append(&line, value, length))
        longer = curl_slist_append(*list, line.data);
    crdb_buffer_free(&line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_header_text(struct curl_slist **list, const char *name, const char *value) {
    return add_header(list, name, value, value ? strlen(value) : 0);
}

/* Wipes the lines, which hold the API key. */
static void free_headers(struct curl_slist *headers) {
    for (struct curl_slist *h = headers; h; h = h->next)
        crdb_wipe(h->data, strlen(h->data));
    curl_slist_free_all(headers);
}

/* The lines of every request, built once; NULL: no memory. */
static struct curl_slist *make_headers(const struct crdb_transfer_options *o) {
    struct curl_slist *list = NULL;
    bool fits =
        add_header_text(&list, "Accept: ", "application/json") &&
        add_header(&list, "Authorization: Bearer ", (const char *)crdb_secret_bytes(o->api_key),
                   crdb_secret_length(o->api_key)) &&
        add_header_text(&list, "Cc-Version: ", o->api_version) &&
        add_header_text(&list, "Cc-Vanity-Name: ", o->vanity_name) &&
        add_header_text(&list, "Cc-Username: ", o->username) &&
        add_header_text(&list, "Expect:", ""); /* takes libcurl's "100-continue" away */
    if (fits)
        return list;
    free_headers(list);
    return NULL;
}

CURLcode crdb_transfer_open(struct crdb_transfer *t, const struct crdb_transfer_options *o) {
    t->loopback_only = o->base->loopback_only;
    t->timeout_ms = -1;
    t->easy = curl_easy_init();
    t->headers = make_headers(o);
    if (!t->easy || !t->headers)
        return CURLE_OUT_OF_MEMORY;
    static char content_type[] = "Content-Type: application/json";
    t->with_body = (struct curl_slist){.data = content_type, .next = t->headers};
    if (o->base->pin.length > 0 && !(t->resolve = curl_slist_append(NULL, o->base->pin.data)))
        return CURLE_OUT_OF_MEMORY;
    CURLcode rc = set_callbacks(t);
    if (rc == CURLE_OK)
        rc = set_trust(t, o);
    return rc == CURLE_OK ? set_network(t, o) : rc;
}

/* What differs from one request to the next. */
static CURLcode set_request(struct crdb_transfer *t, const struct crdb_request *r,
                            long timeout_ms) {
    CURLcode rc = CURLE_OK;
    bool body = r->body.length > 0;
    SET(URL, r->url.data);
    if (timeout_ms != t->timeout_ms)
        SET(TIMEOUT_MS, timeout_ms);
    if (t->method != r->method || t->had_body != body) {
        bool get = strcmp(r->method, "GET") == 0;
        t->method = NULL;
        SET(CUSTOMREQUEST, get ? NULL : r->method);
        SET(HTTPHEADER, body ? &t->with_body : t->headers);
        if (get || strcmp(r->method, "DELETE") == 0)
            SET(HTTPGET, 1L);
        else
            SET(POSTFIELDS, "");
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)0);
    }
    if (body) { /* a pointer into our buffer: libcurl keeps no copy */
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body.length);
        SET(POSTFIELDS, r->body.data);
    }
    if (rc == CURLE_OK) {
        t->method = r->method;
        t->had_body = body;
        t->timeout_ms = timeout_ms;
    }
    return rc;
}

static void gather(struct crdb_transfer *t, struct crdb_transfer_facts *f) {
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &f->status);
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &f->http_version);
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &f->connects);
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &f->proxy_status);
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &f->pretransfer_us);
    curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &f->total_us);
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &f->request_size);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &f->content_type);
    f->begun = t->begun;
    f->repeat_refused = t->repeat_refused;
    /* On a connection of its own libcurl repeats a request only when the server turned it away: by
     * REFUSED_STREAM or GOAWAY, which mean "not processed" (RFC 9113 section 8.7), or by asking
     * for HTTP/1.1 in its place, which clients take to mean the same. */
    f->stream_refused = t->repeat_refused && !t->reused;
}

void crdb_transfer_refuse(struct crdb_transfer *t, struct crdb_response *response, CURLcode why,
                          struct crdb_transfer_facts *facts) {
    *facts = (struct crdb_transfer_facts){.curl = why};
    crdb_response_reset(response);
    t->error[0] = '\0';
}

void crdb_transfer_perform(struct crdb_transfer *t, const struct crdb_request *request,
                           struct crdb_response *response, long timeout_ms,
                           struct crdb_transfer_facts *facts) {
    struct pipe_guard guard;
    crdb_transfer_refuse(t, response, CURLE_OK, facts);
    t->request = request;
    t->response = response;
    t->begun = 0;
    t->connects = 0;
    t->reused = t->repeat_refused = false;
    facts->curl = set_request(t, request, timeout_ms);
    if (facts->curl == CURLE_OK) {
        guard_pipe(&guard);
        facts->curl = curl_easy_perform(t->easy);
        unguard_pipe(&guard);
        gather(t, facts);
    }
    t->request = NULL;
    t->response = NULL;
}

static void wipe_headers(struct crdb_transfer *t) {
    free_headers(t->headers);
    t->headers = NULL;
}

void crdb_transfer_close(struct crdb_transfer *t) {
    if (t->easy) {
        struct pipe_guard guard;
        guard_pipe(&guard); /* closing says goodbye on the connection */
        curl_easy_cleanup(t->easy);
        unguard_pipe(&guard);
    }
    t->easy = NULL;
    wipe_headers(t);
    curl_slist_free_all(t->resolve);
    t->resolve = NULL;
}

void crdb_transfer_abandon(struct crdb_transfer *t) {
    t->easy = NULL;
    t->resolve = NULL;
    wipe_headers(t);
}
