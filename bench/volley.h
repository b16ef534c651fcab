/* SPDX-License-Identifier: MIT
 * A flood's datagrams: made once, and changed in place before each send. */
#ifndef DTLSL_BENCH_VOLLEY_H
#define DTLSL_BENCH_VOLLEY_H

#include "batch.h"
#include "wire.h"
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VOLLEY_MAX = 256,  /* datagrams in a volley with GSO; BATCH without */
    SEGMENTS_MAX = 64, /* datagrams in one message with GSO */
    ADDRESSES_MAX = 65536,
    FLOOD_ADDRESS = 0x7f400000 /* 127.64.0.0, the first of a flood's */
};

typedef enum kind {
    HELLO,
    COOKIE,
    JUNK,
    EPOCH1,
    VERIFIED,
    KINDS
} kind;

typedef struct volley {
    kind kind;
    size_t size;       /* of a datagram, without the headers of 'raw' */
    size_t stride;     /* from one to the next in 'data' */
    unsigned segments; /* datagrams in a message */
    unsigned max;      /* datagrams at once */
    uint64_t seed;     /* of what is next; each datagram has its own */
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    _Alignas(struct cmsghdr)
        uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo)) +
                               CMSG_SPACE(sizeof(uint16_t))];
    uint8_t *data;
} volley;

/* Datagrams for 'to', of 'size' bytes; with 'c' hellos have that cookie.
 * EPOCH1 is made with the headers of IP and UDP, for a raw socket. */
void volley_init(volley *v, kind k, size_t size, int gso, const cookie *c,
                 const struct sockaddr_in *to);
void volley_free(volley *v);

/* The i-th comes from there: without GSO, and not for EPOCH1. */
void volley_set_source(volley *v, unsigned message, uint32_t address);
/* EPOCH1: who has sent the i-th datagram, they say. */
void volley_spoof(volley *v, unsigned i, const struct sockaddr_in *from);
/* Gives the first n datagrams contents that none had before; VERIFIED: the
 * random that belongs to them is the caller's. How many messages they are. */
unsigned volley_refresh(volley *v, unsigned n);
uint8_t *volley_datagram(volley *v, unsigned i);

#endif
