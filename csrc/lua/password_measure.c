#include "lua/password_measure.h"

#include "lua/check.h"
#include "lua/secret.h"
#include "secrets/password_measure.h"

static void set_flag(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static int password_traits(lua_State *L) {
    crdb_check_count(L, 2);
    size_t len;
    crdb_check_bytes(L, 1, "password", NULL);
    if (!lua_istable(L, 2))
        return crdb_raise_type(L, 2, "words", "a list of strings");
    size_t count = crdb_rawlen(L, 2);
    /* Owned by a userdata: what follows may raise. The texts belong to the
     * strings in the caller's table, which stays on the stack. */
    struct crdb_word *words = crdb_newuserdata(L, (count + 1) * sizeof *words);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (int)i + 1);
        words[i].text = crdb_check_string(L, -1, "words: entry", &words[i].length);
        lua_pop(L, 1);
    }
    struct crdb_password_traits traits;
    const char *bytes = crdb_check_bytes(L, 1, "password", &len);
    crdb_password_measure(bytes, len, words, count, &traits);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)len);
    lua_setfield(L, -2, "length");
    set_flag(L, "utf8", traits.utf8);
    set_flag(L, "control", traits.control);
    set_flag(L, "hash", traits.hash);
    lua_pushinteger(L, (lua_Integer)traits.cost);
    lua_setfield(L, -2, "cost");
    return 1;
}

const luaL_Reg crdb_password_measure_functions[] = {{"password_traits", password_traits},
                                                    {NULL, NULL}};
