/* SPDX-License-Identifier: MIT
 * Cookies that carry their time in clear and an HMAC-SHA-256 over what they
 * bind: hmac and cluster. */
#ifndef DTLSL_TAGGED_H
#define DTLSL_TAGGED_H

#include "keyring.h"

typedef struct dtlsl__tagged {
    const dtlsl__key_use *use;
    uint8_t fmt;        /* high four bits of the first byte */
    uint8_t header_len; /* fmt, kid, issued u32, whatever follows */
    uint8_t binds_zone;
} dtlsl__tagged;

static inline size_t
dtlsl__tagged_len(const dtlsl__tagged *form)
{
    return (size_t)form->header_len + DTLSL__TAG_LEN;
}

/* The header's bytes behind 'issued' are the caller's and in place at cookie.
 * Returns the cookie's length or a negative code. */
int32_t dtlsl__tagged_mint(const dtlsl__tagged *form, dtlsl__base *base,
                           dtlsl__key *key, const dtlsl_cookie_input *in,
                           uint64_t now_ms, uint8_t *cookie, size_t cap);

/* 1 if the cookie may be one of this form. */
int dtlsl__tagged_has_form(const dtlsl__tagged *form, const uint8_t *cookie,
                           size_t len);

/* Judges a cookie of this form that names the key. *delta is its age where it
 * is genuine: VALID, EXPIRED, FUTURE. */
int32_t dtlsl__tagged_judge(const dtlsl__tagged *form, dtlsl__base *base,
                            dtlsl__key *key, const dtlsl_cookie_input *in,
                            uint64_t now_ms, const uint8_t *cookie,
                            int64_t *delta);

#endif
