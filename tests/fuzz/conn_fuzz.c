/* SPDX-License-Identifier: MIT
 * Fuzzes one connection: a handshake with a client in this process, up to
 * where the first byte of the input says, then the input's orders: junk,
 * records that look right, the client's own ones, as they are or damaged,
 * records that are encrypted rightly, lost time, data the other way. The
 * handshake is a full one, or resumes a session by its ticket. */
#include "../client.h"
#include "conn.h"
#include "conn_fuzz_seal.h"
#include "fuzz.h"
#include "hello.h"
#include "record.h"
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "conn";

enum {
    MTU = 1232,
    SESSION_SECONDS = 100000000,
    HELLO_MTU = 256,
    QUEUE = 64,
    PLAIN = DTLSL__RECORD_MAX + 64,
    LONGEST_DATA = 1100,
    ORDERS_MAX = 48,
    /* One record is answered with a flight at the most. */
    ANSWER_MAX = 4096,
    ANSWER_DATAGRAMS_MAX = 8,
    STEPS_MAX = 16,
    EARLY_MAX = 4,
    /* Fewer time-outs than end a handshake. */
    WAITS_MAX = 8
};

/* The first byte. */
enum {
    STAGE = 0x03, /* how far the handshake goes before the orders */
    SUITE = 0x1c, /* which of suites, shifted by 2 */
    OWN_ERROR = 0x20,
    LOSSY = 0x40, /* every other datagram of the connection finds no room */
    RESUMED = 0x80
};

enum {
    ESTABLISHED = 0,
    FLIGHT_WRITTEN = 1,
    HELLO_INCOMPLETE = 2
};

typedef struct suite {
    const char *ciphers;
    int psk;
    int asks;  /* for the client's certificate */
    int seals; /* seal() can do it */
    SSL_CTX *ctx;
    SSL_SESSION *session; /* with a ticket */
} suite;

static suite suites[] = {
    {"PSK-AES128-GCM-SHA256", 1, 0, 1, NULL, NULL},
    {"PSK-CHACHA20-POLY1305", 1, 0, 0, NULL, NULL},
    {"PSK-AES128-CCM8:@SECLEVEL=0", 1, 0, 0, NULL, NULL},
    {"PSK-AES128-CBC-SHA256", 1, 0, 0, NULL, NULL},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", 0, 1, 1, NULL, NULL},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", 0, 0, 1, NULL, NULL},
};

enum {
    N_SUITES = sizeof(suites) / sizeof(suites[0])
};

typedef struct datagram {
    uint8_t *data;
    size_t len;
} datagram;

/* What the client wrote and may be delivered once. */
typedef struct message {
    uint8_t *data;
    size_t len;
    int delivered;
} text;

static const uint8_t psk[16] = {1, 2, 3};
static identity server_identity, client_identity;
static SSL_CTX *client_ctx, *resuming_ctx;

static struct {
    const suite *suite;
    dtlsl__conn *conn;
    client *client;
    dtlsl__counters counters;
    uint8_t scratch[DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX];
    uint8_t plain[PLAIN];
    datagram held[QUEUE]; /* from the client, not delivered yet */
    size_t n_held;
    datagram out[QUEUE]; /* from the connection, not delivered yet */
    size_t n_out;
    text written[ORDERS_MAX + QUEUE];
    size_t n_written;
    size_t n_data;    /* datagrams that the connection delivered */
    size_t out_bytes; /* ever */
    size_t out_count;
    int own_error, lossy, resumed, waits;
    int early; /* records taken before their keys */
    uint64_t clock;
    int ended;
    int forged;  /* a handshake record that is not the client's was taken */
    int unusual; /* authentic, but nothing that an honest client sends */
} w;

/* ---- the application's error queue ---- */

static void
enter(void)
{
    ERR_clear_error();
    if (w.own_error)
        ERR_raise(ERR_LIB_USER, 7);
}

static void
leave(void)
{
    if (w.own_error) {
        unsigned long code = ERR_get_error();

        fuzz_check(ERR_GET_LIB(code) == ERR_LIB_USER &&
                   ERR_GET_REASON(code) == 7);
    }
    fuzz_check(ERR_peek_error() == 0);
}

/* ---- datagrams between the two ---- */

static uint8_t *
reserve(void *ctx, size_t len)
{
    (void)ctx;
    fuzz_check(len > 0 && len <= MTU);
    w.out_bytes += len;
    if (w.out_count++ % 2 == 1 && w.lossy)
        return NULL;
    fuzz_check(w.n_out < QUEUE);
    w.out[w.n_out].data = malloc(len);
    fuzz_check(w.out[w.n_out].data != NULL);
    w.out[w.n_out].len = len;
    return w.out[w.n_out++].data;
}

static void
hold(void)
{
    packet p;

    while (client_take(w.client, &p)) {
        if (w.n_held == QUEUE) {
            packet_free(&p);
            continue;
        }
        w.held[w.n_held].data = p.data;
        w.held[w.n_held++].len = p.len;
    }
}

static datagram
next_held(void)
{
    datagram first = w.held[0];

    fuzz_check(w.n_held > 0);
    memmove(w.held, w.held + 1, --w.n_held * sizeof(w.held[0]));
    return first;
}

/* The client gets what the connection sent. */
static void
flush(void)
{
    for (size_t i = 0; i < w.n_out; i++) {
        client_feed(w.client, w.out[i].data, w.out[i].len);
        free(w.out[i].data);
    }
    w.n_out = 0;
    hold();
}

static void
note_written(const uint8_t *data, size_t len)
{
    text *m = &w.written[w.n_written++];

    fuzz_check(w.n_written <= sizeof(w.written) / sizeof(w.written[0]));
    m->data = fuzz_copy(data, len);
    m->len = len;
    m->delivered = 0;
}

/* ---- the connection at work ---- */

static void
take_data(size_t len)
{
    uint8_t *copy = fuzz_copy(w.plain, len); /* is all of it defined? */

    w.n_data++;
    for (size_t i = 0; i < w.n_written; i++) {
        text *m = &w.written[i];

        if (m->delivered || m->len != len || memcmp(m->data, copy, len) != 0)
            continue;
        m->delivered = 1;
        free(copy);
        return;
    }
    fuzz_fail(__FILE__, __LINE__, "the client wrote this");
}

static void
take_end(void)
{
    int was_open = dtlsl__conn_is_open(w.conn);

    fuzz_check(w.unusual || (!was_open && w.forged));
    fuzz_check(dtlsl__conn_text(w.conn)[0] != '\0');
    fuzz_check(dtlsl__conn_status(w.conn) > 0);
    w.ended = 1;
    if (dtlsl__conn_status(w.conn) == DTLSL_CLOSE_PEER) {
        enter();
        dtlsl__conn_close_notify(w.conn);
        leave();
    }
}

static void
step(void)
{
    int32_t found = DTLSL__STEP_DATA;
    size_t len;

    for (int i = 0; found != DTLSL__STEP_DONE && !w.ended; i++) {
        fuzz_check(i < STEPS_MAX);
        enter();
        found = dtlsl__conn_step(w.conn, w.plain, PLAIN, &len);
        leave();
        fuzz_check(len <= PLAIN && (len == 0 || found == DTLSL__STEP_DATA));
        if (found == DTLSL__STEP_DATA)
            take_data(len);
        if (found == DTLSL__STEP_END)
            take_end();
    }
}

/* May a client have sent this behind its second ClientHello? */
static int
may_be_genuine(const dtlsl__message *m, int hello_incomplete)
{
    int asks = w.suite->asks;

    if (m->offset + m->fragment_len > m->length)
        return 0;
    if (hello_incomplete)
        return m->type == DTLSL__CLIENT_HELLO && m->seq == 1 &&
               m->length <= 16384;
    if (SSL_session_reused(dtlsl__conn_ssl(w.conn)))
        return 0;
    switch (m->type) {
    case DTLSL__CLIENT_KEY_EXCHANGE:
        return m->seq == 2 || (asks && m->seq == 3);
    case DTLSL__CERTIFICATE:
        return asks && m->seq == 2;
    case DTLSL__CERTIFICATE_VERIFY:
        return asks && m->seq == 4;
    default:
        return 0;
    }
}

/* OpenSSL is shown nothing else. */
static void
check_taken(const dtlsl__record *record, int was_open, int hello_incomplete)
{
    const uint8_t *data = record->body;
    size_t len = record->len;
    dtlsl__message m;
    int32_t n;

    fuzz_check(record->version >> 8 == 0xfe && record->epoch <= 1);
    if (record->epoch == 1) {
        fuzz_check(len >= 16 && !hello_incomplete);
        fuzz_check(was_open ||
                   (dtlsl__conn_change_seen(w.conn) && record->type == 22) ||
                   w.early++ < EARLY_MAX);
        fuzz_check(record->type >= 20 && record->type <= 23);
        return;
    }
    fuzz_check(!was_open && len > 0);
    if (record->type == DTLSL__CHANGE_CIPHER_SPEC) {
        fuzz_check(len == 1 && data[0] == 1 && !hello_incomplete);
        return;
    }
    fuzz_check(record->type == DTLSL__HANDSHAKE);
    for (; len > 0; data += n, len -= (size_t)n) {
        n = dtlsl__message_read(&m, data, len);
        fuzz_check(n > 0 && may_be_genuine(&m, hello_incomplete));
    }
}

static void
feed(const dtlsl__record *record, int authentic)
{
    size_t bytes = w.out_bytes, count = w.out_count, data = w.n_data;
    int was_open = dtlsl__conn_is_open(w.conn);
    int incomplete = dtlsl__conn_hello_incomplete(w.conn);
    int32_t taken;

    enter();
    taken = dtlsl__conn_feed(w.conn, record);
    leave();
    fuzz_check(taken == 0 || (taken == 1 && !w.ended));
    if (taken)
        check_taken(record, was_open, incomplete);
    if (taken && !authentic && record->epoch == 0 &&
        record->type == DTLSL__HANDSHAKE)
        w.forged = 1;
    if (taken)
        step();
    fuzz_check(w.out_bytes - bytes <= ANSWER_MAX);
    fuzz_check(w.out_count - count <= ANSWER_DATAGRAMS_MAX);
    if (was_open && !authentic)
        fuzz_check(w.out_count == count && w.n_data == data);
}

/* As the engine cuts it. */
static void
deliver(const uint8_t *data, size_t len, int authentic)
{
    uint8_t *copy = fuzz_copy(data, len);
    dtlsl__record record;
    size_t at = 0;
    int32_t n;

    while ((n = dtlsl__record_read(&record, copy + at, len - at)) > 0) {
        feed(&record, authentic);
        at += (size_t)n;
    }
    free(copy);
    flush();
}

static void
deliver_held(void)
{
    datagram next = next_held();

    deliver(next.data, next.len, 1);
    free(next.data);
}

/* ---- the handshake ---- */

static unsigned int
find_psk(SSL *ssl, const char *identity_text, unsigned char *key,
         unsigned int max)
{
    (void)ssl;
    if (strcmp(identity_text, "device") != 0 || max < sizeof(psk))
        return 0;
    memcpy(key, psk, sizeof(psk));
    return sizeof(psk);
}

static int
accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static SSL_CTX *
server_ctx(const suite *s)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());

    fuzz_check(ctx != NULL);
    fuzz_check(SSL_CTX_set_cipher_list(ctx, s->ciphers) == 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    fuzz_check(SSL_CTX_set_session_id_context(ctx, (const uint8_t *)fuzz_name,
                                              4) == 1);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    if (s->psk) {
        SSL_CTX_set_psk_server_callback(ctx, find_psk);
        return ctx;
    }
    fuzz_check(SSL_CTX_use_certificate(ctx, server_identity.cert) == 1);
    fuzz_check(SSL_CTX_use_PrivateKey(ctx, server_identity.key) == 1);
    if (s->asks)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    return ctx;
}

/* With dates of its own each run would sign something else. */
static void
make_identity(identity *id, const char *name)
{
    identity_make(id, name);
    ASN1_TIME_set_string(X509_getm_notBefore(id->cert), "20260101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(id->cert), "20460101000000Z");
    fuzz_check(X509_sign(id->cert, id->key, EVP_sha256()) > 0);
}

/* Once per process; every run of it makes the same ones. */
static void
make_contexts(void)
{
    fuzz_seed(0);
    make_identity(&server_identity, "server");
    make_identity(&client_identity, "client");
    client_ctx = SSL_CTX_new(DTLS_client_method());
    resuming_ctx = SSL_CTX_new(DTLS_client_method());
    fuzz_check(client_ctx != NULL && resuming_ctx != NULL);
    SSL_CTX_set_options(client_ctx, SSL_OP_NO_TICKET);
    for (size_t i = 0; i < N_SUITES; i++)
        suites[i].ctx = server_ctx(&suites[i]);
}

/* A copy: a handshake that fails spoils its session. */
static SSL_SESSION *
copy_session(void)
{
    SSL_SESSION *copy =
        w.suite->session == NULL ? NULL : SSL_SESSION_dup(w.suite->session);

    fuzz_check((copy == NULL) == (w.suite->session == NULL));
    return copy;
}

static void
start_client(int stage)
{
    client_options options = {.ctx = w.resumed ? resuming_ctx : client_ctx,
                              .ciphers = w.suite->ciphers,
                              .session = w.resumed ? copy_session() : NULL};

    if (w.suite->psk) {
        options.psk_identity = "device";
        options.psk = psk;
        options.psk_len = sizeof(psk);
    }
    if (w.suite->asks)
        options.identity = &client_identity;
    if (stage == HELLO_INCOMPLETE) {
        options.mtu = HELLO_MTU;
        options.alpn_padding = 300;
    }
    w.client = client_new(&options);
    SSL_SESSION_free(options.session);
    client_step(w.client);
    hold();
}

/* The first fragment of the second ClientHello makes the connection. */
static void
start_conn(void)
{
    static const uint8_t cookie[16] = {9};
    const dtlsl__conn_host host = {.reserve = reserve,
                                   .counters = &w.counters,
                                   .scratch = w.scratch,
                                   .id = 1};
    uint8_t reply[DTLSL_REPLY_MAX];
    dtlsl__hello hello;
    datagram d = next_held();
    int32_t err;
    size_t len;

    fuzz_check(dtlsl__hello_read(&hello, d.data, d.len) == 0);
    len = dtlsl__hello_verify_request(&hello, cookie, sizeof(cookie), reply,
                                      sizeof(reply));
    free(d.data);
    while (w.n_held > 0)
        free(next_held().data);
    client_feed(w.client, reply, len);
    hold();
    d = next_held();
    enter();
    err =
        dtlsl__conn_new(&w.conn, &host, w.suite->ctx, MTU, 28, d.data, d.len);
    leave();
    fuzz_check(err == DTLSL_OK);
    free(d.data);
    flush();
}

static void
wait(unsigned ms)
{
    int32_t err = DTLSL_OK;

    client_clock(w.clock += ms);
    if (!w.ended && dtlsl__conn_timeout(w.conn) == 0) {
        enter();
        err = dtlsl__conn_retransmit(w.conn);
        leave();
    }
    fuzz_check(err == DTLSL_OK);
    flush();
    client_timer(w.client);
    hold();
}

/* Delivers what the client has, until it has nothing more to say. */
static void
settle(void)
{
    for (int i = 0; w.n_held > 0; i++) {
        fuzz_check(i < 2 * QUEUE);
        deliver_held();
    }
}

static void
begin(uint8_t first)
{
    int stage = first & STAGE;

    memset(&w, 0, sizeof(w));
    w.suite = &suites[((first & SUITE) >> 2) % N_SUITES];
    w.resumed = (first & RESUMED) != 0;
    w.clock = CLIENT_CLOCK_START;
    client_clock(w.clock);
    start_client(stage);
    start_conn();
    fuzz_check(dtlsl__conn_hello_incomplete(w.conn) ==
               (stage == HELLO_INCOMPLETE));
    fuzz_check(
        SSL_session_reused(dtlsl__conn_ssl(w.conn)) ==
        (stage != HELLO_INCOMPLETE && w.resumed && w.suite->session != NULL));
    if (stage == FLIGHT_WRITTEN || stage == HELLO_INCOMPLETE) {
        w.lossy = (first & LOSSY) != 0;
        w.own_error = (first & OWN_ERROR) != 0;
        return;
    }
    settle();
    fuzz_check(dtlsl__conn_is_open(w.conn) && client_is_open(w.client));
    w.lossy = (first & LOSSY) != 0;
    w.own_error = (first & OWN_ERROR) != 0;
}

static void
finish(void)
{
    client_free(w.client);
    enter();
    dtlsl__conn_free(w.conn);
    leave();
    for (size_t i = 0; i < w.n_held; i++)
        free(w.held[i].data);
    for (size_t i = 0; i < w.n_out; i++)
        free(w.out[i].data);
    for (size_t i = 0; i < w.n_written; i++)
        free(w.written[i].data);
    ERR_clear_error();
}

/* A first handshake, for its ticket. */
static void
make_session(suite *s)
{
    fuzz_seed(0);
    begin((uint8_t)(RESUMED | (s - suites) << 2));
    s->session = SSL_get1_session(client_ssl(w.client));
    fuzz_check(SSL_SESSION_has_ticket(s->session));
    finish();
}

/* ---- orders ---- */

static int
both_open(void)
{
    return dtlsl__conn_is_open(w.conn) && !w.ended &&
           client_is_open(w.client) && !client_is_dead(w.client) &&
           !client_is_closed(w.client);
}

static void
junk(fuzz_input *in)
{
    size_t len = fuzz_byte(in);
    const uint8_t *data = fuzz_bytes(in, &len);

    deliver(data, len, 0);
}

/* A record with a right header: type, epoch, number, body. */
static void
shaped_record(fuzz_input *in)
{
    uint8_t record[DTLSL__RECORD_HEADER + 255 * 65];
    uint8_t type = fuzz_byte(in), shape = fuzz_byte(in);
    size_t len = fuzz_byte(in), times = shape & 0x40 ? 65 : 1;
    const uint8_t *body = fuzz_bytes(in, &len);

    record[0] = type;
    dtlsl__put16(record + 1, shape & 0x20 ? 0xfeff : 0xfefd);
    dtlsl__put16(record + 3, shape & 3);
    dtlsl__put48(record + 5, shape & 0x80 ? (UINT64_C(1) << 48) - 1
                                          : UINT64_C(1) << (shape >> 2 & 7));
    dtlsl__put16(record + 11, (uint32_t)(len * times));
    for (size_t i = 0; i < times && len > 0; i++)
        memcpy(record + DTLSL__RECORD_HEADER + i * len, body, len);
    deliver(record, DTLSL__RECORD_HEADER + len * times, 0);
}

/* A handshake record of one message: type, message_seq, lengths, body. */
static void
shaped_message(fuzz_input *in)
{
    uint8_t record[DTLSL__RECORD_HEADER + DTLSL__MESSAGE_HEADER + 255];
    uint8_t *message = record + DTLSL__RECORD_HEADER;
    uint8_t type = fuzz_byte(in), seq = fuzz_byte(in);
    uint32_t more = fuzz_byte(in), offset = fuzz_byte(in);
    size_t len = fuzz_byte(in);
    const uint8_t *body = fuzz_bytes(in, &len);

    record[0] = DTLSL__HANDSHAKE;
    dtlsl__put16(record + 1, 0xfefd);
    dtlsl__put16(record + 3, 0);
    dtlsl__put48(record + 5, 2);
    dtlsl__put16(record + 11, (uint32_t)len + DTLSL__MESSAGE_HEADER);
    message[0] = type;
    dtlsl__put24(message + 1, (uint32_t)len + offset + more * more);
    dtlsl__put16(message + 4, seq);
    dtlsl__put24(message + 6, offset);
    dtlsl__put24(message + 9, (uint32_t)len);
    if (len > 0)
        memcpy(message + DTLSL__MESSAGE_HEADER, body, len);
    deliver(record, DTLSL__RECORD_HEADER + DTLSL__MESSAGE_HEADER + len, 0);
}

/* The client's next datagram: of its handshake, or with these bytes. */
static int
client_datagram(fuzz_input *in, datagram *d)
{
    size_t len = fuzz_byte(in), times = 1;
    uint8_t bytes[LONGEST_DATA];
    const uint8_t *data = fuzz_bytes(in, &len);

    if (w.n_held > 0) {
        *d = next_held();
        return 1;
    }
    if (!client_is_open(w.client) || client_is_dead(w.client) ||
        client_is_closed(w.client) || len == 0)
        return 0;
    if (len > 128)
        times = 4;
    for (size_t i = 0; i < times; i++)
        memcpy(bytes + i * len, data, len);
    if (client_write(w.client, bytes, len * times) <= 0)
        return 0;
    hold();
    fuzz_check(w.n_held == 1);
    *d = next_held();
    note_written(bytes, len * times);
    return 1;
}

static void
genuine(fuzz_input *in)
{
    size_t before = w.n_data, written = w.n_written;
    int open = both_open();
    datagram d;

    if (!client_datagram(in, &d))
        return;
    deliver(d.data, d.len, 1);
    if (open && w.n_written > written && !w.unusual)
        fuzz_check(w.n_data == before + 1);
    /* A copy; in the handshake it does no harm either. */
    deliver(d.data, d.len, !dtlsl__conn_is_open(w.conn));
    free(d.data);
}

/* The datagram with one byte changed, cut or not, and then itself. */
static void
damaged(fuzz_input *in)
{
    size_t before = w.n_data, written = w.n_written, cut, at;
    int open = both_open();
    uint8_t change, *copy;
    datagram d;

    if (!client_datagram(in, &d))
        return;
    at = fuzz_short(in) % d.len;
    change = fuzz_byte(in);
    cut = fuzz_byte(in) % d.len;
    copy = fuzz_copy(d.data, d.len);
    copy[at] ^= change == 0 ? 0x80 : change;
    if (cut > DTLSL__RECORD_HEADER) {
        dtlsl__put16(copy + 11, (uint32_t)(cut - DTLSL__RECORD_HEADER));
        deliver(copy, cut, 0);
    } else {
        deliver(copy, d.len, 0);
    }
    deliver(d.data, d.len, 1);
    if (open && w.n_written > written && !w.unusual)
        fuzz_check(w.n_data == before + 1);
    free(copy);
    free(d.data);
}

/* A record of any type and content that authenticates: it takes the place of
 * one of the client's, so that the numbers stay in step. */
static void
sealed(fuzz_input *in)
{
    uint8_t type = fuzz_byte(in), shape = fuzz_byte(in);
    size_t len = fuzz_byte(in), times = shape & 1 ? 64 : 1, sealed_len;
    const uint8_t *data = fuzz_bytes(in, &len);
    uint8_t *plain, *record;
    datagram d;

    if (!both_open() || !w.suite->seals || client_write(w.client, "x", 1) <= 0)
        return;
    hold();
    d = w.held[--w.n_held];
    plain = malloc(len * times + 1);
    record = malloc(len * times + SEAL_OVERHEAD);
    fuzz_check(plain != NULL && record != NULL);
    for (size_t i = 0; i < times && len > 0; i++)
        memcpy(plain + i * len, data, len);
    memcpy(record, d.data, DTLSL__RECORD_HEADER);
    record[0] = type;
    sealed_len = seal(client_ssl(w.client), record, plain, len * times);
    if (type != DTLSL__APPLICATION_DATA || len * times > DTLSL__RECORD_MAX)
        w.unusual = 1;
    else
        note_written(plain, len * times);
    deliver(record, sealed_len, 1);
    free(d.data);
    free(record);
    free(plain);
}

static void
send_back(fuzz_input *in)
{
    static const uint8_t zeros[4096];
    size_t len = fuzz_byte(in) * 8U, received, got;
    size_t count = w.out_count;
    int32_t sent, mtu = dtlsl__conn_mtu(w.conn);
    int open = both_open();

    enter();
    sent = dtlsl__conn_send(w.conn, zeros, len);
    leave();
    fuzz_check(w.out_count <= count + 1);
    if (!dtlsl__conn_is_open(w.conn) || w.ended) {
        fuzz_check(sent == DTLSL_ERR_STATE);
        return;
    }
    fuzz_check(mtu > 0 && mtu < MTU);
    fuzz_check((sent == DTLSL_ERR_TOOBIG) == (len > (size_t)mtu));
    received = client_received(w.client);
    flush();
    if (!open || w.unusual || w.lossy || len == 0 || len > (size_t)mtu)
        return;
    fuzz_check(sent == (int32_t)len);
    fuzz_check(client_received(w.client) == received + 1);
    client_last(w.client, &got);
    fuzz_check(got == len);
}

static void
pass_time(fuzz_input *in)
{
    unsigned ms = fuzz_byte(in) * 100U;

    if (w.waits++ < WAITS_MAX)
        wait(ms);
}

/* What an honest client may send behind its Finished, besides data. */
static void
control(fuzz_input *in)
{
    if (!both_open())
        return;
    w.unusual = 1;
    if (fuzz_byte(in) & 1) {
        SSL_renegotiate(client_ssl(w.client));
        SSL_do_handshake(client_ssl(w.client));
        ERR_clear_error();
    } else {
        client_shutdown(w.client);
    }
    hold();
    settle();
}

/* The held datagrams in another order, or one lost. */
static void
disorder(fuzz_input *in)
{
    uint8_t how = fuzz_byte(in);
    datagram first;

    if (w.n_held < 2)
        return;
    first = next_held();
    if (how & 1) {
        free(first.data);
    } else {
        memmove(w.held + 1, w.held, w.n_held * sizeof(w.held[0]));
        w.held[0] = w.held[1];
        w.held[1] = first;
        w.n_held++;
    }
}

static void
obey(fuzz_input *in)
{
    static void (*const orders[])(fuzz_input *) = {
        junk,   shaped_record, shaped_message, genuine,  damaged,
        sealed, send_back,     pass_time,      disorder, control};

    for (int i = 0; i < ORDERS_MAX && in->len > 0; i++)
        orders[fuzz_byte(in) % (sizeof(orders) / sizeof(orders[0]))](in);
}

/* Whatever a stranger did, an honest client gets through. */
static void
check_alive(void)
{
    fuzz_input abc = {(const uint8_t *)"\3abc", 4};
    fuzz_input eight = {(const uint8_t *)"\10", 1};

    if (w.forged || w.unusual)
        return;
    for (int i = 0; i < 3 && !both_open(); i++) {
        settle();
        wait(20000);
    }
    settle();
    if (w.lossy)
        return;
    fuzz_check(both_open());
    genuine(&abc);
    send_back(&eight);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_input in = {data, len};

    if (client_ctx == NULL) {
        make_contexts();
        for (size_t i = 0; i < N_SUITES; i++)
            make_session(&suites[i]);
    }
    fuzz_seed(1);
    begin(fuzz_byte(&in));
    obey(&in);
    check_alive();
    finish();
    return 0;
}
