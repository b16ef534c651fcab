/* SPDX-License-Identifier: MIT
 * The ClientHello reader: each reason, every length, first fragments; the
 * HelloVerifyRequest byte for byte; the same verdict as DTLSv1_listen(); the
 * id of a ClientHello. */
#include "hello.h"
#include "record.h"
#include "test.h"
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

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

/* ---- the same datagram through DTLSv1_listen() ---- */

enum {
    DROP,
    REPLY,
    ACCEPT,
    DEPARTED, /* OpenSSL answers or accepts, we do not */
    TAKEN,    /* OpenSSL went on to its ServerHello */
    OUTCOMES,

    LISTEN_MAX = 13 + 16384 /* it reads no more of a datagram */
};

static unsigned seen[OUTCOMES];

typedef struct wire {
    const uint8_t *in; /* NULL: nothing to read */
    int in_len;
    uint8_t out[2048]; /* the last datagram written */
    int out_len;
} wire;

static wire w;
static BIO_METHOD *method;
static SSL_CTX *ctx;

static int
wire_read(BIO *bio, char *data, int len)
{
    int n = len < w.in_len ? len : w.in_len;

    BIO_clear_retry_flags(bio);
    if (w.in == NULL) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(data, w.in, (size_t)n);
    w.in = NULL;
    return n;
}

static int
wire_write(BIO *bio, const char *data, int len)
{
    BIO_clear_retry_flags(bio);
    ck_assert_int_le(len, (int)sizeof(w.out));
    memcpy(w.out, data, (size_t)len);
    w.out_len = len;
    return len;
}

static long
wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* The cookie of make(). */
static int
mint(SSL *ssl, unsigned char *cookie, unsigned *len)
{
    (void)ssl;
    for (*len = 0; *len < COOKIE_LEN; (*len)++)
        cookie[*len] = (uint8_t)(200 + *len);
    return 1;
}

static int
verify(SSL *ssl, const unsigned char *cookie, unsigned len)
{
    unsigned char want[COOKIE_LEN];
    unsigned want_len;

    mint(ssl, want, &want_len);
    return len == want_len && memcmp(cookie, want, len) == 0;
}

static unsigned
psk(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
    (void)ssl, (void)identity, (void)max;
    key[0] = 1;
    return 1;
}

static void
start(void)
{
    memset(seen, 0, sizeof(seen));
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_ctrl);
    ctx = SSL_CTX_new(DTLS_server_method());
    ck_assert_ptr_nonnull(ctx);
    SSL_CTX_set_cookie_generate_cb(ctx, mint);
    SSL_CTX_set_cookie_verify_cb(ctx, verify);
    SSL_CTX_set_psk_server_callback(ctx, psk);
    ck_assert_int_eq(SSL_CTX_set_cipher_list(ctx, "PSK-AES128-GCM-SHA256"), 1);
}

static void
stop(void)
{
    SSL_CTX_free(ctx);
    BIO_meth_free(method);
}

/* What OpenSSL does with the packet: the action, its error's reason, and
 * whether SSL_accept() then goes on to a ServerHello. */
static int
listen_to(int *error, int *taken)
{
    SSL *ssl = SSL_new(ctx);
    BIO *bio = BIO_new(method);
    BIO_ADDR *peer = BIO_ADDR_new();
    int action;

    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    w.in = p.data;
    w.in_len = (int)p.len;
    w.out_len = 0;
    action = DTLSv1_listen(ssl, peer);
    ck_assert_int_ge(action, 0);
    action = action == 1 ? ACCEPT : w.out_len > 0 ? REPLY : DROP;
    *error = ERR_GET_REASON(ERR_peek_error());
    *taken = action == ACCEPT && SSL_accept(ssl) <= 0 &&
             w.out_len > AT_MESSAGE && w.out[0] == 22 &&
             w.out[AT_MESSAGE] == SSL3_MT_SERVER_HELLO;
    ERR_clear_error();
    BIO_ADDR_free(peer);
    SSL_free(ssl);
    return action;
}

static int
error_of(int32_t reason)
{
    static const int errors[] = {
        [DTLSL_REASON_DROP_SHORT] = SSL_R_RECORD_TOO_SMALL,
        [DTLSL_REASON_DROP_TYPE] = SSL_R_UNEXPECTED_MESSAGE,
        [DTLSL_REASON_DROP_VERSION] = SSL_R_BAD_PROTOCOL_VERSION_NUMBER,
        [DTLSL_REASON_DROP_RECORD_LENGTH] = SSL_R_LENGTH_MISMATCH,
        [DTLSL_REASON_DROP_EPOCH] = SSL_R_UNEXPECTED_MESSAGE,
        [DTLSL_REASON_DROP_MESSAGE_LENGTH] = SSL_R_LENGTH_MISMATCH,
        [DTLSL_REASON_DROP_MESSAGE_TYPE] = SSL_R_UNEXPECTED_MESSAGE,
        [DTLSL_REASON_DROP_MESSAGE_SEQ] = SSL_R_INVALID_SEQUENCE_NUMBER,
        [DTLSL_REASON_DROP_FRAGMENT] = SSL_R_FRAGMENTED_CLIENT_HELLO,
        [DTLSL_REASON_DROP_HELLO_LENGTH] = SSL_R_LENGTH_MISMATCH,
    };

    return errors[reason];
}

/* However a client cuts what OpenSSL takes, its first fragment passes. */
static void
check_first_fragments(void)
{
    static packet whole;
    uint32_t end = hello.record_len;
    dtlsl__hello first;

    whole = p;
    p.len = (size_t)(hello.cookie + hello.cookie_len - p.data);
    for (; p.len < end; p.len++) {
        fix_lengths(end - AT_BODY);
        ck_assert_int_eq(dtlsl__hello_read(&first, p.data, p.len),
                         DTLSL_REASON_NONE);
    }
    p = whole;
}

static void
compare(const char *what, size_t row)
{
    uint8_t reply[DTLSL_REPLY_MAX];
    uint8_t cookie[COOKIE_LEN];
    unsigned cookie_len;
    int error, taken, ours = DROP;
    int theirs = listen_to(&error, &taken);
    int32_t reason = dtlsl__hello_read(&hello, p.data, p.len);

    seen[TAKEN] += taken != 0;
    if (reason >= DTLSL_REASON_DROP_SESSION_ID) {
        seen[DEPARTED]++;
        ck_assert_msg(theirs != DROP &&
                          (!taken || reason == DTLSL_REASON_DROP_RECORD_SEQ),
                      "%s %zu: %d, but OpenSSL takes it", what, row, reason);
        return;
    }
    if (reason == DTLSL_REASON_NONE)
        ours = verify(NULL, hello.cookie, hello.cookie_len) ? ACCEPT : REPLY;
    seen[ours]++;
    /* 3.0.17 and older take a message_seq of 2. */
    if (reason == DTLSL_REASON_DROP_MESSAGE_SEQ &&
        dtlsl__get16(p.data + AT_MESSAGE_SEQ) == 2)
        return;
    ck_assert_msg(ours == theirs, "%s %zu: %d, %d", what, row, ours, theirs);
    if (ours == DROP)
        ck_assert_msg(error == error_of(reason), "%s %zu: %d, %d", what, row,
                      reason, error);
    if (taken)
        check_first_fragments();
    if (ours != REPLY)
        return;
    mint(NULL, cookie, &cookie_len);
    ck_assert_uint_eq(dtlsl__hello_verify_request(&hello, cookie, cookie_len,
                                                  reply, sizeof(reply)),
                      (size_t)w.out_len);
    ck_assert_mem_eq(reply, w.out, (size_t)w.out_len);
}

START_TEST(an_answer_is_dtlsv1_listen_s)
{
    make_with(0, 0, rest, sizeof(rest));
    for (int i = 0; i < 48; i++) {
        dtlsl__put48(p.data + AT_RECORD_SEQ, UINT64_C(0xabcdef) << i);
        compare("number", (size_t)i);
    }
    dtlsl__put16(p.data + AT_MESSAGE_SEQ, 1);
    compare("message_seq", 1);
    make_with(32, COOKIE_LEN - 1, rest, sizeof(rest));
    compare("wrong cookie", 0);
    ck_assert_uint_eq(seen[REPLY], 50);
}
END_TEST

START_TEST(openssl_takes_what_is_accepted)
{
    make();
    compare("plain", 0);
    make_with(32, COOKIE_LEN, rest, TAIL_LEN);
    compare("no extensions", 0);
    make_with(0, COOKIE_LEN, "\0\2\0\xa8\2\1\0\0\0", 9);
    compare("empty extensions", 0);
    ck_assert_uint_eq(seen[ACCEPT], 3);
    ck_assert_uint_eq(seen[TAKEN], 3);
}
END_TEST

START_TEST(the_longest_record)
{
    static uint8_t behind[17000];

    memcpy(behind, "\0\2\0\xa8\1\0", 6);
    for (uint32_t len = LISTEN_MAX - 1; len <= LISTEN_MAX + 1; len++) {
        uint32_t more = len - AT_BODY - COOKIE_END - 8;

        dtlsl__put16(behind + 6, more);
        dtlsl__put16(behind + 8, 0xfafa);
        dtlsl__put16(behind + 10, more - 4);
        make_with(SESSION_ID_LEN, COOKIE_LEN, behind, 8 + more);
        ck_assert_uint_eq(p.len, len);
        compare("length", len);
        append("more", 4);
        compare("length and more", len);
    }
    ck_assert_uint_eq(seen[TAKEN], 4);
    ck_assert_uint_eq(seen[DROP], 2);
}
END_TEST

START_TEST(each_length_at_0_1_and_max)
{
    static const struct {
        uint8_t at, bytes;
    } fields[] = {
        {AT_RECORD_LENGTH, 2},
        {AT_MESSAGE_LENGTH, 3},
        {AT_OFFSET, 3},
        {AT_FRAGMENT_LENGTH, 3},
        {AT_SESSION_ID, 1},
        {AT_SESSION_ID + 1 + SESSION_ID_LEN, 1},
        {AT_BODY + COOKIE_END, 2},                /* cipher_suites */
        {AT_BODY + COOKIE_END + 6, 1},            /* compression_methods */
        {AT_BODY + COOKIE_END + TAIL_LEN, 2},     /* extensions */
        {AT_BODY + COOKIE_END + TAIL_LEN + 4, 2}, /* the first */
        {AT_BODY + COOKIE_END + TAIL_LEN + 8, 2}, /* the last */
    };

    for (size_t i = 0; i < 5 * sizeof(fields) / sizeof(fields[0]); i++) {
        uint8_t *field = p.data + fields[i / 5].at;
        size_t last = fields[i / 5].bytes - 1U;

        make();
        if (i % 5 < 3)
            memset(field, i % 5 == 2 ? 0xff : 0, last + 1);
        if (i % 5 == 1)
            field[last] = 1;
        if (i % 5 > 2)
            field[last] = (uint8_t)(field[last] + (i % 5 == 3 ? 1 : -1));
        compare("length", i);
    }
    ck_assert_uint_gt(seen[DROP], 0);
    ck_assert_uint_gt(seen[DEPARTED], 0);
}
END_TEST

START_TEST(each_row_behind_the_cookie)
{
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        make_with(SESSION_ID_LEN, COOKIE_LEN, rests[i].bytes, rests[i].len);
        fix_lengths(p.len - AT_BODY + rests[i].missing);
        compare("row", i);
    }
    ck_assert_uint_gt(seen[ACCEPT], 0);
    ck_assert_uint_gt(seen[DEPARTED], 0);
}
END_TEST

static uint32_t
draw(uint32_t below)
{
    static uint32_t state = 20261125;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

static void
mutate(void)
{
    static const uint8_t odd[] = {0, 1, 2, 0xff};
    uint32_t at = draw((uint32_t)p.len);
    uint32_t kind = draw(12);

    if (kind < 3)
        p.data[at] ^= (uint8_t)(1U << draw(8));
    else if (kind < 6)
        p.data[at] = odd[draw(sizeof(odd))];
    else if (kind < 8)
        p.data[at] = (uint8_t)(p.data[at] + (kind == 6 ? 1 : -1));
    else if (kind == 8)
        p.len = at + 1;
    else if (at >= AT_BODY + COOKIE_END - 2) {
        p.len = at + (kind == 9);
        fix_lengths(p.len - AT_BODY + (kind == 10 ? draw(40) : 0));
    } else if (kind == 11)
        fill(draw(256), 1 + draw(30));
}

START_TEST(mutations_have_dtlsv1_listen_s_verdict)
{
    static const uint8_t cookies[] = {COOKIE_LEN, COOKIE_LEN, COOKIE_LEN, 0,
                                      COOKIE_LEN - 1};

    for (size_t i = 0; i < 800; i++) {
        make_with(draw(3) * 16, cookies[draw(5)], rest, sizeof(rest));
        for (uint32_t n = draw(3) + 1; n > 0; n--)
            mutate();
        compare("mutation", i);
    }
    for (int i = 0; i < OUTCOMES; i++)
        ck_assert_uint_gt(seen[i], 30);
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
    TCase *same = tcase_create("same");

    tcase_add_loop_test(bytes, behind_the_cookie, 0,
                        sizeof(rests) / sizeof(rests[0]));
    suite_add_tcase(suite, bytes);
    tcase_add_checked_fixture(same, start, stop);
    tcase_set_timeout(same, 120);
    tcase_add_test(same, an_answer_is_dtlsv1_listen_s);
    tcase_add_test(same, openssl_takes_what_is_accepted);
    tcase_add_test(same, the_longest_record);
    tcase_add_test(same, each_length_at_0_1_and_max);
    tcase_add_test(same, each_row_behind_the_cookie);
    tcase_add_test(same, mutations_have_dtlsv1_listen_s_verdict);
    suite_add_tcase(suite, same);
    return test_main(suite);
}
