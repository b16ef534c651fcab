/* SPDX-License-Identifier: MIT
 * The listen step, the BIO and the error queue, against an OpenSSL client in
 * memory. */
#include "record.h"
#include "tls.h"
#include "tls_pair.h"

/* ---- the error queue ---- */

static void
put_error(int number)
{
    ERR_new();
    ERR_set_debug("app.c", 100 + number, "app_function");
    if (number % 2 == 0)
        ERR_set_error(ERR_LIB_USER, 1 + number, "number %d", number);
    else
        ERR_set_error(ERR_LIB_USER, 1 + number, NULL);
}

static void
expect_error(int number)
{
    const char *file, *func, *data;
    int line, flags;
    char text[32];
    unsigned long code = ERR_get_error_all(&file, &line, &func, &data, &flags);

    ck_assert_int_eq(ERR_GET_LIB(code), ERR_LIB_USER);
    ck_assert_int_eq(ERR_GET_REASON(code), 1 + number);
    ck_assert_str_eq(file, "app.c");
    ck_assert_str_eq(func, "app_function");
    ck_assert_int_eq(line, 100 + number);
    snprintf(text, sizeof(text), "number %d", number);
    ck_assert_str_eq(data, number % 2 == 0 ? text : "");
}

static void
spoil_queue(void)
{
    ERR_clear_error();
    for (int i = 0; i < 20; i++) {
        ERR_new();
        ERR_set_debug("other.c", 1, "other");
        ERR_set_error(ERR_LIB_SSL, 5, "spoilt");
    }
}

START_TEST(an_empty_error_queue_stays_empty)
{
    dtlsl__tls_errors saved;

    dtlsl__tls_enter(&saved);
    spoil_queue();
    dtlsl__tls_leave(&saved);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(one_entry_of_the_application_is_given_back)
{
    dtlsl__tls_errors saved;

    put_error(0);
    dtlsl__tls_enter(&saved);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    spoil_queue();
    dtlsl__tls_leave(&saved);
    expect_error(0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

/* OpenSSL's ring of 16 holds 15 or 16 entries, by version. */
START_TEST(a_full_error_queue_is_given_back_in_order)
{
    dtlsl__tls_errors saved;
    int first, count;

    for (int i = 0; i < 16; i++)
        put_error(i);
    first = ERR_GET_REASON(ERR_peek_error()) - 1;
    count = 16 - first;
    ck_assert_int_ge(count, 15);
    dtlsl__tls_enter(&saved);
    spoil_queue();
    dtlsl__tls_leave(&saved);
    for (int i = first; i < 16; i++)
        expect_error(i);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(a_system_error_is_given_back)
{
    dtlsl__tls_errors saved;
    unsigned long code;

    ERR_raise_data(ERR_LIB_SYS, 13, "opening %s", "a.pem");
    code = ERR_peek_error();
    dtlsl__tls_enter(&saved);
    spoil_queue();
    dtlsl__tls_leave(&saved);
    ck_assert_uint_eq(ERR_peek_error(), code);
    ck_assert_int_eq(ERR_SYSTEM_ERROR(code), 1);
    ERR_clear_error();
}
END_TEST

START_TEST(an_error_text_has_reason_and_data)
{
    char text[80];

    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
    dtlsl__tls_error_text(text, sizeof(text), "nothing");
    ck_assert_str_eq(text, "nothing");
    ERR_raise_data(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, "of %d", 3);
    dtlsl__tls_error_text(text, sizeof(text), "nothing");
    ck_assert_str_eq(text, "no shared cipher (of 3)");
    dtlsl__tls_error_text(text, 8, "nothing");
    ck_assert_str_eq(text, "no shar");
    ERR_clear_error();
}
END_TEST

START_TEST(the_listen_step_gives_the_error_queue_back)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);

    second_hello(p);
    put_error(0);
    put_error(1);
    ck_assert_int_eq(
        dtlsl__tls_listen(p->server.ssl, p->client.data[0], p->client.len[0]),
        1);
    expect_error(0);
    expect_error(1);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

/* ---- the BIO ---- */

static int32_t
refuse_write(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return 0;
}

START_TEST(the_bio_gives_a_datagram_once_then_would_block)
{
    const uint8_t in[3] = {1, 2, 3};
    dtlsl__tls_io io = {.in = in, .in_len = 3, .write = refuse_write};
    BIO *bio = dtlsl__tls_bio_new(&io);
    uint8_t buf[8] = {0};

    ck_assert_int_eq(BIO_read(bio, buf, sizeof(buf)), 3);
    ck_assert_mem_eq(buf, in, 3);
    ck_assert_int_eq(BIO_read(bio, buf, sizeof(buf)), -1);
    ck_assert(BIO_should_retry(bio) && BIO_should_read(bio));
    io.in = in;
    io.in_len = 0;
    ck_assert_int_eq(BIO_read(bio, buf, sizeof(buf)), -1);
    ck_assert(BIO_should_retry(bio));
    BIO_free(bio);
}
END_TEST

START_TEST(the_bio_cuts_a_datagram_that_does_not_fit)
{
    const uint8_t in[3] = {1, 2, 3};
    dtlsl__tls_io io = {.in = in, .in_len = 3, .write = refuse_write};
    BIO *bio = dtlsl__tls_bio_new(&io);
    uint8_t buf[2];

    ck_assert_int_eq(BIO_read(bio, buf, 2), 2);
    ck_assert_int_eq(BIO_read(bio, buf, 2), -1);
    BIO_free(bio);
}
END_TEST

START_TEST(the_bio_asks_for_a_refused_write_again)
{
    dtlsl__tls_io io = {.write = refuse_write};
    BIO *bio = dtlsl__tls_bio_new(&io);

    ck_assert_int_eq(BIO_write(bio, "abc", 3), -1);
    ck_assert(BIO_should_retry(bio) && BIO_should_write(bio));
    BIO_free(bio);
}
END_TEST

START_TEST(the_bio_answers_openssls_questions)
{
    dtlsl__tls_io io = {.write = refuse_write, .mtu = 1400, .overhead = 48};
    BIO *bio = dtlsl__tls_bio_new(&io);

    ck_assert_int_eq(BIO_flush(bio), 1);
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_QUERY_MTU, 0, NULL), 1400);
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_GET_MTU_OVERHEAD, 0, NULL),
                     48);
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_GET_FALLBACK_MTU, 0, NULL),
                     1232);
    io.overhead = 28;
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_GET_FALLBACK_MTU, 0, NULL),
                     548);
    io.mtu = 300;
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_GET_FALLBACK_MTU, 0, NULL),
                     300);
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_MTU, 256, NULL), 256);
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_DGRAM_GET_PEER, 0, NULL), 0);
    ck_assert_int_eq(BIO_ctrl(bio, BIO_CTRL_WPENDING, 0, NULL), 0);
    BIO_free(bio);
}
END_TEST

/* ---- the listen step ---- */

START_TEST(a_self_signed_server_completes_a_handshake)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);
    X509 *cert;
    char name[32] = "";

    ck_assert(handshake(p));
    ck_assert_str_eq(SSL_get_version(p->client.ssl), "DTLSv1.2");
    cert = SSL_get1_peer_certificate(p->client.ssl);
    ck_assert_ptr_nonnull(cert);
    X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
    ck_assert_str_eq(name, "/CN=localhost");
    ck_assert_int_eq(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    X509_free(cert);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

static int
deny_cookie(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
    int *asked = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    (void)cookie;
    (void)len;
    ++*asked;
    return 0;
}

START_TEST(the_cookie_is_not_verified_a_second_time)
{
    SSL_CTX *ctx = self_signed_ctx();
    int asked = 0;
    pair *p;

    SSL_CTX_set_app_data(ctx, &asked);
    SSL_CTX_set_cookie_verify_cb(ctx, deny_cookie);
    p = pair_new(ctx, 1232);
    ck_assert(handshake(p));
    ck_assert_int_eq(asked, 0);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(the_listen_step_restores_ctx_bios_and_options)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);
    BIO *rbio = BIO_new(BIO_s_mem()), *wbio = BIO_new(BIO_s_mem());
    uint64_t before;

    SSL_set_bio(p->server.ssl, rbio, wbio);
    before = SSL_get_options(p->server.ssl);
    ck_assert_int_eq(listen_step(p), 1);
    ck_assert_ptr_eq(SSL_get_SSL_CTX(p->server.ssl), ctx);
    ck_assert_ptr_eq(SSL_get_rbio(p->server.ssl), rbio);
    ck_assert_ptr_eq(SSL_get_wbio(p->server.ssl), wbio);
    ck_assert(SSL_get_options(p->server.ssl) == before);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(the_listen_step_works_without_bios_and_keeps_a_set_option)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);

    SSL_set_bio(p->server.ssl, NULL, NULL);
    SSL_set_options(p->server.ssl, SSL_OP_COOKIE_EXCHANGE);
    ck_assert_int_eq(listen_step(p), 1);
    ck_assert_ptr_null(SSL_get_rbio(p->server.ssl));
    ck_assert(SSL_get_options(p->server.ssl) & SSL_OP_COOKIE_EXCHANGE);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(the_listen_step_refuses_junk_and_cookieless_hellos)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);
    const uint8_t junk[20] = {1};

    ck_assert_int_eq(dtlsl__tls_listen(p->server.ssl, junk, sizeof(junk)),
                     DTLSL_ERR_TLS);
    ck_assert_int_le(SSL_connect(p->client.ssl), 0);
    ck_assert_int_eq(
        dtlsl__tls_listen(p->server.ssl, p->client.data[0], p->client.len[0]),
        DTLSL_ERR_TLS);
    ck_assert_uint_eq(p->server.count, 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ck_assert_ptr_eq(SSL_get_SSL_CTX(p->server.ssl), ctx);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(the_listen_step_refuses_an_ssl_that_is_not_dtls)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl = SSL_new(ctx);
    const uint8_t junk[20] = {1};

    ck_assert_int_eq(dtlsl__tls_listen(ssl, junk, sizeof(junk)),
                     DTLSL_ERR_TLS);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}
END_TEST

/* OpenSSL 4.0 has no methods of one version any more. */
#if OPENSSL_VERSION_MAJOR < 4
START_TEST(a_fixed_version_method_survives_the_listen_step)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    const SSL_METHOD *method = DTLSv1_2_server_method();
#pragma GCC diagnostic pop
    identity own = make_identity("fixed", NULL);
    SSL_CTX *ctx = SSL_CTX_new(method);
    pair *p;

    SSL_CTX_use_certificate(ctx, own.cert);
    SSL_CTX_use_PrivateKey(ctx, own.key);
    p = pair_new(ctx, 1232);
    ck_assert(handshake(p));
    ck_assert_ptr_eq(SSL_get_ssl_method(p->server.ssl), method);
    pair_free(p);
    SSL_CTX_free(ctx);
    free_identity(&own);
}
END_TEST
#endif

START_TEST(the_mtu_of_the_bio_bounds_and_fills_the_flight)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *small = pair_new(ctx, 300), *large = pair_new(ctx, 1232);

    ck_assert(handshake(small));
    ck_assert_uint_le(small->server.longest, 300);
    ck_assert_uint_gt(small->server.longest, 280);
    ck_assert(handshake(large));
    ck_assert_uint_gt(large->server.longest, 500);
    pair_free(small);
    pair_free(large);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(an_mtu_set_before_the_listen_step_is_kept)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);

    SSL_set_mtu(p->server.ssl, 320);
    ck_assert(handshake(p));
    ck_assert_uint_le(p->server.longest, 320);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

/* RFC 6347 section 4.2.1: that of the ClientHello. conn.c mends what libssl
 * 3.2 to 4.0 make of it, and may rely on no third answer. */
START_TEST(the_server_hello_has_the_number_of_the_hello_or_1)
{
    SSL_CTX *ctx = self_signed_ctx();
    pair *p = pair_new(ctx, 1232);
    unsigned long version = OpenSSL_version_num();
    uint64_t number;

    second_hello(p);
    memcpy(p->client.data[0] + 5, "\0\0\0\1\2\3", 6);
    ck_assert_int_eq(
        dtlsl__tls_listen(p->server.ssl, p->client.data[0], p->client.len[0]),
        1);
    SSL_accept(p->server.ssl);
    ck_assert_uint_eq(p->server.count, 1);
    ck_assert_uint_eq(p->server.data[0][0], DTLSL__HANDSHAKE);
    ck_assert_uint_eq(p->server.data[0][13], 2); /* ServerHello */
    number = dtlsl__get48(p->server.data[0] + 5);
    if (version < 0x30200000UL)
        ck_assert_uint_eq(number, 0x10203);
    else
        ck_assert(number == 1 || number == 0x10203);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

static int
is_outdated(unsigned major, unsigned minor, unsigned patch)
{
    const char *text = NULL;
    int32_t result = dtlsl__tls_outdated(
        (unsigned long)major << 28 | minor << 20 | patch << 4, &text);

    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(text[0] == '\0', result == 0);
    return result;
}

START_TEST(a_libssl_without_the_known_fixes_is_outdated)
{
    const unsigned good[][3] = {
        {3, 0, 23}, {3, 4, 8}, {3, 5, 9}, {3, 6, 5}, {4, 0, 3}};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert(!is_outdated(good[i][0], good[i][1], good[i][2]));
        ck_assert(!is_outdated(good[i][0], good[i][1], 255));
        ck_assert(is_outdated(good[i][0], good[i][1], good[i][2] - 1));
        ck_assert(is_outdated(good[i][0], good[i][1], 0));
    }
}
END_TEST

START_TEST(a_series_without_fixes_is_outdated_and_an_unknown_one_is_not)
{
    for (unsigned minor = 1; minor <= 3; minor++)
        ck_assert(is_outdated(3, minor, 255));
    ck_assert(!is_outdated(3, 7, 0));
    ck_assert(!is_outdated(4, 1, 0));
    ck_assert(!is_outdated(5, 0, 0));
}
END_TEST

START_TEST(the_libssl_that_runs_is_told_of)
{
    const char *text = NULL, *expected = NULL;
    int32_t result = dtlsl__tls_outdated(OpenSSL_version_num(), &expected);

    ck_assert_int_eq(dtlsl_libssl_outdated(&text), result);
    ck_assert_ptr_eq(text, expected);
    ck_assert_int_eq(dtlsl_libssl_outdated(NULL), result);
}
END_TEST

/* ---- what the user's SSL_CTX carries ---- */

static int
choose_second(SSL *ssl, const unsigned char **out, unsigned char *out_len,
              const unsigned char *in, unsigned int in_len, void *arg)
{
    (void)ssl;
    (void)in_len;
    ++*(int *)arg;
    *out = in + 1 + in[0] + 1;
    *out_len = in[1 + in[0]];
    return SSL_TLSEXT_ERR_OK;
}

static unsigned int
server_psk(SSL *ssl, const char *who, unsigned char *key, unsigned int max)
{
    ck_assert_ptr_nonnull(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    ck_assert_str_eq(who, "device");
    ck_assert_uint_ge(max, 16);
    memset(key, 7, 16);
    return 16;
}

START_TEST(callbacks_of_the_users_ctx_work_behind_the_listen_step)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    int asked = 0;
    const unsigned char *alpn;
    unsigned int alpn_len;
    pair *p;

    SSL_CTX_set_app_data(ctx, &asked);
    SSL_CTX_set_psk_server_callback(ctx, server_psk);
    SSL_CTX_set_alpn_select_cb(ctx, choose_second, &asked);
    p = pair_new(ctx, 1232);
    SSL_set_cipher_list(p->client.ssl, "PSK-AES128-GCM-SHA256");
    SSL_set_psk_client_callback(p->client.ssl, client_psk);
    SSL_set_alpn_protos(p->client.ssl, (const uint8_t *)"\1a\2bc", 5);
    ck_assert(handshake(p));
    ck_assert_int_eq(asked, 1);
    SSL_get0_alpn_selected(p->client.ssl, &alpn, &alpn_len);
    ck_assert_uint_eq(alpn_len, 2);
    ck_assert_mem_eq(alpn, "bc", 2);
    pair_free(p);
    SSL_CTX_free(ctx);
}
END_TEST

static int
accept_all(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

START_TEST(session_id_context_and_verify_mode_survive_the_listen_step)
{
    identity own = make_identity("own", NULL);
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    unsigned int len = 0;
    const uint8_t *id;
    pair *p;

    SSL_CTX_use_certificate(ctx, own.cert);
    SSL_CTX_use_PrivateKey(ctx, own.key);
    SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"mine", 4);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_all);
    p = pair_new(ctx, 1232);
    ck_assert_int_eq(SSL_use_certificate(p->client.ssl, own.cert), 1);
    ck_assert_int_eq(SSL_use_PrivateKey(p->client.ssl, own.key), 1);
    ck_assert(handshake(p));
    id = SSL_SESSION_get0_id_context(SSL_get_session(p->server.ssl), &len);
    ck_assert_uint_eq(len, 4);
    ck_assert_mem_eq(id, "mine", 4);
    ck_assert_ptr_nonnull(SSL_get0_peer_certificate(p->server.ssl));
    pair_free(p);
    SSL_CTX_free(ctx);
    free_identity(&own);
}
END_TEST

START_TEST(prepare_hardens_an_ssl_of_the_users_ctx)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    SSL *ssl = SSL_new(ctx);
    uint64_t options;

    dtlsl__tls_prepare(ssl, 1);
    ck_assert(!(SSL_get_options(ssl) & SSL_OP_NO_ENCRYPT_THEN_MAC));
    dtlsl__tls_prepare(ssl, 0);
    options = SSL_get_options(ssl);
    ck_assert(options & SSL_OP_NO_RENEGOTIATION);
    ck_assert(options & SSL_OP_NO_ENCRYPT_THEN_MAC);
    ck_assert_int_eq(SSL_get_max_proto_version(ssl), DTLS1_2_VERSION);
    ck_assert_int_eq(SSL_get_max_cert_list(ssl), 1024);
    ck_assert_int_eq((SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION) != 0,
                     0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}
END_TEST

START_TEST(prepare_keeps_the_users_max_cert_list_where_clients_are_verified)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    const long lists[] = {102400, 30000}; /* OpenSSL's own, and another */

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_all);
    for (int i = 0; i < 2; i++) {
        SSL *ssl;

        if (i > 0)
            SSL_CTX_set_max_cert_list(ctx, lists[i]);
        ssl = SSL_new(ctx);
        dtlsl__tls_prepare(ssl, 0);
        ck_assert_int_eq(SSL_get_max_cert_list(ssl), lists[i]);
        SSL_free(ssl);
    }
    SSL_CTX_free(ctx);
}
END_TEST

START_TEST(prepare_gives_a_session_id_context_where_clients_are_verified)
{
    identity own = make_identity("own", NULL);
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    unsigned int len = 0;
    pair *p;

    SSL_CTX_use_certificate(ctx, own.cert);
    SSL_CTX_use_PrivateKey(ctx, own.key);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_all);
    p = pair_new(ctx, 1232);
    dtlsl__tls_prepare(p->server.ssl, 0);
    ck_assert(handshake(p));
    SSL_SESSION_get0_id_context(SSL_get_session(p->server.ssl), &len);
    ck_assert_uint_gt(len, 0);
    pair_free(p);
    SSL_CTX_free(ctx);
    free_identity(&own);
}
END_TEST

START_TEST(a_users_ctx_is_checked_for_dtls)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX *dtls = SSL_CTX_new(DTLS_server_method());
    char err[256] = "";

    ck_assert_int_eq(dtlsl__tls_ctx_check(tls, err, sizeof(err)),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err, "DTLS_server_method"));
    ck_assert_int_eq(dtlsl__tls_ctx_check(dtls, err, sizeof(err)), DTLSL_OK);
    ck_assert(!dtlsl__tls_ctx_is_ours(dtls));
    SSL_CTX_free(tls);
    SSL_CTX_free(dtls);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        an_empty_error_queue_stays_empty,
        one_entry_of_the_application_is_given_back,
        a_full_error_queue_is_given_back_in_order,
        a_system_error_is_given_back,
        an_error_text_has_reason_and_data,
        the_listen_step_gives_the_error_queue_back,
        the_bio_gives_a_datagram_once_then_would_block,
        the_bio_cuts_a_datagram_that_does_not_fit,
        the_bio_asks_for_a_refused_write_again,
        the_bio_answers_openssls_questions,
        a_self_signed_server_completes_a_handshake,
        the_cookie_is_not_verified_a_second_time,
        the_listen_step_restores_ctx_bios_and_options,
        the_listen_step_works_without_bios_and_keeps_a_set_option,
        the_listen_step_refuses_junk_and_cookieless_hellos,
        the_listen_step_refuses_an_ssl_that_is_not_dtls,
#if OPENSSL_VERSION_MAJOR < 4
        a_fixed_version_method_survives_the_listen_step,
#endif
        the_mtu_of_the_bio_bounds_and_fills_the_flight,
        an_mtu_set_before_the_listen_step_is_kept,
        the_server_hello_has_the_number_of_the_hello_or_1,
        a_libssl_without_the_known_fixes_is_outdated,
        a_series_without_fixes_is_outdated_and_an_unknown_one_is_not,
        the_libssl_that_runs_is_told_of,
        callbacks_of_the_users_ctx_work_behind_the_listen_step,
        session_id_context_and_verify_mode_survive_the_listen_step,
        prepare_hardens_an_ssl_of_the_users_ctx,
        prepare_keeps_the_users_max_cert_list_where_clients_are_verified,
        prepare_gives_a_session_id_context_where_clients_are_verified,
        a_users_ctx_is_checked_for_dtls,
    };

    return test_main(
        test_suite("tls", tests, sizeof(tests) / sizeof(tests[0])));
}
