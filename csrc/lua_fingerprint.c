/*
 * lua_fingerprint.c - core.fingerprint, see fingerprint.h.
 */
#include "fingerprint.h"
#include "lua_check.h"
#include "lua_secret.h"
#include "lua_system.h"

/* core.fingerprint(string | secret) -> string of 64 hexadecimal digits */
static int fingerprint(lua_State *L) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[CRDB_FINGERPRINT_BYTES];
    char text[2 * sizeof bytes];
    size_t len;
    crdb_check_count(L, 1);
    const char *from = crdb_check_bytes(L, 1, "fingerprint", &len);
    if (!crdb_fingerprint(from, len, bytes))
        return luaL_error(L, "no memory, or the system gives no random bytes");
    for (size_t i = 0; i < sizeof bytes; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

const luaL_Reg crdb_fingerprint_functions[] = {{"fingerprint", fingerprint}, {NULL, NULL}};
