/* SPDX-License-Identifier: MIT
 * The datagrams of the differential test: what clients really send, each part
 * of it made wrong in turn, and then several things at once at random. */
#include "differential.h"
#include <stdio.h>
#include <string.h>

enum {
    HELLO_MAX = 400,
    FIELDS_MAX = 64,
    STEP_MS = 20 /* more than what an answer to a bad cookie takes */
};

typedef struct hello {
    const char *name;
    uint8_t data[HELLO_MAX];
    size_t len;
} hello;

/* NAME-1 is a first ClientHello, NAME-2 the one with a cookie, NAME-3 a later
 * fragment of it. */
static hello hellos[] = {
    {.name = "openssl-1"},
    {.name = "openssl-2"},
    {.name = "openssl-fragmented-1"},
    {.name = "openssl-fragmented-2"},
    {.name = "openssl-fragmented-3"},
    {.name = "gnutls-1"},
    {.name = "gnutls-2"},
    {.name = "ncat-1"},
    {.name = "ncat-2"},
    {.name = "ncat-3"},
    {.name = "coap-openssl-1"},
    {.name = "coap-openssl-2"},
    {.name = "coap-gnutls-1"},
    {.name = "coap-gnutls-2"},
    {.name = "mbedtls-1"},
    {.name = "mbedtls-2"},
    {.name = "wolfssl-1"},
    {.name = "wolfssl-2"},
};

enum {
    OPENSSL_1 = 0,
    OPENSSL_2 = 1,
    FRAGMENT_1 = 2,
    FRAGMENT_2 = 3,
    FRAGMENT_3 = 4,
    WOLFSSL_2 = 17,
    HELLOS = sizeof(hellos) / sizeof(hellos[0])
};

static probe q; /* the case that is being made */
static judge_fn *run;

/* ---- making ---- */

static int
is_kind(size_t base, char number)
{
    const char *name = hellos[base].name;

    return name[strlen(name) - 1] == number;
}

static void
start(size_t base, const char *kind)
{
    memcpy(q.data, hellos[base].data, hellos[base].len);
    q.len = hellos[base].len;
    q.kind = kind;
    q.path = PATH_GOOD;
    q.cookie = COOKIE_GOOD;
    q.cookie_len = COOKIE_LEN;
    q.fixed = 0;
    q.whole = 0;
    q.wait_ms = STEP_MS;
}

static void
add(uint8_t *field, unsigned bytes, int32_t value)
{
    if (bytes == 3)
        put24(field, (uint32_t)((int32_t)get24(field) + value));
    else if (bytes == 2)
        put16(field, (uint32_t)((int32_t)get16(field) + value));
    else
        *field = (uint8_t)(*field + value);
}

/* All three lengths, by the same; those that were wrong stay so. */
static void
add_lengths(probe *p, int32_t value)
{
    add(p->data + AT_RECORD_LENGTH, 2, value);
    add(p->data + AT_MESSAGE_LENGTH, 3, value);
    add(p->data + AT_FRAGMENT_LENGTH, 3, value);
}

/* Lets 'fresh' bytes take the place of 'old' ones. */
static int
splice(probe *p, size_t at, size_t old, const void *data, size_t fresh)
{
    if (at + old > p->len || p->len - old + fresh > DATAGRAM_MAX)
        return 0;
    memmove(p->data + at + fresh, p->data + at + old, p->len - at - old);
    if (fresh > 0)
        memcpy(p->data + at, data, fresh);
    p->len = p->len - old + fresh;
    return 1;
}

static int
set_cookie(probe *p, const uint8_t *cookie, size_t len)
{
    size_t at = AT_SESSION_ID + 1U + p->data[AT_SESSION_ID];
    uint8_t vector[256];
    int32_t more;

    if (p->len <= at || p->len < at + 1 + p->data[at])
        return 0;
    more = (int32_t)len - p->data[at];
    if (get16(p->data + AT_RECORD_LENGTH) + (uint32_t)more > 16384)
        return 0;
    vector[0] = (uint8_t)len;
    memcpy(vector + 1, cookie, len);
    if (!splice(p, at, 1U + p->data[at], vector, 1 + len))
        return 0;
    /* The longest message stays the longest. */
    if (get24(p->data + AT_MESSAGE_LENGTH) + (uint32_t)more > 0xffffff)
        add(p->data + AT_MESSAGE_LENGTH, 3, -more);
    add_lengths(p, more);
    return 1;
}

int
put_cookie(probe *p)
{
    uint8_t cookie[255];

    make_cookie(p, p->data + AT_BODY, cookie);
    return set_cookie(p, cookie, p->cookie_len);
}

static void
append(const void *data, size_t len)
{
    if (len <= DATAGRAM_MAX - q.len) {
        memcpy(q.data + q.len, data, len);
        q.len += len;
    }
}

static void
append_zeros(size_t len)
{
    if (len <= DATAGRAM_MAX - q.len) {
        memset(q.data + q.len, 0, len);
        q.len += len;
    }
}

/* The datagram ends here: so does the record, and a fragment or the whole
 * message. */
static void
cut(size_t len, int is_fragment)
{
    q.len = len;
    if (len < AT_BODY)
        return;
    put16(q.data + AT_RECORD_LENGTH, (uint32_t)len - AT_MESSAGE);
    put24(q.data + AT_FRAGMENT_LENGTH, (uint32_t)len - AT_BODY);
    if (!is_fragment)
        put24(q.data + AT_MESSAGE_LENGTH, (uint32_t)len - AT_BODY);
}

/* ---- what clients send ---- */

static void
captured_as_they_are(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        start(i, "as captured");
        q.whole = 1;
        run(&q);
        start(i, "another message_seq");
        q.data[AT_MESSAGE_SEQ + 1] ^= 1;
        run(&q);
        start(i, "a bad cookie");
        if (is_kind(i, '2')) {
            q.data[AT_SESSION_ID + 5] ^= 1;
            run(&q);
            put_cookie(&q);
            set_cookie(&q, q.data, 0);
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
                start(i, "a byte corrupted");
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
        start(base, "all values of a byte");
        q.data[at] = (uint8_t)value;
        if (at == AT_BODY || at == AT_BODY + 1)
            put_cookie(&q); /* client_version is in what a cookie binds */
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
            start(i, "truncated datagram");
            q.len = len;
            run(&q);
            start(i, "truncated record");
            q.len = len;
            if (len >= AT_MESSAGE)
                put16(q.data + AT_RECORD_LENGTH, (uint32_t)len - AT_MESSAGE);
            run(&q);
            start(i, "truncated message");
            cut(len, 0);
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
            start(i, "extended datagram");
            append_zeros(more[j]);
            run(&q);
            add(q.data + AT_RECORD_LENGTH, 2, (int32_t)more[j]);
            q.kind = "extended record";
            run(&q);
            add(q.data + AT_FRAGMENT_LENGTH, 3, (int32_t)more[j]);
            q.kind = "extended fragment";
            run(&q);
            add(q.data + AT_MESSAGE_LENGTH, 3, (int32_t)more[j]);
            q.kind = "extended message";
            run(&q);
        }
        start(i, "the longest datagram");
        append_zeros(DATAGRAM_MAX - q.len);
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
    append_zeros(more);
    put16(q.data + len - more, 0xfafa);
    put16(q.data + len - more + 2, (uint32_t)more - 4);
    cut(len, 0);
}

static void
the_longest_record(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        if (strstr(hellos[i].name, "fragmented") != NULL ||
            strstr(hellos[i].name, "ncat") != NULL)
            continue;
        for (size_t len = LISTEN_MAX - 2; len <= LISTEN_MAX + 2; len++) {
            start(i, "the longest record");
            lengthen(len);
            run(&q);
            append("more", 4);
            run(&q);
        }
    }
}

typedef struct field {
    size_t at;
    unsigned bytes;
} field;

/* All length fields of a hello that is well formed as far as it goes, and
 * fragment_offset. */
static size_t
find_fields(const hello *h, field *fields)
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

static void
set_field(const field *f, int how)
{
    uint8_t *p = q.data + f->at;

    if (how < 4) {
        memset(p, how < 2 ? 0 : 0xff, f->bytes);
        if (how == 1)
            p[f->bytes - 1] = 1;
        if (how == 3)
            p[0] = 0x7f;
    } else
        add(p, f->bytes, how == 4 ? 1 : -1);
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
            start(i, "a length field");
            set_field(&fields[j / 6], (int)(j % 6));
            run(&q);
        }
        for (size_t j = 0; j < n * 36 && i % 3 == 1; j++) {
            start(i, "two length fields");
            set_field(&fields[j / 36], (int)(j % 6));
            set_field(&fields[(j / 36 + 1) % n], (int)(j / 6 % 6));
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
            start(OPENSSL_2, "behind the cookie");
            memcpy(q.data + behind, "\0\2\xc0\x2b\1\0", 6);
            for (size_t j = 0; j < len; j++)
                q.data[behind + 5 + j] = bytes[i >> 2 * j & 3];
            cut(behind + 5 + len, 0);
            add(q.data + AT_MESSAGE_LENGTH, 3, missing[i >> 2 * len]);
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
            start(OPENSSL_2, "suites and methods");
            memcpy(q.data + behind, rests[i].bytes, rests[i].len);
            cut(behind + rests[i].len, 0);
            add(q.data + AT_MESSAGE_LENGTH, 3, missing);
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
            start(i, "a first fragment");
            cut(at, 1);
            run(&q);
            q.kind = "both fragments in one datagram";
            append(hellos[i].data, AT_BODY);
            append(hellos[i].data + at, hellos[i].len - at);
            put48(q.data + at + AT_RECORD_SEQ,
                  get48(hellos[i].data + AT_RECORD_SEQ) + 1);
            put24(q.data + at + AT_OFFSET, (uint32_t)at - AT_BODY);
            put16(q.data + at + AT_RECORD_LENGTH,
                  (uint32_t)(hellos[i].len - at + 12));
            put24(q.data + at + AT_FRAGMENT_LENGTH,
                  (uint32_t)(hellos[i].len - at));
            run(&q);
            q.kind = "a later fragment";
            splice(&q, 0, at, NULL, 0);
            run(&q);
            start(i, "a fragment of a longer message");
            cut(at, 1);
            put24(q.data + AT_MESSAGE_LENGTH, total + (uint32_t)at % 7);
            run(&q);
        }
    }
}

/* What else may be in a datagram. */
static const struct {
    uint8_t bytes[40];
    size_t len;
} others[] = {
    {{21, 0xfe, 0xfd, [12] = 2, 2, 40}, 15},         /* a fatal alert */
    {{21, 0xfe, 0xfd, [12] = 2, 1, 0}, 15},          /* close_notify */
    {{21, 0xfe, 0xfd, [12] = 2, 1, 90}, 15},         /* a warning */
    {{20, 0xfe, 0xfd, [12] = 1, 1}, 14},             /* ChangeCipherSpec */
    {{23, 0xfe, 0xfd, [12] = 3, 'a', 'b', 'c'}, 16}, /* application data */
    {{23, 0xfe, 0xfd, 0, 1, [12] = 3, 'a', 'b', 'c'}, 16}, /* epoch 1 */
    {{22, 0xfe, 0xfd, [12] = 0}, 13},                /* an empty record */
    {{22, 0xfe, 0xfd, [12] = 12, 16, [18] = 2}, 25}, /* ClientKeyExchange */
    {{22, 0xfe, 0xfd, [12] = 4, 16, 0, 0, 1}, 17},   /* too short for one */
    {{25, 0xfe, 0xfd, [12] = 1, 7}, 14},             /* with a connection id */
    {"GET / HTTP/1.1", 14},
};

enum {
    OTHERS = sizeof(others) / sizeof(others[0])
};

static void
coalesced(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        for (size_t j = 0; j < OTHERS + HELLOS; j++) {
            const uint8_t *other =
                j < OTHERS ? others[j].bytes : hellos[j - OTHERS].data;
            size_t len = j < OTHERS ? others[j].len : hellos[j - OTHERS].len;

            start(i, "a record behind");
            q.whole = 1;
            append(other, len);
            run(&q);
            start(i, "a record before");
            splice(&q, 0, 0, other, len);
            run(&q);
            start(i, "another message in the record");
            append(other + (len > 13 ? 13 : 0), len > 13 ? len - 13 : len);
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
            start(i, "a bad path");
            q.path = path;
            run(&q);
            put_cookie(&q);
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
            start(i, "a cookie length");
            q.cookie_len = len;
            run(&q);
            put_cookie(&q);
            put16(q.data + AT_MESSAGE_SEQ, 1);
            run(&q);
        }
        start(OPENSSL_1, "the shortest ClientHello");
        q.cookie_len = len;
        memcpy(q.data + AT_BODY + 36, "\0\2\xc0\x2b\1\0", 6);
        cut(AT_BODY + 42, 0);
        run(&q);
    }
}

static void
strategies_that_fail(void)
{
    for (int cookie = COOKIE_GOOD + 1; cookie < COOKIES; cookie++) {
        for (size_t i = 0; i < HELLOS; i++) {
            start(i, "a strategy that fails");
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
        start(i, "a fixed-version method");
        q.fixed = 1;
        run(&q);
        for (unsigned value = 0; value < 65536; value += 2056) {
            start(i, "a fixed-version method");
            put16(q.data + AT_BODY, value);
            put_cookie(&q);
            q.fixed = 1;
            run(&q);
        }
        for (unsigned value = 0xfef0; value <= 0xff00; value++) {
            start(i, "a fixed-version method");
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
        start(WOLFSSL_2, "bad cookies at once");
        q.data[AT_BODY + 10] = (uint8_t)(q.data[AT_BODY + 10] + 1 + i);
        q.wait_ms = i == 0 ? 1000 : 0;
        run(&q);
        if (i % 10 != 9)
            continue;
        start(i % 20 == 9 ? OPENSSL_1 : OPENSSL_2, "good ones among them");
        q.wait_ms = 0;
        run(&q);
    }
    start(OPENSSL_2, "later");
    q.wait_ms = 1000;
    run(&q);
}

static void
record_numbers(void)
{
    static const uint64_t last = 0xfffffff00000;

    for (size_t i = 0; i < HELLOS; i++) {
        for (int bit = 0; bit < 48; bit++) {
            start(i, "a record number");
            put48(q.data + AT_RECORD_SEQ, UINT64_C(1) << bit);
            run(&q);
            put48(q.data + AT_RECORD_SEQ, last + (UINT64_C(1) << bit) - 2);
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

/* ---- at random ---- */

static uint64_t state;

static uint32_t
draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) * below >> 32);
}

/* Most of what matters is in the headers and around the cookie. */
static size_t
draw_place(void)
{
    size_t at = draw((uint32_t)q.len);

    switch (draw(4)) {
    case 0:
        at = draw(AT_BODY);
        break;
    case 1:
        at = AT_SESSION_ID + draw(48);
        break;
    case 2:
        at = AT_SESSION_ID + draw(3) + draw(2) * COOKIE_LEN;
        break;
    default:
        break;
    }
    return at < q.len ? at : q.len - 1;
}

static void
change_byte(void)
{
    static const uint8_t odd[] = {0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff};
    uint8_t *p = q.data + draw_place();

    switch (draw(4)) {
    case 0:
        *p ^= (uint8_t)(1U << draw(8));
        break;
    case 1:
        *p = odd[draw(sizeof(odd))];
        break;
    case 2:
        *p = (uint8_t)draw(256);
        break;
    default:
        *p = (uint8_t)(*p + 1 - 2 * draw(2));
        break;
    }
}

/* Bytes appear or vanish, mostly with lengths that fit again. */
static void
change_size(void)
{
    uint8_t noise[40];
    size_t at = draw_place();
    size_t old = draw(2) * draw(20);
    size_t fresh = draw(2) * draw(sizeof(noise));

    for (size_t i = 0; i < fresh; i++)
        noise[i] = (uint8_t)draw(256);
    if (splice(&q, at, old, noise, fresh) && draw(4) > 0)
        add_lengths(&q, (int32_t)fresh - (int32_t)old);
}

static void
change_session_id(void)
{
    static const uint8_t lens[] = {0, 1, 31, 32, 33, 34, 200};
    uint8_t vector[256];
    size_t len = lens[draw(sizeof(lens))];

    if (q.len < AT_SESSION_ID + 1U + q.data[AT_SESSION_ID])
        return;
    memset(vector, 0x5a, sizeof(vector));
    vector[0] = (uint8_t)len;
    add_lengths(&q, (int32_t)len - q.data[AT_SESSION_ID]);
    splice(&q, AT_SESSION_ID, 1U + q.data[AT_SESSION_ID], vector, 1 + len);
}

/* One extension more at the end, of a kind that OpenSSL may know. */
static void
change_extensions(void)
{
    uint8_t extension[4 + 16];
    size_t behind = AT_SESSION_ID + 1U + q.data[AT_SESSION_ID];
    uint32_t len = draw(17);

    if (q.len <= behind + 300 && behind < q.len)
        behind += 1U + q.data[behind];
    if (behind + 2 >= q.len)
        return;
    behind += 2 + get16(q.data + behind);
    if (behind + 4 >= q.len)
        return;
    behind += 1U + q.data[behind];
    put16(extension, draw(52));
    put16(extension + 2, len);
    for (uint32_t i = 0; i < len; i++)
        extension[4 + i] = (uint8_t)draw(4);
    if (behind + 2 > q.len)
        return;
    put16(q.data + behind, get16(q.data + behind) + 4 + len);
    append(extension, 4 + len);
    add_lengths(&q, (int32_t)(4 + len));
}

static void
change_cookie(void)
{
    uint8_t cookie[255];

    for (size_t i = 0; i < sizeof(cookie); i++)
        cookie[i] = (uint8_t)draw(256);
    switch (draw(4)) {
    case 0:
        set_cookie(&q, cookie, 0);
        break;
    case 1:
        set_cookie(&q, cookie, draw(256));
        break;
    default:
        put_cookie(&q);
        break;
    }
    put16(q.data + AT_MESSAGE_SEQ, draw(8) > 0);
}

static void
change_datagram(void)
{
    size_t other = draw(OTHERS + HELLOS);
    const uint8_t *data =
        other < OTHERS ? others[other].bytes : hellos[other - OTHERS].data;
    size_t len =
        other < OTHERS ? others[other].len : hellos[other - OTHERS].len;

    switch (draw(5)) {
    case 0:
        q.len = draw_place() + 1;
        break;
    case 1:
        append(data, len);
        break;
    case 2:
        splice(&q, 0, 0, data, draw(4) == 0 ? len : 0);
        break;
    case 3:
        cut(draw_place() + 1, 1);
        break;
    default:
        cut(draw_place() + 1, 0);
        break;
    }
}

static void
change_length(void)
{
    static const field fields[] = {{AT_RECORD_LENGTH, 2},
                                   {AT_MESSAGE_LENGTH, 3},
                                   {AT_OFFSET, 3},
                                   {AT_FRAGMENT_LENGTH, 3},
                                   {AT_SESSION_ID, 1}};
    const field *f = &fields[draw(5)];

    if (f->at + f->bytes <= q.len)
        set_field(f, (int)draw(6));
}

static void
mutate(void)
{
    static void (*const changes[])(void) = {
        change_byte,   change_byte,   change_byte,       change_byte,
        change_size,   change_size,   change_session_id, change_extensions,
        change_cookie, change_cookie, change_datagram,   change_length,
    };

    if (q.len > 0)
        changes[draw(sizeof(changes) / sizeof(changes[0]))]();
}

void
cases_random(uint64_t seed, uint64_t index, judge_fn *judge)
{
    run = judge;
    state = (seed + index * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
    state = (state ^ state >> 31) | 1;
    for (int i = 0; i < 4; i++)
        draw(2);
    start(draw(HELLOS), "at random");
    for (uint32_t n = 1 + draw(5); n > 0; n--)
        mutate();
    /* Right again where it matters, so that what is behind gets its turn. */
    if (draw(3) == 0 && q.len > AT_BODY)
        cut(q.len, draw(4) == 0);
    if (draw(3) == 0 && q.len > AT_SESSION_ID && put_cookie(&q))
        put16(q.data + AT_MESSAGE_SEQ, 1);
    if (draw(16) == 0)
        q.cookie_len = 1 + draw(255);
    q.fixed = draw(64) == 0;
    q.path = draw(64) == 0 ? (int)draw(PATHS) : PATH_GOOD;
    q.cookie = draw(64) == 0 ? (int)draw(COOKIES) : COOKIE_GOOD;
    run(&q);
}

/* ---- the captured hellos ---- */

static void
load(hello *h)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof(path), "%s/hellos/%s.bin", TEST_SRCDIR, h->name);
    file = fopen(path, "rb");
    need(file != NULL, path);
    h->len = fread(h->data, 1, sizeof(h->data), file);
    need(h->len > AT_BODY && h->len < sizeof(h->data), path);
    fclose(file);
}

void
cases_open(void)
{
    for (size_t i = 0; i < HELLOS; i++) {
        load(&hellos[i]);
        if (!is_kind(i, '2'))
            continue;
        start(i, "");
        need(put_cookie(&q), "a captured ClientHello has room for a cookie");
        memcpy(hellos[i].data, q.data, q.len);
        hellos[i].len = q.len;
    }
}
