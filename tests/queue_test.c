/* SPDX-License-Identifier: MIT
 * OpenSSL's error queue belongs to the thread: what SSL_get_error() says of
 * the application's own SSL objects must not depend on what strangers send
 * here. */
#include "gate.h"
#include "test.h"
#include "world.h"
#include <openssl/err.h>

/* The application's own SSL, in the middle of something. */
static struct {
    SSL_CTX *server_ctx, *client_ctx;
    SSL *ssl;
    int kind;
    int result;
    int said;
    unsigned long first;
} app;

enum {
    WAITING,     /* SSL_connect wants to read */
    ENDED,       /* SSL_connect at the end of its transport */
    FAILED,      /* SSL_accept of junk: its reason is in the queue */
    LEFT_BEHIND, /* waiting, with an entry of somebody else's in the queue */
    KINDS
};

static void
give_bio(SSL *ssl, const char *data, int eof)
{
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(out);
    BIO_set_mem_eof_return(in, eof);
    if (data != NULL)
        ck_assert_int_gt(BIO_puts(in, data), 0);
    SSL_set_bio(ssl, in, out);
}

/* Before each call of the engine: an operation that did not succeed. */
static void
operate(void)
{
    SSL_free(app.ssl);
    ERR_clear_error();
    app.ssl = SSL_new(app.kind == FAILED ? app.server_ctx : app.client_ctx);
    ck_assert_ptr_nonnull(app.ssl);
    give_bio(app.ssl, app.kind == FAILED ? "GET / HTTP/1.0\r\n\r\n" : NULL,
             app.kind == ENDED ? 0 : -1);
    app.result =
        app.kind == FAILED ? SSL_accept(app.ssl) : SSL_connect(app.ssl);
    ck_assert_int_le(app.result, 0);
    if (app.kind == LEFT_BEHIND)
        ERR_raise(ERR_LIB_USER, 7);
    app.said = SSL_get_error(app.ssl, app.result);
    app.first = ERR_peek_error();
}

/* ... and after it. */
static void
ask_again(void)
{
    ck_assert_int_eq(SSL_get_error(app.ssl, app.result), app.said);
    ck_assert_uint_eq(ERR_peek_error(), app.first);
}

static void
app_open(int kind)
{
    app.kind = kind;
    app.server_ctx = SSL_CTX_new(TLS_server_method());
    app.client_ctx = SSL_CTX_new(TLS_client_method());
    ck_assert_ptr_nonnull(app.server_ctx);
    ck_assert_ptr_nonnull(app.client_ctx);
}

static void
app_close(void)
{
    SSL_free(app.ssl);
    app.ssl = NULL;
    SSL_CTX_free(app.server_ctx);
    SSL_CTX_free(app.client_ctx);
    ERR_clear_error();
}

/* What strangers and peers can do. */

static void
throw_junk(world *w, const dtlsl_path *path)
{
    static const uint8_t body[80] = {1};
    uint8_t record[128];

    for (uint8_t type = 19; type < 27; type++)
        for (uint16_t epoch = 0; epoch < 3; epoch++)
            for (size_t len = 0; len < sizeof(body); len += 13)
                world_input(
                    w, path, record,
                    make_record(record, type, epoch, 90 + len, body, len));
}

static void
fail_handshakes(world *w)
{
    client_options options = {.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"};
    client *c = world_client(w, &options);
    dtlsl_path path = world_path(70, 4000);
    uint8_t forged[64], hello[HELLO_ROOM];
    size_t len;

    world_pump(w);
    ck_assert(client_is_dead(c));
    world_drop_client(w, c);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    world_input(w, &path, forged, make_message(forged, 2, 16, 2, 32, 0, 32));
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 2);
    path = world_path(71, 4000);
    len = world_forge(w, &path, 1, hello);
    hello[62] ^= 1; /* in the cookie */
    world_input(w, &path, hello, len);
    ck_assert_uint_eq(world_half_open(w, &path, 2), 1);
    world_wait(w, 1000); /* its flight again */
    world_wait(w, 14000);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 3);
}

/* Each of the calls that the application makes for a connection. */
static void
use(world *w, uint64_t id)
{
    uint8_t buf[64] = {0};
    char text[64];

    operate();
    dtlsl__engine_send(w->engine, id, buf, 20000);
    ask_again();
    dtlsl__engine_send(w->engine, id, buf, 9);
    ask_again();
    dtlsl__engine_info(w->engine, id, "cipher", text, sizeof(text));
    dtlsl__engine_info(w->engine, id, "server-name", text, sizeof(text));
    dtlsl__engine_peer_certificate(w->engine, id, buf, sizeof(buf));
    dtlsl__engine_mtu(w->engine, id);
    ask_again();
    dtlsl__engine_export(w->engine, id, "client finished", NULL, 0, buf, 32);
    dtlsl__engine_export(w->engine, id, "EXPORTER-x", NULL, 0, buf, 32);
    ask_again();
    ck_assert_int_eq(dtlsl__config_reload(w->config), DTLSL_OK);
    dtlsl__engine_reload(w->engine);
    ask_again();
    world_flush(w);
}

START_TEST(junk_to_the_port_changes_no_ssl_get_error)
{
    static const int says[KINDS] = {SSL_ERROR_WANT_READ, SSL_ERROR_SYSCALL,
                                    SSL_ERROR_SSL, SSL_ERROR_SSL};
    /* since 4.0 an SSL does not take somebody else's entry for its own */
    int expected = _i == LEFT_BEHIND && OpenSSL_version_num() >= 0x40000000UL
                       ? SSL_ERROR_WANT_READ
                       : says[_i];
    world *w = world_new("idle-timeout-ms=60000");
    client *c = world_client(w, NULL), *b;
    dtlsl_path stranger = world_path(50, 4000);
    uint64_t id;

    app_open(_i);
    operate();
    if (_i != ENDED) { /* which versions of OpenSSL see in two ways */
        ck_assert_int_eq(app.said, expected);
        ck_assert_int_eq(app.first != 0, _i != WAITING);
    }
    w->before = operate;
    w->after = ask_again;
    id = world_connect(w, c);
    throw_junk(w, &stranger);
    throw_junk(w, &w->path[0]);
    fail_handshakes(w);
    use(w, id);
    world_check_echo(w, c, "x");
    b = world_client_at(w, NULL, &w->path[0]);
    world_connect(w, b); /* replaces the first */
    world_drop_client(w, c);
    world_wait(w, 60000); /* idle */
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 2);
    c = world_client(w, NULL);
    world_connect(w, c);
    operate();
    dtlsl__engine_stop(w->engine);
    ask_again();
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_STOPPED), 1);
    world_check_sums(w);
    world_free(w);
    app_close();
}
END_TEST

/* The same for those who have a loop of their own. */
START_TEST(a_gate_changes_no_ssl_get_error)
{
    dtlsl_path path = world_path(1, 4000);
    world *w = world_new(NULL);
    uint8_t hello[HELLO_ROOM], reply[DTLSL_REPLY_MAX], id[32];
    size_t len = world_forge(w, &path, 1, hello);
    dtlsl_verdict verdict = {
        .size = sizeof(verdict), .reply = reply, .reply_cap = sizeof(reply)};
    dtlsl_gate *gate;
    uint64_t next;

    app_open(_i);
    operate();
    ck_assert_int_eq(dtlsl_gate_new(&gate, w->config), DTLSL_OK);
    ask_again();
    dtlsl_gate_tick(gate, &w->now, &next);
    ask_again();
    for (size_t n = 0; n <= len; n++) {
        dtlsl_gate_judge(gate, &path, hello, n, &w->now, &verdict);
        dtlsl_gate_judge(gate, &path, w->hello, n < w->hello_len ? n : 60,
                         &w->now, &verdict);
        dtlsl_hello_id(hello, n, id);
        ask_again();
    }
    ck_assert_int_eq(verdict.action, DTLSL_DROP);
    dtlsl_gate_judge(gate, &path, hello, len, &w->now, &verdict);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ask_again();
    dtlsl_gate_free(gate);
    ask_again();
    ERR_clear_error();
    world_free(w);
    app_close();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue");
    TCase *loop = tcase_create("each kind of failure");

    tcase_set_timeout(loop, 120);
    tcase_add_loop_test(loop, junk_to_the_port_changes_no_ssl_get_error, 0,
                        KINDS);
    tcase_add_loop_test(loop, a_gate_changes_no_ssl_get_error, 0, KINDS);
    suite_add_tcase(suite, loop);
    return test_main(suite);
}
