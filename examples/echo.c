/* SPDX-License-Identifier: MIT
 * An echo server with a callback.
 *
 *     echo [-w WORKERS] [-o NAME=VALUE]... HOST PORT
 *
 * HOST is a numeric address, "-" or "*" for all; PORT 0 picks one. SIGUSR1
 * prints the counters, SIGINT and SIGTERM stop; see dtlslisten-config(5). With
 * -w it serves with so many threads (workers.c).
 */
#include "workers.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
echo(dtlsl_listener *listener, const dtlsl_event *event)
{
    int32_t err =
        dtlsl_conn_send(listener, event->conn, event->data, event->len);

    if (err < 0)
        fprintf(stderr, "not echoed, %u bytes: %s\n", event->len,
                dtlsl_strerror(err));
}

static void
on_event(dtlsl_listener *listener, const dtlsl_event *event, void *user)
{
    (void)user;
    if (event->type == DTLSL_EVENT_DATA)
        echo(listener, event);
    if (event->type == DTLSL_EVENT_FAILED)
        fprintf(stderr, "handshake failed: %s\n", (const char *)event->data);
    if (event->type == DTLSL_EVENT_NOTICE)
        fprintf(stderr, "notice: %s\n", (const char *)event->data);
}

static void
refuse(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(2);
}

static void
set_option(dtlsl_config *config, char *text)
{
    char *value = strchr(text, '=');

    if (value == NULL)
        refuse("-o takes NAME=VALUE");
    *value++ = '\0';
    if (dtlsl_config_set(config, text, value) < 0)
        refuse(dtlsl_config_error(config));
}

static unsigned
read_number(const char *text, unsigned most, const char *what)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || number > most)
        refuse(what);
    return (unsigned)number;
}

static unsigned
read_workers(dtlsl_config *config, const char *text)
{
    if (dtlsl_config_set(config, "workers", text) < 0)
        refuse(dtlsl_config_error(config));
    return read_number(text, WORKERS_MAX, "-w is too large");
}

int
main(int argc, char **argv)
{
    dtlsl_config *config;
    unsigned workers = 1;
    const char *host;
    uint16_t port;
    int c;

    if (dtlsl_config_new(&config) < 0)
        refuse("cannot make a config");
    while ((c = getopt(argc, argv, "o:w:")) != -1) {
        if (c == 'o')
            set_option(config, optarg);
        else if (c == 'w')
            workers = read_workers(config, optarg);
        else
            break;
    }
    if (c != -1 || argc - optind != 2)
        refuse("usage: echo [-w WORKERS] [-o NAME=VALUE]... HOST PORT");
    host = argv[optind];
    port = (uint16_t)read_number(argv[optind + 1], UINT16_MAX,
                                 "PORT is a number from 0 to 65535");
    if (strcmp(host, "-") == 0 || strcmp(host, "*") == 0)
        host = NULL;
    return workers_run(config, workers, host, port, on_event);
}
