/* SPDX-License-Identifier: MIT
 * An echo server that pulls its events from a listener with a loop of its own.
 *
 *     echo_pull [-o NAME=VALUE]... HOST PORT
 *
 * HOST is a numeric address, "-" or "*" for all; PORT 0 picks one. SIGUSR1
 * prints the counters, SIGINT and SIGTERM stop; see dtlslisten-config(5).
 */
#include <dtlslisten/dtlslisten.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked, print_asked;

static void
on_signal(int number)
{
    if (number == SIGUSR1)
        print_asked = 1;
    else
        stop_asked = 1;
}

/* Signals are let in only while ppoll waits, so that none comes too late. */
static void
watch_signals(sigset_t *open)
{
    static const int numbers[3] = {SIGUSR1, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;

    sigemptyset(&blocked);
    for (int i = 0; i < 3; i++) {
        sigaddset(&blocked, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &blocked, open);
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
    if (c != -1 || argc - optind != 2)
        refuse("usage: echo_pull [-o NAME=VALUE]... HOST PORT");
    return config;
}

static void
echo(dtlsl_listener *listener, const dtlsl_event *event)
{
    int32_t err =
        dtlsl_conn_send(listener, event->conn, event->data, event->len);

    if (err < 0)
        fprintf(stderr, "not echoed, %u bytes: %s\n", event->len,
                dtlsl_strerror(err));
}

/* Returns 0 once the listener has stopped. */
static int
serve(dtlsl_listener *listener, const sigset_t *open)
{
    struct pollfd fd = {dtlsl_listener_fd(listener), POLLIN, 0};
    int32_t ms = dtlsl_listener_timeout(listener);
    struct timespec timeout = {ms / 1000, ms % 1000 * 1000000L};
    const dtlsl_event *event;

    ppoll(&fd, 1, &timeout, open);
    if (stop_asked)
        dtlsl_listener_stop(listener);
    if (print_asked)
        print_counters(listener);
    stop_asked = print_asked = 0;
    dtlsl_listener_poll(listener, 0);
    while ((event = dtlsl_listener_next(listener)) != NULL) {
        if (event->type == DTLSL_EVENT_STOPPED)
            return 0;
        if (event->type == DTLSL_EVENT_DATA)
            echo(listener, event);
    }
    return 1;
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
    dtlsl_config *config = read_options(argc, argv);
    const char *host = read_host(argv[optind]);
    uint16_t port = read_port(argv[optind + 1]);
    char address[DTLSL_ADDRESS_MAX];
    dtlsl_listener *listener;
    sigset_t open;

    if (dtlsl_listener_new(&listener, config, NULL) < 0)
        refuse(dtlsl_config_error(config));
    dtlsl_config_free(config);
    if (dtlsl_listener_start(listener, host, port) < 0)
        refuse(dtlsl_listener_error(listener));
    watch_signals(&open);
    dtlsl_listener_address(listener, address, sizeof(address));
    printf("listening %s\n", address);
    fflush(stdout);
    while (serve(listener, &open))
        ;
    print_counters(listener);
    dtlsl_listener_free(listener);
    return 0;
}
