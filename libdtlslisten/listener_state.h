/* SPDX-License-Identifier: MIT
 * What the files of the listener share, and nobody else. */
#ifndef DTLSL_LISTENER_STATE_H
#define DTLSL_LISTENER_STATE_H

#include "engine.h"
#include "udp.h"
#include <uv.h>

enum {
    IDLE,
    SERVING,
    STOPPING,
    STOPPED
};

struct dtlsl_listener {
    uv_loop_t *loop;
    int own_loop;
    int state;
    int depth;   /* of calls on the stack that may call the application */
    int freed;   /* by the application; memory goes when libuv lets go */
    int handles; /* open ones of ours */
    dtlsl_config *config;
    dtlsl__engine *engine;
    dtlsl__udp *udp;
    dtlsl__udp *spent;            /* given back; its batch may still be read */
    dtlsl__counters udp_counters; /* of a socket that is closed */
    uint8_t address[24];
    uv_poll_t poll[DTLSL__CLASSES]; /* one for each socket */
    uv_check_t check; /* behind all of them: work for what they found */
    uv_timer_t timer;
    uv_timer_t wait;                /* bounds dtlsl_listener_poll */
    uint32_t n_sockets;             /* those of 'poll' in use */
    uint32_t ready;                 /* a bit for each that can be read */
    uint32_t share[DTLSL__CLASSES]; /* batches that each may still have */
    int blocked; /* the socket took no more: waiting for writable */
    int watched[DTLSL__CLASSES]; /* what 'poll' waits for now */
    dtlsl_event_cb cb;
    void *user;
    const dtlsl__datagram *batch;
    size_t batch_len, batch_pos;
    const dtlsl_event *held; /* of the engine's, not told yet */
    int lent;                /* one that was pulled may be in use */
    char error[256];
};

/* Sends what there is. */
void dtlsl__listener_flush(dtlsl_listener *l);
/* Around whatever may call the application, also through OpenSSL: leave says 0
 * if it has freed the listener, which is then gone. */
void dtlsl__listener_enter(dtlsl_listener *l);
int dtlsl__listener_leave(dtlsl_listener *l);
/* After a call of the application's outside of a dispatch: what it made to be
 * sent leaves, what it made to be told comes from the loop. */
void dtlsl__listener_settle(dtlsl_listener *l);

#endif
