/* SPDX-License-Identifier: MIT
 * Deterministic authenticated encryption of a few bytes, in two profiles:
 * AES-SIV (RFC 5297, AEAD_AES_SIV_CMAC_256) and, of FIPS-approved parts only,
 * HMAC-SHA-256 with AES-256-CTR. One string of associated data, at least one
 * byte of plaintext, no nonce. */
#ifndef DTLSL_SEAL_H
#define DTLSL_SEAL_H

#include "keyring.h"

enum {
    DTLSL__SEAL_TAG = 16,
    DTLSL__SEAL_MAX = 4 + DTLSL_COOKIE_APP_MAX /* bytes of plaintext */
};

/* Contexts of these are for dtlsl__seal and dtlsl__unseal. */
extern const dtlsl__key_use dtlsl__key_use_siv;
extern const dtlsl__key_use dtlsl__key_use_fips;

/* Writes the tag and len bytes of ciphertext to out. 0 or a negative code. */
int32_t dtlsl__seal(void *context, const uint8_t *ad, size_t ad_len,
                    const uint8_t *plain, size_t len, uint8_t *out);
/* Opens tag and len bytes of ciphertext at 'in'. 1 if they are genuine, 0 if
 * not (nothing is at plain then), or a negative code. */
int32_t dtlsl__unseal(void *context, const uint8_t *ad, size_t ad_len,
                      const uint8_t *in, size_t len, uint8_t *plain);

#endif
