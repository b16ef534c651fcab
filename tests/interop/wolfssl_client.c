/* SPDX-License-Identifier: MIT
 * A DTLS 1.2 client on wolfSSL: sends one datagram, prints the echo. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LIMIT_MS = 10000,
    FIRST_TIMEOUT_S = 1,
    LAST_TIMEOUT_S = 4
};

typedef struct client {
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    int64_t deadline_ms;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    int fd;
} client;

static int64_t
clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
fail(client *c, const char *what, int rc)
{
    char text[WOLFSSL_MAX_ERROR_SZ];
    int code = c->ssl == NULL ? rc : wolfSSL_get_error(c->ssl, rc);

    wolfSSL_ERR_error_string_n((unsigned long)code, text, sizeof(text));
    fprintf(stderr, "wolfssl_client: %s: %s (%d)\n", what, text, code);
    return 1;
}

/* A connected socket, so that an unreachable port is an error. */
static int
connect_udp(client *c, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found);

    if (rc != 0) {
        fprintf(stderr, "wolfssl_client: %s: %s\n", host, gai_strerror(rc));
        return 1;
    }
    c->fd = socket(found->ai_family, SOCK_DGRAM, 0);
    rc = c->fd < 0 || connect(c->fd, found->ai_addr, found->ai_addrlen) != 0 ||
         fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0;
    if (rc != 0)
        perror("wolfssl_client: socket");
    memcpy(&c->peer, found->ai_addr, found->ai_addrlen);
    c->peer_len = found->ai_addrlen;
    freeaddrinfo(found);
    return rc;
}

static int
configure(client *c)
{
    c->ctx = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
    if (c->ctx == NULL)
        return 1;
    wolfSSL_CTX_set_verify(c->ctx, WOLFSSL_VERIFY_NONE, NULL);
    c->ssl = wolfSSL_new(c->ctx);
    if (c->ssl == NULL)
        return 1;
    /* Else a read that finds nothing spoils the address to send to again. */
    if (wolfSSL_dtls_set_peer(c->ssl, &c->peer, c->peer_len) !=
        WOLFSSL_SUCCESS)
        return 1;
    wolfSSL_dtls_set_using_nonblock(c->ssl, 1);
    wolfSSL_dtls_set_timeout_init(c->ssl, FIRST_TIMEOUT_S);
    wolfSSL_dtls_set_timeout_max(c->ssl, LAST_TIMEOUT_S);
    return wolfSSL_set_fd(c->ssl, c->fd) != WOLFSSL_SUCCESS;
}

/* After a call that answered rc: waits for the socket, or for the timer of a
 * handshake and repeats the flight. 1: call again, 0: give up. */
static int
wait_more(client *c, int rc, int in_handshake)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    int error = wolfSSL_get_error(c->ssl, rc);
    int64_t left = c->deadline_ms - clock_ms();
    int64_t timer;
    int ready;

    if (error == WOLFSSL_ERROR_WANT_WRITE)
        p.events = POLLOUT;
    else if (error != WOLFSSL_ERROR_WANT_READ)
        return 0;
    if (left <= 0)
        return 0;
    timer = (int64_t)wolfSSL_dtls_get_current_timeout(c->ssl) * 1000;
    if (in_handshake && timer < left)
        left = timer;
    ready = poll(&p, 1, (int)left);
    if (ready != 0)
        return ready > 0;
    return in_handshake && wolfSSL_dtls_got_timeout(c->ssl) >= 0;
}

static int
handshake(client *c)
{
    int rc;

    do {
        rc = wolfSSL_connect(c->ssl);
    } while (rc != WOLFSSL_SUCCESS && wait_more(c, rc, 1));
    return rc == WOLFSSL_SUCCESS ? 0 : fail(c, "handshake", rc);
}

static int
echo(client *c, const char *text)
{
    char buf[2048];
    int len = (int)strlen(text);
    int rc;

    do {
        rc = wolfSSL_write(c->ssl, text, len);
    } while (rc <= 0 && wait_more(c, rc, 0));
    if (rc <= 0)
        return fail(c, "write", rc);
    do {
        rc = wolfSSL_read(c->ssl, buf, sizeof(buf));
    } while (rc <= 0 && wait_more(c, rc, 0));
    if (rc <= 0)
        return fail(c, "read", rc);
    if (rc != len || memcmp(buf, text, (size_t)len) != 0) {
        fprintf(stderr, "wolfssl_client: the echo differs\n");
        return 1;
    }
    printf("%s\n", text);
    return 0;
}

int
main(int argc, char **argv)
{
    client c = {.fd = -1};
    int status = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: wolfssl_client HOST PORT TEXT\n");
        return 2;
    }
    wolfSSL_Init();
    c.deadline_ms = clock_ms() + LIMIT_MS;
    if (connect_udp(&c, argv[1], argv[2]) != 0)
        goto done;
    if (configure(&c) != 0) {
        fail(&c, "set-up", 0);
        goto done;
    }
    status = handshake(&c);
    if (status == 0) {
        c.deadline_ms = clock_ms() + LIMIT_MS;
        status = echo(&c, argv[3]);
        wolfSSL_shutdown(c.ssl);
    }
done:
    wolfSSL_free(c.ssl);
    wolfSSL_CTX_free(c.ctx);
    wolfSSL_Cleanup();
    if (c.fd >= 0)
        close(c.fd);
    return status;
}
