/* SPDX-License-Identifier: MIT
 * Listeners of one config that share a port, also from different threads. */
#include "refuse.h"
#include "scene.h"
#include "test.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    WORKERS = 2,
    PEERS = 12,
    WAIT_MS = 10000
};

typedef struct worker {
    dtlsl_listener *l;
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    atomic_uint opened, closed, stopped;
} worker;

static void
on_event(dtlsl_listener *l, const dtlsl_event *event, void *user)
{
    worker *w = user;

    w->opened += event->type == DTLSL_EVENT_OPEN;
    w->closed += event->type == DTLSL_EVENT_CLOSE;
    if (event->type == DTLSL_EVENT_DATA) {
        dtlsl_conn_send(l, event->conn, event->data, event->len);
        dtlsl_listener_reload(l);
    }
    if (event->type == DTLSL_EVENT_STOPPED) {
        w->stopped++;
        uv_close((uv_handle_t *)&w->stop, NULL);
    }
}

static void
on_stop(uv_async_t *async)
{
    dtlsl_listener_stop(((worker *)async->data)->l);
}

static void *
run(void *user)
{
    worker *w = user;

    uv_run(&w->loop, UV_RUN_DEFAULT);
    dtlsl_listener_free(w->l);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void
start_one(worker *w, dtlsl_config *config)
{
    uv_loop_init(&w->loop);
    uv_async_init(&w->loop, &w->stop, on_stop);
    w->stop.data = w;
    ck_assert_int_eq(dtlsl_listener_new(&w->l, config, &w->loop), DTLSL_OK);
    dtlsl_listener_on_event(w->l, on_event, w);
    ck_assert_int_eq(dtlsl_listener_start(w->l, "127.0.0.1", 0), DTLSL_OK);
}

static void
go(worker *w)
{
    ck_assert_int_eq(pthread_create(&w->thread, NULL, run, w), 0);
}

/* Returns the config, which is the caller's. */
static dtlsl_config *
start(worker w[WORKERS], const char *isolate)
{
    dtlsl_config *config = scene_config();

    memset(w, 0, WORKERS * sizeof(*w));
    scene_set(config, "workers", "2");
    scene_set(config, "isolate", isolate);
    for (int i = 0; i < WORKERS; i++)
        start_one(&w[i], config);
    for (int i = 0; i < WORKERS; i++)
        go(&w[i]);
    return config;
}

static void
finish(worker *w)
{
    pthread_join(w->thread, NULL);
    ck_assert_uint_eq(w->stopped, 1);
    ck_assert_uint_eq(w->opened, w->closed);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
}

static void
pump_until(peer *p, int (*done)(const client *c))
{
    struct pollfd fd = {p->fd, POLLIN, 0};

    peer_pump(p);
    for (int i = 0; i < TURNS && !done(p->c); i++) {
        ck_assert_int_eq(poll(&fd, 1, WAIT_MS), 1);
        peer_pump(p);
    }
    ck_assert_int_eq(done(p->c), 1);
}

static void
open_peer(peer *p, uint16_t port, const client_options *options)
{
    peer_open(p, port, options);
    pump_until(p, client_is_open);
}

static void
echo_of(peer *p)
{
    size_t before = client_received(p->c);
    struct pollfd fd = {p->fd, POLLIN, 0};

    ck_assert_int_gt(client_write(p->c, "hello", 5), 0);
    peer_pump(p);
    while (client_received(p->c) == before) {
        ck_assert_int_eq(poll(&fd, 1, WAIT_MS), 1);
        peer_pump(p);
    }
}

static void
check_two_threads(const char *isolate)
{
    static worker w[WORKERS];
    dtlsl_config *config = start(w, isolate);
    uint16_t port = scene_port_of(w[0].l);
    peer peers[PEERS];

    dtlsl_config_free(config);
    for (int i = 0; i < PEERS; i++) /* one by one: accepts are rationed */
        open_peer(&peers[i], port, NULL);
    for (int i = 0; i < PEERS; i++)
        echo_of(&peers[i]);
    for (int i = 0; i < WORKERS; i++)
        uv_async_send(&w[i].stop);
    for (int i = 0; i < PEERS; i++) {
        pump_until(&peers[i], client_is_closed);
        peer_close(&peers[i]);
    }
    for (int i = 0; i < WORKERS; i++)
        finish(&w[i]);
    ck_assert_uint_eq(w[0].opened + w[1].opened, PEERS);
    ck_assert_int_eq(scene_can_bind(port), 1);
}

START_TEST(two_threads_serve_one_port_and_stop)
{
    check_two_threads("1");
    check_two_threads("0");
}
END_TEST

/* By what a worker has told, its thread being behind the peer's echo. */
static int
owner_of(worker w[WORKERS], unsigned before[WORKERS])
{
    int owner = -1;

    for (int i = 0; i < WORKERS; i++) {
        if (w[i].opened != before[i])
            owner = i;
        before[i] = w[i].opened;
    }
    ck_assert_int_ge(owner, 0);
    return owner;
}

/* 'refused': a socket option, once the workers serve. */
static void
check_a_stop(const char *isolate, int refused)
{
    static worker w[WORKERS];
    dtlsl_config *config = start(w, isolate);
    uint16_t port = scene_port_of(w[0].l);
    unsigned opened[WORKERS] = {0, 0};
    int owner[PEERS];
    peer peers[PEERS];

    for (int i = 0; i < PEERS; i++) {
        open_peer(&peers[i], port, NULL);
        echo_of(&peers[i]);
        owner[i] = owner_of(w, opened);
    }
    refused_option = refused;
    uv_async_send(&w[0].stop);
    for (int i = 0; i < PEERS; i++)
        if (owner[i] == 0)
            pump_until(&peers[i], client_is_closed);
    finish(&w[0]);
    for (int i = 0; i < PEERS; i++) {
        if (owner[i] == 0) { /* a new socket, perhaps of the same share */
            peer_close(&peers[i]);
            open_peer(&peers[i], port, NULL);
        }
        echo_of(&peers[i]);
    }
    ck_assert_uint_eq(w[1].opened, PEERS);
    refused_option = 0;
    start_one(&w[0], config); /* and takes its part back */
    go(&w[0]);
    for (int i = 0; i < WORKERS; i++)
        uv_async_send(&w[i].stop);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(w[i].thread, NULL);
        ck_assert_int_eq(uv_loop_close(&w[i].loop), 0);
    }
    for (int i = 0; i < PEERS; i++)
        peer_close(&peers[i]);
    dtlsl_config_free(config);
}

START_TEST(a_worker_that_stops_leaves_its_siblings_peers_alone)
{
    check_a_stop("1", 0);
    check_a_stop("0", 0);
}
END_TEST

START_TEST(where_sorting_anew_is_refused_all_peers_are_served)
{
    check_a_stop("1", SO_ATTACH_REUSEPORT_CBPF);
    check_a_stop("0", SO_ATTACH_REUSEPORT_CBPF);
}
END_TEST

/* Until each worker has resumed the session of one client. */
START_TEST(tickets_resume_on_every_worker)
{
    static worker w[WORKERS];
    dtlsl_config *config = start(w, "1");
    uint16_t port = scene_port_of(w[0].l);
    unsigned opened[WORKERS] = {0, 0};
    int resumed[WORKERS] = {0, 0};
    SSL_SESSION *session;
    peer p;

    dtlsl_config_free(config);
    open_peer(&p, port, NULL);
    echo_of(&p);
    owner_of(w, opened);
    session = SSL_get1_session(client_ssl(p.c));
    ck_assert_int_eq(SSL_SESSION_has_ticket(session), 1);
    peer_close(&p);
    for (int i = 0; i < TURNS && !(resumed[0] && resumed[1]); i++) {
        client_options options = {.session = session};
        open_peer(&p, port, &options);
        echo_of(&p);
        ck_assert_int_eq(SSL_session_reused(client_ssl(p.c)), 1);
        resumed[owner_of(w, opened)] = 1;
        peer_close(&p);
    }
    ck_assert_int_eq(resumed[0] && resumed[1], 1);
    SSL_SESSION_free(session);
    for (int i = 0; i < WORKERS; i++)
        uv_async_send(&w[i].stop);
    for (int i = 0; i < WORKERS; i++)
        finish(&w[i]);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        two_threads_serve_one_port_and_stop,
        a_worker_that_stops_leaves_its_siblings_peers_alone,
        where_sorting_anew_is_refused_all_peers_are_served,
        tickets_resume_on_every_worker,
    };

    return test_main(
        test_suite("workers", tests, sizeof(tests) / sizeof(tests[0])));
}
