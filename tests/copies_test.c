/* SPDX-License-Identifier: MIT
 * Copies of a client's second ClientHello: one connection, and not a datagram
 * more than OpenSSL's own timer sends. */
#include "record.h"
#include "test.h"
#include "world.h"

enum {
    COPIES = 10,
    LIFE = 3000, /* of a cookie */
    AT_COOKIE = 13 + 12 + 2 + 32 + 1
};

static const char short_life[] =
    "cookie.hmac.allow-short-lifetimes=1 cookie.hmac.lifetime-ms=3000";

static void
check_one(world *w, client *c)
{
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_check_one(w);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_COOKIE_VALID), 1);
    world_free(w);
}

static void
renumber(uint8_t *hello)
{
    dtlsl__put48(hello + 5, dtlsl__get48(hello + 5) + 1);
}

START_TEST(copies_in_one_batch_make_one_connection)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello), sent;
    const dtlsl__output *list;
    const uint8_t *arena;

    world_begin(w);
    world_input_raw(w, &w->path[0], hello, len);
    sent = dtlsl__engine_output(w->engine, &list, &arena);
    for (int i = 1; i < COPIES; i++)
        world_input_raw(w, &w->path[0], hello, len);
    ck_assert_uint_eq(dtlsl__engine_output(w->engine, &list, &arena), sent);
    world_flush(w);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), COPIES - 1);
    check_one(w, c);
}
END_TEST

/* How many datagrams leave a half-open session within ten seconds, with and
 * without copies of its ClientHello? */
static size_t
sent_in_ten_seconds(const char *options, int copies, uint64_t *retransmits)
{
    world *w = world_new(options);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello), sent;
    packet held[WORLD_HELD];
    size_t n = world_hold(c, held);

    for (int ms = 0; ms < 10000; ms += 100) {
        world_wait(w, 100);
        if (copies) {
            if (ms % 200 == 0)
                renumber(hello);
            world_input(w, &w->path[0], hello, len);
        }
    }
    sent = w->n_sent;
    *retransmits = world_counter(w, DTLSL__N_RETRANSMITS);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE),
                      copies ? 100 : 0);
    client_discard(c);
    world_release(w, &w->path[0], held, n);
    check_one(w, c);
    return sent;
}

START_TEST(copies_spread_over_time_make_no_datagram_more)
{
    uint64_t without, with;
    size_t sent = sent_in_ten_seconds(NULL, 0, &without);

    ck_assert_uint_eq(sent_in_ten_seconds(NULL, 1, &with), sent);
    ck_assert_uint_eq(with, without);
    ck_assert_uint_eq(with, 3); /* after 1, 3 and 7 seconds */
}
END_TEST

START_TEST(copies_beyond_the_cookies_life_make_no_datagram_more)
{
    uint64_t without, with;
    size_t sent = sent_in_ten_seconds(short_life, 0, &without);

    ck_assert_uint_eq(sent_in_ten_seconds(short_life, 1, &with), sent);
    ck_assert_uint_eq(with, without);
}
END_TEST

START_TEST(copies_do_not_disturb_an_open_connection)
{
    world *w = world_new(short_life);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello), sent;

    world_connect(w, c);
    sent = w->n_sent;
    for (int i = 0; i < COPIES; i++) {
        world_wait(w, LIFE / 5);
        world_input(w, &w->path[0], hello, len);
        renumber(hello);
    }
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), COPIES);
    check_one(w, c);
}
END_TEST

START_TEST(copies_after_the_close_are_answered_with_nothing)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello), sent;

    world_connect(w, c);
    client_shutdown(c);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    sent = w->n_sent;
    for (int i = 0; i < COPIES; i++) {
        world_wait(w, 10000);
        world_input(w, &w->path[0], hello, len);
        renumber(hello);
    }
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), COPIES);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Then it is a bad cookie as any other, answered within their budget. */
START_TEST(copies_beyond_life_and_close_make_no_connection)
{
    world *w = world_new(short_life);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello);

    world_connect(w, c);
    client_shutdown(c);
    world_pump(w);
    world_wait(w, 4 * LIFE);
    for (int i = 0; i < 1000; i++)
        world_input(w, &w->path[0], hello, len);
    ck_assert_uint_gt(world_counter(w, DTLSL__N_DROP_BAD_COOKIE), 900);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_COOKIE_VALID), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* OpenSSL would take the cookie and wait for message 1 for ever. */
START_TEST(a_cookie_in_message_0_is_dropped_everywhere)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello), sent = w->n_sent;

    hello[18] = 0; /* message_seq */
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_COOKIE_SEQ), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    ck_assert_uint_eq(w->n_sent, sent);
    hello[18] = 1;
    world_input(w, &w->path[0], hello, len);
    sent = w->n_sent;
    hello[18] = 0;
    world_input(w, &w->path[0], hello, len); /* half-open */
    ck_assert_uint_eq(w->n_sent, sent);
    world_connect(w, c);
    sent = w->n_sent;
    world_input(w, &w->path[0], hello, len); /* open */
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_COOKIE_SEQ), 3);
    check_one(w, c);
}
END_TEST

/* The same hello of a client whose generator repeats itself after a restart:
 * another cookie, so no copy. */
START_TEST(the_same_random_with_another_cookie_is_no_copy)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(9, 4000);
    uint8_t first[HELLO_ROOM], second[HELLO_ROOM];
    size_t len = world_forge(w, &path, 7, first);

    world_input(w, &path, first, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    world_wait(w, 50);
    ck_assert_uint_eq(world_forge(w, &path, 7, second), len);
    ck_assert_mem_eq(first + 13, second + 13, AT_COOKIE - 13);
    ck_assert_mem_ne(first + AT_COOKIE, second + AT_COOKIE, len - AT_COOKIE);
    world_input(w, &path, second, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 2);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_REPLACED);
    world_check_sums(w);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        copies_in_one_batch_make_one_connection,
        copies_spread_over_time_make_no_datagram_more,
        copies_beyond_the_cookies_life_make_no_datagram_more,
        copies_do_not_disturb_an_open_connection,
        copies_after_the_close_are_answered_with_nothing,
        copies_beyond_life_and_close_make_no_connection,
        a_cookie_in_message_0_is_dropped_everywhere,
        the_same_random_with_another_cookie_is_no_copy,
    };

    return test_main(
        test_suite("copies", tests, sizeof(tests) / sizeof(tests[0])));
}
