/* SPDX-License-Identifier: MIT
 * Batches of datagrams, in and out. */
#include "udp.h"
#include "address.h"
#include "record.h"
#include "sockets.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#ifdef __linux__
#include <linux/sock_diag.h>
#endif

/* Linux has calls for whole batches; elsewhere it is one a datagram. */
#if defined(__linux__) && !defined(DTLSL_NO_MMSG)
#define HAVE_MMSG 1
typedef struct mmsghdr message;
#else
#define HAVE_MMSG 0
typedef struct message {
    struct msghdr msg_hdr;
    unsigned msg_len;
} message;
#endif

enum {
    SEND_BATCH = 128,
    CONTROL = 128,
    SEGMENTS = 64, /* UDP_MAX_SEGMENTS of Linux */
    SEGMENTED_MAX = 65000,
    NEVER_CUT = -1,
    REST = 1000,        /* sends */
    DROPS_EVERY = 65536 /* receives: the system's totals have 32 bits */
};

struct dtlsl__udp {
    dtlsl__sockets sockets;
    uint32_t receives;
    int single;
    dtlsl__counters counters;
    dtlsl__datagram list[DTLSL__BATCH];
    message in[DTLSL__BATCH];
    struct iovec in_iov[DTLSL__BATCH];
    struct sockaddr_storage in_name[DTLSL__BATCH];
    _Alignas(struct cmsghdr) uint8_t in_control[DTLSL__BATCH][CONTROL];
    int own_turn[DTLSL__CLASSES];  /* and not of what was inherited */
    int whole;                     /* sends in which nothing is cut */
    int again;                     /* a message was not cut just now */
    uint16_t segments[SEND_BATCH]; /* outputs in each message */
    message out[SEND_BATCH];
    struct iovec out_iov[SEND_BATCH];
    struct sockaddr_storage out_name[SEND_BATCH];
    _Alignas(struct cmsghdr) uint8_t out_control[SEND_BATCH][CONTROL];
    uint8_t buffer[DTLSL__BATCH][DTLSL__SLOT];
};

static dtlsl__udp *
new_udp(void)
{
    dtlsl__udp *udp = calloc(1, sizeof(*udp));

    if (udp == NULL)
        return NULL;
    for (int i = 0; i < DTLSL__BATCH; i++) {
        udp->in_iov[i].iov_base = udp->buffer[i];
        udp->in_iov[i].iov_len = DTLSL__SLOT;
        udp->in[i].msg_hdr.msg_iov = &udp->in_iov[i];
        udp->in[i].msg_hdr.msg_iovlen = 1;
        udp->in[i].msg_hdr.msg_name = &udp->in_name[i];
        udp->in[i].msg_hdr.msg_control = udp->in_control[i];
    }
    for (int i = 0; i < SEND_BATCH; i++) {
        udp->out[i].msg_hdr.msg_iov = &udp->out_iov[i];
        udp->out[i].msg_hdr.msg_iovlen = 1;
        udp->out[i].msg_hdr.msg_name = &udp->out_name[i];
        udp->out[i].msg_hdr.msg_control = udp->out_control[i];
    }
    return udp;
}

/* A system that does not know the option would take what is to be cut for one
 * long datagram. */
static int
can_cut(int fd)
{
#ifdef UDP_SEGMENT
    int size;
    socklen_t len = sizeof(size);

    return getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, &len) == 0;
#else
    (void)fd;
    return 0;
#endif
}

/* A socket's running total of what the system dropped there; as it was where
 * the system does not tell. */
static uint32_t
dropped(int fd, uint32_t before)
{
#ifdef SO_MEMINFO
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0)
        return info[SK_MEMINFO_DROPS];
#else
    (void)fd;
#endif
    return before;
}

static int32_t
finish_open(dtlsl__udp **out, dtlsl__udp *udp, int32_t code)
{
    if (code < 0) {
        free(udp);
        return code;
    }
    udp->whole = can_cut(udp->sockets.fd[0]) ? 0 : NEVER_CUT;
    *out = udp;
    return code;
}

static int32_t
out_of_memory(char *err, size_t err_len)
{
    snprintf(err, err_len, "out of memory for the socket's buffers");
    return DTLSL_ERR_NOMEM;
}

int32_t
dtlsl__udp_open(dtlsl__udp **out, dtlsl_config *config, const char *host,
                uint16_t port, char *err, size_t err_len)
{
    dtlsl__udp *udp = new_udp();

    if (udp == NULL)
        return out_of_memory(err, err_len);
    return finish_open(
        out, udp,
        dtlsl__sockets_open(&udp->sockets, config, host, port, err, err_len));
}

int32_t
dtlsl__udp_open_fd(dtlsl__udp **out, dtlsl_config *config, int fd, char *err,
                   size_t err_len)
{
    dtlsl__udp *udp = new_udp();
    int32_t code;

    if (udp == NULL)
        return out_of_memory(err, err_len);
    code = dtlsl__sockets_take(&udp->sockets, config, fd, err, err_len);
    if (code == DTLSL_OK) /* what it dropped before is not ours */
        udp->sockets.dropped[0] = dropped(fd, 0);
    return finish_open(out, udp, code);
}

void
dtlsl__udp_release(dtlsl__udp *udp)
{
    dtlsl__sockets_close(&udp->sockets);
}

void
dtlsl__udp_close(dtlsl__udp *udp)
{
    if (udp == NULL)
        return;
    dtlsl__udp_release(udp);
    free(udp);
}

uint32_t
dtlsl__udp_count(const dtlsl__udp *udp)
{
    return udp->sockets.n;
}

int
dtlsl__udp_fd(const dtlsl__udp *udp, uint32_t socket)
{
    return udp->sockets.fd[socket];
}

const uint8_t *
dtlsl__udp_address(const dtlsl__udp *udp)
{
    return udp->sockets.address;
}

void
dtlsl__udp_set_single(dtlsl__udp *udp, int single)
{
    udp->single = single;
}

static void
count_drops(dtlsl__udp *udp)
{
    static const int32_t own[] = {DTLSL__N_KERNEL_DROPS_STRANGERS,
                                  DTLSL__N_KERNEL_DROPS_VERIFYING,
                                  DTLSL__N_KERNEL_DROPS_SESSIONS};

    for (uint32_t i = 0; i < udp->sockets.n && udp->sockets.fd[i] >= 0; i++) {
        uint32_t before = udp->sockets.dropped[i];
        uint32_t total = dropped(udp->sockets.fd[i], before);
        uint32_t more = total - before;
        udp->sockets.dropped[i] = total;
        udp->counters.n[DTLSL__N_KERNEL_DROPS] += more;
        if (udp->sockets.n > 1)
            udp->counters.n[own[i]] += more;
    }
}

const dtlsl__counters *
dtlsl__udp_counters(dtlsl__udp *udp)
{
    count_drops(udp);
    return &udp->counters;
}

/* Receiving */

#ifdef IP_PKTINFO
/* Linux names the address to answer from: where it is another than the one of
 * the datagram, that is a broadcast address of some network (or multicast). */
static struct in_addr
sent_to(const struct in_pktinfo *info)
{
    struct in_addr address = info->ipi_addr;

    if (address.s_addr != info->ipi_spec_dst.s_addr &&
        !IN_MULTICAST(ntohl(address.s_addr)))
        address.s_addr = htonl(INADDR_BROADCAST);
    return address;
}
#endif

static void
read_control(const dtlsl__udp *udp, struct msghdr *msg, uint8_t local[24])
{
    struct cmsghdr *c;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    int exact = 0; /* told by IPv4, also on a dual-stack socket */

    memcpy(local, udp->sockets.address, 24);
    for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
#ifdef IP_PKTINFO
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            v4.sin_addr = sent_to(&info);
            exact = 1;
            dtlsl__address_from_sockaddr(local, (struct sockaddr *)&v4,
                                         sizeof(v4));
        }
#endif
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
            !exact) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            v6.sin6_addr = info.ipi6_addr;
            v6.sin6_scope_id = info.ipi6_ifindex;
            dtlsl__address_from_sockaddr(local, (struct sockaddr *)&v6,
                                         sizeof(v6));
        }
    }
    memcpy(local + 16, udp->sockets.address + 16, 2);
}

static int
receive_many(dtlsl__udp *udp, int fd, int most)
{
    int n = 0;

#if HAVE_MMSG
    if (!udp->single)
        return recvmmsg(fd, udp->in, (unsigned)most, 0, NULL);
#endif
    for (; n < most; n++) {
        ssize_t len = recvmsg(fd, &udp->in[n].msg_hdr, 0);
        if (len < 0 && n > 0 && errno != EAGAIN && errno != EINTR)
            udp->counters.n[DTLSL__N_RECEIVE_ERRORS]++;
        if (len < 0)
            return n > 0 ? n : -1;
        udp->in[n].msg_len = (unsigned)len;
    }
    return n;
}

/* How many came in, or -1 for an error, which is counted. */
static int
receive_batch(dtlsl__udp *udp, int fd, int most)
{
    int n;

    for (int i = 0; i < most; i++) {
        udp->in[i].msg_hdr.msg_namelen = sizeof(udp->in_name[i]);
        udp->in[i].msg_hdr.msg_controllen = udp->sockets.any ? CONTROL : 0;
    }
    n = receive_many(udp, fd, most);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    udp->counters.n[DTLSL__N_RECEIVE_ERRORS]++;
    return -1;
}

/* What a worker that has left did not read, until there is no more or somebody
 * has its place; one batch where there is always more. */
static int
receive_inherited(dtlsl__udp *udp, uint32_t socket, int most)
{
    int n, *inherited = &udp->sockets.inherited[socket];

    if (*inherited >= 0 && dtlsl__sockets_retaken(&udp->sockets))
        *inherited = -1;
    if (*inherited < 0)
        return 0;
    n = receive_batch(udp, *inherited, most);
    if (n <= 0 || udp->sockets.inherited_stay)
        *inherited = -1;
    return n;
}

static int
receive_own(dtlsl__udp *udp, uint32_t socket, int most)
{
    int n = receive_batch(udp, udp->sockets.fd[socket], most);

    if (n < 0) /* it is told once; datagrams may wait behind it */
        n = receive_batch(udp, udp->sockets.fd[socket], most);
    return n;
}

/* In turn, so that neither keeps the other from being read. */
static int
receive_from(dtlsl__udp *udp, uint32_t socket, int most)
{
    int *own = &udp->own_turn[socket], n = 0;

    for (int i = 0; i < 2 && n <= 0; i++) {
        *own = !*own;
        n = *own ? receive_own(udp, socket, most)
                 : receive_inherited(udp, socket, most);
    }
    return n;
}

size_t
dtlsl__udp_receive(dtlsl__udp *udp, uint32_t socket, size_t most,
                   const dtlsl__datagram **list)
{
    int n = receive_from(udp, socket, (int)most);

    if (++udp->receives % DROPS_EVERY == 0)
        count_drops(udp);
    *list = udp->list;
    if (n < 0)
        return 0;
    for (int i = 0; i < n; i++) {
        struct msghdr *msg = &udp->in[i].msg_hdr;
        dtlsl__datagram *d = &udp->list[i];
        d->data = udp->buffer[i];
        d->len = udp->in[i].msg_len;
        d->truncated = (msg->msg_flags & MSG_TRUNC) != 0;
        d->socket = (uint16_t)socket;
        memset(d->path.peer, 0, sizeof(d->path.peer));
        dtlsl__address_from_sockaddr(d->path.peer, msg->msg_name,
                                     msg->msg_namelen);
        read_control(udp, msg, d->path.local);
    }
    return (size_t)n;
}

int
dtlsl__udp_shared(const dtlsl__udp *udp)
{
    return dtlsl__sockets_shared(&udp->sockets);
}

static uint32_t
to_be_read(const dtlsl__udp *udp)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < DTLSL__CLASSES; i++)
        if (udp->sockets.inherited[i] >= 0)
            bits |= 1u << i;
    return bits;
}

/* One worker's at a time. */
uint32_t
dtlsl__udp_inherited(dtlsl__udp *udp)
{
    uint32_t bits = to_be_read(udp);

    if (bits == 0 && dtlsl__sockets_inherit(&udp->sockets))
        bits = to_be_read(udp);
    return bits;
}

/* Sending */

static void
put_control(struct msghdr *msg, int level, int type, const void *data,
            size_t len)
{
    uint8_t *end = (uint8_t *)msg->msg_control + msg->msg_controllen;
    struct cmsghdr *c = (struct cmsghdr *)(void *)end;

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    msg->msg_controllen += CMSG_SPACE(len);
}

static void
put_local(const dtlsl__udp *udp, struct msghdr *msg, const uint8_t local[24])
{
    struct in6_pktinfo v6 = {0};

    if (!udp->sockets.any || dtlsl__address_is_unspecified(local))
        return;
    if (udp->sockets.family == AF_INET) {
#ifdef IP_PKTINFO
        struct in_pktinfo v4 = {0};
        memcpy(&v4.ipi_spec_dst, local + 12, 4);
        put_control(msg, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
#endif
        return;
    }
    memcpy(&v6.ipi6_addr, local, 16);
    v6.ipi6_ifindex = dtlsl__get32(local + 18);
    put_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
}

static void
put_segment(struct msghdr *msg, uint32_t len)
{
#ifdef UDP_SEGMENT
    uint16_t size = (uint16_t)len;

    put_control(msg, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
#else
    (void)msg;
    (void)len;
#endif
}

/* Does 'next' go where 'output' goes, and lie behind it? */
static int
follows(const dtlsl__output *next, const dtlsl__output *output)
{
    return next->offset == output->offset + output->len &&
           next->socket == output->socket &&
           memcmp(&next->path, &output->path, sizeof(output->path)) == 0;
}

/* How many of the list's first are one message that the system cuts into
 * datagrams: all as long as the first, but the last may be shorter. */
static size_t
count_segments(const dtlsl__udp *udp, const dtlsl__output *list, size_t n)
{
    size_t count = 1, len = list[0].len;

    if (udp->whole != 0)
        return 1;
    while (count < n && count < SEGMENTS &&
           list[count - 1].len == list[0].len &&
           list[count].len <= list[0].len &&
           len + list[count].len <= SEGMENTED_MAX &&
           follows(&list[count], &list[count - 1]))
        len += list[count++].len;
    return count;
}

static void
prepare(dtlsl__udp *udp, size_t i, const dtlsl__output *list, size_t count,
        const uint8_t *arena)
{
    struct msghdr *msg = &udp->out[i].msg_hdr;
    const dtlsl__output *last = &list[count - 1];

    udp->segments[i] = (uint16_t)count;
    udp->out_iov[i].iov_base = (void *)(uintptr_t)(arena + list->offset);
    udp->out_iov[i].iov_len = last->offset + last->len - list->offset;
    msg->msg_namelen = dtlsl__address_to_sockaddr(
        list->path.peer, udp->sockets.family, &udp->out_name[i]);
    msg->msg_controllen = 0;
    put_local(udp, msg, list->path.local);
    if (count > 1)
        put_segment(msg, list->len);
}

static int
send_many(dtlsl__udp *udp, int fd, size_t from, size_t n)
{
#if HAVE_MMSG
    if (!udp->single)
        return sendmmsg(fd, udp->out + from, (unsigned)(n - from), 0);
#endif
    (void)n;
    return sendmsg(fd, &udp->out[from].msg_hdr, 0) < 0 ? -1 : 1;
}

/* The system refuses message i for good. If it was to be cut, this may be why:
 * EINVAL and EMSGSIZE are about its length and its way, and what follows goes
 * uncut. EIO is about a device or a transformation on the way, which will
 * hardly change soon. 1: it is gone. */
static int
refused(dtlsl__udp *udp, size_t i)
{
    if (udp->segments[i] > 1 &&
        (errno == EIO || errno == EINVAL || errno == EMSGSIZE)) {
        udp->whole = errno == EIO ? REST : 1;
        udp->again = 1;
        return 0;
    }
    if (errno == EMSGSIZE)
        udp->counters.n[DTLSL__N_SEND_TOOBIG]++;
    udp->counters.n[DTLSL__N_SEND_DROPPED] += udp->segments[i];
    return 1;
}

static size_t
count_outputs(const dtlsl__udp *udp, size_t from, size_t to)
{
    size_t n = 0;

    while (from < to)
        n += udp->segments[from++];
    return n;
}

/* How many outputs of the n prepared messages are gone. One that the system
 * refuses does not keep those behind it. */
static size_t
send_prepared(dtlsl__udp *udp, int fd, size_t n)
{
    size_t gone = 0;

    while (gone < n) {
        int sent = send_many(udp, fd, gone, n);
        if (sent > 0) {
            udp->counters.n[DTLSL__N_SENT] +=
                count_outputs(udp, gone, gone + (size_t)sent);
            gone += (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == ENOBUFS) {
            udp->counters.n[DTLSL__N_SEND_BLOCKED]++;
            break;
        }
        if (!refused(udp, gone))
            break;
        gone++;
    }
    return count_outputs(udp, 0, gone);
}

/* Makes messages of as many of the list's first as leave by one socket in one
 * call. */
static size_t
prepare_some(dtlsl__udp *udp, const dtlsl__output *list, size_t n,
             const uint8_t *arena, size_t *messages)
{
    size_t part = 0, i = 0;

    while (part < n && i < SEND_BATCH &&
           (udp->sockets.n == 1 || list[part].socket == list[0].socket)) {
        size_t count = count_segments(udp, list + part, n - part);
        prepare(udp, i++, &list[part], count, arena);
        part += count;
    }
    *messages = i;
    return part;
}

/* How many of the 'part' outputs in so many messages are gone. With sockets of
 * their own, answers to strangers never wait, nor does anything for them. */
static size_t
send_some(dtlsl__udp *udp, uint32_t socket, size_t part, size_t messages)
{
    int alone = udp->sockets.n == 1;
    size_t gone =
        send_prepared(udp, udp->sockets.fd[alone ? 0 : socket], messages);

    if (gone == part || udp->again || alone || socket == DTLSL__SESSIONS)
        return gone;
    udp->counters.n[DTLSL__N_SEND_DROPPED] += part - gone;
    return part;
}

size_t
dtlsl__udp_send(dtlsl__udp *udp, const dtlsl__output *list, size_t n,
                const uint8_t *arena)
{
    size_t gone = 0, messages;

    while (gone < n) {
        size_t part =
            prepare_some(udp, list + gone, n - gone, arena, &messages);
        size_t some = send_some(udp, list[gone].socket, part, messages);
        gone += some;
        if (some < part && !udp->again)
            break;
        udp->again = 0;
    }
    udp->again = 0;
    if (udp->whole > 0)
        udp->whole--;
    return gone;
}
