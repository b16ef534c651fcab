/* SPDX-License-Identifier: MIT
 * The sockets of the load: one that all sessions share, so that datagrams go
 * in batches and the client is cheaper than the server; each has an address of
 * its own, from 127.1.0.1 on. Or one connected socket for each session. */
#include "batch.h"
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    WAIT_MAX_MS = TIMER_MS,
    OWN_AT_ONCE = 16 /* datagrams of one session in a turn */
};

/* One that is held back: all by the same time, so the first is due first. */
typedef struct held {
    struct held *next;
    uint64_t due_ns;
    uint32_t address;
    size_t len;
    uint8_t data[];
} held;

static int fd = -1; /* with own sockets that of epoll */
static batch going, coming;
static held *first_held, **last_held = &first_held;

void
net_init(void)
{
    batch_init(&going);
    batch_init(&coming);
    if (told.own_sockets) {
        fd = epoll_create1(0);
        return;
    }
    fd = udp_open(NULL);
    udp_want_destinations(fd);
}

static void
flush(void)
{
    if (going.n > 0)
        batch_send(fd, &going);
}

void
net_free(void)
{
    flush();
    close(fd);
    while (first_held != NULL) {
        held *next = first_held->next;

        free(first_held);
        first_held = next;
    }
}

/* ---- a socket of its own ---- */

void
net_attach(session *s)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = s->slot}};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(s->address)};

    s->fd = -1;
    if (!told.own_sockets)
        return;
    s->fd = udp_open(&from);
    if (connect(s->fd, (const void *)&told.common.server,
                sizeof(told.common.server)) < 0 ||
        epoll_ctl(fd, EPOLL_CTL_ADD, s->fd, &event) < 0)
        refuse("a socket of its own", strerror(errno));
}

void
net_detach(session *s)
{
    if (s->fd >= 0)
        close(s->fd);
}

/* A role may end the session, and another may take its slot. */
static int
receive_own(void)
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(fd, events, BATCH, 0);

    for (int i = 0; i < n; i++) {
        session *s = session_at(events[i].data.u32);

        for (int k = 0; k < OWN_AT_ONCE && s != NULL; k++) {
            ssize_t len = recv(s->fd, coming.data[0], DATAGRAM_MAX, 0);

            if (len <= 0)
                break;
            session_input(s, coming.data[0], (size_t)len, now_ns());
            s = session_at(events[i].data.u32);
        }
    }
    return n > 0;
}

/* ---- the shared one ---- */

static void
send_shared(uint32_t address, const uint8_t *data, size_t len)
{
    if (going.n == BATCH)
        flush();
    memcpy(batch_add(&going, &told.common.server, address, len), data, len);
}

static int
receive_shared(void)
{
    unsigned n = batch_receive(fd, &coming);
    uint64_t now = now_ns();

    for (unsigned i = 0; i < n; i++) {
        uint32_t to = destination(&coming.headers[i].msg_hdr);
        session *s = session_with(to);

        if (s != NULL)
            session_input(s, coming.data[i], coming.headers[i].msg_len, now);
    }
    flush();
    return n > 0;
}

/* ---- out ---- */

static void
hold_back(const session *s, const uint8_t *data, size_t len)
{
    held *h = malloc(sizeof(*h) + len);

    if (h == NULL)
        refuse("-d", "out of memory");
    *h = (held){
        .due_ns = now_ns() + s->delay_ns, .address = s->address, .len = len};
    memcpy(h->data, data, len);
    *last_held = h;
    last_held = &h->next;
}

static void
send_held(uint64_t now)
{
    while (first_held != NULL && first_held->due_ns <= now) {
        held *h = first_held;

        first_held = h->next;
        if (first_held == NULL)
            last_held = &first_held;
        send_shared(h->address, h->data, h->len);
        free(h);
    }
}

/* What a socket does not take is lost, as on the way. */
void
net_send(session *s, const uint8_t *data, size_t len)
{
    if (len > DATAGRAM_MAX)
        refuse("a flight", "too long for a datagram");
    if (s->delay_ns > 0)
        hold_back(s, data, len);
    else if (s->fd < 0)
        send_shared(s->address, data, len);
    else if (send(s->fd, data, len, 0) < 0)
        errno = 0;
}

int
net_delays(void)
{
    return first_held != NULL;
}

/* ---- turns ---- */

static void
wait_until(uint64_t until)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    uint64_t now = now_ns();
    struct timespec ts = {0};

    if (first_held != NULL && first_held->due_ns < until)
        until = first_held->due_ns;
    if (until > now + WAIT_MAX_MS * NS_PER_MS)
        until = now + WAIT_MAX_MS * NS_PER_MS;
    if (until > now)
        ts.tv_nsec = (long)(until - now);
    ppoll(&waiting, 1, &ts, NULL);
}

void
net_turn(uint64_t until_ns)
{
    send_held(now_ns());
    flush();
    if (!(told.own_sockets ? receive_own() : receive_shared()))
        wait_until(until_ns);
}

void
net_print_peers(uint32_t n)
{
    const char *separator = "";

    printf("peers ");
    for (uint32_t i = 0; i < n; i++) {
        session *s = session_at(i);
        struct in_addr address;

        if (s == NULL)
            continue;
        address.s_addr = htonl(s->address);
        printf("%s%s:%u", separator, inet_ntoa(address),
               udp_port(s->fd >= 0 ? s->fd : fd));
        separator = ",";
    }
    printf("\n");
    fflush(stdout);
}
