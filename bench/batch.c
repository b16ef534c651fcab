/* SPDX-License-Identifier: MIT
 * UDP by the batch, on sockets that have many addresses. */
#include "batch.h"
#include "options.h"
#include <errno.h>
#include <string.h>

enum {
    BUFFER = 8 << 20
};

/* More than net.core.rmem_max is for root only. */
static void
enlarge(int fd, int forced, int plain)
{
    int size = BUFFER;

    if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) < 0)
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

int
udp_open(const struct sockaddr_in *from)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    if (fd < 0)
        refuse("socket", strerror(errno));
    if (bind(fd, (const void *)(from != NULL ? from : &any), sizeof(any)) < 0)
        refuse("bind", strerror(errno));
    enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    return fd;
}

void
udp_want_destinations(int fd)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
        refuse("IP_PKTINFO", strerror(errno));
}

uint16_t
udp_port(int fd)
{
    struct sockaddr_in own;
    socklen_t len = sizeof(own);

    if (getsockname(fd, (void *)&own, &len) < 0)
        refuse("getsockname", strerror(errno));
    return ntohs(own.sin_port);
}

void
batch_init(batch *b)
{
    b->n = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *header = &b->headers[i].msg_hdr;

        b->parts[i] = (struct iovec){b->data[i], sizeof(b->data[i])};
        header->msg_iov = &b->parts[i];
        header->msg_iovlen = 1;
        header->msg_control = b->control[i];
        header->msg_controllen = sizeof(b->control[i]);
    }
}

unsigned
batch_receive(int fd, batch *b)
{
    int n;

    for (unsigned i = 0; i < BATCH; i++)
        b->headers[i].msg_hdr.msg_controllen = sizeof(b->control[i]);
    n = recvmmsg(fd, b->headers, BATCH, 0, NULL);
    return n > 0 ? (unsigned)n : 0;
}

void
set_source(struct msghdr *header, uint32_t from)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct in_pktinfo info = {0};

    info.ipi_spec_dst.s_addr = htonl(from);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(control), &info, sizeof(info));
}

uint32_t
destination(struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct in_pktinfo info;

    if (control == NULL || control->cmsg_level != IPPROTO_IP ||
        control->cmsg_type != IP_PKTINFO)
        return 0;
    memcpy(&info, CMSG_DATA(control), sizeof(info));
    return ntohl(info.ipi_addr.s_addr);
}

uint8_t *
batch_add(batch *b, const struct sockaddr_in *to, uint32_t from, size_t len)
{
    struct msghdr *header = &b->headers[b->n].msg_hdr;

    b->parts[b->n].iov_len = len;
    header->msg_name = (void *)(uintptr_t)to;
    header->msg_namelen = sizeof(*to);
    set_source(header, from);
    return b->data[b->n++];
}

unsigned
send_messages(int fd, struct mmsghdr *headers, unsigned n)
{
    unsigned sent = 0;

    for (unsigned at = 0; at < n;) {
        int result = sendmmsg(fd, headers + at, n - at, 0);

        /* The first of the rest is the one that was not taken. */
        at += result > 0 ? (unsigned)result : 1;
        sent += result > 0 ? (unsigned)result : 0;
    }
    return sent;
}

void
batch_send(int fd, batch *b)
{
    send_messages(fd, b->headers, b->n);
    b->n = 0;
}
