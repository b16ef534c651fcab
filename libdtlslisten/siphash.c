/* SPDX-License-Identifier: MIT
 * SipHash-2-4 with 64 bits of output. */
#include "siphash.h"
#include <string.h>

typedef struct state {
    uint64_t v0, v1, v2, v3;
} state;

static inline uint64_t
rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* Compilers know this as one load. */
static inline uint64_t
word64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
           (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
           (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static uint64_t
little64(const uint8_t *p, size_t len)
{
    uint64_t value = 0;

    for (size_t i = len; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

static inline void
sip_round(state *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void
absorb(state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

uint64_t
dtlsl__siphash(const uint8_t key[16], const void *data, size_t len)
{
    uint64_t k0 = word64(key);
    uint64_t k1 = word64(key + 8);
    state s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
               k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    const uint8_t *p = data;
    size_t left = len;

    for (; left >= 8; left -= 8, p += 8)
        absorb(&s, word64(p));
    absorb(&s, (uint64_t)len << 56 | little64(p, left));
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
