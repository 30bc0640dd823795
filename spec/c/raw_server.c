/*
 * A server on 127.0.0.1 that misbehaves on order, for faults that a real web server does not
 * commit: it dies in mid-request, resets, answers with any bytes, floods, refuses HTTP/2 streams.
 *
 *   raw_server LOG [--tls CERT KEY] [--h2] ACTION...
 *
 * Prints "PORT PID" and serves until it is killed or its parent dies. Each whole request takes the
 * next ACTION, the last one stays; each is written to LOG: "connect", "request METHOD PATH BODY-BYTES",
 * "header LINE", "body BYTES" with what came of it (no secret of anybody: specs send made-up ones).
 *
 * HTTP/1.1: send:TEXT (\r \n \\ are escapes; the connection stays), last:TEXT (then closes),
 *   close (after the whole request), reset (likewise, by RST), cut (reset after the headers alone),
 *   die (after the headers says that it will send no more, then is gone: writing to it gives EPIPE), hang, flood-headers, flood-body
 *   file:PATH (the bytes of a file as it is then; the connection stays), file!:PATH (then closes)
 *   on:PATTERN|ACTION is for requests whose "METHOD PATH" fits the pattern of a shell; others pass it over
 * HTTP/2: ok, refuse (REFUSED_STREAM), goaway (from before the stream), goaway-after (the stream may have been
 *   processed), http11 (HTTP_1_1_REQUIRED), fail (INTERNAL_ERROR), close
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static FILE *journal;
static char **actions;
static int action_count;
static bool taken[4096];
static bool offer_h2;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct peer {
    int fd;
    SSL *ssl;
    char head[65536];
    size_t length; /* bytes in head */
};

static void record(const char *format, ...) {
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&mutex);
    vfprintf(journal, format, args);
    fflush(journal);
    pthread_mutex_unlock(&mutex);
    va_end(args);
}

/* The action of an entry when it is for this request; NULL when it is not. */
static const char *action_for(const char *entry, const char *request) {
    char pattern[256];
    const char *bar = strchr(entry, '|');
    if (strncmp(entry, "on:", 3) != 0 || !bar || (size_t)(bar - entry) >= sizeof pattern)
        return entry;
    memcpy(pattern, entry + 3, (size_t)(bar - entry - 3));
    pattern[bar - entry - 3] = '\0';
    return fnmatch(pattern, request, 0) == 0 ? bar + 1 : NULL;
}

/* The first action for this request, if its entry says which it is for; of the others the first that was not taken yet,
 * else the last. */
static const char *take_action(const char *request) {
    const char *action = NULL;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < action_count; i++) {
        const char *own = action_for(actions[i], request);
        if (!own)
            continue;
        action = own;
        if (own != actions[i] || !taken[i]) {
            taken[i] = true;
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
    return action ? action : "close";
}

static ssize_t get(struct peer *p, void *to, size_t size) {
    return p->ssl ? SSL_read(p->ssl, to, (int)size) : read(p->fd, to, size);
}

static bool put(struct peer *p, const void *from, size_t size) {
    const char *bytes = from;
    while (size > 0) {
        ssize_t n = p->ssl ? SSL_write(p->ssl, bytes, (int)size) : write(p->fd, bytes, size);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Reads until head holds at least `size` bytes. */
static bool fill(struct peer *p, size_t size) {
    while (p->length < size) {
        ssize_t n = size <= sizeof p->head - 1
                        ? get(p, p->head + p->length, sizeof p->head - 1 - p->length)
                        : 0;
        if (n <= 0)
            return false;
        p->length += (size_t)n;
        p->head[p->length] = '\0';
    }
    return true;
}

static void drop(struct peer *p, size_t size) {
    p->length -= size;
    memmove(p->head, p->head + size, p->length + 1);
}

static void abort_connection(struct peer *p) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (p->ssl)
        SSL_set_quiet_shutdown(p->ssl, 1);
}

static bool send_text(struct peer *p, const char *text) {
    char *out = malloc(strlen(text) + 1);
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '\\' && text[1]) {
            text++;
            out[n++] = *text == 'r' ? '\r' : *text == 'n' ? '\n' : *text;
        } else {
            out[n++] = *text;
        }
    }
    bool sent = put(p, out, n);
    free(out);
    return sent;
}

static bool send_file(struct peer *p, const char *path) {
    char bytes[65536];
    size_t n;
    bool sent = true;
    FILE *file = fopen(path, "rb");
    while (file && sent && (n = fread(bytes, 1, sizeof bytes, file)) > 0)
        sent = put(p, bytes, n);
    if (file)
        fclose(file);
    return file && sent;
}

static void flood(struct peer *p, const char *start, const char *more) {
    if (!put(p, start, strlen(start)))
        return;
    while (put(p, more, strlen(more)))
        ;
}

static void wait_for_close(struct peer *p) {
    char bytes[4096];
    while (get(p, bytes, sizeof bytes) > 0)
        ;
}

/* One HTTP/1.1 request; false when the connection is over. */
static bool serve_http1(struct peer *p) {
    char *end, method[16] = "", path[1024] = "", request[1042];
    while ((end = strstr(p->head, "\r\n\r\n")) == NULL)
        if (!fill(p, p->length + 1))
            return false;
    size_t head = (size_t)(end - p->head) + 4;
    sscanf(p->head, "%15s %1023s", method, path);
    const char *length = strcasestr(p->head, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    snprintf(request, sizeof request, "%s %s", method, path);
    const char *action = take_action(request);
    if (strcmp(action, "cut") == 0) {
        record("request %s %s cut\n", method, path);
        abort_connection(p);
        return false;
    }
    if (strcmp(action, "die") == 0) {
        record("request %s %s die\n", method, path);
        for (size_t taken = 0; taken < 1000000 && fill(p, 1); drop(p, p->length))
            taken += p->length;
        if (p->ssl)
            SSL_shutdown(p->ssl);
        shutdown(p->fd, SHUT_WR);
        return false;
    }
    for (char *line = strstr(p->head, "\r\n") + 2; line < end;) {
        char *next = strstr(line, "\r\n");
        record("header %.*s\n", (int)(next - line), line);
        line = next + 2;
    }
    drop(p, head);
    if (!fill(p, body))
        return false;
    record("body %.*s\n", (int)body, p->head);
    drop(p, body);
    record("request %s %s %zu\n", method, path, body);
    if (strncmp(action, "send:", 5) == 0)
        return send_text(p, action + 5);
    if (strncmp(action, "file:", 5) == 0)
        return send_file(p, action + 5);
    if (strncmp(action, "file!:", 6) == 0)
        send_file(p, action + 6);
    else if (strncmp(action, "last:", 5) == 0)
        send_text(p, action + 5);
    else if (strcmp(action, "reset") == 0)
        abort_connection(p);
    else if (strcmp(action, "hang") == 0)
        wait_for_close(p);
    else if (strcmp(action, "flood-headers") == 0)
        flood(p, "HTTP/1.1 200 OK\r\n", "X-More: 0123456789012345678901234567890123456789\r\n");
    else if (strcmp(action, "flood-body") == 0)
        flood(p, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\"", "0123456789abcdef");
    return false;
}

enum {
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

static bool frame(struct peer *p, int type, int flags, unsigned stream, const void *payload,
                  size_t n) {
    unsigned char head[9] = {(unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n,
                             (unsigned char)type, (unsigned char)flags};
    for (int i = 0; i < 4; i++)
        head[5 + i] = (unsigned char)(stream >> (24 - 8 * i));
    return put(p, head, sizeof head) && put(p, payload, n);
}

/* Answers one whole request on a stream; false ends the connection. */
static bool answer_http2(struct peer *p, unsigned stream, size_t body) {
    static const unsigned char ok[] = "\x88\x0f\x10\x10"
                                      "application/json"; /* :status 200, content-type */
    static const char json[] = "{\"name\":\"app\",\"users\":[]}";
    const char *action = take_action("");
    record("request stream %u %zu\n", stream, body);
    if (strcmp(action, "ok") == 0)
        return frame(p, HEADERS, END_HEADERS, stream, ok, sizeof ok - 1) &&
               frame(p, DATA, END_STREAM, stream, json, sizeof json - 1);
    unsigned char code[4] = {0, 0, 0,
                             strcmp(action, "refuse") == 0   ? 7
                             : strcmp(action, "http11") == 0 ? 13
                                                             : 2};
    if (strncmp(action, "goaway", 6) == 0) {
        bool after = strcmp(action, "goaway-after") == 0;
        unsigned char away[8] = {0};
        away[3] = (unsigned char)(after ? stream : stream > 1 ? stream - 2 : 0);
        frame(p, GOAWAY, 0, 0, away, sizeof away);
        if (!after)
            wait_for_close(p);
        return false;
    }
    return strcmp(action, "close") != 0 && frame(p, RST_STREAM, 0, stream, code, sizeof code);
}

static void serve_http2(struct peer *p) {
    size_t body = 0;
    if (!fill(p, 24) || !frame(p, SETTINGS, 0, 0, "", 0))
        return;
    for (drop(p, 24); fill(p, 9);) {
        const unsigned char *h = (unsigned char *)p->head;
        size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        int type = h[3], flags = h[4];
        unsigned stream = (unsigned)h[5] << 24 | (unsigned)h[6] << 16 | (unsigned)h[7] << 8 | h[8];
        if (!fill(p, 9 + n))
            return;
        if (type == SETTINGS && !(flags & ACK) && !frame(p, SETTINGS, ACK, 0, "", 0))
            return;
        if (type == PING && !(flags & ACK) && !frame(p, PING, ACK, 0, p->head + 9, 8))
            return;
        if (type == DATA && n > 0) {
            unsigned char more[4] = {0, (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                                     (unsigned char)n};
            body += n;
            if (!frame(p, WINDOW_UPDATE, 0, 0, more, sizeof more))
                return;
        }
        drop(p, 9 + n);
        if ((type == DATA || type == HEADERS) && (flags & END_STREAM)) {
            if (!answer_http2(p, stream, body))
                return;
            body = 0;
        }
    }
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *size,
                           const unsigned char *offered, unsigned offered_size, void *context) {
    static const unsigned char h2[] = "\x02h2", h1[] = "\x08http/1.1";
    (void)ssl, (void)context;
    const unsigned char *ours = offer_h2 ? h2 : h1;
    unsigned n = offer_h2 ? sizeof h2 - 1 : sizeof h1 - 1;
    return SSL_select_next_proto((unsigned char **)out, size, ours, n, offered, offered_size) ==
                   OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static void *serve(void *context) {
    struct peer *p = context;
    record("connect\n");
    if (p->ssl && SSL_accept(p->ssl) != 1) {
        record("handshake failed\n");
    } else {
        const unsigned char *chosen;
        unsigned n = 0;
        if (p->ssl)
            SSL_get0_alpn_selected(p->ssl, &chosen, &n);
        if (n == 2)
            serve_http2(p);
        else
            while (serve_http1(p))
                ;
    }
    SSL_free(p->ssl);
    close(p->fd);
    free(p);
    return NULL;
}

int main(int argc, char **argv) {
    SSL_CTX *tls = NULL;
    int arg = 2, one = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 3 || !(journal = fopen(argv[1], "w")))
        return 2;
    if (arg + 2 < argc && strcmp(argv[arg], "--tls") == 0) {
        tls = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(tls, argv[arg + 1]) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls, argv[arg + 2], SSL_FILETYPE_PEM) != 1)
            return 3;
        SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
        arg += 3;
    }
    if (arg < argc && strcmp(argv[arg], "--h2") == 0) {
        offer_h2 = true;
        arg++;
    }
    actions = argv + arg;
    action_count = argc - arg;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (action_count < 1 || action_count > (int)(sizeof taken) ||
        bind(listener, (struct sockaddr *)&address, size) || listen(listener, 64) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        return 4;
    printf("%d %d\n", ntohs(address.sin_port), (int)getpid());
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        struct peer *p = calloc(1, sizeof *p);
        if (!p || (p->fd = accept(listener, NULL, NULL)) < 0)
            return 5;
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (tls && (p->ssl = SSL_new(tls)))
            SSL_set_fd(p->ssl, p->fd);
        if (pthread_create(&thread, NULL, serve, p) != 0)
            return 6;
        pthread_detach(thread);
    }
}
