/* SPDX-License-Identifier: MIT
 * Lost datagrams and short paths: each datagram of a handshake by itself and
 * each flight as a whole, in both directions, and what does not fit through
 * the network. */
#include "record.h"
#include "test.h"
#include "world.h"
#include <openssl/pem.h>
#include <stdio.h>
#include <unistd.h>

enum {
    NONE = -1,
    ALL = 1000,
    CHAIN = 4,
    IPV4_PATH = 576 - 28,
    IPV6_PATH = 1280 - 48,
    AT_FLIGHT = 1 /* of the engine's datagrams, behind the answer */
};

/* The network: which datagrams it loses, what it saw. */
static struct {
    int lost_out, lost_in; /* by their number, from 0; or NONE */
    int n_out, n_in;
    int lost_until_out, lost_until_in; /* and all from that to this */
    size_t longest;                    /* what passes */
    size_t longest_passed;
    uint64_t accepted_seq; /* record number of the hello with a cookie */
    uint64_t server_seq;   /* ... and of the first ServerHello */
} net;

static void
reset_net(void)
{
    memset(&net, 0, sizeof(net));
    net.lost_out = net.lost_in = NONE;
    net.longest = 65535;
    net.server_seq = UINT64_MAX;
}

static int
is_lost(int n, int lost, int until)
{
    return lost != NONE && n >= lost && (n == lost || n <= until);
}

static int
loses_out(const uint8_t *data, size_t len)
{
    int n = net.n_out++;

    if (data[0] == 22 && data[13] == 2 && net.server_seq == UINT64_MAX)
        net.server_seq = dtlsl__get48(data + 5);
    if (is_lost(n, net.lost_out, net.lost_until_out) || len > net.longest)
        return 1;
    if (len > net.longest_passed)
        net.longest_passed = len;
    return 0;
}

static int
loses_in(const uint8_t *data, size_t len)
{
    int n = net.n_in++;

    (void)len;
    if (is_lost(n, net.lost_in, net.lost_until_in))
        return 1;
    /* the first that has message_seq 1 and arrives */
    if (net.accepted_seq == 0 && data[0] == 22 && data[13] == 1 &&
        data[18] == 1 && data[21] == 0)
        net.accepted_seq = dtlsl__get48(data + 5);
    return 0;
}

static void
attach_net(world *w)
{
    w->loses_out = loses_out;
    w->loses_in = loses_in;
}

/* Brings the client up with 'rounds' timeouts at the most; returns how many
 * it took. */
static int
run(world *w, client *c, int rounds)
{
    int round = 0;

    world_pump(w);
    while (!client_is_open(c) && round < rounds)
        world_advance(w, 1000ULL << round++);
    ck_assert_msg(client_is_open(c), "out %d, in %d: no handshake",
                  net.lost_out, net.lost_in);
    world_check_echo(w, c, "through");
    world_check_one(w);
    ck_assert_uint_eq(net.server_seq, net.accepted_seq);
    return round;
}

/* Each datagram by itself */

typedef struct setting {
    const char *options;
    client_options client;
    int certificate; /* the client has one, of the server's ca-file */
} setting;

static const setting settings[] = {
    {NULL, {.mtu = 0}, 0},
    {"mtu=300", {.mtu = 0}, 0},
    {"mtu=300", {.mtu = 300}, 1},
    {NULL, {.mtu = 256, .alpn_padding = 600}, 0},
};

/* One handshake that loses datagram number 'out' or 'in'. */
static void
lose_one(const setting *s, int out, int in)
{
    client_options options = s->client;
    identity me = {NULL, NULL};
    world *w = s->certificate ? world_of_certificates(s->options, &me)
                              : world_new(s->options);

    if (s->certificate)
        options.identity = &me;
    reset_net();
    net.lost_out = out;
    net.lost_in = in;
    attach_net(w);
    ck_assert_int_le(run(w, world_client(w, &options), 2), 2);
    world_free(w);
    identity_free(&me);
}

START_TEST(each_lost_datagram_costs_two_timeouts_at_the_most)
{
    const setting *s = &settings[_i];
    int n_out, n_in;

    lose_one(s, NONE, NONE);
    n_out = net.n_out;
    n_in = net.n_in;
    ck_assert_int_ge(n_out, 3);
    for (int i = 0; i < n_out - 1; i++) /* the last is the echo */
        lose_one(s, i, NONE);
    for (int i = 0; i < n_in - 1; i++)
        lose_one(s, NONE, i);
}
END_TEST

/* Flights, and the number of the ServerHello's record */

START_TEST(the_servers_hello_has_the_number_of_the_accepted_one)
{
    static const struct {
        int out, in, until_in;
        uint64_t want;
    } cases[] = {
        {NONE, NONE, 0, 1}, /* nothing is lost */
        {NONE, 0, 0, 2},    /* the first hello */
        {0, NONE, 0, 2},    /* the answer */
        {NONE, 1, 0, 2},    /* the second hello */
        {NONE, 0, 1, 3},    /* the first hello twice */
        {NONE, 1, 3, 4},    /* the second hello three times */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        world *w = world_new(NULL);
        reset_net();
        net.lost_out = cases[i].out;
        net.lost_in = cases[i].in;
        net.lost_until_in = cases[i].until_in;
        attach_net(w);
        run(w, world_client(w, NULL), 4);
        ck_assert_msg(net.server_seq == cases[i].want, "case %zu: %d", i,
                      (int)net.server_seq);
        /* the client took the first flight: nothing was sent twice */
        ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
        world_free(w);
    }
}
END_TEST

START_TEST(the_first_flight_may_be_lost_twice)
{
    world *w = world_new("mtu=300");
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    w->lose = ALL;
    world_input(w, &w->path[0], hello, len);
    world_advance(w, 1000);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 1);
    w->lose = 0;
    ck_assert(!client_is_open(c));
    world_advance(w, 2000);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 2);
    ck_assert(client_is_open(c));
    world_check_echo(w, c, "late");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_free(w);
}
END_TEST

START_TEST(the_clients_second_flight_may_be_lost_twice)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];

    world_accept(w, c, hello);
    client_discard(c);
    world_wait(w, 1000);
    client_timer(c);
    client_discard(c);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 0);
    world_advance(w, 2000);
    ck_assert(client_is_open(c));
    world_check_echo(w, c, "late");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    world_free(w);
}
END_TEST

/* It has no timer: it is sent again for each of the client's. */
START_TEST(the_last_flight_may_be_lost_five_times)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];

    world_accept(w, c, hello);
    w->lose = ALL;
    world_pump(w);
    for (int i = 0; i < 4; i++) {
        ck_assert(!client_is_open(c));
        world_advance(w, 1000ULL << i);
    }
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    w->lose = 0;
    world_advance(w, 16000);
    ck_assert(client_is_open(c));
    world_check_echo(w, c, "late");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_free(w);
}
END_TEST

START_TEST(a_second_flight_that_comes_twice_opens_once)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    ck_assert_uint_eq(n, 1); /* ClientKeyExchange to Finished */
    world_input(w, &w->path[0], held[0].data, held[0].len);
    world_input(w, &w->path[0], held[0].data, held[0].len);
    packet_free(&held[0]);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DATA_IN), 1);
    world_free(w);
}
END_TEST

/* A client that resumes a session sends data right behind its Finished. */
START_TEST(data_behind_a_lost_finished_waits_for_it)
{
    client_options options = {.session = NULL};
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];

    world_connect(w, c);
    options.session = SSL_get1_session(client_ssl(c));
    client_shutdown(c);
    world_pump(w);
    world_drop_client(w, c);
    w->n_events = 0;
    c = world_client(w, &options);
    world_accept(w, c, hello);
    ck_assert(client_is_open(c) && SSL_session_reused(client_ssl(c)));
    client_discard(c); /* its ChangeCipherSpec and Finished */
    ck_assert_int_eq(client_write(c, "early", 5), 5);
    world_pump(w);
    ck_assert_uint_eq(w->n_events, 0);
    world_advance(w, 1000);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 1);
    ck_assert_uint_eq(world_find(w, DTLSL_EVENT_DATA)->len, 5);
    world_check_echo(w, c, "x");
    SSL_SESSION_free(options.session);
    world_free(w);
}
END_TEST

/* Short paths */

/* A chain of certificates that no one datagram takes. */
static world *
world_with_chain(const char *options)
{
    char file[] = "/tmp/flight_test.XXXXXX", text[512];
    world *w;
    identity id;
    FILE *f;

    close(mkstemp(file));
    identity_make(&id, "a server with a long chain");
    identity_save(&id, file);
    f = fopen(file, "a");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < CHAIN; i++) {
        identity other;
        identity_make(&other, "an authority with a name that is quite long");
        ck_assert_int_eq(PEM_write_X509(f, other.cert), 1);
        identity_free(&other);
    }
    ck_assert_int_eq(fclose(f), 0);
    identity_free(&id);
    snprintf(text, sizeof(text), "cert-file=%s %s", file, options);
    reset_net();
    w = world_new(text);
    unlink(file);
    return w;
}

static dtlsl_path
path_of_ipv6(void)
{
    dtlsl_path path = world_path(1, 4000);

    memset(path.peer, 0, 16);
    memset(path.local, 0, 16);
    path.peer[0] = path.local[0] = 0x20;
    path.peer[15] = 1;
    path.local[15] = 9;
    return path;
}

/* Sends as much as there is room for, and a byte more. */
static void
check_limit(world *w, client *c, uint64_t id, size_t longest)
{
    static uint8_t data[DTLSL__RECORD_MAX + 1];
    int32_t mtu = dtlsl__engine_mtu(w->engine, id);
    size_t received = client_received(c), len;

    ck_assert_int_gt(mtu, 0);
    ck_assert_int_ge(mtu + 64, (int32_t)longest);
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, data, (size_t)mtu + 1),
                     DTLSL_ERR_TOOBIG);
    ck_assert_str_eq(dtlsl_err_name(DTLSL_ERR_TOOBIG), "DTLSL_ERR_TOOBIG");
    ck_assert_ptr_nonnull(strstr(dtlsl_strerror(DTLSL_ERR_TOOBIG), "MTU"));
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, data, (size_t)mtu),
                     DTLSL_OK);
    w->longest_sent = 0;
    world_pump(w);
    ck_assert_uint_le(w->longest_sent, longest);
    ck_assert_uint_eq(client_received(c), received + 1);
    client_last(c, &len);
    ck_assert_uint_eq(len, (size_t)mtu);
}

static void
check_mtu(uint32_t mtu, const dtlsl_path *path)
{
    char options[32];
    world *w;
    client *c;

    snprintf(options, sizeof(options), "mtu=%u", mtu);
    w = world_with_chain(options);
    c = world_client_at(w, NULL, path);
    world_pump(w);
    ck_assert_uint_le(w->longest_sent, mtu);
    if (mtu <= 1472) /* the flight is longer */
        ck_assert_uint_ge(w->longest_sent, mtu - 16);
    check_limit(w, c, world_connect(w, c), mtu < 16384 ? mtu : 16384 + 64);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
    world_free(w);
}

START_TEST(records_fill_the_mtu_from_the_smallest_to_the_largest)
{
    static const uint32_t mtus[] = {256,  257,  300,  548,   1232,
                                    1452, 1472, 9000, 17000, 65507};
    dtlsl_path v4 = world_path(1, 4000), v6 = path_of_ipv6();

    for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
        check_mtu(mtus[i], &v4);
        check_mtu(mtus[i], &v6);
    }
}
END_TEST

/* Every path of IPv4 carries 576 bytes, every one of IPv6 1280; what is longer
 * gets lost without a word. OpenSSL asks what to fall back to at its third
 * timeout, after 1 + 2 + 4 seconds. */
static void
check_short_path(const dtlsl_path *path, uint32_t longest)
{
    client_options options = {.mtu = longest};
    world *w = world_with_chain("mtu=1452");
    client *c = world_client_at(w, &options, path);
    uint64_t id;

    net.longest = longest;
    attach_net(w);
    world_pump(w);
    ck_assert_uint_gt(w->longest_sent, longest); /* or it proves nothing */
    ck_assert(!client_is_open(c));
    world_advance(w, 1000);
    world_advance(w, 2000);
    ck_assert(!client_is_open(c));
    w->longest_sent = 0;
    world_advance(w, 4000);
    ck_assert_uint_le(w->longest_sent, longest);
    ck_assert_uint_ge(w->longest_sent, longest - 16);
    ck_assert(client_is_open(c));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 3);
    id = world_connect(w, c);
    check_limit(w, c, id, longest);
    world_advance(w, 60000); /* and it stays */
    check_limit(w, c, id, longest);
    world_check_echo(w, c, "through");
    world_free(w);
}

START_TEST(a_path_of_576_bytes_costs_three_timeouts)
{
    dtlsl_path path = world_path(1, 4000);

    check_short_path(&path, IPV4_PATH);
}
END_TEST

START_TEST(a_path_of_1280_bytes_by_ipv6_costs_three_timeouts)
{
    dtlsl_path path = path_of_ipv6();

    check_short_path(&path, IPV6_PATH);
}
END_TEST

/* OpenSSL packs the last flight by the limit that it fell back to, and does
 * not count all of Finished. The protocol's name makes the ticket long. */
START_TEST(no_flight_is_longer_than_the_fallback)
{
    char option[300] = "mtu=1452 alpn=", *name = option + strlen(option);
    client_options options = {.mtu = IPV4_PATH, .alpn = name};
    dtlsl_path path = world_path(1, 4000);

    for (size_t len = 200; len < 255; len += 5) {
        world *w;
        client *c;

        memset(name, 'a', len);
        name[len] = '\0';
        w = world_with_chain(option);
        c = world_client_at(w, &options, &path);
        reset_net();
        net.longest = IPV4_PATH;
        attach_net(w);
        world_pump(w);
        world_advance(w, 1000);
        world_advance(w, 2000);
        w->longest_sent = 0;
        world_advance(w, 4000);
        ck_assert(client_is_open(c));
        ck_assert_uint_le(w->longest_sent, IPV4_PATH);
        world_free(w);
    }
}
END_TEST

/* What is configured for such paths needs no fallback. */
START_TEST(an_mtu_that_fits_the_path_costs_nothing)
{
    client_options options = {.mtu = IPV4_PATH};
    world *w = world_with_chain("mtu=548");
    client *c = world_client(w, &options);

    net.longest = IPV4_PATH;
    attach_net(w);
    world_connect(w, c);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
    world_check_echo(w, c, "through");
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        the_servers_hello_has_the_number_of_the_accepted_one,
        the_first_flight_may_be_lost_twice,
        the_clients_second_flight_may_be_lost_twice,
        the_last_flight_may_be_lost_five_times,
        a_second_flight_that_comes_twice_opens_once,
        data_behind_a_lost_finished_waits_for_it,
        records_fill_the_mtu_from_the_smallest_to_the_largest,
        a_path_of_576_bytes_costs_three_timeouts,
        a_path_of_1280_bytes_by_ipv6_costs_three_timeouts,
        no_flight_is_longer_than_the_fallback,
        an_mtu_that_fits_the_path_costs_nothing,
    };
    Suite *suite =
        test_suite("flight", tests, sizeof(tests) / sizeof(tests[0]));
    TCase *loop = tcase_create("each datagram");

    tcase_set_timeout(loop, 120);
    tcase_add_loop_test(loop,
                        each_lost_datagram_costs_two_timeouts_at_the_most, 0,
                        (int)(sizeof(settings) / sizeof(settings[0])));
    suite_add_tcase(suite, loop);
    return test_main(suite);
}
