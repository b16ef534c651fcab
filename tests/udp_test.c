/* SPDX-License-Identifier: MIT
 * The socket, on loopback. */
#include "udp.h"
#include "address.h"
#include "scene.h"
#include "test.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static dtlsl__udp *
open_udp(const char *host, char *err, size_t len)
{
    dtlsl_config *config;
    dtlsl__udp *udp = NULL;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "isolate", "0"), DTLSL_OK);
    ck_assert_int_eq(dtlsl__udp_open(&udp, config, host, 0, err, len),
                     DTLSL_OK);
    dtlsl_config_free(config);
    return udp;
}

static uint16_t
port_of(const dtlsl__udp *udp)
{
    return dtlsl__address_port(dtlsl__udp_address(udp));
}

static int
client_to(const dtlsl__udp *udp, const char *host)
{
    uint16_t port = port_of(udp);
    struct sockaddr_storage name;
    uint8_t address[24];
    socklen_t len;
    int fd;

    ck_assert_int_eq(dtlsl__address_parse(address, host, port), DTLSL_OK);
    len = dtlsl__address_to_sockaddr(
        address, dtlsl__address_is_v4(address) ? AF_INET : AF_INET6, &name);
    fd = socket(name.ss_family, SOCK_DGRAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, len), 0);
    return fd;
}

static const dtlsl__datagram *
receive_one(dtlsl__udp *udp)
{
    struct pollfd fd = {dtlsl__udp_fd(udp, 0), POLLIN, 0};
    const dtlsl__datagram *list;

    ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    ck_assert_uint_eq(dtlsl__udp_receive(udp, 0, DTLSL__BATCH, &list), 1);
    return list;
}

/* The client is connected: it takes nothing from another address. */
static void
check_echo(dtlsl__udp *udp, const char *host)
{
    int fd = client_to(udp, host);
    struct pollfd in = {fd, POLLIN, 0};
    const dtlsl__datagram *d;
    dtlsl__output output = {0};
    char text[DTLSL_ADDRESS_MAX], back[8];

    ck_assert_int_eq(send(fd, "hello", 5, 0), 5);
    d = receive_one(udp);
    ck_assert_uint_eq(d->len, 5);
    ck_assert_int_eq(d->truncated, 0);
    ck_assert_int_gt(dtlsl__address_text(d->path.local, text, sizeof(text)),
                     0);
    ck_assert_ptr_nonnull(strstr(text, host));
    ck_assert_uint_eq(dtlsl__address_port(d->path.local), port_of(udp));
    output.len = d->len;
    output.path = d->path;
    ck_assert_uint_eq(dtlsl__udp_send(udp, &output, 1, d->data), 1);
    ck_assert_int_eq(poll(&in, 1, 10000), 1);
    ck_assert_int_eq(recv(fd, back, sizeof(back), 0), 5);
    ck_assert_mem_eq(back, "hello", 5);
    close(fd);
}

START_TEST(replies_leave_from_the_address_they_were_sent_to)
{
    char err[256];
    dtlsl__udp *udp = open_udp(NULL, err, sizeof(err));

    for (int single = 0; single < 2; single++) {
        dtlsl__udp_set_single(udp, single);
        check_echo(udp, "127.0.0.1");
        check_echo(udp, "127.0.0.2");
    }
    dtlsl__udp_close(udp);
}
END_TEST

START_TEST(an_address_of_ipv4_serves_alone)
{
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));

    check_echo(udp, "127.0.0.1");
    dtlsl__udp_close(udp);
}
END_TEST

START_TEST(ipv6_is_served_from_the_address_sent_to)
{
    char err[256];
    dtlsl__udp *udp;

    for (int wildcard = 0; wildcard < 2 && scene_has_ipv6(); wildcard++) {
        udp = open_udp(wildcard ? NULL : "::1", err, sizeof(err));
        for (int single = 0; single < 2; single++) {
            dtlsl__udp_set_single(udp, single);
            check_echo(udp, "::1");
        }
        dtlsl__udp_close(udp);
    }
    udp = open_udp("0.0.0.0", err, sizeof(err));
    check_echo(udp, "127.0.0.2");
    dtlsl__udp_close(udp);
}
END_TEST

/* The same datagrams by one call and by many: order, lengths, addresses, and
 * no more than a batch at once. */
static void
check_batch(int single)
{
    static uint8_t data[DTLSL__BATCH + 2];
    char err[256];
    dtlsl__udp *udp = open_udp(NULL, err, sizeof(err));
    const char *hosts[] = {"127.0.0.1", "127.0.0.2"};
    int fds[] = {client_to(udp, hosts[0]), client_to(udp, hosts[1])};
    struct pollfd fd = {dtlsl__udp_fd(udp, 0), POLLIN, 0};
    const dtlsl__datagram *list;
    char text[DTLSL_ADDRESS_MAX];

    dtlsl__udp_set_single(udp, single);
    ck_assert_uint_eq(dtlsl__udp_receive(udp, 0, DTLSL__BATCH, &list), 0);
    for (size_t i = 0; i < sizeof(data); i++)
        ck_assert_int_eq(send(fds[i % 2], data, i, 0), (int)i);
    ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    ck_assert_uint_eq(dtlsl__udp_receive(udp, 0, DTLSL__BATCH, &list),
                      DTLSL__BATCH);
    for (size_t i = 0; i < DTLSL__BATCH; i++) {
        ck_assert_uint_eq(list[i].len, i);
        ck_assert_int_eq(list[i].truncated, 0);
        dtlsl__address_text(list[i].path.local, text, sizeof(text));
        ck_assert_ptr_nonnull(strstr(text, hosts[i % 2]));
    }
    ck_assert_uint_eq(dtlsl__udp_receive(udp, 0, DTLSL__BATCH, &list), 2);
    ck_assert_uint_eq(list[1].len, DTLSL__BATCH + 1);
    ck_assert_uint_eq(dtlsl__udp_counters(udp)->n[DTLSL__N_RECEIVE_ERRORS], 0);
    close(fds[0]);
    close(fds[1]);
    dtlsl__udp_close(udp);
}

START_TEST(both_ways_to_receive_see_the_same)
{
    check_batch(0);
    check_batch(1);
}
END_TEST

START_TEST(a_longer_datagram_than_the_slot_is_truncated)
{
    static uint8_t big[DTLSL__SLOT + 1];
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));
    int fd = client_to(udp, "127.0.0.1");

    for (int single = 0; single < 2; single++) {
        dtlsl__udp_set_single(udp, single);
        ck_assert_int_eq(send(fd, big, sizeof(big), 0), sizeof(big));
        ck_assert_int_eq(receive_one(udp)->truncated, 1);
    }
    close(fd);
    dtlsl__udp_close(udp);
}
END_TEST

/* Port 0 is EINVAL, and 65535 bytes are EMSGSIZE: both have one that is good
 * in front of them and behind. */
static void
check_refusals(int single)
{
    static uint8_t arena[65535];
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));
    const uint64_t *n = dtlsl__udp_counters(udp)->n;
    int fd = client_to(udp, "127.0.0.1");
    struct pollfd in = {fd, POLLIN, 0};
    const dtlsl__datagram *d;
    dtlsl__output list[5];

    dtlsl__udp_set_single(udp, single);
    ck_assert_int_eq(send(fd, "x", 1, 0), 1);
    d = receive_one(udp);
    for (uint32_t i = 0; i < 5; i++)
        list[i] = (dtlsl__output){0, i + 1, 0, d->path};
    memset(list[1].path.peer + 16, 0, 2);
    list[3].len = sizeof(arena);
    ck_assert_uint_eq(dtlsl__udp_send(udp, list, 5, arena), 5);
    for (int i = 0; i < 5; i += 2) {
        ck_assert_int_eq(poll(&in, 1, 10000), 1);
        ck_assert_int_eq(recv(fd, arena, sizeof(arena), 0), i + 1);
    }
    ck_assert_uint_eq(n[DTLSL__N_SEND_DROPPED], 2);
    ck_assert_uint_eq(n[DTLSL__N_SEND_TOOBIG], 1);
    ck_assert_uint_eq(n[DTLSL__N_SENT], 3);
    close(fd);
    dtlsl__udp_close(udp);
}

START_TEST(a_batch_goes_on_behind_one_that_is_refused)
{
    check_refusals(0);
    check_refusals(1);
}
END_TEST

/* With IP_RECVERR a closed port's answer is the next receive's error. */
START_TEST(a_receive_error_does_not_hide_the_datagram_behind)
{
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));
    struct pollfd in = {dtlsl__udp_fd(udp, 0), 0, 0};
    int fd = client_to(udp, "127.0.0.1"), on = 1;
    dtlsl__output output = {.len = 1};

    ck_assert_int_eq(setsockopt(dtlsl__udp_fd(udp, 0), IPPROTO_IP, IP_RECVERR,
                                &on, sizeof(on)),
                     0);
    ck_assert_int_eq(send(fd, "x", 1, 0), 1);
    output.path = receive_one(udp)->path;
    close(fd);
    fd = client_to(udp, "127.0.0.1");
    ck_assert_int_eq(send(fd, "y", 1, 0), 1);
    ck_assert_uint_eq(dtlsl__udp_send(udp, &output, 1, (const uint8_t *)"z"),
                      1);
    ck_assert_int_eq(poll(&in, 1, 10000), 1);
    ck_assert_int_eq(in.revents & POLLERR, POLLERR);
    ck_assert_uint_eq(receive_one(udp)->len, 1);
    ck_assert_uint_eq(dtlsl__udp_counters(udp)->n[DTLSL__N_RECEIVE_ERRORS], 1);
    close(fd);
    dtlsl__udp_close(udp);
}
END_TEST

static int32_t
open_of(dtlsl__udp **udp, dtlsl_config *config, uint16_t port)
{
    char err[256] = "";
    int32_t code =
        dtlsl__udp_open(udp, config, "127.0.0.1", port, err, sizeof(err));

    ck_assert_int_eq(code < 0, err[0] != '\0');
    return code;
}

START_TEST(a_port_is_bound_once)
{
    dtlsl_config *config = scene_workers("1", "1"),
                 *workers = scene_workers("2", "1");
    dtlsl__udp *first, *second = NULL;

    ck_assert_int_eq(open_of(&first, config, 0), DTLSL_OK);
    ck_assert_int_eq(open_of(&second, config, port_of(first)), -EADDRINUSE);
    ck_assert_int_eq(open_of(&second, workers, port_of(first)), -EADDRINUSE);
    ck_assert_ptr_null(second);
    dtlsl__udp_close(first);
    scene_workers_free(workers);
    scene_workers_free(config);
}
END_TEST

START_TEST(a_group_of_two_shares_its_port)
{
    dtlsl_config *config = scene_workers("2", "1"),
                 *other = scene_workers("1", "1");
    dtlsl__udp *a, *b, *c = NULL;

    ck_assert_int_eq(open_of(&a, config, 0), DTLSL_OK);
    ck_assert_int_eq(open_of(&c, config, 1), DTLSL_ERR_STATE);
    ck_assert_int_eq(open_of(&b, config, 0), DTLSL_OK);
    ck_assert_int_ne(dtlsl__udp_fd(a, 0), dtlsl__udp_fd(b, 0));
    ck_assert_uint_eq(port_of(a), port_of(b));
    ck_assert_int_eq(open_of(&c, config, 0), DTLSL_ERR_LIMIT);
    ck_assert_int_eq(open_of(&c, other, port_of(a)), -EADDRINUSE);
    ck_assert_ptr_null(c);
    dtlsl__udp_close(a);
    ck_assert_int_ge(fcntl(dtlsl__udp_fd(b, 0), F_GETFD), 0);
    dtlsl__udp_close(b);
    scene_workers_free(other);
    scene_workers_free(config);
}
END_TEST

/* 'users' of two were open; then the group may be started elsewhere. */
static void
check_restart(int users)
{
    dtlsl_config *config = scene_workers("2", "1"),
                 *other = scene_workers("1", "1");
    dtlsl__udp *udp[2] = {NULL, NULL}, *taken;
    uint16_t port;

    for (int i = 0; i < users; i++)
        ck_assert_int_eq(open_of(&udp[i], config, 0), DTLSL_OK);
    port = port_of(udp[0]);
    dtlsl__udp_close(udp[0]);
    dtlsl__udp_close(udp[1]);
    ck_assert_int_eq(open_of(&taken, other, port), DTLSL_OK);
    ck_assert_int_eq(open_of(&udp[0], config, port), -EADDRINUSE);
    dtlsl__udp_close(taken);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(open_of(&udp[i], config, port), DTLSL_OK);
        ck_assert_uint_eq(port_of(udp[i]), port);
    }
    dtlsl__udp_close(udp[0]);
    dtlsl__udp_close(udp[1]);
    scene_workers_free(other);
    scene_workers_free(config);
}

START_TEST(a_group_starts_anew_behind_its_last_user)
{
    check_restart(1);
    check_restart(2);
}
END_TEST

START_TEST(a_socket_of_a_group_is_taken_again)
{
    dtlsl_config *config = scene_workers("2", "1");
    dtlsl__udp *a, *b, *c;
    int fd;

    ck_assert_int_eq(open_of(&a, config, 0), DTLSL_OK);
    ck_assert_int_eq(open_of(&b, config, port_of(a)), DTLSL_OK);
    fd = dtlsl__udp_fd(a, 0);
    dtlsl__udp_close(a);
    ck_assert_int_eq(open_of(&a, config, 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl__udp_fd(a, 0), fd);
    ck_assert_int_eq(open_of(&c, config, 0), DTLSL_ERR_LIMIT);
    dtlsl__udp_close(a);
    dtlsl__udp_close(b);
    scene_workers_free(config);
}
END_TEST

START_TEST(reuse_port_shares_a_port_with_others)
{
    dtlsl_config *config;
    dtlsl__udp *a, *b;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "reuse-port", "1"), DTLSL_OK);
    ck_assert_int_eq(open_of(&a, config, 0), DTLSL_OK);
    ck_assert_int_eq(open_of(&b, config, port_of(a)), DTLSL_OK);
    ck_assert_int_ne(dtlsl__udp_fd(a, 0), dtlsl__udp_fd(b, 0));
    dtlsl__udp_close(a);
    dtlsl__udp_close(b);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_port_in_use_is_explained)
{
    dtlsl_config *config = scene_workers("1", "1");
    dtlsl__udp *a, *b;
    char err[256], port[8];

    ck_assert_int_eq(open_of(&a, config, 0), DTLSL_OK);
    ck_assert_int_eq(
        dtlsl__udp_open(&b, config, "127.0.0.1", port_of(a), err, sizeof(err)),
        -EADDRINUSE);
    snprintf(port, sizeof(port), "%u", port_of(a));
    ck_assert_ptr_nonnull(strstr(err, "127.0.0.1"));
    ck_assert_ptr_nonnull(strstr(err, port));
    ck_assert_ptr_nonnull(strstr(err, "another port"));
    dtlsl__udp_close(a);
    scene_workers_free(config);
}
END_TEST

START_TEST(a_name_is_no_address)
{
    dtlsl_config *config;
    dtlsl__udp *udp;
    char err[256] = "";

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_lt(
        dtlsl__udp_open(&udp, config, "example.org", 0, err, sizeof(err)), 0);
    ck_assert_ptr_nonnull(strstr(err, "example.org"));
    dtlsl_config_free(config);
}
END_TEST

START_TEST(what_is_wrong_with_an_address_is_told)
{
    static const char *const cases[][2] = {
        {"", "empty"},
        {"[::1]", "without brackets"},
        {"[fe80::1%no-such]", "without brackets"},
        {"fe80::1%no-such-name", "no interface of that name"},
        {"fe80::1%", "no interface of that name"},
        {"::1%lo", "only link-local"},
        {"127.0.0.1%lo", "only link-local"},
        {"name%lo", "looked up"},
        {"127.0.0.1:4433", "looked up"}};
    dtlsl_config *config;
    dtlsl__udp *udp = NULL;
    char err[256];

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(
            dtlsl__udp_open(&udp, config, cases[i][0], 0, err, sizeof(err)),
            DTLSL_ERR_ARGUMENT);
        ck_assert_ptr_null(udp);
        ck_assert_msg(strstr(err, cases[i][1]) != NULL, "no \"%s\" in: %s",
                      cases[i][1], err);
        ck_assert_ptr_nonnull(strstr(err, cases[i][0]));
    }
    dtlsl_config_free(config);
}
END_TEST

START_TEST(what_was_received_outlives_the_socket)
{
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));
    int fd = client_to(udp, "127.0.0.1"), own = dtlsl__udp_fd(udp, 0);
    const dtlsl__datagram *d;

    ck_assert_int_eq(send(fd, "hello", 5, 0), 5);
    d = receive_one(udp);
    dtlsl__udp_release(udp);
    ck_assert_int_lt(fcntl(own, F_GETFD), 0);
    ck_assert_mem_eq(d->data, "hello", 5);
    dtlsl__udp_close(udp);
    close(fd);
}
END_TEST

/* Sends more than a socket with the smallest buffer takes. */
static void
overfill(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    int from = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(
            sendto(from, "x", 1, 0, (struct sockaddr *)&name, len), 1);
    close(from);
}

static uint64_t
drops_of(dtlsl__udp *udp)
{
    return dtlsl__udp_counters(udp)->n[DTLSL__N_KERNEL_DROPS];
}

START_TEST(drops_from_before_the_start_are_not_counted)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), least = 1;
    dtlsl_config *config;
    dtlsl__udp *udp;
    char err[256];

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
    overfill(fd);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "recv-buffer", "0"), DTLSL_OK);
    ck_assert_int_eq(dtlsl__udp_open_fd(&udp, config, fd, err, sizeof(err)),
                     DTLSL_OK);
    ck_assert_uint_eq(drops_of(udp), 0);
    overfill(fd);
    ck_assert_uint_gt(drops_of(udp), 90);
    dtlsl__udp_close(udp);
    dtlsl_config_free(config);
    close(fd);
}
END_TEST

/* The gate drops what was sent to the limited broadcast address. */
START_TEST(a_networks_broadcast_is_told_as_broadcast)
{
    const char *const hosts[] = {NULL, "0.0.0.0"};
    char err[256];

    for (int i = 0; i < 2; i++) {
        dtlsl__udp *udp = open_udp(hosts[i], err, sizeof(err));
        int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
        struct sockaddr_in name = {.sin_family = AF_INET};
        name.sin_port = htons(dtlsl__address_port(dtlsl__udp_address(udp)));
        ck_assert_int_eq(inet_pton(AF_INET, "127.255.255.255", &name.sin_addr),
                         1);
        setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
        ck_assert_int_eq(
            sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
        ck_assert(dtlsl__address_is_multicast(receive_one(udp)->path.local));
        close(fd);
        dtlsl__udp_close(udp);
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_networks_broadcast_is_told_as_broadcast,
        replies_leave_from_the_address_they_were_sent_to,
        an_address_of_ipv4_serves_alone,
        ipv6_is_served_from_the_address_sent_to,
        both_ways_to_receive_see_the_same,
        a_longer_datagram_than_the_slot_is_truncated,
        a_batch_goes_on_behind_one_that_is_refused,
        a_receive_error_does_not_hide_the_datagram_behind,
        a_port_is_bound_once,
        a_group_of_two_shares_its_port,
        a_group_starts_anew_behind_its_last_user,
        a_socket_of_a_group_is_taken_again,
        reuse_port_shares_a_port_with_others,
        a_port_in_use_is_explained,
        a_name_is_no_address,
        what_is_wrong_with_an_address_is_told,
        what_was_received_outlives_the_socket,
        drops_from_before_the_start_are_not_counted,
    };

    return test_main(
        test_suite("udp", tests, sizeof(tests) / sizeof(tests[0])));
}
