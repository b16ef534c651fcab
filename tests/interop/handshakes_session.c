/* SPDX-License-Identifier: MIT
 * One session of the load: its handshake, its messages and their echoes. */
#include "handshakes.h"
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TIMEOUTS_MAX = 3,
    FIRST_TIMEOUT_US = 5000000,
    RESEND_MS = 1000,
    RESENDS_MAX = 10,
    MESSAGE_TYPE = 13, /* in a datagram that is one HelloVerifyRequest */
    MESSAGE_SEQ = 4,   /* in a message */
    NUMBER = 4         /* in a message to be echoed */
};

/* ---- the handshake ---- */

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
    session *s = arg;

    (void)version;
    (void)ssl;
    if (is_written && type == SSL3_RT_HANDSHAKE && len > MESSAGE_SEQ + 1 &&
        message[0] == SSL3_MT_CLIENT_HELLO && message[MESSAGE_SEQ] == 0 &&
        message[MESSAGE_SEQ + 1] == 0)
        s->hellos++;
}

/* OpenSSL writes to the socket, but reads only what it is given. */
static void
attach(session *s, const load *l)
{
    struct sockaddr_in to = l->to;
    BIO *out = BIO_new_dgram(s->fd, BIO_NOCLOSE);

    s->in = BIO_new(BIO_s_mem());
    if (s->in == NULL || out == NULL)
        refuse("OpenSSL", "out of memory");
    BIO_set_mem_eof_return(s->in, -1);
    BIO_ctrl(out, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &to);
    SSL_set_bio(s->ssl, s->in, out);
}

static outcome
shake(load *l, session *s)
{
    int result = SSL_do_handshake(s->ssl);
    int error = SSL_get_error(s->ssl, result);

    ERR_clear_error();
    if (result != 1)
        return error == SSL_ERROR_WANT_READ ? UNDER_WAY : FAILED;
    s->phase = ECHOING;
    if (++l->n_open > l->most_open)
        l->most_open = l->n_open;
    return session_go_on(l, s);
}

outcome
session_start(load *l)
{
    session *s = calloc(1, sizeof(*s));

    if (s == NULL || (s->ssl = SSL_new(l->ctx)) == NULL)
        refuse("OpenSSL", "out of memory");
    s->fd = open_socket(l);
    s->serial = l->started++;
    attach(s, l);
    SSL_set_mtu(s->ssl, 1200);
    SSL_set_msg_callback(s->ssl, on_message);
    SSL_set_msg_callback_arg(s->ssl, s);
    DTLS_set_timer_cb(s->ssl, next_timeout);
    SSL_set_connect_state(s->ssl);
    l->sessions[l->n++] = s;
    l->left--;
    return shake(l, s);
}

/* ---- messages ---- */

static void
put(uint8_t *out, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

/* Of its own for each session and number, so that no other can pass for it. */
static void
make_message(const load *l, const session *s, uint32_t number, uint8_t *out)
{
    put(out, s->serial);
    put(out + NUMBER, number);
    for (size_t i = MESSAGE_MIN; i < l->message_len; i++)
        out[i] = (uint8_t)(s->serial + 31 * number + i);
}

/* One that the socket does not take is lost, and sent again as such. */
static outcome
say(load *l, session *s)
{
    uint8_t message[MESSAGE_MAX];
    int result, error;

    make_message(l, s, s->echoed, message);
    result = SSL_write(s->ssl, message, (int)l->message_len);
    error = SSL_get_error(s->ssl, result);
    ERR_clear_error();
    s->resend_ms = now_ms() + RESEND_MS;
    return result > 0 || error == SSL_ERROR_WANT_WRITE ? UNDER_WAY : FAILED;
}

outcome
session_go_on(load *l, session *s)
{
    if (l->meets && s->echoed == (l->echoes > 0)) {
        s->phase = WAITING;
        l->n_waiting++;
        return UNDER_WAY;
    }
    if (s->phase == WAITING) {
        s->phase = ECHOING;
        l->n_waiting--;
    }
    return s->echoed == l->echoes ? COMPLETED : say(l, s);
}

/* The echo of a message, of an earlier one if that was sent twice. */
static outcome
take_echo(load *l, session *s, const uint8_t *data, size_t len)
{
    uint8_t message[MESSAGE_MAX];
    uint32_t number = 0;

    for (int i = 0; i < 4 && len == l->message_len; i++)
        number = number << 8 | data[NUMBER + i];
    if (len != l->message_len || number > s->echoed)
        return FAILED;
    make_message(l, s, number, message);
    if (memcmp(data, message, len) != 0)
        return FAILED;
    if (number < s->echoed || s->phase != ECHOING)
        return UNDER_WAY;
    s->echoed++;
    s->timeouts = 0;
    l->n_echoed++;
    return session_go_on(l, s);
}

static outcome
hear(load *l, session *s)
{
    uint8_t data[MESSAGE_MAX + 1];
    outcome what = UNDER_WAY;
    int len = 0, error;

    while (what == UNDER_WAY &&
           (len = SSL_read(s->ssl, data, sizeof(data))) > 0)
        what = take_echo(l, s, data, (size_t)len);
    if (what != UNDER_WAY)
        return what;
    error = SSL_get_error(s->ssl, len);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ ? UNDER_WAY : FAILED;
}

/* ---- what comes in, and what is due ---- */

static outcome
feed(load *l, session *s, const uint8_t *datagram, size_t len)
{
    BIO_write(s->in, datagram, (int)len);
    return s->phase == SHAKING ? shake(l, s) : hear(l, s);
}

/* A hello that was sent twice gets two HelloVerifyRequests, too. */
static outcome
take_request(load *l, session *s, const uint8_t *datagram, size_t len)
{
    if (++s->requests > s->hellos)
        return REFUSED;
    l->keys[datagram[COOKIE + 1]] = 1;
    if (s->requests > 1)
        return UNDER_WAY;
    if (l->hold_ms == 0)
        return feed(l, s, datagram, len);
    memcpy(s->held, datagram, len);
    s->held_len = len;
    s->answers_ms = now_ms() + l->hold_ms;
    return UNDER_WAY;
}

static outcome
receive(load *l, session *s)
{
    uint8_t datagram[2048];
    ssize_t len = recv(s->fd, datagram, sizeof(datagram), 0);

    if (len <= 0)
        return errno == ECONNREFUSED ? FAILED : UNDER_WAY;
    if (len > COOKIE + 1 && len <= REQUEST_MAX && datagram[0] == 22 &&
        s->phase == SHAKING &&
        datagram[MESSAGE_TYPE] == DTLS1_MT_HELLO_VERIFY_REQUEST)
        return take_request(l, s, datagram, (size_t)len);
    return feed(l, s, datagram, (size_t)len);
}

static outcome
check_handshake_timer(session *s)
{
    struct timeval left;

    if (!DTLSv1_get_timeout(s->ssl, &left) || left.tv_sec > 0 ||
        left.tv_usec > 0)
        return UNDER_WAY;
    if (s->timeouts++ == TIMEOUTS_MAX)
        return SILENT;
    if (DTLSv1_handle_timeout(s->ssl) >= 0)
        return UNDER_WAY;
    ERR_clear_error();
    return FAILED;
}

static outcome
check_echo_timer(load *l, session *s)
{
    if (s->phase != ECHOING || now_ms() < s->resend_ms)
        return UNDER_WAY;
    if (s->timeouts++ == RESENDS_MAX)
        return SILENT;
    l->n_resent++;
    return say(l, s);
}

outcome
session_serve(load *l, session *s, int readable)
{
    outcome what = UNDER_WAY;
    size_t len = s->held_len;

    if (len > 0 && now_ms() >= s->answers_ms) {
        s->held_len = 0;
        what = feed(l, s, s->held, len);
    }
    if (what == UNDER_WAY && readable)
        what = receive(l, s);
    if (what != UNDER_WAY || s->held_len > 0)
        return what;
    return s->phase == SHAKING ? check_handshake_timer(s)
                               : check_echo_timer(l, s);
}

void
session_finish(load *l, size_t i, outcome what)
{
    session *s = l->sessions[i];

    l->outcomes[what]++;
    l->n_open -= s->phase != SHAKING;
    l->n_waiting -= s->phase == WAITING;
    if (what == COMPLETED)
        SSL_shutdown(s->ssl);
    SSL_free(s->ssl);
    close(s->fd);
    free(s);
    l->sessions[i] = l->sessions[--l->n];
}
