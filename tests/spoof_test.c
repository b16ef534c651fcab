/* SPDX-License-Identifier: MIT
 * Spoofed records: half-open handshakes and living sessions go on, and memory
 * stays where it was. */
#include "fuzz/conn_fuzz_seal.h"
#include "test.h"
#include "world.h"
#include <malloc.h>
#include <openssl/ssl.h>

enum {
    BOMB = 26
};

#define HUGE_SEQ ((1ULL << 48) - 1)

/* Spoofed plaintext */

/* One record that a spoofer can make. With client certificates some of them
 * are where a genuine one is expected: forged_message_... has those. */
typedef struct spoof {
    const char *what;
    uint8_t type;
    uint16_t epoch;
    uint8_t body[40];
    size_t len;
    uint16_t version;     /* 0: DTLS 1.2 */
    int with_certificate; /* may be genuine then */
} spoof;

/* clang-format off */
#define MESSAGE(type, length, seq, offset, fragment)                \
    {                                                               \
        type, 0, 0, length, 0, seq, 0, 0, offset, 0, 0, fragment, 7 \
    }
/* clang-format on */

/* clang-format off */
static const spoof spoofs[] = {
    {"fatal alert", 21, 0, {2, 40}, 2, 0, 0},
    {"close_notify", 21, 0, {1, 0}, 2, 0, 0},
    {"warning alert", 21, 0, {1, 90}, 2, 0, 0},
    {"alert of an unknown level", 21, 0, {3, 40}, 2, 0, 0},
    {"malformed alert", 21, 0, {2}, 1, 0, 0},
    {"empty alert", 21, 0, {0}, 0, 0, 0},
    {"long alert", 21, 0, {2, 40, 0}, 3, 0, 0},
    {"type 0", 0, 0, {1, 2, 3}, 3, 0, 0},
    {"type 25", 25, 0, {1, 2, 3}, 3, 0, 0},
    {"type 99", 99, 0, {1, 2, 3}, 3, 0, 0},
    {"type 255 in epoch 1", 255, 1, {1, 2, 3}, 40, 0, 0},
    {"application data", 23, 0, {1, 2, 3}, 3, 0, 0},
    {"empty application data", 23, 0, {0}, 0, 0, 0},
    {"heartbeat", 24, 0, {1, 0, 1, 7}, 4, 0, 0},
    {"fatal alert of TLS 1.2", 21, 0, {2, 40}, 2, 0x0303, 0},
    {"ChangeCipherSpec of TLS 1.2", 20, 0, {1}, 1, 0x0303, 0},
    {"ChangeCipherSpec of version 1.0", 20, 0, {1}, 1, 0x0100, 0},
    {"empty record", 22, 0, {0}, 0, 0, 0},
    {"short handshake", 22, 0, {16, 0, 0}, 3, 0, 0},
    {"half a header", 22, 0, {16, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0}, 11, 0, 0},
    {"fragment beyond record", 22, 0, MESSAGE(16, 66, 2, 0, 66), 12, 0, 0},
    {"fragment beyond message", 22, 0, MESSAGE(16, 1, 2, 9, 1), 13, 0, 0},
    {"empty fragment", 22, 0, MESSAGE(16, 66, 2, 0, 0), 12, 0, 0},
    {"absurd length", 22, 0,
     {16, 0xFF, 0xFF, 0xFF, 0, 2, 0, 0, 0, 0, 0, 1, 7}, 13, 0, 0},
    {"absurd length and offset", 22, 0,
     {16, 0xFF, 0xFF, 0xFF, 0, 2, 0xFF, 0xFF, 0xFE, 0, 0, 1, 7}, 13, 0, 0},
    {"HelloRequest", 22, 0, MESSAGE(0, 0, 2, 0, 0), 12, 0, 0},
    {"ClientHello", 22, 0, MESSAGE(1, 1, 2, 0, 1), 13, 0, 0},
    {"ClientHello once more", 22, 0, MESSAGE(1, 1, 1, 0, 1), 13, 0, 0},
    {"ClientHello's fragment", 22, 0, MESSAGE(1, 99, 1, 50, 1), 13, 0, 0},
    {"ClientHello's empty fragment", 22, 0, MESSAGE(1, 99, 1, 50, 0), 12, 0,
     0},
    {"ServerHello", 22, 0, MESSAGE(2, 1, 2, 0, 1), 13, 0, 0},
    {"HelloVerifyRequest", 22, 0, MESSAGE(3, 1, 2, 0, 1), 13, 0, 0},
    {"NewSessionTicket", 22, 0, MESSAGE(4, 1, 2, 0, 1), 13, 0, 0},
    {"Certificate", 22, 0, MESSAGE(11, 1, 2, 0, 1), 13, 0, 1},
    {"CertificateRequest", 22, 0, MESSAGE(13, 1, 2, 0, 1), 13, 0, 0},
    {"ServerHelloDone", 22, 0, MESSAGE(14, 0, 2, 0, 0), 12, 0, 0},
    {"CertificateVerify", 22, 0, MESSAGE(15, 1, 3, 0, 1), 13, 0, 0},
    {"CertificateVerify of the future", 22, 0, MESSAGE(15, 1, 4, 0, 1), 13, 0,
     1},
    {"Finished", 22, 0, MESSAGE(20, 1, 2, 0, 1), 13, 0, 0},
    {"Finished of the future", 22, 0, MESSAGE(20, 12, 3, 0, 12), 24, 0, 0},
    {"key exchange of the past", 22, 0, MESSAGE(16, 1, 1, 0, 1), 13, 0, 0},
    {"key exchange of the future", 22, 0, MESSAGE(16, 1, 3, 0, 1), 13, 0, 1},
    {"key exchange of the far future", 22, 0, MESSAGE(16, 1, 9, 0, 1), 13, 0,
     0},
    {"unknown message", 22, 0, MESSAGE(77, 1, 2, 0, 1), 13, 0, 0},
    {"two messages", 22, 0,
     {16, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0,
      20, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}, 24, 0, 0},
    {"a good message and half a bad one", 22, 0,
     {16, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 7, 16, 0, 0}, 16, 0, 0},
    {"ChangeCipherSpec", 20, 0, {1}, 1, 0, 0},
    {"odd ChangeCipherSpec", 20, 0, {2}, 1, 0, 0},
    {"long ChangeCipherSpec", 20, 0, {1, 1}, 2, 0, 0},
    {"empty ChangeCipherSpec", 20, 0, {0}, 0, 0, 0},
    {"epoch 1 empty", 23, 1, {0}, 0, 0, 0},
    {"epoch 1 alert", 21, 1, {2, 40}, 2, 0, 0},
    {"epoch 1 of 15 bytes", 23, 1, {7}, 15, 0, 0},
    {"epoch 1 of 16 bytes", 23, 1, {7}, 16, 0, 0},
    {"epoch 1 of 23 bytes", 23, 1, {7}, 23, 0, 0},
    {"epoch 1 of 24 bytes", 23, 1, {7}, 24, 0, 0},
    {"epoch 1 junk", 23, 1, {7}, 40, 0, 0},
    {"epoch 1 handshake junk", 22, 1, {7}, 40, 0, 0},
    {"epoch 1 ChangeCipherSpec", 20, 1, {1}, 40, 0, 0},
    {"epoch 2 junk", 23, 2, {7}, 40, 0, 0},
    {"epoch 2 alert", 21, 2, {2, 40}, 2, 0, 0},
    {"epoch 65535 junk", 22, 65535, {7}, 40, 0, 0},
};
/* clang-format on */

/* Record numbers: as they are, or counted from the client's last. */
static const struct {
    uint64_t base;
    int relative;
} numbers[] = {
    {0, 0}, {1, 1}, {2, 1}, {32, 1}, {64, 1}, {1ULL << 47, 0}, {HUGE_SEQ, 0},
};

/* When the spoof comes. */
enum {
    IN_HELLO,  /* between the fragments of the ClientHello */
    HALF_OPEN, /* before anything else of the client's */
    IN_FLIGHT, /* behind each record of its second flight but the last */
    OPEN,
    POSITIONS
};

enum {
    N_SPOOFS = sizeof(spoofs) / sizeof(spoofs[0]),
    N_NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
    TIMES = 5
};

static void
inject(world *w, const spoof *s, size_t number, uint64_t last)
{
    uint64_t seq =
        numbers[number].base + (numbers[number].relative ? last : 0);
    uint8_t record[64];
    size_t len = make_record(record, s->type, s->epoch, seq, s->body, s->len);

    if (s->version != 0)
        dtlsl__put16(record + 1, s->version);
    for (int i = 0; i < TIMES; i++)
        world_input(w, &w->path[0], record, len);
}

/* Lets a held flight go record by record. */
static void
release_with(world *w, packet *held, size_t n, const spoof *s, size_t number)
{
    dtlsl__record record;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = held[i].data;
        size_t left = held[i].len;
        int32_t len;
        while ((len = dtlsl__record_read(&record, p, left)) > 0) {
            world_input(w, &w->path[0], p, (size_t)len);
            p += len;
            left -= (size_t)len;
            if (s != NULL && (left > 0 || i + 1 < n))
                inject(w, s, number, record.seq);
        }
        packet_free(&held[i]);
    }
}

/* A handshake with one kind of spoof at one place; then the echo and the end,
 * so that the world can be used again. */
static void
handshake_with(world *w, const client_options *options, const spoof *s,
               size_t number, int position)
{
    uint64_t made = world_counter(w, DTLSL__N_SSL_NEW);
    dtlsl_path path = world_path((uint32_t)made + 1, 4000);
    client *c = world_client_at(w, options, &path);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t len, n;
    uint64_t seq;

    w->n_events = 0;
    len = world_second_hello(w, c, hello);
    seq = dtlsl__get48(hello + 5);
    n = world_hold(c, held);
    world_input(w, &path, hello, len);
    if (position == IN_HELLO)
        inject(w, s, number, seq);
    world_release(w, &path, held, n);
    n = world_hold(c, held);
    if (position == HALF_OPEN)
        inject(w, s, number, seq);
    release_with(w, held, n, position == IN_FLIGHT ? s : NULL, number);
    world_pump(w);
    if (position == OPEN)
        inject(w, s, number, 10);
    ck_assert_msg(client_is_open(c), "%s, number %zu, at %d", s->what, number,
                  position);
    world_check_echo(w, c, "undisturbed");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), made + 1);
    ck_assert_uint_eq(w->n_events, 2); /* OPEN and DATA */
    world_check_sums(w);
    if (options != NULL && options->session != NULL)
        ck_assert(SSL_session_reused(client_ssl(c)));
    client_shutdown(c);
    world_pump(w);
    world_drop_client(w, c);
}

static const client_options fragmenting = {.alpn_padding = 600, .mtu = 300};

START_TEST(spoofed_records_do_not_stop_an_honest_handshake)
{
    world *w = world_new(NULL);

    for (int position = 0; position < POSITIONS; position++)
        for (size_t number = 0; number < N_NUMBERS; number++)
            handshake_with(w, position == IN_HELLO ? &fragmenting : NULL,
                           &spoofs[_i], number, position);
    world_free(w);
}
END_TEST

/* Clients with certificates */

START_TEST(spoofed_records_do_not_stop_a_client_with_a_certificate)
{
    identity me;
    world *w = world_of_certificates(NULL, &me);
    client_options options = {.identity = &me};

    for (size_t i = 0; i < N_SPOOFS; i++)
        for (int position = HALF_OPEN; position <= OPEN; position++)
            if (!spoofs[i].with_certificate || position == OPEN)
                handshake_with(w, &options, &spoofs[i],
                               (i + (size_t)position) % N_NUMBERS, position);
    world_free(w);
    identity_free(&me);
}
END_TEST

/* It has no message in the clear behind its ClientHello: also what is in its
 * place in a full handshake is forged. */
START_TEST(spoofed_records_do_not_stop_a_resumed_handshake)
{
    static const spoof forged = {
        "key exchange", 22, 0, MESSAGE(16, 1, 2, 0, 1), 13, 0, 0};
    client_options options = {.session = NULL};
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);

    world_connect(w, c);
    options.session = SSL_get1_session(client_ssl(c));
    client_shutdown(c);
    world_pump(w);
    world_drop_client(w, c);
    for (size_t i = 0; i <= N_SPOOFS; i++)
        for (int position = HALF_OPEN; position <= OPEN; position++)
            handshake_with(w, &options, i < N_SPOOFS ? &spoofs[i] : &forged,
                           (i + (size_t)position) % N_NUMBERS, position);
    SSL_SESSION_free(options.session);
    world_free(w);
}
END_TEST

/* Many at a time, as a spoofer would. */
START_TEST(five_random_spoofs_stop_no_honest_handshake)
{
    world *w = world_new(NULL);
    uint32_t random = 1;

    for (uint32_t i = 0; i < 200; i++) {
        dtlsl_path path = world_path(i + 1, 4000);
        client *c = world_client_at(w, NULL, &path);
        uint8_t hello[HELLO_ROOM];
        packet held[WORLD_HELD];
        size_t n;

        world_accept(w, c, hello);
        n = world_hold(c, held);
        for (int k = 0; k < 5; k++) {
            random = random * 1664525 + 1013904223;
            inject(w, &spoofs[(random >> 8) % N_SPOOFS],
                   (random >> 20) % N_NUMBERS, 1);
        }
        world_release(w, &path, held, n);
        world_connect(w, c);
        world_check_echo(w, c, "undisturbed");
        ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
        ck_assert_uint_eq(w->n_events, 2);
        w->n_events = 0;
        world_drop_client(w, c);
    }
    world_free(w);
}
END_TEST

/* The exception: what cannot be told from the genuine message. */

static void
check_forged(world *w, const client_options *options, uint8_t type)
{
    client *c = world_client(w, options);
    uint8_t hello[HELLO_ROOM], forged[64];

    world_accept(w, c, hello);
    client_discard(c);
    world_input(w, &w->path[0], forged,
                make_message(forged, 2, type, 2, 32, 0, 32));
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TLS);
    world_drop_client(w, c);
    c = world_client(w, options); /* the next try succeeds */
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_check_sums(w);
    world_free(w);
}

START_TEST(a_forged_key_exchange_in_its_place_ends_the_handshake)
{
    check_forged(world_new(NULL), NULL, DTLSL__CLIENT_KEY_EXCHANGE);
}
END_TEST

START_TEST(a_forged_certificate_in_its_place_ends_the_handshake)
{
    identity me;
    world *w = world_of_certificates(NULL, &me);
    client_options options = {.identity = &me};

    check_forged(w, &options, DTLSL__CERTIFICATE);
    identity_free(&me);
}
END_TEST

/* Alerts */

START_TEST(the_alert_of_a_real_client_is_in_the_text)
{
    client_options options = {.verifies = 1};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    const seen *failed;

    world_pump(w);
    ck_assert(client_is_dead(c)); /* it knows no authority */
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ALERTS_IGNORED), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_wait(w, 15000);
    failed = world_find(w, DTLSL_EVENT_FAILED);
    ck_assert_ptr_nonnull(failed);
    ck_assert_int_eq(failed->status, DTLSL_CLOSE_TIMEOUT);
    ck_assert_ptr_nonnull(
        strstr((const char *)failed->data, "(alert unknown CA seen)"));
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(a_text_without_an_alert_names_none)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000);

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    world_wait(w, 15000);
    ck_assert_ptr_null(strstr(
        (const char *)world_find(w, DTLSL_EVENT_FAILED)->data, "alert"));
    world_free(w);
}
END_TEST

/* An SSL_CTX of the application's own. */
static world *
world_of_ctx(SSL_CTX *ctx, const char *encrypt_then_mac)
{
    world *w = calloc(1, sizeof(*w));
    dtlsl_config *config;

    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, ctx), DTLSL_OK);
    ck_assert_int_eq(
        dtlsl_config_set(config, "encrypt-then-mac", encrypt_then_mac),
        DTLSL_OK);
    SSL_CTX_free(ctx);
    world_start(w, config);
    return w;
}

/* CBC: one spoofed record ends a session with encrypt-then-MAC. */

static world *
world_of_cbc(const char *encrypt_then_mac)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    world *w;
    identity id;

    identity_make(&id, "cbc");
    SSL_CTX_use_certificate(ctx, id.cert);
    SSL_CTX_use_PrivateKey(ctx, id.key);
    ck_assert_int_eq(SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-SHA256"),
                     1);
    w = world_of_ctx(ctx, encrypt_then_mac);
    identity_free(&id);
    return w;
}

START_TEST(no_spoofed_record_ends_a_session_with_cbc)
{
    client_options options = {.ciphers = "ECDHE-ECDSA-AES128-SHA256"};
    world *w = world_of_cbc("0");
    client *c = world_client(w, &options);
    uint8_t body[200] = {7}, record[256];

    world_connect(w, c);
    for (size_t len = 0; len < sizeof(body); len++) {
        for (uint8_t type = 20; type < 24; type++)
            world_input(w, &w->path[0], record,
                        make_record(record, type, 1, len + 50, body, len));
    }
    world_check_echo(w, c, "undisturbed");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_free(w);
}
END_TEST

/* Both sides of a re-handshake see the records of epoch 1. */
START_TEST(a_client_with_cbc_comes_back)
{
    client_options options = {.ciphers = "ECDHE-ECDSA-AES128-SHA256"};
    world *w = world_of_cbc("0");
    client *a = world_client(w, &options), *b;
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_connect(w, a);
    b = world_client_at(w, &options, &w->path[0]);
    world_accept(w, b, hello);
    n = world_hold(b, held);
    world_check_echo(w, a, "undisturbed");
    world_release(w, &w->path[0], held, n);
    world_drop_client(w, a);
    world_connect(w, b);
    world_check_echo(w, b, "x");
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_REPLACED);
    world_free(w);
}
END_TEST

/* Who asks for encrypt-then-MAC gets it, with what it costs. */
START_TEST(a_spoofed_record_ends_a_session_with_encrypt_then_mac)
{
    client_options options = {.ciphers = "ECDHE-ECDSA-AES128-SHA256"};
    world *w = world_of_cbc("1");
    uint8_t body[64] = {7}, record[128];

    world_connect(w, world_client(w, &options));
    world_input(w, &w->path[0], record,
                make_record(record, 23, 1, 50, body, sizeof(body)));
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Records of the old session would end the new one: it goes first. */
START_TEST(with_encrypt_then_mac_a_valid_cookie_ends_the_old_session)
{
    client_options options = {.ciphers = "ECDHE-ECDSA-AES128-SHA256"};
    world *w = world_of_cbc("1");
    client *a = world_client(w, &options), *b;
    uint8_t hello[HELLO_ROOM], alert[32];
    packet held[WORLD_HELD];
    uint64_t old;
    size_t n;

    world_accept(w, a, hello);
    world_input(w, &w->path[0], alert,
                make_record(alert, 21, 0, 3, "\2\60", 2));
    old = world_connect(w, a);
    b = world_client_at(w, &options, &w->path[0]);
    world_accept(w, b, hello);
    ck_assert_uint_eq(world_find(w, DTLSL_EVENT_CLOSE)->conn, old);
    ck_assert_str_eq((const char *)world_find(w, DTLSL_EVENT_CLOSE)->data,
                     "a newer handshake of the peer");
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_REPLACED);
    n = world_hold(b, held);
    world_drop_client(w, a);
    world_release(w, &w->path[0], held, n);
    world_connect(w, b);
    world_check_echo(w, b, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 2);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLACED), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* The 26-byte fragment that declares a message of 100,000 bytes: 1.1 MB each
 * ten of them with bare OpenSSL. */
START_TEST(the_fragment_bomb_pins_no_memory)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM], bomb[BOMB];
    packet held[WORLD_HELD];
    struct mallinfo2 before, after;
    size_t n;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    before = mallinfo2();
    for (uint16_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(make_message(bomb, i + 2U, 16, (uint16_t)(2 + i / 4),
                                       100000, i * 1000U, 1),
                          BOMB);
        world_input(w, &w->path[0], bomb, BOMB);
    }
    after = mallinfo2();
    ck_assert_int_lt((int64_t)after.uordblks - (int64_t)before.uordblks,
                     32768);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 100);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FILTERED), 100);
    world_release(w, &w->path[0], held, n);
    world_connect(w, c);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(fragments_that_fit_pin_little_memory)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM], bomb[BOMB];
    struct mallinfo2 before, after;

    world_accept(w, c, hello);
    client_discard(c);
    before = mallinfo2();
    for (uint32_t i = 0; i < 100; i++) {
        make_message(bomb, i + 2, 16, 2, 1024, 10 * i, 1);
        world_input(w, &w->path[0], bomb, BOMB);
    }
    after = mallinfo2();
    ck_assert_int_lt((int64_t)after.uordblks - (int64_t)before.uordblks,
                     32768);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 1);
    world_free(w);
}
END_TEST

/* Where client certificates are asked for. */
START_TEST(no_message_but_a_certificate_may_declare_16_KB)
{
    static const struct {
        uint8_t type;
        uint16_t seq;
        uint32_t longest;
    } cases[] = {{11, 2, 16384}, {16, 3, 2048}, {15, 4, 2304}};
    identity me;
    world *w = world_of_certificates(NULL, &me);
    uint8_t hello[HELLO_ROOM], fragment[64];
    uint64_t delivered;

    world_accept(w, world_client(w, NULL), hello);
    for (size_t i = 0; i < 3; i++) {
        delivered = world_counter(w, DTLSL__N_DELIVERED);
        make_message(fragment, 9, cases[i].type, cases[i].seq,
                     cases[i].longest + 1, 0, 1);
        world_input(w, &w->path[0], fragment, BOMB);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FILTERED), i + 1);
        make_message(fragment, 9, cases[i].type, cases[i].seq,
                     cases[i].longest, 0, 1);
        world_input(w, &w->path[0], fragment, BOMB);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_DELIVERED), delivered + 1);
    }
    world_free(w);
    identity_free(&me);
}
END_TEST

/* With client certificates: one Certificate of max_cert_list, and two small
 * messages. */
START_TEST(fragments_for_certificates_pin_one_certificate_of_memory)
{
    static const struct {
        uint8_t type;
        uint16_t seq;
    } kinds[] = {{11, 2}, {16, 3}, {15, 4}};
    identity me;
    world *w = world_of_certificates(NULL, &me);
    client_options options = {.identity = &me};
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM], bomb[BOMB];
    struct mallinfo2 before, after;

    world_accept(w, c, hello);
    client_discard(c);
    before = mallinfo2();
    for (uint32_t i = 0; i < 300; i++) {
        make_message(bomb, i + 2, kinds[i % 3].type, kinds[i % 3].seq, 16384,
                     i, 1);
        world_input(w, &w->path[0], bomb, BOMB);
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 200);
    after = mallinfo2();
    ck_assert_int_lt((int64_t)after.uordblks - (int64_t)before.uordblks,
                     16384 + 32768);
    world_free(w);
    identity_free(&me);
}
END_TEST

/* The client goes on to its ChangeCipherSpec; its Finished is kept. Returns
 * the length of that. */
static size_t
change_cipher(world *w, client *c, uint8_t finished[HELLO_ROOM])
{
    packet held[WORLD_HELD];
    dtlsl__record record;
    size_t n, len = 0;
    int32_t taken;

    world_accept(w, c, finished);
    n = world_hold(c, held);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *data = held[i].data, *stop = data + held[i].len;
        for (; (taken = dtlsl__record_read(&record, data,
                                           (size_t)(stop - data))) > 0;
             data += taken) {
            if (record.epoch == 0) {
                world_input(w, &w->path[0], data, (size_t)taken);
                continue;
            }
            len = (size_t)taken;
            memcpy(finished, data, len);
        }
        packet_free(&held[i]);
    }
    ck_assert_uint_gt(len, 0);
    return len;
}

static int
accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

/* OpenSSL's own max_cert_list, 100 KB. */
static world *
world_of_long_certificates(identity *me)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());

    identity_make(me, "me");
    SSL_CTX_use_certificate(ctx, me->cert);
    SSL_CTX_use_PrivateKey(ctx, me->key);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    return world_of_ctx(ctx, "0");
}

/* Who went on to its ChangeCipherSpec can encrypt: OpenSSL keeps eleven
 * messages, none of them longer than a record. */
START_TEST(encrypted_fragments_pin_no_certificate_of_memory)
{
    identity me;
    world *w = world_of_long_certificates(&me);
    client_options options = {.identity = &me,
                              .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"};
    client *c = world_client(w, &options);
    uint8_t finished[HELLO_ROOM], part[64], sealed[128];
    struct mallinfo2 before, after;
    size_t len;

    change_cipher(w, c, finished);
    before = mallinfo2();
    for (uint16_t seq = 3; seq < 30; seq++) {
        len = make_message(part, 0, 11, seq, 100000, 5, 1);
        make_record(sealed, 22, 1, 100U + seq, "", 0);
        len = seal(client_ssl(c), sealed, part + DTLSL__RECORD_HEADER,
                   len - DTLSL__RECORD_HEADER);
        world_input(w, &w->path[0], sealed, len);
    }
    after = mallinfo2();
    ck_assert_int_lt((int64_t)after.uordblks - (int64_t)before.uordblks,
                     262144);
    world_free(w);
    identity_free(&me);
}
END_TEST

/* OpenSSL keeps 100 records of data whole that come before the Finished. */
START_TEST(data_before_the_finished_pins_four_records_of_memory)
{
    static const uint8_t plain[DTLSL__RECORD_MAX];
    static uint8_t sealed[SEAL_OVERHEAD + sizeof(plain)];
    client_options options = {.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    struct mallinfo2 before, after;
    uint8_t finished[HELLO_ROOM];
    size_t len = change_cipher(w, c, finished);

    before = mallinfo2();
    for (uint64_t i = 1; i <= 40; i++) {
        make_record(sealed, 23, 1, i, "", 0);
        world_input(w, &w->path[0], sealed,
                    seal(client_ssl(c), sealed, plain, sizeof(plain)));
    }
    after = mallinfo2();
    ck_assert_int_lt((int64_t)after.uordblks - (int64_t)before.uordblks,
                     98304);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 36);
    world_input(w, &w->path[0], finished, len);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 4);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* OpenSSL says SSL_ERROR_SYSCALL with an empty queue: that SSL is dead, which
 * must be told. */
START_TEST(fragments_that_contradict_each_other_are_told)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM], fragment[BOMB];
    const seen *failed;

    world_accept(w, c, hello);
    client_discard(c);
    make_message(fragment, 2, 16, 2, 66, 5, 1);
    world_input(w, &w->path[0], fragment, BOMB);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    make_message(fragment, 3, 16, 2, 67, 6, 1);
    world_input(w, &w->path[0], fragment, BOMB);
    failed = world_find(w, DTLSL_EVENT_FAILED);
    ck_assert_ptr_nonnull(failed);
    ck_assert_int_eq(failed->status, DTLSL_CLOSE_TLS);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(an_alert_behind_the_hello_does_not_kill)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    len += make_record(hello + len, 21, 0, 3, "\x02\x28", 2);
    world_input(w, &w->path[0], hello, len);
    world_connect(w, c);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ALERTS_IGNORED), 1);
    world_check_echo(w, c, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(the_last_event_tells_of_a_plaintext_alert)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000);
    uint8_t record[32];
    const seen *failed;

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    world_input(w, &path, record, make_record(record, 21, 0, 3, "\2\60", 2));
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_wait(w, 15000);
    failed = world_find(w, DTLSL_EVENT_FAILED);
    ck_assert_ptr_nonnull(failed);
    ck_assert_int_eq(failed->status, DTLSL_CLOSE_TIMEOUT);
    ck_assert_str_eq((const char *)failed->data,
                     "no Finished within the handshake timeout "
                     "(alert unknown CA seen)");
    world_free(w);
}
END_TEST

/* Ending a fragmented hello's connection by fragments of another. */
START_TEST(spoofed_hello_fragments_do_not_grow_without_bound)
{
    client_options options = {.alpn_padding = 800, .mtu = 256};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM], fragment[64];
    struct mallinfo2 before, after;
    size_t len = world_second_hello(w, c, hello);

    world_input(w, &w->path[0], hello, len);
    before = mallinfo2();
    for (uint32_t i = 1; i < 100; i++) {
        make_message(fragment, i + 2, 1, 1, 100000, i * 600, 1);
        world_input(w, &w->path[0], fragment, BOMB);
    }
    after = mallinfo2();
    ck_assert_int_lt((int64_t)after.uordblks - (int64_t)before.uordblks,
                     32768);
    world_connect(w, c);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(junk_swept_over_an_idle_session_is_harmless)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t body[600] = {1}, record[700];
    struct mallinfo2 before, after;
    /* Both buffers of 16 KB are given back; since libssl 3.2 the mode
     * RELEASE_BUFFERS has seen to most of them before. */
    int64_t gain = OpenSSL_version_num() < 0x30200000UL ? 24000 : 4000;

    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_wait(w, 1);
    before = mallinfo2();
    for (size_t len = 0; len < sizeof(body); len++)
        world_input(w, &w->path[0], record,
                    make_record(record, (uint8_t)(20 + len % 4), 1,
                                len % 2 ? len : HUGE_SEQ, body, len));
    after = mallinfo2();
    if (before.uordblks != 0)
        ck_assert_int_lt((int64_t)after.uordblks,
                         (int64_t)before.uordblks - gain);
    world_check_echo(w, c, "alive");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* The buffers were given back after the junk; writing needs them again. */
START_TEST(junk_before_a_send_or_a_close_is_harmless)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);
    uint8_t body[64] = {1}, junk[96];
    size_t len = make_record(junk, 23, 1, 50, body, sizeof(body));

    world_input(w, &w->path[0], junk, len);
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, body, 9), DTLSL_OK);
    world_pump(w);
    ck_assert_uint_eq(client_received(c), 1);
    world_input(w, &w->path[0], junk, len);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
    world_pump(w);
    ck_assert(client_is_closed(c));
    world_free(w);
}
END_TEST

/* The application's error queue; world.c asserts at each call. */

START_TEST(the_applications_error_queue_survives_everything)
{
    client_options options = {.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"};
    world *w = world_new("idle-timeout-ms=60000");
    client *c = world_client(w, NULL), *b;
    uint8_t junk[64] = {0};
    size_t len = make_record(junk, 23, 1, 9, junk, 48);

    w->poison = 1;
    world_connect(w, c);
    world_input(w, &w->path[0], junk, len);
    world_check_echo(w, c, "x");
    b = world_client(w, &options);
    world_pump(w);
    ck_assert(client_is_dead(b));
    world_drop_client(w, b);
    b = world_client_at(w, NULL, &w->path[0]);
    world_connect(w, b); /* replaces the first */
    world_drop_client(w, c);
    client_shutdown(b);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 2);
    world_free(w);
}
END_TEST

/* OpenSSL drops a ChangeCipherSpec that comes before ClientKeyExchange: it
 * must not open the door for records of the next epoch. */
START_TEST(a_spoofed_change_lets_no_more_early_records_in)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM], record[96], body[64] = {1};
    packet held[WORLD_HELD];
    size_t n;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    world_input(w, &w->path[0], record,
                make_record(record, 20, 0, 50, body, 1));
    for (uint32_t i = 0; i < 50; i++)
        world_input(w, &w->path[0], record,
                    make_record(record, 23, 1, 100 + i, body, 48));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FILTERED), 46);
    world_release(w, &w->path[0], held, n);
    world_connect(w, c);
    world_check_echo(w, c, "alive");
    world_free(w);
}
END_TEST

/* One of them ends a handshake where libssl lacks the fix of CVE-2026-75806,
 * also one that came early. */
static void
spoof_short_records(const char *ciphers, size_t shortest)
{
    const client_options options = {.ciphers = ciphers};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM], record[64], body[32] = {1};
    packet held[WORLD_HELD];
    size_t n;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    for (size_t len = 0; len < shortest; len++)
        world_input(w, &w->path[0], record,
                    make_record(record, 22, 1, 5 + len, body, len));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FILTERED), shortest);
    world_release(w, &w->path[0], held, n);
    world_connect(w, c);
    for (size_t len = 0; len < shortest; len++)
        world_input(w, &w->path[0], record,
                    make_record(record, 23, 1, 50 + len, body, len));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FILTERED), 2 * shortest);
    world_check_echo(w, c, "alive");
    world_free(w);
}

START_TEST(records_too_short_for_the_suite_never_reach_openssl)
{
    spoof_short_records("ECDHE-ECDSA-AES128-GCM-SHA256", 24);
    spoof_short_records("ECDHE-ECDSA-CHACHA20-POLY1305", 16);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        spoofed_records_do_not_stop_a_client_with_a_certificate,
        spoofed_records_do_not_stop_a_resumed_handshake,
        five_random_spoofs_stop_no_honest_handshake,
        a_forged_key_exchange_in_its_place_ends_the_handshake,
        a_forged_certificate_in_its_place_ends_the_handshake,
        the_alert_of_a_real_client_is_in_the_text,
        a_text_without_an_alert_names_none,
        no_spoofed_record_ends_a_session_with_cbc,
        a_client_with_cbc_comes_back,
        a_spoofed_record_ends_a_session_with_encrypt_then_mac,
        with_encrypt_then_mac_a_valid_cookie_ends_the_old_session,
        records_too_short_for_the_suite_never_reach_openssl,
        a_spoofed_change_lets_no_more_early_records_in,
        the_fragment_bomb_pins_no_memory,
        fragments_that_fit_pin_little_memory,
        no_message_but_a_certificate_may_declare_16_KB,
        fragments_for_certificates_pin_one_certificate_of_memory,
        encrypted_fragments_pin_no_certificate_of_memory,
        data_before_the_finished_pins_four_records_of_memory,
        fragments_that_contradict_each_other_are_told,
        an_alert_behind_the_hello_does_not_kill,
        the_last_event_tells_of_a_plaintext_alert,
        spoofed_hello_fragments_do_not_grow_without_bound,
        junk_swept_over_an_idle_session_is_harmless,
        junk_before_a_send_or_a_close_is_harmless,
        the_applications_error_queue_survives_everything,
    };
    Suite *suite =
        test_suite("spoof", tests, sizeof(tests) / sizeof(tests[0]));
    TCase *loop = tcase_create("spoofs");

    tcase_set_timeout(loop, 120);
    tcase_add_loop_test(loop, spoofed_records_do_not_stop_an_honest_handshake,
                        0, N_SPOOFS);
    suite_add_tcase(suite, loop);
    return test_main(suite);
}
