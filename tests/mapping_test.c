/* SPDX-License-Identifier: MIT
 * The table "COMING FROM DTLSV1_LISTEN" of dtlsl_gate(3), row by row and in
 * its order: what DTLSv1_listen() does, and what dtlsl_gate_listen(). */
#include "both.h"
#include <dlfcn.h>

enum {
    APPLICATION_ERROR = 77,
    ENOUGH = 1000 /* allocations for one call */
};

/* ---- OpenSSL's memory ---- */

static int memory_left = -1; /* that many allocations; all, if negative */

static int
is_left(void)
{
    if (memory_left > 0)
        memory_left--;
    else if (memory_left == 0)
        return 0;
    return 1;
}

static void *
take(size_t len, const char *file, int line)
{
    (void)file, (void)line;
    return is_left() ? malloc(len) : NULL;
}

static void *
take_again(void *data, size_t len, const char *file, int line)
{
    (void)file, (void)line;
    return is_left() ? realloc(data, len) : NULL;
}

static void
give_back(void *data, const char *file, int line)
{
    (void)file, (void)line;
    free(data);
}

/* ---- both ---- */

static int
listen_theirs_to(const datagram *d)
{
    wire_put(&theirs.wire, d);
    return listen_theirs();
}

/* The reason of the only entry of the error queue. */
static int
only_error(void)
{
    int reason = ERR_GET_REASON(ERR_get_error());

    ck_assert_uint_eq(ERR_peek_error(), 0);
    return reason;
}

static void
assert_no_error(void)
{
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

static void
assert_verdict(int32_t action, int32_t reason)
{
    ck_assert_int_eq(verdict.action, action);
    ck_assert_int_eq(verdict.reason, reason);
}

/* Both take the second ClientHello. */
static void
both_accept(void)
{
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(listen_ours(&second), 1);
}

static int
keeps_the_datagram(void)
{
    return OpenSSL_version_num() >= 0x30200000UL;
}

/* ---- what is returned ---- */

/* returns 1 */
START_TEST(returns_1)
{
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(listen_ours(&second), 1);
    assert_verdict(DTLSL_ACCEPT, DTLSL_REASON_NONE);
    ck_assert_int_eq(accept_on(&theirs), GOES_ON);
    ck_assert_int_eq(accept_on(&ours), GOES_ON);
}
END_TEST

/* returns 0 after HelloVerifyRequests, when no other datagram is there */
START_TEST(returns_0_after_a_hello_verify_request)
{
    wire_put(&theirs.wire, &first);
    wire_put(&theirs.wire, &first);
    ck_assert_int_eq(listen_theirs(), 0);
    ck_assert_int_eq(theirs.wire.writes, 2);
    assert_no_error();
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    ck_assert_int_eq(ours.wire.writes, 0);
    ck_assert_uint_eq(verdict.reply_len, theirs.wire.out_len);
    ck_assert_mem_eq(reply, theirs.wire.out, theirs.wire.out_len);
    /* Theirs goes on reading and ends with what comes next. */
    wire_put(&theirs.wire, &first);
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(theirs.wire.writes, 1);
}
END_TEST

/* returns 0 after an unusable datagram */
START_TEST(returns_0_after_an_unusable_datagram)
{
    static datagram junk;

    junk = second;
    junk.data[0] = 99;
    wire_put(&theirs.wire, &junk);
    ck_assert_int_eq(listen_theirs_to(&second), 0);
    ck_assert_int_eq(only_error(), SSL_R_UNEXPECTED_MESSAGE);
    ck_assert_int_eq(theirs.wire.writes, 0);
    ck_assert_int_eq(listen_theirs(), 1);
    ck_assert_int_eq(listen_ours(&junk), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_TYPE);
    ck_assert_int_eq(listen_ours(&second), 1);
}
END_TEST

/* returns 0 when there is nothing to read */
START_TEST(returns_0_when_there_is_nothing_to_read)
{
    ck_assert_int_eq(listen_theirs(), 0);
    assert_no_error();
    ck_assert_int_eq(
        dtlsl_gate_listen(gate, ours.ssl, &path, NULL, 0, &now, &verdict), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_SHORT);
    assert_no_error();
}
END_TEST

/* the verify callback says no: as without a cookie */
START_TEST(returns_0_when_the_verify_callback_says_no)
{
    int replies = 0;

    second.data[AT_COOKIE + 1] ^= 1;
    ck_assert_int_eq(listen_theirs_to(&second), 0);
    ck_assert_int_eq(verifies, 1);
    ck_assert_int_eq(listen_ours(&second), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    ck_assert_uint_eq(verdict.reply_len, theirs.wire.out_len);
    ck_assert_mem_eq(reply, theirs.wire.out, theirs.wire.out_len);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(listen_theirs_to(&second), 0);
        replies += theirs.wire.writes;
    }
    ck_assert_int_eq(replies, 100);
    for (replies = 0; verdict.action == DTLSL_REPLY; replies++)
        ck_assert_int_eq(listen_ours(&second), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_BAD_COOKIE);
    ck_assert_int_eq(replies, 64);
}
END_TEST

/* returns -1 after an empty datagram */
START_TEST(returns_minus_1_after_an_empty_datagram)
{
    static const datagram empty;

    ck_assert_int_eq(listen_theirs_to(&empty), -1);
    assert_no_error();
    ck_assert_int_eq(listen_ours(&empty), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_SHORT);
    ck_assert_int_eq(listen_ours(&second), 1);
}
END_TEST

/* returns -1 when the BIO fails to read or write, 0 when it would block */
START_TEST(returns_minus_1_when_the_bio_fails)
{
    theirs.wire.read_mode = ours.wire.read_mode = BREAKS;
    ck_assert_int_eq(listen_theirs_to(&second), -1);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    theirs.wire.read_mode = ours.wire.read_mode = WORKS;
    ck_assert_int_eq(listen_theirs(), 1);
    theirs.wire.write_mode = ours.wire.write_mode = BREAKS;
    ck_assert_int_eq(listen_theirs_to(&first), -1);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    theirs.wire.write_mode = ours.wire.write_mode = BLOCKS;
    wire_put(&theirs.wire, &first);
    ck_assert_int_eq(listen_theirs_to(&second), 0);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
}
END_TEST

/* returns -1 when the generate callback fails */
START_TEST(returns_minus_1_when_the_generate_callback_fails)
{
    mint_fails = 1;
    ck_assert_int_eq(listen_theirs_to(&first), -1);
    ck_assert_int_eq(only_error(), SSL_R_COOKIE_GEN_CALLBACK_FAILURE);
    ck_assert_int_eq(theirs.wire.writes, 0);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_STRATEGY);
    assert_no_error();
}
END_TEST

/* returns -1 without cookie callbacks */
START_TEST(returns_minus_1_without_cookie_callbacks)
{
    SSL_CTX_set_cookie_generate_cb(ctx, NULL);
    SSL_CTX_set_cookie_verify_cb(ctx, NULL);
    ck_assert_int_eq(listen_theirs_to(&first), -1);
    ck_assert_int_eq(only_error(), SSL_R_COOKIE_GEN_CALLBACK_FAILURE);
    ck_assert_int_eq(listen_theirs_to(&second), -1);
    ck_assert_int_eq(only_error(), SSL_R_NO_VERIFY_COOKIE_CALLBACK);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    ck_assert_int_eq(listen_ours(&second), 1);
    ck_assert_int_eq(accept_on(&ours), GOES_ON);
}
END_TEST

/* returns -1 without a BIO */
START_TEST(returns_minus_1_without_a_bio)
{
    SSL_set_bio(theirs.ssl, NULL, NULL);
    SSL_set_bio(ours.ssl, NULL, NULL);
    ck_assert_int_eq(listen_theirs(), -1);
    ck_assert_int_eq(only_error(), SSL_R_BIO_NOT_SET);
    ck_assert_int_eq(listen_ours(&second), 1);
    ck_assert_ptr_null(SSL_get_rbio(ours.ssl));
    ck_assert_ptr_null(SSL_get_wbio(ours.ssl));
}
END_TEST

/* returns -1 when the SSL is not for DTLS */
START_TEST(returns_minus_1_when_the_ssl_is_not_for_dtls)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    both_renew(tls);
    ck_assert_int_eq(listen_theirs_to(&second), -1);
    ck_assert_int_eq(only_error(), SSL_R_UNSUPPORTED_SSL_VERSION);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_int_eq(listen_ours(&second), DTLSL_ERR_TLS);
    assert_no_error();
    SSL_CTX_free(tls);
}
END_TEST

/* returns -1 without memory */
START_TEST(returns_minus_1_without_memory)
{
    int n = 0;

    memory_left = 0;
    ck_assert_int_eq(listen_theirs_to(&first), -1);
    ck_assert_int_eq(listen_ours(&first), 0);
    memory_left = -1;
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    ck_assert_int_eq(listen_ours(&second), 1); /* what is made once */
    for (int32_t result = -1; result < 0; n++) {
        both_renew(ctx);
        memory_left = n;
        result = listen_ours(&second);
        memory_left = -1;
        ck_assert(result == 1 || result == DTLSL_ERR_TLS);
        ck_assert_int_lt(n, ENOUGH);
        assert_no_error();
    }
    ck_assert_int_gt(n, 3);
    ck_assert_int_eq(accept_on(&ours), GOES_ON);
}
END_TEST

/* ---- what else is given ---- */

/* fills in the peer's BIO_ADDR, or clears it when the BIO does not know */
START_TEST(fills_in_the_peer_s_bio_addr)
{
    struct in_addr address = {0};
    size_t len = sizeof(address);

    both_accept();
    ck_assert_int_eq(BIO_ADDR_family(peer), AF_INET);
    ck_assert_int_eq(BIO_ADDR_rawaddress(peer, &address, &len), 1);
    ck_assert_uint_eq(ntohl(address.s_addr), 0xc0000201);
    ck_assert_uint_eq(ntohs(BIO_ADDR_rawport(peer)), 40000);
    ck_assert_int_gt(theirs.wire.ctrls, 0);
    ck_assert_int_eq(ours.wire.ctrls, 0);
    both_renew(ctx);
    theirs.wire.is_unknown = 1;
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(BIO_ADDR_family(peer), AF_UNSPEC);
}
END_TEST

/* clears the error queue, leaves an entry per unusable datagram */
START_TEST(clears_the_error_queue)
{
    static datagram junk;

    junk = first;
    junk.data[0] = 99;
    ERR_raise(ERR_LIB_USER, APPLICATION_ERROR);
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    assert_no_error();
    ERR_raise(ERR_LIB_USER, APPLICATION_ERROR);
    ck_assert_int_eq(listen_theirs_to(&junk), 0);
    ck_assert_int_eq(only_error(), SSL_R_UNEXPECTED_MESSAGE);
    ERR_raise(ERR_LIB_USER, APPLICATION_ERROR);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_int_eq(listen_ours(&junk), 0);
    ck_assert_int_eq(listen_ours(&second), 1);
    ck_assert_int_eq(only_error(), APPLICATION_ERROR);
}
END_TEST

/* what follows the ClientHello in its datagram: lost in OpenSSL 3.0 and 3.1,
 * since 3.2 read by SSL_accept() */
START_TEST(the_datagram_behind_the_hello)
{
    static const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0,
                                    0,  0,    9,    0, 2, 2, 40};
    size_t hello_len = second.len;

    memcpy(second.data + second.len, alert, sizeof(alert));
    second.len += sizeof(alert);
    both_accept();
    ck_assert_uint_eq(verdict.record_len, hello_len);
    ck_assert_int_eq(accept_on(&theirs),
                     keeps_the_datagram() ? REFUSES : GOES_ON);
    ck_assert_int_eq(accept_on(&ours), GOES_ON);
}
END_TEST

/* calls the msg_callback for each record and message */
START_TEST(calls_the_msg_callback)
{
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_int_gt(theirs.messages, 0);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_int_eq(ours.messages, 0);
    theirs.messages = 0;
    both_accept();
    ck_assert_int_gt(theirs.messages, 0);
    ck_assert_int_eq(ours.messages, theirs.messages);
}
END_TEST

/* ---- cookies ---- */

/* asks the cookie callbacks of the SSL_CTX */
START_TEST(asks_the_cookie_callbacks_of_the_ssl_ctx)
{
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_int_eq(listen_ours(&second), 1);
    ck_assert_int_eq(mints + verifies, 0);
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_int_eq(mints, 1);
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(verifies, 1);
}
END_TEST

/* the callbacks see no ClientHello */
START_TEST(callbacks_see_no_client_hello)
{
    SSL *ssl = theirs.ssl;
    uint8_t random[32], zero[32] = {0};

    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_uint_eq(SSL_get_client_random(ssl, random, 32), 32);
    ck_assert_mem_eq(random, zero, 32);
    seen_core = seen_tail = 0;
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_uint_eq(seen_core, 2 + 32 + 1);
    ck_assert_uint_gt(seen_tail, 4);
}
END_TEST

/* takes a negative number from a callback as a success */
START_TEST(takes_a_negative_number_as_a_success)
{
    is_negative = 1;
    second.data[AT_COOKIE + 1] ^= 1;
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_int_eq(theirs.wire.writes, 1);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_STRATEGY);
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(listen_ours(&second), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_STRATEGY);
}
END_TEST

/* sends an empty cookie, and returns -1 when it is of more than 255 bytes */
START_TEST(sends_an_empty_cookie)
{
    mint_len = 0;
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_uint_eq(theirs.wire.out_len, 28);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_STRATEGY);
    mint_len = 256;
    ck_assert_int_eq(listen_theirs_to(&first), -1);
    ck_assert_int_eq(only_error(), SSL_R_COOKIE_GEN_CALLBACK_FAILURE);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_STRATEGY);
}
END_TEST

/* sends a HelloVerifyRequest that is longer than the datagram */
START_TEST(sends_a_longer_hello_verify_request)
{
    mint_len = 255;
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_uint_gt(theirs.wire.out_len, first.len);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_DROP, DTLSL_REASON_DROP_AMPLIFY);
}
END_TEST

/* sets SSL_OP_COOKIE_EXCHANGE: SSL_accept() asks the verify callback again */
START_TEST(sets_ssl_op_cookie_exchange)
{
    both_accept();
    ck_assert(SSL_get_options(theirs.ssl) & SSL_OP_COOKIE_EXCHANGE);
    ck_assert(!(SSL_get_options(ours.ssl) & SSL_OP_COOKIE_EXCHANGE));
    ck_assert_int_eq(verifies, 1);
    ck_assert_int_eq(accept_on(&ours), GOES_ON);
    ck_assert_int_eq(verifies, 1);
    ck_assert_int_eq(accept_on(&theirs), GOES_ON);
    ck_assert_int_eq(verifies, 2);
}
END_TEST

/* ---- the SSL ---- */

/* calls SSL_clear() every time */
START_TEST(clears_the_ssl_in_every_call)
{
    SSL_set_shutdown(theirs.ssl, SSL_SENT_SHUTDOWN);
    SSL_set_shutdown(ours.ssl, SSL_SENT_SHUTDOWN);
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_int_eq(SSL_get_shutdown(theirs.ssl), 0);
    ck_assert_int_eq(SSL_get_shutdown(ours.ssl), SSL_SENT_SHUTDOWN);
    ck_assert_int_eq(SSL_in_before(ours.ssl), 1);
    both_accept();
    ck_assert_int_eq(SSL_get_shutdown(ours.ssl), 0);
}
END_TEST

static int
on_certificate(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static void
on_info(const SSL *ssl, int where, int result)
{
    side *s = SSL_get_app_data(ssl);

    (void)where, (void)result;
    s->infos++;
}

/* keeps options, modes, callbacks, ex_data and BIOs of the SSL */
START_TEST(keeps_options_and_bios)
{
    side *sides[] = {&theirs, &ours};
    uint64_t options = SSL_get_options(ours.ssl);
    uint64_t ctx_options = SSL_CTX_get_options(ctx);
    BIO *bio[2];

    for (int i = 0; i < 2; i++) {
        bio[i] = SSL_get_rbio(sides[i]->ssl);
        SSL_set_app_data(sides[i]->ssl, sides[i]);
        SSL_set_verify(sides[i]->ssl, SSL_VERIFY_PEER, on_certificate);
        SSL_set_info_callback(sides[i]->ssl, on_info);
        SSL_set_mode(sides[i]->ssl, SSL_MODE_RELEASE_BUFFERS);
        SSL_set_security_level(sides[i]->ssl, 3);
    }
    both_accept();
    for (int i = 0; i < 2; i++) {
        SSL *ssl = sides[i]->ssl;

        ck_assert_ptr_eq(SSL_get_rbio(ssl), bio[i]);
        ck_assert_ptr_eq(SSL_get_wbio(ssl), bio[i]);
        ck_assert_ptr_eq(SSL_get_SSL_CTX(ssl), ctx);
        ck_assert_ptr_eq(SSL_get_app_data(ssl), sides[i]);
        ck_assert_int_eq(SSL_get_verify_mode(ssl), SSL_VERIFY_PEER);
        ck_assert(SSL_get_verify_callback(ssl) == on_certificate);
        ck_assert(SSL_get_info_callback(ssl) == on_info);
        ck_assert(SSL_get_mode(ssl) & SSL_MODE_RELEASE_BUFFERS);
        ck_assert_int_eq(SSL_get_security_level(ssl), 3);
        ck_assert_uint_eq(SSL_get_options(ssl) & ~SSL_OP_COOKIE_EXCHANGE,
                          options);
    }
    ck_assert_uint_eq(SSL_CTX_get_options(ctx), ctx_options);
    ck_assert_int_eq(ours.wire.writes, 0);
    for (int i = 0; i < 2; i++) {
        sides[i]->infos = sides[i]->messages = 0;
        ck_assert_int_eq(accept_on(sides[i]), GOES_ON);
        ck_assert_int_gt(sides[i]->infos, 0);
        ck_assert_int_gt(sides[i]->messages, 0);
    }
}
END_TEST

static int
on_choice(SSL *ssl, void *asked)
{
    (void)ssl;
    ++*(int *)asked;
    return 1;
}

/* keeps the certificates of the SSL and its cert_cb */
START_TEST(keeps_the_certificates_of_the_ssl)
{
    int asked[2] = {0, 0};
    identity id;

    identity_make(&id, "of the SSL");
    SSL_set_cert_cb(theirs.ssl, on_choice, &asked[0]);
    SSL_set_cert_cb(ours.ssl, on_choice, &asked[1]);
    ck_assert_int_eq(SSL_use_certificate(theirs.ssl, id.cert), 1);
    ck_assert_int_eq(SSL_use_certificate(ours.ssl, id.cert), 1);
    both_accept();
    ck_assert_ptr_eq(SSL_get_certificate(theirs.ssl), id.cert);
    ck_assert_ptr_ne(SSL_get_certificate(ours.ssl), id.cert);
    ck_assert_ptr_eq(SSL_get_certificate(ours.ssl),
                     SSL_CTX_get0_certificate(ctx));
    accept_on(&theirs);
    accept_on(&ours);
    ck_assert_int_eq(asked[0], 1);
    ck_assert_int_eq(asked[1], 0);
    identity_free(&id);
}
END_TEST

/* loses the MTU, unless SSL_OP_NO_QUERY_MTU is set */
START_TEST(loses_the_mtu)
{
    enum {
        SMALL = 300
    };

    SSL_set_mtu(theirs.ssl, SMALL);
    SSL_set_mtu(ours.ssl, SMALL);
    both_accept();
    ck_assert_int_eq(accept_on(&theirs), GOES_ON);
    ck_assert_int_eq(accept_on(&ours), GOES_ON);
    ck_assert_uint_gt(theirs.wire.longest, SMALL);
    ck_assert_uint_le(ours.wire.longest, SMALL);
    both_renew(ctx);
    SSL_set_options(theirs.ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(theirs.ssl, SMALL);
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    ck_assert_int_eq(accept_on(&theirs), GOES_ON);
    ck_assert_uint_le(theirs.wire.longest, SMALL);
}
END_TEST

/* after 1: the SSL accepts, in a handshake that has begun */
START_TEST(makes_it_an_accepting_ssl)
{
    ck_assert_int_eq(SSL_in_before(theirs.ssl), 1);
    ck_assert_int_eq(SSL_in_before(ours.ssl), 1);
    both_accept();
    ck_assert_int_eq(SSL_is_server(theirs.ssl), 1);
    ck_assert_int_eq(SSL_is_server(ours.ssl), 1);
    ck_assert_int_eq(SSL_in_before(theirs.ssl), 0);
    ck_assert_int_eq(SSL_in_before(ours.ssl), 0);
    ck_assert_int_eq(SSL_in_init(theirs.ssl), 1);
    ck_assert_int_eq(SSL_in_init(ours.ssl), 1);
    ck_assert_int_eq(SSL_get_state(ours.ssl), SSL_get_state(theirs.ssl));
}
END_TEST

static int
goes_on_with_another_bio(side *s)
{
    BIO *bio = BIO_new(method);

    BIO_set_data(bio, &s->wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    return accept_on(s);
}

/* after 1: the ClientHello is in the SSL, SSL_pending() is 0 */
START_TEST(puts_the_client_hello_into_the_ssl)
{
    both_accept();
    ck_assert_int_eq(SSL_pending(theirs.ssl), 0);
    ck_assert_int_eq(SSL_pending(ours.ssl), 0);
    ck_assert_int_eq(SSL_has_pending(theirs.ssl), 0);
    ck_assert_int_eq(SSL_has_pending(ours.ssl), 0);
    ck_assert_int_eq(goes_on_with_another_bio(&theirs), GOES_ON);
    ck_assert_int_eq(goes_on_with_another_bio(&ours), GOES_ON);
}
END_TEST

/* after 1: no timer runs */
START_TEST(starts_no_timer)
{
    struct timeval left;

    both_accept();
    ck_assert_int_eq((int)DTLSv1_get_timeout(theirs.ssl, &left), 0);
    ck_assert_int_eq((int)DTLSv1_get_timeout(ours.ssl, &left), 0);
    accept_on(&theirs);
    accept_on(&ours);
    ck_assert_int_eq((int)DTLSv1_get_timeout(theirs.ssl, &left), 1);
    ck_assert_int_eq((int)DTLSv1_get_timeout(ours.ssl, &left), 1);
}
END_TEST

/* The ClientHello was number 1, then: what follows it is the next. */
static void
assert_takes_number_2(side *s)
{
    static datagram third;

    ck_assert_int_eq(accept_on(s), GOES_ON);
    client_feed(caller, s->wire.out, s->wire.out_len);
    caller_gives(&third);
    ck_assert_uint_eq(dtlsl__get16(second.data + AT_MESSAGE_SEQ), 1);
    ck_assert_uint_eq(dtlsl__get16(third.data + AT_MESSAGE_SEQ), 2);
    wire_put(&s->wire, &third);
    ck_assert_int_eq(SSL_accept(s->ssl), 1);
}

/* after 1: message_seq 1 comes next, in both directions */
START_TEST(message_seq)
{
    both_accept();
    accept_on(&theirs);
    accept_on(&ours);
    ck_assert_uint_eq(dtlsl__get16(theirs.wire.out + AT_MESSAGE_SEQ), 1);
    ck_assert_uint_eq(dtlsl__get16(ours.wire.out + AT_MESSAGE_SEQ), 1);
    both_renew(ctx);
    call(NULL);
    ck_assert_int_eq(listen_theirs_to(&second), 1);
    assert_takes_number_2(&theirs);
    call(NULL);
    ck_assert_int_eq(listen_ours(&second), 1);
    assert_takes_number_2(&ours);
}
END_TEST

/* after 1: records are numbered from the ClientHello's number, in OpenSSL 3.2
 * to 4.0 from 1 */
START_TEST(record_numbers)
{
    const uint64_t number = 0x1234567;
    uint64_t next;

    dtlsl__put48(first.data + AT_RECORD_SEQ, number);
    dtlsl__put48(second.data + AT_RECORD_SEQ, number);
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_uint_eq(dtlsl__get48(theirs.wire.out + AT_RECORD_SEQ), number);
    ck_assert_uint_eq(dtlsl__get48(reply + AT_RECORD_SEQ), number);
    both_accept();
    accept_on(&theirs);
    accept_on(&ours);
    next = dtlsl__get48(theirs.wire.out + AT_RECORD_SEQ);
    ck_assert_uint_eq(dtlsl__get48(ours.wire.out + AT_RECORD_SEQ), next);
    /* A repaired libssl of those versions would be right, too. */
    ck_assert(next == number ||
              (next == 1 && OpenSSL_version_num() >= 0x30200000UL));
}
END_TEST

/* fixed-version methods, gone in OpenSSL 4.0, refuse older versions and answer
 * in their own */
START_TEST(with_a_fixed_version_method)
{
    /* Looked up, as OpenSSL 4.0 has none of these. */
    void *symbol = dlsym(RTLD_DEFAULT, "DTLSv1_2_server_method");
    const SSL_METHOD *(*make)(void);
    SSL_CTX *fixed;

    if (symbol == NULL) {
        ck_assert_uint_ge(OpenSSL_version_num(), 0x40000000UL);
        return;
    }
    memcpy(&make, &symbol, sizeof(make));
    fixed = SSL_CTX_new(make());
    SSL_CTX_set_cookie_generate_cb(fixed, on_generate);
    SSL_CTX_set_cookie_verify_cb(fixed, on_verify);
    both_renew(fixed);
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_uint_eq(dtlsl__get16(theirs.wire.out + AT_RECORD_VERSION),
                      0xfefd);
    ck_assert_int_eq(listen_ours(&first), 0);
    ck_assert_uint_eq(dtlsl__get16(reply + AT_RECORD_VERSION), 0xfeff);
    first.data[AT_BODY + 1] = 0xff; /* DTLS 1.0 */
    ck_assert_int_eq(listen_theirs_to(&first), 0);
    ck_assert_int_eq(only_error(), SSL_R_WRONG_VERSION_NUMBER);
    ck_assert_int_eq(theirs.wire.writes, 0);
    ck_assert_int_eq(listen_ours(&first), 0);
    assert_verdict(DTLSL_REPLY, DTLSL_REASON_NONE);
    SSL_CTX_free(fixed);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        returns_1,
        returns_0_after_a_hello_verify_request,
        returns_0_after_an_unusable_datagram,
        returns_0_when_there_is_nothing_to_read,
        returns_0_when_the_verify_callback_says_no,
        returns_minus_1_after_an_empty_datagram,
        returns_minus_1_when_the_bio_fails,
        returns_minus_1_when_the_generate_callback_fails,
        returns_minus_1_without_cookie_callbacks,
        returns_minus_1_without_a_bio,
        returns_minus_1_when_the_ssl_is_not_for_dtls,
        returns_minus_1_without_memory,
        fills_in_the_peer_s_bio_addr,
        clears_the_error_queue,
        the_datagram_behind_the_hello,
        calls_the_msg_callback,
        asks_the_cookie_callbacks_of_the_ssl_ctx,
        callbacks_see_no_client_hello,
        takes_a_negative_number_as_a_success,
        sends_an_empty_cookie,
        sends_a_longer_hello_verify_request,
        sets_ssl_op_cookie_exchange,
        clears_the_ssl_in_every_call,
        keeps_options_and_bios,
        keeps_the_certificates_of_the_ssl,
        loses_the_mtu,
        makes_it_an_accepting_ssl,
        puts_the_client_hello_into_the_ssl,
        starts_no_timer,
        message_seq,
        record_numbers,
        with_a_fixed_version_method,
    };
    Suite *suite = suite_create("mapping");
    TCase *rows = tcase_create("rows");

    if (!CRYPTO_set_mem_functions(take, take_again, give_back))
        return EXIT_FAILURE;
    tcase_add_checked_fixture(rows, both_open, both_close);
    tcase_set_timeout(rows, 120);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(rows, tests[i]);
    suite_add_tcase(suite, rows);
    return test_main(suite);
}
