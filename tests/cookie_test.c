/* SPDX-License-Identifier: MIT
 * The host side of strategies: chains, options, self-test, counters. */
#include "cookie.h"
#include "test.h"
#include <openssl/err.h>
#include <openssl/hmac.h>

static const uint8_t secret[33] = "0123456789abcdef0123456789abcdef";
static const dtlsl_now start = {1000000, 1700000000000};
static char err[512];

/* A strategy of the test's own; how it behaves is set before each use. */
static struct {
    const dtlsl_cookie_host *host;
    void *user;
    char key[64];
    char value[64];
    int n_options;
    int closed;
    int ticks;
    uint64_t next_tick;
    int32_t mint_answer;   /* 0: an honest cookie */
    int32_t verify_answer; /* 99: honest */
    uint32_t app_len;
    int ignore_peer;
    int ignore_random;
    int ignore_last_byte;
} fake;

static int32_t
fake_open(const dtlsl_cookie_host *host, void *user,
          const dtlsl_cookie_option *options, size_t n, void **state,
          char *text, size_t text_len)
{
    fake.host = host;
    fake.user = user;
    fake.n_options = (int)n;
    if (n > 0) {
        snprintf(fake.key, sizeof(fake.key), "%s", options[0].key);
        snprintf(fake.value, sizeof(fake.value), "%s", options[0].value);
    }
    if (n > 0 && strcmp(options[0].key, "bad") == 0) {
        snprintf(text, text_len, "bad is not known; take it out");
        return DTLSL_ERR_OPTION;
    }
    *state = &fake;
    return DTLSL_OK;
}

static void
fake_close(void *state)
{
    (void)state;
    fake.closed++;
}

static void
fake_cookie(const dtlsl_cookie_input *in, uint8_t cookie[17])
{
    uint8_t message[24 + 67] = {0};
    uint8_t tag[32];
    unsigned len;

    if (!fake.ignore_peer)
        memcpy(message, in->peer, 24);
    if (!fake.ignore_random)
        memcpy(message + 24, in->core, in->core_len);
    HMAC(EVP_sha256(), secret, 32, message, sizeof(message), tag, &len);
    cookie[0] = 0xf0;
    memcpy(cookie + 1, tag, 16);
}

static int32_t
fake_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
          size_t cap)
{
    (void)state;
    if (fake.mint_answer != 0)
        return fake.mint_answer == 777 ? 0 : fake.mint_answer;
    if (cap < 17)
        return DTLSL_ERR_SPACE;
    fake_cookie(in, cookie);
    return 17;
}

static int32_t
fake_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    uint8_t want[17];

    (void)state;
    out->app_len = fake.app_len;
    out->node = 5;
    if (fake.verify_answer != 99)
        return fake.verify_answer;
    if (len != 17 || cookie[0] != 0xf0)
        return DTLSL_COOKIE_MALFORMED;
    fake_cookie(in, want);
    return memcmp(want, cookie, fake.ignore_last_byte ? 16 : 17) == 0
               ? DTLSL_COOKIE_VALID
               : DTLSL_COOKIE_MISMATCH;
}

static void
fake_tick(void *state, uint64_t mono_ms, uint64_t unix_ms, uint64_t *next)
{
    (void)state;
    (void)mono_ms;
    (void)unix_ms;
    fake.ticks++;
    *next = fake.next_tick;
}

static dtlsl_cookie_plugin table;
static dtlsl__strategy strategy = {&table, &fake.n_options};
static char last_line[512];
static int lines;

static void
keep_line(void *ctx, int32_t level, const char *text)
{
    (void)ctx;
    (void)level;
    lines++;
    snprintf(last_line, sizeof(last_line), "%s", text);
}

static void
reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.verify_answer = 99;
    fake.next_tick = UINT64_MAX;
    lines = 0;
    table = (dtlsl_cookie_plugin){.size = sizeof(table),
                                  .abi = DTLSL_COOKIE_ABI,
                                  .name = "fake",
                                  .max_cookie_len = 17,
                                  .open = fake_open,
                                  .close = fake_close,
                                  .mint = fake_mint,
                                  .verify = fake_verify,
                                  .tick = fake_tick};
}

static int32_t
try_spec(dtlsl__chain **out, const char *spec,
         const dtlsl_cookie_option *options, size_t n)
{
    dtlsl__chain_options o = {.spec = spec,
                              .options = options,
                              .n_options = n,
                              .strategies = &strategy,
                              .n_strategies = 1,
                              .default_secret = secret};

    err[0] = '\0';
    return dtlsl__chain_new(out, &o, &start, err, sizeof(err));
}

static dtlsl__chain *
make(const char *spec)
{
    dtlsl__chain *chain = NULL;

    ck_assert_int_eq(try_spec(&chain, spec, NULL, 0), DTLSL_OK);
    return chain;
}

static dtlsl_cookie_input
input(void)
{
    static uint8_t core[35] = {0xfe, 0xfd, 1, 2, 3};
    dtlsl_cookie_input in = {.size = sizeof(in),
                             .mono_ms = start.mono_ms,
                             .peer = {9, 9},
                             .core = core,
                             .core_len = sizeof(core),
                             .fragment_len = 60};

    return in;
}

static uint64_t
count(const dtlsl__chain *chain, const char *who, const char *name)
{
    const char *strategy_name, *found;
    uint64_t value;

    for (size_t i = 0; dtlsl__chain_counter(chain, i, &strategy_name, &found,
                                            &value) == DTLSL_OK;
         i++)
        if (!strcmp(strategy_name, who) && !strcmp(name, found))
            return value;
    ck_abort_msg("no counter %s.%s", who, name);
    return 0;
}

static void
expect_refusal(const char *spec, int32_t code, const char *part)
{
    dtlsl__chain *chain = NULL;

    ck_assert_int_eq(try_spec(&chain, spec, NULL, 0), code);
    ck_assert_ptr_null(chain);
    ck_assert_msg(strstr(err, part) != NULL, "'%s' lacks '%s'", err, part);
}

START_TEST(first_of_a_chain_mints_and_all_verify)
{
    dtlsl__chain *both, *hmac;
    dtlsl_cookie_input in = input();
    dtlsl_cookie_result out;
    uint8_t a[255], b[255];

    reset();
    both = make(" fake ,hmac");
    hmac = make("hmac");
    ck_assert_int_eq(dtlsl__chain_mint(both, &in, a, sizeof(a)), 17);
    ck_assert_int_eq(dtlsl__chain_mint(hmac, &in, b, sizeof(b)), 22);
    ck_assert_int_eq(dtlsl__chain_verify(both, &in, a, 17, &out), 1);
    ck_assert_int_eq(dtlsl__chain_verify(both, &in, b, 22, &out), 1);
    ck_assert_int_eq(dtlsl__chain_verify(hmac, &in, a, 17, &out),
                     DTLSL_COOKIE_MALFORMED);
    a[16] ^= 1;
    ck_assert_int_eq(dtlsl__chain_verify(both, &in, a, 17, &out),
                     DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(both);
    dtlsl__chain_free(hmac);
}
END_TEST

START_TEST(broken_lists_are_refused)
{
    reset();
    expect_refusal("", DTLSL_ERR_ARGUMENT, "empty");
    expect_refusal("hmac,,fake", DTLSL_ERR_ARGUMENT, "empty");
    expect_refusal("hmac,", DTLSL_ERR_ARGUMENT, "empty");
    expect_refusal("hmac,hmac", DTLSL_ERR_ARGUMENT, "twice");
    expect_refusal("Hmac", DTLSL_ERR_ARGUMENT, "Hmac");
    expect_refusal("hmac,nowhere", DTLSL_ERR_ARGUMENT, "plugin-dir");
    expect_refusal("../hmac", DTLSL_ERR_ARGUMENT, "../hmac");
}
END_TEST

START_TEST(options_reach_the_strategy_that_they_name)
{
    dtlsl_cookie_option plain = {"x", "1"};
    dtlsl_cookie_option named = {"fake.y", "2"};
    dtlsl_cookie_option second = {"hmac.lifetime-ms", "20000"};
    dtlsl__chain *chain = NULL;

    reset();
    ck_assert_int_eq(try_spec(&chain, "fake,hmac", &plain, 1), DTLSL_OK);
    ck_assert_str_eq(fake.key, "x");
    dtlsl__chain_free(chain);
    ck_assert_int_eq(try_spec(&chain, "hmac,fake", &named, 1), DTLSL_OK);
    ck_assert_str_eq(fake.key, "y");
    ck_assert_str_eq(fake.value, "2");
    dtlsl__chain_free(chain);
    ck_assert_int_eq(try_spec(&chain, "fake,hmac", &second, 1), DTLSL_OK);
    ck_assert_int_eq(fake.n_options, 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(options_that_nobody_takes_are_refused)
{
    dtlsl_cookie_option stray = {"aead.app", "hex:00"};
    dtlsl_cookie_option bad = {"bad", "1"};
    dtlsl__chain *chain = NULL;

    reset();
    ck_assert_int_eq(try_spec(&chain, "hmac", &stray, 1), DTLSL_ERR_OPTION);
    ck_assert_ptr_nonnull(strstr(err, "aead.app"));
    ck_assert_int_eq(try_spec(&chain, "fake", &bad, 1), DTLSL_ERR_OPTION);
    ck_assert_ptr_nonnull(strstr(err, "'fake': bad is not known"));
}
END_TEST

START_TEST(user_pointer_is_handed_on)
{
    reset();
    dtlsl__chain_free(make("fake"));
    ck_assert_ptr_eq(fake.user, &fake.n_options);
    ck_assert_int_eq(fake.closed, 1);
}
END_TEST

START_TEST(self_test_refuses_strategies_that_protect_nobody)
{
    reset();
    fake.ignore_peer = 1;
    expect_refusal("fake", DTLSL_ERR_PLUGIN, "another peer");
    reset();
    fake.ignore_random = 1;
    expect_refusal("fake", DTLSL_ERR_PLUGIN, "another random");
    reset();
    fake.ignore_last_byte = 1;
    expect_refusal("fake", DTLSL_ERR_PLUGIN, "flipped bit");
    reset();
    fake.verify_answer = DTLSL_COOKIE_MISMATCH;
    expect_refusal("hmac,fake", DTLSL_ERR_PLUGIN, "cookie of its own");
    reset();
    fake.mint_answer = 18;
    expect_refusal("fake", DTLSL_ERR_PLUGIN, "mint");
    fake.mint_answer = -5;
    expect_refusal("fake", DTLSL_ERR_PLUGIN, "mint");
}
END_TEST

START_TEST(self_test_waits_for_a_strategy_that_is_not_ready)
{
    dtlsl__chain *chain;
    dtlsl_cookie_input in = input();
    uint8_t cookie[255];

    reset();
    fake.mint_answer = DTLSL_COOKIE_NOTREADY;
    chain = make("fake");
    ck_assert_uint_eq(count(chain, "fake", "selftest_deferred"), 1);
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255),
                     DTLSL_COOKIE_NOTREADY);
    fake.mint_answer = 0;
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255), 17);
    ck_assert_uint_eq(count(chain, "fake", "strategy_failed"), 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(late_self_test_shuts_a_bad_strategy_out)
{
    dtlsl__chain *chain;
    dtlsl_cookie_input in = input();
    dtlsl_cookie_result out;
    uint8_t cookie[255];

    reset();
    fake.mint_answer = DTLSL_COOKIE_REFUSED;
    chain = make("fake");
    dtlsl__chain_set_log(chain, keep_line, NULL);
    fake.mint_answer = 0;
    fake.ignore_peer = 1;
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255),
                     DTLSL_ERR_PLUGIN);
    ck_assert_int_eq(lines, 1);
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255),
                     DTLSL_ERR_PLUGIN);
    ck_assert_int_lt(dtlsl__chain_verify(chain, &in, cookie, 17, &out), 0);
    ck_assert_int_eq(lines, 1);
    dtlsl__chain_free(chain);
}
END_TEST

/* Want of memory is no flaw: the next mint tests anew. */
START_TEST(late_self_test_waits_while_calls_fail)
{
    dtlsl_cookie_input in = input();
    dtlsl_cookie_result out;
    dtlsl__chain *chain;
    uint8_t cookie[255];

    reset();
    fake.mint_answer = DTLSL_COOKIE_REFUSED;
    chain = make("fake");
    dtlsl__chain_set_log(chain, keep_line, NULL);
    fake.mint_answer = 0;
    fake.verify_answer = DTLSL_ERR_NOMEM;
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255),
                     DTLSL_ERR_NOMEM);
    fake.verify_answer = 99;
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255), 17);
    ck_assert_int_eq(dtlsl__chain_verify(chain, &in, cookie, 17, &out),
                     DTLSL_COOKIE_VALID);
    ck_assert_int_eq(lines, 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(answers_that_make_no_sense_fail_closed)
{
    dtlsl__chain *chain;
    dtlsl_cookie_input in = input();
    dtlsl_cookie_result out;
    uint8_t cookie[255];
    static const int32_t mints[] = {777, 18, 255, 256, 100000};
    static const int32_t verifies[] = {0, 8, 1000, -1};

    reset();
    chain = make("fake");
    for (size_t i = 0; i < 5; i++) {
        fake.mint_answer = mints[i];
        ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, 255),
                         DTLSL_ERR_PLUGIN);
    }
    for (size_t i = 0; i < 4; i++) {
        fake.verify_answer = verifies[i];
        ck_assert_int_lt(dtlsl__chain_verify(chain, &in, cookie, 17, &out), 0);
    }
    fake.verify_answer = DTLSL_COOKIE_VALID;
    fake.app_len = 233;
    ck_assert_int_eq(dtlsl__chain_verify(chain, &in, cookie, 17, &out),
                     DTLSL_ERR_PLUGIN);
    ck_assert_uint_eq(out.app_len, 0);
    ck_assert_uint_eq(out.node, 0);
    ck_assert_uint_eq(count(chain, "fake", "strategy_failed"), 10);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(long_cookies_are_warned_of_when_a_log_is_there)
{
    dtlsl__chain *chain;

    reset();
    table.max_cookie_len = 33;
    chain = make("fake");
    ck_assert_int_eq(lines, 0);
    dtlsl__chain_set_log(chain, keep_line, NULL);
    ck_assert_int_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(last_line, "GnuTLS"));
    ck_assert_ptr_nonnull(strstr(last_line, "wolfSSL"));
    dtlsl__chain_free(chain);
    table.max_cookie_len = 32;
    lines = 0;
    chain = make("fake");
    dtlsl__chain_set_log(chain, keep_line, NULL);
    ck_assert_int_eq(lines, 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(ticks_come_when_they_are_due)
{
    dtlsl__chain *chain;
    dtlsl_now now = start;

    reset();
    fake.next_tick = start.mono_ms + 100;
    chain = make("fake");
    ck_assert_int_eq(fake.ticks, 1);
    now.mono_ms += 99;
    ck_assert_uint_eq(dtlsl__chain_tick(chain, &now), start.mono_ms + 100);
    ck_assert_int_eq(fake.ticks, 1);
    now.mono_ms++;
    ck_assert_uint_gt(dtlsl__chain_tick(chain, &now), now.mono_ms);
    ck_assert_int_eq(fake.ticks, 2);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(host_hmac_gives_known_answers_again_and_again)
{
    dtlsl__chain *chain;
    uint8_t want[32], got[32];
    unsigned len;
    void *mac;

    reset();
    chain = make("fake");
    mac = fake.host->hmac_new(fake.host->ctx, secret, 32);
    ck_assert_ptr_nonnull(mac);
    for (size_t i = 0; i < 33; i++) {
        HMAC(EVP_sha256(), secret, 32, secret, i, want, &len);
        ck_assert_int_eq(fake.host->hmac_sha256(mac, secret, i, got), 0);
        ck_assert_mem_eq(want, got, 32);
    }
    fake.host->hmac_free(mac);
    fake.host->hmac_free(NULL);
    ck_assert_int_lt(fake.host->hmac_sha256(NULL, secret, 1, got), 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(host_table_offers_what_the_abi_says)
{
    dtlsl__chain *chain;
    uint8_t a[32] = {0}, b[32] = {0};

    reset();
    chain = make("fake");
    ck_assert_uint_eq(fake.host->size, sizeof(dtlsl_cookie_host));
    ck_assert_mem_eq(fake.host->default_secret, secret, 32);
    ck_assert_int_eq(fake.host->ct_equal(a, b, 32), 1);
    ck_assert_int_eq(fake.host->random(fake.host->ctx, a, 32), 0);
    ck_assert_int_eq(fake.host->ct_equal(a, b, 32), 0);
    fake.host->cleanse(a, 32);
    ck_assert_mem_eq(a, b, 32);
    ck_assert_ptr_eq(fake.host->strategy(fake.host->ctx, "fake"), &table);
    ck_assert_ptr_eq(fake.host->strategy(fake.host->ctx, "hmac"),
                     dtlsl__cookie_builtin("hmac"));
    ck_assert_ptr_null(fake.host->strategy(fake.host->ctx, "nowhere"));
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(error_queue_is_left_as_found)
{
    dtlsl__chain *chain;
    dtlsl_cookie_input in = input();
    dtlsl_cookie_result out;
    uint8_t cookie[22];
    unsigned long entry;

    reset();
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 42);
    entry = ERR_peek_error();
    chain = make("hmac");
    dtlsl__chain_mint(chain, &in, cookie, 22);
    dtlsl__chain_verify(chain, &in, cookie, 22, &out);
    dtlsl__chain_free(chain);
    ck_assert_uint_eq(ERR_get_error(), entry);
    ck_assert_uint_eq(ERR_get_error(), 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        first_of_a_chain_mints_and_all_verify,
        broken_lists_are_refused,
        options_reach_the_strategy_that_they_name,
        options_that_nobody_takes_are_refused,
        user_pointer_is_handed_on,
        self_test_refuses_strategies_that_protect_nobody,
        self_test_waits_for_a_strategy_that_is_not_ready,
        late_self_test_shuts_a_bad_strategy_out,
        late_self_test_waits_while_calls_fail,
        answers_that_make_no_sense_fail_closed,
        long_cookies_are_warned_of_when_a_log_is_there,
        ticks_come_when_they_are_due,
        host_hmac_gives_known_answers_again_and_again,
        host_table_offers_what_the_abi_says,
        error_queue_is_left_as_found,
    };

    return test_main(
        test_suite("cookie", tests, sizeof(tests) / sizeof(tests[0])));
}
