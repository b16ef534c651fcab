/* SPDX-License-Identifier: MIT
 * Addresses: from and to struct sockaddr, as text, kinds and prefixes. */
#include "address.h"
#include "test.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

static uint8_t address[24];

static void
parse(const char *host, uint16_t port)
{
    memset(address, 0xaa, sizeof(address));
    ck_assert_msg(dtlsl__address_parse(address, host, port) == DTLSL_OK, "%s",
                  host ? host : "NULL");
}

static void
expect_text(const char *text)
{
    char buf[DTLSL_ADDRESS_MAX];

    ck_assert_int_eq(dtlsl__address_text(address, buf, sizeof(buf)),
                     (int32_t)strlen(text));
    ck_assert_str_eq(buf, text);
}

static struct sockaddr_in
in4(const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    ck_assert_int_eq(inet_pton(AF_INET, host, &in.sin_addr), 1);
    return in;
}

static struct sockaddr_in6
in6(const char *host, uint16_t port, uint32_t zone)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6,
                              .sin6_port = htons(port),
                              .sin6_flowinfo = htonl(0x12345),
                              .sin6_scope_id = zone};

    ck_assert_int_eq(inet_pton(AF_INET6, host, &in.sin6_addr), 1);
    return in;
}

static int32_t
take(uint8_t out[24], const void *sa, size_t len)
{
    return dtlsl__address_from_sockaddr(out, sa, len);
}

START_TEST(an_ipv4_address_has_these_bytes)
{
    static const uint8_t want[24] = {0, 0,   0,   0,   0, 0, 0, 0,    0,
                                     0, 255, 255, 192, 0, 2, 1, 0x11, 0x51};
    struct sockaddr_in in = in4("192.0.2.1", 4433);

    memset(address, 0xaa, sizeof(address));
    ck_assert_int_eq(take(address, &in, sizeof(in)), DTLSL_OK);
    ck_assert_mem_eq(address, want, sizeof(want));
}
END_TEST

START_TEST(a_link_local_address_has_these_bytes)
{
    static const uint8_t want[24] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0,
                                     0,    0,    0, 0, 0, 0, 0, 1,
                                     0x11, 0x51, 1, 2, 3, 4};
    struct sockaddr_in6 in = in6("fe80::1", 4433, 0x01020304);

    memset(address, 0xaa, sizeof(address));
    ck_assert_int_eq(take(address, &in, sizeof(in)), DTLSL_OK);
    ck_assert_mem_eq(address, want, sizeof(want));
}
END_TEST

START_TEST(ipv4_and_v4_mapped_are_the_same)
{
    struct sockaddr_in a = in4("192.0.2.1", 5);
    struct sockaddr_in6 b = in6("::ffff:192.0.2.1", 5, 7);
    uint8_t other[24];

    ck_assert_int_eq(take(address, &a, sizeof(a)), DTLSL_OK);
    ck_assert_int_eq(take(other, &b, sizeof(b)), DTLSL_OK);
    ck_assert_mem_eq(address, other, sizeof(other));
    parse("::ffff:192.0.2.1", 5);
    ck_assert_mem_eq(address, other, sizeof(other));
}
END_TEST

START_TEST(a_zone_counts_in_fe80_10_only)
{
    static const char *const with[] = {"fe80::1", "febf::1"};
    static const char *const without[] = {"fe7f::1", "fec0::1", "2001:db8::1",
                                          "ff02::1"};

    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_in6 in = in6(with[i], 5, 2);
        ck_assert_int_eq(take(address, &in, sizeof(in)), DTLSL_OK);
        ck_assert_uint_eq(address[21], 2);
    }
    for (size_t i = 0; i < 4; i++) {
        struct sockaddr_in6 in = in6(without[i], 5, 2);
        ck_assert_int_eq(take(address, &in, sizeof(in)), DTLSL_OK);
        ck_assert_uint_eq(address[21], 0);
    }
}
END_TEST

START_TEST(short_and_foreign_sockaddrs_are_refused)
{
    struct sockaddr_in a = in4("192.0.2.1", 5);
    struct sockaddr_in6 b = in6("2001:db8::1", 5, 0);
    struct sockaddr unix_address = {.sa_family = AF_UNIX};

    for (size_t len = 0; len < sizeof(a); len++)
        ck_assert_int_eq(take(address, &a, len), DTLSL_ERR_ARGUMENT);
    for (size_t len = 0; len < sizeof(b); len++)
        ck_assert_int_eq(take(address, &b, len), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(take(address, &unix_address, sizeof(unix_address)),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(take(address, NULL, 28), DTLSL_ERR_ARGUMENT);
}
END_TEST

START_TEST(a_sockaddr_need_not_be_aligned)
{
    struct sockaddr_in6 in = in6("2001:db8::1", 5, 0);
    char bytes[sizeof(in) + 1];

    memcpy(bytes + 1, &in, sizeof(in));
    ck_assert_int_eq(take(address, bytes + 1, sizeof(in)), DTLSL_OK);
    expect_text("[2001:db8::1]:5");
}
END_TEST

START_TEST(sockaddrs_come_back_as_they_went_in)
{
    struct sockaddr_in a = in4("192.0.2.1", 5);
    struct sockaddr_in6 b = in6("fe80::1", 5, 2);
    struct sockaddr_storage out;

    b.sin6_flowinfo = 0;
    ck_assert_int_eq(take(address, &a, sizeof(a)), DTLSL_OK);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_INET, &out),
                      sizeof(a));
    ck_assert_mem_eq(&out, &a, sizeof(a));
    ck_assert_int_eq(take(address, &b, sizeof(b)), DTLSL_OK);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_INET6, &out),
                      sizeof(b));
    ck_assert_mem_eq(&out, &b, sizeof(b));
}
END_TEST

START_TEST(an_ipv6_socket_gets_ipv4_as_v4_mapped)
{
    struct sockaddr_in6 want = in6("::ffff:192.0.2.1", 5, 0);
    struct sockaddr_storage out;

    want.sin6_flowinfo = 0;
    parse("192.0.2.1", 5);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_INET6, &out),
                      sizeof(want));
    ck_assert_mem_eq(&out, &want, sizeof(want));
}
END_TEST

START_TEST(an_ipv4_socket_gets_no_ipv6_but_the_wildcard)
{
    struct sockaddr_in want = in4("0.0.0.0", 5);
    struct sockaddr_storage out;

    parse("2001:db8::1", 5);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_INET, &out), 0);
    parse("::1", 5);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_INET, &out), 0);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_UNIX, &out), 0);
    parse(NULL, 5);
    ck_assert_uint_eq(dtlsl__address_to_sockaddr(address, AF_INET, &out),
                      sizeof(want));
    ck_assert_mem_eq(&out, &want, sizeof(want));
}
END_TEST

START_TEST(addresses_are_printed)
{
    parse("1.2.3.4", 5);
    expect_text("1.2.3.4:5");
    parse("::ffff:1.2.3.4", 65535);
    expect_text("1.2.3.4:65535");
    parse("2001:DB8:0::1", 5);
    expect_text("[2001:db8::1]:5");
    parse("fe80::1%2", 5);
    expect_text("[fe80::1%2]:5");
    parse("fe80::1", 5);
    expect_text("[fe80::1]:5");
    parse(NULL, 0);
    expect_text("[::]:0");
}
END_TEST

START_TEST(the_longest_text_fits_and_too_small_is_told)
{
    char buf[DTLSL_ADDRESS_MAX];
    int32_t len;

    parse("fe80:1111:1111:1111:1111:1111:1111:1111%4294967295", 65535);
    expect_text("[fe80:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535");
    len = dtlsl__address_text(address, buf, sizeof(buf));
    for (size_t cap = 0; cap <= (size_t)len; cap++)
        ck_assert_int_eq(dtlsl__address_text(address, buf, cap),
                         DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl__address_text(address, buf, (size_t)len + 1), len);
}
END_TEST

START_TEST(no_host_is_all_zero_with_the_port)
{
    static const uint8_t want[24] = {[16] = 0x11, [17] = 0x51};

    parse(NULL, 4433);
    ck_assert_mem_eq(address, want, sizeof(want));
    ck_assert_uint_eq(dtlsl__address_port(address), 4433);
}
END_TEST

START_TEST(a_zone_may_be_the_name_of_an_interface)
{
    char host[IF_NAMESIZE + 16];
    char text[64];
    char name[IF_NAMESIZE];

    if (if_indextoname(1, name) == NULL)
        return;
    (void)snprintf(host, sizeof(host), "fe80::1%%%s", name);
    (void)snprintf(text, sizeof(text), "[fe80::1%%%u]:5",
                   if_nametoindex(name));
    parse(host, 5);
    expect_text(text);
}
END_TEST

START_TEST(what_is_no_numeric_host_is_refused)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.4:5",
        "1.2.3.4%1",
        "[::1]",
        ":::",
        "2001:db8::1%1",
        "fe80::1%",
        "fe80::1%no-such-if",
        "fe80::1%1x",
        "fe80::1%-1",
        "fe80::1%4294967296",
        "fe80::1%99999999999999999999999999999999",
        "%1",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
    };
    uint8_t before[24];

    memset(before, 0xaa, sizeof(before));
    memset(address, 0xaa, sizeof(address));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(dtlsl__address_parse(address, bad[i], 5) ==
                          DTLSL_ERR_ARGUMENT,
                      "%s", bad[i]);
        ck_assert_mem_eq(address, before, sizeof(before));
    }
}
END_TEST

START_TEST(kinds_of_address_are_told)
{
    static const struct {
        const char *host;
        int v4, multicast, unspecified;
    } kinds[] = {
        {"223.255.255.255", 1, 0, 0},
        {"224.0.0.0", 1, 1, 0},
        {"239.255.255.255", 1, 1, 0},
        {"240.0.0.0", 1, 0, 0},
        {"255.255.255.254", 1, 0, 0},
        {"255.255.255.255", 1, 1, 0},
        {"0.0.0.0", 1, 0, 1},
        {"0.0.0.1", 1, 0, 0},
        {"::", 0, 0, 1},
        {"::1", 0, 0, 0},
        {"ff00::", 0, 1, 0},
        {"ff02::1", 0, 1, 0},
        {"feff::1", 0, 0, 0},
        {"::ffff:224.0.0.1", 1, 1, 0},
        {"::224.0.0.1", 0, 0, 0},
        {"2001:db8::1", 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        parse(kinds[i].host, 5);
        ck_assert_msg(!dtlsl__address_is_v4(address) == !kinds[i].v4 &&
                          !dtlsl__address_is_multicast(address) ==
                              !kinds[i].multicast &&
                          !dtlsl__address_is_unspecified(address) ==
                              !kinds[i].unspecified,
                      "%s", kinds[i].host);
    }
}
END_TEST

START_TEST(limits_count_by_these_prefixes)
{
    static const char *const cases[][3] = {
        {"192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"64:ff9b::192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"64:ff9b::1:192.0.2.1", "64:ff9b::", "64:ff9b::"},
        {"64:ff9b:1::192.0.2.1", "64:ff9b:1::", "64:ff9b:1::"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1::"},
    };
    uint8_t prefix[16];
    uint8_t want[16];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int wide = 0; wide < 2; wide++) {
            parse(cases[i][0], 5);
            memset(prefix, 0xaa, sizeof(prefix));
            dtlsl__address_prefix(address, wide, prefix);
            ck_assert_int_eq(inet_pton(AF_INET6, cases[i][1 + wide], want), 1);
            ck_assert_mem_eq(prefix, want, sizeof(want));
        }
    }
}
END_TEST

START_TEST(a_path_is_set_from_two_sockaddrs)
{
    struct sockaddr_in peer = in4("192.0.2.1", 5);
    struct sockaddr_in6 local = in6("2001:db8::1", 6, 0);
    dtlsl_path path;

    ck_assert_int_eq(
        dtlsl_path_set(&path, &peer, sizeof(peer), &local, sizeof(local)),
        DTLSL_OK);
    memcpy(address, path.peer, sizeof(address));
    expect_text("192.0.2.1:5");
    memcpy(address, path.local, sizeof(address));
    expect_text("[2001:db8::1]:6");
}
END_TEST

START_TEST(a_path_without_local_has_zeros_there)
{
    static const uint8_t zeros[24];
    struct sockaddr_in peer = in4("192.0.2.1", 5);
    dtlsl_path path;

    memset(&path, 0xaa, sizeof(path));
    ck_assert_int_eq(dtlsl_path_set(&path, &peer, sizeof(peer), NULL, 0),
                     DTLSL_OK);
    ck_assert_mem_eq(path.local, zeros, sizeof(zeros));
}
END_TEST

START_TEST(a_path_of_broken_arguments_stays_as_it_was)
{
    struct sockaddr_in good = in4("192.0.2.1", 5);
    size_t len = sizeof(good);
    dtlsl_path path, before;

    memset(&path, 0xaa, sizeof(path));
    before = path;
    ck_assert_int_eq(dtlsl_path_set(NULL, &good, len, NULL, 0),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_path_set(&path, NULL, 0, NULL, 0),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_path_set(&path, &good, len, NULL, len),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_path_set(&path, &good, len, &good, 0),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_mem_eq(&path, &before, sizeof(path));
}
END_TEST

START_TEST(a_path_is_set_from_what_is_printed)
{
    static const char *const texts[] = {
        "192.0.2.1:4433",
        "[2001:db8::1]:4433",
        "[fe80::1%7]:4433",
        "[fe80::1]:1",
        "0.0.0.0:0",
        "[::]:65535",
        "[fe80:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535",
    };
    static const uint8_t zeros[24];
    dtlsl_path path;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        memset(&path, 0xaa, sizeof(path));
        ck_assert_int_eq(dtlsl_path_set_text(&path, texts[i], NULL), DTLSL_OK);
        memcpy(address, path.peer, sizeof(address));
        expect_text(texts[i]);
        ck_assert_mem_eq(path.local, zeros, sizeof(zeros));
        ck_assert_int_eq(dtlsl_path_set_text(&path, "1.2.3.4:5", texts[i]),
                         DTLSL_OK);
        memcpy(address, path.local, sizeof(address));
        expect_text(texts[i]);
        memcpy(address, path.peer, sizeof(address));
        expect_text("1.2.3.4:5");
    }
    ck_assert_int_eq(dtlsl_path_set_text(&path, "[::ffff:192.0.2.1]:5", NULL),
                     DTLSL_OK);
    memcpy(address, path.peer, sizeof(address));
    expect_text("192.0.2.1:5");
}
END_TEST

START_TEST(a_paths_zone_may_be_the_name_of_an_interface)
{
    char name[IF_NAMESIZE], text[64], want[64];
    dtlsl_path path;

    if (if_indextoname(1, name) == NULL)
        return;
    (void)snprintf(text, sizeof(text), "[fe80::1%%%s]:5", name);
    (void)snprintf(want, sizeof(want), "[fe80::1%%1]:5");
    ck_assert_int_eq(dtlsl_path_set_text(&path, text, NULL), DTLSL_OK);
    memcpy(address, path.peer, sizeof(address));
    expect_text(want);
}
END_TEST

START_TEST(a_text_that_is_never_printed_sets_no_path)
{
    static const char *const bad[] = {
        "",
        ":",
        "[",
        "[:5",
        "]:5",
        "[]:5",
        ":5",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4: 1",
        "1.2.3.4:1 ",
        "1.2.3.4:01",
        "1.2.3.4:65536",
        "1.2.3.4:99999999999999999999",
        "1.2.3.4:0x1",
        " 1.2.3.4:1",
        "1.2.3:4",
        "[1.2.3.4]:5",
        "[1.2.3.4:5]",
        "localhost:5",
        "::1:5",
        "[::1]",
        "[::1]5",
        "[::1:5",
        "::1]:5",
        "[[::1]]:5",
        "[::1]:5]:5",
        "[2001:db8::1%1]:5",
        "[fe80::1%]:5",
        "[fe80::1%no-such-if]:5",
        "1.2.3.4%1:5",
        ("[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:"
         "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:"
         "5"),
    };
    dtlsl_path path, before;

    memset(&path, 0xaa, sizeof(path));
    before = path;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(dtlsl_path_set_text(&path, bad[i], NULL) ==
                          DTLSL_ERR_ARGUMENT,
                      "peer %s", bad[i]);
        ck_assert_msg(dtlsl_path_set_text(&path, "1.2.3.4:5", bad[i]) ==
                          DTLSL_ERR_ARGUMENT,
                      "local %s", bad[i]);
    }
    ck_assert_int_eq(dtlsl_path_set_text(&path, NULL, "1.2.3.4:5"),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_path_set_text(NULL, "1.2.3.4:5", NULL),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_mem_eq(&path, &before, sizeof(path));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        an_ipv4_address_has_these_bytes,
        a_link_local_address_has_these_bytes,
        ipv4_and_v4_mapped_are_the_same,
        a_zone_counts_in_fe80_10_only,
        short_and_foreign_sockaddrs_are_refused,
        a_sockaddr_need_not_be_aligned,
        sockaddrs_come_back_as_they_went_in,
        an_ipv6_socket_gets_ipv4_as_v4_mapped,
        an_ipv4_socket_gets_no_ipv6_but_the_wildcard,
        addresses_are_printed,
        the_longest_text_fits_and_too_small_is_told,
        no_host_is_all_zero_with_the_port,
        a_zone_may_be_the_name_of_an_interface,
        what_is_no_numeric_host_is_refused,
        kinds_of_address_are_told,
        limits_count_by_these_prefixes,
        a_path_is_set_from_two_sockaddrs,
        a_path_without_local_has_zeros_there,
        a_path_of_broken_arguments_stays_as_it_was,
        a_path_is_set_from_what_is_printed,
        a_paths_zone_may_be_the_name_of_an_interface,
        a_text_that_is_never_printed_sets_no_path,
    };

    return test_main(
        test_suite("address", tests, sizeof(tests) / sizeof(tests[0])));
}
