#include "files/record_file.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

static const char magic[] = "crdbcloud-record ";
static const char plain[] = "plain", sealed[] = "aes-256-gcm:";
enum {
    MAGIC_LENGTH = sizeof magic - 1,
    PLAIN_LENGTH = sizeof plain - 1,
    SEALED_LENGTH = sizeof sealed - 1,
    LINE_MAX_LENGTH = 128,                       /* of "secret NAME FORM LENGTH" */
    HASH_LINE = 7 + 2 * SHA256_DIGEST_LENGTH + 1 /* "sha256 ", digits, line feed */
};

bool crdb_record_name_valid(const char *name, size_t len) {
    if (len == 0 || len > CRDB_RECORD_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '_'))
            return false;
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct crdb_record_secret *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Appends "sha256 HEX\n" of len bytes; false: no memory. */
static bool append_hash(struct crdb_buffer *out, const void *bytes, size_t len) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(bytes, len, digest);
    return crdb_buffer_text(out, "sha256 ") && crdb_encode_hex(out, digest, sizeof digest) &&
           crdb_buffer_text(out, "\n");
}

bool crdb_record_encode(struct crdb_record *record, struct crdb_buffer *out) {
    size_t start = out->length;
    char line[LINE_MAX_LENGTH];
    qsort(record->secrets, record->count, sizeof *record->secrets, by_name);
    snprintf(line, sizeof line, "%s1\nmeta %zu\n", magic, record->meta_length);
    crdb_buffer_text(out, line);
    crdb_buffer_append(out, record->meta, record->meta_length);
    crdb_buffer_text(out, "\n");
    for (size_t i = 0; i < record->count; i++) {
        const struct crdb_record_secret *s = &record->secrets[i];
        snprintf(line, sizeof line, "secret %s %s%s %zu\n", s->name, s->key_id[0] ? sealed : plain,
                 s->key_id, s->length);
        crdb_buffer_text(out, line);
        crdb_buffer_append(out, s->bytes, s->length);
        crdb_buffer_text(out, "\n");
    }
    return !out->failed && append_hash(out, out->data + start, out->length - start);
}

/* What is left to read. Every take_ function moves on only when it succeeds. */
struct reader {
    const char *at;
    size_t left;
};

static bool take_text(struct reader *r, const char *text) {
    size_t n = strlen(text);
    if (r->left < n || memcmp(r->at, text, n) != 0)
        return false;
    r->at += n;
    r->left -= n;
    return true;
}

/* Bytes up to the end mark, which is taken too. */
static bool take_word(struct reader *r, char end, const char **word, size_t *len) {
    const char *mark = r->left ? memchr(r->at, end, r->left) : NULL;
    if (!mark)
        return false;
    *word = r->at;
    *len = (size_t)(mark - r->at);
    r->at = mark + 1;
    r->left -= *len + 1;
    return true;
}

/* "LENGTH\n", that many bytes, and a line feed. */
static bool take_block(struct reader *r, const char **bytes, size_t *len) {
    const char *digits;
    size_t count, value = 0;
    struct reader next = *r;
    if (!take_word(&next, '\n', &digits, &count) || count == 0 || count > 10 ||
        (digits[0] == '0' && count > 1))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (size_t)(digits[i] - '0');
    }
    if (value >= next.left || next.at[value] != '\n')
        return false;
    *bytes = next.at;
    *len = value;
    r->at = next.at + value + 1;
    r->left = next.left - value - 1;
    return true;
}

static bool foreign(struct crdb_failure *f, const char *what) {
    crdb_fail(f, "foreign", "not a credential record: %s", what);
    return false;
}

/* The first line: ours, in a version that this code reads. */
static bool take_version(struct reader *r, struct crdb_failure *f) {
    size_t compared = r->left < MAGIC_LENGTH ? r->left : MAGIC_LENGTH;
    if (compared && memcmp(r->at, magic, compared) != 0)
        return foreign(f, "it begins with other bytes");
    const char *version;
    size_t len;
    if (!take_text(r, magic) || !take_word(r, '\n', &version, &len)) {
        crdb_fail(f, "torn", "the record is cut short in its first line");
        return false;
    }
    if (len == 1 && version[0] == '1')
        return true;
    bool number = len > 0 && len < 10 && version[0] != '0';
    for (size_t i = 0; i < len && number; i++)
        number = version[i] >= '0' && version[i] <= '9';
    if (!number)
        return foreign(f, "its version is no number");
    crdb_fail(f, "newer", "the record has format %.*s and this program reads format 1 only",
              (int)len, version);
    return false;
}

/* Compares the checksum and takes its line off the end. */
static bool check_hash(struct reader *r, const char *file, size_t len, struct crdb_failure *f) {
    struct crdb_buffer expected = {0};
    bool right = false;
    if (r->left >= HASH_LINE) {
        if (!append_hash(&expected, file, len - HASH_LINE)) {
            crdb_buffer_free(&expected);
            crdb_fail(f, "ENOMEM", "out of memory while checking a record");
            return false;
        }
        right = memcmp(expected.data, file + len - HASH_LINE, HASH_LINE) == 0;
        crdb_buffer_free(&expected);
    }
    if (!right) {
        crdb_fail(f, "torn", "the record is cut short or damaged: its checksum does not match");
        return false;
    }
    r->left -= HASH_LINE;
    return true;
}

/* "plain" or "aes-256-gcm:" and the id of a key. */
static bool read_form(struct crdb_record_secret *s, const char *form, size_t len) {
    memset(s->key_id, 0, sizeof s->key_id);
    if (len == PLAIN_LENGTH && memcmp(form, plain, len) == 0)
        return true;
    if (len != SEALED_LENGTH + CRDB_SEAL_ID || memcmp(form, sealed, SEALED_LENGTH) != 0)
        return false;
    memcpy(s->key_id, form + SEALED_LENGTH, CRDB_SEAL_ID);
    return strspn(s->key_id, "0123456789abcdef") == CRDB_SEAL_ID;
}

static bool take_secret(struct reader *r, struct crdb_record *record, struct crdb_failure *f) {
    const char *name, *form;
    size_t name_len, form_len;
    if (!take_text(r, "secret ") || !take_word(r, ' ', &name, &name_len) ||
        !crdb_record_name_valid(name, name_len) || !take_word(r, ' ', &form, &form_len))
        return foreign(f, "a secret is not written as it should be");
    if (record->count == CRDB_RECORD_SECRETS_MAX)
        return foreign(f, "it holds too many secrets");
    struct crdb_record_secret *s = &record->secrets[record->count];
    memset(s->name, 0, sizeof s->name);
    memcpy(s->name, name, name_len);
    if (record->count && strcmp(s[-1].name, s->name) >= 0)
        return foreign(f, "its secrets are out of order");
    if (!take_block(r, &s->bytes, &s->length))
        return foreign(f, "a length is wrong");
    if (!read_form(s, form, form_len)) {
        crdb_fail(f, "newer",
                  "secret %s is written in a form that this program does not know: %.*s", s->name,
                  (int)(form_len < 100 ? form_len : 100), form);
        return false;
    }
    record->count++;
    return true;
}

bool crdb_record_decode(const void *file, size_t len, struct crdb_record *record,
                        struct crdb_failure *f) {
    struct reader r = {.at = file, .left = len};
    record->count = 0;
    if (!take_version(&r, f) || !check_hash(&r, file, len, f))
        return false;
    if (!take_text(&r, "meta ") || !take_block(&r, &record->meta, &record->meta_length))
        return foreign(f, "its metadata is not where it should be");
    while (r.left)
        if (!take_secret(&r, record, f))
            return false;
    return true;
}
