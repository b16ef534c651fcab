/* SPDX-License-Identifier: MIT
 * An echo server with a loop of its own: one socket, poll(), and
 * dtlsl_gate_listen() where a server of old called DTLSv1_listen().
 *
 *     own_loop [-o NAME=VALUE]... [-c CERT -k KEY] HOST PORT
 *
 * As there, one spare SSL waits for the next peer: strangers cost a cookie and
 * leave nothing. Unlike there, datagrams are read here and told by peer. */
#include <dtlslisten/gate.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_PEERS = 256,
    MTU = 1232,
    IDLE_MS = 30000
};

typedef struct peer {
    SSL *ssl; /* reads from memory, writes to the peer's address */
    dtlsl_path path;
    uint8_t hello_id[DTLSL_HELLO_ID_LEN];
    uint64_t deadline_ms;
} peer;

typedef struct datagram {
    dtlsl_path path;
    size_t len;
    uint8_t data[16384];
} datagram;

static int fd = -1;
static SSL_CTX *ssl_ctx;
static SSL *spare;
static dtlsl_gate *gate;
static peer peers[MAX_PEERS]; /* ssl == NULL: a free place */
static dtlsl_now now;
static volatile sig_atomic_t stop;

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "own_loop: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void
refuse(const char *what, const char *why)
{
    fprintf(stderr, "own_loop: %s: %s\n", what, why);
    exit(2);
}

static void
usage(void)
{
    refuse("usage", "[-o NAME=VALUE]... [-c CERT -k KEY] HOST PORT");
}

static void
on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* The peer's place, else a free one, else NULL. */
static peer *
find_place(const dtlsl_path *path)
{
    peer *place = NULL;

    for (size_t i = 0; i < MAX_PEERS; i++) {
        if (peers[i].ssl == NULL)
            place = &peers[i];
        else if (memcmp(&peers[i].path, path, sizeof(*path)) == 0)
            return &peers[i];
    }
    return place;
}

static SSL *
new_ssl(void)
{
    SSL *ssl = SSL_new(ssl_ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new_dgram(fd, BIO_NOCLOSE);

    if (ssl == NULL || in == NULL || out == NULL)
        die("SSL_new", "no memory");
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl, MTU);
    return ssl;
}

static void
end_peer(peer *p)
{
    SSL_shutdown(p->ssl);
    SSL_free(p->ssl);
    p->ssl = NULL;
}

/* The handshake goes on inside SSL_read(), too. */
static void
run_peer(peer *p, const uint8_t *data, size_t len)
{
    char buf[16384];
    int result;

    ERR_clear_error();
    BIO_write(SSL_get_rbio(p->ssl), data, (int)len);
    while ((result = SSL_read(p->ssl, buf, sizeof(buf))) > 0) {
        SSL_write(p->ssl, buf, result);
        p->deadline_ms = now.mono_ms + IDLE_MS;
    }
    if (SSL_get_error(p->ssl, result) != SSL_ERROR_WANT_READ)
        end_peer(p);
}

/* A peer that shows a good cookie on a known address has started anew: the
 * old session ends (RFC 6347 section 4.2.8 allows to keep it longer). */
static void
start_peer(peer *p, const datagram *d, size_t hello_len)
{
    SSL_free(p->ssl);
    p->ssl = spare;
    p->path = d->path;
    p->deadline_ms = now.mono_ms + IDLE_MS;
    dtlsl_hello_id(d->data, d->len, p->hello_id);
    spare = NULL;
    SSL_accept(p->ssl);
    /* Records behind the ClientHello's are datagrams of their own. */
    run_peer(p, d->data + hello_len, d->len - hello_len);
}

/* Here stood DTLSv1_listen(). */
static void
listen_once(peer *place, const datagram *d, struct sockaddr_storage *from)
{
    uint8_t reply[DTLSL_REPLY_MAX];
    dtlsl_verdict verdict = {
        .size = sizeof(verdict), .reply = reply, .reply_cap = sizeof(reply)};
    int32_t result;

    if (spare == NULL)
        spare = new_ssl();
    /* A BIO_ADDR is a union of the socket addresses. */
    BIO_dgram_set_peer(SSL_get_wbio(spare), (BIO_ADDR *)from);
    result = dtlsl_gate_listen(gate, spare, &d->path, d->data, d->len, &now,
                               &verdict);
    if (result == 1)
        start_peer(place, d, verdict.record_len);
    else if (result == 0 && verdict.action == DTLSL_REPLY)
        BIO_write(SSL_get_wbio(spare), reply, (int)verdict.reply_len);
    if (result < 0) {
        SSL_free(spare);
        spare = NULL;
    }
}

static void
on_datagram(const datagram *d, struct sockaddr_storage *from)
{
    peer *p = find_place(&d->path);
    uint8_t id[DTLSL_HELLO_ID_LEN];

    if (p == NULL) /* full: clients try again */
        return;
    /* A copy of the ClientHello that made the session starts nothing. */
    if (dtlsl_is_client_hello(d->data, d->len) &&
        dtlsl_hello_id(d->data, d->len, id) == DTLSL_OK) {
        if (p->ssl == NULL || memcmp(id, p->hello_id, sizeof(id)) != 0)
            listen_once(p, d, from);
    } else if (p->ssl != NULL) {
        run_peer(p, d->data, d->len);
    }
}

static void
read_datagrams(void)
{
    static datagram d;
    struct sockaddr_storage from;

    for (int budget = 64; budget > 0; budget--) {
        socklen_t from_len = sizeof(from);
        ssize_t len = recvfrom(fd, d.data, sizeof(d.data), MSG_DONTWAIT,
                               (struct sockaddr *)&from, &from_len);

        if (len < 0)
            return;
        d.len = (size_t)len;
        if (dtlsl_path_set(&d.path, &from, from_len, NULL, 0) == DTLSL_OK)
            on_datagram(&d, &from);
    }
}

/* Ends silent peers, re-sends flights; returns the milliseconds to wait. */
static int
run_timers(void)
{
    struct timeval tv;
    int wait = 1000;

    for (peer *p = peers; p < peers + MAX_PEERS; p++) {
        if (p->ssl == NULL)
            continue;
        ERR_clear_error();
        if (now.mono_ms >= p->deadline_ms || DTLSv1_handle_timeout(p->ssl) < 0)
            end_peer(p);
        else if (DTLSv1_get_timeout(p->ssl, &tv) == 1 && tv.tv_sec == 0 &&
                 tv.tv_usec / 1000 < wait)
            wait = (int)(tv.tv_usec / 1000) + 1;
    }
    return wait;
}

static void
turn(void)
{
    static uint64_t next_tick;
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    dtlsl_now_read(&now);
    if (now.mono_ms >= next_tick)
        dtlsl_gate_tick(gate, &now, &next_tick);
    read_datagrams();
    poll(&pollfd, 1, run_timers());
}

static void
self_sign(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 365L * 24 * 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const uint8_t *)"localhost", -1, -1, 0);
    X509_set_subject_name(cert, name);
    X509_set_issuer_name(cert, name);
    if (X509_sign(cert, key, EVP_sha256()) == 0 ||
        SSL_CTX_use_certificate(ssl_ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey(ssl_ctx, key) != 1)
        die("self-signed certificate", "OpenSSL failed");
    X509_NAME_free(name);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void
check_readable(const char *file)
{
    if (access(file, R_OK) != 0)
        refuse(file, strerror(errno));
}

static void
make_ssl_ctx(const char *cert, const char *key)
{
    if (cert != NULL)
        check_readable(cert);
    if (key != NULL)
        check_readable(key);
    ssl_ctx = SSL_CTX_new(DTLS_server_method());
    SSL_CTX_set_min_proto_version(ssl_ctx, DTLS1_2_VERSION);
    SSL_CTX_set_options(ssl_ctx,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_ENCRYPT_THEN_MAC);
    if (cert == NULL)
        self_sign();
    else if (SSL_CTX_use_certificate_chain_file(ssl_ctx, cert) != 1 ||
             SSL_CTX_use_PrivateKey_file(ssl_ctx, key != NULL ? key : cert,
                                         SSL_FILETYPE_PEM) != 1)
        die(cert, "no certificate in PEM, or not with this key");
}

static void
open_socket(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *info;
    char text[NI_MAXSERV];

    if (getaddrinfo(host, port, &hints, &info) != 0)
        die(host, "not a numeric address, or no port behind it");
    fd = socket(info->ai_family, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, info->ai_addr, info->ai_addrlen) != 0)
        die(host, strerror(errno));
    getsockname(fd, info->ai_addr, &info->ai_addrlen);
    getnameinfo(info->ai_addr, info->ai_addrlen, NULL, 0, text, sizeof(text),
                NI_NUMERICSERV | NI_DGRAM);
    freeaddrinfo(info);
    printf(strchr(host, ':') ? "listening [%s]:%s\n" : "listening %s:%s\n",
           host, text);
    fflush(stdout);
}

/* The rest of a config's options is for listeners. */
static void
set_option(dtlsl_config *config, char *name)
{
    char *value = strchr(name, '=');

    if (value == NULL)
        refuse("-o", "takes NAME=VALUE");
    *value++ = '\0';
    if (strcmp(name, "cookie") != 0 && strncmp(name, "cookie.", 7) != 0 &&
        strcmp(name, "plugin-dir") != 0)
        refuse(name, "-o is for cookie, cookie.* and plugin-dir; "
                     "cert and key are -c and -k here");
    if (dtlsl_config_set(config, name, value) < 0)
        refuse("-o", dtlsl_config_error(config));
}

static dtlsl_config *
read_options(int argc, char **argv)
{
    dtlsl_config *config;
    const char *cert = NULL;
    const char *key = NULL;
    int letter;

    if (dtlsl_config_new(&config) < 0)
        die("config", "no memory");
    while ((letter = getopt(argc, argv, "o:c:k:")) != -1) {
        if (letter == 'c')
            cert = optarg;
        else if (letter == 'k')
            key = optarg;
        else if (letter == 'o')
            set_option(config, optarg);
        else
            usage();
    }
    if (argc - optind != 2)
        usage();
    if (key != NULL && cert == NULL)
        refuse("-k", "needs -c with the certificate");
    make_ssl_ctx(cert, key);
    return config;
}

int
main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    dtlsl_config *config = read_options(argc, argv);

    if (dtlsl_gate_new(&gate, config) < 0)
        refuse("cookies", dtlsl_config_error(config));
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    open_socket(argv[optind], argv[optind + 1]);
    while (!stop)
        turn();
    for (peer *p = peers; p < peers + MAX_PEERS; p++) {
        if (p->ssl != NULL)
            end_peer(p);
    }
    SSL_free(spare);
    SSL_CTX_free(ssl_ctx);
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
    return EXIT_SUCCESS;
}
