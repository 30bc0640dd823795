/*
 * The JSON scanner on standard input: prints the shape, then a line for each member, KEY, tab,
 * string or other, tab, VALUE as decoded or raw; last how many proper prefixes are not broken.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"

static void print_member(void *context, const struct crdb_json_member *m) {
    struct crdb_buffer text = {0};
    (void)context;
    if (m->is_string && !crdb_json_decode(m->value, m->value_length, &text))
        printf("%.*s\tmalformed\t\n", (int)m->key_length, m->key);
    else if (m->is_string)
        printf("%.*s\tstring\t%s\n", (int)m->key_length, m->key, text.data);
    else
        printf("%.*s\tother\t%.*s\n", (int)m->key_length, m->key, (int)m->value_length, m->value);
    crdb_buffer_free(&text);
}

int main(void) {
    static const char *const shapes[] = {"broken", "object", "other"};
    static char text[1 << 20];
    size_t length = fread(text, 1, sizeof text, stdin), whole = 0;
    /* In a block of just its size, so that a sanitizer sees a step too far. */
    for (size_t n = 0; n <= length; n++) {
        char *part = malloc(n ? n : 1);
        for (size_t i = 0; i < n; i++)
            part[i] = text[i];
        if (n == length)
            printf("%s\n", shapes[crdb_json_scan(part, n, NULL, NULL)]);
        if (n < length && crdb_json_scan(part, n, NULL, NULL) != CRDB_JSON_BROKEN)
            whole++;
        if (n == length)
            crdb_json_scan(part, n, print_member, NULL);
        free(part);
    }
    printf("%zu\n", whole);
    return 0;
}
