/* Lets the 1st, the 2nd, the 3rd ... allocation of each operation fail until it succeeds. Each
 * failure must be reported, leak nothing (the leak check of AddressSanitizer looks) and leave what
 * was there before. Argument: an empty directory. Prints "ok", or says what is wrong. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_take.h"
#include "base/names.h"
#include "files/dotenv.h"
#include "files/durable.h"
#include "files/file.h"
#include "files/pgpass.h"
#include "files/record_file.h"
#include "http/pace.h"
#include "process/process.h"
#include "secrets/fingerprint.h"
#include "secrets/password.h"
#include "secrets/seal.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);

static unsigned long allocations, fail_at;

void *__wrap_malloc(size_t n) {
    return ++allocations == fail_at ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n) {
    return ++allocations == fail_at ? NULL : __real_calloc(count, n);
}

static char path[4096];

static bool secrets(void) {
    struct crdb_secret *s = crdb_secret_copy("small", 5), *large = s ? crdb_secret_new(5000) : NULL;
    bool done = s && large;
    crdb_secret_release(s);
    crdb_secret_release(large);
    return done;
}

static bool passwords(void) {
    struct crdb_password_policy policy = {
        .length = 20, .alphabet = {.bytes = (const unsigned char *)"ab1", .length = 3}};
    struct crdb_secret *s = NULL;
    bool done = crdb_password_generate(&policy, &s) == CRDB_PASSWORD_OK;
    crdb_secret_release(s);
    return done;
}

static bool folding(void) {
    char *folded = NULL;
    size_t len;
    bool done = crdb_fold_name("\303\204BC", 4, &folded, &len) == CRDB_FOLD_OK;
    if (done)
        free(folded);
    return done;
}

static bool reading(void) {
    struct crdb_failure f = {.code = ""};
    struct crdb_secret *s = crdb_file_read(path, 100000, CRDB_FILE_ANY, &f);
    if (!s && strcmp(f.code, "ENOMEM") != 0)
        printf("wrong: reading failed with %s\n", f.code);
    bool done = s && crdb_secret_length(s) == 10000;
    crdb_secret_release(s);
    return done;
}

static bool listing(void) {
    struct crdb_failure f = {.code = ""};
    struct crdb_buffer names = {0};
    bool done = crdb_list_dir("/proc/self", &names, &f);
    if (!done && strcmp(f.code, "ENOMEM") != 0)
        printf("wrong: listing failed with %s\n", f.code);
    crdb_buffer_free(&names);
    return done;
}

static bool records(void) {
    struct crdb_record record = {.meta = "{}", .meta_length = 2, .count = 1};
    memcpy(record.secrets[0].name, "a", 2);
    record.secrets[0].bytes = path;
    record.secrets[0].length = sizeof path;
    struct crdb_buffer file = {0};
    struct crdb_failure f = {.code = ""};
    bool done = crdb_record_encode(&record, &file);
    if (done) {
        done = crdb_record_decode(file.data, file.length, &record, &f);
        if (!done && strcmp(f.code, "ENOMEM") != 0)
            printf("wrong: a record is taken for %s\n", f.code);
    }
    crdb_buffer_free(&file);
    return done;
}

static bool sealing_keys(void) {
    static const char text[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    struct crdb_buffer keys = {0};
    struct crdb_failure f = {.code = ""};
    bool done = crdb_seal_keys(text, sizeof text - 1, &keys, &f);
    if (!done && strcmp(f.code, "ENOMEM") != 0)
        printf("wrong: a file of keys is taken for %s\n", f.code);
    crdb_buffer_free(&keys);
    return done;
}

static bool fingerprints(void) {
    unsigned char one[CRDB_FINGERPRINT_BYTES], two[CRDB_FINGERPRINT_BYTES];
    return crdb_fingerprint("a", 1, one) && crdb_fingerprint("a", 1, two) &&
           memcmp(one, two, sizeof one) == 0;
}

static bool password_files(void) {
    struct crdb_pgpass_entry entry = {.password = "p", .password_length = 1};
    for (int i = 0; i < CRDB_PGPASS_FIELDS; i++) {
        entry.fields[i].bytes = "f";
        entry.fields[i].length = 1;
    }
    struct crdb_buffer out = {0};
    bool done = crdb_pgpass_update(&out, path, sizeof path, &entry);
    crdb_buffer_free(&out);
    return done;
}

static bool environment_files(void) {
    static const char file[] = "A='1'\nK=old\n", value[] = "it's a value that needs quotes";
    const struct crdb_dotenv_entry entry = {.key = "K",
                                            .key_length = 1,
                                            .value = value,
                                            .value_length = sizeof value - 1,
                                            .dialect = CRDB_DOTENV_POSIX};
    struct crdb_buffer out = {0};
    struct crdb_failure f = {.code = ""};
    bool done = crdb_dotenv_update(&out, file, sizeof file - 1, &entry, &f);
    if (!done && strcmp(f.code, "ENOMEM") != 0)
        printf("wrong: an environment file failed with %s\n", f.code);
    crdb_buffer_free(&out);
    return done;
}

static bool programs(void) {
    char *argv[] = {"cat", NULL}, *environment[] = {NULL};
    const struct crdb_process_spec spec = {.argv = argv,
                                           .environment = environment,
                                           .input = path,
                                           .input_length = sizeof path,
                                           .timeout = 60,
                                           .output_max = 1000000};
    struct crdb_process_result result;
    struct crdb_failure f = {.code = ""};
    bool done = crdb_process_run(&spec, &result, &f);
    if (!done && strcmp(f.code, "ENOMEM") != 0)
        printf("wrong: running a program failed with %s\n", f.code);
    if (done && (result.status != 0 || result.out.length != sizeof path))
        puts("wrong: a program's output is not whole");
    crdb_process_result_free(&result);
    return done;
}

static bool documents(void) {
    static const char text[] = "{\"a\\u0062\":\"1\",\"c\":\"2\",\"ab\":\"3\"}";
    struct crdb_json_taken taken[] = {{.key = "ab", .key_length = 2},
                                      {.key = "c", .key_length = 1}};
    struct crdb_buffer rest = {0};
    enum crdb_json_take_result result = crdb_json_take(text, sizeof text - 1, taken, 2, &rest);
    if (result == CRDB_JSON_TAKE_NOT_OBJECT)
        puts("wrong: lack of memory is taken for a broken document");
    crdb_secret_release(taken[0].value);
    crdb_secret_release(taken[1].value);
    crdb_buffer_free(&rest);
    return result == CRDB_JSON_TAKE_OK;
}

static bool pacing(void) {
    static int n;
    char name[32];
    double seconds;
    snprintf(name, sizeof name, "account %d", n++);
    return crdb_pace(name, 1000, 1, &seconds) == CRDB_PACE_OK &&
           crdb_pace_hold(name, 0) == CRDB_PACE_OK;
}

int main(int argc, char **argv) {
    static bool (*const operations[])(void) = {
        secrets,        passwords,         folding,  reading,   listing, records,     sealing_keys,
        password_files, environment_files, programs, documents, pacing,  fingerprints};
    struct crdb_failure f;
    if (argc != 2)
        return 2;
    snprintf(path, sizeof path, "%s/file", argv[1]);
    struct crdb_buffer content = {0};
    while (content.length < 10000)
        if (!crdb_buffer_text(&content, "0123456789"))
            return 2;
    if (!crdb_durable_write(path, content.data, content.length, 0600, &f))
        return 2;
    crdb_buffer_free(&content);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        bool done = false;
        for (fail_at = 1; !done && fail_at < 100; fail_at++) {
            allocations = 0;
            done = operations[i]();
            if (done && allocations >= fail_at)
                printf("wrong: operation %zu hides that allocation %lu failed\n", i, fail_at);
        }
        if (!done || fail_at < 3)
            printf("wrong: operation %zu ended after %lu tries\n", i, fail_at);
    }
    puts("ok");
    return 0;
}
