/* SPDX-License-Identifier: MIT
 * The version, and the names and texts of results. */
#include "test.h"
#include <dtlslisten/cookie.h>
#include <stdio.h>
#include <uv.h>

START_TEST(the_version_is_the_header_s)
{
    unsigned version = dtlsl_version();
    char text[32];

    ck_assert_uint_eq(version, DTLSL_VERSION);
    (void)snprintf(text, sizeof(text), "%u.%u.%u", version >> 16,
                   version >> 8 & 255, version & 255);
    ck_assert_str_eq(dtlsl_version_string(), text);
}
END_TEST

START_TEST(ok_is_ok)
{
    ck_assert_str_eq(dtlsl_err_name(DTLSL_OK), "OK");
    ck_assert_str_eq(dtlsl_strerror(DTLSL_OK), "OK");
}
END_TEST

START_TEST(codes_of_the_library_have_names)
{
    ck_assert_str_eq(dtlsl_err_name(DTLSL_ERR_ARGUMENT), "DTLSL_ERR_ARGUMENT");
    ck_assert_str_eq(dtlsl_err_name(DTLSL_ERR_RANDOM), "DTLSL_ERR_RANDOM");
    ck_assert_str_eq(dtlsl_err_name(DTLSL_COOKIE_NOTREADY),
                     "DTLSL_COOKIE_NOTREADY");
    ck_assert_str_eq(dtlsl_err_name(DTLSL_COOKIE_REFUSED),
                     "DTLSL_COOKIE_REFUSED");
}
END_TEST

START_TEST(each_code_of_the_library_has_its_own_name_and_text)
{
    for (int32_t a = DTLSL_ERR_ARGUMENT; a >= DTLSL_ERR_RANDOM; a--) {
        ck_assert_int_eq(strncmp(dtlsl_err_name(a), "DTLSL_ERR_", 10), 0);
        ck_assert_str_ne(dtlsl_strerror(a), "UNKNOWN");
        for (int32_t b = a - 1; b >= DTLSL_ERR_RANDOM; b--) {
            ck_assert_str_ne(dtlsl_err_name(a), dtlsl_err_name(b));
            ck_assert_str_ne(dtlsl_strerror(a), dtlsl_strerror(b));
        }
    }
}
END_TEST

START_TEST(codes_of_libuv_are_named_as_libuv_does)
{
#define X(code, text)                                                    \
    ck_assert_str_eq(dtlsl_err_name(UV_##code), uv_err_name(UV_##code)); \
    ck_assert_str_eq(dtlsl_strerror(UV_##code), uv_strerror(UV_##code));
    UV_ERRNO_MAP(X)
#undef X
    ck_assert_str_eq(dtlsl_err_name(UV_EADDRINUSE), "EADDRINUSE");
}
END_TEST

START_TEST(unknown_codes_are_unknown)
{
    static const int32_t codes[] = {1,         INT32_MAX,
                                    INT32_MIN, -9999,
                                    -10000,    DTLSL_ERR_RANDOM - 1,
                                    -10100,    DTLSL_COOKIE_REFUSED - 1};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        ck_assert_str_eq(dtlsl_err_name(codes[i]), "UNKNOWN");
        ck_assert_str_eq(dtlsl_strerror(codes[i]), "UNKNOWN");
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        the_version_is_the_header_s,
        ok_is_ok,
        codes_of_the_library_have_names,
        each_code_of_the_library_has_its_own_name_and_text,
        codes_of_libuv_are_named_as_libuv_does,
        unknown_codes_are_unknown,
    };

    return test_main(
        test_suite("error", tests, sizeof(tests) / sizeof(tests[0])));
}
