/* SPDX-License-Identifier: MIT
 * HMAC-SHA-256 with a context that is keyed once: computing one allocates
 * nothing, where OpenSSL's default provider does the hashing. */
#ifndef DTLSL_MAC_H
#define DTLSL_MAC_H

#include <dtlslisten/base.h>
#include <stddef.h>

/* Where the MACs come from; outlives them and must not move. */
typedef struct dtlsl__macs {
    struct evp_mac_st *mac;
    int by_sha256; /* not by mac, but by SHA-256 of libcrypto's own */
    int rekey;     /* mac forgets the key of a reused context */
} dtlsl__macs;

/* Of zeroed memory. DTLSL_ERR_TLS with a text if OpenSSL has no HMAC-SHA-256
 * that computes what it should. */
int32_t dtlsl__macs_init(dtlsl__macs *macs, char *err, size_t err_len);
void dtlsl__macs_clear(dtlsl__macs *macs);

/* NULL without memory. */
void *dtlsl__mac_new(const dtlsl__macs *macs, const uint8_t *key,
                     size_t key_len);
/* Writes 32 bytes at tag. An error: they are undefined. */
int32_t dtlsl__mac_sha256(void *mac, const uint8_t *data, size_t len,
                          uint8_t *tag);
/* NULL is allowed. */
void dtlsl__mac_free(void *mac);

#endif
