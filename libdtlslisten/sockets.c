/* SPDX-License-Identifier: MIT
 * The sockets of a listener, alone or as a worker of a group. */
#include "sockets.h"
#include "address.h"
#include "steer.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    VERIFYING_PART = 4 /* of recv-buffer: a short queue is a short wait */
};

typedef struct member {
    atomic_int taken; /* written under the lock */
    int fd[DTLSL__CLASSES];
    uint32_t dropped[DTLSL__CLASSES];
} member;

/* Sockets of one address, which close together: of the config (workers=N), or
 * of one listener. Socket number worker * classes + class is bound as such. */
typedef struct dtlsl__group {
    uint32_t size, users, classes;
    int own; /* the listener's */
    uint32_t key;
    uint8_t asked[24];            /* what the first start asked for */
    uint8_t bound[24];            /* and what it got: port 0 picks one */
    uint8_t share[DTLSL__SHARES]; /* whose is it? */
    int unsorted; /* the system has refused the shares as they are now */
    atomic_uint_fast64_t left; /* a bit for each worker that has left and
                                * whose sockets nobody has read out since */
    member workers[];
} group;

static pthread_mutex_t group_lock = PTHREAD_MUTEX_INITIALIZER;

/* One socket */

static void
set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

static void
ask_local(int fd, int family)
{
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
#ifdef IP_PKTINFO
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
#endif
}

static void
set_options(int fd, int family)
{
#ifdef IP_PMTUDISC_PROBE
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
#endif
}

static void
set_buffers(int fd, uint32_t recv_buffer, uint32_t send_buffer)
{
    if (recv_buffer > 0)
        set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)recv_buffer);
    if (send_buffer > 0)
        set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)send_buffer);
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
bind_socket(const uint8_t address[24], int family, int share)
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
    if (dtlsl__address_is_unspecified(address))
        ask_local(fd, family);
    set_options(fd, family);
    return fd;
}

/* Binds host and port; without a host to all addresses, IPv4 where there is
 * no IPv6. */
static int
bind_address(const uint8_t address[24], int any, int share)
{
    int family = dtlsl__address_is_v4(address) ? AF_INET : AF_INET6;
    int fd = bind_socket(address, family, share);

    if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && any)
        fd = bind_socket(address, AF_INET, share);
    return fd;
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

/* A group */

static void
close_group(group *g)
{
    for (uint32_t i = 0; i < g->size; i++)
        for (uint32_t c = 0; c < DTLSL__CLASSES; c++) {
            if (g->workers[i].fd[c] >= 0)
                close(g->workers[i].fd[c]);
            g->workers[i].fd[c] = -1;
            g->workers[i].dropped[c] = 0;
        }
    atomic_store(&g->left, 0);
    g->unsorted = 0;
}

static void
free_group(void *place)
{
    group *g = place;

    if (g == NULL)
        return;
    close_group(g);
    free(g);
}

static group *
new_group(uint32_t size)
{
    group *g = calloc(1, sizeof(*g) + size * sizeof(g->workers[0]));

    if (g == NULL)
        return NULL;
    if (RAND_bytes((unsigned char *)&g->key, sizeof(g->key)) != 1) {
        free(g);
        return NULL;
    }
    g->size = size;
    for (uint32_t i = 0; i < size; i++)
        for (uint32_t c = 0; c < DTLSL__CLASSES; c++)
            g->workers[i].fd[c] = -1;
    atomic_init(&g->left, 0);
    return g;
}

/* The first is bound alone, so that a port in use is found out; then it lets
 * its siblings in. */
static int
bind_group(group *g, const uint8_t address[24], int any,
           const dtlsl__settings *settings)
{
    uint32_t n = g->size * g->classes;
    int err, family;

    for (uint32_t i = 0; i < n; i++) {
        int share = i > 0 || settings->reuse_port;
        int fd = bind_address(i == 0 ? address : g->bound, any, share);
        uint32_t c = i % g->classes;
        if (fd < 0)
            return fd;
        g->workers[i / g->classes].fd[c] = fd;
        set_buffers(fd,
                    c == DTLSL__VERIFYING
                        ? settings->recv_buffer / VERIFYING_PART
                        : settings->recv_buffer,
                    settings->send_buffer);
        if (i > 0)
            continue;
        if (n > 1)
            set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        err = bound_address(fd, g->bound, &family);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Where it is refused, datagrams arrive as they did before. */
static void
sort_anew(group *g)
{
    g->unsorted =
        g->size > 1 && dtlsl__steer_sort(g->workers[0].fd[0], g->classes,
                                         g->share, g->key) < 0;
}

/* All workers have a part, also those that are still to come: what arrives
 * for them waits in their sockets. */
static int
sort_group(group *g)
{
    int err;

    for (uint32_t i = 0; i < DTLSL__SHARES; i++)
        g->share[i] = (uint8_t)(i * g->size / DTLSL__SHARES);
    if (g->classes == 1) {
        sort_anew(g); /* without it the system's own hash chooses */
        return 0;
    }
    err = dtlsl__steer_sort(g->workers[0].fd[0], g->classes, g->share, g->key);
    for (uint32_t i = 0; i < g->size && err == 0; i++)
        for (uint32_t c = 0; c < g->classes && err == 0; c++)
            err = dtlsl__steer_filter(g->workers[i].fd[c]);
    return err;
}

static int
start_group(group *g, const uint8_t address[24], int any,
            const dtlsl__settings *settings)
{
    int err = bind_group(g, address, any, settings);

    if (err < 0)
        close_group(g);
    return err;
}

/* The first start, or the first one behind the last user's end. Where the
 * system cannot sort by class, or must not, there is one socket for each
 * worker. */
static int
start_sorted(group *g, const uint8_t address[24], int any,
             const dtlsl__settings *settings)
{
    int err;

    g->classes =
        settings->isolate && !settings->reuse_port ? DTLSL__CLASSES : 1;
    err = start_group(g, address, any, settings);
    if (err == 0 && sort_group(g) < 0) {
        close_group(g);
        g->classes = 1;
        err = start_group(g, address, any, settings);
        if (err == 0)
            sort_group(g);
    }
    memcpy(g->asked, address, sizeof(g->asked));
    return err;
}

/* Who is there, behind this one in turn. */
static uint32_t
next_taken(const group *g, uint32_t worker)
{
    do
        worker = (worker + 1) % g->size;
    while (!g->workers[worker].taken);
    return worker;
}

/* Gives the shares of who is not there to those who are, in turn. */
static void
share_out(group *g, uint32_t gone)
{
    uint32_t heir = gone;

    for (uint32_t i = 0; i < DTLSL__SHARES; i++) {
        if (g->share[i] != gone)
            continue;
        heir = next_taken(g, heir);
        g->share[i] = (uint8_t)heir;
    }
}

/* What is its by the first division. */
static void
take_back(group *g, uint32_t worker)
{
    for (uint32_t i = 0; i < DTLSL__SHARES; i++)
        if (i * g->size / DTLSL__SHARES == worker)
            g->share[i] = (uint8_t)worker;
}

/* A free place in the group, also one that a stopped listener gave back. */
static int
take_place(dtlsl__sockets *s, group *g)
{
    uint32_t i = 0;

    while (i < g->size && g->workers[i].taken)
        i++;
    if (i == g->size)
        return DTLSL_ERR_LIMIT;
    g->workers[i].taken = 1;
    g->users++;
    atomic_fetch_and(&g->left, ~(UINT64_C(1) << i));
    take_back(g, i);
    sort_anew(g);
    s->group = g;
    s->worker = i;
    s->n = g->classes;
    memcpy(s->fd, g->workers[i].fd, sizeof(s->fd));
    memcpy(s->dropped, g->workers[i].dropped, sizeof(s->dropped));
    return 0;
}

static int
join_group(dtlsl__sockets *s, group *g, const uint8_t address[24], int any,
           const dtlsl__settings *settings)
{
    int err;

    if (g->users == 0) {
        err = start_sorted(g, address, any, settings);
        if (err < 0)
            return err;
    }
    if (memcmp(g->asked, address, sizeof(g->asked)) != 0 &&
        memcmp(g->bound, address, sizeof(g->bound)) != 0)
        return DTLSL_ERR_STATE;
    return take_place(s, g);
}

static int
join_config(dtlsl__sockets *s, dtlsl_config *config, const uint8_t address[24],
            int any)
{
    const dtlsl__settings *settings = dtlsl__config_settings(config);
    void **place = dtlsl__config_group(config, free_group);

    if (*place == NULL)
        *place = new_group(settings->workers);
    return *place == NULL ? DTLSL_ERR_NOMEM
                          : join_group(s, *place, address, any, settings);
}

static int
join_own(dtlsl__sockets *s, dtlsl_config *config, const uint8_t address[24],
         int any)
{
    group *g = new_group(1);
    int err;

    if (g == NULL)
        return DTLSL_ERR_NOMEM;
    g->own = 1;
    err = join_group(s, g, address, any, dtlsl__config_settings(config));
    if (err < 0)
        free_group(g);
    return err;
}

/* The bit of the worker whose sockets are still to be read out, or 0. */
static uint64_t
not_read_out(const dtlsl__sockets *s)
{
    for (int i = 0; i < DTLSL__CLASSES; i++)
        if (s->inherited[i] >= 0 && !s->group->workers[s->inherited_of].taken)
            return UINT64_C(1) << s->inherited_of;
    return 0;
}

static void
leave_group(dtlsl__sockets *s)
{
    group *g = s->group;

    g->workers[s->worker].taken = 0;
    memcpy(g->workers[s->worker].dropped, s->dropped, sizeof(s->dropped));
    if (--g->users == 0) {
        close_group(g);
        return;
    }
    share_out(g, s->worker);
    sort_anew(g);
    atomic_fetch_or(&g->left, UINT64_C(1) << s->worker | not_read_out(s));
}

static void
forget_sockets(dtlsl__sockets *s)
{
    s->group = NULL;
    for (int i = 0; i < DTLSL__CLASSES; i++)
        s->fd[i] = s->inherited[i] = -1;
}

void
dtlsl__sockets_close(dtlsl__sockets *s)
{
    group *g = s->group;

    if (g != NULL) {
        pthread_mutex_lock(&group_lock);
        leave_group(s);
        pthread_mutex_unlock(&group_lock);
        if (g->own)
            free_group(g);
    }
    forget_sockets(s);
}

/* Whose sockets are this one's to read now, each in its turn; the group's size
 * for nobody. Where flows still arrive there, they are one sibling's. */
static uint32_t
next_left(const dtlsl__sockets *s)
{
    const group *g = s->group;
    uint64_t left = atomic_load(&g->left);

    for (uint32_t i = 1; i <= g->size; i++) {
        uint32_t who = (s->inherited_of + i) % g->size;
        if (left >> who & 1 &&
            (!g->unsorted || next_taken(g, who) == s->worker))
            return who;
    }
    return g->size;
}

int
dtlsl__sockets_shared(const dtlsl__sockets *s)
{
    return s->group != NULL && s->group->size > 1;
}

int
dtlsl__sockets_retaken(const dtlsl__sockets *s)
{
    return atomic_load_explicit(&s->group->workers[s->inherited_of].taken,
                                memory_order_relaxed);
}

int
dtlsl__sockets_inherit(dtlsl__sockets *s)
{
    group *g = s->group;
    uint32_t who;

    if (g == NULL || atomic_load_explicit(&g->left, memory_order_relaxed) == 0)
        return 0;
    pthread_mutex_lock(&group_lock);
    who = next_left(s);
    if (who < g->size) {
        if (g->unsorted)
            sort_anew(g);
        if (!g->unsorted)
            atomic_fetch_and(&g->left, ~(UINT64_C(1) << who));
        s->inherited_stay = g->unsorted;
        memcpy(s->inherited, g->workers[who].fd, sizeof(s->inherited));
        s->inherited_of = who;
    }
    pthread_mutex_unlock(&group_lock);
    return who < g->size;
}

/* Texts */

static const char *
remedy(int32_t code)
{
    if (code == -EADDRINUSE)
        return "; choose another port, or stop the program that has this one";
    if (code == -EMFILE)
        return "; raise the limit of open descriptors (ulimit -n)";
    return "";
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
                 dtlsl_strerror(code), remedy(code));
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

/* Opening */

int32_t
dtlsl__sockets_open(dtlsl__sockets *s, dtlsl_config *config, const char *host,
                    uint16_t port, char *err, size_t err_len)
{
    uint8_t address[24];
    int32_t code = dtlsl__address_parse(address, host, port);

    *s = (dtlsl__sockets){.n = 1};
    forget_sockets(s);
    if (code < 0) {
        explain_host(host, err, err_len);
        return code;
    }
    pthread_mutex_lock(&group_lock);
    code = dtlsl__config_settings(config)->workers > 1
               ? join_config(s, config, address, host == NULL)
               : join_own(s, config, address, host == NULL);
    pthread_mutex_unlock(&group_lock);
    if (code == 0)
        code = bound_address(s->fd[0], s->address, &s->family);
    s->any = dtlsl__address_is_unspecified(s->address);
    if (code < 0) {
        explain(code, host, port, err, err_len);
        dtlsl__sockets_close(s);
    }
    return code < 0 ? code : DTLSL_OK;
}

int32_t
dtlsl__sockets_take(dtlsl__sockets *s, dtlsl_config *config, int fd, char *err,
                    size_t err_len)
{
    const dtlsl__settings *settings = dtlsl__config_settings(config);
    int type = 0;
    socklen_t len = sizeof(type);

    *s = (dtlsl__sockets){.n = 1};
    forget_sockets(s);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        type != SOCK_DGRAM || bound_address(fd, s->address, &s->family) < 0) {
        snprintf(err, err_len, "descriptor %d is no UDP socket", fd);
        return DTLSL_ERR_ARGUMENT;
    }
    if (dtlsl__address_port(s->address) == 0) {
        snprintf(err, err_len,
                 "the socket of descriptor %d is not bound: bind it before",
                 fd);
        return DTLSL_ERR_ARGUMENT;
    }
    s->fd[0] = fd;
    s->any = 1; /* it may be bound to a broadcast address */
    ask_local(fd, s->family);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    set_options(fd, s->family);
    set_buffers(fd, settings->recv_buffer, settings->send_buffer);
    ignore_errors(fd, s->family);
    return DTLSL_OK;
}
