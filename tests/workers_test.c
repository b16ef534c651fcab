/* SPDX-License-Identifier: MIT
 * Listeners of one config that share a port, also from different threads. */
#include "scene.h"
#include "test.h"
#include <poll.h>
#include <pthread.h>

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
    unsigned opened, closed, stopped;
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

static uint16_t
start(worker w[WORKERS])
{
    dtlsl_config *config = scene_config();

    scene_set(config, "workers", "2");
    for (int i = 0; i < WORKERS; i++) {
        uv_loop_init(&w[i].loop);
        uv_async_init(&w[i].loop, &w[i].stop, on_stop);
        w[i].stop.data = &w[i];
        ck_assert_int_eq(dtlsl_listener_new(&w[i].l, config, &w[i].loop),
                         DTLSL_OK);
        dtlsl_listener_on_event(w[i].l, on_event, &w[i]);
        ck_assert_int_eq(dtlsl_listener_start(w[i].l, "127.0.0.1", 0),
                         DTLSL_OK);
    }
    dtlsl_config_free(config);
    return scene_port_of(w[0].l);
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

static int
has_echo(const client *c)
{
    return client_received(c) == 1;
}

START_TEST(two_threads_serve_one_port_and_stop)
{
    static worker w[WORKERS];
    peer peers[PEERS];
    uint16_t port;

    memset(w, 0, sizeof(w));
    port = start(w);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, run, &w[i]), 0);
    for (int i = 0; i < PEERS; i++) { /* one by one: accepts are rationed */
        peer_open(&peers[i], port, NULL);
        pump_until(&peers[i], client_is_open);
    }
    for (int i = 0; i < PEERS; i++)
        ck_assert_int_gt(client_write(peers[i].c, "hello", 5), 0);
    for (int i = 0; i < PEERS; i++)
        pump_until(&peers[i], has_echo);
    for (int i = 0; i < WORKERS; i++)
        uv_async_send(&w[i].stop);
    for (int i = 0; i < PEERS; i++) {
        pump_until(&peers[i], client_is_closed);
        peer_close(&peers[i]);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(w[i].thread, NULL);
        ck_assert_uint_eq(w[i].stopped, 1);
        ck_assert_uint_eq(w[i].opened, w[i].closed);
        ck_assert_int_eq(uv_loop_close(&w[i].loop), 0);
    }
    ck_assert_uint_eq(w[0].opened + w[1].opened, PEERS);
    ck_assert_int_eq(scene_can_bind(port), 1);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        two_threads_serve_one_port_and_stop,
    };

    return test_main(
        test_suite("workers", tests, sizeof(tests) / sizeof(tests[0])));
}
