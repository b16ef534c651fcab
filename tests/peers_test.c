/* SPDX-License-Identifier: MIT
 * The keyed hash, the table of sessions, deadlines and spent hellos. */
#include "peers.h"
#include "siphash.h"
#include "test.h"

enum {
    HALF_OPENS = 64, /* at the most */
    STEPS = 20000,
    LIVE_MAX = 128
};

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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

/* Whom to evict: beside a list that is searched in full. */

typedef struct live {
    dtlsl__session *session;
    uint64_t marked; /* step in which it was, where it is */
} live;

static struct {
    dtlsl__peers peers;
    live live[LIVE_MAX]; /* in the order of their ids */
    size_t n;
    uint64_t random;
    uint64_t step;
} model;

/* splitmix64 */
static uint32_t
below(uint32_t limit)
{
    uint64_t z = model.random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ (z >> 31)) % limit);
}

/* IPv4, or one of few /64 in few /48. */
static dtlsl_path
random_path(void)
{
    dtlsl_path path = path_of((uint8_t)below(5), (uint16_t)model.step);

    if (below(3) == 0)
        return path;
    memset(path.peer, 0, 16);
    path.peer[0] = 0x20;
    path.peer[5] = (uint8_t)below(3);
    path.peer[7] = (uint8_t)below(6);
    path.peer[15] = (uint8_t)below(9);
    return path;
}

static uint32_t
crowding(const dtlsl__session *session)
{
    uint32_t count[2] = {0, 0};

    for (size_t i = 0; i < model.n; i++)
        for (int wide = 0; wide < 2; wide++)
            count[wide] +=
                !model.live[i].session->was_open &&
                model.live[i].session->prefix[wide] == session->prefix[wide];
    return count[0] > count[1] / 2 ? count[0] : count[1] / 2;
}

/* Is it the oldest of a prefix, narrow or wide? */
static int
is_oldest(const dtlsl__session *session, int wide)
{
    for (size_t i = 0; i < model.n; i++)
        if (!model.live[i].session->was_open &&
            model.live[i].session->prefix[wide] == session->prefix[wide])
            return model.live[i].session == session;
    return 0;
}

static const live *
first_marked(int32_t mark)
{
    const live *first = NULL;

    for (size_t i = 0; i < model.n; i++)
        if (!model.live[i].session->was_open &&
            model.live[i].session->mark == mark &&
            (first == NULL || model.live[i].marked < first->marked))
            first = &model.live[i];
    return first;
}

static void
check_victim(void)
{
    const dtlsl__session *victim = dtlsl__peers_victim(&model.peers);
    const live *marked = first_marked(DTLSL__ALERTED);
    uint32_t most = 0;

    if (marked == NULL)
        marked = first_marked(DTLSL__INCOMPLETE);
    if (marked != NULL) {
        ck_assert_ptr_eq(victim, marked->session);
        return;
    }
    for (size_t i = 0; i < model.n; i++)
        if (!model.live[i].session->was_open &&
            crowding(model.live[i].session) > most)
            most = crowding(model.live[i].session);
    if (most == 0) {
        ck_assert_ptr_null(victim);
        return;
    }
    ck_assert_ptr_nonnull(victim);
    ck_assert_uint_eq(crowding(victim), most);
    ck_assert(is_oldest(victim, 0) || is_oldest(victim, 1));
}

static void
check_firmest(void)
{
    const live *first = first_marked(DTLSL__FIRM);

    ck_assert_ptr_eq(dtlsl__peers_firmest(&model.peers),
                     first == NULL ? NULL : first->session);
}

static void
end_live(size_t i)
{
    dtlsl__peers_detach(&model.peers, model.live[i].session);
    dtlsl__peers_remove(&model.peers, model.live[i].session);
    model.n--;
    memmove(&model.live[i], &model.live[i + 1],
            (model.n - i) * sizeof(model.live[0]));
}

/* One is added, marked, opened or ended. */
static void
do_something(void)
{
    size_t i = below((uint32_t)model.n + 1);
    uint32_t what = below(8);
    int32_t mark = (int32_t)below(DTLSL__MARKS);
    dtlsl_path path = random_path();

    if (model.n % 4 != 0)
        mark = DTLSL__FIRM; /* mostly, so that the crowds are seen, too */
    if (what < 4 && model.peers.n_half_open < HALF_OPENS &&
        model.n < LIVE_MAX) {
        model.live[model.n].marked = model.step;
        model.live[model.n++].session =
            dtlsl__peers_add(&model.peers, &path, NULL, 0, 0);
    } else if (i == model.n) {
        return;
    } else if (model.live[i].session->was_open || what < 6) {
        end_live(i);
    } else if (what == 6) {
        dtlsl__peers_opened(&model.peers, model.live[i].session);
    } else {
        if (mark != model.live[i].session->mark)
            model.live[i].marked = model.step;
        dtlsl__peers_mark(&model.peers, model.live[i].session, mark);
    }
}

START_TEST(a_victim_is_who_a_full_search_finds)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        memset(&model, 0, sizeof(model));
        model.random = seed;
        ck_assert_int_eq(dtlsl__peers_init(&model.peers, HALF_OPENS, 1000, 0),
                         DTLSL_OK);
        for (; model.step < STEPS; model.step++) {
            do_something();
            check_victim();
            check_firmest();
        }
        while (model.n > 0) {
            end_live(below((uint32_t)model.n));
            check_victim();
        }
        ck_assert_uint_eq(model.peers.n_half_open, 0);
        ck_assert_uint_eq(model.peers.top[0] + model.peers.top[1], 0);
        ck_assert_ptr_null(model.peers.prefixes);
        dtlsl__peers_done(&model.peers);
    }
}
END_TEST

/* A network in which each address has one: the oldest goes, as ever. */
START_TEST(of_prefixes_with_one_each_the_oldest_goes)
{
    dtlsl__peers peers;

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        dtlsl_path path = path_of(0, 5);
        path.peer[13] = (uint8_t)(i >> 8);
        path.peer[14] = (uint8_t)i;
        if (peers.n_half_open == HALF_OPENS) {
            dtlsl__session *victim = dtlsl__peers_victim(&peers);
            ck_assert_uint_eq(victim->id, i - HALF_OPENS + 1);
            dtlsl__peers_detach(&peers, victim);
            dtlsl__peers_remove(&peers, victim);
        }
        ck_assert_ptr_nonnull(dtlsl__peers_add(&peers, &path, NULL, 0, 0));
    }
    for (uint64_t id = 1000 - HALF_OPENS + 1; id <= 1000; id++) {
        dtlsl__session *session = dtlsl__peers_by_id(&peers, id);
        dtlsl__peers_detach(&peers, session);
        dtlsl__peers_remove(&peers, session);
    }
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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

    ck_assert_int_eq(dtlsl__peers_init(&peers, HALF_OPENS, 1000, 0), DTLSL_OK);
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
        a_victim_is_who_a_full_search_finds,
        of_prefixes_with_one_each_the_oldest_goes,
        deadlines_come_in_order,
        a_spent_hello_is_known_for_its_path_only,
        a_spent_hello_is_known_for_a_cookies_life,
        a_session_older_than_its_cookie_spends_nothing,
        spent_hellos_are_bounded,
    };

    return test_main(
        test_suite("peers", tests, sizeof(tests) / sizeof(tests[0])));
}
