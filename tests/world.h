/* SPDX-License-Identifier: MIT
 * An engine, clients and a network between them, with time in the hands of the
 * test. Every event is checked against the promises of dtlslisten.h and every
 * call of the engine against OpenSSL's error queue. */
#ifndef DTLSL_WORLD_H
#define DTLSL_WORLD_H

#include "client.h"
#include "engine.h"
#include "record.h"

enum {
    WORLD_CLIENTS = 128,
    WORLD_EVENTS = 512,
    WORLD_IDS = 65536,
    WORLD_HELD = 32,
    HELLO_ROOM = 2048
};

typedef struct seen {
    int32_t type;
    int32_t status;
    uint64_t conn;
    uint64_t tag;
    dtlsl_path path;
    uint32_t len;
    uint8_t data[1500];
} seen;

typedef struct world world;

struct world {
    dtlsl_config *config;
    dtlsl__engine *engine;
    dtlsl_now now;
    int64_t off_ms; /* of the wall clock, since world_start */
    client *client[WORLD_CLIENTS];
    dtlsl_path path[WORLD_CLIENTS];
    size_t n_clients;
    seen event[WORLD_EVENTS];
    size_t n_events;
    uint8_t life[WORLD_IDS]; /* 0, 1 after OPEN, 2 after the last event */
    int stopped;
    int echo;   /* DATA is sent back */
    int poison; /* an entry of the application's in the error queue */
    /* Around each call of the engine, in place of a look at the error
     * queue. */
    void (*before)(void);
    void (*after)(void);
    uint32_t lose; /* so many of the engine's datagrams get lost */
    size_t n_sent; /* datagrams of the engine's */
    size_t longest_sent;
    uint8_t last_sent[2 * DTLSL__RECORD_MAX];
    size_t last_sent_len;
    dtlsl_path last_sent_path;
    /* Which datagrams get lost, by direction; NULL: none. */
    int (*loses_out)(const uint8_t *data, size_t len);
    int (*loses_in)(const uint8_t *data, size_t len);
    void (*hook)(world *w, const dtlsl_event *event);
    uint64_t hooked;           /* for the hook */
    uint8_t hello[HELLO_ROOM]; /* an OpenSSL client's first ClientHello */
    size_t hello_len;
};

/* Options as "name=value name=value", or NULL. With no credentials among them,
 * self-signed=1 is added. */
world *world_new(const char *options);
/* The same, where clients need a certificate: 'me', made here, is good. */
world *world_of_certificates(const char *options, identity *me);
void world_free(world *w);
/* One engine with the options set by the caller. */
void world_start(world *w, dtlsl_config *config);

/* Number 'host' is 10.0.0.host:4000 for hosts below 256, then 10.0.1.0 .. */
dtlsl_path world_path(uint32_t host, uint16_t port);
/* Adds a client at an address of its own, or at a given one. */
client *world_client(world *w, const client_options *options);
client *world_client_at(world *w, const client_options *options,
                        const dtlsl_path *path);
/* Takes it off the network and frees it. */
void world_drop_client(world *w, client *c);

/* One batch of one datagram; what comes back goes to the clients. */
void world_input(world *w, const dtlsl_path *path, const uint8_t *data,
                 size_t len);
/* The same without a batch of its own and without sending. */
void world_input_raw(world *w, const dtlsl_path *path, const uint8_t *data,
                     size_t len);
void world_begin(world *w);
void world_drain(world *w);
void world_flush(world *w);
/* Until everybody is quiet. */
void world_pump(world *w);
/* Time goes on; the engine and the clients do what is due. */
void world_advance(world *w, uint64_t ms);
/* The same for the engine's time alone. */
void world_wait(world *w, uint64_t ms);
/* The wall clock is set forward, or back by a negative number. */
void world_set_clock(world *w, int64_t ms);
/* Brings a client up; returns its connection's id. */
uint64_t world_connect(world *w, client *c);
/* Sends from the client and expects the echo. */
void world_check_echo(world *w, client *c, const char *text);

size_t world_count_events(const world *w, int32_t type);
/* The last event of a type, or NULL. */
const seen *world_find(const world *w, int32_t type);
/* Its place among the events, or -1. */
int world_index(const world *w, int32_t type, uint64_t conn);
uint64_t world_counter(const world *w, int32_t index);
/* Does every datagram that came in have exactly one outcome? */
void world_check_sums(const world *w);
/* And was there one connection, which is open? */
void world_check_one(const world *w);

/* Takes a client to its second ClientHello: the datagram, not sent yet, is in
 * 'hello'; more fragments of it, if any, wait in the client. */
size_t world_second_hello(world *w, client *c, uint8_t hello[HELLO_ROOM]);
/* A second ClientHello without a client: any path, any random. */
size_t world_forge(world *w, const dtlsl_path *path, uint8_t random,
                   uint8_t hello[HELLO_ROOM]);
/* Forges one and gives it to the engine in a batch of its own. Returns the
 * number of ACCEPTED that it made. */
uint64_t world_half_open(world *w, const dtlsl_path *path, uint8_t random);

/* Makes a client half-open: its second ClientHello, in 'hello', was accepted,
 * the server's flight has reached it, its answer waits in it. */
size_t world_accept(world *w, client *c, uint8_t hello[HELLO_ROOM]);
/* Takes what a client wants to send; lets it go, and frees it. */
size_t world_hold(client *c, packet held[WORLD_HELD]);
void world_release(world *w, const dtlsl_path *path, packet *held, size_t n);
/* 'count' half-opens were evicted so far: the path of the last of them. */
const dtlsl_path *world_evicted(const world *w, size_t count);

/* A ClientHello that came in fragments, put together. */
typedef struct whole {
    uint64_t seq; /* record number of the first fragment */
    uint32_t len;
    uint8_t body[DTLSL__RECORD_MAX];
} whole;
/* The client's second ClientHello, taken from it. */
void whole_take(world *w, client *c, whole *message);
/* A fragment of it in a record of its own; returns the record's length. */
size_t whole_cut(const whole *message, uint64_t record_seq, uint32_t offset,
                 uint32_t len, uint8_t *out);

/* One record; returns its length. */
size_t make_record(uint8_t *out, uint8_t type, uint16_t epoch, uint64_t seq,
                   const void *body, size_t len);
/* One handshake message header in a record, with fragment_len zero bytes. */
size_t make_message(uint8_t *out, uint64_t record_seq, uint8_t type,
                    uint16_t seq, uint32_t length, uint32_t offset,
                    uint32_t fragment_len);

#endif
