/* SPDX-License-Identifier: MIT
 * The systematic cases of the differential test: what clients really send, and
 * each part of it made wrong in turn. */
#include "differential.h"
#include <string.h>

enum {
    FIELDS_MAX = 64
};

static probe q; /* the case that is being made */
static judge_fn *run;

/* ---- what clients send ---- */

static void
captured_as_they_are(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        probe_start(&q, i, "as captured");
        q.whole = 1;
        run(&q);
        probe_start(&q, i, "another message_seq");
        q.data[AT_MESSAGE_SEQ + 1] ^= 1;
        run(&q);
        probe_start(&q, i, "a bad cookie");
        if (is_kind(i, '2')) {
            q.data[AT_SESSION_ID + 5] ^= 1;
            run(&q);
            probe_put_cookie(&q);
            probe_set_cookie(&q, q.data, 0);
            q.kind = "a cookie that is missing";
            run(&q);
        }
    }
}

static void
each_byte_corrupted(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        for (size_t at = 0; at < hellos[i].len; at++) {
            const uint8_t old = hellos[i].data[at];
            const uint8_t values[] = {0, 0xff, (uint8_t)(old + 1),
                                      (uint8_t)(old - 1), old ^ 0x80};

            for (size_t j = 0; j < sizeof(values); j++) {
                probe_start(&q, i, "a byte corrupted");
                q.data[at] = values[j];
                run(&q);
            }
        }
    }
}

static void
all_values_of_a_byte(size_t base, size_t at)
{
    for (unsigned value = 0; value < 256; value++) {
        probe_start(&q, base, "all values of a byte");
        q.data[at] = (uint8_t)value;
        if (at == AT_BODY || at == AT_BODY + 1)
            probe_put_cookie(&q); /* it binds client_version */
        run(&q);
    }
}

static void
all_values_of_the_header(void)
{
    static const size_t bases[] = {OPENSSL_1, OPENSSL_2, FRAGMENT_2,
                                   WOLFSSL_2};
    static const size_t places[] = {
        AT_TYPE,      AT_VERSION,  AT_VERSION + 1, AT_EPOCH,
        AT_EPOCH + 1, AT_MESSAGE,  AT_MESSAGE_SEQ, AT_MESSAGE_SEQ + 1,
        AT_BODY,      AT_BODY + 1, AT_SESSION_ID};

    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
        for (size_t j = 0; j < sizeof(places) / sizeof(places[0]); j++)
            all_values_of_a_byte(bases[i], places[j]);
}

/* ---- lengths ---- */

static void
truncated_at_each_byte(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        for (size_t len = 0; len < hellos[i].len; len++) {
            probe_start(&q, i, "truncated datagram");
            q.len = len;
            run(&q);
            probe_start(&q, i, "truncated record");
            q.len = len;
            if (len >= AT_MESSAGE)
                put16(q.data + AT_RECORD_LENGTH, (uint32_t)len - AT_MESSAGE);
            run(&q);
            probe_start(&q, i, "truncated message");
            probe_cut(&q, len, 0);
            run(&q);
        }
    }
}

static void
extended(void)
{
    static const size_t more[] = {1, 2, 3, 4, 5, 12, 13, 25, 100, 1000};

    for (size_t i = 0; i < HELLOS; i++) {
        for (size_t j = 0; j < sizeof(more) / sizeof(more[0]); j++) {
            probe_start(&q, i, "extended datagram");
            probe_append_zeros(&q, more[j]);
            run(&q);
            add_field(q.data + AT_RECORD_LENGTH, 2, (int32_t)more[j]);
            q.kind = "extended record";
            run(&q);
            add_field(q.data + AT_FRAGMENT_LENGTH, 3, (int32_t)more[j]);
            q.kind = "extended fragment";
            run(&q);
            add_field(q.data + AT_MESSAGE_LENGTH, 3, (int32_t)more[j]);
            q.kind = "extended message";
            run(&q);
        }
        probe_start(&q, i, "the longest datagram");
        probe_append_zeros(&q, DATAGRAM_MAX - q.len);
        run(&q);
    }
}

/* An extension that nobody knows fills the record up to 'len' bytes. */
static void
lengthen(size_t len)
{
    size_t behind = AT_SESSION_ID + 1U + q.data[AT_SESSION_ID];
    size_t more;

    behind += 1U + q.data[behind];
    behind += 2 + get16(q.data + behind);
    behind += 1U + q.data[behind];
    more = len - q.len;
    put16(q.data + behind, get16(q.data + behind) + (uint32_t)more);
    probe_append_zeros(&q, more);
    put16(q.data + len - more, 0xfafa);
    put16(q.data + len - more + 2, (uint32_t)more - 4);
    probe_cut(&q, len, 0);
}

static void
the_longest_record(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        if (strstr(hellos[i].name, "fragmented") != NULL ||
            strstr(hellos[i].name, "ncat") != NULL)
            continue;
        for (size_t len = LISTEN_MAX - 2; len <= LISTEN_MAX + 2; len++) {
            probe_start(&q, i, "the longest record");
            lengthen(len);
            run(&q);
            probe_append(&q, "more", 4);
            run(&q);
        }
    }
}

/* All length fields of a hello that is well formed as far as it goes, and
 * fragment_offset. */
static size_t
find_fields(const capture *h, field *fields)
{
    size_t n = 0;
    size_t at = AT_SESSION_ID;

    fields[n++] = (field){AT_RECORD_LENGTH, 2};
    fields[n++] = (field){AT_MESSAGE_LENGTH, 3};
    fields[n++] = (field){AT_OFFSET, 3};
    fields[n++] = (field){AT_FRAGMENT_LENGTH, 3};
    if (is_kind((size_t)(h - hellos), '3'))
        return n;
    fields[n++] = (field){at, 1};
    at += 1U + h->data[at];
    fields[n++] = (field){at, 1};
    at += 1U + h->data[at];
    fields[n++] = (field){at, 2};
    at += 2 + get16(h->data + at);
    fields[n++] = (field){at, 1};
    at += 1U + h->data[at];
    fields[n++] = (field){at, 2};
    for (at += 4; at + 2 <= h->len; at += 4 + get16(h->data + at)) {
        need(n < FIELDS_MAX, "there is room for all length fields");
        fields[n++] = (field){at, 2};
    }
    return n;
}

/* At 0, 1, the largest, the largest with a sign, one more and one less; twice
 * to see two that are wrong at once. */
static void
each_length_field(void)
{
    field fields[FIELDS_MAX];

    for (size_t i = 0; i < HELLOS; i++) {
        size_t n = find_fields(&hellos[i], fields);

        for (size_t j = 0; j < n * 6; j++) {
            probe_start(&q, i, "a length field");
            probe_set_field(&q, &fields[j / 6], (int)(j % 6));
            run(&q);
        }
        for (size_t j = 0; j < n * 36 && i % 3 == 1; j++) {
            probe_start(&q, i, "two length fields");
            probe_set_field(&q, &fields[j / 36], (int)(j % 6));
            probe_set_field(&q, &fields[(j / 36 + 1) % n], (int)(j / 6 % 6));
            run(&q);
        }
    }
}

/* ---- behind the cookie ---- */

/* Everything that a few bytes there can be: of the whole message, and of one
 * of which bytes are missing. */
static void
all_small_rests(void)
{
    static const uint8_t bytes[] = {0, 1, 2, 5};
    static const uint8_t missing[] = {0, 1, 2, 3, 6};
    size_t behind = AT_BODY + 36 + COOKIE_LEN;

    for (size_t len = 0; len <= 4; len++) {
        for (size_t i = 0; i < (size_t)5 << 2 * len; i++) {
            probe_start(&q, OPENSSL_2, "behind the cookie");
            memcpy(q.data + behind, "\0\2\xc0\x2b\1\0", 6);
            for (size_t j = 0; j < len; j++)
                q.data[behind + 5 + j] = bytes[i >> 2 * j & 3];
            probe_cut(&q, behind + 5 + len, 0);
            add_field(q.data + AT_MESSAGE_LENGTH, 3, missing[i >> 2 * len]);
            run(&q);
            q.data[behind + 4] = 2;
            run(&q);
        }
    }
}

static void
suites_and_methods(void)
{
    static const struct {
        uint8_t bytes[8];
        uint8_t len;
    } rests[] = {
        {"\0", 0},           {"\0", 1},           {"\0\0", 2},
        {"\0\1", 2},         {"\0\2", 2},         {"\0\2\xc0", 3},
        {"\0\0\1\0", 4},     {"\0\1\xc0\1\0", 5}, {"\0\3\xc0\x2b\0\1\0", 7},
        {"\0\2\xc0\x2b", 4}, {"\0\4\xc0\x2b", 4}, {"\0\4\xc0\x2b\1\0", 6},
        {"\xff\xfe", 2},     {"\xff", 1},         {"\0\6\xc0\x2b\1\0", 6},
    };
    size_t behind = AT_BODY + 36 + COOKIE_LEN;

    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        for (int32_t missing = 0; missing < 12; missing++) {
            probe_start(&q, OPENSSL_2, "suites and methods");
            memcpy(q.data + behind, rests[i].bytes, rests[i].len);
            probe_cut(&q, behind + rests[i].len, 0);
            add_field(q.data + AT_MESSAGE_LENGTH, 3, missing);
            run(&q);
        }
    }
}

/* ---- fragments and coalesced records ---- */

static void
fragmented_at_each_byte(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        uint32_t total = get24(hellos[i].data + AT_MESSAGE_LENGTH);

        for (size_t at = AT_BODY; at < hellos[i].len; at++) {
            probe_start(&q, i, "a first fragment");
            probe_cut(&q, at, 1);
            run(&q);
            q.kind = "both fragments in one datagram";
            probe_append(&q, hellos[i].data, AT_BODY);
            probe_append(&q, hellos[i].data + at, hellos[i].len - at);
            put48(q.data + at + AT_RECORD_SEQ,
                  get48(hellos[i].data + AT_RECORD_SEQ) + 1);
            put24(q.data + at + AT_OFFSET, (uint32_t)at - AT_BODY);
            put16(q.data + at + AT_RECORD_LENGTH,
                  (uint32_t)(hellos[i].len - at + 12));
            put24(q.data + at + AT_FRAGMENT_LENGTH,
                  (uint32_t)(hellos[i].len - at));
            run(&q);
            q.kind = "a later fragment";
            probe_splice(&q, 0, at, NULL, 0);
            run(&q);
            probe_start(&q, i, "a fragment of a longer message");
            probe_cut(&q, at, 1);
            put24(q.data + AT_MESSAGE_LENGTH, total + (uint32_t)at % 7);
            run(&q);
        }
    }
}

static void
coalesced(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        for (size_t j = 0; j < EXTRAS + HELLOS; j++) {
            const uint8_t *other =
                j < EXTRAS ? extras[j].bytes : hellos[j - EXTRAS].data;
            size_t len = j < EXTRAS ? extras[j].len : hellos[j - EXTRAS].len;

            probe_start(&q, i, "a record behind");
            q.whole = 1;
            probe_append(&q, other, len);
            run(&q);
            probe_start(&q, i, "a record before");
            probe_splice(&q, 0, 0, other, len);
            run(&q);
            probe_start(&q, i, "another message in the record");
            probe_append(&q, other + (len > 13 ? 13 : 0),
                         len > 13 ? len - 13 : len);
            put16(q.data + AT_RECORD_LENGTH, (uint32_t)q.len - AT_MESSAGE);
            run(&q);
        }
    }
}

/* ---- what is not in the datagram, and limits ---- */

static void
each_path(void)
{
    for (int path = PATH_GOOD + 1; path < PATHS; path++) {
        for (size_t i = 0; i < HELLOS; i++) {
            probe_start(&q, i, "a bad path");
            q.path = path;
            run(&q);
            probe_put_cookie(&q);
            run(&q);
            q.data[0] = 21;
            run(&q);
            q.len = 0;
            run(&q);
        }
    }
}

static void
each_cookie_length(void)
{
    for (unsigned len = 1; len <= 255; len++) {
        for (size_t i = OPENSSL_1; i <= FRAGMENT_2; i++) {
            probe_start(&q, i, "a cookie length");
            q.cookie_len = len;
            run(&q);
            probe_put_cookie(&q);
            put16(q.data + AT_MESSAGE_SEQ, 1);
            run(&q);
        }
        probe_start(&q, OPENSSL_1, "the shortest ClientHello");
        q.cookie_len = len;
        memcpy(q.data + AT_BODY + 36, "\0\2\xc0\x2b\1\0", 6);
        probe_cut(&q, AT_BODY + 42, 0);
        run(&q);
    }
}

static void
strategies_that_fail(void)
{
    for (int cookie = COOKIE_GOOD + 1; cookie < COOKIES; cookie++) {
        for (size_t i = 0; i < HELLOS; i++) {
            probe_start(&q, i, "a strategy that fails");
            q.cookie = cookie;
            run(&q);
            q.data[AT_BODY + 20] ^= 1;
            run(&q);
        }
    }
}

static void
fixed_versions(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        probe_start(&q, i, "a fixed-version method");
        q.fixed = 1;
        run(&q);
        for (unsigned value = 0; value < 65536; value += 2056) {
            probe_start(&q, i, "a fixed-version method");
            put16(q.data + AT_BODY, value);
            probe_put_cookie(&q);
            q.fixed = 1;
            run(&q);
        }
        for (unsigned value = 0xfef0; value <= 0xff00; value++) {
            probe_start(&q, i, "a fixed-version method");
            put16(q.data + AT_BODY, value);
            q.fixed = 1;
            run(&q);
        }
    }
}

/* The first starts with a full budget; then time stands still. */
static void
bad_cookies_at_once(void)
{
    for (unsigned i = 0; i < 100; i++) {
        probe_start(&q, WOLFSSL_2, "bad cookies at once");
        q.data[AT_BODY + 10] = (uint8_t)(q.data[AT_BODY + 10] + 1 + i);
        q.wait_ms = i == 0 ? 1000 : 0;
        run(&q);
        if (i % 10 != 9)
            continue;
        probe_start(&q, i % 20 == 9 ? OPENSSL_1 : OPENSSL_2,
                    "good ones among them");
        q.wait_ms = 0;
        run(&q);
    }
    probe_start(&q, OPENSSL_2, "later");
    q.wait_ms = 1000;
    run(&q);
}

static void
record_numbers(void)
{
    static const uint64_t last = 0xfffffff00000;

    for (size_t i = 0; i < HELLOS; i++) {
        for (int bit = 0; bit < 48; bit++) {
            probe_start(&q, i, "a record number");
            put48(q.data + AT_RECORD_SEQ, UINT64_C(1) << bit);
            run(&q);
            put48(q.data + AT_RECORD_SEQ, last + (UINT64_C(1) << bit) - 1);
            run(&q);
            put48(q.data + AT_RECORD_SEQ,
                  (UINT64_C(1) << 48) - 1 - (uint64_t)bit);
            run(&q);
        }
    }
}

void
cases_systematic(judge_fn *judge)
{
    run = judge;
    captured_as_they_are();
    each_byte_corrupted();
    all_values_of_the_header();
    truncated_at_each_byte();
    extended();
    the_longest_record();
    each_length_field();
    all_small_rests();
    suites_and_methods();
    fragmented_at_each_byte();
    coalesced();
    each_path();
    each_cookie_length();
    strategies_that_fail();
    fixed_versions();
    bad_cookies_at_once();
    record_numbers();
}
