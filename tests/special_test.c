/* SPDX-License-Identifier: MIT
 * Odd ClientHellos and what is none: the verdict of DTLSv1_listen(), that of
 * the gate, and what SSL_accept() then does with what was accepted. */
#include "both.h"

/* Which of a client's ClientHellos a row is about. */
enum {
    FIRST = 1,
    SECOND = 2,
    EITHER = 3
};

/* What DTLSv1_listen() makes of it. */
enum {
    ANSWERS,    /* a HelloVerifyRequest, or 1 for the second */
    REPLIES,    /* a HelloVerifyRequest */
    DROPS,      /* 0 */
    MAY_ANSWER, /* one or the other, by version */
};

/* ---- the parts of a ClientHello ---- */

static void
fix_lengths(datagram *d, size_t missing)
{
    dtlsl__put16(d->data + AT_RECORD_LENGTH, (uint32_t)(d->len - AT_MESSAGE));
    dtlsl__put24(d->data + AT_MESSAGE_LENGTH,
                 (uint32_t)(d->len - AT_BODY + missing));
    dtlsl__put24(d->data + AT_FRAGMENT_LENGTH, (uint32_t)(d->len - AT_BODY));
}

static void
append(datagram *d, const void *data, size_t len)
{
    ck_assert_uint_le(d->len + len, sizeof(d->data));
    memcpy(d->data + d->len, data, len);
    d->len += len;
}

static void
insert(datagram *d, size_t at, const void *data, size_t len)
{
    memmove(d->data + at + len, d->data + at, d->len - at);
    memcpy(d->data + at, data, len);
    d->len += len;
    fix_lengths(d, 0);
}

static void
erase(datagram *d, size_t at, size_t len)
{
    memmove(d->data + at, d->data + at + len, d->len - at - len);
    d->len -= len;
    fix_lengths(d, 0);
}

static size_t
at_ciphers(const datagram *d)
{
    return AT_COOKIE + 1U + d->data[AT_COOKIE];
}

static size_t
at_compression(const datagram *d)
{
    return at_ciphers(d) + 2U + dtlsl__get16(d->data + at_ciphers(d));
}

static size_t
at_extensions(const datagram *d)
{
    return at_compression(d) + 1U + d->data[at_compression(d)];
}

static void
add_extension(datagram *d, const void *data, size_t len)
{
    uint8_t *total = d->data + at_extensions(d);

    dtlsl__put16(total, dtlsl__get16(total) + (uint32_t)len);
    append(d, data, len);
    fix_lengths(d, 0);
}

static void
replace(datagram *d, const void *data, size_t len)
{
    d->len = 0;
    append(d, data, len);
    /* As long as a ClientHello, so that no length is the reason. */
    while (d->len < 200)
        d->data[d->len++] = 0;
}

/* ---- records ---- */

static void
plain(datagram *d)
{
    (void)d;
}

static void
with_garbage(datagram *d)
{
    append(d, "\x99garbage behind it", 18);
}

static void
with_alert(datagram *d)
{
    append(d, "\x15\xfe\xfd\0\0\0\0\0\0\0\x63\0\2\2\x28", 15);
}

static void
padded_to_17000(datagram *d)
{
    memset(d->data + d->len, 0, sizeof(d->data) - d->len);
    d->len = sizeof(d->data);
}

/* Cuts behind the cipher suites. */
static void
first_fragment(datagram *d)
{
    size_t cut = at_compression(d);
    size_t missing = d->len - cut;

    d->len = cut;
    fix_lengths(d, missing);
}

static void
later_fragment(datagram *d)
{
    dtlsl__put24(d->data + AT_MESSAGE_LENGTH, 2000);
    dtlsl__put24(d->data + AT_OFFSET, 100);
}

static void
two_fragments(datagram *d)
{
    static datagram rest;
    size_t cut = at_compression(d), total = d->len - AT_BODY;

    memcpy(rest.data, d->data, AT_BODY);
    rest.len = AT_BODY;
    append(&rest, d->data + cut, d->len - cut);
    fix_lengths(&rest, cut - AT_BODY);
    dtlsl__put24(rest.data + AT_OFFSET, (uint32_t)(cut - AT_BODY));
    rest.data[AT_RECORD_SEQ + 5]++;
    first_fragment(d);
    ck_assert_uint_eq(dtlsl__get24(d->data + AT_MESSAGE_LENGTH), total);
    append(d, rest.data, rest.len);
}

static void
two_messages(datagram *d)
{
    static uint8_t message[2000];
    size_t len = d->len - AT_MESSAGE;

    memcpy(message, d->data + AT_MESSAGE, len);
    append(d, message, len);
    dtlsl__put16(d->data + AT_RECORD_LENGTH, (uint32_t)(2 * len));
}

/* The client's other ClientHello. */
static void
with_the_other(datagram *d)
{
    const datagram *other = d->data[AT_COOKIE] == 0 ? &second : &first;

    append(d, other->data, other->len);
}

static void
before(datagram *d, const void *record, size_t len)
{
    memmove(d->data + len, d->data, d->len);
    memcpy(d->data, record, len);
    d->len += len;
}

static void
behind_alert(datagram *d)
{
    before(d, "\x15\xfe\xff\0\0\0\0\0\0\0\0\0\2\1\0", 15);
}

static void
behind_change_cipher_spec(datagram *d)
{
    before(d, "\x14\xfe\xff\0\0\0\0\0\0\0\0\0\1\1", 14);
}

static void
behind_an_empty_record(datagram *d)
{
    before(d, "\x16\xfe\xff\0\0\0\0\0\0\0\0\0\0", 13);
}

/* ---- messages ---- */

static void
message_seq_0(datagram *d)
{
    dtlsl__put16(d->data + AT_MESSAGE_SEQ, 0);
}

static void
message_seq_1(datagram *d)
{
    dtlsl__put16(d->data + AT_MESSAGE_SEQ, 1);
}

static void
message_seq_2(datagram *d)
{
    dtlsl__put16(d->data + AT_MESSAGE_SEQ, 2);
}

static void
wrong_cookie(datagram *d)
{
    d->data[AT_COOKIE + COOKIE_LEN] ^= 1;
}

static void
longer_cookie(datagram *d)
{
    d->data[AT_COOKIE]++;
    insert(d, AT_COOKIE + 1 + COOKIE_LEN, "", 1);
}

static void
shorter_cookie(datagram *d)
{
    d->data[AT_COOKIE]--;
    erase(d, AT_COOKIE + COOKIE_LEN, 1);
}

static void
cookie_beyond_the_end(datagram *d)
{
    d->data[AT_COOKIE] = 255;
    d->len = AT_COOKIE + 255;
    fix_lengths(d, 0);
}

static void
session_id_of_33(datagram *d)
{
    static const uint8_t id[33] = {1};

    d->data[AT_SESSION_ID] = sizeof(id);
    insert(d, AT_SESSION_ID + 1, id, sizeof(id));
}

static void
odd_ciphers(datagram *d)
{
    uint8_t *len = d->data + at_ciphers(d);

    dtlsl__put16(len, dtlsl__get16(len) + 1U);
    insert(d, at_ciphers(d) + 2, "", 1);
}

static void
no_ciphers(datagram *d)
{
    size_t at = at_ciphers(d), len = dtlsl__get16(d->data + at);

    dtlsl__put16(d->data + at, 0);
    erase(d, at + 2, len);
}

static void
no_null_compression(datagram *d)
{
    d->data[at_compression(d) + 1] = 1;
}

static void
no_compression(datagram *d)
{
    d->data[at_compression(d)] = 0;
    erase(d, at_compression(d) + 1, 1);
}

static void
ends_behind_its_cookie(datagram *d)
{
    d->len = at_ciphers(d);
    fix_lengths(d, 0);
}

static void
extensions_too_long(datagram *d)
{
    d->data[at_extensions(d)] = 0xff;
}

static void
extension_too_long(datagram *d)
{
    add_extension(d, "\xfa\xfa\0\5", 4);
}

/* ---- versions ---- */

static void
client_version(datagram *d, uint32_t version)
{
    dtlsl__put16(d->data + AT_BODY, version);
}

static void
client_version_dtls1(datagram *d)
{
    client_version(d, 0xfeff);
}

static void
client_version_tls12(datagram *d)
{
    client_version(d, 0x0303);
}

static void
client_version_bad(datagram *d)
{
    client_version(d, 0x0100);
}

static void
dtls13_or_12(datagram *d)
{
    add_extension(d, "\0\x2b\0\5\4\xfe\xfc\xfe\xfd", 9);
}

static void
dtls13_only(datagram *d)
{
    add_extension(d, "\0\x2b\0\3\2\xfe\xfc", 7);
}

static void
record_version_dtls12(datagram *d)
{
    dtlsl__put16(d->data + AT_RECORD_VERSION, 0xfefd);
}

static void
record_version_bad(datagram *d)
{
    dtlsl__put16(d->data + AT_RECORD_VERSION, 0x0100);
}

/* ---- other protocols ---- */

static void
tls_record(datagram *d)
{
    replace(d, "\x16\3\1\0\xc3\1\0\0\xbf\3\3", 11);
}

static void
sslv2_hello(datagram *d)
{
    replace(d, "\x80\xc6\1\3\3", 5);
}

static void
tls12_cid(datagram *d)
{
    replace(d, "\x19\xfe\xfd\0\1\0\0\0\0\0\1\7\7\7\0\x40", 16);
}

static void
dtls13_unified_header(datagram *d)
{
    replace(d, "\x2f\x12\x34\0\x40", 5);
}

static void
stun_request(datagram *d)
{
    replace(d, "\0\1\0\xb4\x21\x12\xa4\x42", 8);
}

static void
quic_initial(datagram *d)
{
    replace(d, "\xc3\0\0\0\1\x08", 6);
}

static void
rtp_packet(datagram *d)
{
    replace(d, "\x80\x60\0\1", 4);
}

/* ---- the table ---- */

static const struct row {
    const char *name;
    void (*make)(datagram *d);
    int which;
    int verdict;    /* of DTLSv1_listen() */
    int32_t reason; /* of the gate's drop; NONE: the same verdict */
    int then;       /* SSL_accept() in OpenSSL 3.0, and behind the gate */
    int then_32;    /* and since 3.2, which passes the whole datagram on */
} rows[] = {
#define SAME DTLSL_REASON_NONE
#define DROP(reason) DTLSL_REASON_DROP_##reason
    {"a plain ClientHello", plain, EITHER, ANSWERS, SAME, GOES_ON, GOES_ON},
    {"garbage behind it", with_garbage, EITHER, ANSWERS, SAME, GOES_ON,
     GOES_ON},
    {"a fatal alert behind it", with_alert, EITHER, ANSWERS, SAME, GOES_ON,
     REFUSES},
    {"a datagram of 17000 bytes", padded_to_17000, EITHER, ANSWERS, SAME,
     GOES_ON, GOES_ON},
    {"both in one datagram", with_the_other, EITHER, ANSWERS, SAME, GOES_ON,
     GOES_ON},
    {"two fragments", two_fragments, EITHER, ANSWERS, SAME, WAITS, GOES_ON},
    {"first fragment", first_fragment, EITHER, ANSWERS, SAME, WAITS, WAITS},
    {"later fragment", later_fragment, EITHER, DROPS, DROP(FRAGMENT), 0, 0},
    {"two messages in one record", two_messages, EITHER, DROPS,
     DROP(MESSAGE_LENGTH), 0, 0},
    {"an alert before it", behind_alert, EITHER, DROPS, DROP(TYPE), 0, 0},
    {"a ChangeCipherSpec before it", behind_change_cipher_spec, EITHER, DROPS,
     DROP(TYPE), 0, 0},
    {"an empty record before it", behind_an_empty_record, EITHER, DROPS,
     DROP(MESSAGE_LENGTH), 0, 0},

    {"message_seq 0", message_seq_0, FIRST, ANSWERS, SAME, 0, 0},
    {"message_seq 0 and a cookie", message_seq_0, SECOND, ANSWERS,
     DROP(COOKIE_SEQ), WAITS, WAITS},
    {"message_seq 1 and no cookie", message_seq_1, FIRST, ANSWERS, SAME, 0, 0},
    {"message_seq 2", message_seq_2, EITHER, MAY_ANSWER, DROP(MESSAGE_SEQ),
     WAITS, WAITS},
    {"wrong cookie", wrong_cookie, SECOND, REPLIES, SAME, 0, 0},
    {"longer cookie", longer_cookie, SECOND, REPLIES, SAME, 0, 0},
    {"shorter cookie", shorter_cookie, SECOND, REPLIES, SAME, 0, 0},
    {"cookie beyond the end", cookie_beyond_the_end, EITHER, DROPS,
     DROP(HELLO_LENGTH), 0, 0},

    {"session id of 33 bytes", session_id_of_33, EITHER, ANSWERS,
     DROP(SESSION_ID), REFUSES, REFUSES},
    {"odd cipher list", odd_ciphers, EITHER, ANSWERS, DROP(MALFORMED), REFUSES,
     REFUSES},
    {"no cipher suites", no_ciphers, EITHER, ANSWERS, DROP(MALFORMED), REFUSES,
     REFUSES},
    {"no compression methods", no_compression, EITHER, ANSWERS,
     DROP(MALFORMED), REFUSES, REFUSES},
    {"no null compression", no_null_compression, EITHER, ANSWERS,
     DROP(MALFORMED), REFUSES, REFUSES},
    {"nothing behind the cookie", ends_behind_its_cookie, EITHER, ANSWERS,
     DROP(MALFORMED), REFUSES, REFUSES},
    {"extensions longer than the message", extensions_too_long, EITHER,
     ANSWERS, DROP(MALFORMED), REFUSES, REFUSES},
    {"an extension longer than all", extension_too_long, EITHER, ANSWERS,
     DROP(MALFORMED), REFUSES, REFUSES},

    {"client_version DTLS 1.0", client_version_dtls1, EITHER, ANSWERS, SAME,
     REFUSES, REFUSES},
    {"client_version TLS 1.2", client_version_tls12, EITHER, ANSWERS, SAME,
     GOES_ON, GOES_ON},
    {"client_version DTLS1_BAD_VER", client_version_bad, EITHER, ANSWERS, SAME,
     REFUSES, REFUSES},
    {"DTLS 1.3 or 1.2", dtls13_or_12, EITHER, ANSWERS, SAME, GOES_ON, GOES_ON},
    {"DTLS 1.3 only", dtls13_only, EITHER, ANSWERS, SAME, GOES_ON, GOES_ON},
    {"record version DTLS 1.2", record_version_dtls12, EITHER, ANSWERS, SAME,
     GOES_ON, GOES_ON},
    {"record version DTLS1_BAD_VER", record_version_bad, EITHER, DROPS,
     DROP(VERSION), 0, 0},

    {"TLS", tls_record, FIRST, DROPS, DROP(VERSION), 0, 0},
    {"SSLv2", sslv2_hello, FIRST, DROPS, DROP(TYPE), 0, 0},
    {"tls12_cid", tls12_cid, FIRST, DROPS, DROP(TYPE), 0, 0},
    {"DTLS 1.3 ciphertext", dtls13_unified_header, FIRST, DROPS, DROP(TYPE), 0,
     0},
    {"STUN", stun_request, FIRST, DROPS, DROP(TYPE), 0, 0},
    {"QUIC", quic_initial, FIRST, DROPS, DROP(TYPE), 0, 0},
    {"RTP", rtp_packet, FIRST, DROPS, DROP(TYPE), 0, 0},
};

static int
theirs_on(const datagram *d)
{
    int result;

    wire_put(&theirs.wire, d);
    result = listen_theirs();
    ck_assert_int_ge(result, 0);
    if (result == 1)
        return DTLSL_ACCEPT;
    return theirs.wire.writes > 0 ? DTLSL_REPLY : DTLSL_DROP;
}

static void
check(const struct row *row, const datagram *d, int answer)
{
    int keeps = OpenSSL_version_num() >= 0x30200000UL;
    int verdict_of_theirs = theirs_on(d);
    int then = keeps ? row->then_32 : row->then;
    int32_t result = listen_ours(d);

    if (row->verdict == DROPS)
        answer = DTLSL_DROP;
    if (row->verdict == REPLIES)
        answer = DTLSL_REPLY;
    if (row->verdict == MAY_ANSWER && verdict_of_theirs == DTLSL_DROP)
        answer = DTLSL_DROP;
    ck_assert_msg(verdict_of_theirs == answer, "%s: DTLSv1_listen %d",
                  row->name, verdict_of_theirs);
    if (answer == DTLSL_ACCEPT)
        ck_assert_msg(accept_on(&theirs) == then, "%s: SSL_accept", row->name);
    ck_assert_msg(verdict.reason == row->reason, "%s: gate, reason %d",
                  row->name, verdict.reason);
    if (row->reason != DTLSL_REASON_NONE)
        answer = DTLSL_DROP;
    ck_assert_msg(verdict.action == answer, "%s: gate %d", row->name,
                  verdict.action);
    ck_assert_int_eq(result, answer == DTLSL_ACCEPT);
    if (answer == DTLSL_REPLY) {
        ck_assert_uint_eq(verdict.reply_len, theirs.wire.out_len);
        ck_assert_mem_eq(reply, theirs.wire.out, theirs.wire.out_len);
    }
    if (answer == DTLSL_ACCEPT)
        ck_assert_msg(accept_on(&ours) == row->then, "%s: gate, SSL_accept",
                      row->name);
}

START_TEST(a_special_input)
{
    const struct row *row = &rows[_i];
    static datagram d;

    if (row->which & FIRST) {
        d = first;
        row->make(&d);
        check(row, &d, DTLSL_REPLY);
    }
    if (row->which & SECOND) {
        d = second;
        row->make(&d);
        check(row, &d, DTLSL_ACCEPT);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("special");
    TCase *inputs = tcase_create("inputs");

    tcase_add_checked_fixture(inputs, both_open, both_close);
    tcase_set_timeout(inputs, 120);
    tcase_add_loop_test(inputs, a_special_input, 0,
                        sizeof(rows) / sizeof(rows[0]));
    suite_add_tcase(suite, inputs);
    return test_main(suite);
}
