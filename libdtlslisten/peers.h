/* SPDX-License-Identifier: MIT
 * Who is connected: (local, peer) -> session and id -> session, counts per
 * prefix, deadlines, and the hellos of sessions that have ended.
 *
 * A session is a verified peer. At most two have the same path: the one in use
 * and, while a client that came back is in its new handshake, its successor
 * (RFC 6347 section 4.2.8). */
#ifndef DTLSL_PEERS_H
#define DTLSL_PEERS_H

#include "config.h"
#include "conn.h"

/* No die-on-ENOMEM in the table library. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

enum {
    DTLSL__TEXT_MAX = 160,
    DTLSL__WARM_MAX = 256 /* open sessions that keep OpenSSL's buffers */
};

typedef struct dtlsl__prefix {
    uint8_t key[17]; /* the prefix, and whether it is a wide one */
    uint32_t sessions;
    uint32_t half_open;
    uint32_t level; /* how crowded it is: its list in peers.level, 0: none */
    struct dtlsl__session *oldest;     /* of its half-open ones, by age */
    struct dtlsl__prefix *prev, *next; /* as crowded, for longest first */
    UT_hash_handle hh;
} dtlsl__prefix;

enum {
    DTLSL__VERIFIED = 0, /* HELLO is out, no SSL yet */
    DTLSL__HALF_OPEN = 1,
    DTLSL__OPEN = 2,
    DTLSL__ENDING = 3 /* its last event is queued or being delivered */
};

/* How firm a half-open session stands: the highest is evicted first. */
enum {
    DTLSL__FIRM = 0,
    DTLSL__INCOMPLETE = 1, /* its ClientHello lacks fragments */
    DTLSL__ALERTED = 2,    /* a plaintext alert came */
    DTLSL__MARKS = 3
};

typedef struct dtlsl__session {
    uint64_t id; /* grows with each */
    uint64_t tag;
    dtlsl_path path;
    int32_t state;
    dtlsl__conn *conn; /* NULL before SSL_new and once it is ending */
    struct dtlsl__session *successor;   /* the new handshake on this path */
    struct dtlsl__session *predecessor; /* whom this one is to replace */
    uint8_t hello_id[DTLSL_HELLO_ID_LEN];
    uint64_t hello_seq; /* highest record number seen on its ClientHello */
    uint64_t created_ms;
    uint64_t idle_ms;       /* last authenticated data */
    uint64_t retransmit_ms; /* when OpenSSL wants to, UINT64_MAX: never */
    uint64_t refused; /* a send, when the engine had made room so often */
    uint32_t cookie_age_ms;
    int32_t was_open;   /* the handshake is complete */
    int32_t warm;       /* ... and it is in the list of those that work */
    int32_t mark;       /* DTLSL__FIRM, INCOMPLETE, ALERTED */
    int32_t told_hello; /* HELLO is out */
    int32_t told_open;  /* ... and OPEN is out: the last event is CLOSE */
    int32_t busy;       /* a send was refused: WRITABLE is due */
    int32_t status;     /* of the last event */
    char *text;         /* ... or NULL */

    dtlsl__prefix *prefix[2];
    size_t heap_index; /* 1-based, 0: not in the heap */
    uint64_t heap_ms;
    UT_hash_handle by_path;
    UT_hash_handle by_id;
    struct dtlsl__session *prev, *next;           /* of its prefix, or warm */
    struct dtlsl__session *wide_prev, *wide_next; /* of its wide prefix */
    struct dtlsl__session *mark_prev, *mark_next; /* with the same mark */
    struct dtlsl__session *end_prev, *end_next;   /* ending */
    struct dtlsl__session *busy_prev, *busy_next; /* waiting for room */

    uint32_t app_len;
    uint8_t app[]; /* what its cookie carried */
} dtlsl__session;

typedef struct dtlsl__peers {
    uint8_t key[16];
    dtlsl__session *by_path;
    dtlsl__session *by_id;
    dtlsl__session *warm;                 /* who worked last first */
    dtlsl__session *marked[DTLSL__MARKS]; /* marked so for longest first */
    dtlsl__prefix *prefixes;
    dtlsl__prefix **level[2]; /* by half-opens: narrow ones, and wide ones */
    uint32_t top[2];          /* highest level with a prefix, 0: none */
    uint32_t n_levels;
    uint32_t share; /* half-opens that one prefix may have */
    uint32_t n_sessions;
    uint32_t n_half_open;
    uint32_t n_warm;
    uint64_t last_id;
    dtlsl__session **heap; /* 1-based */
    size_t heap_len;
    size_t heap_cap;
    uint64_t *spent[2]; /* hellos of ended sessions, two generations */
    uint32_t n_spent;
    uint64_t spent_ms;      /* when the present generation began */
    uint64_t spent_life_ms; /* how long a cookie can be valid */
} dtlsl__peers;

/* DTLSL_ERR_NOMEM or DTLSL_ERR_RANDOM. */
int32_t dtlsl__peers_init(dtlsl__peers *peers, uint32_t max_half_open,
                          uint64_t cookie_life_ms, uint64_t mono_ms);
/* Every session must be gone. */
void dtlsl__peers_done(dtlsl__peers *peers);

/* The session in use on a path, or NULL. */
dtlsl__session *dtlsl__peers_find(const dtlsl__peers *peers,
                                  const dtlsl_path *path);
dtlsl__session *dtlsl__peers_by_id(const dtlsl__peers *peers, uint64_t id);

/* Adds a half-open session with room for app_len bytes of its cookie: in use,
 * or the successor of 'predecessor' (which has none). NULL without memory. */
dtlsl__session *dtlsl__peers_add(dtlsl__peers *peers, const dtlsl_path *path,
                                 dtlsl__session *predecessor, uint32_t app_len,
                                 uint64_t mono_ms);
/* It counts as half-open no more. */
void dtlsl__peers_opened(dtlsl__peers *peers, dtlsl__session *session);
/* An open session works: it is warm now. Who worked least lately is warm no
 * more where that is one too many, and returned, else NULL. */
dtlsl__session *dtlsl__peers_warm(dtlsl__peers *peers,
                                  dtlsl__session *session);
void dtlsl__peers_cool(dtlsl__peers *peers, dtlsl__session *session);
/* Takes it from the path (its successor takes over), the counts and the
 * deadlines; its id still works. */
void dtlsl__peers_detach(dtlsl__peers *peers, dtlsl__session *session);
/* Frees a detached session. Its conn is the caller's. */
void dtlsl__peers_remove(dtlsl__peers *peers, dtlsl__session *session);

/* May one more half-open session come from here, perhaps to replace one? The
 * reason's counter (DTLSL__N_DROP_PREFIX), or 0. */
int32_t dtlsl__peers_refuses(const dtlsl__peers *peers, const uint8_t peer[24],
                             const dtlsl__settings *settings, int replaces);
/* How firm it stands now, which is half-open. */
void dtlsl__peers_mark(dtlsl__peers *peers, dtlsl__session *session,
                       int32_t mark);
/* Whom to evict for a new handshake, in O(1): who was ALERTED first, who is
 * INCOMPLETE for longest, else the oldest of the prefix that has most of its
 * share. Of prefixes that have as much it is the one that has so much for
 * longest. Where each has one session and never had more, that is the oldest
 * of all; one that had two before its last counts as if it had come then.
 * NULL: nobody. */
dtlsl__session *dtlsl__peers_victim(const dtlsl__peers *peers);
/* Who is half-open and FIRM for longest, wherever from, or NULL. */
dtlsl__session *dtlsl__peers_firmest(const dtlsl__peers *peers);

/* Deadlines: a heap. A time that moved later may stay in it; whoever finds it
 * due sets the true one. */
void dtlsl__peers_schedule(dtlsl__peers *peers, dtlsl__session *session,
                           uint64_t mono_ms);
dtlsl__session *dtlsl__peers_next_due(const dtlsl__peers *peers);

/* Hellos that had their connection (a bounded set over a cookie's lifetime):
 * remember one, ask for one. */
void dtlsl__peers_spend(dtlsl__peers *peers, const dtlsl__session *session,
                        uint64_t mono_ms);
int dtlsl__peers_spent(const dtlsl__peers *peers, const dtlsl_path *path,
                       const uint8_t hello_id[DTLSL_HELLO_ID_LEN]);

#endif
