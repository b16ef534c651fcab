/* SPDX-License-Identifier: MIT
 * All chance of a simulation comes from its seed, OpenSSL's too. */
#ifndef DTLSL_SIM_RANDOM_H
#define DTLSL_SIM_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct sim_random {
    uint64_t state;
} sim_random;

uint64_t sim_next(sim_random *random);
/* 0 to n - 1; 0 for n = 0. */
uint32_t sim_below(sim_random *random, uint32_t n);
/* low to high, both included. */
uint32_t sim_between(sim_random *random, uint32_t low, uint32_t high);
int sim_chance(sim_random *random, uint32_t permille);
void sim_fill(sim_random *random, uint8_t *out, size_t len);

/* From now on OpenSSL's random bytes follow from the seed. */
void sim_random_openssl(uint64_t seed);

/* FNV-1a. */
uint64_t sim_hash(uint64_t hash, const void *data, size_t len);
uint64_t sim_hash_number(uint64_t hash, uint64_t number);

#endif
