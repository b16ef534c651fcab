/* SPDX-License-Identifier: MIT
 * The wall clock is set an hour forward or back: cookies and deadlines do not
 * notice, and OpenSSL's timers, which do, are bounded by them. */
#include "record.h"
#include "test.h"
#include "world.h"

enum {
    HOUR = 3600000,
    LIFETIME = 120000, /* of a cookie */
    HANDSHAKE = 15000  /* of a handshake */
};

static const int64_t steps[] = {HOUR, -HOUR};

static uint64_t
retransmits(const world *w)
{
    return world_counter(w, DTLSL__N_RETRANSMITS);
}

/* From deadline to deadline, of which each is in the future. */
static unsigned
wait_until(world *w, uint64_t end)
{
    unsigned wakes = 0;
    uint64_t next;

    while ((next = dtlsl__engine_deadline(w->engine)) <= end) {
        ck_assert_uint_gt(next, w->now.mono_ms);
        world_wait(w, next - w->now.mono_ms);
        wakes++;
    }
    world_wait(w, end - w->now.mono_ms);
    return wakes;
}

/* The only session fails at 'end', not before. */
static unsigned
check_deadline(world *w, uint64_t end)
{
    unsigned wakes = wait_until(w, end - 1);

    ck_assert_uint_eq(dtlsl__engine_deadline(w->engine), end);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_wait(w, 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TIMEOUT);
    return wakes;
}

/* A datagram of the client's that gets to the SSL and changes nothing: the
 * first bytes of a ClientKeyExchange. */
static void
input_fragment(world *w)
{
    uint8_t datagram[64];
    size_t len =
        make_message(datagram, 90, DTLSL__CLIENT_KEY_EXCHANGE, 2, 66, 0, 10);

    world_input(w, &w->path[0], datagram, len);
}

/* ---- cookies ---- */

static void
check_cookie(int64_t step, uint64_t age, uint64_t accepted)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    world_wait(w, age / 2);
    world_set_clock(w, step);
    world_wait(w, age - age / 2);
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), accepted);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_COOKIE_EXPIRED), !accepted);
    world_free(w);
}

START_TEST(a_cookie_lives_by_the_monotonic_clock)
{
    check_cookie(steps[_i], LIFETIME, 1);
    check_cookie(steps[_i], LIFETIME + 1, 0);
    check_cookie(steps[_i] * 24 * 365 * 40, LIFETIME, 1);
    check_cookie(steps[_i] * 24 * 365 * 40, LIFETIME + 1, 0);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(the_handshake_deadline_is_exact)
{
    for (uint64_t at = 0; at < HANDSHAKE; at += 700) {
        world *w = world_new(NULL);
        client *c = world_client(w, NULL);
        uint64_t end = w->now.mono_ms + HANDSHAKE;
        uint8_t hello[HELLO_ROOM];

        world_accept(w, c, hello);
        wait_until(w, w->now.mono_ms + at);
        world_set_clock(w, steps[_i]);
        input_fragment(w);
        ck_assert_uint_le(check_deadline(w, end), 5);
        world_free(w);
    }
}
END_TEST

START_TEST(the_idle_deadline_is_exact)
{
    world *w = world_new("idle-timeout-ms=5000");
    client *c = world_client(w, NULL);
    uint64_t end;

    world_connect(w, c);
    world_wait(w, 2000);
    world_set_clock(w, steps[_i]);
    world_check_echo(w, c, "what time is it");
    end = w->now.mono_ms + 5000;
    world_wait(w, 2000);
    world_set_clock(w, steps[_i]);
    wait_until(w, end - 1);
    ck_assert_uint_eq(dtlsl__engine_deadline(w->engine), end);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_wait(w, 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_IDLE);
    world_free(w);
}
END_TEST

/* ---- retransmissions ---- */

START_TEST(after_a_step_forward_the_flight_comes_once_too_early)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n, sent, flight;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    world_wait(w, 200);
    sent = w->n_sent;
    input_fragment(w);
    ck_assert_uint_eq(w->n_sent, sent);
    world_set_clock(w, HOUR);
    input_fragment(w);
    wait_until(w, w->now.mono_ms + 100);
    flight = w->n_sent - sent;
    ck_assert_uint_gt(flight, 0);
    /* The timer has doubled, as after any retransmission. */
    wait_until(w, w->now.mono_ms + 1800);
    ck_assert_uint_eq(w->n_sent, sent + flight);
    wait_until(w, w->now.mono_ms + 300);
    ck_assert_uint_eq(w->n_sent, sent + 2 * flight);
    world_release(w, &w->path[0], held, n);
    world_connect(w, c);
    world_check_echo(w, c, "none the worse");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_free(w);
}
END_TEST

START_TEST(a_step_forward_unseen_changes_no_retransmission)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t end = w->now.mono_ms + HANDSHAKE;
    uint8_t hello[HELLO_ROOM];

    world_accept(w, c, hello);
    world_wait(w, 500);
    world_set_clock(w, HOUR);
    ck_assert_uint_eq(check_deadline(w, end), 3); /* at 1, 3 and 7 s */
    ck_assert_uint_eq(retransmits(w), 3);
    world_free(w);
}
END_TEST

START_TEST(after_a_step_back_nothing_is_sent_until_the_deadline)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t end = w->now.mono_ms + HANDSHAKE;
    uint8_t hello[HELLO_ROOM];
    size_t sent;

    world_accept(w, c, hello);
    world_wait(w, 500);
    world_set_clock(w, -HOUR);
    sent = w->n_sent;
    ck_assert_uint_eq(check_deadline(w, end), 1);
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(retransmits(w), 0);
    world_free(w);
}
END_TEST

/* The clock of the client's machine was not set. */
static void
client_retransmits(world *w, client *c)
{
    client_clock_off(0);
    client_timer(c);
    client_clock_off(w->off_ms);
}

START_TEST(after_a_step_back_a_client_that_retransmits_completes)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];

    world_accept(w, c, hello);
    client_discard(c); /* its second flight is lost */
    world_set_clock(w, -HOUR);
    world_wait(w, 1000);
    client_retransmits(w, c);
    world_connect(w, c);
    world_check_echo(w, c, "at last");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_free(w);
}
END_TEST

/* The server's flight is lost and will not be sent again: the client gets a
 * new one when its hello finds the deadline over. */
START_TEST(after_a_step_back_a_lost_flight_costs_one_deadline)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    w->lose = 1;
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(w->lose, 0);
    world_set_clock(w, -HOUR);
    for (uint64_t wait = 1000; wait < 8000; wait *= 2) { /* 1, 3, 7 s */
        wait_until(w, w->now.mono_ms + wait);
        client_retransmits(w, c);
        world_pump(w);
        ck_assert(!client_is_open(c));
    }
    wait_until(w, w->now.mono_ms + 7999);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_wait(w, 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    client_retransmits(w, c);
    world_connect(w, c);
    world_check_echo(w, c, "at last");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 2);
    world_free(w);
}
END_TEST

/* OpenSSL's timer is due whenever it is asked. */
START_TEST(a_clock_that_runs_away_costs_twelve_retransmissions)
{
    world *w = world_new("handshake-timeout-ms=600000");
    client *c = world_client(w, NULL);
    uint64_t end = w->now.mono_ms + 600000;
    uint8_t hello[HELLO_ROOM];
    unsigned wakes = 0;

    world_accept(w, c, hello);
    while (world_count_events(w, DTLSL_EVENT_FAILED) == 0) {
        uint64_t next = dtlsl__engine_deadline(w->engine);

        ck_assert_uint_gt(next, w->now.mono_ms);
        ck_assert_uint_le(next, end);
        world_set_clock(w, HOUR);
        input_fragment(w);
        if (world_count_events(w, DTLSL_EVENT_FAILED) == 0)
            world_wait(w, dtlsl__engine_deadline(w->engine) - w->now.mono_ms);
        wakes++;
    }
    ck_assert_uint_le(wakes, 13);
    world_free(w);
}
END_TEST

START_TEST(a_step_of_forty_years_back_overflows_nothing)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t end = w->now.mono_ms + HANDSHAKE;
    uint8_t hello[HELLO_ROOM];

    world_accept(w, c, hello);
    world_set_clock(w, INT64_C(-40) * 365 * 24 * HOUR);
    input_fragment(w);
    ck_assert_uint_le(check_deadline(w, end), 1);
    ck_assert_uint_eq(retransmits(w), 0);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        after_a_step_forward_the_flight_comes_once_too_early,
        a_step_forward_unseen_changes_no_retransmission,
        after_a_step_back_nothing_is_sent_until_the_deadline,
        after_a_step_back_a_client_that_retransmits_completes,
        after_a_step_back_a_lost_flight_costs_one_deadline,
        a_clock_that_runs_away_costs_twelve_retransmissions,
        a_step_of_forty_years_back_overflows_nothing,
    };
    const TTest *const both_ways[] = {
        a_cookie_lives_by_the_monotonic_clock,
        the_handshake_deadline_is_exact,
        the_idle_deadline_is_exact,
    };
    Suite *suite =
        test_suite("clock", tests, sizeof(tests) / sizeof(tests[0]));
    TCase *ways = tcase_create("both ways");

    tcase_set_timeout(ways, 120);
    for (size_t i = 0; i < sizeof(both_ways) / sizeof(both_ways[0]); i++)
        tcase_add_loop_test(ways, both_ways[i], 0, 2);
    suite_add_tcase(suite, ways);
    return test_main(suite);
}
