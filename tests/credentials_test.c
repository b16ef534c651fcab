/* SPDX-License-Identifier: MIT
 * SSL_CTX from options: certificates, pre-shared keys, ALPN, tickets. */
#include "config.h"
#include "tls.h"
#include "tls_pair.h"

/* ---- SSL_CTX from options ---- */

START_TEST(a_certificate_and_key_from_files_are_served)
{
    identity own = make_identity("files", NULL);
    const dtlsl__tls_options options = {
        .cert_file = write_cert("cert.pem", &own),
        .key_file = write_key("key.pem", &own, NULL)};
    SSL_CTX *ctx = ctx_of(&options);
    pair *p = pair_new(ctx, 1232);
    X509 *cert;

    ck_assert(dtlsl__tls_ctx_is_ours(ctx));
    ck_assert(handshake(p));
    cert = SSL_get1_peer_certificate(p->client.ssl);
    ck_assert_int_eq(X509_cmp(cert, own.cert), 0);
    X509_free(cert);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
    free_identity(&own);
    remove_dir();
}
END_TEST

START_TEST(a_key_of_another_certificate_is_refused_with_both_names)
{
    identity a = make_identity("a", NULL), b = make_identity("b", NULL);
    const dtlsl__tls_options options = {
        .cert_file = write_cert("a_cert.pem", &a),
        .key_file = write_key("b_key.pem", &b, NULL)};

    refused(&options, DTLSL_ERR_CREDENTIALS, "a_cert.pem", "b_key.pem");
    free_identity(&a);
    free_identity(&b);
    remove_dir();
}
END_TEST

START_TEST(a_key_with_a_passphrase_is_refused_without_asking)
{
    identity own = make_identity("own", NULL);
    const dtlsl__tls_options options = {
        .cert_file = write_cert("cert.pem", &own),
        .key_file = write_key("key.pem", &own, "secret")};

    refused(&options, DTLSL_ERR_CREDENTIALS, "key.pem", "passphrase");
    free_identity(&own);
    remove_dir();
}
END_TEST

START_TEST(missing_and_unreadable_files_are_named)
{
    const dtlsl__tls_options cert = {.cert_file = path_of("none.pem")};
    const dtlsl__tls_options psk = {.psk_file = dir};
    const dtlsl__tls_options junk = {.cert_file =
                                         write_text("junk.pem", "junk\n")};

    refused(&cert, DTLSL_ERR_FILE, "none.pem", "No such file");
    refused(&psk, DTLSL_ERR_FILE, dir, "directory");
    refused(&junk, DTLSL_ERR_CREDENTIALS, "cert-file", "junk.pem");
    remove_dir();
}
END_TEST

START_TEST(a_missing_key_in_the_certificate_file_is_named)
{
    identity own = make_identity("own", NULL);
    const dtlsl__tls_options options = {.cert_file =
                                            write_cert("cert.pem", &own)};

    refused(&options, DTLSL_ERR_CREDENTIALS, "cert.pem has no private key",
            "set key-file");
    free_identity(&own);
    remove_dir();
}
END_TEST

START_TEST(options_without_credentials_are_refused)
{
    const dtlsl__tls_options options = {.alpn = "coap"};

    refused(&options, DTLSL_ERR_CREDENTIALS, "cert-file", "self-signed");
}
END_TEST

START_TEST(a_ca_file_demands_a_certificate_that_it_signed)
{
    identity ca = make_identity("ca", NULL);
    identity good = make_identity("good", &ca);
    identity bad = make_identity("bad", NULL);
    const dtlsl__tls_options options = {.self_signed = 1,
                                        .ca_file = write_cert("ca.pem", &ca)};
    SSL_CTX *ctx = ctx_of(&options);
    const identity *const given[] = {&good, &bad, NULL};

    for (int i = 0; i < 3; i++) {
        pair *p = pair_new(ctx, 1232);

        dtlsl__tls_prepare(p->server.ssl, 0);
        if (given[i] != NULL) {
            SSL_use_certificate(p->client.ssl, given[i]->cert);
            SSL_use_PrivateKey(p->client.ssl, given[i]->key);
        }
        ck_assert_int_eq(handshake(p), i == 0);
        pair_free(p);
    }
    dtlsl__tls_ctx_free(ctx);
    free_identity(&ca);
    free_identity(&good);
    free_identity(&bad);
    remove_dir();
}
END_TEST

/* Does a client get through with its own certificate so many times? */
static int
list_handshake(SSL_CTX *ctx, const identity *own, int count)
{
    pair *p = pair_new(ctx, 1232);
    int done;

    dtlsl__tls_prepare(p->server.ssl, 0);
    SSL_use_certificate(p->client.ssl, own->cert);
    SSL_use_PrivateKey(p->client.ssl, own->key);
    for (int i = 1; i < count; i++)
        SSL_add1_chain_cert(p->client.ssl, own->cert);
    done = handshake(p);
    pair_free(p);
    return done;
}

START_TEST(a_list_of_client_certificates_has_16_KB_and_no_more)
{
    identity ca = make_identity("ca", NULL);
    identity own = make_identity("own", &ca);
    const dtlsl__tls_options options = {.self_signed = 1,
                                        .ca_file = write_cert("ca.pem", &ca)};
    SSL_CTX *ctx = ctx_of(&options);
    int most = (16384 - 3) / (3 + i2d_X509(own.cert, NULL));

    ck_assert_int_eq(SSL_CTX_get_max_cert_list(ctx), 16384);
    ck_assert(list_handshake(ctx, &own, most));
    ck_assert(!list_handshake(ctx, &own, most + 1));
    dtlsl__tls_ctx_free(ctx);
    free_identity(&ca);
    free_identity(&own);
    remove_dir();
}
END_TEST

START_TEST(a_ca_file_without_certificates_is_refused)
{
    const dtlsl__tls_options options = {
        .self_signed = 1, .ca_file = write_text("ca.pem", "nothing\n")};

    refused(&options, DTLSL_ERR_CREDENTIALS, "ca-file", "ca.pem");
    remove_dir();
}
END_TEST

static int
alpn_handshake(SSL_CTX *ctx, const char *wire, const char *expected)
{
    pair *p = pair_new(ctx, 1232);
    const unsigned char *alpn = NULL;
    unsigned int len = 0;
    int done;

    SSL_set_alpn_protos(p->client.ssl, (const uint8_t *)wire,
                        (unsigned)strlen(wire));
    done = handshake(p);
    SSL_get0_alpn_selected(p->client.ssl, &alpn, &len);
    ck_assert_uint_eq(len, strlen(expected));
    ck_assert_int_eq(
        memcmp(alpn == NULL ? "" : (const char *)alpn, expected, len), 0);
    pair_free(p);
    return done;
}

START_TEST(alpn_is_chosen_by_the_servers_preference)
{
    const dtlsl__tls_options options = {.self_signed = 1,
                                        .alpn = "coap,http/1.1"};
    SSL_CTX *ctx = ctx_of(&options);

    ck_assert(alpn_handshake(ctx, "\010http/1.1\004coap", "coap"));
    ck_assert(alpn_handshake(ctx, "\001x\010http/1.1", "http/1.1"));
    ck_assert(!alpn_handshake(ctx, "\001x", ""));
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(alpn_lists_with_empty_or_long_names_are_refused)
{
    char name[300];
    dtlsl__tls_options options = {.self_signed = 1};
    const char *const lists[] = {",coap", "coap,", "a,,b", name};

    memset(name, 'x', 256);
    name[256] = '\0';
    for (int i = 0; i < 4; i++) {
        options.alpn = lists[i];
        refused(&options, DTLSL_ERR_ARGUMENT, "alpn", "1 to 255");
    }
}
END_TEST

START_TEST(unknown_ciphers_are_refused)
{
    const dtlsl__tls_options options = {.self_signed = 1,
                                        .ciphers = "NO-SUCH"};

    refused(&options, DTLSL_ERR_ARGUMENT, "ciphers", "NO-SUCH");
}
END_TEST

START_TEST(only_aead_ciphers_are_offered_by_default)
{
    const dtlsl__tls_options options = {
        .self_signed = 1,
        .psk_file = write_text("psk", "device:07070707070707070707\n")};
    SSL_CTX *ctx = ctx_of(&options);
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
    int ccm = 0;

    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        const char *name = SSL_CIPHER_get_name(cipher);

        ck_assert_msg(SSL_CIPHER_is_aead(cipher) == 1, "%s", name);
        ck_assert_msg(strstr(name, "CCM8") == NULL, "%s", name);
        ccm += strcmp(name, "PSK-AES128-CCM") == 0;
    }
    ck_assert_int_eq(ccm, 1);
    dtlsl__tls_ctx_free(ctx);
    remove_dir();
}
END_TEST

/* A client that takes no tickets comes and goes. */
static void
visit_without_tickets(SSL_CTX *ctx)
{
    pair *p = pair_new(ctx, 1232);

    SSL_set_options(p->client.ssl, SSL_OP_NO_TICKET);
    ck_assert(handshake(p));
    /* else it is thrown away with its SSL */
    SSL_set_shutdown(p->server.ssl, SSL_SENT_SHUTDOWN);
    pair_free(p);
}

/* Clients without tickets are resumed by session id; dtlslisten-config(5) has
 * the bound. */
START_TEST(sessions_are_kept_for_their_ids_within_a_bound)
{
    const dtlsl__tls_options options = {.self_signed = 1, .session_cache = 2};
    SSL_CTX *ctx = ctx_of(&options);

    for (int i = 0; i < 3; i++)
        visit_without_tickets(ctx);
    ck_assert_int_ge(SSL_CTX_sess_number(ctx), 1);
    ck_assert_int_le(SSL_CTX_sess_number(ctx), 2);
    ck_assert_int_ge(SSL_CTX_sess_cache_full(ctx), 1);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(without_a_session_cache_none_is_kept)
{
    const dtlsl__tls_options options = {.self_signed = 1};
    SSL_CTX *ctx = ctx_of(&options);

    visit_without_tickets(ctx);
    ck_assert_int_eq(SSL_CTX_sess_number(ctx), 0);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(a_config_says_how_many_sessions_are_kept)
{
    const char *const values[] = {NULL, "0", "77"};
    const long modes[] = {SSL_SESS_CACHE_SERVER, SSL_SESS_CACHE_OFF,
                          SSL_SESS_CACHE_SERVER};
    const long sizes[] = {20480, 20480, 77};

    for (int i = 0; i < 3; i++) {
        dtlsl_config *config;
        struct ssl_ctx_st *ctx;

        ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
        ck_assert_int_eq(dtlsl_config_set(config, "self-signed", "1"), 0);
        if (values[i] != NULL)
            ck_assert_int_eq(
                dtlsl_config_set(config, "session-cache", values[i]), 0);
        ck_assert_int_eq(dtlsl__config_ssl_ctx(config, &ctx), DTLSL_OK);
        ck_assert_int_eq(SSL_CTX_get_session_cache_mode(ctx), modes[i]);
        ck_assert_int_eq(SSL_CTX_sess_get_cache_size(ctx), sizes[i]);
        dtlsl__tls_ctx_free(ctx);
        dtlsl_config_free(config);
    }
}
END_TEST

START_TEST(sessions_with_tickets_are_not_kept)
{
    const dtlsl__tls_options options = {.self_signed = 1};
    SSL_CTX *ctx = ctx_of(&options);
    pair *p = pair_new(ctx, 1232);

    ck_assert(handshake(p));
    SSL_set_shutdown(p->server.ssl, SSL_SENT_SHUTDOWN);
    ck_assert_int_eq(SSL_CTX_sess_number(ctx), 0);
    pair_free(p);
    dtlsl__tls_ctx_free(ctx);
}
END_TEST

START_TEST(ticket_keys_from_a_file_resume_across_contexts)
{
    uint8_t keys[80];
    dtlsl__tls_options options = {.self_signed = 1};
    SSL_CTX *a, *b;
    SSL_SESSION *session;
    pair *p;

    memset(keys, 42, sizeof(keys));
    options.ticket_key_file = write_file("tickets", keys, 80);
    a = ctx_of(&options);
    b = ctx_of(&options);
    p = pair_new(a, 1232);
    ck_assert(handshake(p));
    session = SSL_get1_session(p->client.ssl);
    SSL_set_shutdown(p->client.ssl, SSL_SENT_SHUTDOWN);
    pair_free(p);
    p = pair_new(b, 1232);
    ck_assert_int_eq(SSL_set_session(p->client.ssl, session), 1);
    ck_assert(handshake(p));
    ck_assert_int_eq(SSL_session_reused(p->client.ssl), 1);
    pair_free(p);
    SSL_SESSION_free(session);
    dtlsl__tls_ctx_free(a);
    dtlsl__tls_ctx_free(b);
    remove_dir();
}
END_TEST

/* A handshake with b of the session that a gave: is it resumed? */
static int
resumes(SSL_CTX *a, SSL_CTX *b)
{
    pair *p = pair_new(a, 1232);
    SSL_SESSION *session;
    int reused;

    ck_assert(handshake(p));
    session = SSL_get1_session(p->client.ssl);
    SSL_set_shutdown(p->client.ssl, SSL_SENT_SHUTDOWN);
    pair_free(p);
    p = pair_new(b, 1232);
    ck_assert_int_eq(SSL_set_session(p->client.ssl, session), 1);
    ck_assert(handshake(p));
    reused = SSL_session_reused(p->client.ssl);
    pair_free(p);
    SSL_SESSION_free(session);
    return reused;
}

START_TEST(ticket_keys_pass_from_one_context_to_the_next)
{
    dtlsl__tls_options options = {.self_signed = 1};
    SSL_CTX *a = ctx_of(&options), *b = ctx_of(&options);
    uint8_t keys[80];
    char err[256];

    ck_assert_int_eq(resumes(a, b), 0);
    ck_assert_int_eq(dtlsl__tls_ctx_keep(b, a, &options, err, sizeof(err)),
                     DTLSL_OK);
    ck_assert_int_eq(resumes(a, b), 1);
    dtlsl__tls_ctx_free(b);
    memset(keys, 42, sizeof(keys));
    options.ticket_key_file = write_file("tickets", keys, 80);
    b = ctx_of(&options);
    ck_assert_int_eq(dtlsl__tls_ctx_keep(b, a, &options, err, sizeof(err)),
                     DTLSL_OK);
    ck_assert_int_eq(resumes(a, b), 0); /* the file's keys stay */
    dtlsl__tls_ctx_free(a);
    dtlsl__tls_ctx_free(b);
    remove_dir();
}
END_TEST

START_TEST(a_ticket_key_file_of_another_size_is_refused)
{
    const dtlsl__tls_options options = {
        .self_signed = 1, .ticket_key_file = write_text("tickets", "short")};

    refused(&options, DTLSL_ERR_CREDENTIALS, "ticket-key-file", "80");
    remove_dir();
}
END_TEST

/* ---- pre-shared keys ---- */

static const char key16[] = "07070707070707070707070707070707";

static SSL_CTX *
psk_ctx(void)
{
    char text[256];
    dtlsl__tls_options options = {0};

    snprintf(text, sizeof(text),
             "# devices\r\n\n  urn:dev:1:%s \r\nzeta:00\ndevice:%s", key16,
             key16);
    options.psk_file = write_text("psk", text);
    return ctx_of(&options);
}

static pair *
psk_pair(SSL_CTX *ctx, const char *who, uint8_t byte)
{
    pair *p = pair_new(ctx, 1232);

    client_psk_identity = who;
    client_psk_byte = byte;
    SSL_set_psk_client_callback(p->client.ssl, client_psk);
    SSL_set_cipher_list(p->client.ssl, "PSK-AES128-GCM-SHA256");
    return p;
}

START_TEST(known_identities_complete_a_handshake)
{
    SSL_CTX *ctx = psk_ctx();
    const char *const known[] = {"device", "urn:dev:1"};

    for (int i = 0; i < 2; i++) {
        pair *p = psk_pair(ctx, known[i], 7);

        ck_assert(handshake(p));
        ck_assert_str_eq(SSL_get_psk_identity(p->server.ssl), known[i]);
        pair_free(p);
    }
    dtlsl__tls_ctx_free(ctx);
    remove_dir();
}
END_TEST

START_TEST(a_mark_and_blanks_around_the_colon_are_skipped)
{
    char text[256];
    dtlsl__tls_options options = {0};
    const char *const known[] = {"device", "urn:dev:1"};
    SSL_CTX *ctx;

    snprintf(text, sizeof(text),
             "\xef\xbb\xbf"
             "device : %s\nurn:dev:1\t:\t%s\n",
             key16, key16);
    options.psk_file = write_text("psk", text);
    ctx = ctx_of(&options);
    for (int i = 0; i < 2; i++) {
        pair *p = psk_pair(ctx, known[i], 7);

        ck_assert(handshake(p));
        pair_free(p);
    }
    dtlsl__tls_ctx_free(ctx);
    remove_dir();
}
END_TEST

/* What a failing client sees: how many datagrams, and of which lengths. */
static void
failing_trace(SSL_CTX *ctx, const char *who, uint8_t byte, char *out,
              size_t len)
{
    pair *p = psk_pair(ctx, who, byte);
    size_t used = 0;

    ck_assert_int_eq(listen_step(p), 1);
    SSL_accept(p->server.ssl);
    out[0] = '\0';
    for (int i = 0; i < 4; i++) {
        for (size_t j = 0; j < p->server.count; j++)
            used += (size_t)snprintf(out + used, len - used, "%d:%zu:%u ", i,
                                     p->server.len[j], p->server.data[j][0]);
        deliver(&p->server, &p->client);
        deliver(&p->client, &p->server);
    }
    ck_assert(!SSL_is_init_finished(p->server.ssl));
    ck_assert(!SSL_is_init_finished(p->client.ssl));
    pair_free(p);
    ERR_clear_error();
}

START_TEST(an_unknown_identity_fails_the_same_way_as_a_wrong_key)
{
    SSL_CTX *ctx = psk_ctx();
    char wrong[256], unknown[256];

    failing_trace(ctx, "device", 8, wrong, sizeof(wrong));
    failing_trace(ctx, "nobody", 8, unknown, sizeof(unknown));
    ck_assert_uint_gt(strlen(wrong), 0);
    ck_assert_str_eq(wrong, unknown);
    dtlsl__tls_ctx_free(ctx);
    remove_dir();
}
END_TEST

START_TEST(psk_errors_name_the_line_and_never_the_key)
{
    const struct {
        const char *text, *expected;
    } cases[] = {{"# c\n\na:00\nnocolon\n", "line 4"},
                 {":00ff\n", "line 1: no \"identity"},
                 {" : 00ff\n", "line 1: no \"identity"},
                 {"a:00\nb:0\n", "line 2: the key has an odd number"},
                 {"a:\n", "line 1: no key behind"},
                 {"a: \n", "line 1: no key behind"},
                 {"a:00\nb:c0ffeeg0\n", "line 2: the key is not hexadec"},
                 {"a:00\nb:c0ffee c0\n", "line 2: the key is not hexadec"},
                 {"\xef\xbb\xbfnocolon\n", "line 1"},
                 {"b:00\na:00\nb:11\n", "lines 1 and 3"},
                 {"# nothing\n", "no key"},
                 {"", "no key"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const dtlsl__tls_options options = {
            .psk_file = write_text("psk", cases[i].text)};
        char err[512] = "";
        SSL_CTX *ctx = NULL;

        refused(&options, DTLSL_ERR_CREDENTIALS, "psk", cases[i].expected);
        dtlsl__tls_ctx_new(&ctx, &options, err, sizeof(err));
        ck_assert_ptr_null(strstr(err, "c0ffee"));
    }
    remove_dir();
}
END_TEST

START_TEST(psk_identities_and_keys_that_are_too_long_are_refused)
{
    char text[700];
    dtlsl__tls_options options = {0};

    memset(text, 'i', 129);
    strcpy(text + 129, ":00\n");
    options.psk_file = write_text("psk", text);
    refused(&options, DTLSL_ERR_CREDENTIALS, "line 1", "128");
    strcpy(text, "a:");
    memset(text + 2, '0', 514);
    text[516] = '\0';
    options.psk_file = write_text("psk", text);
    refused(&options, DTLSL_ERR_CREDENTIALS, "line 1", "longer than 256");
    options.psk_file = write_file("psk", "a:00\n\0b:11\n", 11);
    refused(&options, DTLSL_ERR_CREDENTIALS, "psk", "zero byte");
    remove_dir();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_certificate_and_key_from_files_are_served,
        a_key_of_another_certificate_is_refused_with_both_names,
        a_key_with_a_passphrase_is_refused_without_asking,
        missing_and_unreadable_files_are_named,
        a_missing_key_in_the_certificate_file_is_named,
        options_without_credentials_are_refused,
        a_ca_file_demands_a_certificate_that_it_signed,
        a_list_of_client_certificates_has_16_KB_and_no_more,
        a_ca_file_without_certificates_is_refused,
        alpn_is_chosen_by_the_servers_preference,
        alpn_lists_with_empty_or_long_names_are_refused,
        unknown_ciphers_are_refused,
        only_aead_ciphers_are_offered_by_default,
        sessions_are_kept_for_their_ids_within_a_bound,
        without_a_session_cache_none_is_kept,
        a_config_says_how_many_sessions_are_kept,
        sessions_with_tickets_are_not_kept,
        ticket_keys_from_a_file_resume_across_contexts,
        ticket_keys_pass_from_one_context_to_the_next,
        a_ticket_key_file_of_another_size_is_refused,
        known_identities_complete_a_handshake,
        a_mark_and_blanks_around_the_colon_are_skipped,
        an_unknown_identity_fails_the_same_way_as_a_wrong_key,
        psk_errors_name_the_line_and_never_the_key,
        psk_identities_and_keys_that_are_too_long_are_refused,
    };

    return test_main(
        test_suite("credentials", tests, sizeof(tests) / sizeof(tests[0])));
}
