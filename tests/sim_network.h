/* SPDX-License-Identifier: MIT
 * A network without sockets: what is under way, ordered by time and then by
 * the order of sending. It loses, copies, delays, reorders and corrupts as its
 * conditions say, and keeps the last events of each link for a report. */
#ifndef DTLSL_SIM_NETWORK_H
#define DTLSL_SIM_NETWORK_H

#include "sim_random.h"
#include <dtlslisten/gate.h>

enum {
    SIM_NOBODY = UINT32_MAX, /* an address that no peer has */
    SIM_DATAGRAM_MAX = 2048,
    SIM_TRACE = 50
};

/* What is due. */
enum {
    SIM_TO_SERVER,
    SIM_TO_CLIENT,
    SIM_WAKE,  /* a peer wants to act */
    SIM_SOCKET /* the server's socket has room again */
};

/* Of a datagram. */
enum {
    SIM_COPY = 1,
    SIM_CORRUPT = 2,
    SIM_FORGED = 4, /* not sent by whose address it has */
    SIM_BOLD = 8,   /* and may disturb a handshake */
    SIM_FULL = 16   /* ... a full one, but none that resumes a session */
};

/* What kept a link's handshake from going through at once. */
enum {
    SIM_D_LOST = 1,
    SIM_D_MTU = 2,
    SIM_D_CORRUPT = 4,
    SIM_D_ORDER = 8,    /* overtaken by a later one */
    SIM_D_STALL = 16,   /* the client did not listen */
    SIM_D_FORGED = 32,  /* forged plaintext that nobody can tell */
    SIM_D_OLD = 64,     /* plaintext of an earlier client at the address */
    SIM_D_REFUSED = 128 /* a limit of the server's */
};

typedef struct sim_event {
    uint64_t at;    /* milliseconds */
    uint64_t order; /* of sending, all links together */
    int32_t kind;
    uint32_t peer; /* whose link: an index, or SIM_NOBODY */
    dtlsl_path path;
    uint32_t flags;
    uint32_t life;    /* which of the clients at that address */
    uint32_t message; /* of the application's, from 1; 0: none */
    uint64_t number;  /* in its direction of the link */
    uint32_t len;
    uint8_t *data;
} sim_event;

typedef struct sim_trace {
    uint64_t at;
    const char *what;
    const char *detail;
    uint64_t value;
    uint32_t len;
    uint32_t flags;
    uint32_t life;
    uint32_t message;
    uint8_t head[19];
} sim_trace;

typedef struct sim_link {
    uint32_t mtu;       /* largest datagram that gets through */
    uint32_t under_way; /* datagrams, both directions, also in the server's
                           output */
    uint32_t disturbed; /* SIM_D_*, since the present client began */
    uint64_t sent[2];
    uint64_t delivered[2];
    uint32_t n_trace;
    sim_trace trace[SIM_TRACE];
} sim_link;

typedef struct sim_conditions {
    uint32_t loss; /* permille */
    uint32_t copy;
    uint32_t corrupt;
    uint32_t late;      /* permille that take late_ms longer */
    uint32_t delay_min; /* milliseconds */
    uint32_t delay_more;
    uint32_t late_ms;
} sim_conditions;

typedef struct sim_network {
    uint64_t now;
    sim_random random;
    sim_conditions conditions;
    sim_link *link;
    uint32_t n_links;
    sim_event *heap;
    size_t n, cap;
    uint64_t order;
    uint64_t digest; /* of everything that was sent and delivered */
    uint64_t n_sent, n_lost, n_copied, n_corrupted, n_reordered, n_too_big;
} sim_network;

void sim_network_start(sim_network *net, uint64_t seed, uint32_t n_links);
void sim_network_end(sim_network *net);

/* Sends a copy of event->data. The caller sets kind, peer, path, flags, life,
 * message. */
void sim_network_send(sim_network *net, const sim_event *event,
                      const uint8_t *data, size_t len);
/* A SIM_WAKE or SIM_SOCKET. */
void sim_network_wake(sim_network *net, int32_t kind, uint32_t peer,
                      uint64_t at);
const sim_event *sim_network_next(const sim_network *net);
/* Takes it; its data is the caller's to free. */
sim_event sim_network_take(sim_network *net);
/* Does a handshake depend on what it carries: is a plaintext record in it? */
int sim_is_plaintext(const uint8_t *data, size_t len);

void sim_disturb(sim_network *net, uint32_t peer, uint32_t reason);
/* Remembers it for the report. 'event' may be NULL. */
void sim_note(sim_network *net, uint32_t peer, const char *what,
              const char *detail, uint64_t value, const sim_event *event);
void sim_report(const sim_network *net, uint32_t peer);

#endif
