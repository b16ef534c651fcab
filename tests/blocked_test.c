/* SPDX-License-Identifier: MIT
 * A socket that takes no more: BUSY, WRITABLE, and what is done in it. */
#include "scene.h"
#include "test.h"
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int blocked;
static int sessions_only; /* are blocked: by the socket that data leaves by */
static int data_fd;
static time_t skipped_s;

static int
is_blocked(int fd, const struct msghdr *msg)
{
    if (*(const uint8_t *)msg->msg_iov->iov_base == 23)
        data_fd = fd;
    return blocked && (!sessions_only || fd == data_fd);
}

/* The library's system calls end up here; clients use send. */

int
sendmmsg(int fd, struct mmsghdr *list, unsigned n, int flags)
{
    if (is_blocked(fd, &list->msg_hdr)) {
        errno = EAGAIN;
        return -1;
    }
    return (int)syscall(SYS_sendmmsg, fd, list, n, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
    if (is_blocked(fd, msg)) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, msg, flags);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int result = (int)syscall(SYS_clock_gettime, id, ts);

    ts->tv_sec += skipped_s;
    return result;
}

typedef struct tally {
    unsigned sent;
    int32_t last, again;
} tally;

/* Sends until it is told BUSY, and is told so twice. */
static void
fill(scene *s, const dtlsl_event *event)
{
    static const uint8_t data[1000];
    tally *t = s->user;

    if (event->type != DTLSL_EVENT_DATA)
        return;
    blocked = 1;
    t->sent = 0;
    while ((t->last = dtlsl_conn_send(s->l, event->conn, data,
                                      sizeof(data))) == DTLSL_OK)
        t->sent++;
    t->again = dtlsl_conn_send(s->l, event->conn, data, sizeof(data));
}

/* Ways as in listener_test: shared, callback and pulling on a private loop. */
static void
open_and_fill(scene *s, dtlsl_config *config, int way, tally *t)
{
    blocked = 0;
    scene_open_with(s, config, way == 0, way == 2, NULL);
    s->hook = fill;
    s->user = t;
    scene_both_open(s);
    scene_say(s, "hello");
    scene_until(s, 'D');
    ck_assert_int_eq(t->last, DTLSL_ERR_BUSY);
    ck_assert_int_eq(t->again, DTLSL_ERR_BUSY);
    ck_assert_uint_gt(t->sent, 10);
    for (int i = 0; i < 20; i++)
        scene_run(s);
    ck_assert_str_eq(s->log, "OD");
    ck_assert_uint_gt(dtlsl_listener_counter(s->l, "send_blocked"), 0);
}

START_TEST(a_full_socket_is_busy_and_then_writable_once)
{
    for (int way = 0; way < 3; way++) {
        scene s;
        tally t;
        uint64_t sent;

        open_and_fill(&s, scene_config(), way, &t);
        sent = dtlsl_listener_counter(s.l, "sent");
        blocked = 0;
        scene_until(&s, 'W');
        for (int i = 0; i < 20; i++)
            scene_run(&s);
        ck_assert_str_eq(s.log, "ODW");
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "data_out"), t.sent);
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "sent"), sent + t.sent);
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "send_dropped"), 0);
        scene_close(&s);
    }
}
END_TEST

static void
check_act(int way, act what, const char *log)
{
    scene s;
    tally t;

    open_and_fill(&s, scene_config(), way, &t);
    s.on = 'W';
    s.act = what;
    blocked = 0;
    for (int i = 0; i < TURNS && s.l != NULL && strcmp(s.log, log) != 0; i++)
        scene_turn(&s);
    ck_assert_str_eq(s.log, log);
    ck_assert_int_eq(s.result, DTLSL_OK);
    ck_assert_int_eq(s.l == NULL, what == FREE);
    scene_close(&s);
}

START_TEST(any_call_is_allowed_in_writable)
{
    for (int way = 0; way < 3; way++) {
        check_act(way, SEND, "ODW");
        check_act(way, CLOSE, "ODWC");
        check_act(way, STOP, "ODWCS");
        check_act(way, FREE, "ODW");
    }
}
END_TEST

START_TEST(a_full_socket_does_not_keep_a_listener_from_its_end)
{
    for (int way = 0; way < 3; way++) {
        scene s;
        tally t;

        open_and_fill(&s, scene_config(), way, &t);
        ck_assert_int_eq(dtlsl_listener_stop(s.l), DTLSL_OK);
        for (int i = 0; i < 20; i++)
            scene_run(&s);
        ck_assert_int_eq(scene_has(&s, 'S'), 0); /* its alerts are to leave */
        if (way > 0)
            ck_assert_int_gt(dtlsl_listener_timeout(s.l), 0);
        blocked = 0;
        scene_until(&s, 'S');
        scene_close(&s);
        open_and_fill(&s, scene_config(), way, &t);
        dtlsl_listener_free(s.l);
        s.l = NULL;
        scene_close(&s);
    }
    blocked = 0;
}
END_TEST

/* The session is due, but there is no room for its close_notify. */
START_TEST(a_listener_rests_while_its_socket_is_full)
{
    for (int way = 1; way < 3; way++) {
        dtlsl_config *config = scene_config();
        scene s;
        tally t;

        scene_set(config, "idle-timeout-ms", "1000");
        open_and_fill(&s, config, way, &t);
        skipped_s += 5;
        for (int i = 0; i < 5; i++) {
            scene_run(&s);
            ck_assert_int_gt(dtlsl_listener_timeout(s.l), 0);
        }
        ck_assert_int_eq(scene_has(&s, 'C'), 0);
        blocked = 0;
        scene_until(&s, 'C');
        scene_close(&s);
    }
    skipped_s = 0;
}
END_TEST

/* Sends for as long as it may, whenever it may, to a socket that is full again
 * at once. */
static void
fill_again(scene *s, const dtlsl_event *event)
{
    static const uint8_t data[1000];

    if (event->type != DTLSL_EVENT_WRITABLE)
        return;
    blocked = 1;
    while (dtlsl_conn_send(s->l, event->conn, data, sizeof(data)) == DTLSL_OK)
        continue;
}

START_TEST(who_sends_all_the_time_keeps_no_deadline_from_coming)
{
    for (int way = 0; way < 3; way++) {
        dtlsl_config *config = scene_config();
        scene s;
        tally t;

        scene_set(config, "idle-timeout-ms", "1000");
        open_and_fill(&s, config, way, &t);
        s.hook = fill_again;
        for (int i = 0; i < 10; i++) {
            blocked = 0;
            scene_run(&s);
        }
        ck_assert_int_eq(scene_has(&s, 'W'), 1);
        skipped_s += 5;
        for (int i = 0; i < 10 && !scene_has(&s, 'C'); i++) {
            blocked = 0;
            scene_run(&s);
        }
        ck_assert_int_eq(scene_has(&s, 'C'), 1);
        scene_close(&s);
    }
    blocked = 0;
    skipped_s = 0;
}
END_TEST

/* ... to a socket that takes it all. */
static void
fill_for_ever(scene *s, const dtlsl_event *event)
{
    fill_again(s, event);
    blocked = 0;
}

START_TEST(a_path_that_takes_all_lets_others_come)
{
    for (int way = 0; way < 3; way++) {
        scene s;
        tally t;
        peer newcomer;

        open_and_fill(&s, scene_config(), way, &t);
        s.hook = fill_for_ever;
        blocked = 0;
        for (int i = 0; i < 5; i++)
            scene_run(&s);
        ck_assert_int_eq(scene_has(&s, 'W'), 1);
        peer_open(&newcomer, s.port, NULL);
        for (int turn = 0; turn < 2; turn++) {
            peer_pump(&newcomer);
            for (int i = 0; i < 5; i++)
                scene_run(&s);
        }
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "accepted"), 2);
        peer_close(&newcomer);
        scene_close(&s);
    }
}
END_TEST

/* With isolate strangers have sockets of their own. */
START_TEST(a_full_socket_of_sessions_keeps_no_answer_from_strangers)
{
    for (int way = 0; way < 3; way++) {
        scene s;
        tally t;
        peer newcomer;
        uint64_t replied;

        sessions_only = 1;
        open_and_fill(&s, scene_config(), way, &t);
        replied = dtlsl_listener_counter(s.l, "replied");
        peer_open(&newcomer, s.port, NULL);
        peer_pump(&newcomer);
        for (int i = 0; i < 20; i++)
            scene_run(&s);
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "replied"), replied + 1);
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "send_dropped"), 0);
        peer_pump(&newcomer); /* its second ClientHello */
        for (int i = 0; i < 20; i++)
            scene_run(&s);
        ck_assert_uint_eq(dtlsl_listener_counter(s.l, "accepted"), 2);
        peer_close(&newcomer);
        blocked = sessions_only = 0;
        scene_close(&s);
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_full_socket_is_busy_and_then_writable_once,
        any_call_is_allowed_in_writable,
        a_full_socket_does_not_keep_a_listener_from_its_end,
        a_listener_rests_while_its_socket_is_full,
        who_sends_all_the_time_keeps_no_deadline_from_coming,
        a_path_that_takes_all_lets_others_come,
        a_full_socket_of_sessions_keeps_no_answer_from_strangers,
    };

    return test_main(
        test_suite("blocked", tests, sizeof(tests) / sizeof(tests[0])));
}
