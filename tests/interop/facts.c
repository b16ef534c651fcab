/* SPDX-License-Identifier: MIT
 * An echo server that tells what it knows about each connection.
 *
 *     facts [-o NAME=VALUE]... HOST PORT
 *
 * "send COUNT LENGTH" is answered with so many numbered lines of so many bytes
 * each, at once, instead of an echo.
 *
 * HOST is a numeric address or "-" for all. SIGTERM stops it. */
#include <dtlslisten/dtlslisten.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    KEY_LEN = 20,
    LINE_MAX_LEN = 2000
};

static const char label[] = "EXPORTER-facts";
static uv_signal_t term;

static void
print_key(const char *how, const uint8_t key[KEY_LEN])
{
    printf("%s ", how);
    for (int i = 0; i < KEY_LEN; i++)
        printf("%02X", key[i]);
    printf("\n");
}

/* By the library's call and by OpenSSL's own. */
static void
print_keys(dtlsl_listener *listener, uint64_t conn)
{
    uint8_t key[KEY_LEN];
    SSL *ssl = dtlsl_conn_ssl(listener, conn);

    if (dtlsl_conn_export(listener, conn, label, NULL, 0, key, KEY_LEN) ==
        DTLSL_OK)
        print_key("exported", key);
    if (SSL_export_keying_material(ssl, key, KEY_LEN, label, strlen(label),
                                   NULL, 0, 0) == 1)
        print_key("exported-by-ssl", key);
}

static void
print_facts(dtlsl_listener *listener, uint64_t conn)
{
    static const char *const names[] = {"version", "cipher", "alpn",
                                        "server-name", "psk-identity"};
    char text[256];
    uint8_t certificate[8192];
    SSL *ssl = dtlsl_conn_ssl(listener, conn);

    if (dtlsl_conn_peer(listener, conn, text, sizeof(text)) >= 0)
        printf("peer %s\n", text);
    if (dtlsl_conn_local(listener, conn, text, sizeof(text)) >= 0)
        printf("local %s\n", text);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (dtlsl_conn_info(listener, conn, names[i], text, sizeof(text)) > 0)
            printf("%s %s\n", names[i], text);
    }
    printf("certificate %d\n",
           dtlsl_conn_peer_certificate(listener, conn, certificate,
                                       sizeof(certificate)));
    printf("mtu %d\n", dtlsl_conn_mtu(listener, conn));
    print_keys(listener, conn);
    printf("open %s\n", SSL_session_reused(ssl) ? "reused" : "new");
}

/* The first error, if any. */
static int32_t
send_lines(dtlsl_listener *listener, uint64_t conn, unsigned count,
           unsigned len)
{
    char line[LINE_MAX_LEN];

    for (unsigned i = 1; i <= count; i++) {
        int32_t err;

        memset(line, '.', len);
        line[snprintf(line, sizeof(line), "line %u ", i)] = '.';
        line[len - 1] = '\n';
        err = dtlsl_conn_send(listener, conn, (const uint8_t *)line, len);
        if (err < 0)
            return err;
    }
    return 0;
}

static int32_t
answer(dtlsl_listener *listener, const dtlsl_event *event)
{
    char text[32];
    unsigned count, len;

    snprintf(text, sizeof(text), "%.*s", (int)event->len,
             (const char *)event->data);
    if (sscanf(text, "send %u %u", &count, &len) == 2 && len > sizeof(text) &&
        len <= LINE_MAX_LEN)
        return send_lines(listener, event->conn, count, len);
    return dtlsl_conn_send(listener, event->conn, event->data, event->len);
}

static void
on_event(dtlsl_listener *listener, const dtlsl_event *event, void *user)
{
    int32_t err;

    (void)user;
    switch (event->type) {
    case DTLSL_EVENT_OPEN:
        print_facts(listener, event->conn);
        break;
    case DTLSL_EVENT_DATA:
        err = answer(listener, event);
        printf("data %u: %s\n", event->len,
               err < 0 ? dtlsl_err_name(err) : "echoed");
        break;
    case DTLSL_EVENT_CLOSE:
    case DTLSL_EVENT_FAILED:
        printf("%s: %s\n",
               event->type == DTLSL_EVENT_CLOSE ? "closed" : "failed",
               (const char *)event->data);
        break;
    case DTLSL_EVENT_STOPPED:
        uv_close((uv_handle_t *)&term, NULL);
        break;
    default:
        break;
    }
    fflush(stdout);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    dtlsl_listener_stop(handle->data);
}

static void
refuse(const char *text)
{
    fprintf(stderr, "facts: %s\n", text);
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
        refuse("usage: facts [-o NAME=VALUE]... HOST PORT");
    return config;
}

static void
print_counters(const dtlsl_listener *listener)
{
    static char text[8192];

    if (dtlsl_listener_counters(listener, DTLSL_FORMAT_JSON, text,
                                sizeof(text)) >= 0)
        puts(text);
}

int
main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    dtlsl_config *config = read_options(argc, argv);
    const char *host = argv[optind];
    uint16_t port = (uint16_t)strtol(argv[optind + 1], NULL, 10);
    char address[DTLSL_ADDRESS_MAX];
    dtlsl_listener *listener;

    if (dtlsl_listener_new(&listener, config, loop) < 0)
        refuse(dtlsl_config_error(config));
    dtlsl_config_free(config);
    dtlsl_listener_on_event(listener, on_event, NULL);
    if (strcmp(host, "-") == 0)
        host = NULL;
    if (dtlsl_listener_start(listener, host, port) < 0)
        refuse(dtlsl_listener_error(listener));
    uv_signal_init(loop, &term);
    term.data = listener;
    uv_signal_start(&term, on_signal, SIGTERM);
    dtlsl_listener_address(listener, address, sizeof(address));
    printf("listening %s\n", address);
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    print_counters(listener);
    dtlsl_listener_free(listener);
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) == 0 ? 0 : 1;
}
