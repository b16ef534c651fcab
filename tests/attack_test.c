/* SPDX-License-Identifier: MIT
 * What owners of addresses and accidents do to the engine, and that honest
 * peers do not notice: junk, copies, limits. rehandshake_test.c has clients
 * that come back, spoof_test.c spoofed records. */
#include "record.h"
#include "fuzz/conn_fuzz_seal.h"
#include "test.h"
#include "world.h"

enum {
    ANSWER_MS = 300 /* in which a half-open connection is not evicted */
};

/* Outcomes */

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void
throw_junk(world *w, const uint8_t *seed, size_t len, uint32_t *random)
{
    dtlsl_path path = world_path(1 + next_random(random) % 3, 4000);
    uint8_t junk[HELLO_ROOM];

    if (len > sizeof(junk))
        len = sizeof(junk);
    memcpy(junk, seed, len);
    for (uint32_t i = next_random(random) % 4; i > 0 && len > 0; i--)
        junk[next_random(random) % len] = (uint8_t)next_random(random);
    if (next_random(random) % 4 == 0)
        len = next_random(random) % (len + 1);
    if (next_random(random) % 16 == 0)
        path.peer[16] = path.peer[17] = 0;
    world_input(w, &path, junk, len);
}

START_TEST(every_datagram_has_exactly_one_outcome)
{
    world *w = world_new("max-handshakes=8 events-hello=1");
    client *a = world_client(w, NULL), *b = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM], noise[HELLO_ROOM];
    uint32_t random = 42;
    size_t len = world_second_hello(w, a, hello);
    packet p;

    world_input(w, &w->path[0], hello, len);
    world_connect(w, a);
    for (int i = 0; i < 1500; i++) {
        for (size_t k = 0; k < sizeof(noise); k++)
            noise[k] = (uint8_t)next_random(&random);
        throw_junk(w, noise, next_random(&random) % 200, &random);
        throw_junk(w, hello, len, &random);
        throw_junk(w, w->hello_len ? w->hello : hello, len, &random);
        throw_junk(w, w->last_sent, w->last_sent_len, &random);
        client_write(a, "x", 1);
        ck_assert_int_eq(client_take(a, &p), 1);
        throw_junk(w, p.data, p.len, &random);
        packet_free(&p);
        if (i % 16 == 0)
            world_wait(w, 1000);
        w->n_events = 0;
        world_check_sums(w);
    }
    ck_assert_uint_gt(world_counter(w, DTLSL__N_RECEIVED), 7500);
    world_check_echo(w, a, "still here");
    world_drop_client(w, b);
    world_free(w);
}
END_TEST

START_TEST(truncated_and_empty_datagrams_are_told_apart)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000);
    uint8_t hello[HELLO_ROOM];
    dtlsl__datagram datagram = {hello, 100, 1, 0, path};

    world_forge(w, &path, 1, hello);
    world_begin(w);
    dtlsl__engine_input(w->engine, &datagram);
    world_drain(w);
    world_input(w, &path, hello, 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_TRUNCATED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_EMPTY), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(impossible_sources_and_destinations_get_no_answer)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000), bad;
    uint8_t hello[HELLO_ROOM];
    size_t sent;

    world_forge(w, &path, 1, hello);
    sent = w->n_sent;
    bad = world_path(1, 0);
    world_input(w, &bad, w->hello, w->hello_len);
    bad = path;
    memcpy(bad.peer, bad.local, 24);
    world_input(w, &bad, w->hello, w->hello_len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_SOURCE), 2);
    bad = path;
    bad.local[12] = 224;
    world_input(w, &bad, w->hello, w->hello_len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DESTINATION), 1);
    ck_assert_uint_eq(w->n_sent, sent);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Copies */

START_TEST(ten_copies_of_the_second_hello_make_one_connection)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello), sent = w->n_sent;

    for (int i = 0; i < 10; i++) {
        /* a retransmission has a number of its own, a copy does not */
        if (i >= 5)
            dtlsl__put48(hello + 5, dtlsl__get48(hello + 5) + 1);
        world_input(w, &w->path[0], hello, len);
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), 10);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_COOKIE_VALID), 1);
    ck_assert_uint_eq(w->n_sent, sent);
    world_connect(w, c);
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), 11);
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(a_second_hello_is_good_once)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello), sent;

    world_connect(w, c);
    client_shutdown(c);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_wait(w, 100000);
    sent = w->n_sent;
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    ck_assert_uint_eq(w->n_sent, sent);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Whoever was not seen past its second hello may try it again. */
START_TEST(an_unused_hello_is_good_again)
{
    world *w = world_new("handshake-timeout-ms=2000");
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    w->lose = WORLD_HELD;
    world_input(w, &w->path[0], hello, len);
    world_wait(w, 2000);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    w->lose = 0;
    world_input(w, &w->path[0], hello, len);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_free(w);
}
END_TEST

START_TEST(forged_records_do_not_use_up_a_hello)
{
    world *w = world_new("handshake-timeout-ms=2000");
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM], record[64], junk[40] = {1};
    size_t len = world_second_hello(w, c, hello);

    w->lose = WORLD_HELD;
    world_input(w, &w->path[0], hello, len);
    world_input(w, &w->path[0], record,
                make_record(record, 22, 1, 7, junk, sizeof(junk)));
    world_input(w, &w->path[0], record,
                make_record(record, 20, 0, 7, junk, 1));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DELIVERED), 2);
    world_wait(w, 2000);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    w->lose = 0;
    world_input(w, &w->path[0], hello, len);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_free(w);
}
END_TEST

/* There the forged ChangeCipherSpec is taken, and keys are there at once. */
START_TEST(forged_records_do_not_use_up_a_hello_that_resumes)
{
    world *w = world_new("handshake-timeout-ms=2000");
    client *c = world_client(w, NULL);
    client_options options = {.session = NULL};
    uint8_t hello[HELLO_ROOM], record[64], junk[40] = {1};
    uint64_t copies;
    size_t len;

    world_connect(w, c);
    options.session = SSL_get1_session(client_ssl(c));
    client_shutdown(c);
    world_pump(w);
    world_drop_client(w, c);
    c = world_client(w, &options);
    len = world_second_hello(w, c, hello);
    w->lose = WORLD_HELD;
    world_input(w, &w->path[0], hello, len);
    world_input(w, &w->path[0], record,
                make_record(record, 20, 0, 7, junk, 1));
    world_input(w, &w->path[0], record,
                make_record(record, 22, 1, 7, junk, sizeof(junk)));
    world_wait(w, 2000);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    w->lose = 0;
    world_input(w, &w->path[0], hello, len);
    world_connect(w, c);
    ck_assert(SSL_session_reused(client_ssl(c)));
    copies = world_counter(w, DTLSL__N_DROP_DUPLICATE);
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), copies + 1);
    client_shutdown(c);
    world_pump(w);
    world_input(w, &w->path[0], hello, len); /* a real one uses it up */
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), 1);
    SSL_SESSION_free(options.session);
    world_free(w);
}
END_TEST

START_TEST(a_cookie_is_good_for_one_address)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000), other = world_path(2, 4000);
    dtlsl_path port = world_path(1, 4001);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_forge(w, &path, 1, hello);

    world_input(w, &other, hello, len);
    world_input(w, &port, hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_COOKIE_MISMATCH), 2);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    world_input(w, &path, hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    world_free(w);
}
END_TEST

START_TEST(bad_cookies_are_answered_within_a_budget)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_forge(w, &path, 1, hello);

    hello[62] ^= 1; /* in the cookie */
    for (uint32_t i = 0; i < 2000; i++) {
        dtlsl_path from = world_path(i + 2, 4000);
        world_input(w, &from, hello, len);
    }
    ck_assert_uint_gt(world_counter(w, DTLSL__N_DROP_BAD_COOKIE), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Limits */

/* n hellos that came at once. */
static void
input_batch(world *w, const dtlsl_path *path, uint8_t hello[][HELLO_ROOM],
            const size_t *len, int n)
{
    world_begin(w);
    for (int i = 0; i < n; i++)
        world_input_raw(w, &path[i], hello[i], len[i]);
    world_flush(w);
}

START_TEST(four_accepts_a_batch_and_no_more)
{
    world *w = world_new(NULL);
    uint8_t hello[6][HELLO_ROOM];
    dtlsl_path path[6];
    size_t len[6];

    for (uint32_t i = 0; i < 6; i++) {
        path[i] = world_path(i + 1, 4000);
        len[i] = world_forge(w, &path[i], (uint8_t)i, hello[i]);
    }
    input_batch(w, path, hello, len, 6);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 4);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_RATION), 2);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 4);
    input_batch(w, path, hello, len, 6);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 6);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), 4);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* With max-handshakes=16 the share of a prefix is 4. */
START_TEST(a_full_prefix_is_refused_before_the_ration_is_asked)
{
    world *w = world_new("max-handshakes=16");
    uint8_t hello[6][HELLO_ROOM];
    dtlsl_path path[6];
    size_t len[6];

    for (uint16_t port = 1; port <= 4; port++) {
        path[0] = world_path(9, port);
        ck_assert_uint_eq(world_half_open(w, &path[0], 1), 1);
    }
    for (uint32_t i = 0; i < 6; i++) {
        path[i] = world_path(i < 5 ? i + 1 : 9, 4000);
        len[i] = world_forge(w, &path[i], (uint8_t)i, hello[i]);
    }
    input_batch(w, path, hello, len, 6);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 8);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_RATION), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_PREFIX), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* The share of its prefix does not bound them. */
START_TEST(one_half_open_one_a_batch_is_replaced)
{
    world *w = world_new(NULL);
    uint8_t hello[4][HELLO_ROOM];
    dtlsl_path path[4];
    size_t len[4];

    for (uint32_t i = 0; i < 4; i++) {
        path[i] = world_path(i / 2 + 1, (uint16_t)(4000 + i));
        if (i < 2)
            ck_assert_uint_eq(world_half_open(w, &path[i], 1), 1);
        len[i] = world_forge(w, &path[i], 2, hello[i]);
    }
    for (uint64_t batch = 1; batch <= 2; batch++) {
        input_batch(w, path, hello, len, 4);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLACED), 0);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 4 + batch);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_RATION), 1);
        ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), batch);
    }
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(max_conns_refuses_and_takes_again_when_one_left)
{
    world *w = world_new("max-conns=2");
    client *a = world_client(w, NULL), *b = world_client(w, NULL), *c;

    world_connect(w, a);
    world_connect(w, b);
    c = world_client(w, NULL);
    world_pump(w);
    ck_assert(!client_is_open(c));
    ck_assert_uint_ge(world_counter(w, DTLSL__N_DROP_MAX_CONNS) +
                          world_counter(w, DTLSL__N_DROP_PREFIX),
                      1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_MAX_CONNS), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 2);
    world_check_echo(w, a, "x");
    client_shutdown(b);
    world_pump(w);
    world_advance(w, 1000);
    ck_assert(client_is_open(c));
    world_check_echo(w, c, "x");
    world_free(w);
}
END_TEST

/* Eight half-opens: one each of hosts 10 to 15, then two of host 16. */
static world *
crowded_world(void)
{
    world *w = world_new("max-handshakes=8");
    dtlsl_path path;

    for (uint32_t host = 10; host < 17; host++) {
        path = world_path(host, 4000);
        ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    }
    path = world_path(16, 4001);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 8);
    return w;
}

/* A newcomer, where room is made for it. */
static void
come_in(world *w, uint32_t host)
{
    dtlsl_path path = world_path(host, 4000);

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
}

START_TEST(the_prefix_with_most_half_opens_makes_room)
{
    world *w = crowded_world();
    dtlsl_path want = world_path(16, 4000);

    world_wait(w, ANSWER_MS);
    come_in(w, 30);
    ck_assert_mem_eq(world_evicted(w, 1)->peer, want.peer, 24);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 8);
    want = world_path(10, 4000);
    come_in(w, 31);
    ck_assert_mem_eq(world_evicted(w, 2)->peer, want.peer, 24);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(who_sent_an_alert_is_evicted_first)
{
    world *w = crowded_world();
    dtlsl_path path = world_path(30, 4000), want = world_path(13, 4000);
    uint8_t record[16];
    size_t len = make_record(record, 21, 0, 5, "\x02\x30", 2);

    world_input(w, &want, record, len);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_mem_eq(world_evicted(w, 1)->peer, want.peer, 24);
    ck_assert_ptr_nonnull(strstr(
        (const char *)world_find(w, DTLSL_EVENT_FAILED)->data, "alert"));
    world_free(w);
}
END_TEST

/* Eight half-opens, of which host 10 has two; the client's is the last, and
 * its ClientHello lacks what waits in it. */
static client *
crowd_with_part_of_a_hello(world *w)
{
    client_options options = {.alpn_padding = 800, .mtu = 256};
    uint8_t hello[HELLO_ROOM];
    dtlsl_path path = world_path(10, 4001);
    client *c;
    size_t len;

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    for (uint32_t host = 10; host < 16; host++)
        come_in(w, host);
    c = world_client(w, &options);
    len = world_second_hello(w, c, hello);
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 8);
    return c;
}

START_TEST(an_incomplete_hello_is_evicted_before_whole_ones)
{
    world *w = world_new("max-handshakes=8");
    client *c = crowd_with_part_of_a_hello(w);
    dtlsl_path path = world_path(20, 4000), want = w->path[0];

    client_discard(c);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_mem_eq(world_evicted(w, 1)->peer, want.peer, 24);
    world_free(w);
}
END_TEST

START_TEST(a_hello_that_was_completed_is_as_firm_as_others)
{
    world *w = world_new("max-handshakes=8");
    client *c = crowd_with_part_of_a_hello(w);
    dtlsl_path path = world_path(20, 4000), want = world_path(10, 4001);
    packet held[WORLD_HELD];
    size_t n = world_hold(c, held);

    world_release(w, &w->path[0], held, n);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 8);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 0);
    world_wait(w, ANSWER_MS);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_mem_eq(world_evicted(w, 1)->peer, want.peer, 24);
    world_connect(w, c);
    world_free(w);
}
END_TEST

/* Time to answer */

START_TEST(who_answers_in_time_is_in_however_many_come)
{
    world *w = world_new("max-handshakes=8");
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    uint64_t came = 0;

    world_accept(w, c, hello);
    for (uint32_t host = 10; host < 17; host++)
        come_in(w, host);
    for (uint32_t ms = 1; ms < ANSWER_MS; ms++) {
        world_wait(w, 1);
        for (uint32_t i = 0; i < 10; i++, came++) {
            dtlsl_path path = world_path(100 + 10 * ms + i, 4000);
            ck_assert_uint_eq(world_half_open(w, &path, 1), 0);
        }
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_MAX_HANDSHAKES), came);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_EVICTED), 0);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(who_has_not_answered_in_time_may_go)
{
    world *w = world_new("max-handshakes=8");
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    dtlsl_path path = world_path(30, 4000);

    world_accept(w, c, hello);
    for (uint32_t host = 10; host < 17; host++)
        come_in(w, host);
    world_wait(w, ANSWER_MS - 1);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 0);
    world_wait(w, 1);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_mem_eq(world_evicted(w, 1)->peer, w->path[0].peer, 24);
    world_drop_client(w, c);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* It need not ask for another cookie. */
START_TEST(who_was_refused_may_come_again)
{
    world *w = crowded_world();
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);
    uint64_t allocated = world_counter(w, DTLSL__N_SSL_NEW);

    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_MAX_HANDSHAKES), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), allocated);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_wait(w, ANSWER_MS);
    world_input(w, &w->path[0], hello, len);
    world_connect(w, c);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Behind five newcomers somebody of the table begins anew. */
START_TEST(who_is_refused_takes_nothing_of_the_ration)
{
    world *w = crowded_world();
    dtlsl_path path[6];
    uint8_t hello[6][HELLO_ROOM];
    size_t len[6];

    for (uint32_t i = 0; i < 6; i++) {
        path[i] = world_path(i < 5 ? 20 + i : 10, 4000);
        len[i] = world_forge(w, &path[i], 2, hello[i]);
    }
    input_batch(w, path, hello, len, 6);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_MAX_HANDSHAKES), 5);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_RATION), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 9);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 8);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Two of one address, each begun anew before its time is over, are the most
 * crowded prefix for ever: room is made by those who have had their time. */
START_TEST(a_crowd_that_stays_young_keeps_nobody_out)
{
    world *w = crowded_world();
    uint8_t round = 2;

    world_wait(w, ANSWER_MS);
    for (uint32_t host = 30; host < 40; host++, round++) {
        for (uint16_t port = 4000; port < 4002; port++) {
            dtlsl_path path = world_path(16, port);
            world_wait(w, ANSWER_MS / 2 - 1);
            ck_assert_uint_eq(world_half_open(w, &path, round), 1);
        }
        come_in(w, host);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_EVICTED), host - 29);
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_MAX_HANDSHAKES), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 8);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Limits of prefixes */

START_TEST(a_prefix_has_its_share_of_half_opens_and_no_more)
{
    world *w = world_new("max-handshakes=16");
    client *c = world_client(w, NULL);
    dtlsl_path path;

    for (uint16_t port = 1; port <= 40; port++) {
        path = world_path(9, port);
        world_half_open(w, &path, 1);
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 4);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_PREFIX), 36);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_EVICTED), 0);
    world_connect(w, c);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(a_prefix_of_ipv6_is_64_bits_and_48_a_wider_one)
{
    world *w = world_new("max-handshakes=16");
    uint8_t net[16] = {0x20, 0x01, 0x0D, 0xB8};

    for (uint16_t i = 0; i < 8; i++) {
        dtlsl_path path = world_path(1, 4000);
        memcpy(path.peer, net, 16);
        memcpy(path.local, net, 16);
        path.local[0] = 0x26;
        path.peer[15] = (uint8_t)i;
        world_half_open(w, &path, 1);
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 4);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_PREFIX), 4);
    world_free(w);
}
END_TEST

START_TEST(connections_per_prefix_count_when_it_is_crowded)
{
    world *w = world_new("max-conns=4 max-conns-per-prefix=1");
    dtlsl_path path[4];
    client *c[4];

    for (uint16_t i = 0; i < 4; i++)
        path[i] = world_path(9, (uint16_t)(4000 + i));
    for (int i = 0; i < 3; i++) {
        c[i] = world_client_at(w, NULL, &path[i]);
        world_connect(w, c[i]);
    }
    c[3] = world_client_at(w, NULL, &path[3]);
    world_pump(w);
    ck_assert(!client_is_open(c[3]));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_PREFIX), 1);
    world_drop_client(w, c[3]);
    world_connect(w, world_client(w, NULL)); /* somebody else */
    world_free(w);
}
END_TEST

START_TEST(open_connections_are_never_evicted)
{
    world *w = world_new("max-handshakes=1");
    client *c = world_client(w, NULL);

    world_connect(w, c);
    for (uint32_t host = 10; host < 30; host++) {
        come_in(w, host);
        world_wait(w, ANSWER_MS);
    }
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_EVICTED), 19);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 1);
    world_check_echo(w, c, "x");
    world_free(w);
}
END_TEST

static dtlsl_path
path_of_net(uint8_t provider, uint16_t net)
{
    dtlsl_path path = world_path(1, 4000);

    memset(path.peer, 0, 16);
    memset(path.local, 0, 16);
    path.peer[0] = path.local[0] = 0x20;
    path.peer[1] = provider;
    dtlsl__put16(path.peer + 6, net);
    path.peer[15] = 1;
    path.local[15] = 9;
    return path;
}

/* One half-open in each of many /64s of one /48 is a crowd, too. */
START_TEST(a_crowd_spread_over_a_48_makes_room)
{
    world *w = world_new("max-handshakes=16");
    dtlsl_path honest = path_of_net(7, 0), others;

    ck_assert_uint_eq(world_half_open(w, &honest, 1), 1);
    for (uint16_t i = 0; i < 8; i++) {
        dtlsl_path path = path_of_net(8, (uint16_t)(i + 1));
        ck_assert_uint_eq(world_half_open(w, &path, (uint8_t)(i + 2)), 1);
    }
    others = path_of_net(8, 100);
    ck_assert_uint_eq(world_half_open(w, &others, 30), 0); /* its share */
    world_wait(w, ANSWER_MS);
    for (uint32_t i = 0; i < 8; i++)
        come_in(w, 20 + i);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_EVICTED), 1);
    ck_assert_uint_eq(world_evicted(w, 1)->peer[1], 8);
    world_free(w);
}
END_TEST

START_TEST(a_client_that_restarts_comes_back_to_a_full_prefix)
{
    world *w = world_new("max-conns=4 max-conns-per-prefix=2");
    dtlsl_path a = world_path(1, 1), b = world_path(1, 2);
    client *c = world_client_at(w, NULL, &a);

    world_connect(w, c);
    world_connect(w, world_client_at(w, NULL, &b));
    world_connect(w, world_client(w, NULL));
    world_drop_client(w, c);
    c = world_client_at(w, NULL, &a);
    world_pump(w);
    ck_assert(client_is_open(c));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_PREFIX), 0);
    world_free(w);
}
END_TEST

/* Nothing is sent meanwhile, as behind a full socket. */
START_TEST(replies_leave_room_for_a_flight)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(20, 1);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_forge(w, &path, 1, hello);
    uint64_t dropped;

    world_begin(w);
    for (uint32_t i = 0; i < 3000; i++) {
        dtlsl_path flood = world_path(100 + i, 5);
        world_input_raw(w, &flood, w->hello, w->hello_len);
    }
    dropped = world_counter(w, DTLSL__N_SEND_DROPPED);
    ck_assert_uint_gt(dropped, 0);
    world_input_raw(w, &path, hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SEND_DROPPED), dropped);
    world_flush(w);
    world_drain(w);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(replies_do_not_wait_for_a_full_socket)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(20, 1);
    uint8_t hello[HELLO_ROOM];
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t waiting;

    world_forge(w, &path, 1, hello);
    world_begin(w);
    world_input_raw(w, &path, w->hello, w->hello_len);
    dtlsl__engine_output_sent(w->engine, 0); /* the socket took none */
    waiting = dtlsl__engine_output(w->engine, &list, &arena);
    ck_assert_uint_eq(waiting, 1);
    world_input_raw(w, &path, w->hello, w->hello_len);
    ck_assert_uint_eq(dtlsl__engine_output(w->engine, &list, &arena), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SEND_DROPPED), 1);
    world_flush(w);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(many_retransmissions_at_once_lose_none)
{
    world *w = world_new("max-handshakes=2000");

    for (uint32_t i = 0; i < 450; i++) {
        dtlsl_path path = world_path(100 + i, 5);
        ck_assert_uint_eq(world_half_open(w, &path, (uint8_t)i), 1);
    }
    world_wait(w, 1100);
    ck_assert_uint_ge(world_counter(w, DTLSL__N_RETRANSMITS), 450);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SEND_DROPPED), 0);
    world_free(w);
}
END_TEST

/* Renegotiation */

/* A handshake record in the place of the client's next one, encrypted. */
static void
send_handshake(world *w, client *c, const uint8_t *message, size_t len)
{
    uint8_t record[256];
    packet p;

    ck_assert_int_eq(client_write(c, "x", 1), 1);
    ck_assert_int_eq(client_take(c, &p), 1);
    memcpy(record, p.data, DTLSL__RECORD_HEADER);
    record[0] = DTLSL__HANDSHAKE;
    world_input(w, &w->path[0], record,
                seal(client_ssl(c), record, message, len));
    packet_free(&p);
}

/* OpenSSL would keep 16 KB for each of eight messages and wait for the
 * rest. */
START_TEST(parts_of_a_renegotiation_end_a_session)
{
    client_options options = {.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"};

    for (uint16_t seq = 2; seq < 16; seq++) {
        world *w = world_new(NULL);
        client *c = world_client(w, &options);
        uint8_t part[64];
        size_t len = make_message(part, 0, 1, seq, 16000, 5, 1);

        world_connect(w, c);
        send_handshake(w, c, part + DTLSL__RECORD_HEADER,
                       len - DTLSL__RECORD_HEADER);
        ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
        ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                         DTLSL_CLOSE_TLS);
        world_check_sums(w);
        world_free(w);
    }
}
END_TEST

/* The server's warning comes first, then the client's alert: it is OpenSSL
 * that gives up at the warning. */
START_TEST(a_whole_renegotiation_is_refused_by_a_warning)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);

    world_connect(w, c);
    ck_assert_int_eq(SSL_renegotiate(client_ssl(c)), 1);
    client_step(c);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_ALERT);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_crowd_spread_over_a_48_makes_room,
        a_client_that_restarts_comes_back_to_a_full_prefix,
        replies_leave_room_for_a_flight,
        replies_do_not_wait_for_a_full_socket,
        many_retransmissions_at_once_lose_none,
        every_datagram_has_exactly_one_outcome,
        truncated_and_empty_datagrams_are_told_apart,
        impossible_sources_and_destinations_get_no_answer,
        ten_copies_of_the_second_hello_make_one_connection,
        a_second_hello_is_good_once,
        an_unused_hello_is_good_again,
        forged_records_do_not_use_up_a_hello,
        forged_records_do_not_use_up_a_hello_that_resumes,
        a_cookie_is_good_for_one_address,
        bad_cookies_are_answered_within_a_budget,
        four_accepts_a_batch_and_no_more,
        a_full_prefix_is_refused_before_the_ration_is_asked,
        one_half_open_one_a_batch_is_replaced,
        max_conns_refuses_and_takes_again_when_one_left,
        the_prefix_with_most_half_opens_makes_room,
        who_sent_an_alert_is_evicted_first,
        an_incomplete_hello_is_evicted_before_whole_ones,
        a_hello_that_was_completed_is_as_firm_as_others,
        who_answers_in_time_is_in_however_many_come,
        who_has_not_answered_in_time_may_go,
        who_was_refused_may_come_again,
        who_is_refused_takes_nothing_of_the_ration,
        a_crowd_that_stays_young_keeps_nobody_out,
        a_prefix_has_its_share_of_half_opens_and_no_more,
        a_prefix_of_ipv6_is_64_bits_and_48_a_wider_one,
        connections_per_prefix_count_when_it_is_crowded,
        open_connections_are_never_evicted,
        parts_of_a_renegotiation_end_a_session,
        a_whole_renegotiation_is_refused_by_a_warning,
    };

    return test_main(
        test_suite("attack", tests, sizeof(tests) / sizeof(tests[0])));
}
