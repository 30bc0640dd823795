#include "process/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Signals that would end or stop the program with echo still off. */
static const int caught[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGALRM,
                             SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
enum { CAUGHT = sizeof caught / sizeof *caught, LINE_MAX_BYTES = 4096 };

/* Handlers belong to the process, so prompts take turns. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t came[NSIG];

static void note_signal(int number) {
    came[number] = 1;
}

static bool any_came(void) {
    for (int i = 0; i < CAUGHT; i++)
        if (came[caught[i]])
            return true;
    return false;
}

struct line {
    size_t length;
    bool ended, too_long;
    int err;
    char bytes[LINE_MAX_BYTES];
};

/* Reads up to the end of the line or a signal. */
static void read_line(int fd, struct line *line) {
    while (!any_came()) {
        char c;
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            line->err = errno;
        if (n <= 0 || c == '\n' || c == '\r') {
            line->ended = true;
            return;
        }
        if (line->length < sizeof line->bytes)
            line->bytes[line->length++] = c;
        else
            line->too_long = true;
    }
}

/* Puts one question; echo and handlers are back when it returns. */
static void ask(int fd, const char *text, struct line *line) {
    struct sigaction action = {.sa_handler = note_signal}, previous[CAUGHT];
    sigemptyset(&action.sa_mask);
    memset((void *)came, 0, sizeof came);
    struct termios with_echo, without;
    if (tcgetattr(fd, &with_echo) != 0) {
        line->err = errno;
        return;
    }
    for (int i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &action, &previous[i]);
    without = with_echo;
    without.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    /* TCSAFLUSH drops what was typed ahead, with echo, before the question. */
    if (tcsetattr(fd, TCSAFLUSH, &without) != 0 && !any_came())
        line->err = errno;
    else if (write(fd, text, strlen(text)) >= 0 || errno == EINTR)
        read_line(fd, line);
    else
        line->err = errno;
    while (tcsetattr(fd, TCSAFLUSH, &with_echo) != 0 && errno == EINTR && !came[SIGTTOU])
        ;
    (void)!write(fd, "\n", 1);
    for (int i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &previous[i], NULL);
}

/* Sends the signals again, now to the handlers that they were meant for. Returns
 * true when all of them were stops, after which one goes on asking. */
static bool pass_signals_on(void) {
    bool only_stops = true;
    for (int i = 0; i < CAUGHT; i++) {
        int number = caught[i];
        if (!came[number])
            continue;
        kill(getpid(), number);
        only_stops &= number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
    }
    return only_stops;
}

static struct crdb_secret *result(const struct line *line, struct crdb_failure *f) {
    if (line->err) {
        crdb_fail_errno(f, line->err, "ask on", "/dev/tty");
    } else if (!line->ended) {
        crdb_fail(f, "EINTR", "interrupted while asking on /dev/tty");
    } else if (line->too_long) {
        crdb_fail(f, "large", "more than %d bytes were typed", LINE_MAX_BYTES);
    } else if (line->length == 0) {
        crdb_fail(f, "empty", "nothing was typed");
    } else {
        struct crdb_secret *s = crdb_secret_copy(line->bytes, line->length);
        if (!s)
            crdb_fail_errno(f, ENOMEM, "ask on", "/dev/tty");
        return s;
    }
    return NULL;
}

struct crdb_secret *crdb_terminal_prompt(const char *text, struct crdb_failure *f) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        crdb_fail_errno(f, errno, "ask on", "/dev/tty");
        return NULL;
    }
    struct line line;
    bool again;
    pthread_mutex_lock(&turn);
    do {
        crdb_wipe(&line, sizeof line);
        ask(fd, text, &line);
        again = any_came() && pass_signals_on() && !line.ended && !line.err;
    } while (again);
    pthread_mutex_unlock(&turn);
    close(fd);
    struct crdb_secret *s = result(&line, f);
    crdb_wipe(&line, sizeof line);
    return s;
}

int crdb_terminal_width(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
