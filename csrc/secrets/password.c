#include "secrets/password.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/names.h"
#include "base/random.h"

static const double least_acceptance = 1e-6;

static bool is_letter(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool holds(const struct crdb_bytes *set, unsigned char c) {
    return set->length && memchr(set->bytes, c, set->length) != NULL;
}

/* The letters of the alphabet, or all of it when it has none. Returns how many. */
static size_t first_bytes(const struct crdb_bytes *alphabet, unsigned char to[256]) {
    size_t n = 0;
    for (size_t i = 0; i < alphabet->length; i++)
        if (is_letter(alphabet->bytes[i]))
            to[n++] = alphabet->bytes[i];
    if (n == 0) {
        memcpy(to, alphabet->bytes, alphabet->length);
        n = alphabet->length;
    }
    return n;
}

/* The part of bytes that lies in none of the classes in the bit set chosen. */
static double part_outside(const unsigned char *bytes, size_t count,
                           const struct crdb_password_policy *policy, unsigned chosen) {
    size_t outside = 0;
    for (size_t i = 0; i < count; i++) {
        bool in = false;
        for (size_t k = 0; k < policy->class_count && !in; k++)
            in = (chosen >> k & 1) && holds(&policy->classes[k], bytes[i]);
        outside += !in;
    }
    return (double)outside / (double)count;
}

/* Inclusion and exclusion over the sets of classes that a candidate may miss. */
double crdb_password_acceptance(const struct crdb_password_policy *policy) {
    unsigned char first[256];
    size_t first_count = first_bytes(&policy->alphabet, first);
    double acceptance = 0;
    for (unsigned chosen = 0; chosen < 1u << policy->class_count; chosen++) {
        double missed =
            part_outside(first, first_count, policy, chosen) *
            pow(part_outside(policy->alphabet.bytes, policy->alphabet.length, policy, chosen),
                (double)(policy->length - 1));
        acceptance += __builtin_popcount(chosen) % 2 ? -missed : missed;
    }
    return acceptance < 0 ? 0 : acceptance;
}

/* Random bytes are asked for in blocks, since one system call per byte is slow. */
struct pool {
    unsigned char bytes[256];
    size_t left;
};

/* An index below count (1 to 256), each equally likely: bytes above the largest
 * multiple of count are thrown away, as % alone would favour the small ones. */
static bool draw(struct pool *pool, size_t count, size_t *index) {
    size_t limit = 256 - 256 % count;
    for (;;) {
        if (pool->left == 0) {
            if (!crdb_random_bytes(pool->bytes, sizeof pool->bytes))
                return false;
            pool->left = sizeof pool->bytes;
        }
        size_t byte = pool->bytes[--pool->left];
        if (byte < limit) {
            *index = byte % count;
            return true;
        }
    }
}

static bool meets(const struct crdb_password_policy *policy, const unsigned char *candidate) {
    for (size_t k = 0; k < policy->class_count; k++) {
        bool found = false;
        for (size_t i = 0; i < policy->length && !found; i++)
            found = holds(&policy->classes[k], candidate[i]);
        if (!found)
            return false;
    }
    return true;
}

/* Draws candidates until one meets the policy; false when random bytes fail. */
static bool fill(const struct crdb_password_policy *policy, unsigned char *candidate) {
    unsigned char first[256];
    size_t first_count = first_bytes(&policy->alphabet, first);
    struct pool pool = {.left = 0};
    bool drawn;
    do {
        size_t index = 0;
        drawn = draw(&pool, first_count, &index);
        candidate[0] = first[index];
        for (size_t i = 1; i < policy->length && drawn; i++) {
            drawn = draw(&pool, policy->alphabet.length, &index);
            candidate[i] = policy->alphabet.bytes[index];
        }
    } while (drawn && !meets(policy, candidate));
    crdb_wipe(&pool, sizeof pool);
    return drawn;
}

static bool is_printable(const struct crdb_bytes *alphabet) {
    for (size_t i = 0; i < alphabet->length; i++)
        if (alphabet->bytes[i] <= ' ' || alphabet->bytes[i] > '~')
            return false;
    return true;
}

enum crdb_password_result crdb_password_generate(const struct crdb_password_policy *policy,
                                                 struct crdb_secret **password) {
    double acceptance = crdb_password_acceptance(policy);
    /* The sum of up to 256 terms of either sign is exact to about 1e-14. */
    if (acceptance < 1e-13)
        return CRDB_PASSWORD_IMPOSSIBLE;
    if (acceptance < least_acceptance)
        return CRDB_PASSWORD_UNLIKELY;
    struct crdb_secret *made = crdb_secret_new(policy->length);
    if (!made)
        return CRDB_PASSWORD_NO_MEMORY;
    if (!fill(policy, crdb_secret_bytes(made))) {
        crdb_secret_release(made);
        return CRDB_PASSWORD_NO_RANDOM;
    }
    if (is_printable(&policy->alphabet))
        crdb_secret_mark_generated(made);
    *password = made;
    return CRDB_PASSWORD_OK;
}

static bool has_control(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f)
            return true;
    return false;
}

static bool begins_with(const char *bytes, size_t len, const char *head, size_t head_len) {
    return len >= head_len && strncasecmp(bytes, head, head_len) == 0;
}

/* CockroachDB stores a password of these forms as the hash itself. */
static bool is_hash(const char *bytes, size_t len) {
    static const char *const heads[] = {"SCRAM-SHA-256$", "CRDB-BCRYPT$", "$2a$", "$2b$", "$2y$"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (begins_with(bytes, len, heads[i], strlen(heads[i])))
            return true;
    size_t digits = 3;
    while (digits < len && isxdigit((unsigned char)bytes[digits]))
        digits++;
    return len == 35 && digits == len && begins_with(bytes, len, "md5", 3);
}

bool crdb_password_is_word(const char *bytes, size_t len, const char *word, size_t word_len) {
    if (word_len == 0 || !begins_with(bytes, len, word, word_len))
        return false;
    for (size_t i = word_len; i < len; i++)
        if (is_letter((unsigned char)bytes[i]) || (bytes[i] & 0x80))
            return false;
    return true;
}

/* What people choose when twelve characters are asked for; see crdb_password_is_word. */
static const char common[] =
    "000000 111111 123123 123321 12345 654321 987654 098765 112233 !!!!!! !@#$%^&* "
    "1q2w3e4r5t6y 1q2w3e4r5t 1q2w3e4r 1qaz2wsx 1qaz2wsx3edc 1qazxsw23edc q1w2e3r4t5y6 "
    "q1w2e3r4 qazwsxedc qazwsxedcrfv zaq12wsx zaq12wsxcde3 zaq1xsw2cde3 qwerty qwertyqwerty "
    "qwertyuiop qwertyuiopas qwertyuiopasdfghjkl asdfghjkl asdfghjklzxcvbnm asdfasdfasdf "
    "zxcvbnm zxcvbnmasdfgh aaaaaaaaaaaa abababababab abc123abc123 a1b2c3d4e5f6 abcdef "
    "abcd1234abcd abcdefgh abcdefghijkl abcdefghijklmnop abcdefghijklmnopqrstuvwxyz "
    "zyxwvutsrqpo password passwordpassword password123password password1password passw0rd "
    "p@ssword p@ssw0rd p@ssw0rdp@ssw0rd pa$$word pa$$w0rd p4ssw0rd mypassword mypasswordis "
    "newpassword oldpassword thisisapassword thisismypassword passphrase secretpassword "
    "secretsecret supersecret topsecret admin adminadmin adminadminadmin adminpassword "
    "administrator root rootroot rootrootroot rootpassword superuser letmein letmeinletmein "
    "letmeinplease welcome welcomewelcome changeme changeme-changeme changemechangeme "
    "changemeplease pleasechangeme change-me change_me replaceme default defaultpassword "
    "temppassword temporarypassword test testtest testtesttest testpassword testing "
    "cockroach cockroachdb cockroachlabs cockroachcockroach database databasepassword "
    "databasedatabase postgres postgresql postgrespostgres production productionpassword "
    "production-password prodpassword staging iloveyou iloveyouiloveyou iloveyousomuch "
    "trustno1 sunshine football baseball princess dragon monkey superman starwars "
    "opensesame correcthorsebatterystaple correct-horse-battery-staple maytheforcebewithyou "
    "winteriscoming youshallnotpass hunter2hunter2 ihatepasswords donttellanyone";

static bool is_common(const char *bytes, size_t len) {
    for (const char *word = common; *word; word += strspn(word, " ")) {
        size_t n = strcspn(word, " ");
        if (crdb_password_is_word(bytes, len, word, n))
            return true;
        word += n;
    }
    return false;
}

const char *crdb_password_problem(const char *bytes, size_t len, const char *user,
                                  size_t user_len) {
    if (!crdb_is_utf8(bytes, len))
        return "utf8";
    if (has_control(bytes, len))
        return "control";
    if (is_hash(bytes, len))
        return "hash";
    if (len > 0 && len == user_len && memcmp(bytes, user, len) == 0)
        return "name";
    bool guessable = crdb_password_is_word(bytes, len, user, user_len) || is_common(bytes, len);
    return guessable ? "common" : NULL;
}
