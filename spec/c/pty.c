/* Runs a command on a terminal of its own, waits for a text, then types or sends a signal.
 *
 *   pty TEXT INPUT COMMAND...     types INPUT once TEXT has been shown
 *   pty TEXT @NUMBER COMMAND...   sends that signal to the command instead
 *
 * Prints what was shown, then "echo on" or "echo off" and "status N" or "signal N". */
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

int main(int argc, char **argv) {
    int master, slave;
    if (argc < 4 || openpty(&master, &slave, NULL, NULL, NULL) != 0)
        return 2;
    pid_t child = fork();
    if (child == 0) {
        close(master);
        login_tty(slave);
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    alarm(30); /* nothing shown: end with the signal rather than hang */
    char shown[65536] = "";
    size_t length = 0;
    int typed = 0, status;
    struct termios t;
    while (!typed) {
        ssize_t n = read(master, shown + length, sizeof shown - 1 - length);
        if (n <= 0)
            break;
        length += (size_t)n;
        if (!strstr(shown, argv[1]))
            continue;
        typed = 1;
        if (argv[2][0] == '@')
            kill(child, atoi(argv[2] + 1));
        else if (write(master, argv[2], strlen(argv[2])) < 0)
            return 2;
    }
    /* Our descriptor of the slave keeps the terminal's settings readable after the child's end. */
    waitpid(child, &status, 0);
    int echo = tcgetattr(slave, &t) == 0 && (t.c_lflag & ECHO);
    close(slave);
    ssize_t n;
    while (length < sizeof shown - 1 &&
           (n = read(master, shown + length, sizeof shown - 1 - length)) > 0)
        length += (size_t)n;
    fwrite(shown, 1, length, stdout);
    printf("\necho %s\n", echo ? "on" : "off");
    if (WIFEXITED(status))
        printf("status %d\n", WEXITSTATUS(status));
    else
        printf("signal %d\n", WTERMSIG(status));
    return 0;
}
