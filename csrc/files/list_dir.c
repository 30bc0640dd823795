#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "files/durable.h"

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends each name with its NUL; returns how many, or -1 with errno set. */
static ssize_t read_names(DIR *dir, struct crdb_buffer *names) {
    ssize_t count = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return errno ? -1 : count;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!crdb_buffer_append(names, entry->d_name, strlen(entry->d_name) + 1)) {
            errno = ENOMEM;
            return -1;
        }
        count++;
    }
}

/* Replaces the names by the same ones in order; false: no memory. */
static bool sort_names(struct crdb_buffer *names, size_t count) {
    struct crdb_buffer sorted = {0};
    char **list = calloc(count + 1, sizeof *list);
    bool done = list != NULL;
    size_t n = 0;
    for (char *p = names->data; done && n < count; p += strlen(p) + 1)
        list[n++] = p;
    if (done && count > 1)
        qsort(list, count, sizeof *list, by_bytes);
    for (size_t i = 0; i < n && done; i++)
        done = crdb_buffer_append(&sorted, list[i], strlen(list[i]) + 1);
    free(list);
    if (done) {
        crdb_buffer_free(names);
        *names = sorted;
    } else {
        crdb_buffer_free(&sorted);
    }
    return done;
}

bool crdb_list_dir(const char *path, struct crdb_buffer *names, struct crdb_failure *f) {
    DIR *dir = opendir(path);
    if (!dir) {
        crdb_fail_errno(f, errno, "list", path);
        return false;
    }
    ssize_t count = read_names(dir, names);
    int err = count < 0 ? errno : 0;
    closedir(dir);
    if (!err && !sort_names(names, (size_t)count))
        err = ENOMEM;
    if (err)
        crdb_fail_errno(f, err, "list", path);
    return err == 0;
}
