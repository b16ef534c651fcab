/* SPDX-License-Identifier: MIT
 * Deterministic authenticated encryption. AES-SIV is composed from AES with
 * contexts that are keyed once: OpenSSL's own AES-SIV takes more than twice the
 * time, and a context of it that is used again may give the tag of the last
 * message. */
#include "seal.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16
};

typedef struct seal {
    const dtlsl_cookie_host *host;
    EVP_CIPHER_CTX *block;
    /* of siv */
    EVP_CIPHER_CTX *cbc;
    uint8_t last[BLOCK];     /* that cbc has made: the IV of its next one */
    uint8_t subkey[BLOCK];   /* K1 of RFC 4493; K2 is its double */
    uint8_t zero_mac[BLOCK]; /* dbl(CMAC(0)) */
    /* of fips */
    void *hmac;
} seal;

/* ---- AES-SIV ---- */

/* Multiplication by x in GF(2^128). */
static void
dbl(uint8_t block[BLOCK])
{
    uint8_t carry = (uint8_t)(block[0] >> 7);

    for (int i = 0; i < BLOCK - 1; i++)
        block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
    block[BLOCK - 1] = (uint8_t)(block[BLOCK - 1] << 1);
    block[BLOCK - 1] ^= (uint8_t)(0x87 & -carry);
}

static void
xor_block(uint8_t *out, const uint8_t *in)
{
    for (int i = 0; i < BLOCK; i++)
        out[i] ^= in[i];
}

/* CMAC (RFC 4493) of 1 to DTLSL__MESSAGE_MAX bytes. The context goes on from
 * one message to the next: what it would add to the first block is known, and
 * is taken out before. To give it an IV anew takes longer than the message. */
static int
cmac(seal *s, const uint8_t *data, size_t len, uint8_t mac[BLOCK])
{
    uint8_t blocks[DTLSL__MESSAGE_MAX + BLOCK];
    uint8_t subkey[BLOCK];
    size_t size = (len + BLOCK - 1) / BLOCK * BLOCK;
    int n = 0;

    memcpy(blocks, data, len);
    memset(blocks + len, 0, size - len);
    memcpy(subkey, s->subkey, BLOCK);
    if (len < size) {
        blocks[len] = 0x80;
        dbl(subkey);
    }
    xor_block(blocks + (size - BLOCK), subkey);
    xor_block(blocks, s->last);
    if (EVP_EncryptUpdate(s->cbc, blocks, &n, blocks, (int)size) != 1 ||
        n != (int)size)
        return 0;
    memcpy(s->last, blocks + (size - BLOCK), BLOCK);
    memcpy(mac, s->last, BLOCK);
    return 1;
}

/* S2V of one string of associated data and the plaintext. */
static int
s2v(seal *s, const uint8_t *ad, size_t ad_len, const uint8_t *plain,
    size_t len, uint8_t v[BLOCK])
{
    uint8_t last[DTLSL__SEAL_MAX];
    uint8_t d[BLOCK], ad_mac[BLOCK];

    if (!cmac(s, ad, ad_len, ad_mac))
        return 0;
    memcpy(d, s->zero_mac, BLOCK);
    xor_block(d, ad_mac);
    memcpy(last, plain, len);
    if (len >= BLOCK) {
        xor_block(last + (len - BLOCK), d);
        return cmac(s, last, len, v);
    }
    last[len] = 0x80;
    memset(last + len + 1, 0, BLOCK - len - 1);
    dbl(d);
    xor_block(last, d);
    return cmac(s, last, BLOCK, v);
}

/* ---- both profiles ---- */

static int
make_tag(seal *s, const uint8_t *ad, size_t ad_len, const uint8_t *plain,
         size_t len, uint8_t tag[BLOCK])
{
    uint8_t message[DTLSL__MESSAGE_MAX + 2 + DTLSL__SEAL_MAX];
    uint8_t mac[32];
    int ok;

    if (s->cbc != NULL)
        return s2v(s, ad, ad_len, plain, len, tag);
    memcpy(message, ad, ad_len);
    message[ad_len] = (uint8_t)(len >> 8);
    message[ad_len + 1] = (uint8_t)len;
    memcpy(message + ad_len + 2, plain, len);
    ok = s->host->hmac_sha256(s->hmac, message, ad_len + 2 + len, mac) >= 0;
    memcpy(tag, mac, BLOCK);
    s->host->cleanse(message + ad_len, 2 + len);
    return ok;
}

/* AES in counter mode, from single blocks: setting a counter in a context of
 * OpenSSL's takes longer than encrypting it. */
static int
crypt(seal *s, const uint8_t *tag, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t stream[DTLSL__SEAL_MAX + BLOCK];
    uint8_t counter[BLOCK];
    size_t size = 0;
    int n = 0;

    memcpy(counter, tag, BLOCK);
    if (s->cbc != NULL) {
        counter[8] &= 0x7f;
        counter[12] &= 0x7f;
    }
    for (; size < len; size += BLOCK) {
        memcpy(stream + size, counter, BLOCK);
        for (int i = BLOCK - 1; i >= 0 && ++counter[i] == 0; i--)
            ;
    }
    if (EVP_EncryptUpdate(s->block, stream, &n, stream, (int)size) != 1 ||
        n != (int)size)
        return 0;
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] ^ stream[i];
    return 1;
}

int32_t
dtlsl__seal(void *context, const uint8_t *ad, size_t ad_len,
            const uint8_t *plain, size_t len, uint8_t *out)
{
    seal *s = context;
    int ok;

    if (len == 0 || len > DTLSL__SEAL_MAX || ad_len > DTLSL__MESSAGE_MAX)
        return DTLSL_ERR_ARGUMENT;
    ERR_set_mark();
    ok = make_tag(s, ad, ad_len, plain, len, out) &&
         crypt(s, out, plain, len, out + BLOCK);
    ERR_pop_to_mark();
    return ok ? DTLSL_OK : DTLSL_ERR_TLS;
}

int32_t
dtlsl__unseal(void *context, const uint8_t *ad, size_t ad_len,
              const uint8_t *in, size_t len, uint8_t *plain)
{
    seal *s = context;
    uint8_t tag[BLOCK];
    int ok;

    if (len == 0 || len > DTLSL__SEAL_MAX || ad_len > DTLSL__MESSAGE_MAX)
        return DTLSL_ERR_ARGUMENT;
    ERR_set_mark();
    ok = crypt(s, in, in + BLOCK, len, plain) &&
         make_tag(s, ad, ad_len, plain, len, tag);
    ERR_pop_to_mark();
    if (ok && s->host->ct_equal(tag, in, BLOCK) == 1)
        return 1;
    s->host->cleanse(plain, len);
    return ok ? 0 : DTLSL_ERR_TLS;
}

/* ---- contexts ---- */

static void
seal_drop(const dtlsl_cookie_host *host, void *context)
{
    seal *s = context;

    if (s == NULL)
        return;
    EVP_CIPHER_CTX_free(s->block);
    EVP_CIPHER_CTX_free(s->cbc);
    host->hmac_free(s->hmac);
    host->cleanse(s, sizeof(*s));
    free(s);
}

static EVP_CIPHER_CTX *
cipher_new(const char *name, const uint8_t *key)
{
    static const uint8_t zero[BLOCK];
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx != NULL &&
        (cipher == NULL ||
         EVP_EncryptInit_ex2(ctx, cipher, key, zero, NULL) != 1 ||
         EVP_CIPHER_CTX_set_padding(ctx, 0) != 1)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher);
    return ctx;
}

/* Makes what follows from the key, and sees that the context does go on from
 * one message to the next: the same message must give the same MAC again. */
static int
start_cmac(seal *s)
{
    static const uint8_t zero[BLOCK];
    uint8_t again[BLOCK];

    if (EVP_EncryptUpdate(s->cbc, s->last, &(int){0}, zero, BLOCK) != 1)
        return 0;
    memcpy(s->subkey, s->last, BLOCK);
    dbl(s->subkey);
    if (!cmac(s, zero, BLOCK, s->zero_mac) || !cmac(s, zero, 1, again) ||
        !cmac(s, zero, BLOCK, again) || memcmp(again, s->zero_mac, BLOCK) != 0)
        return 0;
    dbl(s->zero_mac);
    return 1;
}

static void *
siv_make(const dtlsl_cookie_host *host, const uint8_t *key)
{
    seal *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    ERR_set_mark();
    s->host = host;
    s->cbc = cipher_new("AES-128-CBC", key);
    s->block = cipher_new("AES-128-ECB", key + 16);
    if (s->cbc == NULL || s->block == NULL || !start_cmac(s)) {
        seal_drop(host, s);
        s = NULL;
    }
    ERR_pop_to_mark();
    return s;
}

static void *
fips_make(const dtlsl_cookie_host *host, const uint8_t *key)
{
    seal *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    ERR_set_mark();
    s->host = host;
    s->hmac = host->hmac_new(host->ctx, key, 32);
    s->block = cipher_new("AES-256-ECB", key + 32);
    if (s->hmac == NULL || s->block == NULL) {
        seal_drop(host, s);
        s = NULL;
    }
    ERR_pop_to_mark();
    return s;
}

const dtlsl__key_use dtlsl__key_use_siv = {DTLSL__ID_AEAD, 32, siv_make,
                                           seal_drop};
const dtlsl__key_use dtlsl__key_use_fips = {DTLSL__ID_FIPS, 64, fips_make,
                                            seal_drop};
