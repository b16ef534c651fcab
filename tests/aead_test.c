/* SPDX-License-Identifier: MIT
 * The strategy "aead", as a module, in both profiles. Its bytes are checked in
 * vectors_test. */
#include "bundled.h"
#include "test.h"
#include <openssl/err.h>
#include <stdio.h>

enum {
    FIXED = 23,
    LIFETIME = 120000,
    HOUR = 3600000
};

static const char *const profiles[] = {"profile=siv\n", "profile=fips\n"};
static uint8_t core[35], tail[6] = {0, 2, 0xc0, 0x2b, 1, 0};
static dtlsl_cookie_input in;
static char err[512];

static void
setup(void)
{
    memset(core, 0x5a, sizeof(core));
    core[34] = 0;
    memset(&in, 0, sizeof(in));
    in.size = sizeof(in);
    in.flags = DTLSL_COOKIE_IN_TAIL;
    in.mono_ms = UINT64_C(10) * HOUR + 1800000;
    in.unix_ms = UINT64_C(1795300000000);
    in.peer[10] = in.peer[11] = 0xff;
    in.peer[15] = 7;
    in.core = core;
    in.core_len = sizeof(core);
    in.tail = tail;
    in.tail_len = sizeof(tail);
    in.fragment_len = 100;
}

static int32_t
try_open(dtlsl__chain **out, const char *profile, const char *more)
{
    char options[1024];
    dtlsl_now now = {in.mono_ms, in.unix_ms};

    snprintf(options, sizeof(options), "%s%s", profile, more);
    return bundled_chain(out, "aead", options, &now, err);
}

static dtlsl__chain *
opened(const char *profile, const char *more)
{
    dtlsl__chain *chain = NULL;

    ck_assert_msg(try_open(&chain, profile, more) == DTLSL_OK, "%s", err);
    return chain;
}

static size_t
mint(dtlsl__chain *chain, uint8_t cookie[255])
{
    int32_t len = dtlsl__chain_mint(chain, &in, cookie, 255);

    ck_assert_int_gt(len, 0);
    return (size_t)len;
}

static int32_t
verify(dtlsl__chain *chain, const uint8_t *cookie, size_t len)
{
    dtlsl_cookie_result out = {.size = sizeof(out)};

    return dtlsl__chain_verify(chain, &in, cookie, len, &out);
}

START_TEST(application_data_comes_back_with_the_age)
{
    dtlsl_cookie_result out = {.size = sizeof(out)};
    dtlsl__chain *chain =
        (setup(), opened(profiles[_i], "app=hex:010203040506070809"));
    uint8_t cookie[255];
    size_t len = mint(chain, cookie);

    ck_assert_uint_eq(len, FIXED + 9);
    in.mono_ms += 250;
    ck_assert_int_eq(dtlsl__chain_verify(chain, &in, cookie, len, &out),
                     DTLSL_COOKIE_VALID);
    ck_assert_uint_eq(out.age_ms, 250);
    ck_assert_uint_eq(out.app_len, 9);
    ck_assert_mem_eq(out.app, "\1\2\3\4\5\6\7\10\11", 9);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(time_and_data_cannot_be_read_in_the_cookie)
{
    dtlsl__chain *chain =
        (setup(), opened(profiles[_i], "app=hex:414243444546474849"));
    uint8_t cookie[255], other[255];
    size_t len = mint(chain, cookie);

    ck_assert_ptr_null(memmem(cookie, len, "ABC", 3));
    in.mono_ms++; /* one bit of the plaintext changes everything behind */
    ck_assert_uint_eq(mint(chain, other), len);
    ck_assert_mem_eq(cookie, other, 3);
    ck_assert_mem_ne(cookie + 3, other + 3, 16);
    ck_assert_mem_ne(cookie + 19, other + 19, len - 19);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    dtlsl__chain *chain =
        (setup(), opened(profiles[_i], "app=hex:010203040506070809"));
    uint8_t cookie[255];
    size_t len = mint(chain, cookie);

    for (size_t bit = 0; bit < 8 * len; bit++) {
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_ne(verify(chain, cookie, len), DTLSL_COOKIE_VALID);
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(every_bound_input_counts)
{
    dtlsl__chain *chain = (setup(), opened(profiles[_i], ""));
    uint8_t cookie[255];
    size_t len = mint(chain, cookie);

    for (size_t i = 0; i < 18; i++) { /* address and port */
        in.peer[i] ^= 1;
        ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_MISMATCH);
        in.peer[i] ^= 1;
    }
    for (size_t i = 0; i < 34; i++) {
        core[i] ^= 1;
        ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_MISMATCH);
        core[i] ^= 1;
    }
    tail[3] ^= 1;
    ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_MISMATCH);
    tail[3] ^= 1;
    in.flags = 0;
    ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_NEED_MORE);
    in.flags = DTLSL_COOKIE_IN_TAIL;
    ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(the_window_is_inclusive_and_told_apart)
{
    static const struct {
        int64_t age;
        int32_t answer;
    } rows[] = {{-5001, DTLSL_COOKIE_FUTURE},
                {-5000, DTLSL_COOKIE_VALID},
                {LIFETIME, DTLSL_COOKIE_VALID},
                {LIFETIME + 1, DTLSL_COOKIE_EXPIRED},
                {HOUR, DTLSL_COOKIE_EXPIRED},
                {3 * HOUR, DTLSL_COOKIE_MISMATCH},
                {256 * (int64_t)HOUR, DTLSL_COOKIE_MISMATCH}};
    dtlsl__chain *chain = (setup(), opened(profiles[_i], ""));
    uint64_t minted = in.mono_ms;
    uint8_t cookie[255];
    size_t len = mint(chain, cookie);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        in.mono_ms = minted + (uint64_t)rows[i].age;
        dtlsl__chain_tick(chain, &(dtlsl_now){in.mono_ms, in.unix_ms});
        ck_assert_int_eq(verify(chain, cookie, len), rows[i].answer);
    }
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(cookies_cross_the_hour_in_both_directions)
{
    dtlsl__chain *chain = (setup(), opened(profiles[_i], ""));
    uint64_t hour = UINT64_C(256) * HOUR; /* the epoch's byte wraps, too */
    uint8_t cookie[255];

    for (int64_t minted = -100000; minted <= 100000; minted += 50000)
        for (int64_t seen = -5000; seen <= LIFETIME; seen += 25000) {
            size_t len;

            in.mono_ms = hour + (uint64_t)minted;
            len = mint(chain, cookie);
            in.mono_ms += (uint64_t)seen;
            ck_assert_int_eq(verify(chain, cookie, len), DTLSL_COOKIE_VALID);
        }
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(with_a_key_file_any_node_opens_it)
{
    static const char text[] =
        "dtlslisten-cluster-keys 1\nkey 9 0 - hex:00112233445566778899aabb"
        "ccddeeff00112233445566778899aabbccddeeff\n";
    uint8_t cookie[255];
    char path[256], options[300];
    dtlsl__chain *a, *b;
    size_t len;

    setup();
    bundled_file(path, "keys", text, strlen(text));
    snprintf(options, sizeof(options), "key-file=%s\n", path);
    a = opened(profiles[_i], options);
    b = opened(profiles[_i], options);
    len = mint(a, cookie);
    ck_assert_uint_eq(cookie[1], 9);
    in.mono_ms = 5; /* another host */
    in.unix_ms += 60000;
    ck_assert_int_eq(verify(b, cookie, len), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(a);
    dtlsl__chain_free(b);
    bundled_done();
}
END_TEST

START_TEST(profiles_do_not_take_each_others_cookies)
{
    dtlsl__chain *siv = (setup(), opened(profiles[0], ""));
    dtlsl__chain *fips = opened(profiles[1], "");
    uint8_t cookie[255];
    size_t len = mint(siv, cookie);

    ck_assert_int_eq(verify(fips, cookie, len), DTLSL_COOKIE_MALFORMED);
    len = mint(fips, cookie);
    ck_assert_int_eq(verify(siv, cookie, len), DTLSL_COOKIE_MALFORMED);
    dtlsl__chain_free(siv);
    dtlsl__chain_free(fips);
    bundled_done();
}
END_TEST

START_TEST(unusable_options_are_refused_with_a_remedy)
{
    static const char *const rows[][2] = {
        {"app=hex:0102030405060708090a", "more than max-app-len 9"},
        {"app=0102", "not hex:"},
        {"app=hex:012", "not hex:"},
        {"app=hex:0g", "not hex:"},
        {"max-app-len=233", "option max-app-len"},
        {"profile=gcm", "option profile"},
        {"skew-ms=300001", "option skew-ms"},
        {"key-file=/nowhere", "/nowhere"},
        {"node=1", "has no option 'node'"},
    };
    dtlsl__chain *chain = NULL;

    setup();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_lt(try_open(&chain, "", rows[i][0]), 0);
        ck_assert_msg(strstr(err, rows[i][1]) != NULL, "%s", err);
    }
    bundled_done();
}
END_TEST

START_TEST(garbage_is_refused_and_leaves_no_error)
{
    dtlsl__chain *chain = (setup(), opened(profiles[_i], ""));
    uint64_t x = 88172645463325252u;
    uint8_t cookie[255];

    for (uint32_t i = 0; i < 20000; i++) {
        for (size_t j = 0; j < sizeof(cookie); j++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            cookie[j] = (uint8_t)x;
        }
        if (i % 2 == 0) {
            cookie[0] = _i == 0 ? 0x20 : 0x40;
            cookie[2] = (uint8_t)(in.mono_ms / HOUR);
        }
        ck_assert_int_ne(verify(chain, cookie, i % 256), DTLSL_COOKIE_VALID);
    }
    ck_assert_uint_eq(ERR_peek_error(), 0);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("aead");
    TCase *each = tcase_create("each profile");
    TCase *once = tcase_create("once");

    tcase_set_timeout(each, 120);
    tcase_add_loop_test(each, application_data_comes_back_with_the_age, 0, 2);
    tcase_add_loop_test(each, time_and_data_cannot_be_read_in_the_cookie, 0,
                        2);
    tcase_add_loop_test(each, every_flipped_bit_is_refused, 0, 2);
    tcase_add_loop_test(each, every_bound_input_counts, 0, 2);
    tcase_add_loop_test(each, the_window_is_inclusive_and_told_apart, 0, 2);
    tcase_add_loop_test(each, cookies_cross_the_hour_in_both_directions, 0, 2);
    tcase_add_loop_test(each, with_a_key_file_any_node_opens_it, 0, 2);
    tcase_add_loop_test(each, garbage_is_refused_and_leaves_no_error, 0, 2);
    tcase_add_test(once, profiles_do_not_take_each_others_cookies);
    tcase_add_test(once, unusable_options_are_refused_with_a_remedy);
    suite_add_tcase(suite, each);
    suite_add_tcase(suite, once);
    return test_main(suite);
}
