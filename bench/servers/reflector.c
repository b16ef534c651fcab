/* SPDX-License-Identifier: MIT
 * The floor: answers each datagram without looking at it.
 *
 *     bench/reflector [-b BATCH] [-a ANSWER_BYTES] [-r BYTES] [-o] [-l | -L]
 *                     HOST PORT
 *
 * -b 1 (the default) is recvfrom() and sendto(), more is recvmmsg() and
 * sendmmsg() of so many datagrams at most. The answer has 60 bytes, as a
 * HelloVerifyRequest; -a 0 sends the datagram back as it came. -r is the
 * receive buffer (SO_RCVBUF). -o sets the socket option that libdtlslisten
 * sets when it listens on all addresses, IP_PKTINFO, reads what it tells and
 * answers from the address that was asked. -l is a plain program on libuv, -L
 * one with its UV_UDP_RECVMMSG. Ends at SIGTERM. */
#include "reflector.h"
#include "listening.h"
#include "options.h"
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH_MAX = 256,
    DATAGRAM = 2048,
    CONTROL = 128,
    PART = 32 /* datagrams from one wake-up with -b 1, as libuv does it */
};

typedef struct slot {
    struct sockaddr_in from;
    struct iovec in, out;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    uint8_t data[DATAGRAM];
} slot;

static unsigned batch = 1;
static size_t answer_len = 60;
static int has_options;
static int recv_buffer; /* 0: the system's default */
static int libuv;       /* 'l' or 'L' */
static struct sockaddr_in address;
static int fd;
static char answer[ANSWER_MAX];
static slot slots[BATCH_MAX];
static struct mmsghdr in[BATCH_MAX], out[BATCH_MAX];

/* ---- options ---- */

static void
read_options(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "b:a:r:olL")) != -1) {
        if (c == 'b')
            batch = (unsigned)read_number(optarg, 1, BATCH_MAX);
        else if (c == 'a')
            answer_len = read_number(optarg, 0, DATAGRAM);
        else if (c == 'r')
            recv_buffer = (int)read_number(optarg, 1, INT_MAX / 2);
        else if (c == 'o')
            has_options = 1;
        else if (c == 'l' || c == 'L')
            libuv = c;
        else
            exit(2);
    }
    if (argc - optind != 2)
        refuse("usage", "reflector [-b BATCH] [-a ANSWER_BYTES] [-r BYTES] "
                        "[-o] [-l | -L] HOST PORT");
    if (libuv && (has_options || batch > 1))
        refuse("-l and -L", "go with neither -o nor -b");
    address = read_address(argv[optind], argv[optind + 1]);
}

static void
open_socket(void)
{
    int on = 1;

    fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const void *)&address, sizeof(address)) < 0)
        refuse("socket", strerror(errno));
    if (has_options &&
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
        refuse("IP_PKTINFO", strerror(errno));
    listening_set_buffer(fd, recv_buffer);
    listening_say(fd);
}

/* ---- what the options tell ---- */

static void
set_source(struct msghdr *message, struct in_addr to)
{
    struct cmsghdr *c = message->msg_control;
    struct in_pktinfo info = {.ipi_spec_dst = to};

    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    message->msg_controllen = CMSG_SPACE(sizeof(info));
}

/* Control messages become the answer's. */
static void
read_control(struct msghdr *asked, struct msghdr *reply)
{
    struct in_pktinfo info = {0};
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(asked); c != NULL; c = CMSG_NXTHDR(asked, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            memcpy(&info, CMSG_DATA(c), sizeof(info));
    set_source(reply, info.ipi_addr);
}

/* ---- the batches ---- */

static void
prepare(void)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        slot *s = &slots[i];

        s->in = (struct iovec){s->data, sizeof(s->data)};
        s->out = (struct iovec){answer_len > 0 ? (void *)answer : s->data,
                                answer_len};
        in[i].msg_hdr = (struct msghdr){
            .msg_name = &s->from, .msg_iov = &s->in, .msg_iovlen = 1};
        out[i].msg_hdr = (struct msghdr){.msg_name = &s->from,
                                         .msg_namelen = sizeof(s->from),
                                         .msg_iov = &s->out,
                                         .msg_iovlen = 1};
        if (has_options) {
            in[i].msg_hdr.msg_control = s->control;
            out[i].msg_hdr.msg_control = s->control;
        }
    }
}

static void
ask(unsigned i)
{
    in[i].msg_hdr.msg_namelen = sizeof(slots[i].from);
    in[i].msg_hdr.msg_controllen = has_options ? CONTROL : 0;
}

static void
make_answer(unsigned i, size_t len)
{
    if (answer_len == 0)
        slots[i].out.iov_len = len;
    if (has_options)
        read_control(&in[i].msg_hdr, &out[i].msg_hdr);
}

/* One that the system refuses does not keep those behind it. */
static void
send_batch(unsigned n)
{
    unsigned gone = 0;
    int sent;

    while (gone < n) {
        sent = sendmmsg(fd, out + gone, n - gone, 0);
        gone += sent > 0 ? (unsigned)sent : 1;
    }
}

/* How many came in. */
static unsigned
reflect_batch(void)
{
    int n;

    for (unsigned i = 0; i < batch; i++)
        ask(i);
    n = recvmmsg(fd, in, batch, 0, NULL);
    if (n <= 0)
        return 0;
    for (unsigned i = 0; i < (unsigned)n; i++)
        make_answer(i, in[i].msg_len);
    send_batch((unsigned)n);
    return (unsigned)n;
}

static unsigned
reflect_message(void)
{
    ssize_t n;

    ask(0);
    n = recvmsg(fd, &in[0].msg_hdr, 0);
    if (n < 0)
        return 0;
    make_answer(0, (size_t)n);
    (void)!sendmsg(fd, &out[0].msg_hdr, 0);
    return 1;
}

static unsigned
reflect_one(void)
{
    slot *s = &slots[0];
    socklen_t from_len = sizeof(s->from);
    ssize_t n =
        recvfrom(fd, s->data, sizeof(s->data), 0, (void *)&s->from, &from_len);

    if (n < 0)
        return 0;
    (void)!sendto(fd, s->out.iov_base, answer_len > 0 ? answer_len : (size_t)n,
                  0, (const void *)&s->from, from_len);
    return 1;
}

static void
reflect(void)
{
    unsigned done = 0, n;

    do {
        if (batch > 1)
            n = reflect_batch();
        else
            n = has_options ? reflect_message() : reflect_one();
        done += n;
    } while (n == batch && done < PART);
}

/* ---- the loop ---- */

static void
run(const sigset_t *while_waiting)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(0);

    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        refuse("epoll", strerror(errno));
    while (!stopped)
        if (epoll_pwait(epoll_fd, &event, 1, -1, while_waiting) > 0)
            reflect();
    close(epoll_fd);
}

int
main(int argc, char **argv)
{
    sigset_t while_waiting;

    read_options(argc, argv);
    while_waiting = listening_catch_signals();
    open_socket();
    prepare();
    if (libuv) {
        reflect_uv(fd, libuv == 'L', answer, answer_len, &while_waiting);
        return 0;
    }
    run(&while_waiting);
    close(fd);
    return 0;
}
