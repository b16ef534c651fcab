/* SPDX-License-Identifier: MIT
 * Spoofed records: half-open handshakes and living sessions go on, and memory
 * stays where it was. */
#include "test.h"
#include "world.h"
#include <malloc.h>

enum {
    BOMB = 26
};

static const uint64_t huge_seq = (1ULL << 48) - 1;

/* Spoofed plaintext */

typedef struct spoof {
    const char *what;
    uint8_t type;
    uint16_t epoch;
    uint8_t body[40];
    size_t len;
} spoof;

static const spoof spoofs[] = {
    {"fatal alert", 21, 0, {2, 40}, 2},
    {"close_notify", 21, 0, {1, 0}, 2},
    {"warning alert", 21, 0, {1, 90}, 2},
    {"malformed alert", 21, 0, {2}, 1},
    {"long alert", 21, 0, {2, 40, 0}, 3},
    {"unknown type", 99, 0, {1, 2, 3}, 3},
    {"application data", 23, 0, {1, 2, 3}, 3},
    {"heartbeat", 24, 0, {1, 0, 1, 7}, 4},
    {"empty record", 22, 0, {0}, 0},
    {"short handshake", 22, 0, {16, 0, 0}, 3},
    {"fragment beyond record",
     22,
     0,
     {16, 0, 0, 66, 0, 2, 0, 0, 0, 0, 0, 66},
     12},
    {"fragment beyond message",
     22,
     0,
     {16, 0, 0, 1, 0, 2, 0, 0, 9, 0, 0, 1, 7},
     13},
    {"absurd length",
     22,
     0,
     {16, 0xFF, 0xFF, 0xFF, 0, 2, 0, 0, 0, 0, 0, 1, 7},
     13},
    {"Finished", 22, 0, {20, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 7}, 13},
    {"ServerHello", 22, 0, {2, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 7}, 13},
    {"Certificate", 22, 0, {11, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 7}, 13},
    {"CertificateVerify", 22, 0, {15, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 1, 7}, 13},
    {"Finished of the future",
     22,
     0,
     {20, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 12, 7},
     24},
    {"key exchange of the future",
     22,
     0,
     {16, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 1, 7},
     13},
    {"two messages",
     22,
     0,
     {16, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0,
      20, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0},
     24},
    {"ClientHello", 22, 0, {1, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 7}, 13},
    {"HelloRequest", 22, 0, {0, 0, 0, 0, 0, 2}, 12},
    {"ChangeCipherSpec", 20, 0, {1}, 1},
    {"odd ChangeCipherSpec", 20, 0, {2}, 1},
    {"long ChangeCipherSpec", 20, 0, {1, 1}, 2},
    {"epoch 1 alert", 21, 1, {2, 40}, 2},
    {"epoch 1 junk", 23, 1, {7}, 40},
    {"epoch 1 handshake junk", 22, 1, {7}, 40},
    {"epoch 2 junk", 23, 2, {7}, 40},
    {"epoch 65535 junk", 22, 65535, {7}, 40},
};

static void
inject(world *w, const dtlsl_path *path, const spoof *s, uint64_t seq,
       int times)
{
    uint8_t record[64];
    size_t len = make_record(record, s->type, s->epoch, seq, s->body, s->len);

    for (int i = 0; i < times; i++)
        world_input(w, path, record, len);
}

START_TEST(spoofed_records_do_not_stop_an_honest_handshake)
{
    static const uint64_t seqs[] = {2, 3, 70, (1ULL << 48) - 1};
    const spoof *s = &spoofs[_i];
    packet held[WORLD_HELD];

    for (size_t k = 0; k < 4; k++) {
        world *w = world_new(NULL);
        client *c = world_client(w, NULL);
        uint8_t hello[HELLO_ROOM];
        size_t n;

        world_accept(w, c, hello);
        n = world_hold(c, held);
        inject(w, &w->path[0], s, seqs[k], 5);
        world_release(w, &w->path[0], held, n);
        for (int i = 0; i < 3 && !client_is_open(c); i++)
            world_advance(w, 4000);
        ck_assert_msg(client_is_open(c), "%s, record %d", s->what, (int)k);
        ck_assert_msg(world_counter(w, DTLSL__N_RETRANSMITS) == 0,
                      "%s, record %d needed the timer", s->what, (int)k);
        inject(w, &w->path[0], s, seqs[k], 5);
        world_check_echo(w, c, "undisturbed");
        ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
        ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
        world_check_sums(w);
        world_free(w);
    }
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

    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_wait(w, 1);
    before = mallinfo2();
    for (size_t len = 0; len < sizeof(body); len++)
        world_input(w, &w->path[0], record,
                    make_record(record, (uint8_t)(20 + len % 4), 1,
                                len % 2 ? len : huge_seq, body, len));
    after = mallinfo2();
    /* both buffers of 16 KB are given back */
    if (before.uordblks != 0)
        ck_assert_int_lt((int64_t)after.uordblks,
                         (int64_t)before.uordblks - 24000);
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

int
main(void)
{
    const TTest *const tests[] = {
        a_spoofed_change_lets_no_more_early_records_in,
        the_fragment_bomb_pins_no_memory,
        fragments_that_fit_pin_little_memory,
        an_alert_behind_the_hello_does_not_kill,
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
                        0, (int)(sizeof(spoofs) / sizeof(spoofs[0])));
    suite_add_tcase(suite, loop);
    return test_main(suite);
}
