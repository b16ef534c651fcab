/* SPDX-License-Identifier: MIT
 * UDP by the batch, on sockets that have many addresses: those of ours that a
 * datagram comes from or was sent to travel with it, as IP_PKTINFO. */
#ifndef DTLSL_BENCH_BATCH_H
#define DTLSL_BENCH_BATCH_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    BATCH = 64,
    DATAGRAM_MAX = 2048
};

typedef struct batch {
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    uint8_t data[BATCH][DATAGRAM_MAX];
    _Alignas(struct cmsghdr)
        uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    unsigned n;
} batch;

/* A socket with large buffers that does not block, bound to 'from' or, if
 * that is NULL, to a free port of all addresses. */
int udp_open(const struct sockaddr_in *from);
/* What comes in then says where it was sent to. */
void udp_want_destinations(int fd);
/* The port that it is bound to. */
uint16_t udp_port(int fd);

void batch_init(batch *b);
/* How many came in, at most BATCH; they are b->data, each with its msg_len. */
unsigned batch_receive(int fd, batch *b);
/* Another datagram for 'to', from an address of ours (host byte order); the
 * caller fills it, and b->n is below BATCH. */
uint8_t *batch_add(batch *b, const struct sockaddr_in *to, uint32_t from,
                   size_t len);
/* Sends all and empties it. What the socket does not take is lost, as on the
 * way. */
void batch_send(int fd, batch *b);
/* How many were sent of n. */
unsigned send_messages(int fd, struct mmsghdr *headers, unsigned n);

/* Host byte order; 'set_source' needs room for an in_pktinfo. */
void set_source(struct msghdr *header, uint32_t from);
uint32_t destination(struct msghdr *header);

#endif
