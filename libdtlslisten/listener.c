/* SPDX-License-Identifier: MIT
 * The engine on libuv: a socket, a timer, delivery of events, life and death.
 */
#include "address.h"
#include "listener_state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STUCK_MS = 10,
    SIBLINGS_MS = 1000, /* nobody wakes us up when one of them leaves */
    TIMEOUT_MAX = 60000
};

/* How many batches of each class a wake-up may take. Sessions come first and
 * have most; but records with a spoofed address are theirs too, so that
 * newcomers have a share of their own. A batch of DTLSL__VERIFYING has no more
 * datagrams than connections can be accepted: the others keep their place. */
static const uint32_t shares[DTLSL__CLASSES] = {2, 8, 2};

static int32_t
fail(dtlsl_listener *l, int32_t code, const char *text)
{
    snprintf(l->error, sizeof(l->error), "%s", text);
    return code;
}

static dtlsl_now
read_clock(void)
{
    dtlsl_now now = {uv_hrtime() / 1000000, 0};
    uv_timeval64_t wall;

    if (uv_gettimeofday(&wall) == 0)
        now.unix_ms =
            (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_usec / 1000;
    return now;
}

/* Output */

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);
static void on_check(uv_check_t *check);

/* Started anew it would keep a private loop's timeout at 0. */
static void
watch(dtlsl_listener *l)
{
    if (l->udp == NULL)
        return;
    for (uint32_t i = 0; i < l->n_sockets; i++) {
        int speaks = i == l->n_sockets - 1; /* for the sessions */
        int events = UV_READABLE | (l->blocked && speaks ? UV_WRITABLE : 0);
        if (events == l->watched[i])
            continue;
        l->watched[i] = events;
        uv_poll_start(&l->poll[i], events, on_poll);
    }
}

void
dtlsl__listener_flush(dtlsl_listener *l)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(l->engine, &list, &arena);
    size_t sent = n;

    if (n > 0 && l->udp != NULL)
        sent = dtlsl__udp_send(l->udp, list, n, arena);
    if (n > 0)
        dtlsl__engine_output_sent(l->engine, sent);
    l->blocked = sent < n;
}

/* Nothing that speaks can go on until the socket takes more. */
static int
is_stuck(const dtlsl_listener *l)
{
    return l->blocked && dtlsl__engine_output_low(l->engine);
}

static int
has_more(const dtlsl_listener *l)
{
    if (l->held != NULL || l->state == STOPPED)
        return l->held != NULL;
    return l->batch_pos < l->batch_len || dtlsl__engine_pending(l->engine);
}

/* No poll handle watches what a worker that has left did not read. */
static int
inherits(const dtlsl_listener *l)
{
    return l->udp != NULL && dtlsl__udp_inherited(l->udp) != 0;
}

static int
has_siblings(const dtlsl_listener *l)
{
    return l->udp != NULL && dtlsl__udp_shared(l->udp);
}

static void
arm_timer(dtlsl_listener *l)
{
    uint64_t deadline = dtlsl__engine_deadline(l->engine);
    uint64_t now = uv_hrtime() / 1000000;
    uint64_t delay = deadline > now ? deadline - now : 0;

    if (l->state == IDLE || l->state == STOPPED)
        return;
    if (deadline == UINT64_MAX)
        delay = UINT64_MAX;
    if (has_siblings(l) && delay > SIBLINGS_MS)
        delay = SIBLINGS_MS;
    if (l->cb != NULL && has_more(l) && !l->blocked)
        delay = 0;
    /* 0 would keep libuv in its timers for ever */
    if (inherits(l) ||
        (delay > 1 && !l->blocked && dtlsl__engine_writable_due(l->engine)))
        delay = 1;
    if (is_stuck(l) && delay < STUCK_MS)
        delay = STUCK_MS; /* what is due stays due: do not spin */
    if (delay != UINT64_MAX) {
        uv_update_time(l->loop);
        uv_timer_start(&l->timer, on_timer, delay, 0);
    } else {
        uv_timer_stop(&l->timer);
    }
}

void
dtlsl__listener_settle(dtlsl_listener *l)
{
    if (l->depth > 0 || l->state == IDLE || l->state == STOPPED)
        return;
    dtlsl__listener_flush(l);
    watch(l);
    arm_timer(l);
}

/* Life */

static void
release(dtlsl_listener *l)
{
    if (!l->freed || l->handles > 0 || l->depth > 0)
        return;
    dtlsl__engine_free(l->engine);
    dtlsl__config_unref(l->config);
    if (l->own_loop) {
        uv_loop_close(l->loop);
        free(l->loop);
    }
    free(l);
}

static void
on_closed(uv_handle_t *handle)
{
    dtlsl_listener *l = handle->data;

    l->handles--;
    if (!l->own_loop)
        release(l);
}

static void
close_handle(uv_handle_t *handle)
{
    if (handle->data != NULL && !uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void
drop_buffers(dtlsl_listener *l)
{
    dtlsl__udp_close(l->spent);
    l->spent = NULL;
}

/* The datagram in progress stays readable until drop_buffers. */
static void
close_socket(dtlsl_listener *l)
{
    if (l->udp == NULL)
        return;
    for (uint32_t i = 0; i < l->n_sockets; i++)
        close_handle((uv_handle_t *)&l->poll[i]);
    dtlsl__counters_add(&l->udp_counters, dtlsl__udp_counters(l->udp));
    dtlsl__udp_release(l->udp);
    l->spent = l->udp;
    l->udp = NULL;
    l->batch_len = l->batch_pos = 0;
    l->blocked = 0;
    l->ready = l->n_sockets = 0;
}

static void
tear_down(dtlsl_listener *l)
{
    l->state = STOPPED;
    close_socket(l);
    drop_buffers(l);
    close_handle((uv_handle_t *)&l->timer);
    close_handle((uv_handle_t *)&l->wait);
    close_handle((uv_handle_t *)&l->check);
    if (l->own_loop)
        while (l->handles > 0)
            uv_run(l->loop, UV_RUN_DEFAULT);
    release(l);
}

static void
stopped(dtlsl_listener *l)
{
    l->state = STOPPED;
    dtlsl__listener_flush(l);
    close_socket(l);
    drop_buffers(l);
    uv_timer_stop(&l->timer);
}

void
dtlsl__listener_enter(dtlsl_listener *l)
{
    l->depth++;
}

int
dtlsl__listener_leave(dtlsl_listener *l)
{
    l->depth--;
    if (!l->freed)
        return 1;
    if (l->depth == 0)
        tear_down(l);
    return 0;
}

/* Delivery */

static int
is_last(const dtlsl_event *event)
{
    return event != NULL && event->type == DTLSL_EVENT_STOPPED;
}

static const dtlsl_event *
take(dtlsl_listener *l)
{
    const dtlsl_event *event = l->held;

    l->held = NULL;
    return event != NULL || l->state == STOPPED
               ? event
               : dtlsl__engine_next(l->engine);
}

static void
deliver(dtlsl_listener *l)
{
    const dtlsl_event *event;

    while (!l->freed && l->cb != NULL && (event = take(l)) != NULL) {
        int last = is_last(event);
        if (l->freed || l->cb == NULL) { /* in a callback of OpenSSL's */
            l->held = event;
            return;
        }
        if (last)
            stopped(l);
        l->cb(l, event, l->user);
        if (last || l->freed)
            return;
        if (dtlsl__engine_output_low(l->engine))
            dtlsl__listener_flush(l);
    }
}

static void
input(dtlsl_listener *l)
{
    const dtlsl__output *aside;
    const uint8_t *arena;

    dtlsl__engine_input(l->engine, &l->batch[l->batch_pos++]);
    aside = dtlsl__engine_aside(l->engine, &arena);
    if (aside != NULL && l->udp != NULL)
        dtlsl__udp_send(l->udp, aside, 1, arena);
    if (dtlsl__engine_output_low(l->engine))
        dtlsl__listener_flush(l);
}

/* Works the batch off, as far as there is a callback. */
static void
drain(dtlsl_listener *l)
{
    deliver(l);
    while (l->cb != NULL && !l->freed && l->batch_pos < l->batch_len) {
        input(l);
        deliver(l);
    }
}

static void
begin(dtlsl_listener *l)
{
    dtlsl_now now = read_clock();

    l->depth++;
    dtlsl__engine_begin(l->engine, &now);
    if (l->blocked) /* what is due comes before who would fill the room */
        dtlsl__listener_flush(l);
    if (dtlsl__engine_deadline(l->engine) <= now.mono_ms)
        dtlsl__engine_expire(l->engine);
    drain(l);
}

/* A private loop cannot be torn down while it runs: poll does it. */
static void
finish(dtlsl_listener *l)
{
    for (int round = 0; round < 2 && !l->freed && l->state != STOPPED;
         round++) {
        dtlsl__listener_flush(l);
        deliver(l);
    }
    if (l->own_loop && l->freed)
        l->depth--;
    else if (dtlsl__listener_leave(l))
        dtlsl__listener_settle(l);
}

static void
share_anew(dtlsl_listener *l)
{
    memcpy(l->share, shares, sizeof(l->share));
    if (l->n_sockets == 1)
        l->share[0] = 1;
}

/* How many datagrams of a socket are welcome now. */
static size_t
welcome(const dtlsl_listener *l, uint32_t socket)
{
    uint32_t accepts = dtlsl__engine_accepts(l->engine);

    if (!(l->ready >> socket & 1) || l->share[socket] == 0)
        return 0;
    return socket == DTLSL__VERIFYING && accepts < DTLSL__BATCH ? accepts
                                                                : DTLSL__BATCH;
}

/* The socket that comes next, or -1. */
static int
choose(const dtlsl_listener *l)
{
    int i = (int)l->n_sockets - 1;

    while (i >= 0 && welcome(l, (uint32_t)i) == 0)
        i--;
    return i;
}

static void
receive(dtlsl_listener *l, uint32_t socket)
{
    size_t most = welcome(l, socket);

    l->share[socket]--;
    l->batch_len = dtlsl__udp_receive(l->udp, socket, most, &l->batch);
    l->batch_pos = 0;
    if (l->batch_len < most)
        l->ready &= ~(1u << socket);
    drain(l);
}

static int
may_receive(const dtlsl_listener *l)
{
    return !l->freed && l->udp != NULL && l->batch_pos >= l->batch_len;
}

/* Pulling, a call has one batch, and the shares last for many of them. */
static void
receive_shares(dtlsl_listener *l)
{
    int socket, last = -1;

    l->ready |= dtlsl__udp_inherited(l->udp);
    if (l->cb != NULL || choose(l) < 0)
        share_anew(l);
    while (may_receive(l) && (socket = choose(l)) >= 0) {
        if (socket != last && last >= 0)
            dtlsl__listener_flush(l); /* sessions do not wait for others */
        receive(l, (uint32_t)socket);
        last = socket;
    }
}

static void
on_check(uv_check_t *check)
{
    dtlsl_listener *l = check->data;

    uv_check_stop(check);
    if (l->freed || l->udp == NULL)
        return;
    begin(l);
    if (may_receive(l))
        receive_shares(l);
    l->ready = 0; /* what is left says so again */
    finish(l);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    dtlsl_listener *l = poll->data;
    ptrdiff_t socket = poll - l->poll;

    if (l->freed || l->udp == NULL)
        return;
    if (status < 0)
        l->watched[socket] = 0; /* libuv stops a handle at an error */
    if (events & UV_READABLE || status < 0)
        l->ready |= 1u << socket;
    uv_check_start(&l->check, on_check);
}

static void
on_timer(uv_timer_t *timer)
{
    dtlsl_listener *l = timer->data;

    if (l->freed)
        return;
    if (inherits(l))
        uv_check_start(&l->check, on_check);
    begin(l);
    finish(l);
    if (l->own_loop)
        uv_stop(l->loop); /* or it would go on to wait for the socket */
}

static void
on_wait(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Public: a listener */

static int32_t
make_loop(dtlsl_listener *l, uv_loop_t *loop)
{
    int err;

    l->loop = loop;
    if (loop != NULL)
        return 0;
    l->loop = malloc(sizeof(*l->loop));
    if (l->loop == NULL)
        return DTLSL_ERR_NOMEM;
    err = uv_loop_init(l->loop);
    if (err < 0) {
        free(l->loop);
        l->loop = NULL;
        return err;
    }
    l->own_loop = 1;
    return 0;
}

int32_t
dtlsl_listener_new(dtlsl_listener **out, dtlsl_config *config,
                   struct uv_loop_s *loop)
{
    dtlsl_now now = read_clock();
    dtlsl_listener *l;
    int32_t err;

    if (out == NULL)
        return DTLSL_ERR_ARGUMENT;
    *out = NULL;
    if (config == NULL)
        return DTLSL_ERR_ARGUMENT;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_NOMEM, "out of memory");
    err = dtlsl__engine_new(&l->engine, config, l, &now);
    if (err >= 0) {
        err = make_loop(l, loop);
        if (err < 0)
            dtlsl__config_fail(config, err, "cannot make a loop: %s",
                               dtlsl_strerror(err));
    }
    if (err < 0) {
        dtlsl__engine_free(l->engine);
        free(l);
        return err;
    }
    l->config = config;
    dtlsl__config_ref(config);
    uv_timer_init(l->loop, &l->timer);
    uv_timer_init(l->loop, &l->wait);
    uv_check_init(l->loop, &l->check);
    l->timer.data = l->wait.data = l->check.data = l;
    l->handles = 3;
    *out = l;
    return DTLSL_OK;
}

void
dtlsl_listener_free(dtlsl_listener *l)
{
    if (l == NULL || l->freed)
        return;
    l->freed = 1;
    l->cb = NULL;
    if (l->depth > 0) {
        close_socket(l);
        return;
    }
    dtlsl__listener_flush(l);
    tear_down(l);
}

static int32_t
may_start(dtlsl_listener *l)
{
    if (l->state != IDLE || l->freed)
        return fail(l, DTLSL_ERR_STATE, "the listener was started before");
    if (!l->own_loop && l->cb == NULL)
        return fail(l, DTLSL_ERR_STATE,
                    "on a shared loop dtlsl_listener_on_event comes first");
    return DTLSL_OK;
}

static int
watch_sockets(dtlsl_listener *l)
{
    uint32_t n = dtlsl__udp_count(l->udp);
    int err = 0;

    for (uint32_t i = 0; i < n && err == 0; i++) {
        int fd = dtlsl__udp_fd(l->udp, i);
        err = uv_poll_init(l->loop, &l->poll[i], fd);
        if (err < 0) {
            snprintf(l->error, sizeof(l->error),
                     "cannot watch descriptor %d: %s; is it watched on this "
                     "loop already?",
                     fd, dtlsl_strerror(err));
            break;
        }
        l->poll[i].data = l;
        l->watched[i] = 0;
        l->handles++;
        l->n_sockets++;
    }
    return err;
}

static int32_t
serve(dtlsl_listener *l)
{
    int err = watch_sockets(l);

    if (err < 0) {
        if (l->n_sockets > 0) /* handles that are to be closed first */
            stopped(l);
        dtlsl__udp_close(l->udp);
        l->udp = NULL;
        return err;
    }
    memcpy(l->address, dtlsl__udp_address(l->udp), sizeof(l->address));
    dtlsl__engine_set_sorted(l->engine, l->n_sockets > 1);
    l->state = SERVING;
    dtlsl__listener_settle(l);
    return DTLSL_OK;
}

int32_t
dtlsl_listener_start(dtlsl_listener *l, const char *host, uint16_t port)
{
    int32_t err;

    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    err = may_start(l);
    if (err == DTLSL_OK)
        err = dtlsl__udp_open(&l->udp, l->config, host, port, l->error,
                              sizeof(l->error));
    return err < 0 ? err : serve(l);
}

int32_t
dtlsl_listener_start_fd(dtlsl_listener *l, int32_t fd)
{
    int32_t err;

    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    err = may_start(l);
    if (err == DTLSL_OK)
        err = dtlsl__udp_open_fd(&l->udp, l->config, fd, l->error,
                                 sizeof(l->error));
    return err < 0 ? err : serve(l);
}

int32_t
dtlsl_listener_address(const dtlsl_listener *l, char *buf, size_t buf_len)
{
    if (l == NULL || buf == NULL)
        return DTLSL_ERR_ARGUMENT;
    return l->state == IDLE ? DTLSL_ERR_STATE
                            : dtlsl__address_text(l->address, buf, buf_len);
}

const char *
dtlsl_listener_error(const dtlsl_listener *l)
{
    return l == NULL ? "" : l->error;
}

int32_t
dtlsl_listener_on_event(dtlsl_listener *l, dtlsl_event_cb cb, void *user)
{
    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (cb == NULL && !l->own_loop &&
        (l->state == SERVING || l->state == STOPPING))
        return fail(l, DTLSL_ERR_STATE,
                    "a started listener on a shared loop needs a callback");
    l->cb = cb;
    l->user = user;
    dtlsl__listener_settle(l);
    return DTLSL_OK;
}

static const dtlsl_event *
pull(dtlsl_listener *l)
{
    const dtlsl_event *event;

    for (;;) {
        event = take(l);
        if (event != NULL || l->freed || l->batch_pos >= l->batch_len)
            return event;
        input(l);
    }
}

/* STOPPED waits for poll to close the socket. */
const dtlsl_event *
dtlsl_listener_next(dtlsl_listener *l)
{
    const dtlsl_event *event;

    if (l == NULL || l->cb != NULL || l->depth > 0 || l->freed ||
        l->state == IDLE)
        return NULL;
    dtlsl__listener_enter(l);
    event = pull(l);
    if (!dtlsl__listener_leave(l))
        return NULL;
    if (is_last(event) && l->udp != NULL) {
        l->held = event;
        event = NULL;
    }
    l->lent = event != NULL;
    return event;
}

/* Is there an event to pull? Looks for one, but not while the application has
 * one that would become invalid. Negative: the listener was freed. */
static int
ready(dtlsl_listener *l)
{
    if (l->cb != NULL || l->lent)
        return l->cb == NULL && has_more(l);
    dtlsl__listener_enter(l);
    l->held = pull(l);
    if (!dtlsl__listener_leave(l))
        return -1;
    dtlsl__listener_settle(l);
    if (is_last(l->held))
        stopped(l);
    return l->held != NULL;
}

/* Who sends whenever he may always has a WRITABLE to pull, which must not keep
 * what is due, and other peers' datagrams, from coming. */
static int
only_writable(const dtlsl_listener *l)
{
    if (l->state == STOPPED || !may_receive(l))
        return 0;
    return l->held != NULL ? l->held->type == DTLSL_EVENT_WRITABLE
                           : dtlsl__engine_only_writable(l->engine);
}

int32_t
dtlsl_listener_poll(dtlsl_listener *l, int32_t timeout_ms)
{
    int found;

    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (!l->own_loop || l->state == IDLE || l->depth > 0 || l->freed)
        return fail(l, DTLSL_ERR_STATE,
                    "only a started listener's private loop can be polled, "
                    "and not in a callback");
    dtlsl__listener_settle(l);
    found = ready(l);
    if (found < 0 || (found > 0 && !only_writable(l)))
        return found > 0;
    if (found != 0)
        timeout_ms = 0;
    if (l->state == STOPPED) {
        begin(l); /* a callback set late may wait for STOPPED */
        finish(l);
        timeout_ms = 0;
    }
    if (timeout_ms > 0)
        uv_timer_start(&l->wait, on_wait, (uint64_t)timeout_ms, 0);
    uv_run(l->loop, timeout_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    if (l->freed) {
        tear_down(l);
        return 0;
    }
    uv_timer_stop(&l->wait);
    return ready(l) > 0;
}

int32_t
dtlsl_listener_fd(const dtlsl_listener *l)
{
    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    return l->own_loop ? uv_backend_fd(l->loop) : DTLSL_ERR_STATE;
}

int32_t
dtlsl_listener_timeout(dtlsl_listener *l)
{
    int timeout;

    if (l == NULL || !l->own_loop || l->state == IDLE)
        return l == NULL ? DTLSL_ERR_ARGUMENT : TIMEOUT_MAX;
    if (l->state == STOPPED)
        return has_more(l) ? 0 : TIMEOUT_MAX;
    uv_update_time(l->loop);
    dtlsl__listener_settle(l);
    if (l->held != NULL || (has_more(l) && !is_stuck(l)))
        return 0;
    timeout = uv_backend_timeout(l->loop);
    return timeout < 0 || timeout > TIMEOUT_MAX ? TIMEOUT_MAX : timeout;
}

int32_t
dtlsl_listener_reload(dtlsl_listener *l)
{
    int32_t err;

    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    err = dtlsl__config_reload(l->config);
    if (err < 0)
        return fail(l, err, dtlsl_config_error(l->config));
    dtlsl__engine_reload(l->engine);
    return DTLSL_OK;
}

int32_t
dtlsl_listener_stop(dtlsl_listener *l)
{
    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (l->state != SERVING)
        return fail(l, DTLSL_ERR_STATE, "the listener does not serve");
    l->state = STOPPING;
    dtlsl__engine_stop(l->engine);
    dtlsl__listener_settle(l);
    return DTLSL_OK;
}
