/* SPDX-License-Identifier: MIT
 * Session ticket keys. Listeners in several threads share them: each use is
 * under a lock, and is part of a handshake. */
#include "tickets.h"
#include "tls.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum {
    NAME_LEN = 16,
    IV_LEN = 16,
    SECRET_LEN = 32
};

typedef struct ticket_key {
    uint8_t name[NAME_LEN];
    uint8_t cipher[SECRET_LEN];
    uint8_t mac[SECRET_LEN];
    int64_t born; /* unix seconds */
} ticket_key;

typedef struct tickets {
    pthread_mutex_t lock;
    uint32_t references;
    int64_t life;      /* seconds that a ticket is valid */
    ticket_key key[2]; /* the present one, the one before */
    int known;         /* how many of them there are */
} tickets;

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int tickets_index = -1;

static void
drop(tickets *set)
{
    uint32_t left;

    if (set == NULL)
        return;
    pthread_mutex_lock(&set->lock);
    left = --set->references;
    pthread_mutex_unlock(&set->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&set->lock);
    OPENSSL_clear_free(set, sizeof(*set));
}

static void
on_ctx_free(void *parent, void *set, CRYPTO_EX_DATA *data, int index,
            long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    drop(set);
}

static void
make_index(void)
{
    tickets_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ctx_free);
}

/* Has it lived? Also when it was born in a future that far away: the clock was
 * wrong then or is now. */
static int
has_lived(const tickets *set, int64_t now)
{
    int64_t age = now - set->key[0].born;

    return age >= set->life || age <= -set->life;
}

/* Time comes from the session that gets the ticket: OpenSSL has read the
 * clock for it. That of one that is resumed is another time's, so that it does
 * not count. */
static int
rotate(tickets *set, const SSL_SESSION *session, int resumed)
{
    int64_t now = dtlsl__tls_session_time(session);
    ticket_key fresh;

    if (set->known > 0 && (resumed || !has_lived(set, now)))
        return 1;
    if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
        RAND_priv_bytes(fresh.cipher, sizeof(fresh.cipher)) != 1 ||
        RAND_priv_bytes(fresh.mac, sizeof(fresh.mac)) != 1)
        return 0;
    fresh.born = now;
    set->key[1] = set->key[0];
    set->key[0] = fresh;
    set->known += set->known < 2;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return 1;
}

static int
start_mac(EVP_MAC_CTX *mac, ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, key->mac,
                                sizeof(key->mac)),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_END};

    return EVP_MAC_CTX_set_params(mac, params);
}

static int
seal(tickets *set, const SSL *ssl, uint8_t *name, uint8_t *iv,
     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const SSL_SESSION *session = SSL_get_session(ssl);

    if (session == NULL || !rotate(set, session, SSL_session_reused(ssl)) ||
        RAND_bytes(iv, IV_LEN) != 1)
        return -1;
    memcpy(name, set->key[0].name, NAME_LEN);
    if (!EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL,
                            set->key[0].cipher, iv) ||
        !start_mac(mac, &set->key[0]))
        return -1;
    return 1;
}

/* 2 asks OpenSSL to renew the ticket with the present key. */
static int
unseal(tickets *set, const uint8_t *name, const uint8_t *iv,
       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    for (int i = 0; i < set->known; i++) {
        ticket_key *key = &set->key[i];
        if (memcmp(name, key->name, NAME_LEN) != 0)
            continue;
        if (!start_mac(mac, key) ||
            !EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher,
                                iv))
            return -1;
        return i == 0 ? 1 : 2;
    }
    return 0;
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
    tickets *set = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index);
    int result;

    if (set == NULL)
        return 0;
    pthread_mutex_lock(&set->lock);
    result = sealing ? seal(set, ssl, name, iv, cipher, mac)
                     : unseal(set, name, iv, cipher, mac);
    pthread_mutex_unlock(&set->lock);
    return result;
}

static tickets *
take(SSL_CTX *old)
{
    tickets *set =
        old == NULL ? NULL : SSL_CTX_get_ex_data(old, tickets_index);

    if (set == NULL)
        return NULL;
    pthread_mutex_lock(&set->lock);
    set->references++;
    pthread_mutex_unlock(&set->lock);
    return set;
}

static tickets *
make(const SSL_CTX *ctx)
{
    tickets *set = OPENSSL_zalloc(sizeof(*set));

    if (set == NULL)
        return NULL;
    pthread_mutex_init(&set->lock, NULL);
    set->references = 1;
    set->life = SSL_CTX_get_timeout(ctx);
    return set;
}

int
dtlsl__tickets_use(struct ssl_ctx_st *ctx, struct ssl_ctx_st *old)
{
    tickets *set;

    if (!CRYPTO_THREAD_run_once(&once, make_index) || tickets_index < 0)
        return 0;
    set = take(old);
    if (set == NULL)
        set = make(ctx);
    if (set == NULL)
        return 0;
    drop(SSL_CTX_get_ex_data(ctx, tickets_index));
    if (!SSL_CTX_set_ex_data(ctx, tickets_index, set)) {
        drop(set);
        return 0;
    }
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}
