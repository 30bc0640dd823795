#include "files/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool refuse(const struct stat *st, const char *path, enum crdb_file_care care,
                   struct crdb_failure *f) {
    if (!S_ISREG(st->st_mode) && !(care == CRDB_FILE_GIVEN && S_ISFIFO(st->st_mode))) {
        crdb_fail(f, "type", "%.800s is %s, not a regular file", path,
                  S_ISDIR(st->st_mode) ? "a directory" : "a special file");
        return true;
    }
    if (care == CRDB_FILE_PRIVATE && st->st_uid != geteuid()) {
        crdb_fail(f, "owner", "%.800s belongs to uid %ju, not to uid %ju that reads it", path,
                  (uintmax_t)st->st_uid, (uintmax_t)geteuid());
        return true;
    }
    mode_t wrong = (mode_t)(care == CRDB_FILE_PRIVATE ? 077 : care == CRDB_FILE_GIVEN ? 066 : 0);
    if (S_ISREG(st->st_mode) && (st->st_mode & wrong)) {
        crdb_fail(f, "mode", "%.800s has mode %04o, so others can get at it: chmod 600 it", path,
                  (unsigned)(st->st_mode & 07777));
        return true;
    }
    return false;
}

/* Reads to the end; the failure is filled unless this returns true. */
static bool read_all(int fd, struct crdb_buffer *b, const char *path, struct crdb_failure *f) {
    unsigned char block[4096];
    ssize_t n;
    bool whole = true;
    while (whole && (n = read(fd, block, sizeof block)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            crdb_fail_errno(f, errno, "read", path);
            whole = false;
        } else if (!crdb_buffer_append(b, block, (size_t)n)) {
            if (b->over_limit)
                crdb_fail(f, "large", "%.800s is larger than the %zu bytes allowed", path,
                          b->limit);
            else
                crdb_fail_errno(f, ENOMEM, "read", path);
            whole = false;
        }
    }
    crdb_wipe(block, sizeof block);
    return whole;
}

static int open_to_read(const char *path, enum crdb_file_care care, struct crdb_failure *f) {
    /* O_NONBLOCK: opening a pipe without a writer must not hang before its type is known. */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, care == CRDB_FILE_GIVEN ? flags : flags | O_NOFOLLOW);
    if (fd >= 0)
        return fd;
    struct stat st;
    int err = errno;
    if (err == ELOOP && care != CRDB_FILE_GIVEN && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        crdb_fail(f, "symlink", "%.800s is a symbolic link, which is not followed here", path);
    else
        crdb_fail_errno(f, err, "open", path);
    return -1;
}

struct crdb_secret *crdb_file_read(const char *path, size_t max, enum crdb_file_care care,
                                   struct crdb_failure *f) {
    int fd = open_to_read(path, care, f);
    if (fd < 0)
        return NULL;
    struct stat st;
    struct crdb_secret *content = NULL;
    if (fstat(fd, &st) != 0) {
        crdb_fail_errno(f, errno, "look at", path);
    } else if (!refuse(&st, path, care, f)) {
        /* An empty limit would mean none. */
        struct crdb_buffer b = {.limit = max ? max : 1};
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
            crdb_fail_errno(f, errno, "read", path);
        } else if (read_all(fd, &b, path, f)) {
            content = crdb_secret_copy(b.data, b.length);
            if (!content)
                crdb_fail_errno(f, ENOMEM, "read", path);
        }
        crdb_buffer_free(&b);
    }
    close(fd);
    return content;
}

/* The numbers have 32 bits; the type of statfs's f_type differs from system to system. */
static void name_file_system(uint32_t magic, char name[16]) {
    static const struct {
        uint32_t magic;
        const char *name;
    } known[] = {
        {EXT4_SUPER_MAGIC, "ext"},  {XFS_SUPER_MAGIC, "xfs"},  {BTRFS_SUPER_MAGIC, "btrfs"},
        {TMPFS_MAGIC, "tmpfs"},     {RAMFS_MAGIC, "ramfs"},    {OVERLAYFS_SUPER_MAGIC, "overlay"},
        {NFS_SUPER_MAGIC, "nfs"},   {SMB2_SUPER_MAGIC, "smb"}, {CIFS_SUPER_MAGIC, "smb"},
        {FUSE_SUPER_MAGIC, "fuse"}, {V9FS_MAGIC, "9p"},        {CEPH_SUPER_MAGIC, "ceph"},
        {PROC_SUPER_MAGIC, "proc"}, {0x2fc12fc1, "zfs"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].magic == magic) {
            snprintf(name, 16, "%s", known[i].name);
            return;
        }
    snprintf(name, 16, "0x%" PRIx32, magic);
}

bool crdb_file_stat(const char *path, struct crdb_file_info *info, struct crdb_failure *f) {
    /* One O_PATH descriptor for both questions, so that they are about the same file. */
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    struct statfs fs;
    if (fd < 0 || fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0) {
        crdb_fail_errno(f, errno, "look at", path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    close(fd);
    info->type = S_ISREG(st.st_mode)   ? "file"
                 : S_ISDIR(st.st_mode) ? "directory"
                 : S_ISLNK(st.st_mode) ? "symlink"
                                       : "other";
    info->mode = st.st_mode & 07777;
    info->uid = st.st_uid;
    info->size = (double)st.st_size;
    info->mtime = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
    name_file_system((uint32_t)fs.f_type, info->file_system);
    return true;
}

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

void crdb_file_fill_standard(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY | O_NOCTTY) != fd)
            return; /* open takes the lowest number: where it fails there is no /dev/null */
}
