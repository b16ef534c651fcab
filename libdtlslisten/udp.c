/* SPDX-License-Identifier: MIT
 * The socket. Never connected: that would make the kernel's lookup of the
 * listening one O(sessions). */
#include "udp.h"
#include "address.h"
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
    SEND_BATCH = 64,
    CONTROL = 128
};

typedef struct slot {
    int fd;
    int taken;
    uint32_t overflow; /* SO_RXQ_OVFL's last word */
} slot;

/* The sockets of workers=N, owned by the config. */
typedef struct group {
    slot *slots;
    uint32_t size, users;
    uint8_t asked[24]; /* what the first start asked for */
    uint8_t bound[24]; /* and what it got: port 0 picks one */
} group;

static pthread_mutex_t group_lock = PTHREAD_MUTEX_INITIALIZER;

struct dtlsl__udp {
    int fd;
    int own_fd;
    group *group;
    slot *slot; /* of the group */
    int family;
    int single;
    uint32_t overflow; /* SO_RXQ_OVFL's last word */
    uint8_t address[24];
    dtlsl__counters counters;
    dtlsl__datagram list[DTLSL__BATCH];
    message in[DTLSL__BATCH];
    struct iovec in_iov[DTLSL__BATCH];
    struct sockaddr_storage in_name[DTLSL__BATCH];
    _Alignas(struct cmsghdr) uint8_t in_control[DTLSL__BATCH][CONTROL];
    message out[SEND_BATCH];
    struct iovec out_iov[SEND_BATCH];
    struct sockaddr_storage out_name[SEND_BATCH];
    _Alignas(struct cmsghdr) uint8_t out_control[SEND_BATCH][CONTROL];
    uint8_t buffer[DTLSL__BATCH][DTLSL__SLOT];
};

/* Opening */

static void
set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

static void
set_options(int fd, int family, const dtlsl__settings *settings)
{
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
#ifdef IP_PKTINFO
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
#endif
#ifdef IP_PMTUDISC_PROBE
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
#endif
#ifdef SO_RXQ_OVFL
    set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
#endif
    if (settings->recv_buffer > 0)
        set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)settings->recv_buffer);
    if (settings->send_buffer > 0)
        set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)settings->send_buffer);
}

/* A queue of errors that nobody reads would keep the descriptor ready. */
static void
ignore_errors(int fd, int family)
{
#ifdef IP_RECVERR
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
    set_option(fd, IPPROTO_IP, IP_RECVERR, 0);
#else
    (void)fd;
    (void)family;
#endif
}

static int
bind_socket(const uint8_t address[24], int family, int share,
            const dtlsl__settings *settings)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage name;
    socklen_t len = dtlsl__address_to_sockaddr(address, family, &name);
    int err;

    if (fd < 0)
        return -errno;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                   !dtlsl__address_is_unspecified(address));
    if (share)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (len == 0 || bind(fd, (struct sockaddr *)&name, len) < 0) {
        err = len == 0 ? -EINVAL : -errno;
        close(fd);
        return err;
    }
    set_options(fd, family, settings);
    return fd;
}

/* Binds host and port; without a host to all addresses, IPv4 where there is
 * no IPv6. */
static int
bind_address(const uint8_t address[24], int any, int share,
             const dtlsl__settings *settings)
{
    int family = dtlsl__address_is_v4(address) ? AF_INET : AF_INET6;
    int fd = bind_socket(address, family, share, settings);

    if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && any)
        fd = bind_socket(address, AF_INET, share, settings);
    return fd;
}

static void
empty_group(group *g)
{
    for (uint32_t i = 0; i < g->size; i++) {
        if (g->slots[i].fd >= 0)
            close(g->slots[i].fd);
        g->slots[i] = (slot){.fd = -1};
    }
}

static void
release_group(void *place)
{
    group *g = place;

    if (g == NULL)
        return;
    empty_group(g);
    free(g->slots);
    free(g);
}

static int
bound_address(int fd, uint8_t address[24], int *family)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
        return -errno;
    *family = name.ss_family;
    return dtlsl__address_from_sockaddr(address, (struct sockaddr *)&name,
                                        len);
}

/* The first is bound alone, so that a port in use is found out; then it lets
 * its siblings in. */
static int
fill_group(group *g, const uint8_t address[24], int any,
           const dtlsl__settings *settings)
{
    int err, family;

    for (uint32_t i = 0; i < g->size; i++) {
        int fd =
            bind_address(i == 0 ? address : g->bound, any, i > 0, settings);
        if (fd < 0)
            return fd;
        g->slots[i].fd = fd;
        if (i > 0)
            continue;
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        err = bound_address(fd, g->bound, &family);
        if (err < 0)
            return err;
    }
    return 0;
}

static group *
new_group(uint32_t size)
{
    group *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->size = size;
    g->slots = calloc(size, sizeof(*g->slots));
    if (g->slots == NULL) {
        free(g);
        return NULL;
    }
    for (uint32_t i = 0; i < size; i++)
        g->slots[i].fd = -1;
    return g;
}

/* The first start, or the first one behind the last user's end. */
static int
start_group(group *g, const uint8_t address[24], int any,
            const dtlsl__settings *settings)
{
    int err = fill_group(g, address, any, settings);

    if (err < 0) {
        empty_group(g);
        return err;
    }
    memcpy(g->asked, address, sizeof(g->asked));
    return 0;
}

/* A free socket of the group, also one that a stopped listener gave back. */
static int
take_slot(dtlsl__udp *udp, group *g)
{
    for (uint32_t i = 0; i < g->size; i++) {
        if (g->slots[i].taken)
            continue;
        g->slots[i].taken = 1;
        g->users++;
        udp->group = g;
        udp->slot = &g->slots[i];
        udp->overflow = g->slots[i].overflow;
        return g->slots[i].fd;
    }
    return DTLSL_ERR_LIMIT;
}

static int
join_group(dtlsl__udp *udp, void **place, const uint8_t address[24], int any,
           const dtlsl__settings *settings)
{
    group *g = *place;
    int err;

    if (g == NULL)
        g = *place = new_group(settings->workers);
    if (g == NULL)
        return DTLSL_ERR_NOMEM;
    if (g->users == 0) {
        err = start_group(g, address, any, settings);
        if (err < 0)
            return err;
    }
    if (memcmp(g->asked, address, sizeof(g->asked)) != 0 &&
        memcmp(g->bound, address, sizeof(g->bound)) != 0)
        return DTLSL_ERR_STATE;
    return take_slot(udp, g);
}

static dtlsl__udp *
new_udp(void)
{
    dtlsl__udp *udp = calloc(1, sizeof(*udp));

    if (udp == NULL)
        return NULL;
    udp->fd = -1;
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

static void
explain(int32_t code, const char *host, uint16_t port, char *err,
        size_t err_len)
{
    const char *where = host == NULL ? "all addresses" : host;

    if (code == DTLSL_ERR_LIMIT)
        snprintf(err, err_len,
                 "all workers of the config are started: raise workers");
    else if (code == DTLSL_ERR_STATE)
        snprintf(err, err_len,
                 "the config's workers are started on another address than "
                 "%s port %u: make a config of its own for it",
                 where, port);
    else
        snprintf(err, err_len, "cannot serve on %s port %u: %s%s", where, port,
                 dtlsl_strerror(code),
                 code == -EADDRINUSE ? "; choose another port, or stop "
                                       "the program that has this one"
                                     : "");
}

/* Is what stands before the zone an address that may have one? */
static const char *
explain_zone(const char *host)
{
    char plain[64];
    uint8_t address[24];

    snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(host, "%"), host);
    if (dtlsl__address_parse(address, plain, 0) < 0)
        return NULL;
    return address[0] == 0xfe && (address[1] & 0xc0) == 0x80
               ? "there is no interface of that name: \"ip link\" lists them"
               : "only link-local addresses have a zone: leave out what "
                 "follows the address";
}

static void
explain_host(const char *host, char *err, size_t err_len)
{
    const char *why = strchr(host, '%') == NULL ? NULL : explain_zone(host);

    if (host[0] == '\0')
        why = "the host is empty: give a numeric address, or none for all";
    else if (host[0] == '[')
        why = "write it without brackets";
    else if (why == NULL)
        why = "this is no numeric address; a name must be looked up before";
    snprintf(err, err_len, "\"%.80s\": %s", host, why);
}

static int32_t
out_of_memory(char *err, size_t err_len)
{
    snprintf(err, err_len, "out of memory for the socket's buffers");
    return DTLSL_ERR_NOMEM;
}

static int32_t
finish_open(dtlsl__udp **out, dtlsl__udp *udp, int32_t code, const char *host,
            uint16_t port, char *err, size_t err_len)
{
    if (code >= 0)
        code = bound_address(udp->fd, udp->address, &udp->family);
    if (code >= 0) {
        *out = udp;
        return DTLSL_OK;
    }
    explain(code, host, port, err, err_len);
    dtlsl__udp_close(udp);
    return code;
}

int32_t
dtlsl__udp_open(dtlsl__udp **out, dtlsl_config *config, const char *host,
                uint16_t port, char *err, size_t err_len)
{
    const dtlsl__settings *settings = dtlsl__config_settings(config);
    uint8_t address[24];
    dtlsl__udp *udp;
    int32_t code = dtlsl__address_parse(address, host, port);

    if (code < 0) {
        explain_host(host, err, err_len);
        return code;
    }
    udp = new_udp();
    if (udp == NULL)
        return out_of_memory(err, err_len);
    if (settings->workers > 1) {
        pthread_mutex_lock(&group_lock);
        code = join_group(udp, dtlsl__config_group(config, release_group),
                          address, host == NULL, settings);
        pthread_mutex_unlock(&group_lock);
    } else {
        code = bind_address(address, host == NULL, (int)settings->reuse_port,
                            settings);
        udp->own_fd = code >= 0;
    }
    udp->fd = code;
    return finish_open(out, udp, code, host, port, err, err_len);
}

int32_t
dtlsl__udp_open_fd(dtlsl__udp **out, dtlsl_config *config, int fd, char *err,
                   size_t err_len)
{
    int type = 0, family = AF_INET;
    socklen_t len = sizeof(type);
    uint8_t address[24];
    dtlsl__udp *udp;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        type != SOCK_DGRAM || bound_address(fd, address, &family) < 0) {
        snprintf(err, err_len, "descriptor %d is no UDP socket", fd);
        return DTLSL_ERR_ARGUMENT;
    }
    if (dtlsl__address_port(address) == 0) {
        snprintf(err, err_len,
                 "the socket of descriptor %d is not bound: bind it before",
                 fd);
        return DTLSL_ERR_ARGUMENT;
    }
    udp = new_udp();
    if (udp == NULL)
        return out_of_memory(err, err_len);
    udp->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    set_options(fd, family, dtlsl__config_settings(config));
    ignore_errors(fd, family);
    return finish_open(out, udp, 0, "the given socket", 0, err, err_len);
}

/* The sockets of a group close with its last user: whoever closes earlier
 * would move the flows of the others. */
static void
leave_group(dtlsl__udp *udp)
{
    group *g = udp->group;

    pthread_mutex_lock(&group_lock);
    udp->slot->taken = 0;
    udp->slot->overflow = udp->overflow;
    if (--g->users == 0)
        empty_group(g);
    pthread_mutex_unlock(&group_lock);
}

void
dtlsl__udp_release(dtlsl__udp *udp)
{
    if (udp->group != NULL)
        leave_group(udp);
    else if (udp->own_fd)
        close(udp->fd);
    udp->group = NULL;
    udp->own_fd = 0;
    udp->fd = -1;
}

void
dtlsl__udp_close(dtlsl__udp *udp)
{
    if (udp == NULL)
        return;
    dtlsl__udp_release(udp);
    free(udp);
}

int
dtlsl__udp_fd(const dtlsl__udp *udp)
{
    return udp->fd;
}

const uint8_t *
dtlsl__udp_address(const dtlsl__udp *udp)
{
    return udp->address;
}

void
dtlsl__udp_set_single(dtlsl__udp *udp, int single)
{
    udp->single = single;
}

const dtlsl__counters *
dtlsl__udp_counters(const dtlsl__udp *udp)
{
    return &udp->counters;
}

/* Receiving */

/* The system's running total of what it dropped for want of room. */
static void
note_overflow(dtlsl__udp *udp, const struct cmsghdr *c)
{
#ifdef SO_RXQ_OVFL
    uint32_t total;

    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
        return;
    memcpy(&total, CMSG_DATA(c), sizeof(total));
    udp->counters.n[DTLSL__N_KERNEL_DROPS] += total - udp->overflow;
    udp->overflow = total;
#else
    (void)udp;
    (void)c;
#endif
}

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
read_control(dtlsl__udp *udp, struct msghdr *msg, uint8_t local[24])
{
    struct cmsghdr *c;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    int exact = 0; /* told by IPv4, also on a dual-stack socket */

    memcpy(local, udp->address, 24);
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
        note_overflow(udp, c);
    }
    memcpy(local + 16, udp->address + 16, 2);
}

static int
receive_many(dtlsl__udp *udp)
{
    int n = 0;

#if HAVE_MMSG
    if (!udp->single)
        return recvmmsg(udp->fd, udp->in, DTLSL__BATCH, 0, NULL);
#endif
    for (; n < DTLSL__BATCH; n++) {
        ssize_t len = recvmsg(udp->fd, &udp->in[n].msg_hdr, 0);
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
receive_batch(dtlsl__udp *udp)
{
    int n;

    for (int i = 0; i < DTLSL__BATCH; i++) {
        udp->in[i].msg_hdr.msg_namelen = sizeof(udp->in_name[i]);
        udp->in[i].msg_hdr.msg_controllen = CONTROL;
    }
    n = receive_many(udp);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    udp->counters.n[DTLSL__N_RECEIVE_ERRORS]++;
    return -1;
}

/* An error of the socket is told once; datagrams may wait behind it. */
size_t
dtlsl__udp_receive(dtlsl__udp *udp, const dtlsl__datagram **list)
{
    int n = receive_batch(udp);

    if (n < 0)
        n = receive_batch(udp);
    *list = udp->list;
    if (n < 0)
        return 0;
    for (int i = 0; i < n; i++) {
        struct msghdr *msg = &udp->in[i].msg_hdr;
        dtlsl__datagram *d = &udp->list[i];
        d->data = udp->buffer[i];
        d->len = udp->in[i].msg_len;
        d->truncated = (msg->msg_flags & MSG_TRUNC) != 0;
        d->socket = 0;
        memset(d->path.peer, 0, sizeof(d->path.peer));
        dtlsl__address_from_sockaddr(d->path.peer, msg->msg_name,
                                     msg->msg_namelen);
        read_control(udp, msg, d->path.local);
    }
    return (size_t)n;
}

/* Sending */

static void
put_control(struct msghdr *msg, int level, int type, const void *data,
            size_t len)
{
    struct cmsghdr *c = msg->msg_control;

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    msg->msg_controllen = CMSG_SPACE(len);
}

static void
write_control(const dtlsl__udp *udp, struct msghdr *msg,
              const uint8_t local[24])
{
    struct in6_pktinfo v6 = {0};

    msg->msg_controllen = 0;
    if (dtlsl__address_is_unspecified(local))
        return;
    if (udp->family == AF_INET) {
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
prepare(dtlsl__udp *udp, size_t i, const dtlsl__output *output,
        const uint8_t *arena)
{
    struct msghdr *msg = &udp->out[i].msg_hdr;

    udp->out_iov[i].iov_base = (void *)(uintptr_t)(arena + output->offset);
    udp->out_iov[i].iov_len = output->len;
    msg->msg_namelen = dtlsl__address_to_sockaddr(
        output->path.peer, udp->family, &udp->out_name[i]);
    write_control(udp, msg, output->path.local);
}

static int
send_many(dtlsl__udp *udp, size_t from, size_t n)
{
#if HAVE_MMSG
    if (!udp->single)
        return sendmmsg(udp->fd, udp->out + from, (unsigned)(n - from), 0);
#endif
    (void)n;
    return sendmsg(udp->fd, &udp->out[from].msg_hdr, 0) < 0 ? -1 : 1;
}

/* How many of the n prepared ones are gone. One that the system refuses does
 * not keep those behind it. */
static size_t
send_prepared(dtlsl__udp *udp, size_t n)
{
    size_t gone = 0;

    while (gone < n) {
        int sent = send_many(udp, gone, n);
        if (sent > 0) {
            udp->counters.n[DTLSL__N_SENT] += (uint64_t)sent;
            gone += (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == ENOBUFS) {
            udp->counters.n[DTLSL__N_SEND_BLOCKED]++;
            break;
        }
        if (errno == EMSGSIZE)
            udp->counters.n[DTLSL__N_SEND_TOOBIG]++;
        udp->counters.n[DTLSL__N_SEND_DROPPED]++;
        gone++;
    }
    return gone;
}

size_t
dtlsl__udp_send(dtlsl__udp *udp, const dtlsl__output *list, size_t n,
                const uint8_t *arena)
{
    size_t gone = 0;

    while (gone < n) {
        size_t part = n - gone < SEND_BATCH ? n - gone : SEND_BATCH, sent;
        for (size_t i = 0; i < part; i++)
            prepare(udp, i, &list[gone + i], arena);
        sent = send_prepared(udp, part);
        gone += sent;
        if (sent < part)
            break;
    }
    return gone;
}
