/* SPDX-License-Identifier: MIT
 * The two sides of the differential test: the gate with a strategy of this
 * process, and DTLSv1_listen() with callbacks that make the same cookies. */
#define OPENSSL_SUPPRESS_DEPRECATED /* DTLSv1_2_server_method() */
#include "differential.h"
#include "tls.h"
#include <dtlslisten/gate.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

enum {
    FRAGMENT_MAX = 16000
};

/* What a BIO of the test reads from and writes to: one datagram, then the
 * rest of its ClientHello as further fragments. */
typedef struct wire {
    const uint8_t *in; /* NULL: read */
    size_t in_len;
    const uint8_t *body; /* NULL: no further fragments */
    size_t body_len;
    size_t body_at;
    uint32_t seq;
    uint8_t out[2048]; /* the first datagram written */
    size_t out_len;
} wire;

static const probe *current;
static wire w;
static BIO_METHOD *method;
static BIO_ADDR *peer;
static SSL_CTX *ctx;
static SSL_CTX *fixed_ctx;
static SSL *spare; /* has seen no ClientHello that was accepted */
static dtlsl_config *config;
static dtlsl_gate *gate;
static dtlsl_path paths[PATHS];
static dtlsl_now now = {5000000, 1795300000000};
static int taken;

/* ---- versions ---- */

/* Mended in each branch that was alive in January 2026. */
int
libssl_takes_message_seq_2(void)
{
    static const unsigned long mended[] = {
        0x30000130UL, 0x30300060UL, 0x30400040UL, 0x30500050UL, 0x30600010UL};
    unsigned long version = OpenSSL_version_num();

    for (size_t i = 0; i < sizeof(mended) / sizeof(mended[0]); i++)
        if (version >> 20 == mended[i] >> 20)
            return version < mended[i];
    return version < 0x30300000UL;
}

int
libssl_keeps_rest(void)
{
    return OpenSSL_version_num() >= 0x30200000UL;
}

/* OpenSSL 4 is without them. */
static const SSL_METHOD *
fixed_method(void)
{
#if OPENSSL_VERSION_NUMBER < 0x40000000L
    return DTLSv1_2_server_method();
#else
    return NULL;
#endif
}

int
libssl_has_fixed_versions(void)
{
    return fixed_method() != NULL;
}

/* ---- cookies ---- */

static uint8_t
cookie_byte(const uint8_t peer_bytes[24], const uint8_t *hello, size_t index)
{
    uint64_t hash = 0xcbf29ce484222325 + index;

    for (size_t i = 0; i < 24; i++)
        hash = (hash ^ peer_bytes[i]) * 0x100000001b3;
    for (size_t i = 0; i < 34; i++)
        hash = (hash ^ hello[i]) * 0x100000001b3;
    return (uint8_t)((hash ^ hash >> 32) * 0x9e3779b97f4a7c15 >> 56);
}

/* All bytes from one pass over the input; they differ by the index. */
static void
fill_cookie(const uint8_t peer_bytes[24], const uint8_t *hello,
            uint8_t *cookie, size_t len)
{
    uint8_t first = cookie_byte(peer_bytes, hello, 0);
    uint8_t second = cookie_byte(peer_bytes, hello, 1);

    for (size_t i = 0; i < len; i++)
        cookie[i] = (uint8_t)(first + second * i);
}

void
make_cookie(const probe *p, const uint8_t *hello, uint8_t *cookie)
{
    fill_cookie(paths[p->path].peer, hello, cookie, p->cookie_len);
}

static int
generate(SSL *ssl, unsigned char *cookie, unsigned *len)
{
    (void)ssl;
    *len = current->cookie == COOKIE_TOO_LONG ? 256 : 0;
    if (current->cookie == COOKIE_GOOD) {
        make_cookie(current, current->data + AT_BODY, cookie);
        *len = current->cookie_len;
    }
    return current->cookie != COOKIE_FAILS;
}

static int
is_right(const uint8_t peer_bytes[24], const uint8_t *hello,
         const uint8_t *cookie, size_t len)
{
    uint8_t want[255];

    if (len != current->cookie_len)
        return 0;
    fill_cookie(peer_bytes, hello, want, len);
    return memcmp(cookie, want, len) == 0;
}

static int
check(SSL *ssl, const unsigned char *cookie, unsigned len)
{
    (void)ssl;
    return is_right(paths[current->path].peer, current->data + AT_BODY, cookie,
                    len);
}

static int32_t
plugin_open(const dtlsl_cookie_host *host, void *user,
            const dtlsl_cookie_option *options, size_t n_options, void **state,
            char *err, size_t err_len)
{
    (void)host, (void)user, (void)options, (void)n_options;
    (void)err, (void)err_len;
    *state = NULL;
    return DTLSL_OK;
}

static void
plugin_close(void *state)
{
    (void)state;
}

static int32_t
plugin_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
            size_t cap)
{
    (void)state;
    switch (current->cookie) {
    case COOKIE_FAILS:
        return -1;
    case COOKIE_EMPTY:
        return 0;
    case COOKIE_TOO_LONG:
        return 256;
    default:
        if (current->cookie_len > cap)
            return -1;
        fill_cookie(in->peer, in->core, cookie, current->cookie_len);
        return (int32_t)current->cookie_len;
    }
}

static int32_t
plugin_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
              size_t len, dtlsl_cookie_result *out)
{
    (void)state, (void)out;
    return is_right(in->peer, in->core, cookie, len) ? DTLSL_COOKIE_VALID
                                                     : DTLSL_COOKIE_MISMATCH;
}

static const dtlsl_cookie_plugin plugin = {
    .size = sizeof(plugin),
    .abi = DTLSL_COOKIE_ABI,
    .name = "differential",
    .max_cookie_len = 255,
    .open = plugin_open,
    .close = plugin_close,
    .mint = plugin_mint,
    .verify = plugin_verify,
};

/* ---- the wire ---- */

/* The next fragment of the body, as a datagram. */
static int
next_fragment(uint8_t *data, size_t cap)
{
    size_t len = w.body_len - w.body_at;

    if (len > FRAGMENT_MAX)
        len = FRAGMENT_MAX;
    need(cap >= AT_BODY + len, "a read of OpenSSL has room for a fragment");
    memset(data, 0, AT_BODY);
    data[AT_TYPE] = 22;
    put16(data + AT_VERSION, 0xfeff);
    put48(data + AT_RECORD_SEQ, ++w.seq);
    put16(data + AT_RECORD_LENGTH, (uint32_t)(12 + len));
    data[AT_MESSAGE] = 1;
    put24(data + AT_MESSAGE_LENGTH, (uint32_t)w.body_len);
    put16(data + AT_MESSAGE_SEQ, 1);
    put24(data + AT_OFFSET, (uint32_t)w.body_at);
    put24(data + AT_FRAGMENT_LENGTH, (uint32_t)len);
    memcpy(data + AT_BODY, w.body + w.body_at, len);
    w.body_at += len;
    return (int)(AT_BODY + len);
}

static int
wire_read(BIO *bio, char *data, int len)
{
    size_t n = w.in_len < (size_t)len ? w.in_len : (size_t)len;

    BIO_clear_retry_flags(bio);
    if (w.in != NULL) {
        memcpy(data, w.in, n);
        w.in = NULL;
        return (int)n;
    }
    if (w.body != NULL && w.body_at < w.body_len)
        return next_fragment((uint8_t *)data, (size_t)len);
    BIO_set_retry_read(bio);
    return -1;
}

static int
wire_write(BIO *bio, const char *data, int len)
{
    BIO_clear_retry_flags(bio);
    if (w.out_len == 0) {
        need(len <= (int)sizeof(w.out), "a datagram of OpenSSL is not huge");
        memcpy(w.out, data, (size_t)len);
        w.out_len = (size_t)len;
    }
    return len;
}

static long
wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- OpenSSL ---- */

/* OpenSSL asks for a certificate when it has nothing more against the
 * ClientHello: it is asked to wait there, which saves the signature. */
static int
choose_certificate(SSL *ssl, void *arg)
{
    (void)ssl, (void)arg;
    taken = 1;
    return current->whole ? 1 : -1;
}

static unsigned
psk(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
    (void)ssl, (void)identity, (void)max;
    key[0] = 1;
    return 1;
}

static SSL_CTX *
new_ctx(const SSL_METHOD *ssl_method, X509 *cert, EVP_PKEY *key)
{
    SSL_CTX *made = SSL_CTX_new(ssl_method);

    need(made != NULL && SSL_CTX_use_certificate(made, cert) == 1 &&
             SSL_CTX_use_PrivateKey(made, key) == 1,
         "an SSL_CTX is made");
    SSL_CTX_set_cookie_generate_cb(made, generate);
    SSL_CTX_set_cookie_verify_cb(made, check);
    SSL_CTX_set_psk_server_callback(made, psk);
    SSL_CTX_set_cert_cb(made, choose_certificate, NULL);
    SSL_CTX_set_options(made, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    return made;
}

static SSL *
new_ssl(SSL_CTX *of)
{
    SSL *ssl = SSL_new(of);
    BIO *bio = BIO_new(method);

    need(ssl != NULL && bio != NULL, "an SSL is made");
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_mtu(ssl, 1200);
    return ssl;
}

static void
accept_ssl(SSL *ssl, outcome *o)
{
    int result;
    int error;

    taken = 0;
    w.out_len = 0;
    result = SSL_accept(ssl);
    error = SSL_get_error(ssl, result);
    o->after_error = ERR_GET_REASON(ERR_peek_error());
    if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL)
        o->after = REFUSED;
    else
        o->after = taken ? TAKEN : WAITS;
    o->out_len = w.out_len;
    memcpy(o->out, w.out, w.out_len);
    ERR_clear_error();
}

static void
ask_with(const probe *p, outcome *o)
{
    SSL *ssl = new_ssl(p->fixed ? fixed_ctx : ctx);
    int result;

    memset(o, 0, offsetof(outcome, out));
    current = p;
    w.in = p->data;
    w.in_len = p->len;
    w.out_len = 0;
    result = DTLSv1_listen(ssl, peer);
    o->reason = ERR_GET_REASON(ERR_peek_error());
    o->action = result < 0      ? FATAL
                : result > 0    ? ACCEPT
                : w.out_len > 0 ? REPLY
                                : DROP;
    o->out_len = w.out_len;
    memcpy(o->out, w.out, w.out_len);
    ERR_clear_error();
    if (result == 1)
        accept_ssl(ssl, o);
    SSL_free(ssl);
}

void
ask_openssl(const probe *p, outcome *o)
{
    w.body = NULL;
    ask_with(p, o);
}

void
ask_openssl_all(const probe *p, const uint8_t *body, size_t len, outcome *o)
{
    w.body = body;
    w.body_len = len;
    w.body_at = get24(p->data + AT_FRAGMENT_LENGTH);
    w.seq = (uint32_t)get48(p->data + AT_RECORD_SEQ);
    ask_with(p, o);
}

/* ---- the gate ---- */

/* The SSL is the same until it has accepted: up to then it is untouched. */
void
ask_gate(const probe *p, outcome *o)
{
    dtlsl_verdict verdict = {
        .size = sizeof(verdict), .reply = o->out, .reply_cap = sizeof(o->out)};
    int32_t result;

    memset(o, 0, offsetof(outcome, out));
    current = p;
    w.in = NULL;
    w.body = NULL;
    w.out_len = 0;
    now.mono_ms += p->wait_ms;
    now.unix_ms += p->wait_ms;
    result = dtlsl_gate_listen(gate, spare, &paths[p->path], p->data, p->len,
                               &now, &verdict);
    o->leaves_errors = ERR_peek_error() != 0;
    need(w.out_len == 0, "dtlsl_gate_listen() writes nothing");
    need((result == 1) == (verdict.action == DTLSL_ACCEPT) && result >= 0,
         "dtlsl_gate_listen() returns what its verdict says");
    o->action = verdict.action == DTLSL_ACCEPT  ? ACCEPT
                : verdict.action == DTLSL_REPLY ? REPLY
                                                : DROP;
    o->reason = verdict.reason;
    o->out_len = verdict.reply_len;
    if (result != 1)
        return;
    accept_ssl(spare, o);
    SSL_free(spare);
    spare = new_ssl(ctx);
}

static void
set_address(uint8_t address[24], uint32_t ipv4, unsigned port)
{
    memset(address, 0, 24);
    if (ipv4 != 0) {
        put16(address + 10, 0xffff);
        put16(address + 12, ipv4 >> 16);
        put16(address + 14, ipv4 & 0xffff);
    }
    put16(address + 16, port);
}

static void
set_paths(void)
{
    for (int i = 0; i < PATHS; i++) {
        set_address(paths[i].peer, 0xc0000201, 40000);
        set_address(paths[i].local, 0xc6336401, 4433);
    }
    set_address(paths[PATH_PORT_0].peer, 0xc0000201, 0);
    set_address(paths[PATH_FROM_MULTICAST].peer, 0xe0000001, 40000);
    set_address(paths[PATH_FROM_NOWHERE].peer, 0, 40000);
    set_address(paths[PATH_FROM_OURSELVES].peer, 0xc6336401, 4433);
    set_address(paths[PATH_TO_MULTICAST].local, 0xe0000001, 4433);
}

void
sides_open(void)
{
    static const probe first = {.cookie_len = COOKIE_LEN};
    dtlsl__tls_options options = {.self_signed = 1};
    SSL_CTX *donor = NULL;
    char err[256] = "";

    set_paths();
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_ctrl);
    peer = BIO_ADDR_new();
    need(dtlsl__tls_ctx_new(&donor, &options, err, sizeof(err)) == DTLSL_OK,
         err);
    ctx = new_ctx(DTLS_server_method(), SSL_CTX_get0_certificate(donor),
                  SSL_CTX_get0_privatekey(donor));
    if (fixed_method() != NULL)
        fixed_ctx = new_ctx(fixed_method(), SSL_CTX_get0_certificate(donor),
                            SSL_CTX_get0_privatekey(donor));
    dtlsl__tls_ctx_free(donor);
    spare = new_ssl(ctx);
    current = &first; /* for the self-test of the strategy */
    need(dtlsl_config_new(&config) == DTLSL_OK &&
             dtlsl_config_add_cookie(config, &plugin, NULL) == DTLSL_OK &&
             dtlsl_config_set(config, "cookie", plugin.name) == DTLSL_OK,
         "a config is made");
    need(dtlsl_gate_new(&gate, config) == DTLSL_OK,
         dtlsl_config_error(config));
    dtlsl_gate_tick(gate, &now, NULL);
    ERR_clear_error();
}

void
sides_close(void)
{
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
    SSL_free(spare);
    SSL_CTX_free(ctx);
    SSL_CTX_free(fixed_ctx);
    BIO_ADDR_free(peer);
    BIO_meth_free(method);
}
