/* SPDX-License-Identifier: MIT
 * An engine, and datagrams for it. What runs under the clock or the tally is
 * the engine alone, without the checks of tests/world.c. */
#ifndef DTLSL_STAGE_H
#define DTLSL_STAGE_H

#include "tally.h"
#include "world.h"

enum {
    ITEM_MAX = 2048,
    BATCH_MAX = 32 /* as many as the listener receives at once */
};

typedef struct item {
    dtlsl_path path;
    uint16_t truncated;
    uint32_t len;
    uint8_t data[ITEM_MAX];
} item;

typedef struct stage {
    world *w;
    client *c;        /* of the connection at path[0], or NULL */
    dtlsl_path peer;  /* of that connection, or of a half-open one */
    uint64_t random;  /* state of stage_random */
    uint64_t out;     /* bytes that the engine has sent */
    uint32_t longest; /* of its datagrams */
    uint64_t events;
    uint32_t hosts; /* addresses used so far */
} stage;

/* As the options of world_new. */
stage *stage_new(const char *options);
void stage_free(stage *s);

/* splitmix64: the same numbers in each run. */
uint64_t stage_random(stage *s);
/* An address that nobody had here. */
dtlsl_path stage_path(stage *s);

/* Feeds datagrams in batches as the listener does, and sends what comes. */
void stage_feed(stage *s, const item *items, size_t n, size_t batch);
/* One datagram of any length; its allocations go to 'sum' if that is there. */
void stage_give(stage *s, const dtlsl_path *path, const uint8_t *data,
                size_t len, tally *sum);
/* Lets time pass. */
void stage_wait(stage *s, uint64_t ms);
/* Ends all connections. */
void stage_clear(stage *s);
uint64_t stage_counter(const stage *s, int32_t index);

/* Makes a connection at s->peer, with s->c as the client. */
void stage_connect(stage *s);
/* A ClientHello with a cookie, from an address of its own. */
void stage_second_hello(stage *s, item *it);
/* One that was accepted: a half-open connection at it->path. */
void stage_half_open(stage *s, item *it);

/* Writes a self-signed certificate with an RSA key of so many bits (0: P-256)
 * and its key, and returns the option for it: "cert-file=...". */
const char *stage_certificate(unsigned bits);
/* The one with P-256. */
const identity *stage_identity(void);
void stage_remove_files(void);

#endif
