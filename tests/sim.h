/* SPDX-License-Identifier: MIT
 * The simulation: one engine, many peers, a network, one thread, and time in
 * our hands. Modules: sim_network (what is under way), sim_peer (clients),
 * sim_attack (liars), sim_server (the engine and what must hold after each
 * call of it), sim_events (the server's application), sim_check (what must
 * hold at any time), sim_message (the application's datagrams). */
#ifndef DTLSL_SIM_H
#define DTLSL_SIM_H

#include "client.h"
#include "engine.h"
#include "sim_network.h"

enum {
    SIM_MESSAGES = 64, /* of a client; a set of them is 64 bits */
    SIM_OUTPUTS = 1024,
    SIM_HEARD = 64,
    SIM_ANSWER_MS = 300, /* in which a half-open one is not evicted */
    SIM_LEAST = 32,      /* bytes of the application's shortest datagram */
    SIM_FIRST_PORT = 2000
};

/* What a peer is. */
enum {
    SIM_HONEST,
    SIM_RESTARTER, /* forgets its connection, comes back on the same port */
    SIM_TWIN,      /* the same, and the old client goes on meanwhile */
    SIM_STALLER,   /* hears and says nothing for a while */
    SIM_MORTAL,    /* is gone one day */
    SIM_SQUATTER,  /* owns its address, leaves its handshakes half-open */
    SIM_LIAR,      /* see sim_attack.c */
    SIM_KINDS
};

/* One client, and what its application knows. */
typedef struct sim_life {
    client *client; /* NULL: gone */
    uint32_t number;
    uint32_t peer;
    uint64_t began;
    uint32_t sent;     /* messages 1 .. sent */
    uint64_t echoed;   /* a set of them */
    uint64_t answered; /* when the last echo came, or when it opened */
    uint32_t silence;  /* messages since then */
    uint32_t limit;    /* largest message */
    uint64_t timer_at; /* UINT64_MAX: never */
    int32_t checked;   /* its handshake is over, on both sides */
    struct sim *sim;
} sim_life;

typedef struct sim_peer {
    int32_t kind;
    uint32_t host;
    dtlsl_path path;
    sim_life slot[2];
    sim_life *life;  /* the present one */
    sim_life *ghost; /* the one before, of a twin */
    SSL_SESSION *session;
    uint64_t acts_at, wakes_at;
    uint32_t mtu; /* what the client takes the path's for, 0: default */
    uint64_t stalls_until;
    uint64_t refused_at; /* when a limit was in its way last */
    int32_t dead;
    uint32_t patience; /* milliseconds that its handshake may take */
    uint32_t options;  /* SIM_O_* */
    /* on the server: ids, or 0 */
    uint64_t open, half;
    uint8_t hello[SIM_DATAGRAM_MAX]; /* its last one with a cookie */
    size_t hello_len;
    uint32_t hello_life;
    uint64_t opened_lives, goodbye_lives, failed_lives; /* sets */
    uint64_t gone_on_lives; /* sent more than ClientHellos */
} sim_peer;

enum {
    SIM_O_LONG_HELLO = 1, /* sent in fragments */
    SIM_O_RESUMES = 2,
    SIM_O_PSK = 4
};

/* What the server's application knows of a connection. */
enum {
    SIM_UNSEEN,
    SIM_HALF,
    SIM_OPEN,
    SIM_ENDED
};

typedef struct sim_conn {
    int32_t state;
    uint32_t peer;
    uint32_t life;
    uint32_t busy; /* WRITABLE is owed */
    uint64_t accepted, opened, heard, spoke;
    uint64_t seen; /* a set of messages */
    int32_t closing, told_hello;
    int32_t in_parts; /* its hello came as a first fragment */
    int32_t alerted;  /* perhaps: one came while it was half-open */
} sim_conn;

/* Whose a datagram in the engine's output is. */
typedef struct sim_tag {
    uint32_t peer, life, message;
} sim_tag;

typedef struct sim_totals {
    uint64_t clients, lives, datagrams, opened, replaced, failed, closed;
    uint64_t messages, echoes, forged, refused, lost, steps;
} sim_totals;

/* How a seed's world is: drawn from it. */
typedef struct sim_plan {
    uint32_t n_peers;
    uint32_t weight[SIM_KINDS];
    uint32_t spread_ms; /* all have begun by then */
    uint32_t chaos_ms;
    uint32_t calm_ms;
    uint32_t batch;    /* datagrams in one, at most */
    uint32_t blocks;   /* permille of flushes that find a full socket */
    uint32_t block_ms; /* how long it may stay full */
    uint32_t interval; /* between a client's messages */
    uint32_t hosts;    /* peers per address */
    uint32_t ipv6, resumes, long_hello, small_path; /* permille */
    uint32_t psk, client_certs, events_hello;       /* yes or no */
    uint32_t handshake_timeout, idle_timeout, max_handshakes, max_conns;
    uint32_t max_per_prefix, mtu;
} sim_plan;

typedef struct sim {
    uint64_t seed;
    sim_random random;
    sim_plan plan;
    sim_network net;
    dtlsl_now now;
    uint64_t chaos_until, ends;
    int calm;
    SSL_CTX *client_ctx;
    identity id;
    uint8_t psk[16];
    sim_peer *peer;
    uint32_t n_peers;
    uint32_t *host_half, *host_all; /* sessions by address */
    uint32_t n_hosts;
    sim_totals totals;

    dtlsl_config *config;
    dtlsl__engine *engine;
    dtlsl__counters counters; /* as of the last step */
    uint64_t known[DTLSL__N_COUNTERS];
    sim_conn *conn; /* by id */
    uint64_t n_conns, cap_conns;
    uint64_t n_half, n_open;
    uint64_t n_busy;
    int64_t n_client_ssls;
    uint8_t hello[SIM_DATAGRAM_MAX]; /* somebody's first one */
    size_t hello_len;
    sim_event heard[SIM_HEARD]; /* datagrams that liars overheard */
    uint64_t n_heard;
    sim_tag tag[SIM_OUTPUTS];
    size_t n_tags;
    uint64_t blocked_until; /* the socket takes nothing before */
    uint32_t batch_left, batch_accepts, batch_replaced;
    uint64_t batch_ms;

    /* the datagram at work */
    const sim_event *input;
    uint64_t must_say; /* a message that it must bring, or 0 */
    size_t input_outputs, input_bytes;
    uint64_t replaced_peer; /* + 1: its OPEN must come next */
    int stopping, stopped;
} sim;

/* Prints what is wrong and the events of the peer, and ends the process. */
void sim_fail(sim *s, uint32_t peer, const char *invariant, const char *format,
              ...) __attribute__((format(printf, 4, 5), noreturn));

/* sim_message.c: an application's datagram says whose it is. */
typedef struct sim_message {
    int32_t from_server;
    uint32_t peer, life, number;
} sim_message;
size_t sim_message_write(uint8_t *out, size_t len, const sim_message *m);
/* Fails if any byte of it is not as it was written. */
sim_message sim_message_read(sim *s, uint32_t peer, const uint8_t *data,
                             size_t len);

/* sim_server.c */
void sim_server_start(sim *s);
void sim_server_input(sim *s, const sim_event *event);
void sim_server_expire(sim *s);
void sim_server_flush(sim *s);
uint64_t sim_server_due(const sim *s);
void sim_server_stop(sim *s);
void sim_server_end(sim *s);
/* Does the peer's half-open connection resume a session? */
int sim_server_resumes(const sim *s, uint32_t peer);

/* sim_events.c */
void sim_server_event(sim *s, const dtlsl_event *event);
sim_conn *sim_conn_at(sim *s, uint64_t id);
void sim_conn_accepted(sim *s, uint64_t id, const sim_event *input);

/* sim_check.c: what must hold at any time, looked at now and then. */
void sim_check_step(sim *s);
void sim_check_all(sim *s);
void sim_check_handshake(sim *s, uint32_t peer);
void sim_check_end(sim *s);

/* sim_peer.c */
void sim_peer_start(sim *s, uint32_t peer);
void sim_peer_wake(sim *s, uint32_t peer);
void sim_peer_input(sim *s, const sim_event *event);
void sim_peer_free(sim *s, uint32_t peer);
int sim_peer_is_keen(const sim *s, const sim_peer *p);

/* sim_attack.c */
/* Returns the milliseconds until the next one. */
uint32_t sim_attack(sim *s, uint32_t liar);

#endif
