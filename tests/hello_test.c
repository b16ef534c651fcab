/* SPDX-License-Identifier: MIT
 * The ClientHello reader: each reason, every length, first fragments; the
 * HelloVerifyRequest byte for byte; the id of a ClientHello. Whether all that
 * is as with DTLSv1_listen() is for tests/differential. */
#include "hello.h"
#include "record.h"
#include "test.h"
#include <openssl/err.h>
#include <openssl/sha.h>

enum {
    AT_EPOCH = 3,
    AT_RECORD_SEQ = 5,
    AT_RECORD_LENGTH = 11,
    AT_MESSAGE = 13,
    AT_MESSAGE_LENGTH = 14,
    AT_MESSAGE_SEQ = 17,
    AT_OFFSET = 19,
    AT_FRAGMENT_LENGTH = 22,
    AT_BODY = 25,
    AT_SESSION_ID = AT_BODY + 34,

    SESSION_ID_LEN = 4,
    COOKIE_LEN = 20,
    COOKIE_END = 34 + 1 + SESSION_ID_LEN + 1 + COOKIE_LEN /* in the body */
};

typedef struct packet {
    uint8_t data[17000];
    size_t len;
} packet;

static packet p;
static dtlsl__hello hello;

/* Two suites, of which OpenSSL takes the first (with a PSK), the null method,
 * two extensions. */
static const uint8_t rest[] = {0, 4,  0, 0xa8, 0xc0, 0x2f, 1, 0, 0, 9,
                               0, 23, 0, 0,    0,    5,    0, 1, 7};
enum {
    TAIL_LEN = 8,
    BODY_LEN = COOKIE_END + sizeof(rest)
};

static void
append(const void *data, size_t len)
{
    ck_assert_uint_le(p.len + len, sizeof(p.data));
    if (len > 0)
        memcpy(p.data + p.len, data, len);
    p.len += len;
}

static void
fill(unsigned first, size_t len)
{
    ck_assert_uint_le(p.len + len, sizeof(p.data));
    for (size_t i = 0; i < len; i++)
        p.data[p.len++] = (uint8_t)(first + i);
}

/* The packet is the first fragment of a message of this length. */
static void
fix_lengths(size_t message_len)
{
    dtlsl__put16(p.data + AT_RECORD_LENGTH, (uint32_t)p.len - AT_MESSAGE);
    dtlsl__put24(p.data + AT_MESSAGE_LENGTH, (uint32_t)message_len);
    dtlsl__put24(p.data + AT_FRAGMENT_LENGTH, (uint32_t)p.len - AT_BODY);
}

static void
make_with(size_t session_id_len, size_t cookie_len, const void *behind,
          size_t behind_len)
{
    static const uint8_t headers[AT_BODY] = {22, 0xfe,
                                             0xff, [10] = 9, [AT_MESSAGE] = 1};

    memset(&p, 0, sizeof(p));
    append(headers, sizeof(headers));
    append("\xfe\xfd", 2);
    fill(1, 32);
    fill((unsigned)session_id_len, 1);
    fill(100, session_id_len);
    fill((unsigned)cookie_len, 1);
    fill(200, cookie_len);
    append(behind, behind_len);
    if (cookie_len > 0)
        dtlsl__put16(p.data + AT_MESSAGE_SEQ, 1);
    fix_lengths(p.len - AT_BODY);
}

static void
make(void)
{
    make_with(SESSION_ID_LEN, COOKIE_LEN, rest, sizeof(rest));
}

/* Reads a copy of exactly 'len' bytes, so that a sanitizer sees any read
 * behind it. Spans are then only good for comparing with NULL. */
static int32_t
read_exact(size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    int32_t reason;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, p.data, len);
    reason = dtlsl__hello_read(&hello, copy, len);
    free(copy);
    return reason;
}

#define CHECK_REASON(name) \
    ck_assert_int_eq(read_exact(p.len), DTLSL_REASON_##name)

START_TEST(a_hello_has_its_fields)
{
    make();
    append("more", 4); /* the next record */
    ck_assert_int_eq(dtlsl__hello_read(&hello, p.data, p.len),
                     DTLSL_REASON_NONE);
    ck_assert_uint_eq(hello.record_seq, 9);
    ck_assert_uint_eq(hello.record_len, p.len - 4);
    ck_assert_uint_eq(hello.message_seq, 1);
    ck_assert_uint_eq(hello.fragmented, 0);
    ck_assert_uint_eq(hello.fragment_len, BODY_LEN);
    ck_assert_ptr_eq(hello.core, p.data + AT_BODY);
    ck_assert_uint_eq(hello.core_len, 35 + SESSION_ID_LEN);
    ck_assert_ptr_eq(hello.cookie, p.data + AT_BODY + COOKIE_END - COOKIE_LEN);
    ck_assert_uint_eq(hello.cookie_len, COOKIE_LEN);
    ck_assert_ptr_eq(hello.tail, p.data + AT_BODY + COOKIE_END);
    ck_assert_uint_eq(hello.tail_len, TAIL_LEN);
    ck_assert_uint_eq(hello.tail_end, COOKIE_END + TAIL_LEN);
}
END_TEST

START_TEST(a_hello_without_cookie_session_id_and_extensions)
{
    make_with(0, 0, rest, TAIL_LEN);
    CHECK_REASON(NONE);
    ck_assert_uint_eq(hello.core_len, 35);
    ck_assert_uint_eq(hello.cookie_len, 0);
    ck_assert_uint_eq(hello.tail_len, TAIL_LEN);
    ck_assert_uint_eq(hello.tail_end, 36 + TAIL_LEN);
}
END_TEST

START_TEST(a_datagram_cut_at_each_byte)
{
    make();
    for (size_t len = 0; len < p.len; len++)
        ck_assert_int_eq(read_exact(len),
                         len < 13 ? DTLSL_REASON_DROP_SHORT
                                  : DTLSL_REASON_DROP_RECORD_LENGTH);
    CHECK_REASON(NONE);
}
END_TEST

START_TEST(a_record_cut_at_each_byte)
{
    size_t whole;

    make();
    whole = p.len;
    for (size_t len = 13; len < whole; len++) {
        dtlsl__put16(p.data + AT_RECORD_LENGTH, (uint32_t)len - 13);
        ck_assert_int_eq(read_exact(len), DTLSL_REASON_DROP_MESSAGE_LENGTH);
    }
    append("", 1);
    dtlsl__put16(p.data + AT_RECORD_LENGTH, (uint32_t)p.len - 13);
    CHECK_REASON(DROP_MESSAGE_LENGTH);
}
END_TEST

/* Whole messages that end too early: only before the extensions is an end. */
START_TEST(a_message_cut_at_each_byte)
{
    make();
    for (size_t len = 0; len < BODY_LEN; len++) {
        int32_t want = DTLSL_REASON_DROP_MALFORMED;

        if (len < COOKIE_END)
            want = DTLSL_REASON_DROP_HELLO_LENGTH;
        else if (len == COOKIE_END + TAIL_LEN)
            want = DTLSL_REASON_NONE;
        p.len = AT_BODY + len;
        fix_lengths(len);
        ck_assert_int_eq(read_exact(p.len), want);
    }
}
END_TEST

START_TEST(a_first_fragment_of_each_length)
{
    make();
    for (size_t len = 0; len < BODY_LEN; len++) {
        int has_tail = len >= COOKIE_END + TAIL_LEN;

        p.len = AT_BODY + len;
        fix_lengths(BODY_LEN);
        if (len < COOKIE_END) {
            CHECK_REASON(DROP_HELLO_LENGTH);
            continue;
        }
        CHECK_REASON(NONE);
        ck_assert_uint_eq(hello.fragmented, 1);
        ck_assert_uint_eq(hello.fragment_len, len);
        ck_assert_int_eq(hello.tail != NULL, has_tail);
        ck_assert_uint_eq(hello.tail_len, has_tail ? TAIL_LEN : 0);
        ck_assert_uint_eq(hello.tail_end,
                          has_tail ? COOKIE_END + TAIL_LEN : 0);
    }
}
END_TEST

START_TEST(each_reason_of_the_headers)
{
    static const struct {
        size_t at;
        uint8_t value;
        int32_t reason;
    } rows[] = {
        {0, 21, DTLSL_REASON_DROP_TYPE},
        {0, 23, DTLSL_REASON_DROP_TYPE},
        {1, 3, DTLSL_REASON_DROP_VERSION},
        {2, 0, DTLSL_REASON_NONE}, /* any minor */
        {AT_EPOCH, 1, DTLSL_REASON_DROP_EPOCH},
        {AT_EPOCH + 1, 1, DTLSL_REASON_DROP_EPOCH},
        {AT_RECORD_LENGTH, 1, DTLSL_REASON_DROP_RECORD_LENGTH},
        {AT_RECORD_LENGTH + 1, 11, DTLSL_REASON_DROP_MESSAGE_LENGTH},
        {AT_FRAGMENT_LENGTH, 1, DTLSL_REASON_DROP_MESSAGE_LENGTH},
        {AT_MESSAGE, 2, DTLSL_REASON_DROP_MESSAGE_TYPE},
        {AT_MESSAGE_SEQ, 1, DTLSL_REASON_DROP_MESSAGE_SEQ},
        {AT_MESSAGE_SEQ + 1, 2, DTLSL_REASON_DROP_MESSAGE_SEQ},
        {AT_OFFSET, 1, DTLSL_REASON_DROP_FRAGMENT},
        {AT_OFFSET + 2, 1, DTLSL_REASON_DROP_FRAGMENT},
        {AT_MESSAGE_LENGTH + 2, 1, DTLSL_REASON_DROP_FRAGMENT},
        {AT_SESSION_ID, 255, DTLSL_REASON_DROP_HELLO_LENGTH},
        {AT_SESSION_ID + 1 + SESSION_ID_LEN, 255,
         DTLSL_REASON_DROP_HELLO_LENGTH},
        {AT_MESSAGE_SEQ + 1, 0, DTLSL_REASON_DROP_COOKIE_SEQ},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make();
        p.data[rows[i].at] = rows[i].value;
        ck_assert_msg(read_exact(p.len) == rows[i].reason, "row %zu", i);
    }
}
END_TEST

/* Everything is wrong; mended from the front, each check has its turn. */
START_TEST(checks_have_their_order)
{
    make_with(33, 5, rest, 1);
    memset(p.data + AT_RECORD_SEQ, 0xff, 6);
    memset(p.data, 0x77, 5);
    p.data[AT_RECORD_LENGTH] = 0x77;
    p.data[AT_MESSAGE] = 0x77;
    p.data[AT_MESSAGE_SEQ] = 0x77;
    p.data[AT_OFFSET] = 0x77;
    p.data[AT_FRAGMENT_LENGTH] = 0x77;
    ck_assert_int_eq(read_exact(12), DTLSL_REASON_DROP_SHORT);
    CHECK_REASON(DROP_TYPE);
    p.data[0] = 22;
    CHECK_REASON(DROP_VERSION);
    p.data[1] = 0xfe;
    CHECK_REASON(DROP_RECORD_LENGTH);
    p.data[AT_RECORD_LENGTH] = 0;
    CHECK_REASON(DROP_EPOCH);
    dtlsl__put16(p.data + AT_EPOCH, 0);
    CHECK_REASON(DROP_MESSAGE_LENGTH);
    p.data[AT_FRAGMENT_LENGTH] = 0;
    CHECK_REASON(DROP_MESSAGE_TYPE);
    p.data[AT_MESSAGE] = 1;
    CHECK_REASON(DROP_MESSAGE_SEQ);
    dtlsl__put16(p.data + AT_MESSAGE_SEQ, 0);
    CHECK_REASON(DROP_FRAGMENT);
    p.data[AT_OFFSET] = 0;
    p.data[AT_SESSION_ID + 34] = 99;
    CHECK_REASON(DROP_HELLO_LENGTH);
    p.data[AT_SESSION_ID + 34] = 5;
    CHECK_REASON(DROP_SESSION_ID);
    /* One byte less of session id is one more of cookie. */
    p.data[AT_SESSION_ID] = 32;
    p.data[AT_SESSION_ID + 33] = 6;
    CHECK_REASON(DROP_COOKIE_SEQ);
    p.data[AT_MESSAGE_SEQ + 1] = 1;
    CHECK_REASON(DROP_RECORD_SEQ);
    dtlsl__put48(p.data + AT_RECORD_SEQ, 0);
    CHECK_REASON(DROP_MALFORMED);
}
END_TEST

START_TEST(session_ids_end_at_32_bytes)
{
    make_with(32, 0, rest, sizeof(rest));
    CHECK_REASON(NONE);
    make_with(33, 0, rest, sizeof(rest));
    CHECK_REASON(DROP_SESSION_ID);
}
END_TEST

START_TEST(the_longest_cookie)
{
    make_with(32, 255, rest, sizeof(rest));
    CHECK_REASON(NONE);
    ck_assert_uint_eq(hello.cookie_len, 255);
}
END_TEST

START_TEST(record_numbers_near_the_end)
{
    const uint64_t last = (UINT64_C(1) << 48) - (UINT64_C(1) << 20);

    make();
    dtlsl__put48(p.data + AT_RECORD_SEQ, last);
    CHECK_REASON(NONE);
    ck_assert_uint_eq(hello.record_seq, last);
    dtlsl__put48(p.data + AT_RECORD_SEQ, last + 1);
    CHECK_REASON(DROP_RECORD_SEQ);
    make_with(0, 0, rest, sizeof(rest)); /* matters only with a cookie */
    dtlsl__put48(p.data + AT_RECORD_SEQ, last + 1);
    CHECK_REASON(NONE);
    dtlsl__put16(p.data + AT_MESSAGE_SEQ, 1);
    CHECK_REASON(NONE);
}
END_TEST

#define REST(bytes) bytes, sizeof(bytes) - 1

/* What follows the cookie; 'missing' bytes are in other fragments. */
static const struct {
    const char *bytes;
    size_t len;
    size_t missing;
    int32_t reason;
} rests[] = {
    {REST("\0\2\1\1\1\0"), 0, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\2\1\0"), 0, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\1\0\0\0"), 0, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\1\0\0\4\0\1\0\0"), 0, DTLSL_REASON_NONE},
    {REST(""), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\0\1\0\0\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\3\1\1\1\1\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\6\1\1\1\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\4\1\1\1\1"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\0\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\1"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\2\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\0\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\1"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\3\0\1\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\4\0\1\0\1"), 0, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\5\0\1\0\0\0"), 0, DTLSL_REASON_DROP_MALFORMED},
    /* First fragments that can become right ... */
    {REST(""), 6, DTLSL_REASON_NONE},
    {REST("\0"), 5, DTLSL_REASON_NONE},
    {REST("\0\4\1\1"), 4, DTLSL_REASON_NONE},
    {REST("\0\2\1\1"), 2, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\2\1"), 1, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\1\0\0"), 1, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\1\0\0\5\0\1\0\1"), 1, DTLSL_REASON_NONE},
    {REST("\0\2\1\1\1\0\0\x9\0\1\0\1"), 5, DTLSL_REASON_NONE},
    /* ... and that cannot. */
    {REST(""), 5, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\0"), 50, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\3"), 50, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\6"), 7, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\0"), 50, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\1"), 50, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\3\1"), 1, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0"), 1, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\5"), 6, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\5"), 4, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\5\0\1\0\2"), 1, DTLSL_REASON_DROP_MALFORMED},
    {REST("\0\2\1\1\1\0\0\x8\0\1\0\1"), 4, DTLSL_REASON_DROP_MALFORMED},
};

START_TEST(behind_the_cookie)
{
    make_with(SESSION_ID_LEN, COOKIE_LEN, rests[_i].bytes, rests[_i].len);
    fix_lengths(p.len - AT_BODY + rests[_i].missing);
    ck_assert_int_eq(read_exact(p.len), rests[_i].reason);
    if (rests[_i].reason == DTLSL_REASON_NONE)
        ck_assert_int_eq(hello.fragmented, rests[_i].missing > 0);
}
END_TEST

START_TEST(a_tail_ends_at_512_bytes)
{
    for (uint32_t suites = 508; suites <= 510; suites += 2) {
        uint8_t behind[600] = {0};

        dtlsl__put16(behind, suites);
        behind[2 + suites] = 1;
        make_with(0, 0, behind, suites + 4);
        CHECK_REASON(NONE);
        ck_assert_int_eq(hello.tail != NULL, suites == 508);
        ck_assert_uint_eq(hello.tail_len, suites == 508 ? 512 : 0);
        ck_assert_uint_eq(hello.tail_end, suites == 508 ? 36 + 512 : 0);
    }
}
END_TEST

/* ---- the answer ---- */

START_TEST(an_answer_byte_for_byte)
{
    static const uint8_t want[] = {22,   0xfe, 0xff, 0, 0,   0x01, 0x23, 0x45,
                                   0x67, 0x89, 0xab, 0, 18,  3,    0,    0,
                                   6,    0,    0,    0, 0,   0,    0,    0,
                                   6,    0xfe, 0xff, 3, 'a', 'b',  'c'};
    uint8_t out[sizeof(want) + 1];

    memset(out, 0x55, sizeof(out));
    memset(&hello, 0, sizeof(hello));
    hello.record_seq = 0x0123456789ab;
    hello.message_seq = 1; /* the answer has 0 all the same */
    ck_assert_uint_eq(dtlsl__hello_verify_request(
                          &hello, (const uint8_t *)"abc", 3, out, 31),
                      31);
    ck_assert_mem_eq(out, want, sizeof(want));
    ck_assert_uint_eq(out[31], 0x55);
}
END_TEST

START_TEST(an_answer_to_a_cookie_inside_it)
{
    for (size_t at = 0; at <= 40; at++) {
        uint8_t out[DTLSL_REPLY_MAX];
        uint8_t cookie[100];

        memset(&hello, 0, sizeof(hello));
        for (size_t i = 0; i < sizeof(cookie); i++)
            cookie[i] = (uint8_t)(i + 1);
        memcpy(out + at, cookie, sizeof(cookie));
        ck_assert_uint_eq(dtlsl__hello_verify_request(&hello, out + at,
                                                      sizeof(cookie), out,
                                                      sizeof(out)),
                          128);
        ck_assert_mem_eq(out + 28, cookie, sizeof(cookie));
        ck_assert_uint_eq(out[12], 115);
        ck_assert_uint_eq(out[16], 103);
        ck_assert_uint_eq(out[24], 103);
        ck_assert_uint_eq(out[27], 100);
    }
}
END_TEST

START_TEST(an_answer_that_does_not_fit)
{
    uint8_t out[400] = {0};
    uint8_t cookie[256] = {1};

    memset(&hello, 0, sizeof(hello));
    for (size_t cap = 0; cap < 283; cap++)
        ck_assert_uint_eq(
            dtlsl__hello_verify_request(&hello, cookie, 255, out, cap), 0);
    ck_assert_uint_eq(out[0], 0);
    ck_assert_uint_eq(
        dtlsl__hello_verify_request(&hello, cookie, 256, out, 400), 0);
    ck_assert_uint_eq(
        dtlsl__hello_verify_request(&hello, cookie, 255, out, 283), 283);
    ck_assert_uint_eq(dtlsl__get16(out + AT_RECORD_LENGTH), 270);
    ck_assert_uint_eq(dtlsl__get24(out + AT_MESSAGE_LENGTH), 258);
    ck_assert_uint_eq(dtlsl__hello_verify_request(&hello, NULL, 0, out, 28),
                      28);
}
END_TEST

/* ---- routing ---- */

START_TEST(any_fragment_is_of_a_client_hello)
{
    make();
    ck_assert_int_eq(dtlsl_is_client_hello(p.data, p.len), 1);
    for (size_t len = 0; len < p.len; len++)
        ck_assert_int_eq(dtlsl_is_client_hello(p.data, len), 0);
    dtlsl__put24(p.data + AT_OFFSET, 100);
    dtlsl__put24(p.data + AT_MESSAGE_LENGTH, 1000);
    dtlsl__put16(p.data + AT_MESSAGE_SEQ, 7);
    ck_assert_int_eq(dtlsl_is_client_hello(p.data, p.len), 1);
    ck_assert_int_eq(dtlsl_is_client_hello(NULL, 0), 0);
}
END_TEST

START_TEST(other_datagrams_are_of_no_client_hello)
{
    static const size_t wrong[] = {0, 1, AT_EPOCH, AT_EPOCH + 1, AT_MESSAGE};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        make();
        p.data[wrong[i]] ^= 2;
        ck_assert_int_eq(dtlsl_is_client_hello(p.data, p.len), 0);
    }
    make();
    dtlsl__put16(p.data + AT_RECORD_LENGTH, 11);
    ck_assert_int_eq(dtlsl_is_client_hello(p.data, p.len), 0);
}
END_TEST

/* ---- the id ---- */

START_TEST(an_id_is_a_digest_of_core_and_cookie)
{
    uint8_t data[2 + BODY_LEN];
    uint8_t want[32], id[32];

    make();
    dtlsl__put16(data, 35 + SESSION_ID_LEN);
    memcpy(data + 2, p.data + AT_BODY, COOKIE_END);
    SHA256(data, 2 + COOKIE_END, want);
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, id), DTLSL_OK);
    ck_assert_mem_eq(id, want, 32);
}
END_TEST

START_TEST(an_id_does_not_depend_on_records_and_fragments)
{
    uint8_t first[32], id[32];

    make();
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, first), DTLSL_OK);
    dtlsl__put48(p.data + AT_RECORD_SEQ, 0x123456);
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, id), DTLSL_OK);
    ck_assert_mem_eq(id, first, 32);
    p.len = AT_BODY + COOKIE_END + 3;
    fix_lengths(BODY_LEN);
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, id), DTLSL_OK);
    ck_assert_mem_eq(id, first, 32);
}
END_TEST

START_TEST(an_id_depends_on_each_byte_of_core_and_cookie)
{
    uint8_t first[32], id[32];

    make();
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, first), DTLSL_OK);
    for (size_t i = 0; i < COOKIE_END; i++) {
        if (i == 34 || i == 35 + SESSION_ID_LEN)
            continue; /* lengths */
        p.data[AT_BODY + i] ^= 1;
        ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, id), DTLSL_OK);
        ck_assert_mem_ne(id, first, 32);
        p.data[AT_BODY + i] ^= 1;
    }
}
END_TEST

START_TEST(what_is_no_hello_has_no_id)
{
    uint8_t id[32];

    make();
    for (size_t len = 0; len < p.len; len++)
        ck_assert_int_eq(dtlsl_hello_id(p.data, len, id), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_hello_id(NULL, 0, id), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, NULL), DTLSL_ERR_ARGUMENT);
    dtlsl__put24(p.data + AT_OFFSET, 1);
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, id), DTLSL_ERR_ARGUMENT);
}
END_TEST

START_TEST(an_id_leaves_the_error_queue_alone)
{
    uint8_t id[32];
    unsigned long error;

    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 1);
    error = ERR_peek_error();
    make_with(32, 255, rest, sizeof(rest));
    ck_assert_int_eq(dtlsl_hello_id(p.data, p.len, id), DTLSL_OK);
    ck_assert_uint_eq(ERR_get_error(), error);
    ck_assert_uint_eq(ERR_get_error(), 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_hello_has_its_fields,
        a_hello_without_cookie_session_id_and_extensions,
        a_datagram_cut_at_each_byte,
        a_record_cut_at_each_byte,
        a_message_cut_at_each_byte,
        a_first_fragment_of_each_length,
        each_reason_of_the_headers,
        checks_have_their_order,
        session_ids_end_at_32_bytes,
        the_longest_cookie,
        record_numbers_near_the_end,
        a_tail_ends_at_512_bytes,
        an_answer_byte_for_byte,
        an_answer_to_a_cookie_inside_it,
        an_answer_that_does_not_fit,
        any_fragment_is_of_a_client_hello,
        other_datagrams_are_of_no_client_hello,
        an_id_is_a_digest_of_core_and_cookie,
        an_id_does_not_depend_on_records_and_fragments,
        an_id_depends_on_each_byte_of_core_and_cookie,
        what_is_no_hello_has_no_id,
        an_id_leaves_the_error_queue_alone,
    };
    Suite *suite =
        test_suite("hello", tests, sizeof(tests) / sizeof(tests[0]));
    TCase *bytes = tcase_create("bytes");

    tcase_add_loop_test(bytes, behind_the_cookie, 0,
                        sizeof(rests) / sizeof(rests[0]));
    suite_add_tcase(suite, bytes);
    return test_main(suite);
}
