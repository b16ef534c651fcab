/* SPDX-License-Identifier: MIT
 * What the DTLS servers that we measure against have in common. */
#include "serve.h"
#include "clock.h"
#include "listening.h"
#include "options.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum {
    EVENTS = 64,
    LOOK_MS = 200,
    HANDSHAKE_MS = 60000, /* longer than any library tries */
    MTU_DEFAULT = 1400,
    MTU_MIN = 256,
    MTU_MAX = 16384,
    GROUP_MAX = 32
};

static const server *self;
static serve_settings settings = {.mtu = MTU_DEFAULT};
static int epoll_fd, listening;
static int recv_buffer; /* of the listening socket, 0: the default */
static peer **peers;    /* by descriptor */
static size_t n_peers;
/* All are looked after at equal intervals: the first is always due first. */
static peer *half_open;

uint64_t
serve_now_ms(void)
{
    return now_ns() / NS_PER_MS;
}

/* ---- options ---- */

static _Noreturn void
refuse_usage(void)
{
    fprintf(stderr,
            "usage: %s [-c CERT.pem -k KEY.pem] [-g GROUPS] [-m MTU] "
            "[-r BYTES]%s HOST PORT\n",
            self->name, self->usage);
    exit(2);
}

static void
read_options(int argc, char **argv)
{
    const char *certificate = NULL, *key = NULL;
    char known[64];
    int c;

    snprintf(known, sizeof(known), "c:k:g:m:r:%s", self->options);
    while ((c = getopt(argc, argv, known)) != -1) {
        if (c == 'c')
            certificate = optarg;
        else if (c == 'k')
            key = optarg;
        else if (c == 'g')
            settings.groups = optarg;
        else if (c == 'm')
            settings.mtu = (int)read_number(optarg, MTU_MIN, MTU_MAX);
        else if (c == 'r')
            recv_buffer = (int)read_number(optarg, 1, INT_MAX / 2);
        else if (c == '?')
            refuse_usage();
        else
            self->option(c, optarg);
    }
    if (argc - optind != 2)
        refuse_usage();
    settings.host = argv[optind];
    settings.port = argv[optind + 1];
    settings.address = read_address(settings.host, settings.port);
    identity_get(&settings.identity, certificate, key);
}

void
serve_each_group(const char *groups, int (*take)(const char *name))
{
    char name[GROUP_MAX];

    while (*groups != '\0') {
        size_t len = strcspn(groups, ":");

        if (len == 0 || len >= sizeof(name))
            refuse(groups, "no list of groups, as in X25519:P-256");
        memcpy(name, groups, len);
        name[len] = '\0';
        if (!take(name))
            refuse(name, "the library has no such group");
        groups += len + (groups[len] == ':');
    }
}

/* ---- sockets ---- */

static void
watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    /* One that listened may have become a peer's. */
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST)
        refuse("epoll", strerror(errno));
}

int
serve_socket(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const void *)&settings.address, sizeof(settings.address)) ||
        (to != NULL && connect(fd, (const void *)to, sizeof(*to)) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

void
serve_listen_on(int fd)
{
    listening = fd;
    listening_set_buffer(fd, recv_buffer);
    watch(fd);
}

/* The port may be one that the system has picked. */
static void
remember_address(void)
{
    socklen_t len = sizeof(settings.address);

    if (getsockname(listening, (void *)&settings.address, &len) < 0)
        refuse("getsockname", strerror(errno));
}

/* A socket for each peer. */
static void
raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- peers ---- */

static void
make_room(size_t fd)
{
    size_t n = n_peers == 0 ? 1024 : n_peers;

    if (fd < n_peers)
        return;
    while (n <= fd)
        n *= 2;
    peers = realloc(peers, n * sizeof(*peers));
    if (peers == NULL)
        refuse("peers", "out of memory");
    memset(peers + n_peers, 0, (n - n_peers) * sizeof(*peers));
    n_peers = n;
}

peer *
serve_add(int fd, void *session)
{
    peer *p = calloc(1, sizeof(*p));

    if (p == NULL)
        refuse("peers", "out of memory");
    p->fd = fd;
    p->session = session;
    p->began_ms = serve_now_ms();
    p->look_ms = p->began_ms + LOOK_MS;
    DL_APPEND(half_open, p);
    make_room((size_t)fd);
    peers[fd] = p;
    watch(fd);
    return p;
}

void
serve_opened(peer *p)
{
    p->is_open = 1;
    DL_DELETE(half_open, p);
}

void
serve_close(peer *p)
{
    if (!p->is_open)
        DL_DELETE(half_open, p);
    peers[p->fd] = NULL;
    self->free(p->session);
    close(p->fd);
    free(p);
}

void
serve_call(peer *p, int (*fn)(peer *p))
{
    if (!fn(p))
        serve_close(p);
}

/* Those that are due stand in front. */
static void
look_after_half_open(void)
{
    uint64_t now = serve_now_ms();
    peer *p;

    while ((p = half_open) != NULL && p->look_ms <= now) {
        DL_DELETE(half_open, p);
        DL_APPEND(half_open, p);
        p->look_ms = now + LOOK_MS;
        if (now - p->began_ms > HANDSHAKE_MS)
            serve_close(p);
        else
            serve_call(p, self->look_after);
    }
}

/* ---- the loop ---- */

static void
handle(int fd)
{
    if (fd == listening)
        self->listen(fd);
    else if ((size_t)fd < n_peers && peers[fd] != NULL)
        serve_call(peers[fd], self->serve);
}

static void
run(const sigset_t *while_waiting)
{
    struct epoll_event events[EVENTS];
    int n;

    while (!stopped) {
        n = epoll_pwait(epoll_fd, events, EVENTS,
                        half_open != NULL ? LOOK_MS : -1, while_waiting);
        for (int i = 0; i < n; i++)
            handle(events[i].data.fd);
        if (half_open != NULL)
            look_after_half_open();
    }
}

int
serve(int argc, char **argv, const server *what)
{
    sigset_t while_waiting;
    int first;

    self = what;
    read_options(argc, argv);
    raise_limit();
    while_waiting = listening_catch_signals();
    epoll_fd = epoll_create1(0);
    first = self->start(&settings);
    if (epoll_fd < 0 || first < 0)
        refuse("socket", strerror(errno));
    serve_listen_on(first);
    remember_address();
    listening_say(listening);
    run(&while_waiting);
    for (size_t i = 0; i < n_peers; i++)
        if (peers[i] != NULL)
            serve_close(peers[i]);
    self->stop();
    close(listening);
    close(epoll_fd);
    free(peers);
    identity_free(&settings.identity);
    return 0;
}
