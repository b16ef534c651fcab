/* SPDX-License-Identifier: MIT
 * Floods of spoofed ClientHellos: nothing is kept, nothing is allocated by us
 * or by libcrypto, no SSL is made, no reply is longer than its request.
 * DTLSL_FLOOD_COUNT sets how many (default 1000000). */
#include "bundled.h"
#include "counters.h"
#include "engine.h"
#include "gate.h"
#include "heap.h"
#include "test.h"
#include <dtlslisten/gate.h>
#include <stdio.h>

enum {
    BATCH = 32,
    HELLO_MAX = 256,
    COOKIE_HEADER = 6, /* fmt, kid, time */
    REPLY_HEADER = 28  /* of a HelloVerifyRequest, before its cookie */
};

/* One that a strategy made. */
typedef struct cookie {
    uint8_t data[DTLSL_COOKIE_MAX];
    size_t len;
} cookie;

typedef struct hello {
    dtlsl_path path;
    uint8_t data[HELLO_MAX];
    size_t len;
} hello;

static uint64_t seed;
static uint64_t ours_before;
static heap_tally libcrypto_before;
static int64_t ours_live_before;

/* splitmix64 */
static uint64_t
random_u64(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void
random_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)random_u64();
}

static unsigned
flood_count(void)
{
    const char *text = getenv("DTLSL_FLOOD_COUNT");
    unsigned long count = text == NULL ? 0 : strtoul(text, NULL, 10);

    return count == 0 || count > 100000000 ? 1000000 : (unsigned)count;
}

/* Half IPv4, half IPv6; only addresses that can be a source. */
static void
random_source(uint8_t peer[24])
{
    memset(peer, 0, 24);
    random_bytes(peer, 18);
    if (random_u64() & 1) {
        memset(peer, 0, 10);
        memset(peer + 10, 0xff, 2);
        peer[12] = (uint8_t)(1 + peer[12] % 223);
    } else {
        peer[0] = (uint8_t)(0x20 | (peer[0] & 0x1f));
    }
    peer[17] |= 1;
}

static size_t
put_bytes(uint8_t *out, size_t at, const void *data, size_t len)
{
    memcpy(out + at, data, len);
    return at + len;
}

/* A forged cookie has a genuine header, so that its tag must be computed. */
static void
make_hello(hello *h, const cookie *forged)
{
    static const uint8_t header[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0,    0,
                                     0,  0,    0,    0, 1, 0, 0, 0,    0,
                                     0,  0,    0,    0, 0, 0, 0, 0xfe, 0xfd};
    static const uint8_t tail[] = {0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0};
    size_t session_id_len = random_u64() % 33;
    size_t cookie_len = forged == NULL ? 0 : forged->len;
    size_t at = put_bytes(h->data, 0, header, sizeof(header));

    random_source(h->path.peer);
    random_bytes(h->data + 7, 4);
    h->data[18] = cookie_len > 0;
    random_bytes(h->data + at, 32);
    at += 32;
    h->data[at++] = (uint8_t)session_id_len;
    random_bytes(h->data + at, session_id_len);
    at += session_id_len;
    h->data[at++] = (uint8_t)cookie_len;
    random_bytes(h->data + at, cookie_len);
    if (forged != NULL)
        memcpy(h->data + at, forged->data, COOKIE_HEADER);
    at = put_bytes(h->data, at + cookie_len, tail, sizeof(tail));
    h->len = at;
    h->data[12] = (uint8_t)(at - 13);
    h->data[16] = h->data[24] = (uint8_t)(at - 25);
}

static void
take_cookie(cookie *out, const uint8_t *reply)
{
    out->len = reply[REPLY_HEADER - 1];
    memcpy(out->data, reply + REPLY_HEADER, out->len);
}

static void
start_counting(void)
{
    ours_before = heap_ours.allocations;
    ours_live_before = heap_ours.live_bytes;
    libcrypto_before = heap_libcrypto;
}

static void
assert_nothing_allocated(void)
{
    uint64_t of_ours = heap_ours.allocations - ours_before;
    uint64_t of_libcrypto =
        heap_libcrypto.allocations - libcrypto_before.allocations;

    ck_assert_uint_eq(of_ours, 0);
    ck_assert_uint_eq(of_libcrypto, 0);
    ck_assert_int_eq(heap_ours.live_bytes, ours_live_before);
    ck_assert_int_eq(heap_libcrypto.live_blocks, libcrypto_before.live_blocks);
    ck_assert_int_eq(heap_libcrypto.live_bytes, libcrypto_before.live_bytes);
}

static void
setup(dtlsl_config **config, hello *batch, dtlsl_now *now)
{
    static const uint8_t local[24] = {
        0x20, 0x01, 0x0d, 0xb8, [15] = 1, [16] = 17, [17] = 81};

    seed = 20260101;
    memset(batch, 0, BATCH * sizeof(*batch));
    for (size_t i = 0; i < BATCH; i++)
        memcpy(batch[i].path.local, local, sizeof(local));
    now->mono_ms = 7201000;
    now->unix_ms = 1795300000000;
    ck_assert_int_eq(dtlsl_config_new(config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(*config, "self-signed", "1"), DTLSL_OK);
}

typedef struct gate_flood {
    dtlsl_gate *gate;
    unsigned replies;
    unsigned accepts;
    unsigned long_replies;
    uint8_t reply[DTLSL_REPLY_MAX];
} gate_flood;

static void
judge_one(gate_flood *flood, const hello *h, const dtlsl_now *now)
{
    dtlsl_verdict verdict = {.size = sizeof(verdict)};

    verdict.reply = flood->reply;
    verdict.reply_cap = sizeof(flood->reply);
    if (dtlsl_gate_judge(flood->gate, &h->path, h->data, h->len, now,
                         &verdict) < 0)
        return;
    flood->replies += verdict.action == DTLSL_REPLY;
    flood->accepts += verdict.action == DTLSL_ACCEPT;
    flood->long_replies += verdict.reply_len > h->len;
}

static void
flood_gate(gate_flood *flood, hello *batch, dtlsl_now *now, unsigned count,
           int forged)
{
    cookie genuine;
    uint64_t next;

    dtlsl_gate_tick(flood->gate, now, &next);
    make_hello(&batch[0], NULL);
    judge_one(flood, &batch[0], now); /* what libcrypto makes once */
    take_cookie(&genuine, flood->reply);
    flood->replies = 0;
    start_counting();
    for (unsigned i = 0; i < count; i++) {
        if (i % BATCH == 0)
            now->mono_ms++;
        if (now->mono_ms >= next)
            dtlsl_gate_tick(flood->gate, now, &next);
        make_hello(&batch[0], forged ? &genuine : NULL);
        judge_one(flood, &batch[0], now);
    }
}

START_TEST(the_gate_keeps_nothing_of_a_million_strangers)
{
    static hello batch[BATCH];
    gate_flood flood = {0};
    unsigned count = flood_count();
    dtlsl_config *config;
    dtlsl_now now;

    setup(&config, batch, &now);
    ck_assert_int_eq(dtlsl_gate_new(&flood.gate, config), DTLSL_OK);
    flood_gate(&flood, batch, &now, count, 0);
    assert_nothing_allocated();
    ck_assert_uint_eq(flood.replies, count);
    ck_assert_uint_eq(flood.accepts, 0);
    ck_assert_uint_eq(flood.long_replies, 0);
    ck_assert_uint_eq(dtlsl_gate_counter(flood.gate, "received"), count + 1);
    ck_assert_uint_eq(dtlsl_gate_counter(flood.gate, "replied"), count + 1);
    ck_assert_uint_eq(dtlsl_gate_counter(flood.gate, "ssl_new"), 0);
    dtlsl_gate_free(flood.gate);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(the_gate_answers_few_of_many_forged_cookies)
{
    static hello batch[BATCH];
    gate_flood flood = {0};
    unsigned count = flood_count() / 10 + 1;
    dtlsl_config *config;
    dtlsl_now now;
    uint64_t elapsed;

    setup(&config, batch, &now);
    ck_assert_int_eq(dtlsl_gate_new(&flood.gate, config), DTLSL_OK);
    elapsed = now.mono_ms;
    flood_gate(&flood, batch, &now, count, 1);
    elapsed = now.mono_ms - elapsed;
    assert_nothing_allocated();
    ck_assert_uint_eq(flood.accepts, 0);
    ck_assert_uint_eq(flood.long_replies, 0);
    ck_assert_uint_le(flood.replies, 64 + elapsed * 64 / 1000);
    ck_assert_uint_eq(dtlsl_gate_counter(flood.gate, "cookie_valid"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(flood.gate, "cookie_mismatch"),
                      count);
    dtlsl_gate_free(flood.gate);
    dtlsl_config_free(config);
}
END_TEST

typedef struct engine_flood {
    dtlsl__engine *engine;
    unsigned replies;
    unsigned events;
    unsigned long_replies;
    unsigned misdirected;
} engine_flood;

/* One reply for each of the n hellos, in their order. */
static void
take_output(engine_flood *flood, const hello *batch, size_t n)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t count = dtlsl__engine_output(flood->engine, &list, &arena);

    for (size_t i = 0; i < count && i < n; i++) {
        flood->long_replies += list[i].len > batch[i].len;
        flood->misdirected +=
            memcmp(&list[i].path, &batch[i].path, sizeof(dtlsl_path)) != 0;
    }
    flood->misdirected += count != n;
    flood->replies += (unsigned)count;
    dtlsl__engine_output_sent(flood->engine, count);
}

static void
flood_batch(engine_flood *flood, hello *batch, size_t n, const dtlsl_now *now)
{
    size_t taken = 0;

    dtlsl__engine_begin(flood->engine, now);
    for (size_t i = 0; i < n; i++) {
        dtlsl__datagram datagram = {0};

        make_hello(&batch[i], NULL);
        datagram.data = batch[i].data;
        datagram.len = (uint32_t)batch[i].len;
        datagram.path = batch[i].path;
        dtlsl__engine_input(flood->engine, &datagram);
        while (dtlsl__engine_next(flood->engine) != NULL)
            flood->events++;
        if (dtlsl__engine_output_low(flood->engine)) {
            take_output(flood, batch + taken, i + 1 - taken);
            taken = i + 1;
        }
    }
    if (taken < n)
        take_output(flood, batch + taken, n - taken);
}

static void
flood_engine(engine_flood *flood, hello *batch, dtlsl_now *now, unsigned count)
{
    flood_batch(flood, batch, BATCH, now); /* what libcrypto makes once */
    flood->replies = 0;
    start_counting();
    for (unsigned done = 0; done < count; done += BATCH) {
        unsigned left = count - done;

        now->mono_ms++;
        if (dtlsl__engine_deadline(flood->engine) <= now->mono_ms) {
            dtlsl__engine_begin(flood->engine, now);
            dtlsl__engine_expire(flood->engine);
        }
        flood_batch(flood, batch, left < BATCH ? left : BATCH, now);
    }
}

START_TEST(the_engine_keeps_nothing_of_a_million_strangers)
{
    static hello batch[BATCH];
    engine_flood flood = {0};
    dtlsl__counters sum = {0};
    unsigned count = flood_count();
    dtlsl_config *config;
    dtlsl_now now;

    setup(&config, batch, &now);
    ck_assert_msg(dtlsl__engine_new(&flood.engine, config, NULL, &now) ==
                      DTLSL_OK,
                  "%s", dtlsl_config_error(config));
    flood_engine(&flood, batch, &now, count);
    assert_nothing_allocated();
    ck_assert_uint_eq(flood.replies, count);
    ck_assert_uint_eq(flood.events, 0);
    ck_assert_uint_eq(flood.long_replies, 0);
    ck_assert_uint_eq(flood.misdirected, 0);
    dtlsl__engine_counters(flood.engine, &sum);
    ck_assert_uint_eq(sum.n[DTLSL__N_RECEIVED], count + BATCH);
    ck_assert_uint_eq(sum.n[DTLSL__N_REPLIED], count + BATCH);
    ck_assert_uint_eq(sum.n[DTLSL__N_SSL_NEW], 0);
    ck_assert_uint_eq(sum.n[DTLSL__N_CONNS], 0);
    ck_assert_uint_eq(sum.n[DTLSL__N_HANDSHAKES], 0);
    dtlsl__engine_free(flood.engine);
    dtlsl_config_free(config);
}
END_TEST

/* Of each strategy: without a cookie, with a bad one, and junk. */

enum {
    OF_EACH = 30000
};

static void
give(dtlsl__engine *engine, const hello *h)
{
    dtlsl__datagram datagram = {.data = h->data, .len = (uint32_t)h->len};
    const dtlsl__output *list;
    const uint8_t *arena;

    datagram.path = h->path;
    dtlsl__engine_input(engine, &datagram);
    while (dtlsl__engine_next(engine) != NULL)
        continue;
    dtlsl__engine_output_sent(engine,
                              dtlsl__engine_output(engine, &list, &arena));
}

/* Half of it begins like a record. */
static void
make_junk(hello *h)
{
    random_source(h->path.peer);
    h->len = 1 + random_u64() % (HELLO_MAX - 1);
    random_bytes(h->data, h->len);
    if (h->len > 13 && random_u64() & 1) {
        h->data[0] = (uint8_t)(20 + random_u64() % 4);
        h->data[1] = 0xfe;
        h->data[2] = 0xfd;
        h->data[11] = 0;
        h->data[12] = (uint8_t)(h->len - 13);
    }
}

static void
flood_with_all(dtlsl__engine *engine, const dtlsl_now *now,
               const cookie *genuine)
{
    static hello h;

    for (int i = 0; i < OF_EACH; i++) {
        dtlsl__engine_begin(engine, now);
        make_hello(&h, NULL);
        give(engine, &h);
        make_hello(&h, genuine);
        give(engine, &h);
        make_junk(&h);
        give(engine, &h);
    }
}

static void
ask_for_cookie(dtlsl__engine *engine, const dtlsl_now *now, cookie *out)
{
    static hello h;
    dtlsl__datagram datagram = {.data = h.data};
    const dtlsl__output *list;
    const uint8_t *arena;

    make_hello(&h, NULL);
    datagram.len = (uint32_t)h.len;
    datagram.path = h.path;
    dtlsl__engine_begin(engine, now);
    dtlsl__engine_input(engine, &datagram);
    ck_assert_uint_eq(dtlsl__engine_output(engine, &list, &arena), 1);
    take_cookie(out, arena + list[0].offset);
    dtlsl__engine_output_sent(engine, 1);
}

/* Loaded as a module, with a key file or without, with a profile or none. */
static dtlsl_config *
config_of(const char *name, int keyed, const char *profile, dtlsl_now *now)
{
    static const char keys[] = "dtlslisten-cluster-keys 1\n"
                               "key 1 0 - hex:000102030405060708090a0b0c0d0e0f"
                               "101112131415161718191a1b1c1d1e1f\n";
    static hello unused[BATCH];
    char text[256];
    dtlsl_config *config;

    setup(&config, unused, now);
    snprintf(text, sizeof(text), "%s/dtlsl_cookie_%s.so", bundled_dir(), name);
    ck_assert_int_eq(dtlsl_config_set(config, "cookie", text), DTLSL_OK);
    if (keyed) {
        bundled_file(text, "keys", keys, strlen(keys));
        ck_assert_int_eq(dtlsl_config_set(config, "cookie.key-file", text),
                         DTLSL_OK);
    }
    if (profile != NULL)
        ck_assert_int_eq(dtlsl_config_set(config, "cookie.profile", profile),
                         DTLSL_OK);
    return config;
}

static void
check_strategy(const char *name, int keyed, const char *profile)
{
    dtlsl__counters sum = {0};
    dtlsl__engine *engine;
    dtlsl_now now;
    dtlsl_config *config = config_of(name, keyed, profile, &now);
    cookie genuine;

    ck_assert_msg(dtlsl__engine_new(&engine, config, NULL, &now) == DTLSL_OK,
                  "%s", dtlsl_config_error(config));
    ask_for_cookie(engine, &now, &genuine);
    flood_with_all(engine, &now, &genuine); /* what libcrypto makes once */
    start_counting();
    flood_with_all(engine, &now, &genuine);
    assert_nothing_allocated();
    dtlsl__engine_counters(engine, &sum);
    ck_assert_uint_ge(sum.n[DTLSL__N_REPLIED], 2 * OF_EACH);
    ck_assert_uint_eq(sum.n[DTLSL__N_COOKIE_MISMATCH], 2 * OF_EACH);
    ck_assert_uint_eq(sum.n[DTLSL__N_ACCEPTED], 0);
    dtlsl__engine_free(engine);
    dtlsl_config_free(config);
}

START_TEST(no_strategy_allocates_for_strangers)
{
    check_strategy("hmac", 0, NULL);
    check_strategy("cluster", 1, NULL);
    check_strategy("aead", 0, NULL);
    check_strategy("aead", 1, NULL);
    check_strategy("aead", 1, "fips");
    bundled_done();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        the_gate_keeps_nothing_of_a_million_strangers,
        the_gate_answers_few_of_many_forged_cookies,
        the_engine_keeps_nothing_of_a_million_strangers,
        no_strategy_allocates_for_strangers,
    };

    if (!heap_count())
        return EXIT_FAILURE;
    return test_main(
        test_suite("flood", tests, sizeof(tests) / sizeof(tests[0])));
}
