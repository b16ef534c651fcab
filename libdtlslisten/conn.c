/* SPDX-License-Identifier: MIT
 * One verified peer on OpenSSL. Until Finished the SSL sees only records that
 * can be genuine: OpenSSL moves its replay window for any plaintext record,
 * and many a spoofed one would end the handshake. */
#include "conn.h"
#include "tls.h"
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
    EARLY_RECORDS = 4,       /* of epoch 1 before their time */
    MIN_PROTECTED = 16,      /* shortest AEAD record: ChaCha20, CCM8 */
    MIN_NONCED = 24,         /* with an explicit nonce: GCM, CCM */
    MAX_KEY_EXCHANGE = 2048, /* OpenSSL's own; an ffdhe8192 one has 1026 */
    MAX_VERIFY = 2304,       /* one of RSA with 16384 bits has 2052 */
    MAX_HELLO = 16384,
    RECORD_OVERHEAD = 128,
    TEXT_MAX = 160
};

struct dtlsl__conn {
    SSL *ssl;
    dtlsl__tls_io io;
    dtlsl__conn_host host;
    uint64_t hello_seq; /* record number of the accepted ClientHello */
    uint32_t hello_len; /* ... and its length, of all fragments together */
    uint64_t in_seq;    /* last number given to an inbound epoch-0 record */
    uint64_t out_delta; /* added to outbound epoch-0 record numbers */
    uint8_t out_known;  /* out_delta is set: something was written */
    uint8_t open;
    uint8_t over;
    uint8_t reading; /* plaintext may be waiting in the SSL */
    uint8_t bare;    /* its buffers were given back */
    uint8_t progressed;
    uint8_t early; /* epoch-1 records taken before ChangeCipherSpec, or before
                    * Finished if of another type */
    uint8_t alert; /* description of the last plaintext alert */
    uint8_t alerted;
    uint8_t min_protected; /* what is shorter ends the SSL: CVE-2026-75806 */
    int32_t status;
    char *text; /* why it is over, or NULL */
};

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int conn_index = -1;

static void
make_index(void)
{
    conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* libssl 3.2 to 4.0 numbers the ServerHello's record 1 where RFC 6347 section
 * 4.2.1 wants the number of the ClientHello (openssl issue 32063), and clients
 * drop a number that they saw on the HelloVerifyRequest. Elsewhere the
 * difference is zero. */
static void
renumber_output(dtlsl__conn *conn, uint8_t *datagram, size_t len)
{
    dtlsl__record record;
    int32_t n;

    for (; (n = dtlsl__record_read(&record, datagram, len)) > 0;
         datagram += n, len -= (size_t)n) {
        if (record.epoch != 0)
            continue;
        dtlsl__put48(datagram + 5, record.seq + conn->out_delta);
    }
}

static void
write_records(dtlsl__conn *conn, const uint8_t *data, size_t len)
{
    uint8_t *room = conn->host.reserve(conn->host.ctx, len);

    if (room == NULL) {
        conn->host.counters->n[DTLSL__N_SEND_DROPPED]++;
        return;
    }
    memcpy(room, data, len);
    renumber_output(conn, room, len);
}

/* Bytes of the records that fill one datagram. */
static size_t
fill_datagram(const dtlsl__conn *conn, const uint8_t *data, size_t len)
{
    dtlsl__record record;
    size_t filled = 0;
    int32_t n;

    if (len <= conn->io.mtu)
        return len;
    while ((n = dtlsl__record_read(&record, data + filled, len - filled)) >
               0 &&
           (filled == 0 || filled + (size_t)n <= conn->io.mtu))
        filled += (size_t)n;
    return filled == 0 ? len : filled;
}

/* OpenSSL forgets nonce and tag when it asks whether Finished still fits
 * behind what else is in its flight. */
static int32_t
write_datagram(void *ctx, const uint8_t *data, size_t len)
{
    dtlsl__conn *conn = ctx;
    dtlsl__record first;
    size_t n;

    if (!conn->out_known && dtlsl__record_read(&first, data, len) > 0) {
        conn->out_delta = conn->hello_seq - first.seq;
        conn->out_known = 1;
    }
    for (; len > 0; data += n, len -= n) {
        n = fill_datagram(conn, data, len);
        write_records(conn, data, n);
    }
    return 1;
}

static void
end(dtlsl__conn *conn, int32_t status, const char *text)
{
    char seen[TEXT_MAX];

    conn->over = 1;
    conn->status = status;
    if (conn->alerted && !conn->open) {
        snprintf(seen, sizeof(seen), "%s (alert %s seen)", text,
                 dtlsl__conn_alert_text(conn));
        text = seen;
    }
    free(conn->text);
    conn->text = strdup(text);
}

/* Why a call on the SSL failed. Returns 1 if that ends the connection. */
static int
examine(dtlsl__conn *conn, int result)
{
    char text[128];
    int error = SSL_get_error(conn->ssl, result);

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    if (error == SSL_ERROR_ZERO_RETURN) {
        end(conn, DTLSL_CLOSE_PEER, "close_notify");
        return 1;
    }
    if (error != SSL_ERROR_SSL && error != SSL_ERROR_SYSCALL)
        return 0; /* an application's callback asked for time */
    int reason = ERR_GET_REASON(ERR_peek_error());
    dtlsl__tls_error_text(text, sizeof(text), "OpenSSL gave up");
    end(conn,
        reason >= SSL_AD_REASON_OFFSET ? DTLSL_CLOSE_ALERT : DTLSL_CLOSE_TLS,
        text);
    return 1;
}

/* The suite is known as soon as it is negotiated. */
static uint8_t
shortest_record(const SSL *ssl)
{
    const SSL_CIPHER *pending = SSL_get_pending_cipher(ssl);
    const SSL_CIPHER *cipher =
        pending == NULL ? SSL_get_current_cipher(ssl) : pending;
    const char *name = cipher == NULL ? "" : SSL_CIPHER_get_name(cipher);

    if (strstr(name, "CCM8") != NULL || strstr(name, "CHACHA") != NULL)
        return MIN_PROTECTED;
    return cipher != NULL && SSL_CIPHER_is_aead(cipher) ? MIN_NONCED
                                                        : MIN_PROTECTED;
}

/* What may be longer than that is behind, or will not come: OpenSSL takes
 * memory for any message by this limit, also for encrypted ones. The states
 * have these names in any libssl, unlike their numbers; a resumed handshake
 * waits in the last. */
static void
limit_messages(SSL *ssl)
{
    static const char *const states[] = {"TRCC", "TRCKE", "TRCV", "TRCCS",
                                         "TWFIN"};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(SSL_state_string(ssl), states[i]) == 0)
            SSL_set_max_cert_list(ssl, 1024);
}

static int32_t
advance_handshake(dtlsl__conn *conn)
{
    int result = SSL_accept(conn->ssl);

    limit_messages(conn->ssl);
    conn->min_protected = shortest_record(conn->ssl);
    if (result == 1) {
        conn->open = conn->progressed = 1;
        conn->reading = 1;
        return DTLSL__STEP_OPEN;
    }
    return examine(conn, result) ? DTLSL__STEP_END : DTLSL__STEP_DONE;
}

static int32_t
make_ssl(dtlsl__conn *conn, SSL_CTX *ctx)
{
    BIO *bio;

    if (!CRYPTO_THREAD_run_once(&once, make_index) || conn_index < 0)
        return DTLSL_ERR_NOMEM;
    conn->ssl = SSL_new(ctx);
    bio = dtlsl__tls_bio_new(&conn->io);
    if (conn->ssl == NULL || bio == NULL ||
        !SSL_set_ex_data(conn->ssl, conn_index, conn)) {
        BIO_free(bio);
        return DTLSL_ERR_NOMEM;
    }
    conn->host.counters->n[DTLSL__N_SSL_NEW]++;
    SSL_set_bio(conn->ssl, bio, bio);
    dtlsl__tls_prepare(conn->ssl, conn->host.encrypt_then_mac);
    return DTLSL_OK;
}

int32_t
dtlsl__conn_new(dtlsl__conn **out, const dtlsl__conn_host *host,
                struct ssl_ctx_st *ctx, uint32_t mtu, uint32_t overhead,
                const uint8_t *hello, size_t len)
{
    dtlsl__tls_errors errors;
    dtlsl__record record;
    dtlsl__message message;
    dtlsl__conn *conn;
    int32_t err;

    if (dtlsl__record_read(&record, hello, len) <= 0 ||
        dtlsl__message_read(&message, record.body, record.len) <= 0)
        return DTLSL_ERR_ARGUMENT;
    conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return DTLSL_ERR_NOMEM;
    conn->host = *host;
    conn->hello_seq = conn->in_seq = record.seq;
    conn->hello_len = message.length;
    conn->min_protected = MIN_PROTECTED;
    conn->io.write = write_datagram;
    conn->io.ctx = conn;
    conn->io.mtu = mtu;
    conn->io.overhead = overhead;
    dtlsl__tls_enter(&errors);
    err = make_ssl(conn, ctx);
    if (err == DTLSL_OK)
        err = dtlsl__tls_listen(conn->ssl, hello, len);
    if (err > 0)
        advance_handshake(conn);
    dtlsl__tls_leave(&errors);
    if (err < 0) {
        dtlsl__conn_free(conn);
        return err;
    }
    *out = conn;
    return DTLSL_OK;
}

void
dtlsl__conn_free(dtlsl__conn *conn)
{
    dtlsl__tls_errors errors;

    if (conn == NULL)
        return;
    dtlsl__tls_enter(&errors);
    if (conn->ssl != NULL) {
        /* SSL_free of a session that was not shut down makes it unresumable */
        if (conn->open)
            SSL_set_shutdown(conn->ssl,
                             SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_set_ex_data(conn->ssl, conn_index, NULL);
        SSL_free(conn->ssl);
    }
    dtlsl__tls_leave(&errors);
    free(conn->text);
    OPENSSL_cleanse(conn, sizeof(*conn));
    free(conn);
}

/* OpenSSL takes so much memory for a message as soon as it has one byte. */
static int
length_fits(const dtlsl__conn *conn, const dtlsl__message *message)
{
    switch (message->type) {
    case DTLSL__CLIENT_HELLO:
        return message->length == conn->hello_len &&
               message->length <= MAX_HELLO;
    case DTLSL__CERTIFICATE:
        return message->length <= (uint32_t)SSL_get_max_cert_list(conn->ssl);
    case DTLSL__CERTIFICATE_VERIFY:
        return message->length <= MAX_VERIFY;
    default:
        return message->length <= MAX_KEY_EXCHANGE;
    }
}

/* May this handshake message be genuine now? The flights of a client after
 * its second ClientHello: RFC 6347 section 4.2.4, figures 1 and 2. */
static int
message_fits(const dtlsl__conn *conn, const dtlsl__message *message)
{
    int asks = (SSL_get_verify_mode(conn->ssl) & SSL_VERIFY_PEER) != 0;
    int is_hello = message->type == DTLSL__CLIENT_HELLO;

    if (message->offset > message->length ||
        message->fragment_len > message->length - message->offset ||
        !length_fits(conn, message))
        return 0;
    /* OpenSSL would take an empty fragment for the whole message */
    if (message->fragment_len == 0 && message->length > 0)
        return 0;
    if (is_hello != dtlsl__conn_hello_incomplete(conn))
        return 0;
    /* a resumed handshake has no other plaintext message of the client's */
    if (!is_hello && SSL_session_reused(conn->ssl))
        return 0;
    switch (message->type) {
    case DTLSL__CLIENT_HELLO:
        return message->seq == 1;
    case DTLSL__CLIENT_KEY_EXCHANGE:
        return message->seq == 2 || (asks && message->seq == 3);
    case DTLSL__CERTIFICATE:
        return asks && message->seq == 2;
    case DTLSL__CERTIFICATE_VERIFY:
        return asks && message->seq == 4;
    default:
        return 0;
    }
}

static int
handshake_fits(const dtlsl__conn *conn, const dtlsl__record *record)
{
    const uint8_t *data = record->body;
    size_t len = record->len;
    dtlsl__message message;
    int32_t n;

    if (len == 0)
        return 0;
    while (len > 0) {
        n = dtlsl__message_read(&message, data, len);
        if (n <= 0 || !message_fits(conn, &message))
            return 0;
        data += n;
        len -= (size_t)n;
    }
    return 1;
}

static void
note_alert(dtlsl__conn *conn, const dtlsl__record *record)
{
    conn->host.counters->n[DTLSL__N_ALERTS_IGNORED]++;
    if (record->len != 2)
        return;
    conn->alerted = 1;
    conn->alert = record->body[1];
}

static int
plaintext_fits(dtlsl__conn *conn, const dtlsl__record *record)
{
    if (conn->open)
        return 0;
    switch (record->type) {
    case DTLSL__CHANGE_CIPHER_SPEC:
        return record->len == 1 && record->body[0] == 1 &&
               !dtlsl__conn_hello_incomplete(conn);
    case DTLSL__HANDSHAKE:
        return handshake_fits(conn, record);
    case DTLSL__ALERT:
        note_alert(conn, record);
        return 0;
    default:
        return 0;
    }
}

static int
protected_fits(dtlsl__conn *conn, const dtlsl__record *record)
{
    if (record->epoch != 1 || record->len < conn->min_protected ||
        record->type < DTLSL__CHANGE_CIPHER_SPEC ||
        record->type > DTLSL__APPLICATION_DATA)
        return 0;
    if (dtlsl__conn_change_seen(conn) &&
        (conn->open || record->type == DTLSL__HANDSHAKE))
        return 1;
    /* OpenSSL would keep 100 of them whole, until the Finished */
    if (dtlsl__conn_hello_incomplete(conn) || conn->early >= EARLY_RECORDS)
        return 0;
    conn->early++;
    return 1;
}

/* Epoch-0 records carry no MAC; numbering them anew takes the replay window
 * out of a spoofer's hands. */
static void
renumber_input(dtlsl__conn *conn, const dtlsl__record *record)
{
    size_t len = DTLSL__RECORD_HEADER + record->len;

    memcpy(conn->host.scratch, record->body - DTLSL__RECORD_HEADER, len);
    dtlsl__put48(conn->host.scratch + 5, ++conn->in_seq);
    conn->io.in = conn->host.scratch;
    conn->io.in_len = len;
}

/* Does it show that the peer went on after its ClientHello? Anybody can forge
 * a ChangeCipherSpec, with which a resumed handshake has its keys, or a
 * protected record. */
static int
is_progress(const dtlsl__conn *conn, const dtlsl__record *record)
{
    if (record->epoch != 0)
        return dtlsl__conn_change_seen(conn) && !SSL_session_reused(conn->ssl);
    return record->type == DTLSL__HANDSHAKE &&
           !dtlsl__conn_hello_incomplete(conn);
}

int32_t
dtlsl__conn_feed(dtlsl__conn *conn, const dtlsl__record *record)
{
    int fits = !conn->over && record->version >> 8 == 0xFE &&
               record->len <= DTLSL__RECORD_MAX + 256 &&
               (record->epoch != 0 || record->len <= DTLSL__RECORD_MAX);

    if (fits)
        fits = record->epoch == 0 ? plaintext_fits(conn, record)
                                  : protected_fits(conn, record);
    if (!fits) {
        conn->host.counters->n[DTLSL__N_RECORDS_FILTERED]++;
        return 0;
    }
    if (record->epoch == 0) {
        renumber_input(conn, record);
    } else {
        conn->io.in = record->body - DTLSL__RECORD_HEADER;
        conn->io.in_len = DTLSL__RECORD_HEADER + record->len;
    }
    conn->progressed |= (uint8_t)is_progress(conn, record);
    return 1;
}

/* libssl 3.0 dereferences the buffers that SSL_free_buffers took when it
 * writes next. */
static void
take_buffers(dtlsl__conn *conn)
{
    if (conn->bare && SSL_alloc_buffers(conn->ssl))
        conn->bare = 0;
}

/* An SSL in its handshake has its ClientHello in them, one that is read from
 * perhaps the next datagram. */
void
dtlsl__conn_rest(dtlsl__conn *conn)
{
    dtlsl__tls_errors errors;

    if (!conn->open || conn->over || conn->bare || conn->reading ||
        conn->io.in != NULL)
        return;
    dtlsl__tls_enter(&errors);
    conn->bare = (uint8_t)SSL_free_buffers(conn->ssl);
    dtlsl__tls_leave(&errors);
}

int
dtlsl__conn_rests(const dtlsl__conn *conn)
{
    return conn->bare;
}

/* Reads one datagram of the application's. Junk swept over idle sessions must
 * not leave the buffers behind that OpenSSL took to look at it. */
static int32_t
read_plaintext(dtlsl__conn *conn, uint8_t *plain, size_t cap, size_t *len)
{
    int fresh = conn->io.in != NULL, result;

    take_buffers(conn);
    result = SSL_read_ex(conn->ssl, plain, cap, len);

    conn->reading = result == 1 && SSL_has_pending(conn->ssl);
    if (result == 1)
        return DTLSL__STEP_DATA;
    conn->io.in = NULL;
    if (examine(conn, result))
        return DTLSL__STEP_END;
    /* it refused a whole ClientHello by now; of parts it would keep many */
    if (SSL_in_init(conn->ssl)) {
        end(conn, DTLSL_CLOSE_TLS, "part of a renegotiation");
        return DTLSL__STEP_END;
    }
    if (fresh)
        dtlsl__conn_rest(conn);
    return DTLSL__STEP_DONE;
}

int32_t
dtlsl__conn_step(dtlsl__conn *conn, uint8_t *plain, size_t cap, size_t *len)
{
    dtlsl__tls_errors errors;
    int32_t step = DTLSL__STEP_DONE;

    *len = 0;
    if (conn->over)
        return DTLSL__STEP_END;
    if (conn->io.in == NULL && !conn->reading)
        return DTLSL__STEP_DONE;
    dtlsl__tls_enter(&errors);
    if (!conn->open) {
        step = advance_handshake(conn);
        conn->io.in = NULL;
    } else {
        step = read_plaintext(conn, plain, cap, len);
    }
    dtlsl__tls_leave(&errors);
    return step;
}

int64_t
dtlsl__conn_timeout(dtlsl__conn *conn)
{
    struct timeval left;

    if (conn->over || conn->open || !DTLSv1_get_timeout(conn->ssl, &left))
        return -1;
    return (int64_t)left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
}

int32_t
dtlsl__conn_retransmit(dtlsl__conn *conn)
{
    dtlsl__tls_errors errors;
    long result;

    dtlsl__tls_enter(&errors);
    result = DTLSv1_handle_timeout(conn->ssl);
    if (result > 0)
        conn->host.counters->n[DTLSL__N_RETRANSMITS]++;
    if (result < 0)
        end(conn, DTLSL_CLOSE_TIMEOUT, "the peer answers no retransmission");
    dtlsl__tls_leave(&errors);
    return result < 0 ? DTLSL_ERR_TLS : DTLSL_OK;
}

size_t
dtlsl__conn_wire_len(size_t len)
{
    return len + RECORD_OVERHEAD;
}

int32_t
dtlsl__conn_mtu(dtlsl__conn *conn)
{
    size_t mtu = conn->open ? DTLS_get_data_mtu(conn->ssl) : 0;

    return mtu > DTLSL__RECORD_MAX ? DTLSL__RECORD_MAX : (int32_t)mtu;
}

int32_t
dtlsl__conn_send(dtlsl__conn *conn, const uint8_t *data, size_t len)
{
    dtlsl__tls_errors errors;
    size_t written = 0;
    int result;

    if (!conn->open || conn->over)
        return DTLSL_ERR_STATE;
    if (len > (size_t)dtlsl__conn_mtu(conn))
        return DTLSL_ERR_TOOBIG;
    dtlsl__tls_enter(&errors);
    take_buffers(conn);
    result = SSL_write_ex(conn->ssl, data, len, &written);
    dtlsl__tls_leave(&errors);
    return result == 1 ? (int32_t)written : DTLSL_ERR_TLS;
}

void
dtlsl__conn_close_notify(dtlsl__conn *conn)
{
    dtlsl__tls_errors errors;

    if (!conn->open)
        return;
    dtlsl__tls_enter(&errors);
    take_buffers(conn);
    if (!(SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN))
        SSL_shutdown(conn->ssl);
    dtlsl__tls_leave(&errors);
}

int
dtlsl__conn_is_open(const dtlsl__conn *conn)
{
    return conn->open;
}

int
dtlsl__conn_hello_incomplete(const dtlsl__conn *conn)
{
    /* the server's flight follows the last fragment at once */
    return !conn->out_known;
}

int
dtlsl__conn_change_seen(const dtlsl__conn *conn)
{
    /* A spoofed ChangeCipherSpec that OpenSSL dropped does not count. The
     * name of TLS_ST_SR_CHANGE, as libssl 3.2 gave its states new numbers. */
    return conn->open || strcmp(SSL_state_string(conn->ssl), "TRCCS") == 0;
}

int
dtlsl__conn_progressed(const dtlsl__conn *conn)
{
    return conn->progressed;
}

int
dtlsl__conn_alerted(const dtlsl__conn *conn)
{
    return conn->alerted;
}

const char *
dtlsl__conn_alert_text(const dtlsl__conn *conn)
{
    return SSL_alert_desc_string_long(conn->alert);
}

int32_t
dtlsl__conn_status(const dtlsl__conn *conn)
{
    return conn->status;
}

const char *
dtlsl__conn_text(const dtlsl__conn *conn)
{
    return conn->text == NULL ? "" : conn->text;
}

struct ssl_st *
dtlsl__conn_ssl(const dtlsl__conn *conn)
{
    return conn->ssl;
}

static int32_t
copy_text(char *buf, size_t buf_len, const char *text, size_t len)
{
    if (len >= buf_len)
        return DTLSL_ERR_SPACE;
    memcpy(buf, text, len);
    buf[len] = '\0';
    return (int32_t)len;
}

int32_t
dtlsl__conn_info(dtlsl__conn *conn, const char *name, char *buf,
                 size_t buf_len)
{
    const SSL *ssl = conn->ssl;
    const char *text = NULL;
    const uint8_t *alpn = NULL;
    unsigned int alpn_len = 0;

    if (strcmp(name, "alpn") == 0) {
        SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
        return copy_text(buf, buf_len, alpn == NULL ? "" : (const char *)alpn,
                         alpn_len);
    }
    if (strcmp(name, "cipher") == 0)
        text = SSL_get_current_cipher(ssl) == NULL ? "" : SSL_get_cipher(ssl);
    else if (strcmp(name, "version") == 0)
        text = SSL_get_version(ssl);
    else if (strcmp(name, "server-name") == 0)
        text = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    else if (strcmp(name, "psk-identity") == 0)
        text = SSL_get_psk_identity(ssl);
    else
        return DTLSL_ERR_OPTION;
    if (text == NULL)
        text = "";
    return copy_text(buf, buf_len, text, strlen(text));
}

int32_t
dtlsl__conn_peer_certificate(dtlsl__conn *conn, uint8_t *buf, size_t buf_len)
{
    X509 *cert = SSL_get0_peer_certificate(conn->ssl);
    dtlsl__tls_errors errors;
    int len;

    if (cert == NULL)
        return 0;
    dtlsl__tls_enter(&errors);
    len = i2d_X509(cert, NULL);
    if (len > 0 && (size_t)len <= buf_len)
        i2d_X509(cert, &buf);
    dtlsl__tls_leave(&errors);
    if (len <= 0)
        return DTLSL_ERR_TLS;
    return (size_t)len <= buf_len ? (int32_t)len : DTLSL_ERR_SPACE;
}

int32_t
dtlsl__conn_export(dtlsl__conn *conn, const char *label,
                   const uint8_t *context, size_t context_len, uint8_t *out,
                   size_t out_len)
{
    dtlsl__tls_errors errors;
    int ok;

    if (!conn->open)
        return DTLSL_ERR_STATE;
    dtlsl__tls_enter(&errors);
    ok = SSL_export_keying_material(conn->ssl, out, out_len, label,
                                    strlen(label), context, context_len,
                                    context != NULL);
    dtlsl__tls_leave(&errors);
    return ok == 1 ? DTLSL_OK : DTLSL_ERR_TLS;
}

int32_t
dtlsl_conn_of_ssl(const struct ssl_st *ssl, dtlsl_listener **listener,
                  uint64_t *conn_id)
{
    dtlsl__conn *conn = conn_index < 0 || ssl == NULL
                            ? NULL
                            : SSL_get_ex_data(ssl, conn_index);

    if (conn == NULL)
        return DTLSL_ERR_NOCONN;
    if (listener != NULL)
        *listener = conn->host.listener;
    if (conn_id != NULL)
        *conn_id = conn->host.id;
    return DTLSL_OK;
}
