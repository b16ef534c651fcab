/* SPDX-License-Identifier: MIT
 * What is allocated between two points: by OpenSSL, and by everybody else. */
#ifndef DTLSL_TALLY_H
#define DTLSL_TALLY_H

#include <stdint.h>

typedef struct tally {
    uint64_t own;    /* allocations that are not OpenSSL's */
    uint64_t crypto; /* those that are */
    int64_t live;    /* bytes, as malloc rounds them up */
    int64_t peak;    /* the most that 'live' has been */
} tally;

/* First in main, before OpenSSL allocates. 0 where nothing can be counted: not
 * glibc, or a sanitizer has taken malloc. */
int tally_install(void);

/* Only what happens between start and stop is added to 'sum'. */
void tally_start(tally *sum);
void tally_stop(void);

#endif
