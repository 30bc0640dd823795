/*
 * names.h - CockroachDB's rules for the names of SQL users, by utf8proc.
 *
 * The server folds a name before it looks at it (lexbase.NormalizeName: lower
 * case rune by rune, both Turkish i's to the ASCII i, then NFC) and then asks
 * for ^[\p{Ll}0-9_][-\p{Ll}0-9_.]*$ and at most 63 bytes (username.go,
 * ValidateForCreation).
 */
#ifndef CRDB_NAMES_H
#define CRDB_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { CRDB_NAME_BYTES_MAX = 63 };

bool crdb_is_utf8(const char *bytes, size_t length);

enum crdb_fold_result { CRDB_FOLD_OK, CRDB_FOLD_NOT_UTF8, CRDB_FOLD_NO_MEMORY };

/* Folds name; *folded is NUL-terminated and belongs to the caller, who frees it
 * with free(). A NUL within the name stays within. */
enum crdb_fold_result crdb_fold_name(const char *name, size_t len, char **folded,
                                     size_t *folded_len);

/* What the rule has against a folded name: NULL for nothing, or "empty", "long",
 * "start" (first character) or "character"; *offset is the byte, counted from
 * 0, at which it goes wrong. */
const char *crdb_name_problem(const char *folded, size_t len, size_t *offset);

#endif
