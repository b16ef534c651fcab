/* SPDX-License-Identifier: MIT
 * The DTLS echo server of the GnuTLS manual ("Datagram TLS server example"),
 * for many clients: it looks at a datagram (MSG_PEEK), answers it with a
 * cookie and throws it away, or makes a session of it, which gets a connected
 * socket of its own and does not block ("Asynchronous operation").
 *
 *     bench/gnutls_server [OPTION]... HOST PORT
 *
 * As the example does, it answers whatever brings no good cookie. */
#include "options.h"
#include "serve.h"
#include <errno.h>
#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PRIORITY_MAX = 512
};

/* As priv_data_st of the example. */
typedef struct session {
    gnutls_session_t tls;
    int fd;
    const uint8_t *first; /* the hello, until it was read */
    size_t first_len;
} session;

typedef struct stranger {
    int fd;
    struct sockaddr_in address;
} stranger;

static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static gnutls_datum_t cookie_key;
static unsigned mtu;
static char priority_text[PRIORITY_MAX];

/* ---- the transport ---- */

static ssize_t
push_to_stranger(gnutls_transport_ptr_t where, const void *data, size_t len)
{
    const stranger *to = where;

    return sendto(to->fd, data, len, 0, (const void *)&to->address,
                  sizeof(to->address));
}

static ssize_t
push(gnutls_transport_ptr_t where, const void *data, size_t len)
{
    const session *s = where;

    return send(s->fd, data, len, 0);
}

static ssize_t
pull_first(session *s, void *data, size_t len)
{
    size_t n = s->first_len < len ? s->first_len : len;

    memcpy(data, s->first, n);
    s->first = NULL;
    return (ssize_t)n;
}

static ssize_t
pull(gnutls_transport_ptr_t where, void *data, size_t len)
{
    session *s = where;

    return s->first != NULL ? pull_first(s, data, len)
                            : recv(s->fd, data, len, 0);
}

static int
pull_timeout(gnutls_transport_ptr_t where, unsigned ms)
{
    const session *s = where;
    struct pollfd waiting = {.fd = s->fd, .events = POLLIN};

    return s->first != NULL ? 1 : poll(&waiting, 1, (int)ms);
}

/* ---- sessions ---- */

static session *
new_session(int fd, gnutls_dtls_prestate_st *prestate)
{
    session *s = calloc(1, sizeof(*s));

    if (s == NULL ||
        gnutls_init(&s->tls, GNUTLS_SERVER | GNUTLS_DATAGRAM |
                                 GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS) < 0)
        refuse("GnuTLS", "out of memory");
    s->fd = fd;
    gnutls_priority_set(s->tls, priority);
    gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_dtls_prestate_set(s->tls, prestate);
    gnutls_dtls_set_mtu(s->tls, mtu);
    gnutls_transport_set_ptr(s->tls, s);
    gnutls_transport_set_push_function(s->tls, push);
    gnutls_transport_set_pull_function(s->tls, pull);
    gnutls_transport_set_pull_timeout_function(s->tls, pull_timeout);
    return s;
}

static int
goes_on(ssize_t result)
{
    return result < 0 && !gnutls_error_is_fatal((int)result);
}

static int
echo_all(session *s)
{
    static uint8_t data[SERVE_RECORD];
    ssize_t n;

    for (;;) {
        n = gnutls_record_recv(s->tls, data, sizeof(data));
        if (n == GNUTLS_E_AGAIN)
            return 1;
        if (n == 0)
            gnutls_bye(s->tls, GNUTLS_SHUT_WR);
        if (n > 0 && gnutls_record_send(s->tls, data, (size_t)n) < 0)
            gnutls_record_discard_queued(s->tls);
        if (n <= 0 && !goes_on(n))
            return 0;
    }
}

static int
shake(peer *p)
{
    session *s = p->session;
    int result = gnutls_handshake(s->tls);

    if (result < 0)
        return goes_on(result);
    serve_opened(p);
    return 1;
}

static int
serve_peer(peer *p)
{
    if (!p->is_open && !shake(p))
        return 0;
    return !p->is_open || echo_all(p->session);
}

static int
look_after(peer *p)
{
    const session *s = p->session;

    return gnutls_dtls_get_timeout(s->tls) > 0 || serve_peer(p);
}

static void
free_session(void *session_of_peer)
{
    session *s = session_of_peer;

    gnutls_deinit(s->tls);
    free(s);
}

/* ---- listening ---- */

static void
accept_client(const struct sockaddr_in *address,
              gnutls_dtls_prestate_st *prestate, const uint8_t *hello,
              size_t len)
{
    int fd = serve_socket(address);
    session *s;

    if (fd < 0)
        return;
    s = new_session(fd, prestate);
    s->first = hello;
    s->first_len = len;
    serve_call(serve_add(fd, s), serve_peer);
}

static void
throw_away(int fd)
{
    char byte;

    (void)!recvfrom(fd, &byte, sizeof(byte), 0, NULL, NULL);
}

static void
judge(stranger *from, uint8_t *hello, size_t len)
{
    gnutls_dtls_prestate_st prestate = {0};
    void *address = &from->address;
    int verdict = gnutls_dtls_cookie_verify(
        &cookie_key, address, sizeof(from->address), hello, len, &prestate);

    throw_away(from->fd);
    if (verdict >= 0)
        accept_client(address, &prestate, hello, len);
    else
        gnutls_dtls_cookie_send(&cookie_key, address, sizeof(from->address),
                                &prestate, from, push_to_stranger);
}

static void
listen_batch(int fd)
{
    static uint8_t hello[SERVE_DATAGRAM];
    stranger from = {.fd = fd};
    socklen_t address_len;
    ssize_t n;

    for (int i = 0; i < SERVE_BATCH; i++) {
        address_len = sizeof(from.address);
        n = recvfrom(fd, hello, sizeof(hello), MSG_PEEK, (void *)&from.address,
                     &address_len);
        if (n < 0)
            break;
        if (n == 0)
            throw_away(fd);
        else
            judge(&from, hello, (size_t)n);
    }
}

/* ---- the start ---- */

static int
add_group(const char *name)
{
    static const struct {
        const char *name, *group;
    } groups[] = {
        {"X25519", "X25519"},   {"X448", "X448"},       {"P-256", "SECP256R1"},
        {"P-384", "SECP384R1"}, {"P-521", "SECP521R1"},
    };
    size_t len = strlen(priority_text);

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (strcmp(groups[i].name, name) == 0)
            return snprintf(priority_text + len, sizeof(priority_text) - len,
                            ":+GROUP-%s", groups[i].group) <
                   (int)(sizeof(priority_text) - len);
    return 0;
}

static void
make_priority(const char *groups)
{
    snprintf(priority_text, sizeof(priority_text),
             "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CIPHER-ALL:+AES-128-GCM"
             ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:%%SERVER_PRECEDENCE%s",
             groups == NULL ? "" : ":-GROUP-ALL");
    if (groups != NULL)
        serve_each_group(groups, add_group);
    if (gnutls_priority_init(&priority, priority_text, NULL) < 0)
        refuse(priority_text, "GnuTLS does not take this");
}

static void
use_identity(const identity *id)
{
    gnutls_datum_t certificate = {(unsigned char *)id->certificate,
                                  (unsigned)strlen(id->certificate)};
    gnutls_datum_t key = {(unsigned char *)id->key, (unsigned)strlen(id->key)};

    if (gnutls_certificate_allocate_credentials(&credentials) < 0 ||
        gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key,
                                            GNUTLS_X509_FMT_PEM) < 0)
        refuse("GnuTLS", "cannot use the certificate and its key");
}

static int
start(const serve_settings *settings)
{
    gnutls_global_init();
    use_identity(&settings->identity);
    make_priority(settings->groups);
    gnutls_key_generate(&cookie_key, GNUTLS_COOKIE_KEY_SIZE);
    mtu = (unsigned)settings->mtu;
    return serve_socket(NULL);
}

static void
stop(void)
{
    gnutls_free(cookie_key.data);
    gnutls_certificate_free_credentials(credentials);
    gnutls_priority_deinit(priority);
    gnutls_global_deinit();
}

int
main(int argc, char **argv)
{
    static const server gnutls = {
        .name = "gnutls_server",
        .options = "",
        .usage = "",
        .start = start,
        .listen = listen_batch,
        .serve = serve_peer,
        .look_after = look_after,
        .free = free_session,
        .stop = stop,
    };

    return serve(argc, argv, &gnutls);
}
