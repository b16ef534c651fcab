/* SPDX-License-Identifier: MIT
 * The classes of packets whose cost is measured. */
#ifndef DTLSL_PACKETS_H
#define DTLSL_PACKETS_H

#include "stage.h"

/* 'value' is written at 'at' in so many bytes; width 0: nothing. */
typedef struct patch {
    uint32_t at;
    uint32_t width;
    uint32_t value;
} patch;

/* One datagram is to make one step of 'counter': that proves that it is of
 * its class. */
typedef struct packet_class {
    const char *group;
    const char *name;
    const char *options; /* of the config, or NULL */
    unsigned rsa;        /* bits of the key, 0: P-256 */
    int32_t counter;     /* of counters.h */
    uint32_t n;          /* datagrams made for a round, <= ITEMS_MAX */
    uint32_t times;      /* each is fed so often, 0: once */
    uint32_t batch;      /* 0: BATCH_MAX */
    void (*once)(stage *s);
    void (*before)(stage *s); /* each round, before they are made */
    void (*make)(stage *s, const struct packet_class *c, item *it, uint32_t i);
    void (*after)(stage *s); /* each round, after they are made */
    patch patches[2];        /* for 'make' */
    uint32_t len;            /* for 'make' */
} packet_class;

enum {
    ITEMS_MAX = 512
};

/* NULL behind the last. */
const packet_class *packet_class_at(size_t index);
/* Ratios are to this class. */
const packet_class *packet_class_reference(void);

#endif
