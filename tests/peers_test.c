/* SPDX-License-Identifier: MIT
 * The keyed hash, the table of sessions, deadlines and spent hellos. */
#include "peers.h"
#include "siphash.h"
#include "test.h"

static dtlsl_path
path_of(uint8_t host, uint16_t port)
{
    dtlsl_path path = {{0}, {0}};

    path.peer[10] = path.peer[11] = 0xff;
    path.peer[12] = 10;
    path.peer[15] = host;
    path.peer[16] = (uint8_t)(port >> 8);
    path.peer[17] = (uint8_t)port;
    return path;
}

/* The first and the sixteenth vector of the reference implementation. */
START_TEST(siphash_gives_the_published_vectors)
{
    uint8_t key[16], data[15];

    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    for (uint8_t i = 0; i < 15; i++)
        data[i] = i;
    ck_assert_uint_eq(dtlsl__siphash(key, data, 0), 0x726fdb47dd0e0e31);
    ck_assert_uint_eq(dtlsl__siphash(key, data, 15), 0xa129ca6149be45e5);
}
END_TEST

START_TEST(a_session_is_found_by_path_and_by_id)
{
    dtlsl__peers peers;
    dtlsl_path a = path_of(1, 1000), b = path_of(1, 1001);
    dtlsl__session *session;

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    session = dtlsl__peers_add(&peers, &a, NULL, 0, 5);
    ck_assert_ptr_nonnull(session);
    ck_assert_ptr_eq(dtlsl__peers_find(&peers, &a), session);
    ck_assert_ptr_null(dtlsl__peers_find(&peers, &b));
    ck_assert_ptr_eq(dtlsl__peers_by_id(&peers, session->id), session);
    dtlsl__peers_detach(&peers, session);
    ck_assert_ptr_null(dtlsl__peers_find(&peers, &a));
    ck_assert_ptr_eq(dtlsl__peers_by_id(&peers, session->id), session);
    dtlsl__peers_remove(&peers, session);
    dtlsl__peers_done(&peers);
}
END_TEST

START_TEST(a_successor_takes_the_path_over)
{
    dtlsl__peers peers;
    dtlsl_path a = path_of(1, 1000);
    dtlsl__session *old, *new;

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    old = dtlsl__peers_add(&peers, &a, NULL, 0, 0);
    new = dtlsl__peers_add(&peers, &a, old, 0, 0);
    ck_assert_ptr_eq(dtlsl__peers_find(&peers, &a), old);
    dtlsl__peers_detach(&peers, old);
    ck_assert_ptr_eq(dtlsl__peers_find(&peers, &a), new);
    dtlsl__peers_remove(&peers, old);
    dtlsl__peers_detach(&peers, new);
    dtlsl__peers_remove(&peers, new);
    ck_assert_uint_eq(peers.n_sessions, 0);
    ck_assert_uint_eq(peers.n_half_open, 0);
    dtlsl__peers_done(&peers);
}
END_TEST

/* Who worked least lately leaves, with one more than there is room for. */
START_TEST(the_least_lately_warm_leaves)
{
    enum {
        N = DTLSL__WARM_MAX + 2
    };
    dtlsl__peers peers;
    dtlsl__session *session[N];

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    for (uint16_t i = 0; i < N; i++) {
        dtlsl_path path = path_of(1, (uint16_t)(1000 + i));
        session[i] = dtlsl__peers_add(&peers, &path, NULL, 0, 0);
        dtlsl__peers_opened(&peers, session[i]);
    }
    for (int i = 0; i < DTLSL__WARM_MAX; i++)
        ck_assert_ptr_null(dtlsl__peers_warm(&peers, session[i]));
    ck_assert_ptr_null(dtlsl__peers_warm(&peers, session[0]));
    ck_assert_ptr_eq(dtlsl__peers_warm(&peers, session[N - 2]), session[1]);
    dtlsl__peers_cool(&peers, session[2]);
    dtlsl__peers_cool(&peers, session[2]);
    ck_assert_ptr_null(dtlsl__peers_warm(&peers, session[N - 1]));
    ck_assert_ptr_eq(dtlsl__peers_warm(&peers, session[1]), session[3]);
    for (int i = 0; i < N; i++) {
        dtlsl__peers_detach(&peers, session[i]);
        dtlsl__peers_remove(&peers, session[i]);
    }
    ck_assert_uint_eq(peers.n_warm, 0);
    ck_assert_ptr_null(peers.warm);
    dtlsl__peers_done(&peers);
}
END_TEST

START_TEST(deadlines_come_in_order)
{
    enum {
        N = 500
    };
    dtlsl__peers peers;
    dtlsl__session *session[N];
    uint64_t last = 0;

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    for (uint16_t i = 0; i < N; i++) {
        dtlsl_path path = path_of((uint8_t)(i % 250), (uint16_t)(1000 + i));
        session[i] = dtlsl__peers_add(&peers, &path, NULL, 0, 0);
        dtlsl__peers_schedule(&peers, session[i], (i * 7919U) % 1009);
    }
    for (uint32_t i = 0; i < N; i += 3)
        dtlsl__peers_schedule(&peers, session[i], (i * 104729U) % 997);
    for (int i = 0; i < N; i++) {
        dtlsl__session *due = dtlsl__peers_next_due(&peers);
        ck_assert_uint_ge(due->heap_ms, last);
        last = due->heap_ms;
        dtlsl__peers_detach(&peers, due);
        dtlsl__peers_remove(&peers, due);
    }
    ck_assert_ptr_null(dtlsl__peers_next_due(&peers));
    dtlsl__peers_done(&peers);
}
END_TEST

START_TEST(a_spent_hello_is_known_for_its_path_only)
{
    dtlsl__peers peers;
    dtlsl__session session = {.path = path_of(1, 1000), .hello_id = {7}};
    dtlsl_path other = path_of(2, 1000);

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    ck_assert(!dtlsl__peers_spent(&peers, &session.path, session.hello_id));
    dtlsl__peers_spend(&peers, &session, 10);
    ck_assert(dtlsl__peers_spent(&peers, &session.path, session.hello_id));
    ck_assert(!dtlsl__peers_spent(&peers, &other, session.hello_id));
    dtlsl__peers_done(&peers);
}
END_TEST

START_TEST(a_spent_hello_is_known_for_a_cookies_life)
{
    dtlsl__peers peers;
    dtlsl__session first = {.path = path_of(1, 1000), .hello_id = {1}};
    dtlsl__session later = {.path = path_of(2, 1000), .hello_id = {2}};

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    dtlsl__peers_spend(&peers, &first, 1000);
    later.created_ms = 1900;
    dtlsl__peers_spend(&peers, &later, 2000);
    ck_assert(dtlsl__peers_spent(&peers, &first.path, first.hello_id));
    later.created_ms = 3900;
    dtlsl__peers_spend(&peers, &later, 4000);
    ck_assert(!dtlsl__peers_spent(&peers, &first.path, first.hello_id));
    dtlsl__peers_done(&peers);
}
END_TEST

START_TEST(a_session_older_than_its_cookie_spends_nothing)
{
    dtlsl__peers peers;
    dtlsl__session session = {.path = path_of(1, 1000), .hello_id = {1}};

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    dtlsl__peers_spend(&peers, &session, 1001);
    ck_assert(!dtlsl__peers_spent(&peers, &session.path, session.hello_id));
    dtlsl__peers_done(&peers);
}
END_TEST

/* Far more than it holds: the newest are known, and it ends. */
START_TEST(spent_hellos_are_bounded)
{
    dtlsl__peers peers;
    dtlsl__session session = {.path = path_of(1, 1000)};

    ck_assert_int_eq(dtlsl__peers_init(&peers, 1000, 0), DTLSL_OK);
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(session.hello_id, &i, sizeof(i));
        dtlsl__peers_spend(&peers, &session, i / 1000);
        ck_assert(dtlsl__peers_spent(&peers, &session.path, session.hello_id));
    }
    dtlsl__peers_done(&peers);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        siphash_gives_the_published_vectors,
        a_session_is_found_by_path_and_by_id,
        a_successor_takes_the_path_over,
        the_least_lately_warm_leaves,
        deadlines_come_in_order,
        a_spent_hello_is_known_for_its_path_only,
        a_spent_hello_is_known_for_a_cookies_life,
        a_session_older_than_its_cookie_spends_nothing,
        spent_hellos_are_bounded,
    };

    return test_main(
        test_suite("peers", tests, sizeof(tests) / sizeof(tests[0])));
}
