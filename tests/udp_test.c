/* SPDX-License-Identifier: MIT
 * The socket, on loopback. */
#include "udp.h"
#include "address.h"
#include "test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

static dtlsl__udp *
open_udp(const char *host, char *err, size_t len)
{
    dtlsl_config *config;
    dtlsl__udp *udp = NULL;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl__udp_open(&udp, config, host, 0, err, len),
                     DTLSL_OK);
    dtlsl_config_free(config);
    return udp;
}

static int
client_to(const dtlsl__udp *udp, const char *host)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    name.sin_port = htons(dtlsl__address_port(dtlsl__udp_address(udp)));
    ck_assert_int_eq(inet_pton(AF_INET, host, &name.sin_addr), 1);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static const dtlsl__datagram *
receive_one(dtlsl__udp *udp)
{
    struct pollfd fd = {dtlsl__udp_fd(udp), POLLIN, 0};
    const dtlsl__datagram *list;

    ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    ck_assert_uint_eq(dtlsl__udp_receive(udp, &list), 1);
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
    ck_assert_int_eq(strncmp(text, host, strlen(host)), 0);
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

START_TEST(a_longer_datagram_than_the_slot_is_truncated)
{
    static uint8_t big[DTLSL__SLOT + 1];
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));
    int fd = client_to(udp, "127.0.0.1");

    ck_assert_int_eq(send(fd, big, sizeof(big), 0), sizeof(big));
    ck_assert_int_eq(receive_one(udp)->truncated, 1);
    close(fd);
    dtlsl__udp_close(udp);
}
END_TEST

/* Port 0 is EINVAL, and 65535 bytes are EMSGSIZE. */
START_TEST(a_batch_goes_on_behind_one_that_is_refused)
{
    static uint8_t arena[65535];
    char err[256];
    dtlsl__udp *udp = open_udp("127.0.0.1", err, sizeof(err));
    int fd = client_to(udp, "127.0.0.1");
    struct pollfd in = {fd, POLLIN, 0};
    const dtlsl__datagram *d;
    dtlsl__output list[3];

    ck_assert_int_eq(send(fd, "x", 1, 0), 1);
    d = receive_one(udp);
    for (int i = 0; i < 3; i++) {
        list[i] = (dtlsl__output){0, 5, 0, d->path};
    }
    memset(list[0].path.peer + 16, 0, 2);
    list[1].len = sizeof(arena);
    ck_assert_uint_eq(dtlsl__udp_send(udp, list, 3, arena), 3);
    ck_assert_int_eq(poll(&in, 1, 10000), 1);
    ck_assert_int_eq(recv(fd, arena, sizeof(arena), 0), 5);
    ck_assert_uint_eq(dtlsl__udp_counters(udp)->n[DTLSL__N_SEND_DROPPED], 2);
    ck_assert_uint_eq(dtlsl__udp_counters(udp)->n[DTLSL__N_SEND_TOOBIG], 1);
    ck_assert_uint_eq(dtlsl__udp_counters(udp)->n[DTLSL__N_SENT], 1);
    close(fd);
    dtlsl__udp_close(udp);
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

int
main(void)
{
    const TTest *const tests[] = {
        replies_leave_from_the_address_they_were_sent_to,
        an_address_of_ipv4_serves_alone,
        a_longer_datagram_than_the_slot_is_truncated,
        a_batch_goes_on_behind_one_that_is_refused,
        a_name_is_no_address,
    };

    return test_main(
        test_suite("udp", tests, sizeof(tests) / sizeof(tests[0])));
}
