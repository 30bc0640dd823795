/*
 * lua_fingerprint.c - core.fingerprint, see fingerprint.h.
 */
#include "secrets/fingerprint.h"

#include "base/encode.h"
#include "lua/check.h"
#include "lua/scratch.h"
#include "lua/secret.h"
#include "lua/system.h"

/* core.fingerprint(string | secret) -> string of 64 hexadecimal digits */
static int fingerprint(lua_State *L) {
    unsigned char bytes[CRDB_FINGERPRINT_BYTES];
    size_t len;
    crdb_check_count(L, 1);
    crdb_check_bytes(L, 1, "fingerprint", NULL);
    struct crdb_buffer *text = crdb_push_scratch(L);
    const char *from = crdb_check_bytes(L, 1, "fingerprint", &len); /* borrowed last */
    if (!crdb_fingerprint(from, len, bytes) || !crdb_encode_hex(text, bytes, sizeof bytes))
        return luaL_error(L, "no memory, or the system gives no random bytes");
    lua_pushlstring(L, text->data, text->length);
    crdb_buffer_free(text);
    return 1;
}

const luaL_Reg crdb_fingerprint_functions[] = {{"fingerprint", fingerprint}, {NULL, NULL}};
