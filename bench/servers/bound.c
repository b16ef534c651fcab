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
#include "identity.h"
#include "queue_bio.h"
#include <getopt.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MTU = 1400,
    MESSAGE_MAX = 1300, /* in a datagram of that MTU */
    SECONDS_MAX = 3600
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
static double seconds = 1;
static uint64_t operations;
static double server_s;

static _Noreturn void
refuse(const char *what, const char *why)
{
    fprintf(stderr, "bound: %s: %s\n", what, why);
    exit(2);
}

static double
read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- both sides ---- */

static void
use_identity(const identity *id)
{
    BIO *certificate = BIO_new_mem_buf(id->certificate, -1);
    BIO *private = BIO_new_mem_buf(id->key, -1);
    X509 *x = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(private, NULL, NULL, NULL);

    if (SSL_CTX_use_certificate(server.ctx, x) != 1 ||
        SSL_CTX_use_PrivateKey(server.ctx, key) != 1)
        refuse("certificate", "OpenSSL cannot use it and its key");
    X509_free(x);
    EVP_PKEY_free(key);
    BIO_free(certificate);
    BIO_free(private);
}

static SSL_CTX *
new_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL || !SSL_CTX_set_cipher_list(ctx, "ECDHE+AES128+AESGCM"))
        refuse("OpenSSL", "no context");
    SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (groups != NULL && !SSL_CTX_set1_groups_list(ctx, groups))
        refuse(groups, "OpenSSL has not all these groups");
    return ctx;
}

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
    double start = read_clock(CLOCK_THREAD_CPUTIME_ID);
    int done;

    if (server.ssl == NULL) {
        new_ssl(&server, &client);
        SSL_set_accept_state(server.ssl);
    }
    done = shake(server.ssl);
    server_s += read_clock(CLOCK_THREAD_CPUTIME_ID) - start;
    return done;
}

static void
server_ends(void)
{
    double start = read_clock(CLOCK_THREAD_CPUTIME_ID);

    SSL_free(server.ssl);
    server_s += read_clock(CLOCK_THREAD_CPUTIME_ID) - start;
    server.ssl = NULL;
}

static void
server_echoes(void)
{
    double start = read_clock(CLOCK_THREAD_CPUTIME_ID);
    char data[MESSAGE_MAX];
    int n;

    while ((n = SSL_read(server.ssl, data, sizeof(data))) > 0)
        SSL_write(server.ssl, data, n);
    server_s += read_clock(CLOCK_THREAD_CPUTIME_ID) - start;
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
    double start, now;

    for (int i = 0; i < 10; i++)
        once(); /* caches and allocator are warm */
    operations = 0;
    server_s = 0;
    start = read_clock(CLOCK_MONOTONIC);
    do {
        once();
        now = read_clock(CLOCK_MONOTONIC);
    } while (now - start < seconds);
    return now - start;
}

/* ---- options ---- */

static double
read_number(const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min && value <= max))
        refuse(text, "not a number in range");
    return value;
}

static void
pin(size_t cpu)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
        refuse("-C", "no such CPU");
}

static void
read_options(int argc, char **argv, identity *id)
{
    const char *certificate = NULL, *key = NULL;
    int c;

    while ((c = getopt(argc, argv, "g:s:t:C:c:k:")) != -1) {
        if (c == 'g')
            groups = optarg;
        else if (c == 's')
            size = (size_t)read_number(optarg, 1, MESSAGE_MAX);
        else if (c == 't')
            seconds = read_number(optarg, 0, SECONDS_MAX);
        else if (c == 'C')
            pin((size_t)read_number(optarg, 0, CPU_SETSIZE - 1));
        else if (c == 'c')
            certificate = optarg;
        else if (c == 'k')
            key = optarg;
        else
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
    server.ctx = new_context(DTLS_server_method());
    client.ctx = new_context(DTLS_client_method());
    use_identity(&id);
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
