#include "http/headers.h"

#include <string.h>

#include "base/buffer.h"
#include "base/secret.h"
#include "http/transfer.h"

/* Appends "name: value"; NULL value: nothing to do. False: no memory. */
static bool add(struct curl_slist **list, const char *name, const char *value, size_t length) {
    if (!value)
        return true;
    struct crdb_buffer line = {0};
    struct curl_slist *longer = NULL;
    if (crdb_buffer_text(&line, name) && crdb_buffer_append(&line, value, length))
        longer = curl_slist_append(*list, line.data);
    crdb_buffer_free(&line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_text(struct curl_slist **list, const char *name, const char *value) {
    return add(list, name, value, value ? strlen(value) : 0);
}

struct curl_slist *crdb_headers_make(const struct crdb_transfer_options *o) {
    struct curl_slist *list = NULL;
    bool fits = add_text(&list, "Accept: ", "application/json") &&
                add(&list, "Authorization: Bearer ", (const char *)crdb_secret_bytes(o->api_key),
                    crdb_secret_length(o->api_key)) &&
                add_text(&list, "Cc-Version: ", o->api_version) &&
                add_text(&list, "Cc-Vanity-Name: ", o->vanity_name) &&
                add_text(&list, "Cc-Username: ", o->username) &&
                add_text(&list, "Expect:", ""); /* takes libcurl's "100-continue" away */
    if (fits)
        return list;
    crdb_headers_free(list);
    return NULL;
}

void crdb_headers_free(struct curl_slist *headers) {
    for (struct curl_slist *h = headers; h; h = h->next)
        crdb_wipe(h->data, strlen(h->data));
    curl_slist_free_all(headers);
}
