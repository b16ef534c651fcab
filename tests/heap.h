/* SPDX-License-Identifier: MIT
 * Counts what is allocated: by OpenSSL, and by everybody else. All stays zero
 * where the C library is not glibc, or under a sanitizer. */
#ifndef DTLSL_HEAP_H
#define DTLSL_HEAP_H

#include <stdint.h>

typedef struct heap_tally {
    uint64_t allocations;
    int64_t live_blocks;
    int64_t live_bytes;
} heap_tally;

extern heap_tally heap_ours;      /* malloc of this program and the library */
extern heap_tally heap_libcrypto; /* OPENSSL_malloc */

/* First thing in main: 1, or 0 when OpenSSL has allocated before. */
int heap_count(void);

#endif
