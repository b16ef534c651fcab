/* SPDX-License-Identifier: MIT
 * What the fuzzers share: reading inputs, randomness that repeats, failing. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "fuzz.h"
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t
fuzz_byte(fuzz_input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

uint16_t
fuzz_short(fuzz_input *in)
{
    uint8_t high = fuzz_byte(in);

    return (uint16_t)(high << 8 | fuzz_byte(in));
}

const uint8_t *
fuzz_bytes(fuzz_input *in, size_t *len)
{
    const uint8_t *data = in->data;

    if (*len > in->len)
        *len = in->len;
    in->data += *len;
    in->len -= *len;
    return data;
}

static uint64_t state;

/* splitmix64 */
static int
repeatable_bytes(unsigned char *buf, int len)
{
    for (int i = 0; i < len; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15ULL;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        buf[i] = (unsigned char)(z >> 56);
    }
    return 1;
}

static int
is_seeded(void)
{
    return 1;
}

void
fuzz_seed(uint64_t seed)
{
    static const RAND_METHOD method = {.bytes = repeatable_bytes,
                                       .pseudorand = repeatable_bytes,
                                       .status = is_seeded};

    state = seed;
    fuzz_check(RAND_set_rand_method(&method) == 1);
}

uint8_t *
fuzz_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    fuzz_check(copy != NULL);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

void
fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}
