/*
 * password.c - passwords made at random, and those that a person chose judged.
 */
#include "secrets/password.h"

#include <string.h>

#include "lua/check.h"
#include "lua/core.h"
#include "lua/secret.h"

enum { LENGTH_DEFAULT = 32 };

static void check_alphabet(lua_State *L, int idx, struct crdb_bytes *alphabet) {
    static const char base62[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    alphabet->bytes = (const unsigned char *)base62;
    alphabet->length = sizeof base62 - 1;
    if (lua_isnoneornil(L, idx))
        return;
    alphabet->bytes =
        (const unsigned char *)crdb_check_string(L, idx, "alphabet", &alphabet->length);
    if (alphabet->length < 2 || alphabet->length > 256)
        luaL_error(L, "alphabet: expected 2 to 256 distinct bytes, got %d", (int)alphabet->length);
    for (size_t i = 1; i < alphabet->length; i++)
        if (memchr(alphabet->bytes, alphabet->bytes[i], i))
            luaL_error(L, "alphabet: expected distinct bytes, but byte %d repeats an earlier one",
                       (int)(i + 1));
}

/* The classes stay on the stack, since the policy points into them. */
static void check_classes(lua_State *L, int idx, struct crdb_password_policy *policy) {
    if (lua_isnoneornil(L, idx))
        return;
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "classes", "a list of strings");
    size_t count = crdb_rawlen(L, idx);
    if (count > CRDB_PASSWORD_CLASSES_MAX)
        luaL_error(L, "classes: expected at most %d, got %d", (int)CRDB_PASSWORD_CLASSES_MAX,
                   (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, idx, (int)(i + 1));
        struct crdb_bytes *class = &policy->classes[i];
        class->bytes = (const unsigned char *)crdb_check_string(L, -1, "classes", &class->length);
    }
    policy->class_count = count;
}

/* core.password(length = 32, alphabet = letters and digits, classes = {}) -> secret | nil, message */
static int password(lua_State *L) {
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    struct crdb_password_policy policy = {0};
    policy.length = LENGTH_DEFAULT;
    if (!lua_isnil(L, 1))
        policy.length = (size_t)crdb_check_integer(L, 1, "length", 1, CRDB_PASSWORD_LENGTH_MAX);
    check_alphabet(L, 2, &policy.alphabet);
    check_classes(L, 3, &policy);
    struct crdb_secret **slot = crdb_push_secret_slot(L);
    lua_pushnil(L);
    switch (crdb_password_generate(&policy, slot)) {
    case CRDB_PASSWORD_OK:
        lua_pop(L, 1);
        return 1;
    case CRDB_PASSWORD_NO_MEMORY:
        return crdb_raise_no_memory(L);
    case CRDB_PASSWORD_IMPOSSIBLE:
        lua_pushliteral(L, "no password of this length and alphabet has a character of each class");
        break;
    case CRDB_PASSWORD_UNLIKELY:
        lua_pushliteral(L,
                        "fewer than one in a million passwords of this length and alphabet has a "
                        "character of each class");
        break;
    case CRDB_PASSWORD_NO_RANDOM:
        lua_pushliteral(L, "the system gives no random bytes");
        break;
    }
    return 2;
}

/* Whether the password is one of the words in the list at idx (or nil); see crdb_password_is_word. */
static bool is_listed(lua_State *L, int idx, const char *bytes, size_t len) {
    bool found = false;
    if (lua_isnil(L, idx))
        return false;
    if (!lua_istable(L, idx))
        crdb_raise_type(L, idx, "words", "a list of strings");
    for (int i = 1; !found && i <= (int)crdb_rawlen(L, idx); i++) {
        size_t word_len;
        lua_rawgeti(L, idx, i);
        const char *word = crdb_check_string(L, -1, "words: entry", &word_len);
        found = crdb_password_is_word(bytes, len, word, word_len);
        lua_pop(L, 1);
    }
    return found;
}

/* core.password_problem(string | secret, user | nil, {word, ...} | nil) -> nil | "utf8" | "control" |
 * "hash" | "name" | "common". What core.password made has no problem: see crdb_secret_generated. */
static int password_problem(lua_State *L) {
    crdb_check_count(L, 3);
    lua_settop(L, 3);
    size_t len, user_len = 0;
    const char *user = lua_isnil(L, 2) ? "" : crdb_check_string(L, 2, "user", &user_len);
    const char *bytes = crdb_check_bytes(L, 1, "password", &len);
    struct crdb_secret *s = crdb_test_secret(L, 1);
    if (s && crdb_secret_generated(s))
        return 0;
    const char *problem = crdb_password_problem(bytes, len, user, user_len);
    if (!problem && is_listed(L, 3, bytes, len))
        problem = "common";
    lua_pushstring(L, problem);
    return 1;
}

const luaL_Reg crdb_password_functions[] = {
    {"password", password}, {"password_problem", password_problem}, {NULL, NULL}};
