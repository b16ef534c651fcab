/* SPDX-License-Identifier: MIT
 * Counts what is allocated: by the library, by libcrypto, and live SSLs. Where
 * the C library is not glibc, or under a sanitizer, only the SSLs. */
#ifndef DTLSL_SIM_MEMORY_H
#define DTLSL_SIM_MEMORY_H

#include <stdint.h>

typedef struct sim_tally {
    uint64_t allocations;
    int64_t live_blocks;
} sim_tally;

/* Zero where they cannot be counted. */
extern sim_tally sim_ours;      /* malloc of this program and the library */
extern sim_tally sim_libcrypto; /* OPENSSL_malloc */
extern int64_t sim_live_ssls;

/* First thing in main. */
void sim_memory_start(void);

#endif
