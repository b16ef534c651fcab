/* SPDX-License-Identifier: MIT
 * The listener: its life, and a client of OpenSSL over loopback. */
#include "host.h"
#include "listener_state.h"
#include "scene.h"
#include "test.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void
on_event(dtlsl_listener *l, const dtlsl_event *event, void *user)
{
    (void)l;
    if (event->type == DTLSL_EVENT_STOPPED)
        ++*(int *)user;
}

static void
on_event_free(dtlsl_listener *l, const dtlsl_event *event, void *user)
{
    on_event(l, event, user);
    dtlsl_listener_free(l);
}

START_TEST(a_config_without_credentials_is_refused_with_a_text)
{
    dtlsl_config *config;
    dtlsl_listener *l = NULL;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, NULL),
                     DTLSL_ERR_CREDENTIALS);
    ck_assert_ptr_nonnull(strstr(dtlsl_config_error(config), "self-signed"));
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_listener_that_failed_leaves_the_config_open)
{
    dtlsl_config *config;
    int there;
    dtlsl_listener *l = (dtlsl_listener *)&there;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, NULL),
                     DTLSL_ERR_CREDENTIALS);
    ck_assert_ptr_null(l);
    scene_set(config, "self-signed", "1");
    ck_assert_int_eq(dtlsl_listener_new(&l, config, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "mtu", "1000"), DTLSL_ERR_STATE);
    dtlsl_listener_free(l);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(free_takes_null_and_any_state)
{
    dtlsl_listener *l;

    dtlsl_listener_free(NULL);
    dtlsl_listener_free(scene_private());
    l = scene_private();
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    dtlsl_listener_free(l);
}
END_TEST

START_TEST(wrong_states_have_their_code)
{
    dtlsl_listener *l = scene_private();
    char text[DTLSL_ADDRESS_MAX];

    ck_assert_int_eq(dtlsl_listener_poll(l, 0), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_address(l, text, sizeof(text)),
                     DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_ERR_STATE);
    ck_assert_int_ne(dtlsl_listener_error(l)[0], '\0');
    ck_assert_int_eq(dtlsl_conn_send(l, 1, (const uint8_t *)"x", 1),
                     DTLSL_ERR_NOCONN);
    ck_assert_int_eq(dtlsl_conn_close(l, 1), DTLSL_ERR_NOCONN);
    dtlsl_listener_free(l);
}
END_TEST

START_TEST(a_private_loop_has_what_a_shared_one_has_not)
{
    dtlsl_listener *l = scene_private();
    int32_t fd = dtlsl_listener_fd(l);

    ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 60000);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_ge(dtlsl_listener_timeout(l), 0);
    ck_assert_int_le(dtlsl_listener_timeout(l), 60000);
    dtlsl_listener_free(l);
}
END_TEST

/* When the keys of hmac change depends on the system's uptime. */
static void
tick_in_an_hour(void *state, uint64_t mono_ms, uint64_t unix_ms,
                uint64_t *next_mono_ms)
{
    dtlsl__cookie_builtin("hmac")->tick(state, mono_ms, unix_ms, next_mono_ms);
    *next_mono_ms = mono_ms + 3600000;
}

START_TEST(a_timeout_is_a_minute_at_most)
{
    dtlsl_cookie_plugin hourly = *dtlsl__cookie_builtin("hmac");
    dtlsl_config *config = scene_config();
    dtlsl_listener *l;
    int32_t timeout;

    hourly.name = "hourly";
    hourly.tick = tick_in_an_hour;
    ck_assert_int_eq(dtlsl_config_add_cookie(config, &hourly, NULL), DTLSL_OK);
    scene_set(config, "cookie", "hourly");
    ck_assert_msg(dtlsl_listener_new(&l, config, NULL) == DTLSL_OK, "%s",
                  dtlsl_config_error(config));
    dtlsl_config_free(config);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dtlsl_listener_poll(l, 0), 0);
    timeout = dtlsl_listener_timeout(l);
    ck_assert_uint_gt(dtlsl__engine_deadline(l->engine),
                      uv_hrtime() / 1000000 + 100000);
    ck_assert_int_eq(timeout, 60000);
    dtlsl_listener_free(l);
}
END_TEST

static dtlsl_listener *
shared_new(uv_loop_t *loop, dtlsl_event_cb cb, void *user)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *l;

    ck_assert_int_eq(dtlsl_listener_new(&l, config, loop), DTLSL_OK);
    dtlsl_config_free(config);
    ck_assert_int_eq(dtlsl_listener_on_event(l, cb, user), DTLSL_OK);
    return l;
}

START_TEST(a_shared_loop_keeps_its_callback_and_cannot_be_polled)
{
    uv_loop_t loop;
    dtlsl_listener *l;
    int stopped = 0;

    uv_loop_init(&loop);
    l = shared_new(&loop, on_event, &stopped);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_on_event(l, NULL, NULL), DTLSL_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(dtlsl_listener_error(l), "callback"));
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_fd(l), DTLSL_ERR_STATE);
    ck_assert_ptr_null(dtlsl_listener_next(l));
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(stopped, 1); /* the callback is still there */
    ck_assert_int_eq(dtlsl_listener_on_event(l, NULL, NULL), DTLSL_OK);
    dtlsl_listener_free(l);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(a_descriptor_that_the_loop_watches_is_refused_with_a_text)
{
    struct sockaddr_in name = scene_loopback(0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), stopped = 0;
    uv_loop_t loop;
    dtlsl_listener *a, *b;

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    uv_loop_init(&loop);
    a = shared_new(&loop, on_event, &stopped);
    b = shared_new(&loop, on_event, &stopped);
    ck_assert_int_eq(dtlsl_listener_start_fd(a, fd), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start_fd(b, fd), UV_EEXIST);
    ck_assert_ptr_nonnull(
        strstr(dtlsl_listener_error(b), "watched on this loop already?"));
    ck_assert_int_eq(dtlsl_listener_start(b, "127.0.0.1", 0), DTLSL_OK);
    dtlsl_listener_free(a);
    dtlsl_listener_free(b);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    close(fd);
}
END_TEST

START_TEST(a_port_in_use_is_eaddrinuse)
{
    dtlsl_listener *a = scene_private(), *b = scene_private();
    char text[DTLSL_ADDRESS_MAX];
    uint16_t port;

    ck_assert_int_eq(dtlsl_listener_start(a, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_gt(dtlsl_listener_address(a, text, sizeof(text)), 0);
    port = (uint16_t)atoi(strrchr(text, ':') + 1);
    ck_assert_int_eq(dtlsl_listener_start(b, "127.0.0.1", port),
                     UV_EADDRINUSE);
    dtlsl_listener_free(a);
    dtlsl_listener_free(b);
}
END_TEST

START_TEST(stop_gives_stopped_by_pulling)
{
    dtlsl_listener *l = scene_private();
    const dtlsl_event *event;

    ck_assert_int_eq(dtlsl_listener_start(l, NULL, 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 0);
    ck_assert_ptr_null(dtlsl_listener_next(l));
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 0);
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 1);
    event = dtlsl_listener_next(l);
    ck_assert_ptr_nonnull(event);
    ck_assert_int_eq(event->type, DTLSL_EVENT_STOPPED);
    ck_assert_ptr_null(dtlsl_listener_next(l));
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 0);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 60000);
    dtlsl_listener_free(l);
}
END_TEST

START_TEST(stop_gives_stopped_by_callback)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *l;
    uv_loop_t loop;
    int stopped = 0;

    uv_loop_init(&loop);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, &loop), DTLSL_OK);
    dtlsl_config_free(config);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_on_event(l, on_event, &stopped), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    ck_assert_int_eq(stopped, 0); /* never inside another call */
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(stopped, 1);
    dtlsl_listener_free(l);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(free_is_allowed_in_the_last_event)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *l;
    uv_loop_t loop;
    int stopped = 0;

    uv_loop_init(&loop);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, &loop), DTLSL_OK);
    dtlsl_config_free(config);
    dtlsl_listener_on_event(l, on_event_free, &stopped);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(stopped, 1);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(two_workers_share_a_port_and_stop)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *a, *b, *c;
    char one[DTLSL_ADDRESS_MAX], two[DTLSL_ADDRESS_MAX];

    ck_assert_int_eq(dtlsl_config_set(config, "workers", "2"), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&a, config, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&b, config, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&c, config, NULL), DTLSL_OK);
    dtlsl_config_free(config);
    ck_assert_int_eq(dtlsl_listener_start(a, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(b, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(c, "127.0.0.1", 0), DTLSL_ERR_LIMIT);
    dtlsl_listener_address(a, one, sizeof(one));
    dtlsl_listener_address(b, two, sizeof(two));
    ck_assert_str_eq(one, two);
    dtlsl_listener_free(a);
    dtlsl_listener_free(b);
    dtlsl_listener_free(c);
}
END_TEST

/* The ways of delivery: 0 shared loop, 1 callback and 2 pulling on a private
 * one. */
static void
check_echo(int way)
{
    scene s;
    size_t len;
    const uint8_t *last;

    scene_open(&s, way == 0, way == 2, NULL);
    scene_until(&s, 'O');
    for (int i = 0; i < TURNS && !client_is_open(s.peer.c); i++)
        scene_turn(&s);
    scene_say(&s, "hello");
    for (int i = 0; i < TURNS && client_received(s.peer.c) == 0; i++)
        scene_turn(&s);
    last = client_last(s.peer.c, &len);
    ck_assert_uint_eq(len, 5);
    ck_assert_mem_eq(last, "hello", 5);
    client_shutdown(s.peer.c);
    scene_until(&s, 'C');
    ck_assert_int_eq(dtlsl_listener_stop(s.l), DTLSL_OK);
    scene_until(&s, 'S');
    ck_assert_str_eq(s.log, "HODCS");
    ck_assert_int_eq(s.port_free, 1);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "opened"), 1);
    ck_assert_uint_gt(dtlsl_listener_counter(s.l, "sent"), 3);
    scene_close(&s);
}

START_TEST(a_client_is_echoed_on_a_shared_loop)
{
    check_echo(0);
}
END_TEST

START_TEST(a_client_is_echoed_by_callback_on_a_private_loop)
{
    check_echo(1);
}
END_TEST

START_TEST(a_client_is_echoed_by_pulling)
{
    check_echo(2);
}
END_TEST

/* Stop with a connection: the client hears of it before STOPPED. */
static void
check_stop(int way)
{
    scene s;

    scene_open(&s, way == 0, way == 2, NULL);
    scene_until(&s, 'O');
    ck_assert_int_eq(dtlsl_listener_stop(s.l), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_stop(s.l), DTLSL_ERR_STATE);
    scene_until(&s, 'S');
    ck_assert_str_eq(s.log, "HOCS");
    ck_assert_int_eq(s.port_free, 1);
    peer_pump(&s.peer);
    ck_assert_int_eq(client_is_closed(s.peer.c), 1);
    scene_close(&s);
}

START_TEST(stop_tells_the_peers_and_frees_the_port_before_stopped)
{
    for (int way = 0; way < 3; way++)
        check_stop(way);
}
END_TEST

/* Calls of every kind in events of every kind */

/* Drives a connection from HELLO to STOPPED, whatever 'act' changes. */
static void
play(scene *s)
{
    int said = 0, shut = 0, stopped = 0;

    for (int i = 0; i < TURNS && s->l != NULL && !scene_has(s, 'S'); i++) {
        scene_turn(s);
        if (s->on == 'N' && s->l != NULL && scene_has(s, 'O') &&
            !scene_has(s, 'N')) {
            dtlsl__engine_notice(s->l->engine, "something of note");
            dtlsl__listener_settle(s->l);
        }
        if (!said && client_is_open(s->peer.c)) {
            scene_say(s, "hello");
            said = 1;
        }
        if (!shut && scene_has(s, 'D')) {
            client_shutdown(s->peer.c);
            shut = 1;
        }
        if (s->l != NULL && !stopped &&
            (scene_has(s, 'C') || scene_has(s, 'F') ||
             (s->act == CLOSE && s->on == 'H' && scene_has(s, 'H')))) {
            dtlsl_listener_stop(s->l);
            stopped = 1;
        }
    }
}

static void
check_act(int shared, char on, act what)
{
    client_options none_shared = {.ciphers = "DHE-RSA-AES128-GCM-SHA256"};
    scene s;
    char last;

    scene_open(&s, shared, 0, on == 'F' ? &none_shared : NULL);
    s.on = on;
    s.act = what;
    play(&s);
    ck_assert_msg(scene_has(&s, on), "no %c in \"%s\"", on, s.log);
    last = s.log[strlen(s.log) - 1];
    ck_assert_msg(last == (what == FREE ? on : 'S'), "\"%s\" at %c, act %d",
                  s.log, on, (int)what);
    ck_assert_ptr_eq(s.l == NULL ? &s : NULL, what == FREE ? &s : NULL);
    if (what != FREE)
        ck_assert_uint_eq(scene_count(s.log, 'O'), scene_count(s.log, 'C'));
    if (what == SEND || what == CLOSE)
        ck_assert_int_eq(s.result == DTLSL_OK,
                         on == 'O' || on == 'D' ||
                             (on == 'H' && what == CLOSE));
    if (what == STOP)
        ck_assert_int_eq(s.result, on == 'S' ? DTLSL_ERR_STATE : DTLSL_OK);
    scene_close(&s);
}

START_TEST(any_call_is_allowed_in_any_event)
{
    for (int shared = 0; shared < 2; shared++)
        for (const char *on = "HODCFNS"; *on != '\0'; on++)
            for (act what = SEND; what <= FREE; what++)
                check_act(shared, *on, what);
}
END_TEST

/* Pulling */

static void
open_and_say(scene *s, int pulling, int n)
{
    scene_open(s, 0, pulling, NULL);
    s->act = SEND;
    scene_until(s, 'O');
    for (int i = 0; i < TURNS && !client_is_open(s->peer.c); i++)
        scene_turn(s);
    ck_assert_int_eq(client_is_open(s->peer.c), 1);
    for (int i = 0; i < n; i++)
        scene_say(s, "hello");
}

START_TEST(nothing_is_read_while_events_are_not_pulled)
{
    scene s;
    uint64_t before, after;

    open_and_say(&s, 1, 40);
    before = dtlsl_listener_counter(s.l, "received");
    ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
    after = dtlsl_listener_counter(s.l, "received");
    ck_assert_uint_le(after, before + 1);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
        ck_assert_int_eq(dtlsl_listener_timeout(s.l), 0);
    }
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "received"), after);
    for (int i = 0; i < TURNS && scene_count(s.log, 'D') < 40; i++)
        scene_turn(&s);
    ck_assert_uint_eq(scene_count(s.log, 'D'), 40);
    scene_close(&s);
}
END_TEST

static void
answer_next(scene *s)
{
    const dtlsl_event *event = dtlsl_listener_next(s->l);

    ck_assert_ptr_nonnull(event);
    ck_assert_int_eq(event->type, DTLSL_EVENT_DATA);
    ck_assert_int_eq(
        dtlsl_conn_send(s->l, event->conn, event->data, event->len), DTLSL_OK);
}

START_TEST(answers_to_a_batch_leave_together)
{
    scene s;
    uint64_t before;

    open_and_say(&s, 1, 4);
    before = dtlsl_listener_counter(s.l, "sent");
    ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
    answer_next(&s);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "sent"), before);
    ck_assert_int_eq(dtlsl_listener_timeout(s.l), 0);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "sent"), before + 1);
    answer_next(&s);
    answer_next(&s);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "sent"), before + 1);
    answer_next(&s);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "sent"), before + 4);
    scene_close(&s);
}
END_TEST

START_TEST(a_batch_to_pull_bounds_no_sends)
{
    scene s;
    uint64_t before;

    open_and_say(&s, 1, 2);
    ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
    before = dtlsl_listener_counter(s.l, "sent");
    ck_assert_ptr_nonnull(dtlsl_listener_next(s.l));
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(
            dtlsl_conn_send(s.l, s.conn, (const uint8_t *)"news", 4),
            DTLSL_OK);
    ck_assert_uint_gt(dtlsl_listener_counter(s.l, "sent"), before);
    ck_assert_int_eq(dtlsl_listener_timeout(s.l), 0);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "sent"), before + 1000);
    scene_close(&s);
}
END_TEST

START_TEST(what_was_sent_leaves_before_a_listener_is_freed)
{
    scene s;

    open_and_say(&s, 1, 2);
    ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
    answer_next(&s);
    dtlsl_listener_free(s.l);
    s.l = NULL;
    for (int i = 0; i < TURNS && client_received(s.peer.c) == 0; i++)
        peer_pump(&s.peer);
    ck_assert_uint_eq(client_received(s.peer.c), 1);
    scene_close(&s);
}
END_TEST

START_TEST(an_event_stays_valid_until_the_next_is_pulled)
{
    scene s;
    const dtlsl_event *event;

    open_and_say(&s, 1, 2);
    ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
    event = dtlsl_listener_next(s.l);
    ck_assert_ptr_nonnull(event);
    ck_assert_int_eq(dtlsl_listener_poll(s.l, 0), 1);
    ck_assert_int_ge(dtlsl_listener_timeout(s.l), 0);
    ck_assert_int_eq(event->type, DTLSL_EVENT_DATA);
    ck_assert_mem_eq(event->data, "hello", 5);
    event = dtlsl_listener_next(s.l);
    ck_assert_ptr_nonnull(event);
    ck_assert_int_eq(event->type, DTLSL_EVENT_DATA);
    ck_assert_ptr_null(dtlsl_listener_next(s.l));
    ck_assert_int_eq(dtlsl_listener_poll(s.l, 0), 0);
    scene_close(&s);
}
END_TEST

START_TEST(a_callback_set_late_gets_what_was_not_pulled)
{
    scene s;

    open_and_say(&s, 1, 5);
    ck_assert_int_eq(dtlsl_listener_poll(s.l, -1), 1);
    ck_assert_ptr_nonnull(dtlsl_listener_next(s.l));
    ck_assert_int_eq(dtlsl_listener_on_event(s.l, scene_event, &s), DTLSL_OK);
    ck_assert_ptr_null(dtlsl_listener_next(s.l));
    for (int i = 0; i < TURNS && scene_count(s.log, 'D') < 4; i++)
        scene_turn(&s);
    scene_say(&s, "again");
    for (int i = 0; i < TURNS && scene_count(s.log, 'D') < 5; i++)
        scene_turn(&s);
    ck_assert_str_eq(s.log, "HODDDDD");
    scene_close(&s);
}
END_TEST

START_TEST(a_callback_that_goes_back_to_pulling_loses_nothing)
{
    scene s;

    open_and_say(&s, 0, 5);
    s.on = 'D';
    s.act = PULL;
    for (int i = 0; i < TURNS && scene_count(s.log, 'D') < 5; i++)
        scene_turn(&s);
    ck_assert_int_eq(s.result, DTLSL_OK);
    ck_assert_str_eq(s.log, "HODDDDD");
    scene_close(&s);
}
END_TEST

/* The last event is told by callback, though poll had found it for next. */
START_TEST(a_callback_set_at_the_very_end_gets_stopped)
{
    dtlsl_listener *l = scene_private();
    int stopped = 0;

    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 1);
    ck_assert_int_eq(dtlsl_listener_on_event(l, on_event, &stopped), DTLSL_OK);
    ck_assert_int_eq(stopped, 0);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 0);
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 0);
    ck_assert_int_eq(stopped, 1);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 60000);
    dtlsl_listener_free(l);
}
END_TEST

/* An embedding loop must not spin: after a poll there is time to wait. */
static void
check_rest(scene *s)
{
    struct pollfd fd = {dtlsl_listener_fd(s->l), POLLIN, 0};

    for (int i = 0; i < 3; i++) {
        scene_run(s);
        dtlsl_listener_timeout(s->l);
    }
    for (int i = 0; i < 3; i++) {
        scene_run(s);
        ck_assert_int_gt(dtlsl_listener_timeout(s->l), 0);
    }
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
}

START_TEST(an_idle_private_loop_rests_until_its_fd_is_readable)
{
    scene s;
    struct pollfd fd = {0, POLLIN, 0};

    for (int pulling = 0; pulling < 2; pulling++) {
        open_and_say(&s, pulling, 0);
        fd.fd = dtlsl_listener_fd(s.l);
        check_rest(&s);
        scene_say(&s, "hello");
        ck_assert_int_eq(poll(&fd, 1, 10000), 1);
        scene_run(&s);
        ck_assert_str_eq(s.log, "HOD");
        check_rest(&s);
        scene_close(&s);
    }
}
END_TEST

START_TEST(a_send_outside_of_events_leaves_at_once)
{
    scene s;
    struct pollfd fd = {0, POLLIN, 0};

    open_and_say(&s, 1, 0);
    fd.fd = s.peer.fd;
    ck_assert_int_eq(dtlsl_conn_send(s.l, s.conn, (const uint8_t *)"news", 4),
                     DTLSL_OK);
    ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    peer_pump(&s.peer);
    ck_assert_uint_eq(client_received(s.peer.c), 1);
    ck_assert_int_eq(dtlsl_conn_close(s.l, s.conn), DTLSL_OK);
    ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    peer_pump(&s.peer);
    ck_assert_int_eq(client_is_closed(s.peer.c), 1);
    scene_until(&s, 'C');
    scene_close(&s);
}
END_TEST

/* Sockets of the caller */

static int
refused_fd(int fd, const char *why)
{
    dtlsl_listener *l = scene_private();
    int ok = dtlsl_listener_start_fd(l, fd) == DTLSL_ERR_ARGUMENT &&
             strstr(dtlsl_listener_error(l), why) != NULL;

    dtlsl_listener_free(l);
    return ok;
}

START_TEST(a_descriptor_that_cannot_serve_is_refused_with_a_text)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    int local = socket(AF_UNIX, SOCK_DGRAM, 0);
    int unbound = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(refused_fd(-1, "no UDP socket"), 1);
    ck_assert_int_eq(refused_fd(tcp, "no UDP socket"), 1);
    ck_assert_int_eq(refused_fd(local, "no UDP socket"), 1);
    ck_assert_int_eq(refused_fd(unbound, "bind"), 1);
    close(tcp);
    close(local);
    close(unbound);
}
END_TEST

START_TEST(a_descriptor_stays_the_callers)
{
    struct sockaddr_in name = scene_loopback(0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    scene s = {0};

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    s.l = scene_private();
    ck_assert_int_eq(dtlsl_listener_start_fd(s.l, fd), DTLSL_OK);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    peer_open(&s.peer, scene_port_of(s.l), NULL);
    scene_until(&s, 'O');
    ck_assert_int_eq(dtlsl_listener_stop(s.l), DTLSL_OK);
    scene_until(&s, 'S');
    ck_assert_int_ge(fcntl(fd, F_GETFL), 0);
    close(fd); /* allowed now */
    ck_assert_int_eq(dtlsl_listener_poll(s.l, 0), 0);
    scene_close(&s);
}
END_TEST

/* Workers */

START_TEST(two_workers_serve_the_clients_of_one_port)
{
    enum {
        PEERS = 8
    };
    dtlsl_config *config = scene_config();
    const dtlsl_event *event;
    dtlsl_listener *l[2];
    peer peers[PEERS];
    unsigned open = 0;

    ck_assert_int_eq(dtlsl_config_set(config, "workers", "2"), DTLSL_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(dtlsl_listener_new(&l[i], config, NULL), DTLSL_OK);
        ck_assert_int_eq(dtlsl_listener_start(l[i], "127.0.0.1", 0), DTLSL_OK);
    }
    dtlsl_config_free(config);
    for (int i = 0; i < PEERS; i++)
        peer_open(&peers[i], scene_port_of(l[0]), NULL);
    for (int round = 0; round < TURNS && open < PEERS; round++) {
        peer_pump(&peers[open]); /* one by one: accepts are rationed */
        for (int i = 0; i < 2; i++) {
            ck_assert_int_ge(dtlsl_listener_poll(l[i], 1), 0);
            while ((event = dtlsl_listener_next(l[i])) != NULL)
                open += event->type == DTLSL_EVENT_OPEN;
        }
    }
    ck_assert_uint_eq(open, PEERS);
    for (int i = 0; i < PEERS; i++)
        peer_close(&peers[i]);
    dtlsl_listener_free(l[0]);
    dtlsl_listener_free(l[1]);
}
END_TEST

START_TEST(null_has_its_code_everywhere)
{
    char text[8];
    uint64_t tag = dtlsl_conn_tag(NULL, 1);

    ck_assert_uint_eq(tag, 0);
    ck_assert_int_eq(dtlsl_listener_start(NULL, NULL, 0), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_listener_start_fd(NULL, 0), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_listener_stop(NULL), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_listener_poll(NULL, 0), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_listener_reload(NULL), DTLSL_ERR_ARGUMENT);
    ck_assert_ptr_null(dtlsl_listener_next(NULL));
    ck_assert_str_eq(dtlsl_listener_error(NULL), "");
    ck_assert_int_eq(dtlsl_conn_peer(NULL, 1, text, sizeof(text)),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_conn_close(NULL, 1), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_conn_mtu(NULL, 1), DTLSL_ERR_ARGUMENT);
    ck_assert_ptr_null(dtlsl_conn_ssl(NULL, 1));
}
END_TEST

START_TEST(counters_answer_in_any_state)
{
    dtlsl_listener *l = scene_private();
    char text[8192];

    ck_assert_uint_eq(dtlsl_listener_counter(l, "received"), 0);
    ck_assert_uint_eq(dtlsl_listener_counter(l, "no_such_counter"), 0);
    ck_assert_uint_eq(dtlsl_listener_counter(l, "libssl_outdated"),
                      (uint64_t)dtlsl_libssl_outdated(NULL));
    ck_assert_int_gt(
        dtlsl_listener_counters(l, DTLSL_FORMAT_JSON, text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "\"received\""));
    ck_assert_ptr_nonnull(strstr(text, ",\"cookie_hmac_minted\":"));
    ck_assert_int_eq(dtlsl_listener_counters(l, DTLSL_FORMAT_JSON, text, 4),
                     DTLSL_ERR_SPACE);
    ck_assert_str_eq(dtlsl_listener_counter_name(0), "received");
    ck_assert_ptr_null(dtlsl_listener_counter_name(10000));
    dtlsl_listener_free(l);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_config_without_credentials_is_refused_with_a_text,
        a_listener_that_failed_leaves_the_config_open,
        a_private_loop_has_what_a_shared_one_has_not,
        a_timeout_is_a_minute_at_most,
        a_shared_loop_keeps_its_callback_and_cannot_be_polled,
        a_descriptor_that_the_loop_watches_is_refused_with_a_text,
        free_takes_null_and_any_state,
        wrong_states_have_their_code,
        a_port_in_use_is_eaddrinuse,
        stop_gives_stopped_by_pulling,
        stop_gives_stopped_by_callback,
        free_is_allowed_in_the_last_event,
        two_workers_share_a_port_and_stop,
        a_client_is_echoed_on_a_shared_loop,
        a_client_is_echoed_by_callback_on_a_private_loop,
        a_client_is_echoed_by_pulling,
        stop_tells_the_peers_and_frees_the_port_before_stopped,
        any_call_is_allowed_in_any_event,
        nothing_is_read_while_events_are_not_pulled,
        answers_to_a_batch_leave_together,
        a_batch_to_pull_bounds_no_sends,
        what_was_sent_leaves_before_a_listener_is_freed,
        an_event_stays_valid_until_the_next_is_pulled,
        a_callback_set_late_gets_what_was_not_pulled,
        a_callback_that_goes_back_to_pulling_loses_nothing,
        a_callback_set_at_the_very_end_gets_stopped,
        an_idle_private_loop_rests_until_its_fd_is_readable,
        a_send_outside_of_events_leaves_at_once,
        a_descriptor_that_cannot_serve_is_refused_with_a_text,
        a_descriptor_stays_the_callers,
        two_workers_serve_the_clients_of_one_port,
        null_has_its_code_everywhere,
        counters_answer_in_any_state,
    };

    return test_main(
        test_suite("listener", tests, sizeof(tests) / sizeof(tests[0])));
}
