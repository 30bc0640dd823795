/*
 * A server on 127.0.0.1 that speaks just enough of the PostgreSQL protocol to give the answers that
 * a real server gives only in states that no spec can bring about, and to give none at all.
 *
 *   wire_server silent            takes connections and never says anything
 *   wire_server close             hangs up after the first message
 *   wire_server mute              lets everybody in without a password, then answers no statement
 *   wire_server drop              lets everybody in, then hangs up at the first statement
 *   wire_server error STATE TEXT  refuses each login with that SQLSTATE and message
 *   wire_server ask STATE TEXT    asks for the password in the clear, then refuses likewise
 *
 * Prints "PORT PID" and serves until it is killed or its parent dies.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *action, *state, *text;

static bool read_all(int fd, void *buffer, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t n = read(fd, (char *)buffer + done, length - done);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool send_message(int fd, char type, const void *body, size_t length) {
    char message[2048];
    uint32_t size = htonl((uint32_t)(length + 4));
    message[0] = type;
    memcpy(message + 1, &size, 4);
    memcpy(message + 5, body, length);
    return write(fd, message, length + 5) == (ssize_t)(length + 5);
}

static void refuse(int fd) {
    char body[1024];
    int n = snprintf(body, sizeof body, "SFATAL%cC%s%cM%s%c", 0, state, 0, text, 0);
    send_message(fd, 'E', body, (size_t)n + 1);
}

/* Reads start messages until the real one; answers "no" to a request for TLS. */
static bool startup(int fd) {
    for (;;) {
        uint32_t head[2];
        char rest[4096];
        if (!read_all(fd, head, sizeof head))
            return false;
        uint32_t length = ntohl(head[0]), code = ntohl(head[1]);
        if (length < 8 || length - 8 > sizeof rest || !read_all(fd, rest, length - 8))
            return false;
        if (code != 80877103)
            return code == 196608;
        if (write(fd, "N", 1) != 1)
            return false;
    }
}

static bool read_message(int fd) {
    char type, rest[65536];
    uint32_t length;
    if (!read_all(fd, &type, 1) || !read_all(fd, &length, 4))
        return false;
    length = ntohl(length);
    return length >= 4 && length - 4 <= sizeof rest && read_all(fd, rest, length - 4);
}

static void serve(int fd) {
    static const char ok[4] = {0}, clear[4] = {0, 0, 0, 3}, key[8] = {0, 0, 0, 1, 0, 0, 0, 2};
    if (strcmp(action, "silent") == 0) {
        pause();
    } else if (startup(fd)) {
        if (strcmp(action, "error") == 0) {
            refuse(fd);
        } else if (strcmp(action, "ask") == 0) {
            if (send_message(fd, 'R', clear, sizeof clear) && read_message(fd))
                refuse(fd);
        } else if (strcmp(action, "mute") == 0 || strcmp(action, "drop") == 0) {
            send_message(fd, 'R', ok, sizeof ok);
            send_message(fd, 'K', key, sizeof key);
            send_message(fd, 'Z', "I", 1);
            read_message(fd);
            while (strcmp(action, "mute") == 0)
                pause();
        }
    } else if (strcmp(action, "mute") == 0) {
        pause(); /* a request to cancel is left without an answer too */
    }
}

static void *serve_thread(void *arg) {
    int fd = (int)(intptr_t)arg;
    serve(fd);
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    action = argv[1];
    state = argc > 2 ? argv[2] : "XX000";
    text = argc > 3 ? argv[3] : "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    printf("%d %d\n", ntohs(address.sin_port), (int)getpid());
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd >= 0 && pthread_create(&thread, NULL, serve_thread, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}
