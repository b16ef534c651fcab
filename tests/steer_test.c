/* SPDX-License-Identifier: MIT
 * Which socket the kernel gives a datagram to, over loopback. */
#include "steer.h"
#include "address.h"
#include "refuse.h"
#include "scene.h"
#include "test.h"
#include "udp.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    KEY = 0x1234567,
    WAIT_MS = 10000,
    PORTS = 64,
    OPTIONS = 8
};

/* What sorts a datagram: up to the message_seq of a ClientHello. */
typedef struct header {
    uint8_t type, major, minor, epoch[2], seq[6], len[2];
    uint8_t message, length[3], message_seq[2], rest[7];
} header;

static header
make(uint8_t type, uint8_t epoch, uint8_t message, uint8_t message_seq)
{
    return (header){.type = type,
                    .major = 0xfe,
                    .minor = 0xfd,
                    .epoch = {0, epoch},
                    .len = {0, 12},
                    .message = message,
                    .message_seq = {0, message_seq}};
}

static const struct {
    const char *what;
    uint8_t type, epoch, message, message_seq;
    int class;
} rows[] = {
    {"first ClientHello", 22, 0, 1, 0, DTLSL__STRANGERS},
    {"second ClientHello", 22, 0, 1, 1, DTLSL__VERIFYING},
    {"hello of a far number", 22, 0, 1, 2, DTLSL__VERIFYING},
    {"Certificate", 22, 0, 11, 2, DTLSL__SESSIONS},
    {"ClientKeyExchange", 22, 0, 16, 2, DTLSL__SESSIONS},
    {"Finished", 22, 1, 1, 0, DTLSL__SESSIONS},
    {"ChangeCipherSpec", 20, 0, 1, 0, DTLSL__SESSIONS},
    {"alert", 21, 0, 1, 0, DTLSL__SESSIONS},
    {"application data", 23, 1, 1, 0, DTLSL__SESSIONS},
};

static header
make_row(size_t i)
{
    return make(rows[i].type, rows[i].epoch, rows[i].message,
                rows[i].message_seq);
}

/* ---- one listener's three sockets ---- */

static dtlsl__udp *
open_on(dtlsl_config *config, const char *host, uint16_t port)
{
    dtlsl__udp *udp = NULL;
    char err[256] = "";

    ck_assert_msg(dtlsl__udp_open(&udp, config, host, port, err,
                                  sizeof(err)) == DTLSL_OK,
                  "%s", err);
    return udp;
}

static uint16_t
port_of(const dtlsl__udp *udp)
{
    return dtlsl__address_port(dtlsl__udp_address(udp));
}

static int
client_from(const char *own, uint16_t own_port, const char *host,
            uint16_t port)
{
    struct sockaddr_storage name;
    uint8_t address[24];
    socklen_t len;
    int fd;

    ck_assert_int_eq(dtlsl__address_parse(address, host, port), DTLSL_OK);
    len = dtlsl__address_to_sockaddr(
        address, dtlsl__address_is_v4(address) ? AF_INET : AF_INET6, &name);
    fd = socket(name.ss_family, SOCK_DGRAM, 0);
    ck_assert_int_ge(fd, 0);
    if (own != NULL) {
        struct sockaddr_storage mine;
        dtlsl__address_parse(address, own, own_port);
        dtlsl__address_to_sockaddr(address, name.ss_family, &mine);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&mine, len), 0);
    }
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, len), 0);
    return fd;
}

static void
say(int fd, const void *data, size_t len)
{
    ck_assert_int_eq(send(fd, data, len, 0), (ssize_t)len);
}

/* Loopback has delivered when send() is back: no need to wait. */
static size_t
waiting(dtlsl__udp *udp, uint32_t socket)
{
    const dtlsl__datagram *list;
    size_t n, sum = 0;

    while ((n = dtlsl__udp_receive(udp, socket, DTLSL__BATCH, &list)) > 0)
        sum += n;
    return sum;
}

/* A listener's sockets, and a client. */
typedef struct pair {
    dtlsl_config *config;
    dtlsl__udp *udp;
    int fd;
} pair;

static pair
pair_open(const char *isolate, const char *host, const char *to)
{
    pair p = {.config = scene_workers("1", isolate)};

    p.udp = open_on(p.config, host, 0);
    p.fd = client_from(NULL, 0, to, port_of(p.udp));
    return p;
}

static pair
pair_on_loopback(const char *isolate)
{
    return pair_open(isolate, "127.0.0.1", "127.0.0.1");
}

static void
pair_close(pair *p)
{
    close(p->fd);
    dtlsl__udp_close(p->udp);
    scene_workers_free(p->config);
}

static void
expect_only(dtlsl__udp *udp, int class, size_t n, const char *what)
{
    for (int c = 0; c < DTLSL__CLASSES; c++) {
        size_t got = waiting(udp, (uint32_t)c);
        ck_assert_msg(got == (c == class ? n : 0), "%s: socket %d has %zu",
                      what, c, got);
    }
}

static void
check_classes(const char *host, const char *to)
{
    pair p = pair_open("1", host, to);

    ck_assert_uint_eq(dtlsl__udp_count(p.udp), DTLSL__CLASSES);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        header h = make_row(i);
        say(p.fd, &h, sizeof(h));
        expect_only(p.udp, rows[i].class, 1, rows[i].what);
    }
    pair_close(&p);
}

START_TEST(each_class_has_a_socket)
{
    check_classes("127.0.0.1", "127.0.0.1");
    check_classes(NULL, "127.0.0.1");
    if (!scene_has_ipv6())
        return;
    check_classes("::1", "::1");
    check_classes(NULL, "::1");
}
END_TEST

START_TEST(later_fragments_travel_with_the_first_one)
{
    pair p = pair_on_loopback("1");

    for (uint8_t offset = 0; offset < 5; offset++) {
        header h = make(22, 0, 1, 1);
        h.rest[1] = offset;
        say(p.fd, &h, sizeof(h));
    }
    expect_only(p.udp, DTLSL__VERIFYING, 5, "fragments");
    pair_close(&p);
}
END_TEST

START_TEST(what_cannot_be_dtls_is_dropped_by_the_kernel)
{
    pair p = pair_on_loopback("1");
    const uint64_t *n;
    header junk[6], hello = make(22, 0, 1, 0);

    for (int i = 0; i < 6; i++)
        junk[i] = hello;
    junk[0].type = 19;
    junk[1].type = 24;
    junk[2].major = 3; /* TLS */
    junk[3].type = 0;
    for (int i = 0; i < 4; i++)
        say(p.fd, &junk[i], sizeof(junk[i]));
    for (size_t len = 0; len < 13; len++)
        say(p.fd, &junk[4], len);
    expect_only(p.udp, -1, 0, "junk");
    say(p.fd, &hello, sizeof(hello));
    expect_only(p.udp, DTLSL__STRANGERS, 1, "the next one");
    n = dtlsl__udp_counters(p.udp)->n;
    ck_assert_uint_eq(n[DTLSL__N_KERNEL_DROPS], 17);
    ck_assert_uint_eq(n[DTLSL__N_KERNEL_DROPS_STRANGERS], 17);
    ck_assert_uint_eq(n[DTLSL__N_KERNEL_DROPS_SESSIONS], 0);
    pair_close(&p);
}
END_TEST

/* A record header alone is let through; it is too short to be sorted. */
START_TEST(a_record_header_alone_goes_to_the_strangers)
{
    pair p = pair_on_loopback("1");
    header h = make(22, 0, 1, 1);

    for (size_t len = 13; len < 19; len++)
        say(p.fd, &h, len);
    expect_only(p.udp, DTLSL__STRANGERS, 6, "short ones");
    pair_close(&p);
}
END_TEST

START_TEST(without_isolate_there_is_one_socket)
{
    pair p = pair_on_loopback("0");

    ck_assert_uint_eq(dtlsl__udp_count(p.udp), 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        header h = make_row(i);
        say(p.fd, &h, sizeof(h));
    }
    say(p.fd, "junk", 4);
    ck_assert_uint_eq(waiting(p.udp, 0), sizeof(rows) / sizeof(rows[0]) + 1);
    pair_close(&p);
}
END_TEST

START_TEST(where_sorting_is_refused_there_is_one_socket)
{
    const int options[] = {SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_FILTER};

    for (size_t i = 0; i < 2; i++) {
        pair p;
        refused_option = options[i];
        p = pair_on_loopback("1");
        refused_option = 0;
        ck_assert_uint_eq(dtlsl__udp_count(p.udp), 1);
        say(p.fd, "junk", 4);
        ck_assert_uint_eq(waiting(p.udp, 0), 1);
        pair_close(&p);
    }
}
END_TEST

START_TEST(an_answer_leaves_by_the_socket_that_it_names)
{
    pair p = pair_on_loopback("1");
    header h = make(22, 0, 1, 0);
    const dtlsl__datagram *list;
    dtlsl__output out[4];
    char buf[8];

    say(p.fd, &h, sizeof(h));
    ck_assert_uint_eq(dtlsl__udp_receive(p.udp, DTLSL__STRANGERS, 1, &list),
                      1);
    for (uint32_t i = 0; i < 4; i++)
        out[i] = (dtlsl__output){i, 1, i < 3 ? i : 0, list[0].path};
    ck_assert_uint_eq(dtlsl__udp_send(p.udp, out, 4, (const uint8_t *)"abcd"),
                      4);
    for (int i = 0; i < 4; i++) {
        struct pollfd in = {p.fd, POLLIN, 0};
        ck_assert_int_eq(poll(&in, 1, WAIT_MS), 1);
        ck_assert_int_eq(recv(p.fd, buf, sizeof(buf), 0), 1);
        ck_assert_int_eq(buf[0], "abcd"[i]);
    }
    pair_close(&p);
}
END_TEST

START_TEST(a_second_start_on_the_port_is_refused)
{
    static const char *const modes[][2] = {
        {"1", "1"}, {"1", "0"}, {"3", "1"}, {"3", "0"}};

    for (size_t a = 0; a < 4; a++)
        for (size_t b = 0; b < 4; b++) {
            dtlsl_config *first = scene_workers(modes[a][0], modes[a][1]);
            dtlsl_config *second = scene_workers(modes[b][0], modes[b][1]);
            dtlsl__udp *udp = open_on(first, "127.0.0.1", 0), *none = NULL;
            char err[256];
            ck_assert_int_eq(dtlsl__udp_open(&none, second, "127.0.0.1",
                                             port_of(udp), err, sizeof(err)),
                             -EADDRINUSE);
            ck_assert_ptr_null(none);
            dtlsl__udp_close(udp);
            scene_workers_free(second);
            scene_workers_free(first);
        }
}
END_TEST

/* ---- shares: the same hash, written down once more ---- */

static uint32_t
share_of(uint32_t address, uint16_t port)
{
    uint32_t hash = port * (uint32_t)(KEY | 1);

    hash = (hash ^ address) * 0x9E3779B1u;
    return (hash ^ hash >> 16) * (uint32_t)(KEY | 1) >> 24;
}

typedef struct pack {
    int fd[3 * 4];
    uint32_t n;
    uint16_t port;
} pack;

static void
pack_open(pack *p, int family, uint32_t n)
{
    struct sockaddr_storage name = {0};
    socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in)
                                      : sizeof(struct sockaddr_in6);

    p->n = n;
    for (uint32_t i = 0; i < n; i++) {
        int on = 1;
        p->fd[i] = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(p->fd[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
        if (i == 0) {
            name.ss_family = (sa_family_t)family;
            if (family == AF_INET)
                ((struct sockaddr_in *)&name)->sin_addr.s_addr =
                    htonl(INADDR_LOOPBACK);
            else
                ((struct sockaddr_in6 *)&name)->sin6_addr = in6addr_loopback;
        }
        ck_assert_int_eq(bind(p->fd[i], (struct sockaddr *)&name, len), 0);
        getsockname(p->fd[i], (struct sockaddr *)&name, &len);
    }
    p->port = ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static void
pack_close(pack *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        close(p->fd[i]);
}

/* The socket of the only datagram that waits. */
static int
pack_which(pack *p)
{
    uint8_t buf[64];
    int found = -1;

    for (uint32_t i = 0; i < p->n; i++)
        while (recv(p->fd[i], buf, sizeof(buf), 0) > 0) {
            ck_assert_int_eq(found, -1);
            found = (int)i;
        }
    return found;
}

static uint16_t
source_port(int fd)
{
    struct sockaddr_in6 name;
    socklen_t len = sizeof(name);

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    return ntohs(name.sin6_port);
}

/* Each class of a peer, to the worker that its share has. */
static void
check_peer(pack *p, int fd, uint32_t address, uint32_t classes,
           const uint8_t worker[DTLSL__SHARES])
{
    uint32_t who = worker[share_of(address, source_port(fd))];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        header h = make_row(i);
        uint32_t class = classes > 1 ? (uint32_t)rows[i].class : 0;
        say(fd, &h, sizeof(h));
        ck_assert_int_eq(pack_which(p), (int)(who * classes + class));
    }
}

static void
check_shares(int family, uint32_t classes, int with_options)
{
    static const uint8_t options[OPTIONS] = {1, 1, 1, 1, 1, 1, 1, 0};
    const char *host = family == AF_INET ? "127.0.0.1" : "::1";
    uint8_t worker[DTLSL__SHARES];
    pack p;

    for (uint32_t i = 0; i < DTLSL__SHARES; i++)
        worker[i] = (uint8_t)(i * 7 / 3 % 4);
    pack_open(&p, family, 4 * classes);
    ck_assert_int_eq(dtlsl__steer_sort(p.fd[0], classes, worker, KEY), 0);
    for (int i = 0; i < PORTS; i++) {
        char own[32];
        int fd;
        snprintf(own, sizeof(own), family == AF_INET ? "127.0.%d.9" : "::1",
                 i + 1);
        fd = client_from(own, 0, host, p.port);
        if (with_options)
            ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options,
                                        sizeof(options)),
                             0);
        check_peer(&p, fd,
                   family == AF_INET ? 0x7f000009u + ((uint32_t)i + 1) * 256
                                     : 1,
                   classes, worker);
        close(fd);
    }
    pack_close(&p);
}

START_TEST(a_peer_stays_with_its_worker)
{
    check_shares(AF_INET, DTLSL__CLASSES, 0);
    check_shares(AF_INET, 1, 0);
    check_shares(AF_INET, DTLSL__CLASSES, 1);
    if (!scene_has_ipv6())
        return;
    check_shares(AF_INET6, DTLSL__CLASSES, 0);
    check_shares(AF_INET6, 1, 0);
}
END_TEST

/* By the formula alone: ports of one address, then addresses of one port. */
START_TEST(shares_are_even)
{
    uint32_t n[2][4] = {{0}};

    for (uint32_t i = 0; i < 16384; i++) {
        n[0][share_of(0x7f000001, (uint16_t)(40000 + i)) / 64]++;
        n[1][share_of(0x0a000000 + i, 5684) / 64]++;
    }
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 4; i++) {
            ck_assert_uint_gt(n[k][i], 3600);
            ck_assert_uint_lt(n[k][i], 4600);
        }
}
END_TEST

/* ---- workers that come and go ---- */

enum {
    GROUP = 3,
    FLOWS = 48
};

typedef struct fleet {
    dtlsl_config *config;
    dtlsl__udp *udp[GROUP];
    int fd[FLOWS];
    int at[FLOWS]; /* the worker that has it */
    int first;     /* who wakes up first, in turn */
} fleet;

static void
fleet_open(fleet *f, const char *isolate)
{
    f->first = 0;
    f->config = scene_workers("3", isolate);
    for (int i = 0; i < GROUP; i++)
        f->udp[i] =
            open_on(f->config, "127.0.0.1", i == 0 ? 0 : port_of(f->udp[0]));
    for (int i = 0; i < FLOWS; i++)
        f->fd[i] = client_from(NULL, 0, "127.0.0.1", port_of(f->udp[0]));
}

static void
fleet_close(fleet *f)
{
    for (int i = 0; i < FLOWS; i++)
        close(f->fd[i]);
    for (int i = 0; i < GROUP; i++)
        dtlsl__udp_close(f->udp[i]);
    scene_workers_free(f->config);
}

static int
who_has_one(fleet *f)
{
    int found = -1;

    for (int turn = 0; turn < GROUP; turn++) {
        int i = (f->first + turn) % GROUP;
        dtlsl__udp *udp = f->udp[i];
        for (uint32_t c = 0; udp != NULL && c < dtlsl__udp_count(udp); c++)
            if (waiting(udp, c) > 0) {
                ck_assert_int_eq(found, -1);
                found = i;
            }
    }
    return found;
}

static void
fleet_look(fleet *f, int at[FLOWS])
{
    header h = make(23, 1, 0, 0);

    for (int i = 0; i < FLOWS; i++) {
        say(f->fd[i], &h, sizeof(h));
        at[i] = who_has_one(f);
        ck_assert_int_ge(at[i], 0);
    }
}

static void
check_stop(const char *isolate, int gone)
{
    fleet f;
    int at[FLOWS], moved = 0;

    fleet_open(&f, isolate);
    fleet_look(&f, f.at);
    dtlsl__udp_close(f.udp[gone]);
    f.udp[gone] = NULL;
    fleet_look(&f, at);
    for (int i = 0; i < FLOWS; i++) {
        moved += f.at[i] == gone;
        if (f.at[i] != gone)
            ck_assert_int_eq(at[i], f.at[i]);
        else
            ck_assert_int_ne(at[i], gone);
    }
    ck_assert_int_gt(moved, 0);
    f.udp[gone] = open_on(f.config, "127.0.0.1", port_of(f.udp[!gone]));
    fleet_look(&f, at);
    ck_assert_mem_eq(at, f.at, sizeof(at));
    fleet_close(&f);
}

START_TEST(a_worker_that_stops_moves_only_its_own_flows)
{
    for (int gone = 0; gone < GROUP; gone++) {
        check_stop("1", gone);
        check_stop("0", gone);
    }
}
END_TEST

START_TEST(a_sibling_reads_what_a_stopped_worker_left)
{
    header h = make(22, 0, 1, 0);
    uint32_t bits;
    int took = 0;
    size_t n = 0;
    fleet f;

    fleet_open(&f, "1");
    ck_assert_uint_eq(dtlsl__udp_inherited(f.udp[0]), 0);
    for (int i = 0; i < FLOWS; i++)
        say(f.fd[i], &h, sizeof(h));
    for (int i = 1; i < GROUP; i++) {
        dtlsl__udp_close(f.udp[i]);
        f.udp[i] = NULL;
    }
    while ((bits = dtlsl__udp_inherited(f.udp[0])) != 0) {
        took += bits == (1u << DTLSL__CLASSES) - 1;
        for (uint32_t c = 0; c < DTLSL__CLASSES; c++)
            if (bits >> c & 1) { /* another wake-up for each */
                n += waiting(f.udp[0], c);
                break;
            }
    }
    ck_assert_int_eq(took, 2);
    ck_assert_uint_eq(n, FLOWS);
    ck_assert_uint_eq(dtlsl__udp_counters(f.udp[0])->n[DTLSL__N_KERNEL_DROPS],
                      0);
    fleet_close(&f);
}
END_TEST

/* The heir stops before it has read anything of it. */
START_TEST(what_an_heir_leaves_is_inherited_in_turn)
{
    header h = make(22, 0, 1, 0);
    size_t n = 0;
    fleet f;

    fleet_open(&f, "1");
    for (int i = 0; i < FLOWS; i++)
        say(f.fd[i], &h, sizeof(h));
    dtlsl__udp_close(f.udp[2]);
    ck_assert_uint_ne(dtlsl__udp_inherited(f.udp[1]), 0);
    dtlsl__udp_close(f.udp[1]);
    f.udp[1] = f.udp[2] = NULL;
    while (dtlsl__udp_inherited(f.udp[0]) != 0)
        for (uint32_t c = 0; c < DTLSL__CLASSES; c++)
            n += waiting(f.udp[0], c);
    ck_assert_uint_eq(n, FLOWS);
    fleet_close(&f);
}
END_TEST

/* Who reads what a flow says, also out of the sockets of those that left. */
static int
who_hears(fleet *f, int flow)
{
    header h = make(23, 1, 0, 0);
    int found = -1;

    say(f->fd[flow], &h, sizeof(h));
    for (int turn = 0; turn < GROUP && found < 0; turn++) {
        f->first++;
        for (int i = 0; i < GROUP; i++) {
            dtlsl__udp *udp = f->udp[(f->first + i) % GROUP];
            if (udp != NULL)
                dtlsl__udp_inherited(udp);
        }
        found = who_has_one(f);
    }
    return found;
}

/* A peer of one that left is another's, always the same one's. */
static void
check_heirs(fleet *f)
{
    for (int i = 0; i < FLOWS; i++) {
        int heir = who_hears(f, i);
        ck_assert_int_ge(heir, 0);
        if (f->udp[f->at[i]] != NULL)
            ck_assert_int_eq(heir, f->at[i]);
        for (int again = 0; again < 3; again++)
            ck_assert_int_eq(who_hears(f, i), heir);
    }
}

static void
fleet_stop(fleet *f, int gone)
{
    dtlsl__udp_close(f->udp[gone]);
    f->udp[gone] = NULL;
}

static void
check_refused_stops(const char *isolate)
{
    int at[FLOWS];
    fleet f;

    fleet_open(&f, isolate);
    fleet_look(&f, f.at);
    refused_option = SO_ATTACH_REUSEPORT_CBPF;
    for (int gone = GROUP - 1; gone > 0; gone--) {
        fleet_stop(&f, gone);
        check_heirs(&f);
    }
    f.udp[1] = open_on(f.config, "127.0.0.1", port_of(f.udp[0]));
    check_heirs(&f);
    refused_option = 0;
    while (dtlsl__udp_inherited(f.udp[0]) != 0) /* sorts, and is the last */
        who_has_one(&f);
    fleet_look(&f, at); /* without looking at what others left */
    for (int i = 0; i < FLOWS; i++)
        ck_assert(f.at[i] == 2 ? at[i] != 2 : at[i] == f.at[i]);
    f.udp[2] = open_on(f.config, "127.0.0.1", port_of(f.udp[0]));
    fleet_look(&f, at);
    ck_assert_mem_eq(at, f.at, sizeof(at));
    fleet_close(&f);
}

START_TEST(where_sorting_anew_is_refused_an_heir_goes_on_reading)
{
    check_refused_stops("1");
    check_refused_stops("0");
}
END_TEST

/* From the start on the system's own hash chooses. */
START_TEST(unsorted_workers_that_stop_have_an_heir)
{
    fleet f;

    refused_option = SO_ATTACH_REUSEPORT_CBPF;
    fleet_open(&f, "1");
    ck_assert_uint_eq(dtlsl__udp_count(f.udp[0]), 1);
    fleet_look(&f, f.at);
    for (int gone = 0; gone < GROUP - 1; gone++) {
        fleet_stop(&f, gone);
        check_heirs(&f);
    }
    refused_option = 0;
    fleet_close(&f);
}
END_TEST

static int
flow_of(const fleet *f, int worker)
{
    int flow = 0;

    while (f->at[flow] != worker)
        flow++;
    return flow;
}

/* Worker 2 stops with three batches in its queue: worker 0 reads one, and one
 * of its own. */
static void
check_heir_of_a_flood(fleet *f)
{
    header h = make(23, 1, 0, 0);
    const dtlsl__datagram *list;
    size_t n = 0;

    fleet_look(f, f->at);
    for (int i = 0; i < 3 * DTLSL__BATCH; i++)
        say(f->fd[flow_of(f, 2)], &h, sizeof(h));
    say(f->fd[flow_of(f, 0)], &h, sizeof(h));
    fleet_stop(f, 2);
    ck_assert_uint_ne(dtlsl__udp_inherited(f->udp[0]), 0);
    for (int i = 0; i < 2; i++)
        n += dtlsl__udp_receive(f->udp[0], DTLSL__SESSIONS, DTLSL__BATCH,
                                &list);
    ck_assert_uint_eq(n, DTLSL__BATCH + 1);
}

START_TEST(an_heir_has_batches_of_its_own)
{
    fleet f;

    fleet_open(&f, "1");
    refused_option = SO_ATTACH_REUSEPORT_CBPF;
    check_heir_of_a_flood(&f);
    refused_option = 0;
    fleet_close(&f);
}
END_TEST

/* Also where it is sorted anew; and nothing more when its place is taken. */
START_TEST(an_heir_neither_starves_nor_robs)
{
    fleet f;

    fleet_open(&f, "1");
    check_heir_of_a_flood(&f);
    f.udp[2] = open_on(f.config, "127.0.0.1", port_of(f.udp[0]));
    ck_assert_uint_eq(waiting(f.udp[0], DTLSL__SESSIONS), 0);
    ck_assert_uint_eq(waiting(f.udp[2], DTLSL__SESSIONS),
                      (size_t)2 * DTLSL__BATCH);
    fleet_close(&f);
}
END_TEST

/* A worker that is still to come finds what arrived for it. */
START_TEST(a_late_worker_has_lost_nothing)
{
    dtlsl_config *config = scene_workers("2", "1");
    dtlsl__udp *first = open_on(config, "127.0.0.1", 0), *second;
    header h = make(22, 0, 1, 0);
    size_t n = 0;
    int fd[FLOWS];

    for (int i = 0; i < FLOWS; i++) {
        fd[i] = client_from(NULL, 0, "127.0.0.1", port_of(first));
        say(fd[i], &h, sizeof(h));
    }
    n = waiting(first, DTLSL__STRANGERS);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_lt(n, FLOWS);
    second = open_on(config, "127.0.0.1", port_of(first));
    ck_assert_uint_eq(n + waiting(second, DTLSL__STRANGERS), FLOWS);
    for (int i = 0; i < FLOWS; i++)
        close(fd[i]);
    dtlsl__udp_close(second);
    dtlsl__udp_close(first);
    scene_workers_free(config);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        each_class_has_a_socket,
        later_fragments_travel_with_the_first_one,
        what_cannot_be_dtls_is_dropped_by_the_kernel,
        a_record_header_alone_goes_to_the_strangers,
        without_isolate_there_is_one_socket,
        where_sorting_is_refused_there_is_one_socket,
        an_answer_leaves_by_the_socket_that_it_names,
        a_second_start_on_the_port_is_refused,
        a_peer_stays_with_its_worker,
        shares_are_even,
        a_worker_that_stops_moves_only_its_own_flows,
        a_sibling_reads_what_a_stopped_worker_left,
        what_an_heir_leaves_is_inherited_in_turn,
        where_sorting_anew_is_refused_an_heir_goes_on_reading,
        unsorted_workers_that_stop_have_an_heir,
        an_heir_has_batches_of_its_own,
        an_heir_neither_starves_nor_robs,
        a_late_worker_has_lost_nothing,
    };

    return test_main(
        test_suite("steer", tests, sizeof(tests) / sizeof(tests[0])));
}
