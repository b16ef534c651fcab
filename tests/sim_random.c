/* SPDX-License-Identifier: MIT
 * Chance from a seed, for the simulation and for OpenSSL under it. */
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD, since 3.0 */
#include "sim_random.h"
#include <openssl/rand.h>
#include <sys/time.h>
#include <time.h>

/* splitmix64 */
uint64_t
sim_next(sim_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint32_t
sim_below(sim_random *random, uint32_t n)
{
    uint64_t value = sim_next(random);

    return n == 0 ? 0 : (uint32_t)((value >> 32) * n >> 32);
}

uint32_t
sim_between(sim_random *random, uint32_t low, uint32_t high)
{
    return low + sim_below(random, high - low + 1);
}

int
sim_chance(sim_random *random, uint32_t permille)
{
    return sim_below(random, 1000) < permille;
}

void
sim_fill(sim_random *random, uint8_t *out, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0)
            word = sim_next(random);
        out[i] = (uint8_t)(word >> i % 8 * 8);
    }
}

/* OpenSSL */

static sim_random openssl_random;

static int
give_bytes(unsigned char *buf, int num)
{
    if (num > 0)
        sim_fill(&openssl_random, buf, (size_t)num);
    return 1;
}

static int
is_seeded(void)
{
    return 1;
}

void
sim_random_openssl(uint64_t seed)
{
    static const RAND_METHOD method = {
        .bytes = give_bytes, .pseudorand = give_bytes, .status = is_seeded};

    openssl_random.state = seed ^ 0x6f70656e73736c21;
    RAND_set_rand_method(&method);
}

/* Certificates and sessions carry the time of day: client.c's. */
time_t
time(time_t *out)
{
    struct timeval now;

    gettimeofday(&now, NULL);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* Hashing */

uint64_t
sim_hash(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3;
    return hash;
}

uint64_t
sim_hash_number(uint64_t hash, uint64_t number)
{
    for (int i = 0; i < 8; i++, number >>= 8)
        hash = (hash ^ (number & 0xFF)) * 0x100000001b3;
    return hash;
}
