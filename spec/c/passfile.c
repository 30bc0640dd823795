/* Prints the password that libpq takes from a password file: passfile FILE HOST PORT DATABASE USER.
 * No server is needed: libpq looks the password up before it connects. */
#include <libpq-fe.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    const char *const keys[] = {"passfile", "host",     "port",       "dbname",
                                "user",     "hostaddr", "gssencmode", NULL};
    /* hostaddr keeps name servers out of it; a connection that begins is dropped at once. */
    const char *const values[] = {argv[1], argv[2],     argv[3],   argv[4],
                                  argv[5], "127.0.0.1", "disable", NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 0);
    const char *password = conn ? PQpass(conn) : NULL;
    printf("%s", password ? password : "");
    PQfinish(conn);
    return 0;
}
