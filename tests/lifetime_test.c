/* SPDX-License-Identifier: MIT
 * A listener that is freed, stopped or asked where the application is called:
 * in its events, and in callbacks of OpenSSL's. */
#include "scene.h"
#include "test.h"
#include <stdio.h>
#include <unistd.h>

/* In events */

static void
free_and_start_anew(scene *s, const dtlsl_event *event)
{
    dtlsl_listener *next;

    if (event->type != DTLSL_EVENT_OPEN)
        return;
    dtlsl_listener_free(s->l);
    s->l = NULL;
    next = scene_private();
    s->result = dtlsl_listener_start(next, "127.0.0.1", s->port);
    dtlsl_listener_free(next);
}

START_TEST(free_in_an_event_gives_the_port_back_at_once)
{
    for (int way = 0; way < 3; way++) {
        scene s;

        scene_open(&s, way == 0, way == 2, NULL);
        s.hook = free_and_start_anew;
        s.result = 1;
        scene_until(&s, 'O');
        ck_assert_int_eq(s.result, DTLSL_OK);
        ck_assert_ptr_null(s.l);
        scene_close(&s);
    }
}
END_TEST

static int
bound_socket(void)
{
    struct sockaddr_in name = scene_loopback(0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static dtlsl_listener *
listener_on(scene *s, int fd)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *l;

    ck_assert_int_eq(
        dtlsl_listener_new(&l, config, s->shared ? &s->loop : NULL), DTLSL_OK);
    dtlsl_config_free(config);
    dtlsl_listener_on_event(l, scene_event, s);
    s->result = dtlsl_listener_start_fd(l, fd);
    return l;
}

/* The new socket has the old one's number. */
static void
free_and_close(scene *s, const dtlsl_event *event)
{
    int *fd = s->user, old = *fd;

    if (event->type != DTLSL_EVENT_OPEN)
        return;
    dtlsl_listener_free(s->l);
    ck_assert_int_eq(close(old), 0);
    *fd = bound_socket();
    ck_assert_int_eq(*fd, old);
    s->l = listener_on(s, *fd);
}

START_TEST(a_descriptor_may_be_closed_behind_free_in_an_event)
{
    for (int shared = 0; shared < 2; shared++) {
        int fd = bound_socket();
        dtlsl_listener *first;
        scene s = {.shared = shared, .hook = free_and_close, .user = &fd};

        if (shared)
            ck_assert_int_eq(uv_loop_init(&s.loop), 0);
        first = s.l = listener_on(&s, fd);
        ck_assert_int_eq(s.result, DTLSL_OK);
        peer_open(&s.peer, scene_port_of(s.l), NULL);
        while (s.l == first)
            scene_turn(&s);
        ck_assert_int_eq(s.result, DTLSL_OK);
        s.hook = NULL;
        peer_close(&s.peer);
        peer_open(&s.peer, scene_port_of(s.l), NULL);
        s.log[0] = '\0';
        scene_until(&s, 'O');
        scene_close(&s);
        close(fd);
    }
}
END_TEST

static void
poll_inside(scene *s, const dtlsl_event *event)
{
    (void)event;
    s->result = dtlsl_listener_poll(s->l, -1);
}

START_TEST(poll_in_an_event_is_refused)
{
    for (int shared = 0; shared < 2; shared++) {
        scene s;

        scene_open(&s, shared, 0, NULL);
        s.hook = poll_inside;
        scene_until(&s, 'O');
        ck_assert_int_eq(s.result, DTLSL_ERR_STATE);
        ck_assert_ptr_nonnull(
            strstr(dtlsl_listener_error(s.l), "not in a callback"));
        scene_close(&s);
    }
}
END_TEST

static void
pull_inside(scene *s, const dtlsl_event *event)
{
    if (event->type != DTLSL_EVENT_DATA || s->user != NULL)
        return;
    s->user = s;
    ck_assert_int_eq(dtlsl_listener_on_event(s->l, NULL, NULL), DTLSL_OK);
    ck_assert_ptr_null(dtlsl_listener_next(s->l));
    ck_assert_mem_eq(event->data, "first", 5);
}

START_TEST(nothing_is_pulled_in_an_event)
{
    scene s;

    scene_open(&s, 0, 0, NULL);
    scene_both_open(&s);
    s.hook = pull_inside;
    scene_say(&s, "first");
    scene_say(&s, "second");
    for (int i = 0; i < TURNS && scene_count(s.log, 'D') < 2; i++)
        scene_turn(&s);
    ck_assert_str_eq(s.log, "HODD");
    scene_close(&s);
}
END_TEST

/* In callbacks of OpenSSL's */

enum {
    ASK,
    END,
    VANISH,
    REFUSE
};

static struct {
    scene *s;
    int what;
    int calls;
} inside;

static void
ask(dtlsl_listener *l, uint64_t conn)
{
    char text[DTLSL_ADDRESS_MAX];

    ck_assert_ptr_null(dtlsl_listener_next(l));
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_conn_send(l, conn, (const uint8_t *)"x", 1),
                     DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_conn_close(l, conn), DTLSL_ERR_STATE);
    ck_assert_int_ge(dtlsl_listener_timeout(l), 0);
    ck_assert_int_gt(dtlsl_conn_peer(l, conn, text, sizeof(text)), 0);
    ck_assert_int_eq(dtlsl_conn_set_tag(l, conn, 7), DTLSL_OK);
    ck_assert_uint_eq(dtlsl_listener_counter(l, "cookie_valid"), 1);
}

static int
on_server_name(SSL *ssl, int *alert, void *user)
{
    dtlsl_listener *l;
    uint64_t conn;

    (void)alert;
    (void)user;
    inside.calls++;
    ck_assert_int_eq(dtlsl_conn_of_ssl(ssl, &l, &conn), DTLSL_OK);
    ck_assert_ptr_eq(l, inside.s->l);
    if (inside.what == ASK)
        ask(l, conn);
    else if (inside.what == END)
        ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    else if (inside.what == VANISH) {
        dtlsl_listener_free(l);
        inside.s->l = NULL;
    }
    return inside.what == REFUSE ? SSL_TLSEXT_ERR_ALERT_FATAL
                                 : SSL_TLSEXT_ERR_OK;
}

static dtlsl_config *
config_with_callback(int hello, int (*cb)(SSL *, int *, void *))
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    dtlsl_config *config;
    identity id;

    identity_make(&id, "localhost");
    ck_assert_int_eq(SSL_CTX_use_certificate(ctx, id.cert), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, id.key), 1);
    identity_free(&id);
    SSL_CTX_set_tlsext_servername_callback(ctx, cb);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, ctx), DTLSL_OK);
    SSL_CTX_free(ctx);
    scene_set(config, "events-hello", hello ? "1" : "0");
    return config;
}

/* By pulling with HELLO it runs in dtlsl_listener_next, without it in
 * dtlsl_listener_poll, else in the loop. */
static void
check_inside(int what, int way, int hello)
{
    client_options options = {.server_name = "localhost"};
    scene s;

    inside.s = &s;
    inside.what = what;
    inside.calls = 0;
    scene_open_with(&s, config_with_callback(hello, on_server_name), way == 0,
                    way == 2, &options);
    for (int i = 0; i < TURNS && inside.calls == 0; i++)
        scene_turn(&s);
    ck_assert_int_eq(inside.calls, 1);
    if (what == ASK) {
        scene_until(&s, 'O');
        ck_assert_uint_eq(dtlsl_conn_tag(s.l, s.conn), 7);
    } else if (what == END) {
        scene_until(&s, 'S');
        ck_assert_str_eq(s.log, hello ? "HFS" : "FS");
    } else if (what == REFUSE) {
        scene_until(&s, 'F');
        ck_assert_int_eq(client_is_open(s.peer.c), 0);
    } else {
        ck_assert_str_eq(s.log, hello ? "H" : "");
        ck_assert_int_eq(scene_can_bind(s.port), 1);
    }
    scene_close(&s);
}

static void
check_everywhere(int what)
{
    for (int way = 0; way < 3; way++)
        for (int hello = 0; hello < 2; hello++)
            check_inside(what, way, hello);
}

START_TEST(a_callback_of_openssl_may_ask)
{
    check_everywhere(ASK);
}
END_TEST

START_TEST(a_callback_of_openssl_may_stop_the_listener)
{
    check_everywhere(END);
}
END_TEST

START_TEST(a_callback_of_openssl_may_free_the_listener)
{
    check_everywhere(VANISH);
}
END_TEST

START_TEST(a_callback_of_openssl_refuses_with_an_error)
{
    check_everywhere(REFUSE);
}
END_TEST

/* Sends what the client has, each datagram with one more record. */
static void
send_with_tail(scene *s)
{
    static const uint8_t tail[14] = {20, 0xfe, 0xfd, 0, 0, 0, 0,
                                     0,  0,    0,    9, 0, 1, 1};
    uint8_t buf[2048];
    packet p;
    ssize_t n;

    while ((n = recv(s->peer.fd, buf, sizeof(buf), 0)) > 0)
        client_feed(s->peer.c, buf, (size_t)n);
    while (client_take(s->peer.c, &p)) {
        ck_assert_uint_lt(p.len + sizeof(tail), sizeof(buf));
        memcpy(buf, p.data, p.len);
        memcpy(buf + p.len, tail, sizeof(tail));
        ck_assert_int_gt(send(s->peer.fd, buf, p.len + sizeof(tail), 0), 0);
        packet_free(&p);
    }
}

START_TEST(a_datagram_outlives_the_listener_that_openssl_saw_freed)
{
    for (int way = 0; way < 3; way++) {
        client_options options = {.server_name = "localhost"};
        scene s;

        inside.s = &s;
        inside.what = VANISH;
        inside.calls = 0;
        scene_open_with(&s, config_with_callback(0, on_server_name), way == 0,
                        way == 2, &options);
        while (inside.calls == 0) {
            send_with_tail(&s);
            scene_run(&s);
        }
        ck_assert_str_eq(s.log, "");
        scene_close(&s);
    }
}
END_TEST

/* The step in which it is freed ends in an OPEN that nobody wants any more. */
static void
on_done(const SSL *ssl, int where, int value)
{
    (void)ssl;
    (void)value;
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0)
        return;
    inside.calls++;
    dtlsl_listener_free(inside.s->l);
    inside.s->l = NULL;
}

static int
watch_end(SSL *ssl, int *alert, void *user)
{
    (void)alert;
    (void)user;
    SSL_set_info_callback(ssl, on_done);
    return SSL_TLSEXT_ERR_OK;
}

START_TEST(a_listener_that_openssl_saw_freed_tells_nothing)
{
    for (int way = 0; way < 3; way++) {
        client_options options = {.server_name = "localhost"};
        scene s;

        inside.s = &s;
        inside.calls = 0;
        scene_open_with(&s, config_with_callback(0, watch_end), way == 0,
                        way == 2, &options);
        for (int i = 0; i < TURNS && inside.calls == 0; i++)
            scene_turn(&s);
        ck_assert_int_eq(inside.calls, 1);
        ck_assert_str_eq(s.log, "");
        scene_close(&s);
    }
}
END_TEST

/* An alert is told to the info callback while close_notify is written. */
static void
on_info(const SSL *ssl, int where, int value)
{
    (void)ssl;
    (void)value;
    if ((where & SSL_CB_WRITE_ALERT) != SSL_CB_WRITE_ALERT ||
        inside.s->l == NULL)
        return;
    inside.calls++;
    dtlsl_listener_free(inside.s->l);
    inside.s->l = NULL;
}

START_TEST(a_callback_of_openssl_may_free_the_listener_in_a_close)
{
    for (int way = 0; way < 3; way++) {
        scene s;

        inside.s = &s;
        inside.calls = 0;
        scene_open(&s, way == 0, way == 2, NULL);
        scene_both_open(&s);
        SSL_set_info_callback(dtlsl_conn_ssl(s.l, s.conn), on_info);
        dtlsl_conn_close(s.l, s.conn);
        ck_assert_int_eq(inside.calls, 1);
        ck_assert_int_eq(scene_can_bind(s.port), 1);
        scene_close(&s);
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        free_in_an_event_gives_the_port_back_at_once,
        a_descriptor_may_be_closed_behind_free_in_an_event,
        poll_in_an_event_is_refused,
        nothing_is_pulled_in_an_event,
        a_datagram_outlives_the_listener_that_openssl_saw_freed,
        a_listener_that_openssl_saw_freed_tells_nothing,
        a_callback_of_openssl_may_ask,
        a_callback_of_openssl_may_stop_the_listener,
        a_callback_of_openssl_may_free_the_listener,
        a_callback_of_openssl_refuses_with_an_error,
        a_callback_of_openssl_may_free_the_listener_in_a_close,
    };

    return test_main(
        test_suite("lifetime", tests, sizeof(tests) / sizeof(tests[0])));
}
