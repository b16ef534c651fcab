/* SPDX-License-Identifier: MIT
 * Datagrams for one peer that leave as one message, cut by the system; what
 * the sockets' calls are asked is looked at on the way. */
#include "address.h"
#include "scene.h"
#include "test.h"
#include "udp.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PEERS = 2,
    MANY = 200,
    LONG = 1000,
    REST = 999 /* lists behind the one that was refused */
};

static int refusal;     /* the error for a message that is to be cut */
static int unknown;     /* the system has no such option */
static unsigned calls;  /* of sendmmsg and sendmsg */
static unsigned cut;    /* messages that were to be cut */
static unsigned entire; /* others */

static int
is_to_be_cut(const struct msghdr *msg)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(msg); c != NULL;
         c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
            return 1;
    return 0;
}

/* Is it refused? */
static int
look(const struct msghdr *msg)
{
    int segmented = is_to_be_cut(msg);

    cut += segmented != 0;
    entire += !segmented;
    errno = refusal;
    return segmented && refusal != 0;
}

/* The library's system calls end up here; the clients use send. */

int
sendmmsg(int fd, struct mmsghdr *list, unsigned n, int flags)
{
    calls++;
    for (unsigned i = 0; i < n; i++)
        if (look(&list[i].msg_hdr)) {
            if (i == 0)
                return -1;
            n = i;
        }
    return (int)syscall(SYS_sendmmsg, fd, list, n, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
    calls++;
    if (look(msg))
        return -1;
    return syscall(SYS_sendmsg, fd, msg, flags);
}

int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (unknown && level == IPPROTO_UDP && name == UDP_SEGMENT) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

typedef struct rig {
    dtlsl_config *config;
    dtlsl__udp *udp;
    int fd[PEERS];
    dtlsl_path path[PEERS];
    uint8_t arena[MANY * LONG];
    dtlsl__output list[MANY];
} rig;

static rig *
open_rig(const char *host)
{
    static rig s;
    char err[256];
    struct sockaddr_storage name;
    const dtlsl__datagram *list;
    uint32_t n;

    memset(&s, 0, sizeof(s));
    ck_assert_int_eq(dtlsl_config_new(&s.config), DTLSL_OK);
    dtlsl_config_set(s.config, "isolate", "0");
    ck_assert_int_eq(
        dtlsl__udp_open(&s.udp, s.config, host, 0, err, sizeof(err)),
        DTLSL_OK);
    for (int i = 0; i < PEERS; i++) {
        const uint8_t *address = dtlsl__udp_address(s.udp);
        int family = dtlsl__address_is_v4(address) ? AF_INET : AF_INET6;
        socklen_t len = dtlsl__address_to_sockaddr(address, family, &name);
        s.fd[i] = socket(family, SOCK_DGRAM, 0);
        ck_assert_int_eq(connect(s.fd[i], (struct sockaddr *)&name, len), 0);
        ck_assert_int_eq(send(s.fd[i], "x", 1, 0), 1);
        n = (uint32_t)dtlsl__udp_receive(s.udp, 0, DTLSL__BATCH, &list);
        ck_assert_uint_eq(n, 1);
        s.path[i] = list[0].path;
    }
    for (size_t i = 0; i < sizeof(s.arena); i++)
        s.arena[i] = (uint8_t)(i * 31 >> 4);
    refusal = 0;
    calls = cut = entire = 0;
    return &s;
}

static void
close_rig(rig *s)
{
    for (int i = 0; i < PEERS; i++)
        close(s->fd[i]);
    dtlsl__udp_close(s->udp);
    dtlsl_config_free(s->config);
}

/* 'n' outputs behind each other: of lens[] to peers[], which repeat. */
static void
fill(rig *s, uint32_t n, const uint32_t *lens, const int *peers,
     uint32_t period)
{
    uint32_t offset = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = lens[i % period];
        s->list[i] =
            (dtlsl__output){offset, len, 0, s->path[peers[i % period]]};
        offset += len;
    }
}

/* All came, each as it was and in order. */
static void
expect_all(rig *s, uint32_t n)
{
    static uint8_t buf[65536];

    for (uint32_t i = 0; i < n; i++) {
        int who =
            memcmp(&s->list[i].path, &s->path[1], sizeof(s->path[1])) ? 0 : 1;
        struct pollfd in = {s->fd[who], POLLIN, 0};
        ck_assert_int_eq(poll(&in, 1, 10000), 1);
        ck_assert_int_eq(recv(s->fd[who], buf, sizeof(buf), 0),
                         (ssize_t)s->list[i].len);
        ck_assert_mem_eq(buf, s->arena + s->list[i].offset, s->list[i].len);
    }
    ck_assert_uint_eq(dtlsl__udp_counters(s->udp)->n[DTLSL__N_SENT], n);
    ck_assert_uint_eq(dtlsl__udp_counters(s->udp)->n[DTLSL__N_SEND_DROPPED],
                      0);
}

static void
check(const char *host, int single, uint32_t n, const uint32_t *lens,
      const int *peers, uint32_t period, unsigned wanted_cut,
      unsigned wanted_entire)
{
    rig *s = open_rig(host);

    dtlsl__udp_set_single(s->udp, single);
    fill(s, n, lens, peers, period);
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, n, s->arena), n);
    expect_all(s, n);
    ck_assert_uint_eq(cut, wanted_cut);
    ck_assert_uint_eq(entire, wanted_entire);
    close_rig(s);
}

START_TEST(records_of_one_length_to_one_peer_are_one_message)
{
    const uint32_t lens[] = {100};
    const int one[] = {0};

    for (int single = 0; single < 2; single++) {
        check("127.0.0.1", single, 10, lens, one, 1, 1, 0);
        check("127.0.0.1", single, 1, lens, one, 1, 0, 1);
    }
}
END_TEST

START_TEST(a_message_has_64_segments_or_65000_bytes)
{
    const uint32_t lens[] = {LONG}, small[] = {10};
    const int one[] = {0};

    check("127.0.0.1", 0, 130, small, one, 1, 3, 0); /* 64, 64, 2 */
    check("127.0.0.1", 0, 129, small, one, 1, 2, 1);
    check("127.0.0.1", 0, 70, lens, one, 1, 2, 0); /* 64, 6 */
}
END_TEST

START_TEST(a_shorter_one_ends_a_message)
{
    const uint32_t lens[] = {100, 100, 50}, up[] = {50, 100};
    const int one[] = {0, 0, 0};

    check("127.0.0.1", 0, 6, lens, one, 3, 2, 0);
    check("127.0.0.1", 0, 2, up, one, 2, 0, 2);
}
END_TEST

START_TEST(peers_are_not_mixed)
{
    const uint32_t lens[] = {100, 100, 100, 100};
    const int turns[] = {0, 1}, runs[] = {0, 0, 1, 1};

    check("127.0.0.1", 0, 8, lens, turns, 2, 0, 8);
    check("127.0.0.1", 0, 8, lens, runs, 4, 4, 0);
}
END_TEST

START_TEST(what_does_not_lie_behind_the_other_is_not_joined)
{
    const uint32_t lens[] = {100};
    const int one[] = {0};
    rig *s = open_rig("127.0.0.1");

    fill(s, 3, lens, one, 1);
    s->list[2].offset++;
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, 3, s->arena), 3);
    expect_all(s, 3);
    ck_assert_uint_eq(cut, 1);
    ck_assert_uint_eq(entire, 1);
    close_rig(s);
}
END_TEST

/* The list that was refused goes uncut, and nothing of it is lost; then so
 * many more lists do. */
static void
check_refusal(int error, int single, int uncut)
{
    const uint32_t lens[] = {100, 100, 60, 70};
    const int peers[] = {0, 0, 1, 1};
    rig *s = open_rig("127.0.0.1");

    dtlsl__udp_set_single(s->udp, single);
    refusal = error;
    fill(s, MANY, lens, peers, 4);
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, MANY, s->arena), MANY);
    expect_all(s, MANY);
    ck_assert_uint_eq(cut, 1);
    refusal = 0;
    for (int i = 0; i <= uncut; i++) {
        ck_assert_uint_eq(cut, 1);
        ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, 2, s->arena), 2);
    }
    ck_assert_uint_eq(cut, 2);
    close_rig(s);
}

START_TEST(a_refused_message_leaves_uncut_and_the_next_is_cut)
{
    for (int single = 0; single < 2; single++) {
        check_refusal(EINVAL, single, 0);
        check_refusal(EMSGSIZE, single, 0);
    }
}
END_TEST

START_TEST(where_the_device_cannot_cut_it_is_rarely_asked)
{
    check_refusal(EIO, 0, REST);
    check_refusal(EIO, 1, REST);
}
END_TEST

START_TEST(a_system_without_it_is_never_asked)
{
    const uint32_t lens[] = {100};
    const int one[] = {0};
    rig *s;

    unknown = 1;
    s = open_rig("127.0.0.1");
    unknown = 0;
    fill(s, 10, lens, one, 1);
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, 10, s->arena), 10);
    expect_all(s, 10);
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, 10, s->arena), 10);
    ck_assert_uint_eq(cut, 0);
    close_rig(s);
}
END_TEST

/* A filter's refusal is no reason to stop cutting; it takes the whole. */
START_TEST(another_refusal_costs_one_message)
{
    const uint32_t lens[] = {100};
    const int one[] = {0};
    rig *s = open_rig("127.0.0.1");

    refusal = EPERM;
    fill(s, 5, lens, one, 1);
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, 5, s->arena), 5);
    ck_assert_uint_eq(dtlsl__udp_counters(s->udp)->n[DTLSL__N_SEND_DROPPED],
                      5);
    ck_assert_uint_eq(dtlsl__udp_counters(s->udp)->n[DTLSL__N_SENT], 0);
    refusal = 0;
    ck_assert_uint_eq(dtlsl__udp_send(s->udp, s->list, 5, s->arena), 5);
    ck_assert_uint_eq(cut, 2);
    ck_assert_uint_eq(dtlsl__udp_counters(s->udp)->n[DTLSL__N_SENT], 5);
    close_rig(s);
}
END_TEST

START_TEST(ipv6_is_cut_too)
{
    const uint32_t lens[] = {100};
    const int one[] = {0};

    if (scene_has_ipv6())
        check("::1", 0, 10, lens, one, 1, 1, 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        records_of_one_length_to_one_peer_are_one_message,
        a_message_has_64_segments_or_65000_bytes,
        a_shorter_one_ends_a_message,
        peers_are_not_mixed,
        what_does_not_lie_behind_the_other_is_not_joined,
        a_refused_message_leaves_uncut_and_the_next_is_cut,
        where_the_device_cannot_cut_it_is_rarely_asked,
        a_system_without_it_is_never_asked,
        another_refusal_costs_one_message,
        ipv6_is_cut_too,
    };

    return test_main(
        test_suite("segment", tests, sizeof(tests) / sizeof(tests[0])));
}
