/* SPDX-License-Identifier: MIT
 * What the files of the engine share, and nobody else. */
#ifndef DTLSL_ENGINE_STATE_H
#define DTLSL_ENGINE_STATE_H

#include "engine.h"
#include "peers.h"

enum {
    ARENA = 262144,
    OUTPUTS = 1024,
    FLIGHT = 40960, /* room for one: a long certificate chain */
    FLIGHT_DATAGRAMS = 64,
    ACCEPTS = 4,         /* per wake-up */
    REPLACEMENTS = 1,    /* of them, so many of half-open sessions */
    ROOMS = 4,           /* WRITABLEs of a session, per wake-up */
    HELLO_MS = 3000,     /* to complete a fragmented ClientHello */
    ANSWER_MS = 300,     /* a client has to answer before it may be evicted */
    RESTART_WINDOW = 32, /* record numbers, while in a handshake */
    NOTICES = 8,         /* waiting, and in a second */
    NOTICE_MS = 1000,    /* that second */
    PLAIN = DTLSL__RECORD_MAX + 64
};

struct dtlsl__engine {
    dtlsl_config *config;
    const dtlsl__settings *settings;
    dtlsl_listener *listener;
    dtlsl_gate *gate;
    struct ssl_ctx_st *ssl_ctx;
    dtlsl_now now;
    dtlsl__peers peers;
    dtlsl__counters counters;
    uint64_t gate_ms; /* next tick */
    uint32_t accepts; /* of this batch */
    uint32_t replacements;
    int stopping;
    int stopped;

    /* the datagram in progress */
    const uint8_t *rest; /* records of it that were not looked at yet */
    size_t rest_len;
    dtlsl__session *accepted; /* HELLO is out: SSL_new comes next */
    const uint8_t *hello;
    size_t hello_len;
    dtlsl__session *target;  /* the one in use on its path, or NULL */
    dtlsl__session *step[2]; /* who has the present record */
    int delivered;

    dtlsl__session *opening; /* OPEN comes when its predecessor has ended */
    dtlsl__session *ending;  /* last events to tell */
    dtlsl__session *told;    /* its last event is out: to be removed */
    dtlsl__session *busy; /* WRITABLE is owed to, refused for longest first */
    uint64_t rooms;       /* how often there was room after a sending */
    uint32_t rooms_now;   /* of them, in this wake-up */
    int rooms_due;        /* ... and one for the next */
    dtlsl_event event;

    dtlsl__output outputs[OUTPUTS];
    size_t n_outputs, first_output;
    size_t arena_len;
    int stuck;           /* the socket is full: the last sending left some */
    int sorted;          /* answers to strangers have sockets of their own */
    dtlsl__output aside; /* one of them in 'scratch'; no length: none */
    int at_work; /* an SSL is on the stack, perhaps in a user's callback */
    const dtlsl_path *out_path; /* of the connection at work */
    uint32_t out_socket;

    char notice[NOTICES][DTLSL__TEXT_MAX];
    uint32_t n_notices;
    uint64_t notice_ms;    /* when the present second began */
    uint32_t notices_said; /* in it */
    uint8_t scratch[DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX];
    uint8_t plain[PLAIN];
    uint8_t arena[ARENA];
};

/* engine_output.c: room for a datagram of the session that speaks. */
uint8_t *dtlsl__engine_reserve(void *engine, size_t len);
/* A reply to a stranger must not wait, or take what a flight needs. */
int dtlsl__engine_output_stuck(const dtlsl__engine *engine);
void dtlsl__engine_put_aside(dtlsl__engine *engine, size_t len);
/* Cuts the newest to len bytes; 0: takes it back. */
void dtlsl__engine_trim(dtlsl__engine *engine, size_t len);
/* May a WRITABLE be said now? There was room since its send was refused. */
int dtlsl__engine_owes_writable(const dtlsl__engine *engine);
void dtlsl__engine_speak_for(dtlsl__engine *engine,
                             const dtlsl__session *session);

/* engine.c: ends a session: off the path and out of the counts now; its last
 * event comes with dtlsl__engine_next. */
void dtlsl__engine_end(dtlsl__engine *engine, dtlsl__session *session,
                       int32_t status, const char *text);
/* The same, with the alert in the text that a half-open one got. */
void dtlsl__engine_give_up(dtlsl__engine *engine, dtlsl__session *session,
                           int32_t status, const char *text);
/* One that no event has told of is simply taken back. */
void dtlsl__engine_forget(dtlsl__engine *engine, dtlsl__session *session);

/* An open session has worked: it is warm, and another may be no more. */
void dtlsl__engine_note_work(dtlsl__engine *engine, dtlsl__session *session);
/* Takes leave of its peer. */
void dtlsl__engine_say_bye(dtlsl__engine *engine,
                           const dtlsl__session *session);

/* engine_limit.c: the session that a new handshake of its peer replaces at
 * once: a half-open one, and where encrypt-then-MAC is allowed, an open one;
 * or NULL. 'old' is the one in use on the path, or NULL. */
dtlsl__session *dtlsl__engine_replaced(const dtlsl__engine *engine,
                                       dtlsl__session *old);
/* May this peer have a session? 0, or the counter of the reason. In this
 * order: is there room for it and its prefix, which takes nothing of what
 * others may have; does the ration of the batch last; and who gets in has the
 * room made, by whoever is marked or has had ANSWER_MS: if nobody has, it is
 * refused, takes nothing of the ration, and may come again. What it replaces
 * is its room, so that no share bounds how often an address replaces its
 * half-open ones: these have a ration of their own, beside which newcomers
 * have theirs. */
int32_t dtlsl__engine_limit(dtlsl__engine *engine, const dtlsl_path *path);

/* engine_time.c: sets its deadline; after OpenSSL ran for a half-open one asks
 * for its timer first. */
void dtlsl__engine_schedule(dtlsl__engine *engine, dtlsl__session *session);
void dtlsl__engine_note_timer(dtlsl__engine *engine, dtlsl__session *session);

#endif
