/* SPDX-License-Identifier: MIT
 * A filter BIO in front of the listening socket's: it counts what
 * DTLSv1_listen() may read in one call, keeps the last datagram, and gives
 * that one to another SSL. */
#ifndef DTLSL_BENCH_TAP_BIO_H
#define DTLSL_BENCH_TAP_BIO_H

#include "serve.h"
#include <openssl/bio.h>

typedef struct tap {
    size_t left; /* reads that are allowed until it says "would block" */
    int replays; /* the next read is the datagram that is held */
    int held_len;
    unsigned char held[SERVE_DATAGRAM];
} tap;

/* In front of 'next', which it takes. All of a tap's BIOs share it. */
BIO *tap_new(tap *state, BIO *next);
void tap_stop(void);

#endif
