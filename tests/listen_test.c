/* SPDX-License-Identifier: MIT
 * dtlsl_gate_listen() and dtlsl_gate_accept() against an OpenSSL client in
 * memory. A memory BIO stands for each direction: what lies in one when it is
 * read is taken as one datagram. What DTLSv1_listen() does beside it, see
 * mapping_test.c. */
#include "gate.h"
#include "tls.h"
#include "test.h"
#include <dtlslisten/gate.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    MTU = 1200,
    APPLICATION_ERROR = 77
};

static dtlsl_config *config;
static dtlsl_gate *gate;
static SSL_CTX *server_ctx;
static SSL_CTX *client_ctx;
static SSL *server;
static SSL *client;
static BIO *to_server; /* owned by the SSL objects */
static BIO *to_client;

static dtlsl_path path;
static const dtlsl_now now = {5000000, 1795300000000};
static dtlsl_verdict verdict;
static uint8_t reply[DTLSL_REPLY_MAX];
static uint8_t datagram[16384];
static size_t datagram_len;

static BIO *
memory_bio(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_ptr_nonnull(bio);
    BIO_set_mem_eof_return(bio, -1);
    return bio;
}

static SSL *
new_ssl(SSL_CTX *ctx, BIO *rbio, BIO *wbio, unsigned mtu)
{
    SSL *ssl = SSL_new(ctx);

    ck_assert_ptr_nonnull(ssl);
    BIO_up_ref(rbio);
    BIO_up_ref(wbio);
    SSL_set_bio(ssl, rbio, wbio);
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl, mtu);
    return ssl;
}

static void
setup_with_mtu(unsigned mtu)
{
    dtlsl__tls_options options = {.self_signed = 1};
    char err[256] = "";

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_gate_new(&gate, config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_gate_tick(gate, &now, NULL), DTLSL_OK);
    ck_assert_msg(dtlsl__tls_ctx_new(&server_ctx, &options, err,
                                     sizeof(err)) == DTLSL_OK,
                  "%s", err);
    client_ctx = SSL_CTX_new(DTLS_client_method());
    to_server = memory_bio();
    to_client = memory_bio();
    server = new_ssl(server_ctx, to_server, to_client, MTU);
    client = new_ssl(client_ctx, to_client, to_server, mtu);
    memset(&path, 0, sizeof(path));
    memset(path.peer + 10, 0xff, 2);
    memset(path.peer + 12, 0x0a, 6);
    verdict.size = sizeof(verdict);
    verdict.reply = reply;
    verdict.reply_cap = sizeof(reply);
    ERR_clear_error();
}

static void
setup(void)
{
    setup_with_mtu(MTU);
}

static void
teardown(void)
{
    SSL_free(server);
    SSL_free(client);
    BIO_free(to_server);
    BIO_free(to_client);
    SSL_CTX_free(client_ctx);
    dtlsl__tls_ctx_free(server_ctx);
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
}

/* Lets the client run until it waits; what it sent is the datagram. */
static void
client_sends(void)
{
    int len;

    ck_assert_int_le(SSL_connect(client), 0);
    len = BIO_read(to_server, datagram, sizeof(datagram));
    ck_assert_int_gt(len, 0);
    datagram_len = (size_t)len;
    ERR_clear_error();
}

static int32_t
listen_once(void)
{
    return dtlsl_gate_listen(gate, server, &path, datagram, datagram_len, &now,
                             &verdict);
}

/* Up to the second ClientHello, which is left in 'datagram'. */
static void
exchange_cookie(void)
{
    client_sends();
    ck_assert_int_eq(listen_once(), 0);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    ck_assert_int_eq(BIO_write(to_client, reply, (int)verdict.reply_len),
                     (int)verdict.reply_len);
    client_sends();
}

static void
finish_handshake(void)
{
    int done = 0;

    for (int turn = 0; turn < 10 && !done; turn++) {
        int accepted = SSL_accept(server);
        int connected;

        if (accepted <= 0)
            ck_assert_int_eq(SSL_get_error(server, accepted),
                             SSL_ERROR_WANT_READ);
        connected = SSL_connect(client);
        if (connected <= 0)
            ck_assert_int_eq(SSL_get_error(client, connected),
                             SSL_ERROR_WANT_READ);
        done = accepted == 1 && connected == 1;
    }
    ck_assert_int_eq(done, 1);
}

static void
assert_echo(void)
{
    char buf[16];

    ck_assert_int_eq(SSL_write(client, "hello", 5), 5);
    ck_assert_int_eq(SSL_read(server, buf, sizeof(buf)), 5);
    ck_assert_int_eq(SSL_write(server, buf, 5), 5);
    memset(buf, 0, sizeof(buf));
    ck_assert_int_eq(SSL_read(client, buf, sizeof(buf)), 5);
    ck_assert_mem_eq(buf, "hello", 5);
}

START_TEST(listen_and_ssl_accept_complete_a_handshake)
{
    setup();
    exchange_cookie();
    ck_assert_int_eq(listen_once(), 1);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_uint_eq(verdict.record_len, datagram_len);
    finish_handshake();
    assert_echo();
    teardown();
}
END_TEST

START_TEST(a_cookie_from_another_port_is_not_accepted)
{
    setup();
    exchange_cookie();
    path.peer[17] ^= 1;
    ck_assert_int_eq(listen_once(), 0);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    path.peer[17] ^= 1;
    ck_assert_int_eq(listen_once(), 1);
    finish_handshake();
    teardown();
}
END_TEST

static void
assert_only_the_applications_error(void)
{
    ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()), APPLICATION_ERROR);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(a_fragmented_hello_completes_through_its_first_fragment)
{
    size_t rest;

    setup_with_mtu(256);
    /* Makes the ClientHello longer than the MTU. */
    SSL_set_tlsext_host_name(client, "a-host-name-that-is-rather-long.an-"
                                     "example-of-a-domain.test");
    ck_assert_int_eq(
        SSL_set_cipher_list(client, "ALL:COMPLEMENTOFALL:@SECLEVEL=0"), 1);
    exchange_cookie();
    ck_assert_int_eq(listen_once(), 1);
    ck_assert_uint_lt(verdict.record_len, datagram_len);
    rest = datagram_len - verdict.record_len;
    BIO_write(to_server, datagram + verdict.record_len, (int)rest);
    finish_handshake();
    assert_echo();
    teardown();
}
END_TEST

START_TEST(accept_takes_a_hello_that_was_judged)
{
    setup();
    exchange_cookie();
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, datagram, datagram_len, &now, &verdict),
        DTLSL_OK);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ERR_raise(ERR_LIB_USER, APPLICATION_ERROR);
    ck_assert_int_eq(dtlsl_gate_accept(server, datagram, datagram_len), 1);
    assert_only_the_applications_error();
    finish_handshake();
    assert_echo();
    teardown();
}
END_TEST

START_TEST(accept_refuses_what_no_gate_accepts)
{
    setup();
    client_sends();
    ck_assert_int_eq(dtlsl_gate_accept(server, datagram, datagram_len),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_accept(server, (const uint8_t *)"junk", 4),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_accept(server, NULL, 0), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_accept(NULL, datagram, datagram_len),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(SSL_in_before(server), 1);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    teardown();
}
END_TEST

START_TEST(broken_arguments_are_negative)
{
    setup();
    client_sends();
    ck_assert_int_eq(dtlsl_gate_listen(gate, NULL, &path, datagram,
                                       datagram_len, &now, &verdict),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_listen(NULL, server, &path, datagram,
                                       datagram_len, &now, &verdict),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_listen(gate, server, &path, datagram,
                                       datagram_len, &now, NULL),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "received"), 0);
    teardown();
}
END_TEST

START_TEST(one_ssl_serves_until_a_hello_is_accepted)
{
    setup();
    client_sends();
    for (int i = 0; i < 100; i++) {
        path.peer[17] = (uint8_t)i;
        ck_assert_int_eq(listen_once(), 0);
        ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    }
    BIO_write(to_client, reply, (int)verdict.reply_len);
    client_sends();
    ck_assert_int_eq(listen_once(), 1);
    finish_handshake();
    teardown();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        listen_and_ssl_accept_complete_a_handshake,
        a_cookie_from_another_port_is_not_accepted,
        a_fragmented_hello_completes_through_its_first_fragment,
        accept_takes_a_hello_that_was_judged,
        accept_refuses_what_no_gate_accepts,
        broken_arguments_are_negative,
        one_ssl_serves_until_a_hello_is_accepted,
    };

    return test_main(
        test_suite("listen", tests, sizeof(tests) / sizeof(tests[0])));
}
