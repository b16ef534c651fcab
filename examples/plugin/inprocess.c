/* SPDX-License-Identifier: MIT
 * An echo server with a cookie strategy of its own, "drain": while it is
 * drained, nobody new gets in, and who is in stays.
 *
 *     inprocess [-o NAME=VALUE]... HOST PORT
 *
 * SIGUSR2 drains it, or lets peers in again; SIGUSR1 prints the counters,
 * SIGINT and SIGTERM stop. The cookies are those of "hmac", and so are the
 * options cookie.*; see dtlslisten-cookie(7). */
#include <dtlslisten/dtlslisten.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    SIGNALS = 4
};

typedef struct server {
    int is_drained;
    dtlsl_listener *listener;
    uv_signal_t signals[SIGNALS];
} server;

/* ---- the strategy ---- */

/* One for each listener. */
typedef struct drain {
    const server *server;
    const dtlsl_cookie_plugin *hmac;
    void *hmac_state;
} drain;

static int32_t
drain_open(const dtlsl_cookie_host *host, void *user,
           const dtlsl_cookie_option *options, size_t n_options, void **state,
           char *err, size_t err_len)
{
    drain *d = calloc(1, sizeof(*d));
    int32_t status;

    if (d == NULL) {
        snprintf(err, err_len, "out of memory");
        return DTLSL_ERR_NOMEM;
    }
    d->server = user;
    d->hmac = host->strategy(host->ctx, "hmac");
    status = d->hmac->open(host, NULL, options, n_options, &d->hmac_state, err,
                           err_len);
    if (status < 0)
        free(d);
    else
        *state = d;
    return status;
}

static void
drain_close(void *state)
{
    drain *d = state;

    d->hmac->close(d->hmac_state);
    free(d);
}

static int32_t
drain_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
           size_t cap)
{
    drain *d = state;

    if (d->server->is_drained)
        return DTLSL_COOKIE_REFUSED;
    return d->hmac->mint(d->hmac_state, in, cookie, cap);
}

static int32_t
drain_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    drain *d = state;

    if (d->server->is_drained)
        return DTLSL_COOKIE_REFUSED;
    return d->hmac->verify(d->hmac_state, in, cookie, len, out);
}

static void
drain_tick(void *state, uint64_t mono_ms, uint64_t unix_ms,
           uint64_t *next_mono_ms)
{
    drain *d = state;

    d->hmac->tick(d->hmac_state, mono_ms, unix_ms, next_mono_ms);
}

static const dtlsl_cookie_plugin drain_table = {
    .size = sizeof(drain_table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "drain",
    .max_cookie_len = DTLSL_COOKIE_SAFE,
    .open = drain_open,
    .close = drain_close,
    .mint = drain_mint,
    .verify = drain_verify,
    .tick = drain_tick,
};

/* ---- the server ---- */

static void
refuse(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(2);
}

static void
print_counters(const dtlsl_listener *listener)
{
    static char text[8192];

    if (dtlsl_listener_counters(listener, DTLSL_FORMAT_JSON, text,
                                sizeof(text)) >= 0)
        puts(text);
    fflush(stdout);
}

static void
on_event(dtlsl_listener *listener, const dtlsl_event *event, void *user)
{
    server *s = user;

    if (event->type == DTLSL_EVENT_DATA &&
        dtlsl_conn_send(listener, event->conn, event->data, event->len) < 0)
        fprintf(stderr, "not echoed, %u bytes\n", event->len);
    if (event->type == DTLSL_EVENT_STOPPED)
        for (int i = 0; i < SIGNALS; i++)
            uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void
on_signal(uv_signal_t *handle, int number)
{
    server *s = handle->data;

    if (number == SIGUSR1) {
        print_counters(s->listener);
    } else if (number == SIGUSR2) {
        s->is_drained = !s->is_drained;
        puts(s->is_drained ? "drained" : "open");
        fflush(stdout);
    } else {
        dtlsl_listener_stop(s->listener);
    }
}

static void
watch_signals(server *s, uv_loop_t *loop)
{
    static const int numbers[SIGNALS] = {SIGUSR1, SIGUSR2, SIGINT, SIGTERM};

    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
}

static dtlsl_config *
make_config(int argc, char **argv, server *s)
{
    dtlsl_config *config;
    char *value;
    int c;

    if (dtlsl_config_new(&config) < 0)
        refuse("cannot make a config");
    if (dtlsl_config_add_cookie(config, &drain_table, s) < 0 ||
        dtlsl_config_set(config, "cookie", "drain") < 0)
        refuse(dtlsl_config_error(config));
    while ((c = getopt(argc, argv, "o:")) == 'o') {
        value = strchr(optarg, '=');
        if (value == NULL)
            refuse("-o takes NAME=VALUE");
        *value++ = '\0';
        if (dtlsl_config_set(config, optarg, value) < 0)
            refuse(dtlsl_config_error(config));
    }
    if (c != -1 || argc - optind != 2)
        refuse("usage: inprocess [-o NAME=VALUE]... HOST PORT");
    return config;
}

int
main(int argc, char **argv)
{
    static server s;
    uv_loop_t *loop = uv_default_loop();
    dtlsl_config *config = make_config(argc, argv, &s);
    long port = strtol(argv[optind + 1], NULL, 10);
    char address[DTLSL_ADDRESS_MAX];

    if (port < 0 || port > UINT16_MAX)
        refuse("PORT is a number from 0 to 65535");
    if (dtlsl_listener_new(&s.listener, config, loop) < 0)
        refuse(dtlsl_config_error(config));
    dtlsl_config_free(config);
    dtlsl_listener_on_event(s.listener, on_event, &s);
    if (dtlsl_listener_start(s.listener, argv[optind], (uint16_t)port) < 0)
        refuse(dtlsl_listener_error(s.listener));
    watch_signals(&s, loop);
    dtlsl_listener_address(s.listener, address, sizeof(address));
    printf("listening %s\n", address);
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    print_counters(s.listener);
    dtlsl_listener_free(s.listener);
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) == 0 ? 0 : 1;
}
