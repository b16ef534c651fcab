/* SPDX-License-Identifier: MIT
 * Options by name, their ranges and texts, freezing, and the SSL_CTX that a
 * config makes of them. */
#include "config.h"
#include "test.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <unistd.h>

static dtlsl_config *
new_config(void)
{
    dtlsl_config *config = NULL;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    return config;
}

static void
set(dtlsl_config *config, const char *name, const char *value)
{
    ck_assert_msg(dtlsl_config_set(config, name, value) == DTLSL_OK, "%s",
                  dtlsl_config_error(config));
}

static void
expect_text(const dtlsl_config *config, const char *part)
{
    const char *text = dtlsl_config_error(config);

    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}

/* Refused with a text that names the option. */
static void
refuse(dtlsl_config *config, const char *name, const char *value)
{
    ck_assert_msg(dtlsl_config_set(config, name, value) == DTLSL_ERR_ARGUMENT,
                  "%s=%s was taken", name, value);
    expect_text(config, name);
}

static void
expect_ctx_error(dtlsl_config *config, int32_t code, const char *a,
                 const char *b)
{
    struct ssl_ctx_st *ctx = NULL;

    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx), code);
    ck_assert_ptr_null(ctx);
    expect_text(config, a);
    expect_text(config, b);
}

START_TEST(a_new_config_has_the_defaults)
{
    dtlsl_config *config = new_config();
    const dtlsl__settings *s = dtlsl__config_settings(config);

    ck_assert_uint_eq(s->handshake_timeout_ms, 15000);
    ck_assert_uint_eq(s->idle_timeout_ms, 300000);
    ck_assert_uint_eq(s->max_conns, 100000);
    ck_assert_uint_eq(s->max_handshakes, 1024);
    ck_assert_uint_eq(s->max_conns_per_prefix, 1024);
    ck_assert_uint_eq(s->mtu, 1232);
    ck_assert_uint_eq(s->workers, 1);
    ck_assert_uint_eq(s->reuse_port, 0);
    ck_assert_uint_eq(s->isolate, 1);
    ck_assert_uint_eq(s->recv_buffer, 2097152);
    ck_assert_uint_eq(s->send_buffer, 2097152);
    ck_assert_uint_eq(s->events_hello, 0);
    ck_assert_uint_eq(s->events_notice, 0);
    ck_assert_str_eq(dtlsl_config_error(config), "");
    dtlsl_config_free(config);
}
END_TEST

static const struct {
    const char *name;
    uint32_t min;
    uint32_t max;
} ranges[] = {{"handshake-timeout-ms", 100, 600000},
              {"idle-timeout-ms", 0, 604800000},
              {"max-conns", 1, 10000000},
              {"max-handshakes", 1, 1000000},
              {"max-conns-per-prefix", 0, 10000000},
              {"mtu", 256, 65507},
              {"workers", 1, 64},
              {"reuse-port", 0, 1},
              {"isolate", 0, 1},
              {"self-signed", 0, 1},
              {"recv-buffer", 0, 1073741824},
              {"send-buffer", 0, 1073741824},
              {"events-hello", 0, 1},
              {"events-notice", 0, 1}};

START_TEST(numbers_are_taken_in_their_range_only)
{
    dtlsl_config *config = new_config();
    char text[24];

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        snprintf(text, sizeof(text), "%u", ranges[i].min);
        set(config, ranges[i].name, text);
        snprintf(text, sizeof(text), "%u", ranges[i].max);
        set(config, ranges[i].name, text);
        snprintf(text, sizeof(text), "%u", ranges[i].max + 1);
        refuse(config, ranges[i].name, text);
        expect_text(config, "whole number from");
        if (ranges[i].min > 0) {
            snprintf(text, sizeof(text), "%u", ranges[i].min - 1);
            refuse(config, ranges[i].name, text);
        }
    }
    dtlsl_config_free(config);
}
END_TEST

START_TEST(numbers_are_digits_and_nothing_else)
{
    dtlsl_config *config = new_config();
    const char *const bad[] = {
        "",    " 1",  "1 ",  "+1",   "-1",
        "1.5", "0x1", "1e3", "true", "99999999999999999999"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(config, "max-conns", bad[i]);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_refused_value_changes_nothing)
{
    dtlsl_config *config = new_config();

    set(config, "mtu", "1400");
    refuse(config, "mtu", "70000");
    ck_assert_uint_eq(dtlsl__config_settings(config)->mtu, 1400);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(settings_reach_their_fields)
{
    dtlsl_config *config = new_config();
    const dtlsl__settings *s = dtlsl__config_settings(config);

    set(config, "handshake-timeout-ms", "101");
    set(config, "idle-timeout-ms", "102");
    set(config, "max-conns", "103");
    set(config, "max-handshakes", "104");
    set(config, "max-conns-per-prefix", "105");
    set(config, "mtu", "306");
    set(config, "workers", "7");
    set(config, "reuse-port", "1");
    set(config, "recv-buffer", "108");
    set(config, "send-buffer", "109");
    set(config, "events-hello", "1");
    ck_assert_uint_eq(s->handshake_timeout_ms, 101);
    ck_assert_uint_eq(s->idle_timeout_ms, 102);
    ck_assert_uint_eq(s->max_conns, 103);
    ck_assert_uint_eq(s->max_handshakes, 104);
    ck_assert_uint_eq(s->max_conns_per_prefix, 105);
    ck_assert_uint_eq(s->mtu, 306);
    ck_assert_uint_eq(s->workers, 7);
    ck_assert_uint_eq(s->reuse_port, 1);
    ck_assert_uint_eq(s->recv_buffer, 108);
    ck_assert_uint_eq(s->send_buffer, 109);
    ck_assert_uint_eq(s->events_hello, 1);
    ck_assert_uint_eq(s->events_notice, 0);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(an_unknown_name_is_answered_with_the_nearest)
{
    dtlsl_config *config = new_config();
    const char *const cases[][2] = {{"idle-timeout", "\"idle-timeout-ms\""},
                                    {"certfile", "\"cert-file\""},
                                    {"max_conns", "\"max-conns\""},
                                    {"cookies", "\"cookie\""}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(dtlsl_config_set(config, cases[i][0], "1"),
                         DTLSL_ERR_OPTION);
        expect_text(config, cases[i][0]);
        expect_text(config, cases[i][1]);
    }
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_very_long_unknown_name_is_cut_in_the_text)
{
    dtlsl_config *config = new_config();
    char name[2000];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(dtlsl_config_set(config, name, "1"), DTLSL_ERR_OPTION);
    ck_assert_uint_lt(strlen(dtlsl_config_error(config)), 200);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    dtlsl_config *config = new_config();

    ck_assert_int_eq(dtlsl_config_new(NULL), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_config_set(NULL, "mtu", "1"), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_config_set(config, NULL, "1"), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_config_set(config, "mtu", NULL),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, NULL),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_config_add_cookie(config, NULL, NULL),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_str_eq(dtlsl_config_error(NULL), "");
    dtlsl_config_free(config);
    dtlsl_config_free(NULL);
}
END_TEST

START_TEST(all_options_are_listed_and_their_defaults_can_be_set)
{
    dtlsl_config *config = new_config();
    const char *name, *value, *text;
    size_t count = 0;

    while (dtlsl_config_option(count, &name, &value, &text) == DTLSL_OK) {
        ck_assert_uint_gt(strlen(text), 10);
        ck_assert_uint_lt(strlen(text), 80);
        set(config, name, value);
        count++;
    }
    ck_assert_uint_eq(count, 25);
    ck_assert_int_eq(dtlsl_config_option(count, NULL, NULL, NULL),
                     DTLSL_ERR_OPTION);
    ck_assert_int_eq(dtlsl_config_option(0, NULL, NULL, NULL), DTLSL_OK);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(texts_have_a_longest_length)
{
    dtlsl_config *config = new_config();
    char text[4098];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refuse(config, "cert-file", text);
    refuse(config, "cookie.some-option", text);
    refuse(config, "cookie", "");
    text[4096] = '\0';
    set(config, "cert-file", text);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_frozen_config_cannot_be_set)
{
    dtlsl_config *config = new_config();
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());

    dtlsl__config_ref(config);
    ck_assert_int_eq(dtlsl_config_set(config, "mtu", "1000"), DTLSL_ERR_STATE);
    expect_text(config, "mtu");
    expect_text(config, "new config");
    ck_assert_uint_eq(dtlsl__config_settings(config)->mtu, 1232);
    ck_assert_int_eq(dtlsl_config_set(config, "cookie.x", "1"),
                     DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, ctx), DTLSL_ERR_STATE);
    SSL_CTX_free(ctx);
    dtlsl_config_free(config);
    dtlsl__config_unref(config);
}
END_TEST

static int released;

static void
count_release(void *group)
{
    released += *(int *)group;
}

START_TEST(the_last_reference_releases_the_group)
{
    dtlsl_config *config = new_config();
    int group = 5;

    dtlsl__config_ref(config);
    *dtlsl__config_group(config, count_release) = &group;
    dtlsl_config_free(config);
    ck_assert_int_eq(released, 0);
    ck_assert_uint_eq(dtlsl__config_settings(config)->mtu, 1232);
    dtlsl__config_unref(config);
    ck_assert_int_eq(released, 5);
}
END_TEST

/* ---- credentials ---- */

START_TEST(a_config_without_credentials_names_the_options)
{
    dtlsl_config *config = new_config();

    expect_ctx_error(config, DTLSL_ERR_CREDENTIALS, "cert-file", "psk-file");
    expect_text(config, "self-signed");
    expect_text(config, "dtlsl_config_set_ssl_ctx");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(self_signed_makes_an_ssl_ctx_once)
{
    dtlsl_config *config = new_config();
    struct ssl_ctx_st *a = NULL, *b = NULL;

    set(config, "self-signed", "1");
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &a), DTLSL_OK);
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &b), DTLSL_OK);
    ck_assert_ptr_eq(a, b);
    dtlsl__tls_ctx_free(b);
    dtlsl_config_free(config);
    /* Its own reference keeps it. */
    ck_assert_ptr_nonnull(SSL_CTX_get0_certificate(a));
    dtlsl__tls_ctx_free(a);
}
END_TEST

START_TEST(conflicting_credentials_are_refused)
{
    dtlsl_config *config = new_config();

    set(config, "key-file", "k.pem");
    expect_ctx_error(config, DTLSL_ERR_CREDENTIALS, "key-file", "cert-file");
    set(config, "cert-file", "c.pem");
    set(config, "self-signed", "1");
    expect_ctx_error(config, DTLSL_ERR_CREDENTIALS, "self-signed",
                     "cert-file");
    set(config, "cert-file", "");
    set(config, "key-file", "");
    set(config, "self-signed", "0");
    set(config, "psk-file", "p");
    set(config, "ca-file", "ca.pem");
    expect_ctx_error(config, DTLSL_ERR_CREDENTIALS, "ca-file", "cert-file");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_missing_file_is_named_with_its_option)
{
    dtlsl_config *config = new_config();

    set(config, "cert-file", "/nonexistent/cert.pem");
    expect_ctx_error(config, DTLSL_ERR_FILE, "cert-file",
                     "/nonexistent/cert.pem");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(an_own_ssl_ctx_is_used_and_keeps_a_reference)
{
    dtlsl_config *config = new_config();
    SSL_CTX *own = SSL_CTX_new(DTLS_server_method());
    struct ssl_ctx_st *ctx = NULL;

    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, own), DTLSL_OK);
    SSL_CTX_free(own);
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx), DTLSL_OK);
    ck_assert_ptr_eq(ctx, own);
    dtlsl__tls_ctx_free(ctx);
    ck_assert_int_eq(dtlsl__config_reload(config), DTLSL_OK);
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx), DTLSL_OK);
    ck_assert_ptr_eq(ctx, own);
    dtlsl__tls_ctx_free(ctx);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(an_own_ssl_ctx_beside_options_is_refused)
{
    static const char *const options[][2] = {
        {"cert-file", "c.pem"}, {"ca-file", "c.pem"},    {"psk-file", "p"},
        {"alpn", "coap"},       {"ciphers", "AES"},      {"self-signed", "1"},
        {"key-file", "k"},      {"ticket-key-file", "t"}};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        dtlsl_config *config = new_config();
        SSL_CTX *own = SSL_CTX_new(DTLS_server_method());

        ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, own), DTLSL_OK);
        set(config, options[i][0], options[i][1]);
        expect_ctx_error(config, DTLSL_ERR_CREDENTIALS, options[i][0],
                         "SSL_CTX");
        SSL_CTX_free(own);
        dtlsl_config_free(config);
    }
}
END_TEST

START_TEST(an_own_ssl_ctx_that_is_not_dtls_is_refused)
{
    dtlsl_config *config = new_config();
    SSL_CTX *own = SSL_CTX_new(TLS_server_method());

    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, own),
                     DTLSL_ERR_ARGUMENT);
    expect_text(config, "DTLS_server_method");
    SSL_CTX_free(own);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(an_option_changed_after_a_failure_is_seen)
{
    dtlsl_config *config = new_config();
    struct ssl_ctx_st *ctx = NULL;

    set(config, "self-signed", "1");
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx), DTLSL_OK);
    dtlsl__tls_ctx_free(ctx);
    ctx = NULL;
    set(config, "alpn", "a,,b");
    expect_ctx_error(config, DTLSL_ERR_ARGUMENT, "alpn", "1 to 255");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(workers_beside_reuse_port_are_refused)
{
    dtlsl_config *config = new_config();
    struct ssl_ctx_st *ctx = NULL;

    set(config, "self-signed", "1");
    set(config, "workers", "2");
    set(config, "reuse-port", "1");
    expect_ctx_error(config, DTLSL_ERR_ARGUMENT, "workers=2", "reuse-port=1");
    set(config, "workers", "1");
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx), DTLSL_OK);
    dtlsl__tls_ctx_free(ctx);
    dtlsl_config_free(config);
}
END_TEST

/* Two workers reload one behind the other. (reload_test.c resumes a session
 * over that.) */
START_TEST(reloads_keep_the_self_signed_certificate)
{
    dtlsl_config *config = new_config();
    struct ssl_ctx_st *ctx[3];

    set(config, "self-signed", "1");
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            ck_assert_int_eq(dtlsl__config_reload(config), DTLSL_OK);
        ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx[i]), DTLSL_OK);
    }
    for (int i = 1; i < 3; i++) {
        ck_assert_ptr_ne(ctx[i], ctx[i - 1]);
        ck_assert_int_eq(X509_cmp(SSL_CTX_get0_certificate(ctx[i]),
                                  SSL_CTX_get0_certificate(ctx[0])),
                         0);
    }
    for (int i = 0; i < 3; i++)
        dtlsl__tls_ctx_free(ctx[i]);
    dtlsl_config_free(config);
}
END_TEST

static void
write_psk(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_failed_reload_keeps_the_old_credentials)
{
    dtlsl_config *config = new_config();
    struct ssl_ctx_st *before = NULL, *after = NULL;
    char path[] = "/tmp/dtlsl_config_XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    write_psk(path, "a:0102\n");
    set(config, "psk-file", path);
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &before), DTLSL_OK);
    write_psk(path, "a:0102\nb\n");
    ck_assert_int_eq(dtlsl__config_reload(config), DTLSL_ERR_CREDENTIALS);
    expect_text(config, "line 2");
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &after), DTLSL_OK);
    ck_assert_ptr_eq(before, after);
    dtlsl__tls_ctx_free(after);
    write_psk(path, "a:0102\nb:03\n");
    ck_assert_int_eq(dtlsl__config_reload(config), DTLSL_OK);
    ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &after), DTLSL_OK);
    ck_assert_ptr_ne(before, after);
    dtlsl__tls_ctx_free(after);
    dtlsl__tls_ctx_free(before);
    dtlsl_config_free(config);
    unlink(path);
}
END_TEST

START_TEST(the_error_queue_is_left_as_it_was)
{
    dtlsl_config *config = new_config();
    struct ssl_ctx_st *ctx = NULL;

    ERR_raise(ERR_LIB_USER, 1);
    set(config, "self-signed", "1");
    set(config, "ciphers", "NO-SUCH");
    ck_assert_int_lt(dtlsl__config_ssl_ctx(config, &ctx), 0);
    ck_assert_int_eq(ERR_GET_LIB(ERR_get_error()), ERR_LIB_USER);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    dtlsl_config_free(config);
}
END_TEST

/* ---- cookie strategies ---- */

typedef struct seen {
    size_t count;
    char keys[8][32];
    char values[8][32];
} seen;

static int32_t
open_seen(const dtlsl_cookie_host *host, void *user,
          const dtlsl_cookie_option *options, size_t n_options, void **state,
          char *err, size_t err_len)
{
    seen *s = user;

    (void)host;
    s->count = n_options;
    for (size_t i = 0; i < n_options && i < 8; i++) {
        snprintf(s->keys[i], sizeof(s->keys[i]), "%s", options[i].key);
        snprintf(s->values[i], sizeof(s->values[i]), "%s", options[i].value);
    }
    snprintf(err, err_len, "only looking");
    *state = NULL;
    return -1;
}

static void
close_seen(void *state)
{
    (void)state;
}

static int32_t
mint_seen(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
          size_t cap)
{
    (void)state;
    (void)in;
    (void)cookie;
    (void)cap;
    return -1;
}

static int32_t
verify_seen(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    (void)state;
    (void)in;
    (void)cookie;
    (void)len;
    (void)out;
    return DTLSL_COOKIE_MALFORMED;
}

static dtlsl_cookie_plugin
looking(const char *name)
{
    const dtlsl_cookie_plugin plugin = {.size = sizeof(plugin),
                                        .abi = DTLSL_COOKIE_ABI,
                                        .name = name,
                                        .max_cookie_len = 16,
                                        .open = open_seen,
                                        .close = close_seen,
                                        .mint = mint_seen,
                                        .verify = verify_seen};

    return plugin;
}

START_TEST(cookie_options_reach_the_strategy)
{
    const dtlsl_now now = {1000, 1800000000000};
    const dtlsl_cookie_plugin plugin = looking("looking");
    dtlsl_config *config = new_config();
    dtlsl__chain *chain = NULL;
    seen s = {0};

    ck_assert_int_eq(dtlsl_config_add_cookie(config, &plugin, &s), DTLSL_OK);
    set(config, "cookie", "looking");
    set(config, "cookie.lifetime-ms", "1");
    set(config, "cookie.service", "x");
    set(config, "cookie.lifetime-ms", "2");
    ck_assert_int_lt(dtlsl__config_chain(config, &now, &chain), 0);
    expect_text(config, "only looking");
    ck_assert_uint_eq(s.count, 2);
    ck_assert_str_eq(s.keys[0], "lifetime-ms");
    ck_assert_str_eq(s.values[0], "2");
    ck_assert_str_eq(s.keys[1], "service");
    ck_assert_str_eq(s.values[1], "x");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(cookie_option_names_have_a_form)
{
    dtlsl_config *config = new_config();
    const char *const bad[] = {"cookie.",      "cookie.a.", "cookie..a",
                               "cookie.a.b.c", "cookie.A",  "cookie.a b",
                               "cookie.a=b"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(dtlsl_config_set(config, bad[i], "1"),
                         DTLSL_ERR_OPTION);
    set(config, "cookie.hmac.lifetime-ms", "20000");
    set(config, "cookie.boot-id", "");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(strategy_names_are_unique)
{
    const dtlsl_cookie_plugin builtin = looking("hmac");
    const dtlsl_cookie_plugin mine = looking("mine");
    dtlsl_config *config = new_config();

    ck_assert_int_eq(dtlsl_config_add_cookie(config, &builtin, NULL),
                     DTLSL_ERR_ARGUMENT);
    expect_text(config, "hmac");
    ck_assert_int_eq(dtlsl_config_add_cookie(config, &mine, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_add_cookie(config, &mine, NULL),
                     DTLSL_ERR_ARGUMENT);
    expect_text(config, "mine");
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_table_that_lacks_a_function_is_refused)
{
    dtlsl_cookie_plugin plugin = looking("lacking");
    dtlsl_config *config = new_config();

    plugin.mint = NULL;
    ck_assert_int_lt(dtlsl_config_add_cookie(config, &plugin, NULL), 0);
    ck_assert_uint_gt(strlen(dtlsl_config_error(config)), 0);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(the_default_strategy_opens)
{
    const dtlsl_now now = {1000, 1800000000000};
    dtlsl_config *config = new_config();
    dtlsl__chain *chain = NULL;

    ck_assert_msg(dtlsl__config_chain(config, &now, &chain) == DTLSL_OK, "%s",
                  dtlsl_config_error(config));
    dtlsl__chain_free(chain);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(a_cookies_life_is_its_lifetime_and_twice_the_skew)
{
    dtlsl_config *config;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_uint_eq(dtlsl__config_cookie_life_ms(config), 240000);
    ck_assert_int_eq(
        dtlsl_config_set(config, "cookie.hmac.lifetime-ms", "3000000"),
        DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "cookie.skew-ms", "300000"),
                     DTLSL_OK);
    ck_assert_uint_eq(dtlsl__config_cookie_life_ms(config), 3600000);
    dtlsl_config_free(config);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_cookies_life_is_its_lifetime_and_twice_the_skew,
        a_new_config_has_the_defaults,
        numbers_are_taken_in_their_range_only,
        numbers_are_digits_and_nothing_else,
        a_refused_value_changes_nothing,
        settings_reach_their_fields,
        an_unknown_name_is_answered_with_the_nearest,
        a_very_long_unknown_name_is_cut_in_the_text,
        null_arguments_are_refused,
        all_options_are_listed_and_their_defaults_can_be_set,
        texts_have_a_longest_length,
        a_frozen_config_cannot_be_set,
        the_last_reference_releases_the_group,
        a_config_without_credentials_names_the_options,
        self_signed_makes_an_ssl_ctx_once,
        conflicting_credentials_are_refused,
        a_missing_file_is_named_with_its_option,
        an_own_ssl_ctx_is_used_and_keeps_a_reference,
        an_own_ssl_ctx_beside_options_is_refused,
        an_own_ssl_ctx_that_is_not_dtls_is_refused,
        an_option_changed_after_a_failure_is_seen,
        workers_beside_reuse_port_are_refused,
        reloads_keep_the_self_signed_certificate,
        a_failed_reload_keeps_the_old_credentials,
        the_error_queue_is_left_as_it_was,
        cookie_options_reach_the_strategy,
        cookie_option_names_have_a_form,
        strategy_names_are_unique,
        a_table_that_lacks_a_function_is_refused,
        the_default_strategy_opens,
    };

    return test_main(
        test_suite("config", tests, sizeof(tests) / sizeof(tests[0])));
}
