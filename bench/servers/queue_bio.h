/* SPDX-License-Identifier: MIT
 * A BIO that is a queue of datagrams in memory: what one side writes is read
 * by the other, datagram for datagram. */
#ifndef DTLSL_BENCH_QUEUE_BIO_H
#define DTLSL_BENCH_QUEUE_BIO_H

#include <openssl/bio.h>
#include <stddef.h>

enum {
    QUEUE_MAX = 64,
    QUEUE_DATAGRAM = 2048
};

typedef struct queue {
    size_t first, n;
    int len[QUEUE_MAX];
    char data[QUEUE_MAX][QUEUE_DATAGRAM];
} queue;

/* One that reads from 'q' and writes to it: give it to one side as its rbio
 * and to the other as its wbio. */
BIO *queue_bio_new(queue *q);
void queue_bio_stop(void);

#endif
