#include "sql/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sql/watch.h"

struct crdb_pq {
    PGconn *connection;
    pid_t pid;
    bool broken;
};

enum { CANCEL_MILLISECONDS = 1000, NANOSECONDS = 1000000000, IDLE_READS_MAX = 16 };

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NANOSECONDS + t.tv_nsec;
}

static int64_t deadline_in(double seconds) {
    return now() + (int64_t)(seconds * NANOSECONDS);
}

/* Waits until the socket is ready; false when the deadline passes first. Errors of the socket
 * count as ready: libpq finds and names them. */
static bool wait_for(int socket, short events, int64_t deadline) {
    struct pollfd fd = {.fd = socket, .events = events};
    for (;;) {
        int64_t left = deadline - now();
        if (left <= 0)
            return false;
        int64_t milliseconds = (left + 999999) / 1000000;
        int n = poll(&fd, 1, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
}

/* Without a receiver libpq prints notices to standard error. An error that comes while nothing was
 * asked is given to the receiver as well: the server says goodbye. */
static void take_notice(void *arg, const PGresult *notice) {
    struct crdb_pq *session = arg;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        session->broken = true;
}

static struct crdb_pq *connect_failed(struct crdb_pq *session, struct crdb_pq_error *error,
                                      const struct crdb_pq_hidden *hidden, size_t hidden_count) {
    crdb_pq_error_of_connection(error, PQerrorMessage(session->connection), hidden, hidden_count);
    crdb_pq_close(session);
    return NULL;
}

struct crdb_pq *crdb_pq_connect(const struct crdb_pq_params *params, double timeout,
                                const struct crdb_pq_hidden *hidden, size_t hidden_count,
                                struct crdb_pq_error *error) {
    int64_t deadline = deadline_in(timeout);
    struct crdb_pq *session = calloc(1, sizeof *session);
    if (session) {
        session->pid = getpid();
        session->connection = PQconnectStartParams(params->keywords, params->values, 1);
    }
    if (!session || !session->connection) {
        free(session);
        crdb_pq_error_set(error, CRDB_PQ_MEMORY, "not enough memory for a connection");
        return NULL;
    }
    PGconn *connection = session->connection;
    PQsetNoticeReceiver(connection, take_notice, session);
    /* Only verbose messages carry the SQLSTATE of a refused login. */
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    if (PQstatus(connection) == CONNECTION_BAD)
        return connect_failed(session, error, hidden, hidden_count);
    struct crdb_pq_watch watch = {0};
    if (params->watch)
        crdb_pq_watch_start(&watch, connection);
    bool in_time = true;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (in_time && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
        in_time = wait_for(PQsocket(connection), state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                           deadline);
        if (in_time)
            state = PQconnectPoll(connection);
    }
    bool in_clear = crdb_pq_watch_end(&watch, connection);
    if (in_clear || !in_time) {
        crdb_pq_error_set(error, in_clear ? CRDB_PQ_PROTOCOL : CRDB_PQ_TIMEOUT,
                          in_clear ? "the server asked for the password itself or its md5, not for "
                                     "SCRAM, and was given it"
                                   : "no connection within the time limit");
        crdb_pq_close(session);
        return NULL;
    }
    if (state == PGRES_POLLING_FAILED)
        return connect_failed(session, error, hidden, hidden_count);
    if (PQsetnonblocking(connection, 1) != 0)
        return connect_failed(session, error, hidden, hidden_count);
    return session;
}

struct canceller {
    PGcancel *request;
    int done; /* closed when the thread has nothing more to do: the end of a pipe */
};

static void *cancel_main(void *arg) {
    struct canceller *c = arg;
    char message[256];
    PQcancel(c->request, message, sizeof message);
    PQfreeCancel(c->request);
    close(c->done);
    free(c);
    return NULL;
}

/* PQcancel connects and reads without any limit, so it gets a thread of its own, which is left to
 * itself if it takes long. It sends the connection's cancel key in the clear; the key is worth
 * nothing any more, because the connection is closed right after. */
static void cancel(PGconn *connection) {
    struct canceller *c = malloc(sizeof *c);
    int ends[2] = {-1, -1};
    if (!c || pipe2(ends, O_CLOEXEC) != 0) {
        free(c);
        return;
    }
    *c = (struct canceller){.request = PQgetCancel(connection), .done = ends[1]};
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the host's threads */
    int failed = pthread_create(&thread, NULL, cancel_main, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        PQfreeCancel(c->request);
        close(c->done);
        free(c);
    } else if (wait_for(ends[0], POLLIN, now() + (int64_t)CANCEL_MILLISECONDS * 1000000)) {
        pthread_join(thread, NULL);
    } else {
        pthread_detach(thread);
    }
    close(ends[0]);
}

static void timed_out(struct crdb_pq *session, struct crdb_pq_error *error) {
    session->broken = true;
    cancel(session->connection);
    crdb_pq_error_set(error, CRDB_PQ_TIMEOUT, "no answer within the time limit");
    error->sent = true;
}

static void lost(struct crdb_pq *session, const struct crdb_pq_statement *statement, bool sent,
                 struct crdb_pq_error *error) {
    session->broken = true;
    crdb_pq_error_of_connection(error, PQerrorMessage(session->connection), statement->hidden,
                                statement->hidden_count);
    if (error->reason != CRDB_PQ_SERVER)
        error->reason = CRDB_PQ_NETWORK;
    error->sent = sent;
}

/* The next result, or NULL when there is none; *expired when the deadline passed, *failed when the
 * connection was lost. */
static PGresult *next_result(PGconn *connection, int64_t deadline, bool *expired, bool *failed) {
    while (PQisBusy(connection)) {
        if (!wait_for(PQsocket(connection), POLLIN, deadline)) {
            *expired = true;
            return NULL;
        }
        if (!PQconsumeInput(connection)) {
            *failed = true;
            return NULL;
        }
    }
    return PQgetResult(connection);
}

/* Finds out before anything is sent whether the connection died while it lay idle. */
static bool still_there(struct crdb_pq *session) {
    struct pollfd idle = {.fd = PQsocket(session->connection), .events = POLLIN};
    for (int i = 0; i < IDLE_READS_MAX && poll(&idle, 1, 0) > 0; i++) {
        if (!PQconsumeInput(session->connection))
            return false;
        (void)PQisBusy(session->connection); /* reads what has arrived, see take_notice */
        if (session->broken)
            return false;
    }
    return true;
}

/* Sends the statement; false: *error says what became of it. */
static bool send_statement(struct crdb_pq *session, const struct crdb_pq_statement *statement,
                           int64_t deadline, struct crdb_pq_error *error) {
    PGconn *connection = session->connection;
    bool begun = PQsendQueryParams(connection, statement->text, statement->count, NULL,
                                   statement->values, NULL, NULL, 0) != 0;
    int left = begun ? 1 : -1;
    while (left >= 0 && (left = PQflush(connection)) > 0) {
        if (!wait_for(PQsocket(connection), POLLIN | POLLOUT, deadline)) {
            timed_out(session, error);
            return false;
        }
        if (!PQconsumeInput(connection))
            left = -1;
    }
    if (left < 0)
        lost(session, statement, begun, error);
    return left == 0;
}

/* The first result of the statement, once all are read; NULL: *error says why there is none. */
static PGresult *first_result(struct crdb_pq *session, const struct crdb_pq_statement *statement,
                              int64_t deadline, struct crdb_pq_error *error) {
    PGresult *first = NULL, *result;
    bool expired = false, failed = false;
    while ((result = next_result(session->connection, deadline, &expired, &failed)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (first)
            PQclear(result);
        else
            first = result;
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            PQclear(first);
            session->broken = true;
            crdb_pq_error_set(error, CRDB_PQ_PROTOCOL, "COPY from or to the client is not taken");
            error->sent = true;
            return NULL;
        }
    }
    if (first && !expired && !failed)
        return first;
    PQclear(first);
    if (expired)
        timed_out(session, error);
    else
        lost(session, statement, true, error);
    return NULL;
}

PGresult *crdb_pq_query(struct crdb_pq *session, const struct crdb_pq_statement *statement,
                        double timeout, struct crdb_pq_error *error) {
    int64_t deadline = deadline_in(timeout);
    if (!still_there(session)) {
        session->broken = true;
        crdb_pq_error_set(error, CRDB_PQ_NETWORK, "the server ended the session while it was idle");
        return NULL;
    }
    if (!send_statement(session, statement, deadline, error))
        return NULL;
    PGresult *result = first_result(session, statement, deadline, error);
    if (!result)
        return NULL;
    if (PQstatus(session->connection) != CONNECTION_OK)
        session->broken = true;
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return result;
    default:
        crdb_pq_error_of_result(error, result, crdb_pq_sets_password(statement->text),
                                statement->hidden, statement->hidden_count);
        error->sent = true;
        PQclear(result);
        return NULL;
    }
}

bool crdb_pq_usable(const struct crdb_pq *session) {
    return !session->broken && PQstatus(session->connection) == CONNECTION_OK;
}

bool crdb_pq_forked(const struct crdb_pq *session) {
    return session->pid != getpid();
}

bool crdb_pq_used_password(const struct crdb_pq *session) {
    return PQconnectionUsedPassword(session->connection) != 0;
}

void crdb_pq_close(struct crdb_pq *session) {
    if (!session)
        return;
    int fd = PQsocket(session->connection);
    if (session->pid != getpid() && fd >= 0) {
        /* PQfinish would end the parent's session by a message on the shared socket. */
        int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (nowhere < 0 || dup2(nowhere, fd) < 0) {
            close(fd);
            session->connection = NULL; /* better lost than written to whatever gets that number */
        }
        if (nowhere >= 0)
            close(nowhere);
    }
    PQfinish(session->connection);
    free(session);
}
