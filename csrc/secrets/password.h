/*
 * password.h - generates passwords, and judges those that a person chose.
 *
 * Every password that meets the policy is equally likely: a candidate is drawn
 * whole and thrown away when it does not meet it. How often that happens is
 * computed first, so a policy that nothing can meet fails at once.
 */
#ifndef CRDB_PASSWORD_H
#define CRDB_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/secret.h"

enum { CRDB_PASSWORD_LENGTH_MAX = 4096, CRDB_PASSWORD_CLASSES_MAX = 8 };

struct crdb_bytes {
    const unsigned char *bytes;
    size_t length;
};

struct crdb_password_policy {
    size_t length;              /* in bytes, 1 to CRDB_PASSWORD_LENGTH_MAX */
    struct crdb_bytes alphabet; /* 2 to 256 distinct bytes */
    /* At least one byte of each class must occur. */
    struct crdb_bytes classes[CRDB_PASSWORD_CLASSES_MAX];
    size_t class_count;
};

enum crdb_password_result {
    CRDB_PASSWORD_OK,
    CRDB_PASSWORD_IMPOSSIBLE, /* no password meets the policy */
    CRDB_PASSWORD_UNLIKELY,   /* fewer than one candidate in a million does */
    CRDB_PASSWORD_NO_RANDOM,  /* errno says why */
    CRDB_PASSWORD_NO_MEMORY
};

/* The part of all candidates that meets the policy, 0 to 1. */
double crdb_password_acceptance(const struct crdb_password_policy *policy);

/* Makes a password and gives the caller the one reference to it. The first
 * byte is a letter (a-z, A-Z) whenever the alphabet has letters, because a
 * leading '-' looks like an option and a leading digit like a number. A password
 * over printable ASCII is marked: see crdb_secret_generated. */
enum crdb_password_result crdb_password_generate(const struct crdb_password_policy *policy,
                                                 struct crdb_secret **password);

/* What is wrong with a password that a person chose, whatever its length: "utf8" (it is not), "control"
 * (it holds a control character), "hash" (the database would take it for a stored hash), "name" (it is
 * the user's), "common" (many people choose it, or it is the user's name as a word); NULL: nothing. An empty user is nobody's name. */
const char *crdb_password_problem(const char *bytes, size_t len, const char *user, size_t user_len);

/* Whether the password is the word in any case, alone or with nothing but digits and signs behind it. */
bool crdb_password_is_word(const char *bytes, size_t len, const char *word, size_t word_len);

#endif
