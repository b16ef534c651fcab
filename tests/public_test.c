/* SPDX-License-Identifier: MIT
 * What the public functions say of a connection, with a real client. */
#include "bundled.h"
#include "scene.h"
#include "test.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static char dir[64];
static char ca_path[96];
static identity id;

static void
start(scene *s, int with_certificate)
{
    client_options options = {.alpn = "x,coap", .server_name = "a.example"};
    dtlsl_config *config = scene_config();

    scene_set(config, "alpn", "coap");
    if (with_certificate) {
        strcpy(dir, "/tmp/dtlsl_public_XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(ca_path, sizeof(ca_path), "%s/ca.pem", dir);
        identity_make(&id, "client");
        identity_save(&id, ca_path);
        scene_set(config, "ca-file", ca_path);
        options.identity = &id;
    }
    scene_open_with(s, config, 0, 0, &options);
    scene_both_open(s);
    ck_assert_uint_ne(s->conn, 0);
}

static void
finish(scene *s)
{
    scene_close(s);
    if (ca_path[0] == '\0')
        return;
    identity_free(&id);
    unlink(ca_path);
    rmdir(dir);
    ca_path[0] = '\0';
}

static void
check_info(const scene *s, const char *name, const char *expected)
{
    char text[64];

    ck_assert_int_eq(dtlsl_conn_info(s->l, s->conn, name, text, sizeof(text)),
                     (int)strlen(expected));
    ck_assert_str_eq(text, expected);
}

START_TEST(facts_are_told_by_name)
{
    scene s;
    char text[64];

    start(&s, 0);
    check_info(&s, "alpn", "coap");
    check_info(&s, "server-name", "a.example");
    check_info(&s, "version", "DTLSv1.2");
    check_info(&s, "cipher", SSL_get_cipher_name(client_ssl(s.peer.c)));
    check_info(&s, "psk-identity", "");
    ck_assert_int_eq(dtlsl_conn_info(s.l, s.conn, "colour", text, 64),
                     DTLSL_ERR_OPTION);
    ck_assert_int_eq(dtlsl_conn_info(s.l, s.conn, "alpn", text, 4),
                     DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl_conn_info(s.l, s.conn, NULL, text, 64),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_conn_info(s.l, s.conn + 1, "alpn", text, 64),
                     DTLSL_ERR_NOCONN);
    finish(&s);
}
END_TEST

START_TEST(both_addresses_are_told)
{
    scene s;
    struct sockaddr_in name;
    socklen_t len = sizeof(name);
    char text[DTLSL_ADDRESS_MAX], expected[DTLSL_ADDRESS_MAX];

    start(&s, 0);
    ck_assert_int_eq(getsockname(s.peer.fd, (struct sockaddr *)&name, &len),
                     0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(name.sin_port));
    ck_assert_int_gt(dtlsl_conn_peer(s.l, s.conn, text, sizeof(text)), 0);
    ck_assert_str_eq(text, expected);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", s.port);
    ck_assert_int_gt(dtlsl_conn_local(s.l, s.conn, text, sizeof(text)), 0);
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(dtlsl_conn_local(s.l, s.conn, text, 5), DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl_conn_local(s.l, 0, text, sizeof(text)),
                     DTLSL_ERR_NOCONN);
    finish(&s);
}
END_TEST

START_TEST(the_peers_certificate_is_told)
{
    scene s;
    uint8_t der[2048], *end = der, got[2048];
    int len;

    start(&s, 1);
    len = i2d_X509(id.cert, &end);
    ck_assert_int_eq(
        dtlsl_conn_peer_certificate(s.l, s.conn, got, sizeof(got)), len);
    ck_assert_mem_eq(got, der, (size_t)len);
    ck_assert_int_eq(
        dtlsl_conn_peer_certificate(s.l, s.conn, got, (size_t)len - 1),
        DTLSL_ERR_SPACE);
    finish(&s);
    start(&s, 0);
    ck_assert_int_eq(dtlsl_conn_peer_certificate(s.l, s.conn, got, 1), 0);
    finish(&s);
}
END_TEST

START_TEST(keying_material_is_the_clients)
{
    static const uint8_t context[] = {1, 2, 3};
    scene s;
    uint8_t ours[40], theirs[40];

    start(&s, 0);
    for (int with = 0; with < 2; with++) {
        ck_assert_int_eq(dtlsl_conn_export(s.l, s.conn, "EXPERIMENTAL-x",
                                           with ? context : NULL,
                                           with ? sizeof(context) : 0, ours,
                                           sizeof(ours)),
                         DTLSL_OK);
        ck_assert_int_eq(
            SSL_export_keying_material(client_ssl(s.peer.c), theirs,
                                       sizeof(theirs), "EXPERIMENTAL-x", 14,
                                       context, 3 * (size_t)with, with),
            1);
        ck_assert_mem_eq(ours, theirs, sizeof(ours));
    }
    ck_assert_int_eq(
        dtlsl_conn_export(s.l, 0, "EXPERIMENTAL-x", NULL, 0, ours, 40),
        DTLSL_ERR_NOCONN);
    ck_assert_int_eq(dtlsl_conn_export(s.l, s.conn, NULL, NULL, 0, ours, 40),
                     DTLSL_ERR_ARGUMENT);
    finish(&s);
}
END_TEST

START_TEST(the_cookies_age_and_data_are_told)
{
    scene s;
    uint8_t data[8];

    start(&s, 0);
    /* The wall clock of these tests stands still. */
    ck_assert_int_ge(dtlsl_conn_cookie_age(s.l, s.conn), 0);
    ck_assert_int_lt(dtlsl_conn_cookie_age(s.l, s.conn), 120000);
    ck_assert_int_eq(dtlsl_conn_cookie_app(s.l, s.conn, data, sizeof(data)),
                     0);
    ck_assert_int_eq(dtlsl_conn_cookie_age(s.l, 0), DTLSL_ERR_NOCONN);
    ck_assert_int_eq(dtlsl_conn_cookie_app(s.l, 0, data, 8), DTLSL_ERR_NOCONN);
    ck_assert_int_eq(dtlsl_conn_cookie_app(s.l, s.conn, NULL, 8),
                     DTLSL_ERR_ARGUMENT);
    finish(&s);
}
END_TEST

/* With the module, as an application would. */
START_TEST(application_data_in_the_cookie_comes_back)
{
    client_options options = {.alpn = "coap"};
    dtlsl_config *config = scene_config();
    uint8_t data[DTLSL_COOKIE_APP_MAX];
    scene s;

    scene_set(config, "plugin-dir", bundled_dir());
    scene_set(config, "cookie", "aead,hmac");
    scene_set(config, "cookie.app", "hex:6e6f64652d303037");
    scene_open_with(&s, config, 0, 0, &options);
    scene_both_open(&s);
    ck_assert_int_eq(dtlsl_conn_cookie_app(s.l, s.conn, data, sizeof(data)),
                     8);
    ck_assert_mem_eq(data, "node-007", 8);
    ck_assert_int_eq(dtlsl_conn_cookie_app(s.l, s.conn, data, 7),
                     DTLSL_ERR_SPACE);
    ck_assert_int_ge(dtlsl_conn_cookie_age(s.l, s.conn), 0);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "cookie_aead_valid"), 1);
    ck_assert_uint_eq(dtlsl_listener_counter(s.l, "cookie_hmac_valid"), 0);
    scene_close(&s);
    bundled_done();
}
END_TEST

/* Each that is told can be asked for, and so the text is made. */
START_TEST(counters_are_told_one_by_one)
{
    scene s;
    char name[DTLSL_COUNTER_NAME_MAX];
    char text[8192], want[DTLSL_COUNTER_NAME_MAX + 32];
    uint64_t value;
    size_t n = 0;
    int32_t len;

    start(&s, 0);
    ck_assert_int_gt(
        dtlsl_listener_counters(s.l, DTLSL_FORMAT_JSON, text, sizeof(text)),
        0);
    while ((len = dtlsl_listener_counter_at(s.l, n, name, sizeof(name),
                                            &value)) > 0) {
        ck_assert_uint_eq(value, dtlsl_listener_counter(s.l, name));
        snprintf(want, sizeof(want), "\"%s\":%" PRIu64, name, value);
        ck_assert_ptr_nonnull(strstr(text, want));
        n++;
    }
    ck_assert_int_eq(len, DTLSL_ERR_OPTION);
    ck_assert_str_eq(name, "cookie_hmac_selftest_deferred");
    for (const char *c = text; *c != '\0'; c++)
        n -= *c == ':';
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(dtlsl_listener_counter_at(s.l, 0, name, 8, &value),
                     DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl_listener_counter_at(NULL, 0, name, 9, &value),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_listener_counter_at(s.l, 0, NULL, 9, &value),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_listener_counter_at(s.l, 0, name, 9, NULL),
                     DTLSL_ERR_ARGUMENT);
    finish(&s);
}
END_TEST

static void
keep_tag(scene *s, const dtlsl_event *event)
{
    char text[DTLSL_ADDRESS_MAX];

    if (event->type == DTLSL_EVENT_OPEN) {
        ck_assert_uint_eq(event->tag, 0);
        ck_assert_int_eq(dtlsl_conn_set_tag(s->l, event->conn, 1ULL << 63),
                         DTLSL_OK);
    } else if (event->conn != 0) {
        ck_assert_uint_eq(event->tag, 1ULL << 63);
        ck_assert_uint_eq(dtlsl_conn_tag(s->l, event->conn), 1ULL << 63);
        ck_assert_int_gt(
            dtlsl_conn_peer(s->l, event->conn, text, sizeof(text)), 0);
        ck_assert_int_gt(
            dtlsl_conn_local(s->l, event->conn, text, sizeof(text)), 0);
    }
}

START_TEST(a_tag_comes_with_every_event_up_to_the_last)
{
    scene s;
    uint64_t conn;

    scene_open_with(&s, scene_config(), 0, 0, NULL);
    s.hook = keep_tag;
    scene_both_open(&s);
    conn = s.conn;
    scene_say(&s, "hello");
    scene_until(&s, 'D');
    client_shutdown(s.peer.c);
    scene_until(&s, 'C');
    scene_run(&s);
    ck_assert_uint_eq(dtlsl_conn_tag(s.l, conn), 0);
    ck_assert_int_eq(dtlsl_conn_set_tag(s.l, conn, 1), DTLSL_ERR_NOCONN);
    ck_assert_int_eq(dtlsl_conn_set_tag(NULL, conn, 1), DTLSL_ERR_ARGUMENT);
    scene_close(&s);
}
END_TEST

START_TEST(connections_are_iterated_by_age)
{
    scene s;
    peer first;
    uint64_t a, b;

    scene_open_with(&s, scene_config(), 0, 0, NULL);
    ck_assert_uint_eq(dtlsl_conn_next(s.l, 0), 0);
    scene_both_open(&s);
    first = s.peer;
    a = s.conn;
    s.log[0] = '\0';
    peer_open(&s.peer, s.port, NULL);
    scene_both_open(&s);
    b = s.conn;
    ck_assert_uint_gt(b, a);
    ck_assert_uint_eq(dtlsl_conn_next(s.l, 0), a);
    ck_assert_uint_eq(dtlsl_conn_next(s.l, a), b);
    ck_assert_uint_eq(dtlsl_conn_next(s.l, b), 0);
    ck_assert_int_eq(dtlsl_conn_close(s.l, a), DTLSL_OK);
    scene_until(&s, 'C');
    ck_assert_uint_eq(dtlsl_conn_next(s.l, 0), b);
    ck_assert_uint_eq(dtlsl_conn_next(s.l, a), b);
    ck_assert_uint_eq(dtlsl_conn_next(NULL, 0), 0);
    peer_close(&first);
    scene_close(&s);
}
END_TEST

START_TEST(a_session_of_openssl_is_lent_and_known)
{
    scene s;
    SSL *ssl;
    dtlsl_listener *l = NULL;
    uint64_t conn = 0;

    start(&s, 0);
    ssl = dtlsl_conn_ssl(s.l, s.conn);
    ck_assert_ptr_nonnull(ssl);
    ck_assert_str_eq(SSL_get_version(ssl), "DTLSv1.2");
    ck_assert_int_eq(dtlsl_conn_of_ssl(ssl, &l, &conn), DTLSL_OK);
    ck_assert_ptr_eq(l, s.l);
    ck_assert_uint_eq(conn, s.conn);
    ck_assert_int_eq(dtlsl_conn_of_ssl(client_ssl(s.peer.c), &l, &conn),
                     DTLSL_ERR_NOCONN);
    ck_assert_ptr_null(dtlsl_conn_ssl(s.l, 0));
    finish(&s);
}
END_TEST

START_TEST(the_mtu_is_what_send_takes)
{
    static const uint8_t data[2000];
    scene s;
    int32_t mtu;

    start(&s, 0);
    mtu = dtlsl_conn_mtu(s.l, s.conn);
    ck_assert_int_gt(mtu, 1000);
    ck_assert_int_eq(dtlsl_conn_send(s.l, s.conn, data, (size_t)mtu + 1),
                     DTLSL_ERR_TOOBIG);
    ck_assert_int_eq(dtlsl_conn_send(s.l, s.conn, data, (size_t)mtu),
                     DTLSL_OK);
    for (int i = 0; i < TURNS && client_received(s.peer.c) == 0; i++)
        scene_turn(&s);
    ck_assert_uint_eq(client_received(s.peer.c), 1);
    ck_assert_int_eq(dtlsl_conn_mtu(s.l, 0), DTLSL_ERR_NOCONN);
    finish(&s);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        facts_are_told_by_name,
        both_addresses_are_told,
        the_peers_certificate_is_told,
        keying_material_is_the_clients,
        the_cookies_age_and_data_are_told,
        application_data_in_the_cookie_comes_back,
        counters_are_told_one_by_one,
        a_tag_comes_with_every_event_up_to_the_last,
        connections_are_iterated_by_age,
        a_session_of_openssl_is_lent_and_known,
        the_mtu_is_what_send_takes,
    };

    return test_main(
        test_suite("public", tests, sizeof(tests) / sizeof(tests[0])));
}
