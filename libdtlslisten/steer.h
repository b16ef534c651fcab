/* SPDX-License-Identifier: MIT
 * Classic-BPF programs that sort datagrams in the kernel, for which no
 * privilege is needed: which socket of a SO_REUSEPORT group gets a datagram,
 * and what no socket needs to see. */
#ifndef DTLSL_STEER_H
#define DTLSL_STEER_H

#include "engine.h"

enum {
    /* Parts that addresses and ports are hashed into; workers own them. */
    DTLSL__SHARES = 256
};

/* Sorts the datagrams that arrive for the group of 'fd', at once for all its
 * sockets; a later program replaces it. The socket bound as number
 *
 *     worker[share] * classes + class
 *
 * gets a datagram: its share is a hash of the source's address and port, keyed
 * with 'key', and its class is DTLSL__STRANGERS, DTLSL__VERIFYING or
 * DTLSL__SESSIONS, or with 'classes' 1 none. What is too short to be looked at
 * goes to socket 0. Returns 0 or -errno. */
int dtlsl__steer_sort(int fd, uint32_t classes,
                      const uint8_t worker[DTLSL__SHARES], uint32_t key);

/* Lets through to 'fd' what begins as a DTLS record does; the system counts
 * the rest as dropped. Returns 0 or -errno. */
int dtlsl__steer_filter(int fd);

#endif
