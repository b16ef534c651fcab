/* SPDX-License-Identifier: MIT
 * The sockets of a listener: batches in and out, local address kept.
 *
 * With isolate there are three, one for each class of datagrams: those of
 * strangers (DTLSL__STRANGERS), ClientHellos that may have a cookie
 * (DTLSL__VERIFYING), and the rest (DTLSL__SESSIONS). Without it there is
 * number 0. */
#ifndef DTLSL_UDP_H
#define DTLSL_UDP_H

#include "engine.h"

enum {
    DTLSL__BATCH = 64,
    DTLSL__SLOT = 17408 /* a record of the greatest length fits */
};

typedef struct dtlsl__udp dtlsl__udp;

/* Binds sockets, or takes the free ones of a worker of the config's group
 * (workers > 1). libuv's codes; text at err. */
int32_t dtlsl__udp_open(dtlsl__udp **out, dtlsl_config *config,
                        const char *host, uint16_t port, char *err,
                        size_t err_len);
/* Takes a bound UDP socket of the caller, which is never closed here. */
int32_t dtlsl__udp_open_fd(dtlsl__udp **out, dtlsl_config *config, int fd,
                           char *err, size_t err_len);
/* Gives the sockets back; what was received stays valid until the close. */
void dtlsl__udp_release(dtlsl__udp *udp);
void dtlsl__udp_close(dtlsl__udp *udp);
uint32_t dtlsl__udp_count(const dtlsl__udp *udp); /* of sockets, 1 or 3 */
int dtlsl__udp_fd(const dtlsl__udp *udp, uint32_t socket);
const uint8_t *dtlsl__udp_address(const dtlsl__udp *udp); /* 24 bytes */

/* One batch of a socket, of at most 'most' (DTLSL__BATCH): how many datagrams
 * are in *list, valid until the next receive. Errors are counted. */
size_t dtlsl__udp_receive(dtlsl__udp *udp, uint32_t socket, size_t most,
                          const dtlsl__datagram **list);
/* Does the group have other workers, one of which may leave? */
int dtlsl__udp_shared(const dtlsl__udp *udp);
/* A bit for each socket whose receives bring, in turn with its own, what a
 * worker of the group that has left did not read. Nothing tells when that can
 * be read: look again until it is 0. Costs next to nothing where nobody has
 * left. */
uint32_t dtlsl__udp_inherited(dtlsl__udp *udp);
/* How many of the list's first entries are gone (sent, or refused for good
 * and counted); fewer than n: the sessions' socket is full, and the rest
 * waits behind it. Answers to strangers that find a socket of their own full
 * are refused. Datagrams of one length to one peer that lie behind each other
 * leave as one message that the system cuts (UDP GSO). Where it refuses that,
 * as it does on a path with a smaller MTU, they and all behind them in the
 * list leave by themselves; the next list is tried with GSO again, or a later
 * one if the system cannot cut at all on that way. */
size_t dtlsl__udp_send(dtlsl__udp *udp, const dtlsl__output *list, size_t n,
                       const uint8_t *arena);
/* 1: one system call a datagram, as where there is no recvmmsg. */
void dtlsl__udp_set_single(dtlsl__udp *udp, int single);
const dtlsl__counters *dtlsl__udp_counters(dtlsl__udp *udp);

#endif
