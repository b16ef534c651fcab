/* SPDX-License-Identifier: MIT
 * The ABI in numbers: where each field lies and what each constant is, on
 * LP64. A program or plugin that was built yesterday has these numbers in it
 * and is not asked again, so none of them may ever change.
 *
 * A new field goes to the end of a struct that has a 'size' and gets a line
 * here; the line of sizeof is the only one that then changes, and whoever
 * compares a 'size' with that sizeof (grep '[>]size') must go on to take the
 * old one. Whatever else fails here is a new major: DTLSL_COOKIE_ABI and the
 * entry's name for cookie.h, the soname for the rest. */
#include "test.h"
#include <dtlslisten/dtlslisten.h>
#include <stdio.h>

typedef struct field {
    const char *name;
    size_t offset, size, was_offset, was_size;
} field;

typedef struct value {
    const char *name;
    long is, was;
} value;

/* clang-format off */
#define FIELD(type, part) \
    #type "." #part, offsetof(type, part), sizeof(((type *)0)->part)
#define WHOLE(type) "sizeof " #type, 0, sizeof(type)
#define VALUE(constant) #constant, constant
/* clang-format on */

static const field fields[] = {
    {FIELD(dtlsl_cookie_input, size), 0, 4},
    {FIELD(dtlsl_cookie_input, flags), 4, 4},
    {FIELD(dtlsl_cookie_input, mono_ms), 8, 8},
    {FIELD(dtlsl_cookie_input, unix_ms), 16, 8},
    {FIELD(dtlsl_cookie_input, peer), 24, 24},
    {FIELD(dtlsl_cookie_input, local), 48, 24},
    {FIELD(dtlsl_cookie_input, core), 72, 8},
    {FIELD(dtlsl_cookie_input, tail), 80, 8},
    {FIELD(dtlsl_cookie_input, app), 88, 8},
    {FIELD(dtlsl_cookie_input, core_len), 96, 4},
    {FIELD(dtlsl_cookie_input, tail_len), 100, 4},
    {FIELD(dtlsl_cookie_input, app_len), 104, 4},
    {FIELD(dtlsl_cookie_input, fragment_len), 108, 4},
    {WHOLE(dtlsl_cookie_input), 0, 112},
    {FIELD(dtlsl_cookie_result, size), 0, 4},
    {FIELD(dtlsl_cookie_result, age_ms), 4, 4},
    {FIELD(dtlsl_cookie_result, node), 8, 4},
    {FIELD(dtlsl_cookie_result, app_len), 12, 4},
    {FIELD(dtlsl_cookie_result, app), 16, 232},
    {WHOLE(dtlsl_cookie_result), 0, 248},
    {FIELD(dtlsl_cookie_option, key), 0, 8},
    {FIELD(dtlsl_cookie_option, value), 8, 8},
    {WHOLE(dtlsl_cookie_option), 0, 16},
    {FIELD(dtlsl_cookie_host, size), 0, 4},
    {FIELD(dtlsl_cookie_host, abi), 4, 4},
    {FIELD(dtlsl_cookie_host, ctx), 8, 8},
    {FIELD(dtlsl_cookie_host, default_secret), 16, 8},
    {FIELD(dtlsl_cookie_host, log), 24, 8},
    {FIELD(dtlsl_cookie_host, random), 32, 8},
    {FIELD(dtlsl_cookie_host, cleanse), 40, 8},
    {FIELD(dtlsl_cookie_host, ct_equal), 48, 8},
    {FIELD(dtlsl_cookie_host, hmac_new), 56, 8},
    {FIELD(dtlsl_cookie_host, hmac_sha256), 64, 8},
    {FIELD(dtlsl_cookie_host, hmac_free), 72, 8},
    {FIELD(dtlsl_cookie_host, strategy), 80, 8},
    {WHOLE(dtlsl_cookie_host), 0, 88},
    {FIELD(dtlsl_cookie_plugin, size), 0, 4},
    {FIELD(dtlsl_cookie_plugin, abi), 4, 4},
    {FIELD(dtlsl_cookie_plugin, name), 8, 8},
    {FIELD(dtlsl_cookie_plugin, max_cookie_len), 16, 4},
    {FIELD(dtlsl_cookie_plugin, flags), 20, 4},
    {FIELD(dtlsl_cookie_plugin, open), 24, 8},
    {FIELD(dtlsl_cookie_plugin, close), 32, 8},
    {FIELD(dtlsl_cookie_plugin, mint), 40, 8},
    {FIELD(dtlsl_cookie_plugin, verify), 48, 8},
    {FIELD(dtlsl_cookie_plugin, tick), 56, 8},
    {FIELD(dtlsl_cookie_plugin, counter), 64, 8},
    {WHOLE(dtlsl_cookie_plugin), 0, 72},
    {FIELD(dtlsl_path, peer), 0, 24},
    {FIELD(dtlsl_path, local), 24, 24},
    {WHOLE(dtlsl_path), 0, 48},
    {FIELD(dtlsl_now, mono_ms), 0, 8},
    {FIELD(dtlsl_now, unix_ms), 8, 8},
    {WHOLE(dtlsl_now), 0, 16},
    {FIELD(dtlsl_verdict, size), 0, 4},
    {FIELD(dtlsl_verdict, reply_cap), 4, 4},
    {FIELD(dtlsl_verdict, reply), 8, 8},
    {FIELD(dtlsl_verdict, action), 16, 4},
    {FIELD(dtlsl_verdict, reason), 20, 4},
    {FIELD(dtlsl_verdict, reply_len), 24, 4},
    {FIELD(dtlsl_verdict, record_len), 28, 4},
    {FIELD(dtlsl_verdict, age_ms), 32, 4},
    {FIELD(dtlsl_verdict, node), 36, 4},
    {FIELD(dtlsl_verdict, app_len), 40, 4},
    {FIELD(dtlsl_verdict, app), 44, 232},
    {FIELD(dtlsl_verdict, reserved), 276, 4},
    {WHOLE(dtlsl_verdict), 0, 280},
    {FIELD(dtlsl_event, size), 0, 4},
    {FIELD(dtlsl_event, type), 4, 4},
    {FIELD(dtlsl_event, conn), 8, 8},
    {FIELD(dtlsl_event, tag), 16, 8},
    {FIELD(dtlsl_event, status), 24, 4},
    {FIELD(dtlsl_event, len), 28, 4},
    {FIELD(dtlsl_event, data), 32, 8},
    {WHOLE(dtlsl_event), 0, 40},
};

static const value values[] = {
    {VALUE(DTLSL_OK), 0},
    {VALUE(DTLSL_ERR_ARGUMENT), -10001},
    {VALUE(DTLSL_ERR_NOMEM), -10002},
    {VALUE(DTLSL_ERR_STATE), -10003},
    {VALUE(DTLSL_ERR_OPTION), -10004},
    {VALUE(DTLSL_ERR_NOCONN), -10005},
    {VALUE(DTLSL_ERR_LIMIT), -10006},
    {VALUE(DTLSL_ERR_SPACE), -10007},
    {VALUE(DTLSL_ERR_TLS), -10008},
    {VALUE(DTLSL_ERR_PLUGIN), -10009},
    {VALUE(DTLSL_ERR_TOOBIG), -10010},
    {VALUE(DTLSL_ERR_BUSY), -10011},
    {VALUE(DTLSL_ERR_CREDENTIALS), -10012},
    {VALUE(DTLSL_ERR_FILE), -10013},
    {VALUE(DTLSL_ERR_RANDOM), -10014},
    {VALUE(DTLSL_COOKIE_ABI), 1},
    {VALUE(DTLSL_COOKIE_MAX), 255},
    {VALUE(DTLSL_COOKIE_SAFE), 32},
    {VALUE(DTLSL_COOKIE_APP_MAX), 232},
    {VALUE(DTLSL_COOKIE_SECRET_LEN), 32},
    {VALUE(DTLSL_COOKIE_VALID), 1},
    {VALUE(DTLSL_COOKIE_MALFORMED), 2},
    {VALUE(DTLSL_COOKIE_UNKNOWN_KEY), 3},
    {VALUE(DTLSL_COOKIE_EXPIRED), 4},
    {VALUE(DTLSL_COOKIE_FUTURE), 5},
    {VALUE(DTLSL_COOKIE_MISMATCH), 6},
    {VALUE(DTLSL_COOKIE_NEED_MORE), 7},
    {VALUE(DTLSL_COOKIE_NOTREADY), -10101},
    {VALUE(DTLSL_COOKIE_REFUSED), -10102},
    {VALUE(DTLSL_COOKIE_IN_TAIL), 1},
    {VALUE(DTLSL_COOKIE_IN_LOCAL), 2},
    {VALUE(DTLSL_COOKIE_IN_FRAGMENTED), 4},
    {VALUE(DTLSL_REPLY_MAX), 283},
    {VALUE(DTLSL_ADDRESS_MAX), 96},
    {VALUE(DTLSL_HELLO_ID_LEN), 32},
    {VALUE(DTLSL_COUNTER_NAME_MAX), 112},
    {VALUE(DTLSL_DROP), 0},
    {VALUE(DTLSL_REPLY), 1},
    {VALUE(DTLSL_ACCEPT), 2},
    {VALUE(DTLSL_REASON_NONE), 0},
    {VALUE(DTLSL_REASON_DROP_SHORT), 1},
    {VALUE(DTLSL_REASON_DROP_TYPE), 2},
    {VALUE(DTLSL_REASON_DROP_VERSION), 3},
    {VALUE(DTLSL_REASON_DROP_RECORD_LENGTH), 4},
    {VALUE(DTLSL_REASON_DROP_EPOCH), 5},
    {VALUE(DTLSL_REASON_DROP_MESSAGE_LENGTH), 6},
    {VALUE(DTLSL_REASON_DROP_MESSAGE_TYPE), 7},
    {VALUE(DTLSL_REASON_DROP_MESSAGE_SEQ), 8},
    {VALUE(DTLSL_REASON_DROP_FRAGMENT), 9},
    {VALUE(DTLSL_REASON_DROP_HELLO_LENGTH), 10},
    {VALUE(DTLSL_REASON_DROP_SESSION_ID), 11},
    {VALUE(DTLSL_REASON_DROP_MALFORMED), 12},
    {VALUE(DTLSL_REASON_DROP_COOKIE_SEQ), 13},
    {VALUE(DTLSL_REASON_DROP_RECORD_SEQ), 14},
    {VALUE(DTLSL_REASON_DROP_SOURCE), 15},
    {VALUE(DTLSL_REASON_DROP_DESTINATION), 16},
    {VALUE(DTLSL_REASON_DROP_AMPLIFY), 17},
    {VALUE(DTLSL_REASON_DROP_BAD_COOKIE), 18},
    {VALUE(DTLSL_REASON_DROP_NOTREADY), 19},
    {VALUE(DTLSL_REASON_DROP_REFUSED), 20},
    {VALUE(DTLSL_REASON_DROP_STRATEGY), 21},
    {VALUE(DTLSL_EVENT_OPEN), 1},
    {VALUE(DTLSL_EVENT_DATA), 2},
    {VALUE(DTLSL_EVENT_WRITABLE), 3},
    {VALUE(DTLSL_EVENT_CLOSE), 4},
    {VALUE(DTLSL_EVENT_FAILED), 5},
    {VALUE(DTLSL_EVENT_HELLO), 6},
    {VALUE(DTLSL_EVENT_NOTICE), 7},
    {VALUE(DTLSL_EVENT_STOPPED), 8},
    {VALUE(DTLSL_CLOSE_PEER), 1},
    {VALUE(DTLSL_CLOSE_LOCAL), 2},
    {VALUE(DTLSL_CLOSE_IDLE), 3},
    {VALUE(DTLSL_CLOSE_TIMEOUT), 4},
    {VALUE(DTLSL_CLOSE_REPLACED), 5},
    {VALUE(DTLSL_CLOSE_EVICTED), 6},
    {VALUE(DTLSL_CLOSE_STOPPED), 7},
    {VALUE(DTLSL_CLOSE_ALERT), 8},
    {VALUE(DTLSL_CLOSE_TLS), 9},
    {VALUE(DTLSL_CLOSE_NOMEM), 10},
    {VALUE(DTLSL_FORMAT_JSON), 1},
    {VALUE(DTLSL_FORMAT_PROMETHEUS), 2},
};

START_TEST(fields_lie_where_they_lay)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const field *f = &fields[i];

        ck_assert_msg(f->offset == f->was_offset && f->size == f->was_size,
                      "%s: at %zu, %zu bytes; it was at %zu, %zu bytes. What "
                      "was built before looks there: append fields instead, "
                      "or make a new major",
                      f->name, f->offset, f->size, f->was_offset, f->was_size);
    }
}
END_TEST

START_TEST(constants_are_what_they_were)
{
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ck_assert_msg(values[i].is == values[i].was,
                      "%s is %ld, it was %ld. What was built before has the "
                      "old number: take a new one for something new, or make "
                      "a new major",
                      values[i].name, values[i].is, values[i].was);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        fields_lie_where_they_lay,
        constants_are_what_they_were,
    };

    if (sizeof(void *) != 8 || sizeof(size_t) != 8) {
        puts("skip: the numbers are those of 64-bit systems");
        return 77;
    }
    return test_main(
        test_suite("abi", tests, sizeof(tests) / sizeof(tests[0])));
}
