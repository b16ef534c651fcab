/* SPDX-License-Identifier: MIT
 * A fresh SSL into the state that DTLSv1_listen() leaves, its datagram BIO,
 * and OpenSSL's error queue given back as found. */
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

/* libssl has six DTLS methods that can accept. */
enum {
    SHIMS_MAX = 8,
    PROCESS_ID_LEN = 16
};

typedef struct shim {
    const SSL_METHOD *method;
    SSL_CTX *ctx;
} shim;

/* Made once per process and never freed: SSLs of any thread use them, up to
 * the last moment of the process. */
static struct {
    CRYPTO_ONCE once;
    BIO_METHOD *bio_method;
    CRYPTO_RWLOCK *lock; /* of appending to shims */
    shim shims[SHIMS_MAX];
    size_t n_shims; /* atomic: entries below it never change */
    uint8_t id[PROCESS_ID_LEN];
    int has_id;
} process = {.once = CRYPTO_ONCE_STATIC_INIT};

/* ---- the error queue ---- */

void
dtlsl__tls_enter(dtlsl__tls_errors *saved)
{
    const char *file, *func, *data;
    unsigned long code;
    int line, flags;

    saved->count = 0;
    if (ERR_peek_error() == 0)
        return;
    while (saved->count < sizeof(saved->entry) / sizeof(saved->entry[0]) &&
           (code = ERR_get_error_all(&file, &line, &func, &data, &flags)) !=
               0) {
        uint32_t i = saved->count++;

        saved->entry[i].code = code;
        saved->entry[i].line = line;
        saved->entry[i].flags = flags;
        /* Copies: the queue owns these texts and frees them as it fills. */
        saved->entry[i].file = OPENSSL_strdup(file);
        saved->entry[i].func = OPENSSL_strdup(func);
        saved->entry[i].data =
            (flags & ERR_TXT_STRING) != 0 ? OPENSSL_strdup(data) : NULL;
    }
}

void
dtlsl__tls_leave(dtlsl__tls_errors *saved)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
    for (uint32_t i = 0; i < saved->count; i++) {
        ERR_new();
        ERR_set_debug(saved->entry[i].file, saved->entry[i].line,
                      saved->entry[i].func);
        ERR_set_error(ERR_GET_LIB(saved->entry[i].code),
                      ERR_GET_REASON(saved->entry[i].code), NULL);
        /* The queue takes the text over. */
        if (saved->entry[i].data != NULL)
            ERR_set_error_data(saved->entry[i].data,
                               ERR_TXT_MALLOCED | ERR_TXT_STRING);
        OPENSSL_free(saved->entry[i].file);
        OPENSSL_free(saved->entry[i].func);
    }
    saved->count = 0;
}

void
dtlsl__tls_error_text(char *buf, size_t buf_len, const char *otherwise)
{
    const char *data = NULL, *reason;
    int flags = 0;
    unsigned long code = ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);

    if (buf_len == 0)
        return;
    if (code == 0) {
        snprintf(buf, buf_len, "%s", otherwise);
        return;
    }
    reason = ERR_reason_error_string(code);
    if (reason != NULL)
        snprintf(buf, buf_len, "%s", reason);
    else
        ERR_error_string_n(code, buf, buf_len);
    if (data != NULL && (flags & ERR_TXT_STRING) != 0 && data[0] != '\0') {
        size_t used = strlen(buf);

        snprintf(buf + used, buf_len - used, " (%s)", data);
    }
}

/* ---- the datagram BIO ---- */

static int
bio_read(BIO *bio, char *buf, int len)
{
    dtlsl__tls_io *io = BIO_get_data(bio);
    size_t n;

    BIO_clear_retry_flags(bio);
    if (io == NULL)
        return -1;
    n = io->in_len;
    if (io->in == NULL || n == 0 || len <= 0) {
        io->in = NULL;
        BIO_set_retry_read(bio);
        return -1;
    }
    /* As recv does: what does not fit is lost. */
    if (n > (size_t)len)
        n = (size_t)len;
    memcpy(buf, io->in, n);
    io->in = NULL;
    return (int)n;
}

static int
bio_write(BIO *bio, const char *data, int len)
{
    dtlsl__tls_io *io = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len <= 0)
        return 0;
    if (io == NULL)
        return -1;
    if (io->write(io->ctx, (const uint8_t *)data, (size_t)len) != 0)
        return len;
    BIO_set_retry_write(bio);
    return -1;
}

/* What every path of the address family carries, as OpenSSL's own datagram
 * BIO has it: 576 bytes by IPv4, 1280 by IPv6. */
static long
fallback_mtu(const dtlsl__tls_io *io)
{
    uint32_t link = io->overhead > 28 ? 1280 : 576;
    uint32_t payload = link - io->overhead;

    return (long)(payload < io->mtu ? payload : io->mtu);
}

static long
bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    dtlsl__tls_io *io = BIO_get_data(bio);

    (void)ptr;
    if (io == NULL)
        return 0;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1;
    case BIO_CTRL_GET_CLOSE:
        return BIO_get_shutdown(bio);
    case BIO_CTRL_SET_CLOSE:
        BIO_set_shutdown(bio, (int)num);
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_MTU:
        return (long)io->mtu;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
        return (long)io->overhead;
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        io->mtu = (uint32_t)fallback_mtu(io);
        return (long)io->mtu;
    case BIO_CTRL_DGRAM_SET_MTU:
        return num;
    default:
        return 0;
    }
}

static int
bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *
bio_method_new(void)
{
    int type = BIO_get_new_index();
    BIO_METHOD *method;

    if (type == -1)
        return NULL;
    method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "dtlslisten");
    if (method == NULL)
        return NULL;
    if (!BIO_meth_set_read(method, bio_read) ||
        !BIO_meth_set_write(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_ctrl) ||
        !BIO_meth_set_create(method, bio_create)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

static void
process_init(void)
{
    process.bio_method = bio_method_new();
    process.lock = CRYPTO_THREAD_lock_new();
    process.has_id = RAND_bytes(process.id, PROCESS_ID_LEN) == 1;
}

static int
process_ready(void)
{
    return CRYPTO_THREAD_run_once(&process.once, process_init) &&
           process.bio_method != NULL && process.lock != NULL;
}

struct bio_st *
dtlsl__tls_bio_new(dtlsl__tls_io *io)
{
    BIO *bio;

    if (!process_ready())
        return NULL;
    bio = BIO_new(process.bio_method);
    if (bio != NULL)
        BIO_set_data(bio, io);
    return bio;
}

/* ---- the listen step ---- */

/* The gate has verified the cookie; whoever got here owns its address. */
static int
accept_cookie(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
    (void)ssl;
    (void)cookie;
    (void)len;
    return 1;
}

static SSL_CTX *
shim_find(const SSL_METHOD *method, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (process.shims[i].method == method)
            return process.shims[i].ctx;
    return NULL;
}

/* The method must be the SSL's own: SSL_clear, which DTLSv1_listen begins
 * with, turns an SSL into the method of the SSL_CTX that it finds. */
static SSL_CTX *
shim_get(const SSL_METHOD *method)
{
    SSL_CTX *ctx =
        shim_find(method, __atomic_load_n(&process.n_shims, __ATOMIC_ACQUIRE));
    size_t n;

    if (ctx != NULL || !CRYPTO_THREAD_write_lock(process.lock))
        return ctx;
    n = process.n_shims;
    ctx = shim_find(method, n);
    if (ctx == NULL && n < SHIMS_MAX && (ctx = SSL_CTX_new(method)) != NULL) {
        SSL_CTX_set_cookie_verify_cb(ctx, accept_cookie);
        process.shims[n].method = method;
        process.shims[n].ctx = ctx;
        __atomic_store_n(&process.n_shims, n + 1, __ATOMIC_RELEASE);
    }
    CRYPTO_THREAD_unlock(process.lock);
    return ctx;
}

static int32_t
discard(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return 1;
}

/* DTLSv1_listen on BIOs that hold the record and nothing else. */
static int
listen_on_record(SSL *ssl, const uint8_t *record, size_t len)
{
    dtlsl__tls_io io = {.in = record,
                        .in_len = len,
                        .write = discard,
                        .mtu = 1232,
                        .overhead = 48};
    BIO *rbio = SSL_get_rbio(ssl), *wbio = SSL_get_wbio(ssl);
    BIO *bio = dtlsl__tls_bio_new(&io);
    BIO_ADDR *peer = BIO_ADDR_new(); /* NULL would crash */
    int result = -1;

    if (bio == NULL || peer == NULL || (rbio != NULL && !BIO_up_ref(rbio)))
        goto done;
    if ((wbio != NULL && !BIO_up_ref(wbio)) || !BIO_up_ref(bio)) {
        BIO_free(rbio);
        goto done;
    }
    SSL_set0_rbio(ssl, bio);
    SSL_set0_wbio(ssl, bio);
    bio = NULL;
    result = DTLSv1_listen(ssl, peer);
    if (result < 0) {
        /* Without memory, OpenSSL 3.2 and later leave an SSL that crashes when
         * it is given BIOs or options. It keeps these until it is freed. */
        BIO_set_data(SSL_get_rbio(ssl), NULL);
        BIO_free_all(rbio);
        BIO_free_all(wbio);
        goto done;
    }
    SSL_set0_rbio(ssl, rbio);
    SSL_set0_wbio(ssl, wbio);
done:
    BIO_free(bio);
    BIO_ADDR_free(peer);
    return result;
}

/* The SSL_CTX is changed for the length of the step, and back. That costs the
 * SSL what stands beside its certificates; what it asks of keys and suites must
 * not get weaker. */
static int
listen_behind_shim(SSL *ssl, const uint8_t *record, size_t len)
{
    SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
    int level = SSL_get_security_level(ssl);
    SSL_CTX *shim_ctx = shim_get(SSL_CTX_get_ssl_method(ctx));
    int result = -1;

    if (shim_ctx == NULL || !SSL_CTX_up_ref(ctx))
        return -1;
    if (SSL_set_SSL_CTX(ssl, shim_ctx) != NULL)
        result = listen_on_record(ssl, record, len);
    if (SSL_set_SSL_CTX(ssl, ctx) == NULL)
        result = -1;
    SSL_set_security_level(ssl, level);
    SSL_CTX_free(ctx);
    return result;
}

int32_t
dtlsl__tls_listen(struct ssl_st *ssl, const uint8_t *record, size_t len)
{
    /* NO_QUERY_MTU, else an MTU that was set before is lost; and without
     * COOKIE_EXCHANGE, which the step turns on, SSL_accept does not ask for a
     * second verdict on the cookie. */
    const uint64_t ours = SSL_OP_NO_QUERY_MTU | SSL_OP_COOKIE_EXCHANGE;
    dtlsl__tls_errors saved;
    uint64_t before;
    int result = -1;

    dtlsl__tls_enter(&saved);
    before = SSL_get_options(ssl);
    if (SSL_is_dtls(ssl) && process_ready()) {
        SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
        result = listen_behind_shim(ssl, record, len);
        if (result >= 0)
            SSL_clear_options(ssl, ours & ~before);
    }
    dtlsl__tls_leave(&saved);
    return result == 1 ? 1 : DTLSL_ERR_TLS;
}

/* ---- what differs per SSL ---- */

/* Without a session id context resumption with client certificates is a fatal
 * alert. OpenSSL does not tell whether a user's SSL_CTX has one, so its SSLs
 * get one that no other SSL_CTX shares: it never resumes too much. */
static void
set_session_id_context(SSL *ssl)
{
    uint8_t id[SSL_MAX_SID_CTX_LENGTH];
    const SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);

    if (!process_ready() || !process.has_id)
        return;
    memcpy(id, process.id, PROCESS_ID_LEN);
    memcpy(id + PROCESS_ID_LEN, &ctx, sizeof(ctx));
    SSL_set_session_id_context(ssl, id, PROCESS_ID_LEN + sizeof(ctx));
}

void
dtlsl__tls_prepare(struct ssl_st *ssl, int encrypt_then_mac)
{
    uint64_t without = encrypt_then_mac ? 0 : SSL_OP_NO_ENCRYPT_THEN_MAC;
    long max = SSL_get_max_proto_version(ssl);
    int verifies = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;

    /* Newer versions of DTLS have smaller numbers; 0 is the newest. */
    if (max < DTLS1_2_VERSION)
        SSL_set_max_proto_version(ssl, DTLS1_2_VERSION);
    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION | without);
    if (!verifies)
        SSL_set_max_cert_list(ssl, 1024);
    else if (!dtlsl__tls_ctx_is_ours(SSL_get_SSL_CTX(ssl)))
        set_session_id_context(ssl);
}

/* ---- the versions of libssl ---- */

/* No other file asks for them. They differ, besides, in what needs no
 * question: the number of the ServerHello (conn.c adds a difference; openssl
 * issue 32063), what they keep of the datagram behind the ClientHello (the
 * listen step hands over one record), and whether SSL_free_buffers may be
 * followed by a write (conn.c takes the buffers back before). */

/* From the first release of a series on, and before the first one that has
 * the fixes of OpenSSL's advisory of 29 September 2026: CVE-2026-84782, a
 * retransmission from a stale offset, and CVE-2026-75806, a forged record of
 * a few bytes ends a session. 3.1 to 3.3 were out of support by then. */
static const struct {
    unsigned long first, good;
    const char *text;
} outdated[] = {
#define BUT "; a distribution may have added the fixes"
#define LACKS " lacks fixes of DTLS (CVE-2026-84782, CVE-2026-75806)" BUT
    {0x30000000UL, 0x30000170UL, "OpenSSL 3.0 before 3.0.23" LACKS},
    {0x30100000UL, 0x30400000UL, "OpenSSL 3.1 to 3.3 get no fixes" BUT},
    {0x30400000UL, 0x30400080UL, "OpenSSL 3.4 before 3.4.8" LACKS},
    {0x30500000UL, 0x30500090UL, "OpenSSL 3.5 before 3.5.9" LACKS},
    {0x30600000UL, 0x30600050UL, "OpenSSL 3.6 before 3.6.5" LACKS},
    {0x40000000UL, 0x40000030UL, "OpenSSL 4.0 before 4.0.3" LACKS},
#undef LACKS
#undef BUT
};

int32_t
dtlsl__tls_outdated(unsigned long version, const char **text)
{
    for (size_t i = 0; i < sizeof(outdated) / sizeof(outdated[0]); i++)
        if (version >= outdated[i].first && version < outdated[i].good) {
            *text = outdated[i].text;
            return 1;
        }
    *text = "";
    return 0;
}

int32_t
dtlsl_libssl_outdated(const char **text)
{
    const char *unused;

    return dtlsl__tls_outdated(OpenSSL_version_num(),
                               text == NULL ? &unused : text);
}

/* The former is there since 3.3, the latter deprecated since 3.4. */
int64_t
dtlsl__tls_session_time(const struct ssl_session_st *session)
{
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
    return SSL_SESSION_get_time_ex(session);
#else
    return SSL_SESSION_get_time(session);
#endif
}

/* ---- the SSL_CTX ---- */

void
dtlsl__tls_ctx_ref(struct ssl_ctx_st *ctx)
{
    SSL_CTX_up_ref(ctx);
}

void
dtlsl__tls_ctx_free(struct ssl_ctx_st *ctx)
{
    SSL_CTX_free(ctx);
}

int32_t
dtlsl__tls_ctx_check(struct ssl_ctx_st *ctx, char *err, size_t err_len)
{
    dtlsl__tls_errors saved;
    int32_t result = DTLSL_OK;
    SSL *ssl;

    dtlsl__tls_enter(&saved);
    ssl = SSL_new(ctx);
    if (ssl == NULL) {
        snprintf(err, err_len,
                 "SSL_new fails on the given SSL_CTX; make it with "
                 "SSL_CTX_new(DTLS_server_method())");
        result = DTLSL_ERR_TLS;
    } else if (!SSL_is_dtls(ssl)) {
        snprintf(err, err_len,
                 "the given SSL_CTX is not for DTLS; make it with "
                 "SSL_CTX_new(DTLS_server_method())");
        result = DTLSL_ERR_ARGUMENT;
    }
    SSL_free(ssl);
    dtlsl__tls_leave(&saved);
    return result;
}
