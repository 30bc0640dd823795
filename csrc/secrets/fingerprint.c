#include "secrets/fingerprint.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

#include "base/random.h"
#include "base/secret.h"

enum { KEY_BYTES = 32 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_handlers = PTHREAD_ONCE_INIT;
static struct crdb_secret *process_key; /* a secret, so that no core file has it */

static void lock(void) {
    pthread_mutex_lock(&mutex);
}

static void unlock(void) {
    pthread_mutex_unlock(&mutex);
}

static void install_fork_handlers(void) {
    /* Without memory for the handlers only a fork in mid-call could hang the child. */
    (void)pthread_atfork(lock, unlock, unlock);
}

static struct crdb_secret *new_key(void) {
    struct crdb_secret *key = crdb_secret_new(KEY_BYTES);
    if (key && crdb_random_bytes(crdb_secret_bytes(key), KEY_BYTES))
        return key;
    crdb_secret_release(key);
    return NULL;
}

/* A reference to the key, or NULL: there is none yet, or it is that of the process that forked this
 * one, whose copy holds zeros here. The mutex is held. */
static struct crdb_secret *present_key(void) {
    if (!process_key || crdb_secret_forked(process_key))
        return NULL;
    return crdb_secret_ref(process_key);
}

/* A reference to the key of this process, which the first call makes. No secret is made or
 * released while the mutex is held: that locks the mutex of their arena, which a fork in another thread
 * may hold while it waits for ours. */
static struct crdb_secret *key_of_process(void) {
    pthread_once(&fork_handlers, install_fork_handlers);
    lock();
    struct crdb_secret *key = present_key();
    unlock();
    if (key)
        return key;
    struct crdb_secret *superfluous = new_key();
    if (!superfluous)
        return NULL;
    lock();
    key = present_key();
    if (!key) { /* nobody was quicker */
        struct crdb_secret *inherited = process_key;
        process_key = superfluous;
        superfluous = inherited;
        key = present_key();
    }
    unlock();
    crdb_secret_release(superfluous);
    return key;
}

bool crdb_fingerprint(const void *bytes, size_t len, unsigned char out[CRDB_FINGERPRINT_BYTES]) {
    struct crdb_secret *key = key_of_process();
    if (!key)
        return false;
    bool done =
        HMAC(EVP_sha256(), crdb_secret_bytes(key), KEY_BYTES, bytes, len, out, NULL) != NULL;
    crdb_secret_release(key);
    return done;
}
