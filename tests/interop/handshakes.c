/* SPDX-License-Identifier: MIT
 * Many DTLS 1.2 handshakes at once, on OpenSSL's own client.
 *
 *     handshakes [-b ADDRESS] [-n COUNT] [-j AT_ONCE] [-r PER_SECOND]
 *                [-w SECONDS] HOST PORT
 *
 * Without -n until SIGTERM, which lets those under way come to their end. With
 * -w a client answers its HelloVerifyRequest only after so many seconds. The
 * only line that is printed says what became of them:
 *
 *     completed N refused N silent N failed N keys N
 *
 * Refused: a cookie was answered by another HelloVerifyRequest. Silent: no
 * answer, after three timeouts. Keys: how many values the second
 * byte of the cookies had; with "cluster" that is the key's id. The status is
 * 0 if all were completed. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    AT_ONCE_MAX = 500,
    TIMEOUTS_MAX = 3,
    FIRST_TIMEOUT_US = 5000000,
    POLL_MS = 50,
    /* in a datagram that is one HelloVerifyRequest */
    MESSAGE_TYPE = 13,
    COOKIE = 28,
    /* in a message */
    MESSAGE_SEQ = 4,
    REQUEST_MAX = COOKIE + 255
};

typedef enum outcome {
    UNDER_WAY,
    COMPLETED,
    REFUSED,
    SILENT,
    FAILED,
    OUTCOMES
} outcome;

typedef struct handshake {
    SSL *ssl;
    BIO *in;
    int fd;
    uint32_t hellos;   /* sent with message_seq 0, so without a cookie */
    uint32_t requests; /* HelloVerifyRequests that came in */
    uint32_t timeouts;
    uint64_t answers_ms; /* when it reads what it holds */
    uint8_t held[REQUEST_MAX];
    size_t held_len;
} handshake;

typedef struct load {
    struct sockaddr_in from, to;
    SSL_CTX *ctx;
    uint64_t left;
    uint64_t rate;
    uint64_t hold_ms;
    uint64_t started;
    uint64_t start_ms;
    size_t at_once;
    size_t n;
    handshake *h[AT_ONCE_MAX];
    uint64_t outcomes[OUTCOMES];
    uint8_t keys[256];
} load;

static volatile sig_atomic_t stopped;

static void
refuse(const char *what, const char *why)
{
    fprintf(stderr, "handshakes: %s: %s\n", what, why);
    exit(2);
}

static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- one handshake ---- */

static int
open_socket(const load *l)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (const void *)&l->from, sizeof(l->from)) < 0 ||
        connect(fd, (const void *)&l->to, sizeof(l->to)) < 0)
        refuse("socket", strerror(errno));
    return fd;
}

/* Rather longer than OpenSSL's second: where nothing is lost, nothing is sent
 * twice, and the servers' counters can be foretold. */
static unsigned int
next_timeout(SSL *ssl, unsigned int before_us)
{
    (void)ssl;
    return before_us == 0 ? FIRST_TIMEOUT_US : 2 * before_us;
}

static void
on_message(int is_written, int version, int type, const void *data, size_t len,
           SSL *ssl, void *arg)
{
    const uint8_t *message = data;
    handshake *h = arg;

    (void)version;
    (void)ssl;
    if (is_written && type == SSL3_RT_HANDSHAKE && len > MESSAGE_SEQ + 1 &&
        message[0] == SSL3_MT_CLIENT_HELLO && message[MESSAGE_SEQ] == 0 &&
        message[MESSAGE_SEQ + 1] == 0)
        h->hellos++;
}

/* OpenSSL writes to the socket, but reads only what it is given. */
static void
attach(handshake *h, const load *l)
{
    struct sockaddr_in to = l->to;
    BIO *out = BIO_new_dgram(h->fd, BIO_NOCLOSE);

    h->in = BIO_new(BIO_s_mem());
    if (h->in == NULL || out == NULL)
        refuse("OpenSSL", "out of memory");
    BIO_set_mem_eof_return(h->in, -1);
    BIO_ctrl(out, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &to);
    SSL_set_bio(h->ssl, h->in, out);
}

static outcome
step(handshake *h)
{
    int result = SSL_do_handshake(h->ssl);
    int error = SSL_get_error(h->ssl, result);

    ERR_clear_error();
    if (result == 1)
        return COMPLETED;
    return error == SSL_ERROR_WANT_READ ? UNDER_WAY : FAILED;
}

static outcome
feed(handshake *h, const uint8_t *datagram, size_t len)
{
    BIO_write(h->in, datagram, (int)len);
    return step(h);
}

static outcome
start(load *l)
{
    handshake *h = calloc(1, sizeof(*h));

    if (h == NULL || (h->ssl = SSL_new(l->ctx)) == NULL)
        refuse("OpenSSL", "out of memory");
    h->fd = open_socket(l);
    attach(h, l);
    SSL_set_mtu(h->ssl, 1200);
    SSL_set_msg_callback(h->ssl, on_message);
    SSL_set_msg_callback_arg(h->ssl, h);
    DTLS_set_timer_cb(h->ssl, next_timeout);
    SSL_set_connect_state(h->ssl);
    l->h[l->n++] = h;
    l->started++;
    l->left--;
    return step(h);
}

/* A hello that was sent twice gets two HelloVerifyRequests, too. */
static outcome
take_request(load *l, handshake *h, const uint8_t *datagram, size_t len)
{
    if (++h->requests > h->hellos)
        return REFUSED;
    l->keys[datagram[COOKIE + 1]] = 1;
    if (h->requests > 1)
        return UNDER_WAY;
    if (l->hold_ms == 0)
        return feed(h, datagram, len);
    memcpy(h->held, datagram, len);
    h->held_len = len;
    h->answers_ms = now_ms() + l->hold_ms;
    return UNDER_WAY;
}

static outcome
receive(load *l, handshake *h)
{
    uint8_t datagram[2048];
    ssize_t len = recv(h->fd, datagram, sizeof(datagram), 0);

    if (len <= 0)
        return errno == ECONNREFUSED ? FAILED : UNDER_WAY;
    if (len > COOKIE + 1 && len <= REQUEST_MAX && datagram[0] == 22 &&
        datagram[MESSAGE_TYPE] == DTLS1_MT_HELLO_VERIFY_REQUEST)
        return take_request(l, h, datagram, (size_t)len);
    return feed(h, datagram, (size_t)len);
}

static outcome
check_timer(handshake *h)
{
    struct timeval left;

    if (!DTLSv1_get_timeout(h->ssl, &left) || left.tv_sec > 0 ||
        left.tv_usec > 0)
        return UNDER_WAY;
    if (h->timeouts++ == TIMEOUTS_MAX)
        return SILENT;
    if (DTLSv1_handle_timeout(h->ssl) >= 0)
        return UNDER_WAY;
    ERR_clear_error();
    return FAILED;
}

static outcome
serve(load *l, handshake *h, int readable)
{
    outcome what = UNDER_WAY;
    size_t len = h->held_len;

    if (len > 0 && now_ms() >= h->answers_ms) {
        h->held_len = 0;
        what = feed(h, h->held, len);
    }
    if (what == UNDER_WAY && readable)
        what = receive(l, h);
    return what == UNDER_WAY && h->held_len == 0 ? check_timer(h) : what;
}

static void
finish(load *l, size_t i, outcome what)
{
    handshake *h = l->h[i];

    l->outcomes[what]++;
    if (what == COMPLETED)
        SSL_shutdown(h->ssl);
    SSL_free(h->ssl);
    close(h->fd);
    free(h);
    l->h[i] = l->h[--l->n];
}

/* ---- all of them ---- */

static int
may_start(const load *l)
{
    if (stopped || l->left == 0 || l->n == l->at_once)
        return 0;
    return l->rate == 0 ||
           l->started * 1000 <= (now_ms() - l->start_ms) * l->rate;
}

/* Backwards: the last one takes the place of one that is over. */
static void
run_once(load *l)
{
    struct pollfd fds[AT_ONCE_MAX];
    size_t n = l->n;
    outcome what;

    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = l->h[i]->fd, .events = POLLIN};
    if (poll(fds, n, l->rate != 0 ? 1000 / (int)l->rate : POLL_MS) < 0)
        return;
    for (size_t i = n; i-- > 0;) {
        what = serve(l, l->h[i], fds[i].revents != 0);
        if (what != UNDER_WAY)
            finish(l, i, what);
    }
}

static void
run(load *l)
{
    outcome what;

    l->start_ms = now_ms();
    while (l->n > 0 || (l->left > 0 && !stopped)) {
        while (may_start(l)) {
            what = start(l);
            if (what != UNDER_WAY)
                finish(l, l->n - 1, what);
        }
        run_once(l);
    }
}

static int
report(const load *l)
{
    uint32_t keys = 0;

    for (size_t i = 0; i < sizeof(l->keys); i++)
        keys += l->keys[i];
    printf("completed %" PRIu64 " refused %" PRIu64 " silent %" PRIu64
           " failed %" PRIu64 " keys %u\n",
           l->outcomes[COMPLETED], l->outcomes[REFUSED], l->outcomes[SILENT],
           l->outcomes[FAILED], keys);
    return l->outcomes[COMPLETED] == l->started ? 0 : 1;
}

/* ---- options ---- */

static uint64_t
read_number(const char *text, uint64_t max)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*end != '\0' || value < 1 || value > max)
        refuse(text, "not a number in range");
    return value;
}

static void
read_address(const char *text, const char *port, struct sockaddr_in *out)
{
    out->sin_family = AF_INET;
    out->sin_port = port ? htons((uint16_t)read_number(port, UINT16_MAX)) : 0;
    if (inet_pton(AF_INET, text, &out->sin_addr) != 1)
        refuse(text, "not an IPv4 address");
}

static void
read_options(load *l, int argc, char **argv)
{
    int c;

    read_address("0.0.0.0", NULL, &l->from);
    while ((c = getopt(argc, argv, "b:n:j:r:w:")) != -1) {
        if (c == 'b')
            read_address(optarg, NULL, &l->from);
        else if (c == 'n')
            l->left = read_number(optarg, UINT32_MAX);
        else if (c == 'j')
            l->at_once = read_number(optarg, AT_ONCE_MAX);
        else if (c == 'r')
            l->rate = read_number(optarg, 1000);
        else if (c == 'w')
            l->hold_ms = read_number(optarg, 3000) * 1000;
        else
            exit(2);
    }
    if (argc - optind != 2)
        refuse("usage", "handshakes [OPTION]... HOST PORT");
    read_address(argv[optind], argv[optind + 1], &l->to);
}

static void
on_term(int signum)
{
    (void)signum;
    stopped = 1;
}

int
main(int argc, char **argv)
{
    static load l = {.left = UINT64_MAX, .at_once = 20};

    read_options(&l, argc, argv);
    l.ctx = SSL_CTX_new(DTLS_client_method());
    if (l.ctx == NULL ||
        !SSL_CTX_set_max_proto_version(l.ctx, DTLS1_2_VERSION))
        refuse("OpenSSL", "no context");
    SSL_CTX_set_options(l.ctx, SSL_OP_NO_QUERY_MTU);
    signal(SIGTERM, on_term);
    run(&l);
    SSL_CTX_free(l.ctx);
    return report(&l);
}
