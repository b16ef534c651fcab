/* SPDX-License-Identifier: MIT
 * DTLSv1_listen() and dtlsl_gate_listen() on the same datagrams, with one
 * rule for cookies, each with an SSL and a BIO that notes what it is asked. */
#ifndef DTLSL_BOTH_H
#define DTLSL_BOTH_H

#include "client.h"
#include "record.h"
#include "test.h"
#include "tls.h"
#include <arpa/inet.h>
#include <dtlslisten/gate.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    AT_RECORD_VERSION = 1,
    AT_RECORD_SEQ = 5,
    AT_RECORD_LENGTH = 11,
    AT_MESSAGE = 13,
    AT_MESSAGE_LENGTH = 14,
    AT_MESSAGE_SEQ = 17,
    AT_OFFSET = 19,
    AT_FRAGMENT_LENGTH = 22,
    AT_BODY = 25,
    AT_SESSION_ID = AT_BODY + 34,
    AT_COOKIE = AT_SESSION_ID + 1, /* of a client without a session */
    COOKIE_LEN = 24,
    QUEUE_LEN = 4
};

typedef struct datagram {
    uint8_t data[17000];
    size_t len;
} datagram;

/* How a wire reads and writes. */
enum {
    WORKS = 0,
    BLOCKS = 1,
    BREAKS = 2
};

typedef struct wire {
    const datagram *in[QUEUE_LEN];
    size_t n_in, next;
    int read_mode, write_mode;
    int is_unknown; /* who sent a datagram */
    int writes;
    int ctrls; /* those about peers: who is it, send there */
    uint8_t out[2048];
    size_t out_len;
    size_t longest;
} wire;

typedef struct side {
    SSL *ssl;
    wire wire;
    int messages; /* calls of its msg_callback */
    int infos;    /* ... and of its info_callback */
} side;

static SSL_CTX *ctx;
static BIO_METHOD *method;
static dtlsl_config *config;
static dtlsl_gate *gate;
static side theirs, ours;
static BIO_ADDR *peer;

static dtlsl_path path;
static const dtlsl_now now = {5000000, 1795300000000};
static dtlsl_verdict verdict;
static uint8_t reply[DTLSL_REPLY_MAX];

/* Of one client, which is between them. */
static client *caller;
static datagram first, second;

/* ---- wires ---- */

static inline int
wire_read(BIO *bio, char *data, int len)
{
    wire *w = BIO_get_data(bio);
    const datagram *d;

    BIO_clear_retry_flags(bio);
    if (w->read_mode == BREAKS)
        return -1;
    if (w->next == w->n_in) {
        BIO_set_retry_read(bio);
        return -1;
    }
    d = w->in[w->next++];
    if ((size_t)len > d->len)
        len = (int)d->len;
    memcpy(data, d->data, (size_t)len);
    return len;
}

static inline int
wire_write(BIO *bio, const char *data, int len)
{
    wire *w = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (w->write_mode == BLOCKS)
        BIO_set_retry_write(bio);
    if (w->write_mode != WORKS)
        return -1;
    ck_assert_int_le(len, (int)sizeof(w->out));
    /* The first one of a flight has its ServerHello. */
    if (w->writes++ == 0) {
        memcpy(w->out, data, (size_t)len);
        w->out_len = (size_t)len;
    }
    if ((size_t)len > w->longest)
        w->longest = (size_t)len;
    return len;
}

static inline long
wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    wire *w = BIO_get_data(bio);
    struct in_addr address = {htonl(0xc0000201)};

    (void)number;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_GET_PEER:
        w->ctrls++;
        if (w->is_unknown)
            return 0;
        return BIO_ADDR_rawmake(pointer, AF_INET, &address, sizeof(address),
                                htons(40000));
    case BIO_CTRL_DGRAM_SET_PEER:
        w->ctrls++;
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
        return 1232;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
        return 28;
    default:
        return 0;
    }
}

static inline void
wire_put(wire *w, const datagram *d)
{
    if (w->next == w->n_in)
        w->next = w->n_in = 0;
    ck_assert_uint_lt(w->n_in, QUEUE_LEN);
    w->in[w->n_in++] = d;
}

/* Forgets what was written. */
static inline void
wire_forget(wire *w)
{
    w->writes = 0;
    w->out_len = w->longest = 0;
}

/* ---- cookies: as callbacks of OpenSSL and as a strategy ---- */

/* calls of OpenSSL's callbacks */
static int mints, verifies;
/* how both mint: not at all, with a negative answer, of that length */
static int mint_fails, is_negative;
static unsigned mint_len = COOKIE_LEN;
/* the strategy is being tried */
static int self_test;
static size_t seen_core, seen_tail;

static inline uint8_t
cookie_byte(const dtlsl_cookie_input *in, size_t i)
{
    uint32_t hash = (uint32_t)i + 1;

    for (size_t j = 0; self_test && j < sizeof(in->peer); j++)
        hash = (hash ^ in->peer[j]) * 0x01000193;
    for (size_t j = 0; self_test && j < in->core_len; j++)
        hash = (hash ^ in->core[j]) * 0x01000193;
    return (uint8_t)(hash ^ hash >> 16);
}

static inline int
cookie_is_good(const dtlsl_cookie_input *in, const uint8_t *cookie, size_t len)
{
    size_t i = 0;

    while (i < len && i < COOKIE_LEN && cookie[i] == cookie_byte(in, i))
        i++;
    return i == COOKIE_LEN && len == COOKIE_LEN;
}

static inline int
on_generate(SSL *ssl, unsigned char *cookie, unsigned *len)
{
    (void)ssl;
    mints++;
    for (unsigned i = 0; i < mint_len && i < DTLSL_COOKIE_MAX; i++)
        cookie[i] = cookie_byte(NULL, i);
    *len = mint_len;
    return is_negative ? -1 : !mint_fails;
}

static inline int
on_verify(SSL *ssl, const unsigned char *cookie, unsigned len)
{
    (void)ssl;
    verifies++;
    return is_negative ? -1 : cookie_is_good(NULL, cookie, len);
}

static inline int32_t
plugin_open(const dtlsl_cookie_host *host, void *user,
            const dtlsl_cookie_option *options, size_t n_options, void **state,
            char *err, size_t err_len)
{
    (void)host, (void)options, (void)n_options, (void)err, (void)err_len;
    *state = user;
    return DTLSL_OK;
}

static inline void
plugin_close(void *state)
{
    (void)state;
}

static inline int32_t
plugin_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
            size_t cap)
{
    (void)state;
    if (mint_fails || is_negative)
        return -1;
    seen_core = in->core_len;
    seen_tail = in->tail_len;
    for (size_t i = 0; i < mint_len && i < cap; i++)
        cookie[i] = cookie_byte(in, i);
    return (int32_t)mint_len;
}

static inline int32_t
plugin_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
              size_t len, dtlsl_cookie_result *out)
{
    (void)state, (void)out;
    if (is_negative)
        return -1;
    return cookie_is_good(in, cookie, len) ? DTLSL_COOKIE_VALID
                                           : DTLSL_COOKIE_MISMATCH;
}

static const dtlsl_cookie_plugin plugin = {
    .size = sizeof(plugin),
    .abi = DTLSL_COOKIE_ABI,
    .name = "both",
    .max_cookie_len = DTLSL_COOKIE_MAX,
    .open = plugin_open,
    .close = plugin_close,
    .mint = plugin_mint,
    .verify = plugin_verify,
};

/* ---- the two ---- */

static inline void
on_message(int writing, int version, int type, const void *data, size_t len,
           SSL *ssl, void *counted)
{
    (void)writing, (void)version, (void)type, (void)data, (void)len, (void)ssl;
    ++*(int *)counted;
}

static inline void
side_open(side *s, SSL_CTX *with)
{
    BIO *bio = BIO_new(method);

    memset(s, 0, sizeof(*s));
    s->ssl = SSL_new(with);
    ck_assert_ptr_nonnull(s->ssl);
    BIO_set_data(bio, &s->wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_msg_callback(s->ssl, on_message);
    SSL_set_msg_callback_arg(s->ssl, &s->messages);
}

/* Both anew, of another SSL_CTX. */
static inline void
both_renew(SSL_CTX *with)
{
    SSL_free(theirs.ssl);
    SSL_free(ours.ssl);
    side_open(&theirs, with);
    side_open(&ours, with);
    ERR_clear_error();
}

/* DTLSv1_listen() with the datagrams that were put on its wire. */
static inline int
listen_theirs(void)
{
    wire_forget(&theirs.wire);
    return DTLSv1_listen(theirs.ssl, peer);
}

static inline int32_t
listen_ours(const datagram *d)
{
    wire_forget(&ours.wire);
    return dtlsl_gate_listen(gate, ours.ssl, &path, d->data, d->len, &now,
                             &verdict);
}

static inline void
caller_gives(datagram *d)
{
    packet p;

    ck_assert_int_eq(client_take(caller, &p), 1);
    ck_assert_uint_le(p.len, sizeof(d->data));
    memcpy(d->data, p.data, p.len);
    d->len = p.len;
    packet_free(&p);
}

/* A client's first ClientHello and, after our answer, its second. */
static inline void
call(const client_options *options)
{
    client_free(caller);
    caller = client_new(options);
    client_step(caller);
    caller_gives(&first);
    client_discard(caller);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    client_feed(caller, reply, verdict.reply_len);
    caller_gives(&second);
}

static inline void
gate_open(void)
{
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_add_cookie(config, &plugin, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "cookie", "both"), DTLSL_OK);
    self_test = 1;
    ck_assert_int_eq(dtlsl_gate_new(&gate, config), DTLSL_OK);
    self_test = 0;
    ck_assert_int_eq(dtlsl_gate_tick(gate, &now, NULL), DTLSL_OK);
    verdict.size = sizeof(verdict);
    verdict.reply = reply;
    verdict.reply_cap = sizeof(reply);
    memset(&path, 0, sizeof(path));
    memset(path.peer + 10, 0xff, 2);
    memset(path.peer + 12, 0x0a, 6);
}

static inline void
both_open(void)
{
    dtlsl__tls_options options = {.self_signed = 1};
    char err[256] = "";

    mints = verifies = mint_fails = is_negative = 0;
    mint_len = COOKIE_LEN;
    ck_assert_msg(dtlsl__tls_ctx_new(&ctx, &options, err, sizeof(err)) ==
                      DTLSL_OK,
                  "%s", err);
    SSL_CTX_set_cookie_generate_cb(ctx, on_generate);
    SSL_CTX_set_cookie_verify_cb(ctx, on_verify);
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_ctrl);
    peer = BIO_ADDR_new();
    gate_open();
    both_renew(ctx);
    call(NULL);
    ERR_clear_error();
}

static inline void
both_close(void)
{
    client_free(caller);
    caller = NULL;
    SSL_free(theirs.ssl);
    SSL_free(ours.ssl);
    theirs.ssl = ours.ssl = NULL;
    BIO_ADDR_free(peer);
    BIO_meth_free(method);
    dtlsl__tls_ctx_free(ctx);
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
}

/* ---- what SSL_accept() then does ---- */

enum {
    GOES_ON = 0, /* its first record is a ServerHello */
    WAITS = 1,   /* nothing written, wants to read */
    REFUSES = 2  /* over */
};

static inline int
accept_on(side *s)
{
    int result, error;

    ERR_clear_error();
    wire_forget(&s->wire);
    result = SSL_accept(s->ssl);
    ck_assert_int_le(result, 0);
    error = SSL_get_error(s->ssl, result);
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ)
        return REFUSES;
    if (s->wire.writes == 0)
        return WAITS;
    ck_assert_int_eq(s->wire.out[0], DTLSL__HANDSHAKE);
    ck_assert_int_eq(s->wire.out[AT_MESSAGE], 2);
    return GOES_ON;
}

#endif
