/* SPDX-License-Identifier: MIT
 * What OpenSSL itself costs a server: DTLS 1.2 in memory, without sockets,
 * cookies or any other work.
 *
 *     bench/bound handshake|echo [-g GROUPS] [-s SIZE] [-t SECONDS] [-C CPU]
 *                 [-c CERT.pem -k KEY.pem]
 *
 * A handshake is from SSL_new() to SSL_free(); an echo is SSL_read() and
 * SSL_write() of a message of SIZE bytes (64), 64 of them between two looks at
 * the clock. The clock is the thread's CPU time around the server's calls;
 * the client's are not in it. Prints one line of JSON. */
#include "clock.h"
#include "identity.h"
#include "openssl_side.h"
#include "options.h"
#include "queue_bio.h"
#include <getopt.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MTU = 1400,
    MESSAGE_MAX = 1300 /* in a datagram of that MTU */
};

typedef struct side {
    SSL_CTX *ctx;
    SSL *ssl;
    queue in;
} side;

static side server, client;
static int is_echo;
static const char *groups;
static size_t size = 64;
static common_options common = {.cpu = -1, .seconds = 1};
static uint64_t operations;
static double server_s;

static double
cpu_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- both sides ---- */

static void
new_ssl(side *s, side *other)
{
    s->ssl = SSL_new(s->ctx);
    if (s->ssl == NULL)
        refuse("OpenSSL", "out of memory");
    SSL_set_bio(s->ssl, queue_bio_new(&s->in), queue_bio_new(&other->in));
    SSL_set_mtu(s->ssl, MTU);
}

/* 1: complete, 0: it waits for the other side. */
static int
shake(SSL *ssl)
{
    int result = SSL_do_handshake(ssl);

    if (result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
        refuse("handshake", "it failed");
    return result == 1;
}

/* ---- the server under the clock ---- */

static int
server_shakes(void)
{
    double start = cpu_seconds();
    int done;

    if (server.ssl == NULL) {
        new_ssl(&server, &client);
        SSL_set_accept_state(server.ssl);
    }
    done = shake(server.ssl);
    server_s += cpu_seconds() - start;
    return done;
}

static void
server_ends(void)
{
    double start = cpu_seconds();

    SSL_free(server.ssl);
    server_s += cpu_seconds() - start;
    server.ssl = NULL;
}

static void
server_echoes(void)
{
    double start = cpu_seconds();
    char data[MESSAGE_MAX];
    int n;

    while ((n = SSL_read(server.ssl, data, sizeof(data))) > 0)
        SSL_write(server.ssl, data, n);
    server_s += cpu_seconds() - start;
}

/* ---- operations ---- */

static void
connect_both(void)
{
    int client_done, server_done;

    new_ssl(&client, &server);
    SSL_set_connect_state(client.ssl);
    do {
        client_done = shake(client.ssl);
        server_done = server_shakes();
    } while (!client_done || !server_done);
}

static void
part(void)
{
    SSL_free(client.ssl);
    client.ssl = NULL;
    client.in.n = server.in.n = 0;
    server_ends();
}

static void
handshake(void)
{
    connect_both();
    part();
    operations++;
}

static void
echo_batch(void)
{
    char data[MESSAGE_MAX] = {0};

    for (int i = 0; i < QUEUE_MAX; i++)
        if (SSL_write(client.ssl, data, (int)size) != (int)size)
            refuse("echo", "the client cannot write");
    server_echoes();
    for (int i = 0; i < QUEUE_MAX; i++)
        if (SSL_read(client.ssl, data, sizeof(data)) != (int)size)
            refuse("echo", "it did not come back");
    operations += QUEUE_MAX;
}

static double
run(void (*once)(void))
{
    uint64_t start, now, length = (uint64_t)(common.seconds * 1e9);

    for (int i = 0; i < 10; i++)
        once(); /* caches and allocator are warm */
    operations = 0;
    server_s = 0;
    start = now_ns();
    do {
        once();
        now = now_ns();
    } while (now - start < length);
    return (double)(now - start) / 1e9;
}

/* ---- options ---- */

static void
read_options(int argc, char **argv, identity *id)
{
    const char *certificate = NULL, *key = NULL;
    int c;

    while ((c = getopt(argc, argv, "g:s:t:C:c:k:")) != -1) {
        if (c == 'g')
            groups = optarg;
        else if (c == 's')
            size = read_number(optarg, 1, MESSAGE_MAX);
        else if (c == 'c')
            certificate = optarg;
        else if (c == 'k')
            key = optarg;
        else if (!read_common(&common, c, optarg))
            exit(2);
    }
    is_echo = argc - optind == 1 && strcmp(argv[optind], "echo") == 0;
    if (argc - optind != 1 ||
        (!is_echo && strcmp(argv[optind], "handshake") != 0))
        refuse("usage", "bound handshake|echo [-g GROUPS] [-s SIZE] "
                        "[-t SECONDS] [-C CPU] [-c CERT.pem -k KEY.pem]");
    identity_get(id, certificate, key);
}

int
main(int argc, char **argv)
{
    identity id;
    double elapsed;

    read_options(argc, argv, &id);
    apply_common(&common);
    server.ctx = openssl_context(DTLS_server_method(), groups);
    client.ctx = openssl_context(DTLS_client_method(), groups);
    openssl_use_identity(server.ctx, &id);
    if (is_echo)
        connect_both();
    elapsed = run(is_echo ? echo_batch : handshake);
    printf("{\"operations\":%" PRIu64 ",\"server_s\":%.6f,\"seconds\":%.6f}\n",
           operations, server_s, elapsed);
    if (is_echo)
        part();
    SSL_CTX_free(server.ctx);
    SSL_CTX_free(client.ctx);
    queue_bio_stop();
    identity_free(&id);
    return 0;
}
