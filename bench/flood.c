/* SPDX-License-Identifier: MIT
 * A flood for a DTLS server, from many addresses of this machine.
 *
 *     make bench-programs
 *     bench/flood -k KIND [-r PER_SECOND] [-a ADDRESSES] [-P PORTS] [-s SIZE]
 *                 [-G] [-v LIST] [-t SECONDS] [-p PID] [-C CPU] [-N NICE]
 *                 HOST PORT
 *
 * -k hello     ClientHellos without a cookie, each with a random of its own
 *    cookie    second ClientHellos with bad cookies, of the length and with
 *              the beginning of one that the server has sent
 *    junk      one half nothing like DTLS, one half headers of records with
 *              junk behind them
 *    epoch1    records of a later epoch that seem to come from the addresses
 *              of -v, "ADDRESS:PORT,..."; this takes a raw socket, so root
 *    verified  hellos whose HelloVerifyRequest is answered with its cookie,
 *              and nothing after that; nothing is kept of an address
 * -r           datagrams per second (verified: exchanges), 0 is as fast as
 *              possible
 * -a, -P       so many addresses from 127.64.0.0 on, and ports of each
 * -s           bytes of a datagram; the default is the shortest hello, or 101.
 *              Hellos have 205, or from 209 on, as what makes one longer is a
 *              padding extension, whose header takes 4
 * -G           UDP GSO: up to 64 datagrams of one address in a call
 *
 * What comes back is read, checked and counted. The line that it prints is
 * JSON: "malformed" replies are no HelloVerifyRequests, "longer" ones are
 * longer than what they answer, "unread" ones found our own socket full;
 * "verified" is the number of second hellos, and "flights" of the datagrams
 * that came back for them. HOST is in 127.0.0.0/8. */
#include "batch.h"
#include "clock.h"
#include "options.h"
#include "usage.h"
#include "volley.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum {
    PORTS_MAX = 20000,
    PORTS = 4,
    IN_TURN_MAX = 64, /* sockets; waking epoll is at the sender's cost */
    TUPLES = 4096,    /* of a verified flood, unless told otherwise */
    SPOOFED_MAX = 4096,
    SPOOFED_SIZE = 101, /* a record of 64 bytes */
    SIZE_MIN = 32,
    LEARN_TRIES = 10,
    LEARN_MS = 100,
    QUIET_MS = 300, /* at the end: nothing is on its way any more */
    REST_MS = 2000,
    NAP_MS = 1
};

typedef struct flood {
    common_options common;
    kind kind;
    double per_second;
    uint32_t addresses, ports;
    size_t size;
    int gso;
    struct sockaddr_in spoofed[SPOOFED_MAX];
    size_t n_spoofed;
    int *fds;
    uint16_t *port_of; /* of each socket */
    int poll;          /* which sockets have something */
    int is_polled;     /* it is asked; a few sockets are just read in turn */
    volley out;
    batch in, second;
    uint64_t turn; /* volleys so far */
    uint64_t next; /* whose turn it is: an address, or with its port */
    uint64_t generation;
    uint64_t sent, sent_bytes, verified;
    uint64_t replies, reply_bytes, malformed, longer, longest, flights;
} flood;

static const char *const kind_names[KINDS] = {"hello", "cookie", "junk",
                                              "epoch1", "verified"};
static volatile sig_atomic_t stopped;

/* ---- the exchange that keeps nothing ---- */

/* The random of a hello follows from where it comes from and from the number
 * of its record, which the server has to echo (RFC 6347, 4.2.1). GnuTLS echoes
 * the last byte, which is enough. */
static uint64_t
seed_of(uint32_t address, uint16_t port, uint64_t generation)
{
    return wire_random((uint64_t)address << 16 | port) + generation;
}

static void
answer(flood *f, unsigned socket, uint32_t to, const cookie *c, uint8_t number)
{
    uint8_t *hello = volley_datagram(&f->out, 0);
    uint64_t ago = (f->generation - number) & 0xff;
    uint8_t *second;
    size_t len;

    if (to - FLOOD_ADDRESS >= f->addresses || ago > f->generation)
        return;
    second = batch_add(&f->second, &f->common.server, to, f->size + c->len);
    len = wire_second(second, hello, f->size, c);
    wire_set_random(second,
                    seed_of(to, f->port_of[socket], f->generation - ago));
    wire_set_number(second, (uint64_t)number + 1);
    f->sent_bytes += len;
    f->verified++;
}

/* ---- replies ---- */

static void
take_reply(flood *f, unsigned socket, unsigned i)
{
    size_t len = f->in.headers[i].msg_len;
    const uint8_t *data = f->in.data[i];
    uint8_t number;
    cookie c;
    int is_request = wire_request(data, len, &c, &number);

    f->replies++;
    f->reply_bytes += len;
    if (f->kind == VERIFIED && !is_request) {
        f->flights++;
        return;
    }
    f->malformed += !is_request;
    f->longer += len > f->size;
    if (len > f->longest)
        f->longest = len;
    if (f->kind == VERIFIED)
        answer(f, socket, destination(&f->in.headers[i].msg_hdr), &c, number);
}

static unsigned
read_socket(flood *f, unsigned socket)
{
    unsigned n = batch_receive(f->fds[socket], &f->in);

    for (unsigned i = 0; i < n; i++)
        take_reply(f, socket, i);
    batch_send(f->fds[socket], &f->second);
    return n;
}

static unsigned
read_ready(flood *f, int wait_ms)
{
    struct epoll_event events[BATCH];
    int ready = epoll_wait(f->poll, events, BATCH, wait_ms);
    unsigned n = 0;

    for (int i = 0; i < ready; i++)
        n += read_socket(f, events[i].data.u32);
    return n;
}

static unsigned
read_all(flood *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->ports && f->kind != EPOCH1; i++)
        n += read_socket(f, i);
    return n;
}

/* ---- volleys ---- */

static unsigned
aim_spoofed(flood *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        volley_spoof(&f->out, i, &f->spoofed[f->next++ % f->n_spoofed]);
    return 0;
}

/* All of a volley come from one port, and each message from the next of the
 * addresses. */
static unsigned
aim(flood *f, unsigned n)
{
    unsigned messages = (n + f->out.segments - 1) / f->out.segments;

    for (unsigned m = 0; m < messages; m++)
        volley_set_source(
            &f->out, m, FLOOD_ADDRESS + (uint32_t)(f->next++ % f->addresses));
    return (unsigned)(f->turn % f->ports);
}

/* Each pair of address and port once in a generation. */
static unsigned
aim_verified(flood *f, unsigned *n)
{
    unsigned socket = (unsigned)(f->next / f->addresses);
    uint32_t first = (uint32_t)(f->next % f->addresses);

    if (*n > f->addresses - first)
        *n = f->addresses - first;
    for (unsigned i = 0; i < *n; i++) {
        uint32_t address = FLOOD_ADDRESS + first + i;
        uint8_t *hello = volley_datagram(&f->out, i);

        volley_set_source(&f->out, i, address);
        wire_set_random(hello,
                        seed_of(address, f->port_of[socket], f->generation));
        wire_set_number(hello, f->generation & 0xff);
    }
    f->next += *n;
    if (f->next == (uint64_t)f->addresses * f->ports) {
        f->next = 0;
        f->generation++;
    }
    return socket;
}

/* A message with GSO is sent as a whole. */
static void
fire(flood *f, unsigned n)
{
    unsigned socket, messages, sent;

    if (f->kind == EPOCH1)
        socket = aim_spoofed(f, n);
    else if (f->kind == VERIFIED)
        socket = aim_verified(f, &n);
    else
        socket = aim(f, n);
    messages = volley_refresh(&f->out, n);
    sent = send_messages(f->fds[socket], f->out.headers, messages);
    n = sent == messages ? n : sent * f->out.segments;
    f->sent += n;
    f->sent_bytes += n * f->size;
    f->turn++;
    if (f->is_polled)
        read_ready(f, 0);
    else if (f->kind != EPOCH1)
        read_socket(f, (unsigned)(f->turn % f->ports));
}

static void
rest(flood *f, uint64_t until)
{
    uint64_t soon = now_ns() + NAP_MS * NS_PER_MS;

    if (f->is_polled) {
        read_ready(f, until > soon ? NAP_MS : 0);
        return;
    }
    read_all(f);
    sleep_until(until < soon ? until : soon);
}

static void
run(flood *f)
{
    pacer p = {.start_ns = now_ns(), .per_second = f->per_second};
    uint64_t now = p.start_ns;
    uint64_t end = now + (uint64_t)(f->common.seconds * (double)NS_PER_S);

    for (; now < end && !stopped; now = now_ns()) {
        uint64_t due = pacer_due(&p, now);

        if (due > 0) {
            fire(f, due < f->out.max ? (unsigned)due : f->out.max);
            p.done = f->sent;
        } else {
            rest(f, pacer_next(&p));
        }
    }
}

/* What is still on its way: until all hellos are answered, or nothing has come
 * for a while. */
static void
read_rest(flood *f)
{
    uint64_t heard = now_ns(), end = heard + REST_MS * NS_PER_MS;

    for (uint64_t now = heard; now < end && f->kind != EPOCH1;
         now = now_ns()) {
        unsigned n = f->kind == VERIFIED ? read_ready(f, NAP_MS) : read_all(f);

        if (n > 0)
            heard = now;
        if ((f->kind == HELLO && f->replies >= f->sent) ||
            now > heard + QUIET_MS * NS_PER_MS)
            break;
        if (!f->is_polled)
            sleep_until(now + NAP_MS * NS_PER_MS);
    }
}

/* ---- the start ---- */

/* What a bad cookie has to look like; if the server sends none, 20 bytes. */
static void
learn(flood *f, cookie *c)
{
    uint8_t hello[WIRE_HELLO];

    wire_hello(hello, sizeof(hello));
    *c = (cookie){.len = 20};
    for (int i = 0; i < LEARN_TRIES; i++) {
        wire_set_random(hello, now_ns());
        sendto(f->fds[0], hello, sizeof(hello), 0,
               (const void *)&f->common.server, sizeof(f->common.server));
        sleep_until(now_ns() + LEARN_MS * NS_PER_MS);
        if (batch_receive(f->fds[0], &f->in) > 0 &&
            wire_request(f->in.data[0], f->in.headers[0].msg_len, c, NULL))
            return;
    }
}

static void
open_raw(flood *f)
{
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

    if (fd < 0 && errno == EPERM)
        refuse("-k epoch1", "a raw socket is for root: run it with sudo, or "
                            "give it CAP_NET_RAW");
    if (fd < 0)
        refuse("a raw socket", strerror(errno));
    f->fds[0] = fd;
}

static void
watch(flood *f, unsigned socket)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = socket}};

    if (epoll_ctl(f->poll, EPOLL_CTL_ADD, f->fds[socket], &event) < 0)
        refuse("epoll", strerror(errno));
}

static void
open_sockets(flood *f)
{
    f->fds = calloc(f->ports, sizeof(*f->fds));
    f->port_of = calloc(f->ports, sizeof(*f->port_of));
    f->poll = epoll_create1(0);
    if (f->fds == NULL || f->port_of == NULL || f->poll < 0)
        refuse("the sockets", strerror(errno));
    if (f->kind == EPOCH1) {
        open_raw(f);
        return;
    }
    allow_files(f->ports + 64ul);
    for (unsigned i = 0; i < f->ports; i++) {
        f->fds[i] = udp_open(NULL);
        f->port_of[i] = udp_port(f->fds[i]);
        if (f->kind == VERIFIED)
            udp_want_destinations(f->fds[i]);
        if (f->is_polled)
            watch(f, i);
    }
}

static void
prepare(flood *f)
{
    cookie c;

    batch_init(&f->in);
    batch_init(&f->second);
    open_sockets(f);
    if (f->kind == COOKIE)
        learn(f, &c);
    if (f->size == 0)
        f->size = f->kind == JUNK || f->kind == EPOCH1 ? SPOOFED_SIZE
                  : f->kind == COOKIE ? WIRE_HELLO + (size_t)c.len
                                      : WIRE_HELLO;
    volley_init(&f->out, f->kind, f->size, f->gso,
                f->kind == COOKIE ? &c : NULL, &f->common.server);
}

static void
finish(flood *f)
{
    for (unsigned i = 0; i < f->ports; i++)
        if (f->fds[i] > 0)
            close(f->fds[i]);
    close(f->poll);
    free(f->fds);
    free(f->port_of);
    volley_free(&f->out);
}

/* ---- the report ---- */

/* Replies that our own sockets had no room for. */
static uint64_t
unread(const flood *f)
{
    uint32_t info[SK_MEMINFO_VARS];
    uint64_t sum = 0;

    for (unsigned i = 0; i < f->ports && f->kind != EPOCH1; i++) {
        socklen_t len = sizeof(info);

        if (getsockopt(f->fds[i], SOL_SOCKET, SO_MEMINFO, info, &len) == 0)
            sum += info[SK_MEMINFO_DROPS];
    }
    return sum;
}

static void
report(const flood *f, double seconds, const usage *before, const usage *after)
{
    printf("{\"kind\": \"%s\", \"seconds\": %.6f, \"size\": %zu, "
           "\"sent\": %" PRIu64 ", \"sent_bytes\": %" PRIu64
           ", \"verified\": %" PRIu64 ", \"replies\": %" PRIu64
           ", \"reply_bytes\": %" PRIu64 ", \"malformed\": %" PRIu64
           ", \"longer\": %" PRIu64 ", \"longest_reply\": %" PRIu64
           ", \"unread\": %" PRIu64 ", \"flights\": %" PRIu64 ", ",
           kind_names[f->kind], seconds, f->size, f->sent, f->sent_bytes,
           f->verified, f->replies, f->reply_bytes, f->malformed, f->longer,
           f->longest, unread(f), f->flights);
    usage_print(f->common.pid, before, after);
    printf("}\n");
}

/* ---- options ---- */

static kind
read_kind(const char *text)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(text, kind_names[i]) == 0)
            return (kind)i;
    refuse("-k", "hello, cookie, junk, epoch1 or verified");
}

static void
read_spoofed(flood *f, char *list)
{
    for (char *one = strtok(list, ","); one != NULL; one = strtok(NULL, ",")) {
        char *colon = strchr(one, ':');
        struct sockaddr_in *address = &f->spoofed[f->n_spoofed];

        if (f->n_spoofed++ == SPOOFED_MAX || colon == NULL)
            refuse("-v", "at most 4096 times ADDRESS:PORT, with commas");
        *colon = '\0';
        if (inet_pton(AF_INET, one, &address->sin_addr) != 1)
            refuse(one, "not an IPv4 address");
        address->sin_port = htons((uint16_t)read_number(colon + 1, 1, 65535));
    }
}

static void
read_option(flood *f, int option)
{
    if (option == 'k')
        f->kind = read_kind(optarg);
    else if (option == 'r')
        f->per_second = read_decimal(optarg, 0, 1e8);
    else if (option == 'a')
        f->addresses = (uint32_t)read_number(optarg, 1, ADDRESSES_MAX);
    else if (option == 'P')
        f->ports = (uint32_t)read_number(optarg, 1, PORTS_MAX);
    else if (option == 's')
        f->size = read_number(optarg, SIZE_MIN, WIRE_MAX);
    else if (option == 'G')
        f->gso = 1;
    else if (option == 'v')
        read_spoofed(f, optarg);
    else if (!read_common(&f->common, option, optarg))
        exit(2);
}

static void
settle(flood *f)
{
    if (f->kind == KINDS)
        refuse("-k", "is needed: hello, cookie, junk, epoch1 or verified");
    if ((f->kind == EPOCH1) != (f->n_spoofed > 0))
        refuse("-v", "is needed for -k epoch1, and for nothing else");
    if (f->gso && f->kind >= EPOCH1)
        refuse("-G", "is for hello, cookie and junk: each of the others has "
                     "an address of its own");
    if (f->kind == EPOCH1)
        f->ports = 1;
    if (f->ports == 0 && f->kind == VERIFIED && f->addresses < TUPLES / PORTS)
        f->ports = TUPLES / f->addresses;
    if (f->ports == 0)
        f->ports = PORTS;
    f->is_polled = f->kind == VERIFIED || f->ports > IN_TURN_MAX;
}

static void
read_options(flood *f, int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "k:r:a:P:s:Gv:t:p:C:N:")) != -1)
        read_option(f, option);
    if (argc - optind != 2)
        refuse("usage", "flood -k KIND [OPTION]... HOST PORT");
    read_server(&f->common, argv[optind], argv[optind + 1]);
    settle(f);
}

static void
on_signal(int number)
{
    (void)number;
    stopped = 1;
}

int
main(int argc, char **argv)
{
    static flood f = {
        .common = {.cpu = -1, .seconds = 5}, .kind = KINDS, .addresses = 8};
    usage before, sent, after;

    read_options(&f, argc, argv);
    apply_common(&f.common);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    prepare(&f);
    before = usage_read(f.common.pid);
    run(&f);
    sent = usage_read(f.common.pid);
    read_rest(&f);
    after = usage_read(f.common.pid);
    report(&f, (double)(sent.at_ns - before.at_ns) / 1e9, &before, &after);
    finish(&f);
    return 0;
}
