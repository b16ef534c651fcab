/* SPDX-License-Identifier: MIT
 * A listener and a client over loopback. */
#include "scene.h"
#include "config.h"
#include "test.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum {
    WAIT_MS = 100
};

dtlsl_config *
scene_config(void)
{
    dtlsl_config *config;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "self-signed", "1"), DTLSL_OK);
    return config;
}

dtlsl_listener *
scene_private(void)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *l;

    ck_assert_int_eq(dtlsl_listener_new(&l, config, NULL), DTLSL_OK);
    dtlsl_config_free(config);
    return l;
}

void
scene_set(dtlsl_config *config, const char *name, const char *value)
{
    ck_assert_msg(dtlsl_config_set(config, name, value) == DTLSL_OK, "%s",
                  dtlsl_config_error(config));
}

dtlsl_config *
scene_workers(const char *workers, const char *isolate)
{
    dtlsl_config *config;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    scene_set(config, "workers", workers);
    scene_set(config, "isolate", isolate);
    dtlsl__config_ref(config);
    return config;
}

void
scene_workers_free(dtlsl_config *config)
{
    dtlsl__config_unref(config);
    dtlsl_config_free(config);
}

uint16_t
scene_port_of(const dtlsl_listener *l)
{
    char text[DTLSL_ADDRESS_MAX];

    ck_assert_int_gt(dtlsl_listener_address(l, text, sizeof(text)), 0);
    return (uint16_t)atoi(strrchr(text, ':') + 1);
}

struct sockaddr_in
scene_loopback(uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET};

    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return name;
}

void
peer_open(peer *p, uint16_t port, const client_options *options)
{
    struct sockaddr_in name = scene_loopback(port);

    p->c = client_new(options);
    p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(p->fd, 0);
    ck_assert_int_eq(connect(p->fd, (struct sockaddr *)&name, sizeof(name)),
                     0);
    client_step(p->c);
}

void
peer_close(peer *p)
{
    client_free(p->c);
    close(p->fd);
}

void
peer_pump(peer *p)
{
    static uint8_t buf[20000];
    packet out;
    ssize_t n;

    while ((n = recv(p->fd, buf, sizeof(buf), 0)) > 0)
        client_feed(p->c, buf, (size_t)n);
    while (client_take(p->c, &out)) {
        ck_assert_int_ge(send(p->fd, out.data, out.len, MSG_NOSIGNAL), 0);
        packet_free(&out);
    }
}

int
scene_can_bind(uint16_t port)
{
    struct sockaddr_in name = scene_loopback(port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int ok = bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;

    close(fd);
    return ok;
}

int
scene_has_ipv6(void)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6,
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    int ok = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

static void
do_act(scene *s, uint64_t conn)
{
    switch (s->act) {
    case SEND:
        s->result = dtlsl_conn_send(s->l, conn, (const uint8_t *)"more", 4);
        break;
    case CLOSE:
        s->result = dtlsl_conn_close(s->l, conn);
        break;
    case STOP:
        s->result = dtlsl_listener_stop(s->l);
        break;
    case FREE:
        dtlsl_listener_free(s->l);
        s->l = NULL;
        break;
    case PULL:
        s->result = dtlsl_listener_on_event(s->l, NULL, NULL);
        break;
    default:
        break;
    }
}

void
scene_event(dtlsl_listener *l, const dtlsl_event *event, void *user)
{
    static const char letters[] = "?ODWCFHNS";
    scene *s = user;
    size_t at = strlen(s->log);

    ck_assert_ptr_eq(l, s->l); /* also: nothing after free */
    ck_assert_int_le(event->type, DTLSL_EVENT_STOPPED);
    ck_assert_uint_lt(at + 1, sizeof(s->log));
    s->log[at] = letters[event->type];
    s->conn = event->conn;
    if (event->type == DTLSL_EVENT_STOPPED)
        s->port_free = scene_can_bind(s->port);
    if (s->hook != NULL)
        s->hook(s, event);
    else if (event->type == DTLSL_EVENT_DATA && s->act == NOTHING)
        ck_assert_int_eq(
            dtlsl_conn_send(l, event->conn, event->data, event->len),
            DTLSL_OK);
    if (s->l != NULL && s->log[at] == s->on)
        do_act(s, event->conn);
}

void
scene_open(scene *s, int shared, int pulling, const client_options *options)
{
    dtlsl_config *config = scene_config();

    scene_set(config, "events-hello", "1");
    scene_set(config, "events-notice", "1");
    scene_open_with(s, config, shared, pulling, options);
}

void
scene_open_with(scene *s, dtlsl_config *config, int shared, int pulling,
                const client_options *options)
{
    memset(s, 0, sizeof(*s));
    s->shared = shared;
    if (shared)
        ck_assert_int_eq(uv_loop_init(&s->loop), 0);
    ck_assert_int_eq(
        dtlsl_listener_new(&s->l, config, shared ? &s->loop : NULL), DTLSL_OK);
    dtlsl_config_free(config);
    if (!pulling)
        ck_assert_int_eq(dtlsl_listener_on_event(s->l, scene_event, s),
                         DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(s->l, "127.0.0.1", 0), DTLSL_OK);
    s->port = scene_port_of(s->l);
    peer_open(&s->peer, s->port, options);
}

void
scene_close(scene *s)
{
    dtlsl_listener_free(s->l);
    peer_close(&s->peer);
    if (!s->shared)
        return;
    uv_run(&s->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&s->loop), 0);
}

void
scene_run(scene *s)
{
    const dtlsl_event *event;

    if (s->shared) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
        return;
    }
    ck_assert_int_ge(dtlsl_listener_poll(s->l, 0), 0);
    while (s->l != NULL && (event = dtlsl_listener_next(s->l)) != NULL)
        scene_event(s->l, event, s);
}

/* Waits until there is something to do, so that no turn is in vain. */
void
scene_turn(scene *s)
{
    int shared = s->shared, ms;
    struct pollfd fds[2] = {{s->peer.fd, POLLIN, 0}, {0, POLLIN, 0}};

    peer_pump(&s->peer);
    if (s->l == NULL)
        return;
    fds[1].fd = shared ? uv_backend_fd(&s->loop) : dtlsl_listener_fd(s->l);
    ms = shared ? uv_backend_timeout(&s->loop) : dtlsl_listener_timeout(s->l);
    poll(fds, 2, ms < 0 || ms > WAIT_MS ? WAIT_MS : ms);
    peer_pump(&s->peer);
    scene_run(s);
    peer_pump(&s->peer);
}

int
scene_has(const scene *s, char letter)
{
    return strchr(s->log, letter) != NULL;
}

void
scene_until(scene *s, char letter)
{
    for (int i = 0; i < TURNS && !scene_has(s, letter); i++)
        scene_turn(s);
    ck_assert_msg(scene_has(s, letter), "no %c behind \"%s\"", letter, s->log);
}

void
scene_say(scene *s, const char *text)
{
    ck_assert_int_gt(client_write(s->peer.c, text, strlen(text)), 0);
    peer_pump(&s->peer);
}

unsigned
scene_count(const char *log, char letter)
{
    unsigned n = 0;

    for (; *log != '\0'; log++)
        n += *log == letter;
    return n;
}

void
scene_both_open(scene *s)
{
    scene_until(s, 'O');
    for (int i = 0; i < TURNS && !client_is_open(s->peer.c); i++)
        scene_turn(s);
    ck_assert_int_eq(client_is_open(s->peer.c), 1);
}
