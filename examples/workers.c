/* SPDX-License-Identifier: MIT
 * A listener is used by one thread. So each worker has a thread, a loop and a
 * listener. The first is the main thread's, which also has the signals and
 * passes them on. */
#include "workers.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    COUNTERS_MAX = 256
};

typedef struct worker {
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t asked; /* at a signal: to stop, or for counters */
    dtlsl_listener *listener;
    dtlsl_event_cb on_event;
} worker;

typedef struct counter {
    char name[DTLSL_COUNTER_NAME_MAX];
    uint64_t value;
} counter;

static worker workers[WORKERS_MAX];
static unsigned n_workers;
static uv_signal_t signals[3];

/* What the threads share. */
static uv_mutex_t lock;
static int stopping;
static counter sums[COUNTERS_MAX];
static unsigned n_added; /* workers whose counters are in the sums */

/* Counters, with the lock */

static void
print_sums(void)
{
    for (int i = 0; i < COUNTERS_MAX && sums[i].name[0] != '\0'; i++)
        printf("%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", sums[i].name,
               sums[i].value);
    puts("}");
    fflush(stdout);
    memset(sums, 0, sizeof(sums));
    n_added = 0;
}

/* The last one prints. */
static void
add_counters(const dtlsl_listener *listener)
{
    uint64_t value;

    for (size_t i = 0; i < COUNTERS_MAX; i++) {
        if (dtlsl_listener_counter_at(listener, i, sums[i].name,
                                      sizeof(sums[i].name), &value) < 0)
            break;
        sums[i].value += value;
    }
    if (++n_added == n_workers)
        print_sums();
}

/* A worker's thread */

static void
on_worker_event(dtlsl_listener *listener, const dtlsl_event *event, void *user)
{
    worker *w = user;

    w->on_event(listener, event, NULL);
    if (event->type == DTLSL_EVENT_STOPPED)
        uv_close((uv_handle_t *)&w->asked, NULL);
}

static void
on_asked(uv_async_t *handle)
{
    worker *w = handle->data;

    uv_mutex_lock(&lock);
    if (stopping)
        dtlsl_listener_stop(w->listener);
    else
        add_counters(w->listener);
    uv_mutex_unlock(&lock);
}

static void
run_worker(void *user)
{
    worker *w = user;

    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_mutex_lock(&lock);
    add_counters(w->listener);
    uv_mutex_unlock(&lock);
    dtlsl_listener_free(w->listener);
    uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* The main thread */

static void
on_signal(uv_signal_t *handle, int signum)
{
    (void)handle;
    uv_mutex_lock(&lock);
    stopping = signum != SIGUSR1;
    n_added = 0; /* of an asking that was overtaken */
    memset(sums, 0, sizeof(sums));
    uv_mutex_unlock(&lock);
    for (unsigned i = 0; i < n_workers; i++)
        uv_async_send(&workers[i].asked);
    for (int i = 0; i < 3 && signum != SIGUSR1; i++)
        uv_close((uv_handle_t *)&signals[i], NULL);
}

static void
watch_signals(uv_loop_t *loop)
{
    static const int numbers[3] = {SIGUSR1, SIGINT, SIGTERM};

    for (int i = 0; i < 3; i++) {
        uv_signal_init(loop, &signals[i]);
        uv_signal_start(&signals[i], on_signal, numbers[i]);
    }
}

/* The main thread goes on as the first worker. */
static int
run_all(unsigned n)
{
    int failed = 0;

    for (unsigned i = 1; i < n; i++)
        if (uv_thread_create(&workers[i].thread, run_worker, &workers[i]) < 0)
            return 1;
    run_worker(&workers[0]);
    for (unsigned i = 1; i < n; i++)
        uv_thread_join(&workers[i].thread);
    for (unsigned i = 0; i < n; i++)
        failed |= uv_loop_close(&workers[i].loop) != 0;
    return failed;
}

static int
fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return 2;
}

/* Listeners are made and started in one thread, then each gets its own. */
static int
start_worker(worker *w, dtlsl_config *config, const char *host, uint16_t port,
             dtlsl_event_cb on_event)
{
    if (uv_loop_init(&w->loop) < 0 ||
        uv_async_init(&w->loop, &w->asked, on_asked) < 0)
        return fail("cannot make a loop");
    w->asked.data = w;
    w->on_event = on_event;
    if (dtlsl_listener_new(&w->listener, config, &w->loop) < 0)
        return fail(dtlsl_config_error(config));
    dtlsl_listener_on_event(w->listener, on_worker_event, w);
    if (dtlsl_listener_start(w->listener, host, port) < 0)
        return fail(dtlsl_listener_error(w->listener));
    return 0;
}

int
workers_run(dtlsl_config *config, unsigned n, const char *host, uint16_t port,
            dtlsl_event_cb on_event)
{
    char address[DTLSL_ADDRESS_MAX];
    int failed;

    n_workers = n;
    uv_mutex_init(&lock);
    for (unsigned i = 0; i < n; i++)
        if (start_worker(&workers[i], config, host, port, on_event) != 0)
            return 2;
    dtlsl_config_free(config);
    watch_signals(&workers[0].loop);
    dtlsl_listener_address(workers[0].listener, address, sizeof(address));
    printf("listening %s\n", address);
    fflush(stdout);
    failed = run_all(n);
    uv_mutex_destroy(&lock);
    return failed;
}
