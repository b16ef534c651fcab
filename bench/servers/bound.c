/* SPDX-License-Identifier: MIT
 * What OpenSSL itself costs a server: DTLS 1.2 in memory, without sockets,
 * cookies or any other work.
 *
 *     bench/bound handshake|echo [-j AT_ONCE] [-g GROUPS] [-s SIZE]
 *                 [-t SECONDS] [-C CPU] [-c CERT.pem -k KEY.pem]
 *
 * A handshake is from SSL_new() to SSL_free(); an echo is SSL_read() and
 * SSL_write() of a message of SIZE bytes (64), 64 of them between two looks at
 * the clock. With -j so many sessions (1) take turns, as a server's do, which
 * costs it the caches: a flight of each handshake, four echoes of each. The
 * clock is the thread's CPU time around the server's calls; the client's are
 * not in it. Prints one line of JSON. */
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
    MESSAGE_MAX = 1300, /* in a datagram of that MTU */
    AT_ONCE_MAX = 1000,
    TURN = 4 /* messages of each session that takes turns with others */
};

typedef struct side {
    SSL *ssl;
    queue in;
} side;

/* Of the sessions that take turns. */
static side *server, *client;
static size_t at_once = 1;
static SSL_CTX *server_ctx, *client_ctx;
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
new_ssl(side *s, side *other, SSL_CTX *ctx)
{
    s->ssl = SSL_new(ctx);
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

/* How many sessions are complete. */
static size_t
servers_shake(void)
{
    double start = cpu_seconds();
    size_t done = 0;

    for (size_t i = 0; i < at_once; i++) {
        if (server[i].ssl == NULL) {
            new_ssl(&server[i], &client[i], server_ctx);
            SSL_set_accept_state(server[i].ssl);
        }
        done += (size_t)shake(server[i].ssl);
    }
    server_s += cpu_seconds() - start;
    return done;
}

static void
servers_end(void)
{
    double start = cpu_seconds();

    for (size_t i = 0; i < at_once; i++) {
        SSL_free(server[i].ssl);
        server[i].ssl = NULL;
    }
    server_s += cpu_seconds() - start;
}

static void
servers_echo(void)
{
    double start = cpu_seconds();
    char data[MESSAGE_MAX];
    int n;

    for (size_t i = 0; i < at_once; i++)
        while ((n = SSL_read(server[i].ssl, data, sizeof(data))) > 0)
            SSL_write(server[i].ssl, data, n);
    server_s += cpu_seconds() - start;
}

/* ---- operations ---- */

static void
connect_all(void)
{
    size_t clients_done, servers_done;

    for (size_t i = 0; i < at_once; i++) {
        new_ssl(&client[i], &server[i], client_ctx);
        SSL_set_connect_state(client[i].ssl);
    }
    do {
        clients_done = 0;
        for (size_t i = 0; i < at_once; i++)
            clients_done += (size_t)shake(client[i].ssl);
        servers_done = servers_shake();
    } while (clients_done < at_once || servers_done < at_once);
}

static void
part(void)
{
    for (size_t i = 0; i < at_once; i++) {
        SSL_free(client[i].ssl);
        client[i].ssl = NULL;
        client[i].in.n = server[i].in.n = 0;
    }
    servers_end();
}

static void
handshakes(void)
{
    connect_all();
    part();
    operations += at_once;
}

static void
echoes(void)
{
    char data[MESSAGE_MAX] = {0};
    size_t turn = at_once > 1 ? TURN : QUEUE_MAX;

    for (size_t i = 0; i < at_once * turn; i++)
        if (SSL_write(client[i / turn].ssl, data, (int)size) != (int)size)
            refuse("echo", "the client cannot write");
    servers_echo();
    for (size_t i = 0; i < at_once * turn; i++)
        if (SSL_read(client[i / turn].ssl, data, sizeof(data)) != (int)size)
            refuse("echo", "it did not come back");
    operations += at_once * turn;
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

    while ((c = getopt(argc, argv, "j:g:s:t:C:c:k:")) != -1) {
        if (c == 'g')
            groups = optarg;
        else if (c == 'j')
            at_once = read_number(optarg, 1, AT_ONCE_MAX);
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
        refuse("usage",
               "bound handshake|echo [-j AT_ONCE] [-g GROUPS] "
               "[-s SIZE] [-t SECONDS] [-C CPU] [-c CERT.pem -k KEY.pem]");
    identity_get(id, certificate, key);
}

int
main(int argc, char **argv)
{
    identity id;
    double elapsed;

    read_options(argc, argv, &id);
    apply_common(&common);
    server = calloc(at_once, sizeof(*server));
    client = calloc(at_once, sizeof(*client));
    if (server == NULL || client == NULL)
        refuse("sessions", "out of memory");
    server_ctx = openssl_context(DTLS_server_method(), groups);
    client_ctx = openssl_context(DTLS_client_method(), groups);
    openssl_use_identity(server_ctx, &id);
    if (is_echo)
        connect_all();
    elapsed = run(is_echo ? echoes : handshakes);
    printf("{\"operations\":%" PRIu64 ",\"server_s\":%.6f,\"seconds\":%.6f}\n",
           operations, server_s, elapsed);
    if (is_echo)
        part();
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    queue_bio_stop();
    identity_free(&id);
    free(server);
    free(client);
    return 0;
}
