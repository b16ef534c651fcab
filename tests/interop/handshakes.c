/* SPDX-License-Identifier: MIT
 * Many DTLS 1.2 clients at once, on OpenSSL's own client.
 *
 *     handshakes [-b ADDRESS] [-n COUNT] [-j AT_ONCE] [-r PER_SECOND]
 *                [-w SECONDS] [-p IDENTITY:HEXKEY] [-e COUNT [-s SIZE]] [-k]
 *                HOST PORT
 *
 * Without -n until SIGTERM, which lets those under way come to their end. With
 * -w a client answers its HelloVerifyRequest only after so many seconds; with
 * -p it has a pre-shared key and no certificate to look at. Of -e messages of
 * -s bytes (64) each is sent when the one before has come back as it was, and
 * sent again while it has not, as datagrams may be lost. With -k no client
 * goes on until all -n of them have finished their handshake and heard their
 * first echo; -j then is the number of handshakes at once. A listener accepts
 * four clients from one wake-up and lets the others come again: up to -j 4
 * nobody has to. The only line that is printed says what became of them:
 *
 *     completed N refused N silent N failed N keys N echoed N resent N open N
 *
 * Refused: a cookie was answered by another HelloVerifyRequest. Silent: no
 * answer, after three timeouts in the handshake or ten of an echo. Failed: a
 * message that nobody had sent, too. Keys: how many values the second byte of
 * the cookies had; with "cluster" that is the key's id. Open: the most that
 * were at one time. The status is 0 if all were completed. */
#include "handshakes.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    POLL_MS = 50,
    OTHER_FILES = 16
};

static volatile sig_atomic_t stopped;

void
refuse(const char *what, const char *why)
{
    fprintf(stderr, "handshakes: %s: %s\n", what, why);
    exit(2);
}

uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- all of them ---- */

static int
may_start(const load *l)
{
    size_t n = l->meets ? l->n - l->n_open : l->n;

    if (stopped || l->left == 0 || n >= l->at_once)
        return 0;
    return l->rate == 0 ||
           l->started * UINT64_C(1000) <= (now_ms() - l->start_ms) * l->rate;
}

/* Backwards: the last one takes the place of one that is over. */
static void
run_once(load *l)
{
    struct pollfd fds[AT_ONCE_MAX];
    size_t n = l->n;
    outcome what;

    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = l->sessions[i]->fd, .events = POLLIN};
    if (poll(fds, n, l->rate != 0 ? 1000 / (int)l->rate : POLL_MS) < 0)
        return;
    for (size_t i = n; i-- > 0;) {
        what = session_serve(l, l->sessions[i], fds[i].revents != 0);
        if (what != UNDER_WAY)
            session_finish(l, i, what);
    }
}

/* Those who wait for each other, once nobody is missing. */
static void
release(load *l)
{
    outcome what;

    if (!l->meets || l->n_waiting < l->n || (l->left > 0 && !stopped))
        return;
    l->meets = 0;
    for (size_t i = l->n; i-- > 0;) {
        what = session_go_on(l, l->sessions[i]);
        if (what != UNDER_WAY)
            session_finish(l, i, what);
    }
}

static void
run(load *l)
{
    outcome what;

    l->start_ms = now_ms();
    while (l->n > 0 || (l->left > 0 && !stopped)) {
        while (may_start(l)) {
            what = session_start(l);
            if (what != UNDER_WAY)
                session_finish(l, l->n - 1, what);
        }
        run_once(l);
        release(l);
    }
}

static int
report(const load *l)
{
    uint32_t keys = 0;

    for (size_t i = 0; i < sizeof(l->keys); i++)
        keys += l->keys[i];
    printf("completed %" PRIu64 " refused %" PRIu64 " silent %" PRIu64
           " failed %" PRIu64 " keys %u echoed %" PRIu64 " resent %" PRIu64
           " open %zu\n",
           l->outcomes[COMPLETED], l->outcomes[REFUSED], l->outcomes[SILENT],
           l->outcomes[FAILED], keys, l->n_echoed, l->n_resent, l->most_open);
    return l->outcomes[COMPLETED] == l->started ? 0 : 1;
}

/* ---- options ---- */

static uint64_t
read_number(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*end != '\0' || value < min || value > max)
        refuse(text, "not a number in range");
    return value;
}

static void
read_address(const char *text, const char *port, struct sockaddr_in *out)
{
    out->sin_family = AF_INET;
    out->sin_port =
        port ? htons((uint16_t)read_number(port, 1, UINT16_MAX)) : 0;
    if (inet_pton(AF_INET, text, &out->sin_addr) != 1)
        refuse(text, "not an IPv4 address");
}

static void
read_key(load *l, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    if (len == 0 || len >= sizeof(l->identity) ||
        !OPENSSL_hexstr2buf_ex(l->key, sizeof(l->key), &l->key_len, colon + 1,
                               '\0') ||
        l->key_len == 0)
        refuse("-p", "not IDENTITY:HEXKEY");
    memcpy(l->identity, text, len);
}

static void
read_option(load *l, int c)
{
    if (c == 'b')
        read_address(optarg, NULL, &l->from);
    else if (c == 'n')
        l->left = read_number(optarg, 1, UINT32_MAX);
    else if (c == 'j')
        l->at_once = read_number(optarg, 1, AT_ONCE_MAX);
    else if (c == 'r')
        l->rate = read_number(optarg, 1, 1000);
    else if (c == 'w')
        l->hold_ms = read_number(optarg, 1, 3000) * 1000;
    else if (c == 'p')
        read_key(l, optarg);
    else if (c == 'e')
        l->echoes = (uint32_t)read_number(optarg, 1, UINT32_MAX);
    else if (c == 's')
        l->message_len = read_number(optarg, MESSAGE_MIN, MESSAGE_MAX);
    else if (c == 'k')
        l->meets = 1;
    else
        exit(2);
}

static void
read_options(load *l, int argc, char **argv)
{
    int c;

    read_address("0.0.0.0", NULL, &l->from);
    while ((c = getopt(argc, argv, "b:n:j:r:w:p:e:s:k")) != -1)
        read_option(l, c);
    if (argc - optind != 2)
        refuse("usage", "handshakes [OPTION]... HOST PORT");
    read_address(argv[optind], argv[optind + 1], &l->to);
    if (l->meets && l->left > AT_ONCE_MAX)
        refuse("-k", "needs an -n of at most 4000");
}

/* ---- the start ---- */

static void
raise_limit(size_t at_once)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur >= at_once + OTHER_FILES)
        return;
    limit.rlim_cur = at_once + OTHER_FILES;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        refuse("a socket for each", strerror(errno));
}

static unsigned int
give_key(SSL *ssl, const char *hint, char *identity, unsigned int identity_max,
         unsigned char *key, unsigned int key_max)
{
    const load *l = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    (void)hint;
    if (strlen(l->identity) >= identity_max || l->key_len > key_max)
        return 0;
    strcpy(identity, l->identity);
    memcpy(key, l->key, l->key_len);
    return (unsigned int)l->key_len;
}

static void
make_context(load *l)
{
    l->ctx = SSL_CTX_new(DTLS_client_method());
    if (l->ctx == NULL ||
        !SSL_CTX_set_max_proto_version(l->ctx, DTLS1_2_VERSION))
        refuse("OpenSSL", "no context");
    SSL_CTX_set_options(l->ctx, SSL_OP_NO_QUERY_MTU);
    if (l->key_len == 0)
        return;
    SSL_CTX_set_app_data(l->ctx, l);
    SSL_CTX_set_psk_client_callback(l->ctx, give_key);
    if (!SSL_CTX_set_cipher_list(l->ctx, "PSK-AES128-GCM-SHA256"))
        refuse("OpenSSL", "no PSK-AES128-GCM-SHA256");
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
    static load l = {.left = UINT64_MAX, .at_once = 20, .message_len = 64};

    read_options(&l, argc, argv);
    raise_limit(l.meets ? l.left : l.at_once);
    make_context(&l);
    signal(SIGTERM, on_term);
    run(&l);
    SSL_CTX_free(l.ctx);
    return report(&l);
}
