/* SPDX-License-Identifier: MIT
 * Clients that come back on a known address, RFC 6347 section 4.2.8: the old
 * association lives until the new one's Finished. */
#include "record.h"
#include "test.h"
#include "world.h"

START_TEST(a_client_that_comes_back_replaces_itself_at_its_finished)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint64_t old = world_connect(w, a), new;
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    for (int i = 0; i < 20; i++)
        world_check_echo(w, a, "the old one works");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_release(w, &w->path[0], held, n);
    new = world_find(w, DTLSL_EVENT_OPEN)->conn;
    ck_assert_uint_ne(new, old);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_REPLACED);
    ck_assert_int_ge(world_index(w, DTLSL_EVENT_CLOSE, old), 0);
    ck_assert_int_lt(world_index(w, DTLSL_EVENT_CLOSE, old),
                     world_index(w, DTLSL_EVENT_OPEN, new));
    ck_assert(client_is_open(b));
    ck_assert(!client_is_closed(a)); /* it was told nothing */
    world_drop_client(w, a);
    world_check_echo(w, b, "the new one works");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLACED), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Each record of the new client's last flight by itself, the old client busy
 * in between. */
START_TEST(the_old_one_works_until_the_new_finished_record_by_record)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = held[i].data;
        size_t left = held[i].len;
        dtlsl__record record;
        int32_t len;
        while ((len = dtlsl__record_read(&record, p, left)) > 0) {
            for (int k = 0; k < 10; k++)
                world_check_echo(w, a, "meanwhile");
            world_input(w, &w->path[0], p, (size_t)len);
            p += len;
            left -= (size_t)len;
        }
        packet_free(&held[i]);
    }
    ck_assert(client_is_open(b));
    world_drop_client(w, a);
    world_check_echo(w, b, "x");
    world_free(w);
}
END_TEST

START_TEST(a_new_handshake_that_dies_leaves_the_old_one)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];

    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    world_drop_client(w, b);
    for (int i = 0; i < 20; i++) {
        world_wait(w, 1000);
        world_check_echo(w, a, "x");
    }
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TIMEOUT);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    b = world_client_at(w, NULL, &w->path[0]);
    world_connect(w, b); /* and may come back later */
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_free(w);
}
END_TEST

START_TEST(a_new_handshake_refused_by_openssl_leaves_the_old_one)
{
    client_options options = {.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"};
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;

    world_connect(w, a);
    b = world_client_at(w, &options, &w->path[0]);
    world_pump(w);
    ck_assert(client_is_dead(b));
    world_drop_client(w, b);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TLS);
    world_check_echo(w, a, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(the_newest_hello_replaces_a_pending_one)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b, *c;
    uint64_t old = world_connect(w, a);
    uint8_t hello[HELLO_ROOM];

    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    world_drop_client(w, b);
    c = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, c, hello);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 1);
    world_check_echo(w, a, "x");
    world_pump(w);
    ck_assert(client_is_open(c));
    ck_assert_int_ge(world_index(w, DTLSL_EVENT_CLOSE, old), 0);
    world_free(w);
}
END_TEST

/* A client that restarts before its first handshake was over. */
START_TEST(a_new_hello_replaces_a_half_open_one)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];

    world_accept(w, a, hello);
    world_drop_client(w, a);
    b = world_client(w, NULL);
    world_connect(w, b);
    world_check_echo(w, b, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(closing_the_old_one_lets_the_new_handshake_go_on)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint64_t old = world_connect(w, a);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, old), DTLSL_OK);
    world_drain(w);
    world_flush(w);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_LOCAL);
    world_release(w, &w->path[0], held, n);
    ck_assert(client_is_open(b));
    world_drop_client(w, a);
    world_check_echo(w, b, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_free(w);
}
END_TEST

/* The old one's end by itself, while a new handshake is under way. */
START_TEST(the_old_ones_close_notify_lets_the_new_handshake_go_on)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    client_shutdown(a);
    world_pump(w);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_PEER);
    world_release(w, &w->path[0], held, n);
    ck_assert(client_is_open(b));
    world_drop_client(w, a);
    world_check_echo(w, b, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(the_old_one_may_become_idle_in_a_rehandshake)
{
    world *w = world_new("idle-timeout-ms=5000");
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_connect(w, a);
    world_wait(w, 4000);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    world_wait(w, 1000);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_IDLE);
    world_release(w, &w->path[0], held, n);
    ck_assert(client_is_open(b));
    world_drop_client(w, a);
    world_check_echo(w, b, "x");
    world_free(w);
}
END_TEST

START_TEST(an_evicted_new_handshake_leaves_the_old_one)
{
    world *w = world_new("max-handshakes=1");
    client *a = world_client(w, NULL), *b;
    dtlsl_path path = world_path(9, 4000);
    uint8_t hello[HELLO_ROOM];

    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    world_drop_client(w, b);
    world_wait(w, 300); /* its time to answer */
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_mem_eq(world_evicted(w, 1)->peer, w->path[0].peer, 24);
    world_check_echo(w, a, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_free(w);
}
END_TEST

static void
close_all(world *w, const dtlsl_event *e)
{
    uint64_t id = 0;

    if (e->type != DTLSL_EVENT_CLOSE)
        return;
    while ((id = dtlsl__engine_conn_next(w->engine, id)) != 0)
        dtlsl__engine_close(w->engine, id);
}

/* Between CLOSE(REPLACED) and the new one's OPEN; world.c asserts the order.
 */
START_TEST(closing_the_new_one_before_its_open_keeps_the_order)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;

    world_connect(w, a);
    w->hook = close_all;
    b = world_client_at(w, NULL, &w->path[0]);
    world_pump(w);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    world_drop_client(w, b);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* A full table or a prefix at its share must not lock out the very client
 * whose connection is to be replaced. */
START_TEST(limits_do_not_count_what_is_replaced)
{
    world *w = world_new("max-handshakes=4 max-conns=4");
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];

    world_accept(w, a, hello);
    world_drop_client(w, a);
    b = world_client(w, NULL);
    world_connect(w, b);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_PREFIX), 0);
    world_free(w);
}
END_TEST

START_TEST(stop_in_a_rehandshake_ends_both)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM];

    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    client_discard(b);
    dtlsl__engine_stop(w->engine);
    world_drain(w);
    world_flush(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_STOPPED), 1);
    world_free(w);
}
END_TEST

START_TEST(injected_hellos_disturb_no_living_session)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len;

    world_connect(w, c);
    for (uint8_t i = 0; i < 20; i++) {
        len = world_forge(w, &w->path[0], i, hello); /* no cookie */
        hello[70] ^= 1;
        world_input(w, &w->path[0], hello, len); /* a bad one */
        world_check_echo(w, c, "undisturbed");
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Whoever recorded it can send it again; only copies of the living one's are
 * known as such, those of the ended one as spent. */
START_TEST(the_hello_of_a_replaced_one_starts_nothing)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t first[HELLO_ROOM], second[HELLO_ROOM];
    size_t len = world_accept(w, a, first), sent, second_len;

    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    second_len = world_accept(w, b, second);
    sent = w->n_sent;
    world_input(w, &w->path[0], first, len); /* of the living session */
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), 1);
    world_input(w, &w->path[0], second, second_len); /* of the new one */
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_DUPLICATE), 2);
    ck_assert_uint_eq(w->n_sent, sent);
    world_connect(w, b);
    sent = w->n_sent;
    world_input(w, &w->path[0], first, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), 1);
    ck_assert_uint_eq(w->n_sent, sent);
    world_drop_client(w, a);
    world_check_echo(w, b, "undisturbed");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 2);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* The network had kept it, or has two of it. */
START_TEST(a_late_copy_of_a_pending_hello_does_not_replace_the_newest)
{
    for (int living = 0; living < 2; living++) {
        world *w = world_new(NULL);
        client *a = world_client(w, NULL), *b, *c;
        uint8_t hello[HELLO_ROOM], late[HELLO_ROOM];
        size_t len, sent;

        if (living)
            world_connect(w, a);
        b = world_client_at(w, NULL, &w->path[0]);
        len = world_accept(w, b, late);
        world_drop_client(w, b);
        c = world_client_at(w, NULL, &w->path[0]);
        world_accept(w, c, hello);
        sent = w->n_sent;
        world_input(w, &w->path[0], late, len);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), 1);
        ck_assert_uint_eq(w->n_sent, sent);
        world_drop_client(w, a);
        world_connect(w, c);
        world_check_echo(w, c, "the newest");
        world_check_sums(w);
        world_free(w);
    }
}
END_TEST

START_TEST(hellos_of_every_kind_disturb_no_stalled_rehandshake)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint8_t hello[HELLO_ROOM], own[HELLO_ROOM];
    size_t len, own_len, n;
    packet held[WORLD_HELD];

    own_len = world_accept(w, a, own);
    world_connect(w, a);
    b = world_client_at(w, NULL, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    for (uint8_t i = 0; i < 9; i++) { /* seconds */
        world_wait(w, 1000);
        len = world_forge(w, &w->path[0], i, hello); /* no cookie */
        hello[70] ^= 1;
        world_input(w, &w->path[0], hello, len); /* a bad one */
        world_input(w, &w->path[0], own, own_len);
        client_discard(b); /* its answers to the flight sent again */
        world_check_echo(w, a, "the old one goes on");
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 2);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_release(w, &w->path[0], held, n);
    ck_assert(client_is_open(b));
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_REPLACED);
    world_drop_client(w, a);
    world_check_echo(w, b, "the new one");
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(injected_hellos_disturb_no_handshake)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    dtlsl_path elsewhere = world_path(77, 4000);
    size_t len, sent;

    world_accept(w, c, hello);
    /* a reflected HelloVerifyRequest of that number would kill the client */
    len = world_forge(w, &elsewhere, 1, hello);
    sent = w->n_sent;
    dtlsl__put48(w->hello + 5, 1000);
    world_input(w, &w->path[0], w->hello, w->hello_len);
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_RECORD_SEQ), 1);
    world_input(w, &w->path[0], hello, len);
    world_connect(w, c);
    world_check_sums(w);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_client_that_comes_back_replaces_itself_at_its_finished,
        the_old_one_works_until_the_new_finished_record_by_record,
        a_new_handshake_that_dies_leaves_the_old_one,
        a_new_handshake_refused_by_openssl_leaves_the_old_one,
        the_newest_hello_replaces_a_pending_one,
        a_new_hello_replaces_a_half_open_one,
        closing_the_old_one_lets_the_new_handshake_go_on,
        the_old_ones_close_notify_lets_the_new_handshake_go_on,
        the_old_one_may_become_idle_in_a_rehandshake,
        an_evicted_new_handshake_leaves_the_old_one,
        closing_the_new_one_before_its_open_keeps_the_order,
        limits_do_not_count_what_is_replaced,
        stop_in_a_rehandshake_ends_both,
        injected_hellos_disturb_no_living_session,
        injected_hellos_disturb_no_handshake,
        the_hello_of_a_replaced_one_starts_nothing,
        a_late_copy_of_a_pending_hello_does_not_replace_the_newest,
        hellos_of_every_kind_disturb_no_stalled_rehandshake,
    };

    return test_main(
        test_suite("rehandshake", tests, sizeof(tests) / sizeof(tests[0])));
}
