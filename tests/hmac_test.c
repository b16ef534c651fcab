/* SPDX-License-Identifier: MIT
 * The strategy "hmac" against a second computation of its cookies. */
#include "cookie.h"
#include "hmac_again.h"
#include "test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t secret[33] = "0123456789abcdef0123456789abcdef";

/* ---- fixture ---- */

static uint8_t core[67];
static uint8_t tail[600];
static dtlsl_cookie_input in;
static char err[512];
static char dir[64];
static char file[96];

static void
input_init(uint64_t mono_ms)
{
    memset(&in, 0, sizeof(in));
    memset(core, 0x5a, sizeof(core));
    core[0] = 0xfe;
    core[1] = 0xfd;
    core[34] = 0;
    memset(tail, 0xc0, sizeof(tail));
    in.size = sizeof(in);
    in.flags = DTLSL_COOKIE_IN_TAIL;
    in.mono_ms = mono_ms;
    in.peer[10] = in.peer[11] = 0xff;
    in.peer[15] = 7;
    in.peer[16] = 0x15;
    in.core = core;
    in.core_len = 35;
    in.tail = tail;
    in.tail_len = 10;
    in.fragment_len = 100;
}

static void
session_id(uint8_t len)
{
    core[34] = len;
    in.core_len = 35u + len;
}

static int32_t
try_chain(dtlsl__chain **out, const dtlsl_cookie_option *options, size_t n,
          uint64_t mono_ms)
{
    dtlsl__chain_options o = {.spec = "hmac",
                              .options = options,
                              .n_options = n,
                              .default_secret = secret};
    dtlsl_now now = {mono_ms, 0};

    err[0] = '\0';
    return dtlsl__chain_new(out, &o, &now, err, sizeof(err));
}

static dtlsl__chain *
chain_with(const char *key, const char *value, uint64_t mono_ms)
{
    dtlsl_cookie_option option = {key, value};
    dtlsl__chain *chain = NULL;

    ck_assert_int_eq(try_chain(&chain, &option, key != NULL ? 1 : 0, mono_ms),
                     DTLSL_OK);
    return chain;
}

static int32_t
check(dtlsl__chain *chain, const uint8_t *cookie, size_t len)
{
    dtlsl_cookie_result out;

    return dtlsl__chain_verify(chain, &in, cookie, len, &out);
}

static uint64_t
count(dtlsl__chain *chain, const char *name)
{
    const char *strategy, *found;
    uint64_t value;

    for (size_t i = 0;
         dtlsl__chain_counter(chain, i, &strategy, &found, &value) == 0; i++)
        if (strcmp(name, found) == 0)
            return value;
    ck_abort_msg("no counter %s", name);
    return 0;
}

static void
tick(dtlsl__chain *chain, uint64_t mono_ms)
{
    dtlsl_now now = {mono_ms, 0};

    dtlsl__chain_tick(chain, &now);
}

static void
expect_mint(dtlsl__chain *chain, const expected *x)
{
    uint8_t got[255], want[LEN];

    recompute(x, &in, in.mono_ms, want);
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, got, sizeof(got)), LEN);
    ck_assert_mem_eq(got, want, LEN);
    ck_assert_int_eq(check(chain, got, LEN), DTLSL_COOKIE_VALID);
}

static const expected plain = {secret, 32, "", NULL, 0};
static const expected with_tail = {secret, 32, "", NULL, 1};

static void
write_secret(char fill, size_t len)
{
    char temporary[128];
    uint8_t bytes[300];
    int fd;

    snprintf(temporary, sizeof(temporary), "%s.new", file);
    memset(bytes, fill, sizeof(bytes));
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    ck_assert_int_eq(rename(temporary, file), 0);
}

static void
files_setup(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(dir, sizeof(dir), "%.40s/dtlsl-XXXXXX",
             base != NULL && strlen(base) < 40 ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/secret", dir);
}

static void
files_teardown(void)
{
    unlink(file);
    rmdir(dir);
}

static dtlsl__chain *
file_chain(uint64_t mono_ms)
{
    dtlsl_cookie_option options[] = {{"secret-file", file}, {"boot-id", "0"}};
    dtlsl__chain *chain = NULL;

    ck_assert_int_eq(try_chain(&chain, options, 2, mono_ms), DTLSL_OK);
    return chain;
}

/* ---- tests ---- */

START_TEST(cookies_equal_an_independent_computation)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, 5 * HOUR);

    input_init(5 * HOUR + 1234);
    expect_mint(chain, &with_tail);
    in.flags = 0;
    expect_mint(chain, &plain);
    session_id(32);
    expect_mint(chain, &plain);
    in.peer[0] = 0x20;
    in.peer[17] = 9;
    expect_mint(chain, &plain);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(service_separates_cookies)
{
    dtlsl__chain *chain = chain_with("service", "coap.prod", HOUR);
    dtlsl__chain *other = chain_with(NULL, NULL, HOUR);
    expected x = {secret, 32, "coap.prod", NULL, 1};
    uint8_t cookie[LEN];

    input_init(HOUR + 1);
    expect_mint(chain, &x);
    dtlsl__chain_mint(other, &in, cookie, sizeof(cookie));
    ck_assert_int_ne(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    dtlsl__chain_free(other);
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    uint8_t cookie[LEN];

    input_init(HOUR + 200000);
    dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));
    for (int bit = 0; bit < LEN * 8; bit++) {
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_ne(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    ck_assert_uint_eq(count(chain, "expired"), 0);
    ck_assert_uint_eq(count(chain, "future"), 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(every_bound_input_counts)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    uint8_t cookie[LEN];
    uint8_t *const bytes[] = {&in.peer[0],  &in.peer[15], &in.peer[16],
                              &in.peer[17], &core[1],     &core[2],
                              &core[33],    &core[35],    &core[38],
                              &tail[0],     &tail[9]};

    input_init(HOUR + 1);
    session_id(4);
    dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        *bytes[i] ^= 1;
        ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MISMATCH);
        *bytes[i] ^= 1;
    }
    session_id(5);
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(zone_counts_for_link_local_addresses_only)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    uint8_t cookie[LEN];

    input_init(HOUR);
    dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));
    in.peer[21] = 3;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    in.peer[0] = 0xfe;
    in.peer[1] = 0x80;
    dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    in.peer[21] = 4;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(chain);
}
END_TEST

static int32_t
check_at(dtlsl__chain *chain, uint64_t issued, uint64_t now)
{
    uint8_t cookie[LEN];

    recompute(&with_tail, &in, issued, cookie);
    in.mono_ms = now;
    return check(chain, cookie, LEN);
}

START_TEST(time_window_is_inclusive)
{
    const uint64_t t = HOUR + 600000;
    dtlsl__chain *chain = chain_with(NULL, NULL, t);

    input_init(t);
    ck_assert_int_eq(check_at(chain, t - 120000, t), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check_at(chain, t - 120001, t), DTLSL_COOKIE_EXPIRED);
    ck_assert_int_eq(check_at(chain, t + 5000, t), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check_at(chain, t + 5001, t), DTLSL_COOKIE_FUTURE);
    ck_assert_uint_eq(count(chain, "valid_early"), 1);
    ck_assert_uint_eq(count(chain, "valid_late"), 1);
    ck_assert_uint_eq(count(chain, "expired"), 1);
    ck_assert_uint_eq(count(chain, "future"), 1);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(age_is_told)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    dtlsl_cookie_result out;
    uint8_t cookie[LEN];

    input_init(HOUR);
    dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));
    in.mono_ms += 321;
    dtlsl__chain_verify(chain, &in, cookie, LEN, &out);
    ck_assert_uint_eq(out.age_ms, 321);
    in.mono_ms -= 1321;
    ck_assert_int_eq(dtlsl__chain_verify(chain, &in, cookie, LEN, &out),
                     DTLSL_COOKIE_VALID);
    ck_assert_uint_eq(out.age_ms, 0);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(cookie_older_than_the_clock_is_refused)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, 1000);
    uint8_t cookie[LEN];

    input_init(1000);
    recompute(&with_tail, &in, UINT64_MAX - 5000, cookie);
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MISMATCH);
    ck_assert_int_eq(check_at(chain, 0, 1000), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(epoch_boundary_loses_no_cookie)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, 2 * HOUR - 1000);

    input_init(0);
    ck_assert_int_eq(check_at(chain, 2 * HOUR + 1, 2 * HOUR - 1),
                     DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check_at(chain, 2 * HOUR - 1, 2 * HOUR + 119999),
                     DTLSL_COOKIE_VALID);
    expect_mint(chain, &with_tail);
    tick(chain, 2 * HOUR + 200000);
    ck_assert_int_eq(check_at(chain, 2 * HOUR + 199999, 2 * HOUR + 200000),
                     DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(mint_before_tick_makes_the_key)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);

    input_init(9 * HOUR + 5);
    expect_mint(chain, &with_tail);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(clock_wraps_at_32_bits_without_reviving_cookies)
{
    const uint64_t wrap = UINT64_C(1) << 32;
    dtlsl__chain *chain = chain_with(NULL, NULL, wrap - 50);

    input_init(0);
    ck_assert_int_eq(check_at(chain, wrap - 50, wrap + 50),
                     DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check_at(chain, 7000, wrap + 7000),
                     DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(chain);
}
END_TEST

static uint8_t
minted_fmt(dtlsl__chain *chain)
{
    uint8_t cookie[LEN];

    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, LEN), LEN);
    return cookie[0];
}

START_TEST(tail_is_bound_up_to_the_budget)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);

    input_init(HOUR);
    in.tail_len = 139 - 35 - 1 - LEN;
    ck_assert_uint_eq(minted_fmt(chain), 0x11);
    in.tail_len++;
    ck_assert_uint_eq(minted_fmt(chain), 0x10);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(tail_is_bound_only_if_a_fragment_of_that_size_holds_it)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);

    input_init(HOUR);
    in.flags |= DTLSL_COOKIE_IN_FRAGMENTED;
    in.fragment_len = 35 + 1 + LEN + 10;
    ck_assert_uint_eq(minted_fmt(chain), 0x11);
    in.fragment_len--;
    ck_assert_uint_eq(minted_fmt(chain), 0x10);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(tail_above_512_bytes_and_budget_zero_are_not_bound)
{
    dtlsl__chain *chain = chain_with("tail-budget", "1200", HOUR);
    dtlsl__chain *none = chain_with("tail-budget", "0", HOUR);

    input_init(HOUR);
    ck_assert_uint_eq(minted_fmt(none), 0x10);
    in.tail_len = 512;
    ck_assert_uint_eq(minted_fmt(chain), 0x11);
    in.tail_len = 513;
    ck_assert_uint_eq(minted_fmt(chain), 0x10);
    dtlsl__chain_free(chain);
    dtlsl__chain_free(none);
}
END_TEST

START_TEST(missing_tail_or_local_needs_more)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    expected x = {secret, 32, "", NULL, 2};
    uint8_t cookie[LEN];

    input_init(HOUR);
    dtlsl__chain_mint(chain, &in, cookie, LEN);
    in.flags = 0;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_NEED_MORE);
    recompute(&x, &in, HOUR, cookie);
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_NEED_MORE);
    in.flags = DTLSL_COOKIE_IN_LOCAL;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    in.local[15] ^= 1;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(shape_is_checked_before_all)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    uint8_t cookie[255] = {0};

    input_init(HOUR);
    dtlsl__chain_mint(chain, &in, cookie, LEN);
    for (size_t len = 0; len <= 255; len++)
        if (len != LEN)
            ck_assert_int_eq(check(chain, cookie, len),
                             DTLSL_COOKIE_MALFORMED);
    cookie[0] ^= 4;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MALFORMED);
    cookie[0] ^= 4 | 0x20;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_MALFORMED);
    cookie[0] ^= 0x20;
    cookie[1] ^= 1;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_UNKNOWN_KEY);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(capacity_is_respected)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR);
    uint8_t cookie[256];

    input_init(HOUR);
    for (size_t cap = 0; cap <= 255; cap++) {
        memset(cookie, 0xee, sizeof(cookie));
        ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, cap),
                         cap < LEN ? DTLSL_ERR_SPACE : LEN);
        ck_assert_uint_eq(cookie[cap < LEN ? 0 : LEN], 0xee);
    }
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(stale_cookies_are_told_apart_on_a_budget)
{
    dtlsl__chain *chain = chain_with(NULL, NULL, HOUR + 600000);

    input_init(0);
    for (int i = 0; i < 300; i++)
        check_at(chain, HOUR + 1, HOUR + 600000);
    ck_assert_uint_le(count(chain, "expired"), 100);
    ck_assert_uint_ge(count(chain, "expired"), 50);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(bad_options_are_refused_with_a_text)
{
    static const dtlsl_cookie_option bad[] = {
        {"lifetime-ms", "9999"},
        {"lifetime-ms", "3000001"},
        {"lifetime-ms", "12s"},
        {"lifetime-ms", ""},
        {"lifetime-ms", "-1"},
        {"tail-budget", "1201"},
        {"poll-ms", "99"},
        {"boot-id", "2"},
        {"secret-file", ""},
        {"secret-file", "/nonexistent/secret"},
        {"lifetime-ms", "99999999999999999999999"}};
    dtlsl__chain *chain = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_lt(try_chain(&chain, &bad[i], 1, HOUR), 0);
        ck_assert_ptr_nonnull(strstr(err, bad[i].key));
    }
}
END_TEST

START_TEST(unknown_option_is_refused)
{
    dtlsl_cookie_option option = {"lifetime", "20000"};
    dtlsl__chain *chain = NULL;

    ck_assert_int_eq(try_chain(&chain, &option, 1, HOUR), DTLSL_ERR_OPTION);
    ck_assert_ptr_nonnull(strstr(err, "lifetime-ms"));
}
END_TEST

START_TEST(short_lifetimes_are_for_tests)
{
    dtlsl_cookie_option options[] = {{"lifetime-ms", "50"},
                                     {"allow-short-lifetimes", "1"}};
    dtlsl__chain *chain = NULL;

    ck_assert_int_eq(try_chain(&chain, options, 2, HOUR), DTLSL_OK);
    input_init(HOUR);
    ck_assert_int_eq(check_at(chain, HOUR, HOUR + 50), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check_at(chain, HOUR, HOUR + 51), DTLSL_COOKIE_EXPIRED);
    dtlsl__chain_free(chain);
}
END_TEST

START_TEST(boot_id_goes_into_the_key)
{
    dtlsl_cookie_option option = {"secret-file", file};
    dtlsl__chain *chain = NULL;
    uint8_t bytes[48], id[16];
    expected x = {bytes, 48, "", id, 1};
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    int digits = 0, c;

    files_setup();
    write_secret('b', 48);
    memset(bytes, 'b', sizeof(bytes));
    ck_assert_ptr_nonnull(f);
    while (digits < 32 && (c = fgetc(f)) != EOF)
        if (c != '-') {
            int value = c <= '9' ? c - '0' : c - 'a' + 10;

            id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | value);
            digits++;
        }
    fclose(f);
    ck_assert_int_eq(try_chain(&chain, &option, 1, HOUR), DTLSL_OK);
    input_init(HOUR);
    expect_mint(chain, &x);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

START_TEST(unsuitable_secret_files_are_refused)
{
    dtlsl_cookie_option option = {"secret-file", file};
    dtlsl__chain *chain = NULL;

    files_setup();
    write_secret('a', 31);
    ck_assert_int_lt(try_chain(&chain, &option, 1, HOUR), 0);
    write_secret('a', 257);
    ck_assert_int_lt(try_chain(&chain, &option, 1, HOUR), 0);
    write_secret('a', 32);
    chmod(file, 0644);
    ck_assert_int_lt(try_chain(&chain, &option, 1, HOUR), 0);
    ck_assert_ptr_nonnull(strstr(err, "chmod"));
    option.value = dir;
    ck_assert_int_lt(try_chain(&chain, &option, 1, HOUR), 0);
    files_teardown();
}
END_TEST

START_TEST(reload_keeps_the_old_secret_for_a_lifetime)
{
    dtlsl__chain *chain;
    uint8_t before[LEN], after[LEN];

    files_setup();
    write_secret('a', 32);
    chain = file_chain(HOUR);
    input_init(HOUR + 9999);
    dtlsl__chain_mint(chain, &in, before, LEN);
    write_secret('b', 32);
    tick(chain, HOUR + 9999);
    ck_assert_uint_eq(count(chain, "secret_reloads"), 0);
    tick(chain, HOUR + 10000);
    ck_assert_uint_eq(count(chain, "secret_reloads"), 1);
    dtlsl__chain_mint(chain, &in, after, LEN);
    ck_assert_mem_ne(before, after, LEN);
    in.mono_ms = HOUR + 9999 + 120000;
    tick(chain, in.mono_ms);
    ck_assert_int_eq(check(chain, before, LEN), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check(chain, after, LEN), DTLSL_COOKIE_VALID);
    in.mono_ms = HOUR + 10000 + 125001;
    ck_assert_int_ne(check(chain, before, LEN), DTLSL_COOKIE_EXPIRED);
    tick(chain, in.mono_ms);
    ck_assert_int_eq(check(chain, before, LEN), DTLSL_COOKIE_UNKNOWN_KEY);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

START_TEST(a_restarted_process_takes_the_cookies_of_the_one_before)
{
    uint8_t cookie[LEN];
    dtlsl__chain *chain;

    files_setup();
    write_secret('a', 32);
    chain = file_chain(HOUR);
    input_init(HOUR);
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, LEN), LEN);
    dtlsl__chain_free(chain);
    chain = file_chain(HOUR + 1000);
    in.mono_ms = HOUR + 1000;
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

static uint8_t
kid_of_secret(char fill)
{
    uint8_t cookie[LEN];
    dtlsl__chain *chain;

    write_secret(fill, 32);
    chain = file_chain(HOUR);
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, LEN), LEN);
    dtlsl__chain_free(chain);
    return cookie[1];
}

/* The kid is one byte of a hash: 40 secrets or so have two that share it. */
START_TEST(two_secrets_of_one_kid_are_both_tried)
{
    char owner[256] = {0}, fill = 1;
    uint8_t before[LEN], after[LEN], kid;
    dtlsl__chain *chain;

    files_setup();
    input_init(HOUR);
    while (owner[kid = kid_of_secret(fill)] == 0) {
        ck_assert_int_lt(fill, 127);
        owner[kid] = fill++;
    }
    write_secret(owner[kid], 32);
    chain = file_chain(HOUR);
    dtlsl__chain_mint(chain, &in, before, LEN);
    write_secret(fill, 32);
    tick(chain, HOUR + 10000);
    in.mono_ms = HOUR + 10000;
    dtlsl__chain_mint(chain, &in, after, LEN);
    ck_assert_int_eq(before[1], after[1]);
    ck_assert_int_eq(check(chain, before, LEN), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(check(chain, after, LEN), DTLSL_COOKIE_VALID);
    after[LEN - 1] ^= 1;
    ck_assert_int_eq(check(chain, after, LEN), DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

START_TEST(secret_that_comes_back_mints_again)
{
    dtlsl__chain *chain;
    uint8_t first[LEN], again[LEN];

    files_setup();
    write_secret('a', 32);
    chain = file_chain(HOUR);
    input_init(HOUR);
    dtlsl__chain_mint(chain, &in, first, LEN);
    write_secret('b', 32);
    tick(chain, HOUR + 10000);
    write_secret('a', 32);
    tick(chain, HOUR + 20000);
    dtlsl__chain_mint(chain, &in, again, LEN);
    ck_assert_mem_eq(first, again, LEN);
    tick(chain, HOUR + 300000);
    in.mono_ms = HOUR + 300000;
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, again, LEN), LEN);
    ck_assert_int_eq(check(chain, again, LEN), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

START_TEST(too_many_reloads_wait_and_lose_nothing)
{
    dtlsl__chain *chain;
    uint8_t cookies[6][LEN];

    files_setup();
    write_secret('a', 32);
    chain = file_chain(HOUR);
    input_init(HOUR);
    for (int i = 0; i < 6; i++) {
        in.mono_ms = HOUR + (uint64_t)i * 10000;
        write_secret((char)('a' + i), 32);
        tick(chain, in.mono_ms);
        dtlsl__chain_mint(chain, &in, cookies[i], LEN);
    }
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(check(chain, cookies[i], LEN), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

START_TEST(unusable_file_at_reload_leaves_the_secret)
{
    dtlsl__chain *chain;
    uint8_t cookie[LEN];

    files_setup();
    write_secret('a', 32);
    chain = file_chain(HOUR);
    unlink(file);
    tick(chain, HOUR + 10000);
    tick(chain, HOUR + 20000);
    ck_assert_uint_eq(count(chain, "secret_file_errors"), 2);
    input_init(HOUR + 20000);
    ck_assert_int_eq(dtlsl__chain_mint(chain, &in, cookie, LEN), LEN);
    ck_assert_int_eq(check(chain, cookie, LEN), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    files_teardown();
}
END_TEST

/* A host that counts what a strategy makes of contexts. */
static int contexts;

static void *
counting_new(void *ctx, const uint8_t *key, size_t len)
{
    uint8_t *copy = malloc(32);

    (void)ctx;
    ck_assert_ptr_nonnull(copy);
    memset(copy, 0, 32);
    memcpy(copy, key, len < 32 ? len : 32);
    contexts++;
    return copy;
}

static int32_t
counting_hmac(void *mac, const uint8_t *data, size_t len, uint8_t *tag)
{
    unsigned tag_len;

    return HMAC(EVP_sha256(), mac, 32, data, len, tag, &tag_len) ? 0 : -1;
}

static void
counting_free(void *mac)
{
    contexts -= mac != NULL;
    free(mac);
}

static void
cleanse(void *buf, size_t len)
{
    memset(buf, 0, len);
}

static int32_t
equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return memcmp(a, b, len) == 0;
}

START_TEST(contexts_do_not_grow)
{
    const dtlsl_cookie_plugin *hmac = dtlsl__cookie_builtin("hmac");
    dtlsl_cookie_host host = {.size = sizeof(host),
                              .abi = DTLSL_COOKIE_ABI,
                              .default_secret = secret,
                              .cleanse = cleanse,
                              .ct_equal = equal,
                              .hmac_new = counting_new,
                              .hmac_sha256 = counting_hmac,
                              .hmac_free = counting_free};
    dtlsl_cookie_result out;
    uint8_t cookie[LEN];
    uint64_t next;
    void *state;

    ck_assert_int_eq(
        hmac->open(&host, NULL, NULL, 0, &state, err, sizeof(err)), 0);
    for (uint64_t hour = 5; hour < 50; hour++) {
        input_init(hour * HOUR);
        hmac->tick(state, in.mono_ms, 0, &next);
        ck_assert_uint_gt(next, in.mono_ms);
        for (int i = 0; i < 20; i++) {
            ck_assert_int_eq(hmac->mint(state, &in, cookie, LEN), LEN);
            ck_assert_int_eq(hmac->verify(state, &in, cookie, LEN, &out), 1);
        }
        ck_assert_int_eq(contexts, 2);
    }
    hmac->close(state);
    ck_assert_int_eq(contexts, 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        cookies_equal_an_independent_computation,
        service_separates_cookies,
        every_flipped_bit_is_refused,
        every_bound_input_counts,
        zone_counts_for_link_local_addresses_only,
        time_window_is_inclusive,
        age_is_told,
        cookie_older_than_the_clock_is_refused,
        epoch_boundary_loses_no_cookie,
        mint_before_tick_makes_the_key,
        clock_wraps_at_32_bits_without_reviving_cookies,
        tail_is_bound_up_to_the_budget,
        tail_is_bound_only_if_a_fragment_of_that_size_holds_it,
        tail_above_512_bytes_and_budget_zero_are_not_bound,
        missing_tail_or_local_needs_more,
        shape_is_checked_before_all,
        capacity_is_respected,
        stale_cookies_are_told_apart_on_a_budget,
        bad_options_are_refused_with_a_text,
        unknown_option_is_refused,
        short_lifetimes_are_for_tests,
        boot_id_goes_into_the_key,
        unsuitable_secret_files_are_refused,
        reload_keeps_the_old_secret_for_a_lifetime,
        a_restarted_process_takes_the_cookies_of_the_one_before,
        two_secrets_of_one_kid_are_both_tried,
        secret_that_comes_back_mints_again,
        too_many_reloads_wait_and_lose_nothing,
        unusable_file_at_reload_leaves_the_secret,
        contexts_do_not_grow,
    };

    return test_main(
        test_suite("hmac", tests, sizeof(tests) / sizeof(tests[0])));
}
