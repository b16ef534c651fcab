/* SPDX-License-Identifier: MIT
 * Who holds OpenSSL's buffers: the connections that worked last, and only so
 * many; the others take them back when they are needed. */
#include "engine_state.h"
#include "test.h"
#include "world.h"
#include <malloc.h>

enum {
    OTHERS = DTLSL__WARM_MAX,
    HOST = 1000,     /* addresses of those that come and stay */
    BUFFERS = 32000, /* of one connection, at the least */
    APPLICATION_DATA = 23
};

static dtlsl__session *
session_of(const world *w, uint64_t id)
{
    dtlsl__session *session = dtlsl__peers_by_id(&w->engine->peers, id);

    ck_assert_ptr_nonnull(session);
    return session;
}

static int
rests(const world *w, uint64_t id)
{
    return dtlsl__conn_rests(session_of(w, id)->conn);
}

static uint32_t
count_resting(const world *w)
{
    uint32_t n = 0;

    for (const dtlsl__session *s = w->engine->peers.by_id; s != NULL;
         s = s->by_id.next)
        n += (uint32_t)dtlsl__conn_rests(s->conn);
    return n;
}

/* Connections whose clients say nothing any more: ids from the first on. */
static uint64_t
add_silent(world *w, uint32_t n)
{
    static uint32_t host = HOST;
    uint64_t first = 0;

    for (uint32_t i = 0; i < n; i++) {
        dtlsl_path path = world_path(host++, 4000);
        client *c = world_client_at(w, NULL, &path);
        uint64_t id = world_connect(w, c);

        first = i == 0 ? id : first;
        world_drop_client(w, c);
        w->n_events = 0;
    }
    return first;
}

START_TEST(only_the_last_to_work_keep_their_buffers)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL), *b = world_client(w, NULL);
    uint64_t first = world_connect(w, c), second = world_connect(w, b);

    add_silent(w, OTHERS - 2);
    ck_assert_uint_eq(count_resting(w), 0);
    world_check_echo(w, c, "who works is first again");
    add_silent(w, 1);
    ck_assert(!rests(w, first));
    ck_assert(rests(w, second));
    add_silent(w, 9);
    ck_assert_uint_eq(count_resting(w), 10);
    ck_assert_uint_eq(w->engine->peers.n_warm, DTLSL__WARM_MAX);
    world_check_echo(w, b, "who rests wakes up");
    ck_assert(!rests(w, second));
    ck_assert_uint_eq(count_resting(w), 10);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(an_idle_connection_costs_less_than_its_buffers_did)
{
    world *w = world_new(NULL);
    int64_t start, warm, resting;

    add_silent(w, 1);
    start = (int64_t)mallinfo2().uordblks;
    add_silent(w, OTHERS - 1);
    warm = (int64_t)mallinfo2().uordblks - start;
    add_silent(w, OTHERS - 1);
    resting = (int64_t)mallinfo2().uordblks - start - warm;
    /* a sanitizer's malloc tells nothing; since libssl 3.2 an SSL releases
     * buffers by itself */
    if (start != 0 && OpenSSL_version_num() < 0x30200000UL)
        ck_assert_int_lt(resting, warm - BUFFERS * (OTHERS - 1));
    ck_assert_uint_eq(count_resting(w), OTHERS - 1);
    world_free(w);
}
END_TEST

/* The list holds none that have ended, and none twice. */
START_TEST(an_ended_connection_is_not_warm)
{
    world *w = world_new(NULL);
    uint64_t first = add_silent(w, OTHERS + 20);

    for (uint64_t id = first; id < first + OTHERS + 20; id += 2) {
        ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
        world_pump(w);
        w->n_events = 0;
    }
    ck_assert_uint_eq(w->engine->peers.n_warm, OTHERS / 2);
    ck_assert_uint_eq(count_resting(w), 10);
    add_silent(w, OTHERS / 2);
    ck_assert_uint_eq(w->engine->peers.n_warm, OTHERS);
    ck_assert_uint_eq(count_resting(w), 10);
    world_free(w);
}
END_TEST

START_TEST(a_resting_connection_sends_closes_and_expires)
{
    world *w = world_new("idle-timeout-ms=60000");
    client *sender = world_client(w, NULL), *closer = world_client(w, NULL),
           *idle = world_client(w, NULL);
    uint64_t sends = world_connect(w, sender),
             closes = world_connect(w, closer);
    const uint8_t text[] = "out of the blue";

    world_connect(w, idle);
    add_silent(w, OTHERS);
    ck_assert_uint_eq(count_resting(w), 3);
    ck_assert_int_eq(dtlsl__engine_send(w->engine, sends, text, sizeof(text)),
                     DTLSL_OK);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, closes), DTLSL_OK);
    world_pump(w);
    ck_assert_uint_eq(client_received(sender), 1);
    ck_assert(client_is_closed(closer));
    world_wait(w, 60000);
    world_pump(w);
    ck_assert(client_is_closed(idle));
    world_free(w);
}
END_TEST

static void
send_to_all(world *w, const dtlsl_event *e)
{
    uint64_t id = 0;

    if (e->type != DTLSL_EVENT_DATA)
        return;
    w->hook = NULL;
    while ((id = dtlsl__engine_conn_next(w->engine, id)) != 0)
        if (id != e->conn)
            ck_assert_int_eq(
                dtlsl__engine_send(w->engine, id, e->data, e->len), DTLSL_OK);
    ck_assert(!session_of(w, e->conn)->warm);
    ck_assert(!rests(w, e->conn));
    ck_assert_int_eq(dtlsl__engine_send(w->engine, e->conn, e->data, e->len),
                     DTLSL_OK);
}

/* While its SSL is being read, more others work than can be warm. */
START_TEST(nobody_rests_while_it_is_read)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    add_silent(w, OTHERS + 1);
    w->hook = send_to_all;
    ck_assert_int_gt(client_write(c, "to all", 6), 0);
    world_pump(w);
    ck_assert_uint_eq(client_received(c), 1);
    ck_assert(!rests(w, id));
    ck_assert_uint_eq(w->engine->peers.n_warm, OTHERS);
    ck_assert_uint_eq(count_resting(w), 2);
    world_check_echo(w, c, "and again");
    world_free(w);
}
END_TEST

START_TEST(junk_wakes_nobody_for_long)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);
    uint8_t body[64] = {1}, junk[96];
    size_t len =
        make_record(junk, APPLICATION_DATA, 1, 50, body, sizeof(body));

    add_silent(w, OTHERS);
    for (int i = 0; i < 3; i++) {
        ck_assert(rests(w, id));
        world_input(w, &w->path[0], junk, len);
        ck_assert_uint_eq(w->engine->peers.n_warm, OTHERS);
    }
    world_check_echo(w, c, "genuine");
    ck_assert(!rests(w, id));
    world_input(w, &w->path[0], junk, len);
    ck_assert(rests(w, id));
    ck_assert_uint_eq(w->engine->peers.n_warm, OTHERS - 1);
    world_check_echo(w, c, "genuine");
    world_free(w);
}
END_TEST

/* The server's last flight got lost: the client sends its own again when the
 * connection rests for long. */
START_TEST(a_resting_connection_sends_its_flight_again)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    w->lose = 100;
    world_release(w, &w->path[0], held, n);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert(!client_is_open(c));
    w->lose = 0;
    client_discard(c);
    add_silent(w, OTHERS);
    ck_assert_uint_eq(count_resting(w), 1);
    for (int i = 0; i < 100 && !client_is_open(c); i++)
        world_advance(w, 100);
    ck_assert(client_is_open(c));
    world_check_echo(w, c, "in the end");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        only_the_last_to_work_keep_their_buffers,
        an_idle_connection_costs_less_than_its_buffers_did,
        an_ended_connection_is_not_warm,
        a_resting_connection_sends_closes_and_expires,
        nobody_rests_while_it_is_read,
        junk_wakes_nobody_for_long,
        a_resting_connection_sends_its_flight_again,
    };
    Suite *suite = test_suite("warm", tests, sizeof(tests) / sizeof(tests[0]));

    return test_main(suite);
}
