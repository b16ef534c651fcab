/* SPDX-License-Identifier: MIT
 * A CoAP server over DTLS (RFC 7252) on the application's own loop; what it
 * answers is in coap_message.c.
 *
 *     coap [-o NAME=VALUE]... HOST [PORT]
 *
 * HOST is a numeric address, "-" or "*" for all; PORT is 5684 unless given. It
 * has /hello, /time and /.well-known/core. SIGUSR1 prints the counters, SIGINT
 * and SIGTERM stop; see dtlslisten-config(5). The suite that the RFC names for
 * pre-shared keys is -o ciphers=PSK-AES128-CCM8.
 */
#include "coap_message.h"
#include <dtlslisten/dtlslisten.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static uv_signal_t signals[3];

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
answer(dtlsl_listener *listener, const dtlsl_event *event)
{
    uint8_t reply[COAP_ANSWER_MAX];
    char peer[DTLSL_ADDRESS_MAX];
    size_t len;

    if (dtlsl_conn_peer(listener, event->conn, peer, sizeof(peer)) < 0)
        return;
    len = coap_answer(event->data, event->len, peer, time(NULL), reply);
    /* What is lost, as when the socket is full, the client asks for anew. */
    if (len > 0)
        dtlsl_conn_send(listener, event->conn, reply, len);
}

static void
on_event(dtlsl_listener *listener, const dtlsl_event *event, void *user)
{
    (void)user;
    if (event->type == DTLSL_EVENT_DATA)
        answer(listener, event);
    if (event->type == DTLSL_EVENT_FAILED)
        fprintf(stderr, "handshake failed: %s\n", (const char *)event->data);
    if (event->type == DTLSL_EVENT_NOTICE)
        fprintf(stderr, "notice: %s\n", (const char *)event->data);
    if (event->type == DTLSL_EVENT_STOPPED)
        for (int i = 0; i < 3; i++)
            uv_close((uv_handle_t *)&signals[i], NULL);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
    if (signum == SIGUSR1)
        print_counters(handle->data);
    else
        dtlsl_listener_stop(handle->data);
}

static void
watch_signals(uv_loop_t *loop, dtlsl_listener *listener)
{
    static const int numbers[3] = {SIGUSR1, SIGINT, SIGTERM};

    for (int i = 0; i < 3; i++) {
        uv_signal_init(loop, &signals[i]);
        signals[i].data = listener;
        uv_signal_start(&signals[i], on_signal, numbers[i]);
    }
}

static void
refuse(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(2);
}

static dtlsl_config *
read_options(int argc, char **argv)
{
    dtlsl_config *config;
    char *value;
    int c;

    if (dtlsl_config_new(&config) < 0)
        refuse("cannot make a config");
    while ((c = getopt(argc, argv, "o:")) == 'o') {
        value = strchr(optarg, '=');
        if (value == NULL)
            refuse("-o takes NAME=VALUE");
        *value++ = '\0';
        if (dtlsl_config_set(config, optarg, value) < 0)
            refuse(dtlsl_config_error(config));
    }
    if (c != -1 || argc - optind < 1 || argc - optind > 2)
        refuse("usage: coap [-o NAME=VALUE]... HOST [PORT]");
    return config;
}

static const char *
read_host(const char *text)
{
    return strcmp(text, "-") == 0 || strcmp(text, "*") == 0 ? NULL : text;
}

static uint16_t
read_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (end == text || *end != '\0' || port < 0 || port > UINT16_MAX)
        refuse("PORT is a number from 0 to 65535");
    return (uint16_t)port;
}

int
main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    dtlsl_config *config = read_options(argc, argv);
    const char *host = read_host(argv[optind]);
    uint16_t port = read_port(argc - optind > 1 ? argv[optind + 1] : "5684");
    char address[DTLSL_ADDRESS_MAX];
    dtlsl_listener *listener;

    if (dtlsl_listener_new(&listener, config, loop) < 0)
        refuse(dtlsl_config_error(config));
    dtlsl_config_free(config);
    dtlsl_listener_on_event(listener, on_event, NULL);
    if (dtlsl_listener_start(listener, host, port) < 0)
        refuse(dtlsl_listener_error(listener));
    watch_signals(loop, listener);
    dtlsl_listener_address(listener, address, sizeof(address));
    printf("listening %s\n", address);
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    print_counters(listener);
    dtlsl_listener_free(listener);
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) == 0 ? 0 : 1;
}
