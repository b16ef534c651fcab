/* SPDX-License-Identifier: MIT
 * ClientHellos in fragments: the first alone is answered and accepted, nothing
 * is kept for strangers, and whatever the network does to the others, one SSL
 * gets them. */
#include "record.h"
#include "test.h"
#include "world.h"

enum {
    ROOM = DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX,
    STEP = 200, /* of the fragments that the tests cut */
    LONG_HELLO = 12000
};

static const client_options fragmenting = {.alpn_padding = 1000, .mtu = 256};
static uint8_t cut[ROOM];

static void
give(world *w, const whole *hello, uint32_t offset, uint32_t len)
{
    static uint64_t seq = 100;
    uint64_t number = offset == 0 ? hello->seq : seq++;

    if (len > hello->len - offset)
        len = hello->len - offset;
    world_input(w, &w->path[0], cut,
                whole_cut(hello, number, offset, len, cut));
}

/* One connection, by the fragments that it was given and nothing else. */
static void
check_whole(world *w, client *c)
{
    world_connect(w, c);
    world_check_echo(w, c, "whole");
    world_check_one(w);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
    world_free(w);
}

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* The first fragment */

START_TEST(first_fragments_of_strangers_leave_nothing)
{
    world *w = world_new(NULL);
    client *c = client_new(&fragmenting);
    uint32_t n = 0;
    packet p;

    client_step(c);
    while (client_take(c, &p)) {
        for (uint32_t host = 1; host <= 20; host++) {
            dtlsl_path path = world_path(host, 4000);
            world_input(w, &path, p.data, p.len);
        }
        packet_free(&p);
        n++;
    }
    ck_assert_uint_ge(n, 5);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLIED), 20);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FRAGMENT), 20 * (n - 1));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    ck_assert_uint_eq(w->n_sent, 20);
    client_free(c);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(a_first_fragment_that_ends_before_its_cookie_is_dropped)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello;
    size_t sent;

    whole_take(w, c, &hello);
    sent = w->n_sent;
    give(w, &hello, 0, 2 + 32 + 1 + 1 + 10);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_HELLO_LENGTH), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    ck_assert_uint_eq(w->n_sent, sent);
    give(w, &hello, 0, STEP);
    give(w, &hello, STEP, DTLSL__RECORD_MAX);
    check_whole(w, c);
}
END_TEST

/* What a network does to the others */

START_TEST(a_later_fragment_before_its_first_costs_one_timeout)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello;

    whole_take(w, c, &hello);
    give(w, &hello, STEP, DTLSL__RECORD_MAX);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FRAGMENT), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    give(w, &hello, 0, STEP);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 1);
    world_pump(w);
    ck_assert(!client_is_open(c)); /* it was not kept */
    world_advance(w, 1000);
    check_whole(w, c);
}
END_TEST

/* The first comes last: all others were for nobody, and the client's next try
 * finds an SSL that lacks them. */
START_TEST(six_fragments_in_reverse_order_cost_one_timeout)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    uint32_t step;
    whole hello;

    whole_take(w, c, &hello);
    step = hello.len / 6 + 1;
    for (uint32_t i = 6; i > 0; i--)
        give(w, &hello, (i - 1) * step, step);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FRAGMENT), 5);
    world_pump(w);
    ck_assert(!client_is_open(c));
    world_advance(w, 1000);
    check_whole(w, c);
}
END_TEST

START_TEST(six_fragments_five_in_reverse_order_cost_nothing)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    uint32_t step;
    whole hello;

    whole_take(w, c, &hello);
    step = hello.len / 6 + 1;
    give(w, &hello, 0, step);
    for (uint32_t i = 6; i > 1; i--)
        give(w, &hello, (i - 1) * step, step);
    check_whole(w, c);
}
END_TEST

START_TEST(duplicated_fragments_are_harmless)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello;

    whole_take(w, c, &hello);
    for (uint32_t at = 0; at < hello.len; at += STEP)
        for (int i = 0; i < 3; i++)
            give(w, &hello, at, STEP);
    for (uint32_t at = 0; at < hello.len; at += STEP)
        give(w, &hello, at, STEP);
    check_whole(w, c);
}
END_TEST

/* RFC 6347 section 4.2.3: fragment ranges may overlap. */
START_TEST(overlapping_fragments_make_a_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello;

    whole_take(w, c, &hello);
    give(w, &hello, 0, 2 * STEP);
    give(w, &hello, hello.len - 10, 10);
    for (uint32_t at = 10; at < hello.len; at += STEP / 2)
        give(w, &hello, at, STEP);
    check_whole(w, c);
}
END_TEST

START_TEST(fragments_cut_and_shuffled_by_chance_make_a_hello)
{
    for (uint32_t seed = 1; seed <= 30; seed++) {
        world *w = world_new(NULL);
        client *c = world_client(w, &fragmenting);
        uint32_t random = seed, rounds = 0;
        whole hello;

        whole_take(w, c, &hello);
        give(w, &hello, 0, 120 + next_random(&random) % 200);
        while (world_counter(w, DTLSL__N_OPENED) == 0) {
            uint32_t at = next_random(&random) % hello.len;
            give(w, &hello, at, 1 + next_random(&random) % 300);
            ck_assert_msg(++rounds < 500, "seed %u", seed);
            world_pump(w);
        }
        check_whole(w, c);
    }
}
END_TEST

START_TEST(a_fragment_for_each_byte_makes_a_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello;

    whole_take(w, c, &hello);
    give(w, &hello, 0, STEP);
    for (uint32_t at = STEP; at < hello.len; at++)
        give(w, &hello, at, 1);
    check_whole(w, c);
}
END_TEST

/* No timer is needed, although OpenSSL sees one record at a time. */
START_TEST(fragments_in_one_datagram_make_a_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    uint8_t all[4096];
    size_t len = 0;
    whole hello;

    whole_take(w, c, &hello);
    for (uint32_t at = 0; at < hello.len; at += STEP) {
        uint32_t n = hello.len - at < STEP ? hello.len - at : STEP;
        len += whole_cut(&hello, hello.seq + at, at, n, all + len);
    }
    world_input(w, &w->path[0], all, len);
    check_whole(w, c);
}
END_TEST

START_TEST(a_hello_of_12_kb_is_taken_in_fragments)
{
    client_options options = {.alpn_padding = LONG_HELLO};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    uint8_t first[HELLO_ROOM];
    size_t len = world_second_hello(w, c, first);

    ck_assert_uint_ge(client_waiting(c), 9);
    world_input(w, &w->path[0], first, len);
    check_whole(w, c);
}
END_TEST

START_TEST(a_hello_of_12_kb_is_taken_in_one_datagram)
{
    client_options options = {.alpn_padding = LONG_HELLO};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    whole hello;

    whole_take(w, c, &hello);
    ck_assert_uint_ge(hello.len, LONG_HELLO);
    give(w, &hello, 0, hello.len);
    check_whole(w, c);
}
END_TEST

START_TEST(a_hello_of_12_kb_is_taken_in_reverse_order_behind_the_first)
{
    client_options options = {.alpn_padding = LONG_HELLO};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    whole hello;

    whole_take(w, c, &hello);
    give(w, &hello, 0, 1000);
    for (uint32_t at = hello.len / 1000 * 1000; at > 0; at -= 1000)
        give(w, &hello, at, 1000);
    check_whole(w, c);
}
END_TEST

/* Fragments that are none of its own */

/* An empty fragment adds nothing, but OpenSSL takes it for the message. */
START_TEST(empty_fragments_are_kept_from_an_incomplete_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello;

    whole_take(w, c, &hello);
    give(w, &hello, 0, STEP);
    for (uint32_t at = 0; at < hello.len; at += 100)
        if (at != 0)
            give(w, &hello, at, 0);
    world_input(w, &w->path[0], cut,
                make_message(cut, 2, DTLSL__CLIENT_HELLO, 1, hello.len, 0, 0));
    give(w, &hello, STEP, DTLSL__RECORD_MAX);
    check_whole(w, c);
}
END_TEST

START_TEST(fragments_of_another_length_are_kept_from_an_incomplete_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello, other;

    whole_take(w, c, &hello);
    give(w, &hello, 0, STEP);
    other = hello;
    other.len = hello.len + 1;
    give(w, &other, STEP, 50);
    other.len = hello.len - 1;
    give(w, &other, STEP, 50);
    other.len = STEP;
    give(w, &other, 0, STEP); /* a whole one */
    give(w, &hello, STEP, DTLSL__RECORD_MAX);
    check_whole(w, c);
}
END_TEST

/* Not curable: who knows the length and is there before the last. */
START_TEST(a_forged_fragment_in_its_place_ends_the_handshake)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    whole hello, forged;

    whole_take(w, c, &hello);
    give(w, &hello, 0, STEP);
    give(w, &hello, STEP, STEP);
    forged = hello;
    memset(forged.body + STEP, 0xff, STEP);
    give(w, &forged, STEP, STEP);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    give(w, &hello, 2 * STEP, DTLSL__RECORD_MAX);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TLS);
    world_drop_client(w, c);
    c = world_client(w, &fragmenting); /* the next try succeeds */
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* A retransmission may be cut in another way: by a larger MTU, or whole. */
START_TEST(a_hello_that_is_sent_again_in_larger_fragments_is_taken)
{
    for (int rest = 0; rest < 2; rest++) {
        world *w = world_new(NULL);
        client *c = world_client(w, &fragmenting);
        whole hello;

        whole_take(w, c, &hello);
        give(w, &hello, 0, STEP);
        give(w, &hello, 0, 2 * STEP);
        if (rest)
            give(w, &hello, 2 * STEP, DTLSL__RECORD_MAX);
        else
            give(w, &hello, 0, hello.len);
        check_whole(w, c);
    }
}
END_TEST

START_TEST(fragments_after_the_last_are_kept_from_the_handshake)
{
    world *w = world_new(NULL);
    client *c = world_client(w, &fragmenting);
    packet held[WORLD_HELD];
    uint64_t filtered;
    whole hello;
    size_t n;

    whole_take(w, c, &hello);
    give(w, &hello, 0, STEP);
    give(w, &hello, STEP, DTLSL__RECORD_MAX);
    n = world_hold(c, held);
    filtered = world_counter(w, DTLSL__N_DROP_FILTERED);
    for (uint32_t at = STEP; at < hello.len; at += STEP)
        give(w, &hello, at, STEP);
    ck_assert_uint_gt(world_counter(w, DTLSL__N_DROP_FILTERED), filtered);
    world_release(w, &w->path[0], held, n);
    check_whole(w, c);
}
END_TEST

START_TEST(a_client_comes_back_with_a_hello_in_fragments)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    whole hello;

    world_connect(w, a);
    b = world_client_at(w, &fragmenting, &w->path[0]);
    whole_take(w, b, &hello);
    give(w, &hello, STEP, STEP); /* before its first: for nobody */
    world_check_echo(w, a, "undisturbed");
    give(w, &hello, 0, STEP);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 1);
    world_check_echo(w, a, "undisturbed");
    give(w, &hello, STEP, DTLSL__RECORD_MAX);
    world_pump(w);
    ck_assert(client_is_open(b));
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_REPLACED);
    world_drop_client(w, a);
    world_check_echo(w, b, "x");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 2);
    world_check_sums(w);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        first_fragments_of_strangers_leave_nothing,
        a_first_fragment_that_ends_before_its_cookie_is_dropped,
        a_later_fragment_before_its_first_costs_one_timeout,
        six_fragments_in_reverse_order_cost_one_timeout,
        six_fragments_five_in_reverse_order_cost_nothing,
        duplicated_fragments_are_harmless,
        overlapping_fragments_make_a_hello,
        fragments_cut_and_shuffled_by_chance_make_a_hello,
        a_fragment_for_each_byte_makes_a_hello,
        fragments_in_one_datagram_make_a_hello,
        a_hello_of_12_kb_is_taken_in_fragments,
        a_hello_of_12_kb_is_taken_in_one_datagram,
        a_hello_of_12_kb_is_taken_in_reverse_order_behind_the_first,
        empty_fragments_are_kept_from_an_incomplete_hello,
        fragments_of_another_length_are_kept_from_an_incomplete_hello,
        a_forged_fragment_in_its_place_ends_the_handshake,
        a_hello_that_is_sent_again_in_larger_fragments_is_taken,
        fragments_after_the_last_are_kept_from_the_handshake,
        a_client_comes_back_with_a_hello_in_fragments,
    };

    return test_main(
        test_suite("fragment", tests, sizeof(tests) / sizeof(tests[0])));
}
