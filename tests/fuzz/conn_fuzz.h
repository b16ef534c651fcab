/* SPDX-License-Identifier: MIT
 * One connection and a client in this process, for conn_fuzz.c. What must hold
 * is checked whenever one of them acts. */
#ifndef DTLSL_CONN_FUZZ_H
#define DTLSL_CONN_FUZZ_H

#include "../client.h"
#include "conn.h"
#include "fuzz.h"
#include "record.h"

enum {
    MTU = 1232,
    QUEUE = 64,
    PLAIN = DTLSL__RECORD_MAX + 64,
    ORDERS_MAX = 48
};

typedef struct suite {
    const char *ciphers;
    int psk;
    int asks;  /* for the client's certificate */
    int seals; /* seal() can do it */
    SSL_CTX *ctx;
    SSL_SESSION *session; /* with a ticket */
} suite;

typedef struct datagram {
    uint8_t *data;
    size_t len;
} datagram;

/* What the client wrote and may be delivered once. */
typedef struct message {
    uint8_t *data;
    size_t len;
    int delivered;
} text;

typedef struct fuzz_pair {
    const suite *suite;
    dtlsl__conn *conn;
    client *client;
    dtlsl__counters counters;
    uint8_t scratch[DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX];
    uint8_t plain[PLAIN];
    datagram held[QUEUE]; /* from the client, not delivered yet */
    size_t n_held;
    datagram out[QUEUE]; /* from the connection, not delivered yet */
    size_t n_out;
    text written[ORDERS_MAX + QUEUE];
    size_t n_written;
    size_t n_data;    /* datagrams that the connection delivered */
    size_t out_bytes; /* ever */
    size_t out_count;
    int own_error, lossy, resumed, waits;
    int early; /* records taken before their keys */
    uint64_t clock;
    int ended;
    int forged;  /* a handshake record that is not the client's was taken */
    int unusual; /* authentic, but nothing that an honest client sends */
} fuzz_pair;
extern fuzz_pair pair;

/* ---- conn_fuzz_start.c ---- */

/* Once per process; every run of it makes the same certificates, keys and
 * sessions. */
void pair_prepare(void);
/* Anew, with a handshake up to where the input's first byte says. */
void pair_begin(uint8_t first);
void pair_finish(void);

/* ---- conn_fuzz_pair.c ---- */

/* Around each call of the connection: the application's error queue. */
void pair_enter(void);
void pair_leave(void);
int pair_both_open(void);
/* Room for a datagram of the connection's: its host's 'reserve'. */
uint8_t *pair_reserve(void *ctx, size_t len);
/* Takes what the client wants to send. */
void pair_hold(void);
datagram pair_next_held(void);
/* The client gets what the connection sent. */
void pair_flush(void);
void pair_note_written(const uint8_t *data, size_t len);
/* To the connection; 'authentic': all of it is the client's. */
void pair_deliver(const uint8_t *data, size_t len, int authentic);
/* Delivers what the client has, until it has nothing more to say. */
void pair_settle(void);
void pair_wait(unsigned ms);

#endif
