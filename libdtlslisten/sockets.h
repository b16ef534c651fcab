/* SPDX-License-Identifier: MIT
 * Opening, sharing and closing the sockets of a listener. Never connected:
 * that would make the kernel's lookup of the listening one O(sessions). */
#ifndef DTLSL_SOCKETS_H
#define DTLSL_SOCKETS_H

#include "engine.h"

/* One worker's part of a group of sockets that share one address. */
typedef struct dtlsl__sockets {
    struct dtlsl__group *group;       /* NULL: the application's socket */
    uint32_t worker;                  /* which of the group */
    uint32_t n;                       /* 1, or one for each class */
    int fd[DTLSL__CLASSES];           /* -1: closed, or there is none */
    uint32_t dropped[DTLSL__CLASSES]; /* by the system, in all */
    int inherited[DTLSL__CLASSES];    /* of a worker that has left, or -1 */
    uint32_t inherited_of;            /* which that is */
    int inherited_stay; /* more arrives there: a batch, then others' turn */
    int family;
    int any; /* datagrams come with the address that they were sent to */
    uint8_t address[24];
} dtlsl__sockets;

/* Binds host and port, or takes what is free of the config's group (workers
 * above 1). libuv's codes; text at err. */
int32_t dtlsl__sockets_open(dtlsl__sockets *s, dtlsl_config *config,
                            const char *host, uint16_t port, char *err,
                            size_t err_len);
/* Takes a bound UDP socket of the application's, which is never closed. */
int32_t dtlsl__sockets_take(dtlsl__sockets *s, dtlsl_config *config, int fd,
                            char *err, size_t err_len);
/* Gives them back. Those of a group stay open until the last worker has left,
 * since closing one would move the flows of the others; until then a sibling
 * gets what arrives for this one. */
void dtlsl__sockets_close(dtlsl__sockets *s);

/* Are there siblings? */
int dtlsl__sockets_shared(const dtlsl__sockets *s);

/* Has a worker of the group left? Then its descriptors are this one's to read
 * out: what lay in them still comes to somebody. Each that is read out becomes
 * -1; the rest is a sibling's again when this one leaves. While the system
 * refuses to sort anew, what is of the stopped worker's flows still arrives in
 * them: they are told again and again, to one sibling. 1 if so. Costs a load
 * where nobody has left. */
int dtlsl__sockets_inherit(dtlsl__sockets *s);
/* Are these somebody's again, who reads them? Costs a load. */
int dtlsl__sockets_retaken(const dtlsl__sockets *s);

#endif
