/* SPDX-License-Identifier: MIT
 * What a cookie is good for, and what it is bound to. */
#include "plugin_check.h"
#include <stdio.h>
#include <string.h>

enum {
    ROUND_TRIPS = 3000,
    SAMPLES = 20,
    CORE_MIN = 35,
    PEER_BITS = 18 * 8, /* address and port */
    SESSION_MAX = 32,
    EXTENSIONS_MAX = 2000 /* with a post-quantum key share */
};

/* ---- round trips ---- */

static void
examine_result(kit *k, const char *text)
{
    if (k->result.app_len > DTLSL_COOKIE_APP_MAX)
        kit_fail(k, "app_len is %u, more than %d (%s)", k->result.app_len,
                 DTLSL_COOKIE_APP_MAX, text);
    if (k->result.age_ms > KIT_LIFE_MAX)
        kit_fail(k, "a cookie just made is %u ms old (%s)", k->result.age_ms,
                 text);
}

/* 1, or 0 if the plugin does not want that peer. */
static int
go_round(kit *k, hello *h)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    char text[160];
    int32_t len, answer;

    hello_text(h, text);
    len = kit_mint(k, h, cookie);
    if (len == DTLSL_COOKIE_REFUSED || len == DTLSL_COOKIE_NOTREADY)
        return 0;
    if (!kit_is_length(k, len))
        kit_fail(k, "mint answered %d, not 1 to %u (%s)", len,
                 k->plugin->max_cookie_len, text);
    hello_second(h, (size_t)len);
    answer = kit_verify(k, h, cookie, (size_t)len);
    if (answer != DTLSL_COOKIE_VALID)
        kit_fail(k, "it answers %s to its own cookie (%s)",
                 kit_answer_name(answer), text);
    examine_result(k, text);
    return 1;
}

void
check_round_trip(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int done = 0;
    hello h;

    kit_start(k);
    for (int i = 0; i < ROUND_TRIPS; i++) {
        hello_make(k, &h);
        if (i <= SESSION_MAX)
            hello_set_session(k, &h, (size_t)i);
        done += go_round(k, &h);
    }
    if (done == 0)
        kit_cookie(k, &h, cookie);
    kit_stop(k);
    if (done < ROUND_TRIPS)
        kit_pass(k, "%d of %d inputs; it refused the others", done,
                 ROUND_TRIPS);
    kit_pass(k, "%d inputs", done);
}

/* ---- what is bound ---- */

static void
expect_invalid(kit *k, const hello *h, const uint8_t *cookie, size_t len,
               const char *what, size_t number)
{
    char text[160];

    if (kit_verify(k, h, cookie, len) == DTLSL_COOKIE_VALID)
        kit_fail(k, "VALID with %s %zu (cookie of %zu; %s)", what, number, len,
                 hello_text(h, text));
}

static void
flip(uint8_t *bytes, size_t bit)
{
    bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

void
check_bits(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        size_t len = kit_cookie(k, &h, cookie);

        for (size_t bit = 0; bit < len * 8; bit++) {
            flip(cookie, bit);
            expect_invalid(k, &h, cookie, len, "flipped bit", bit);
            flip(cookie, bit);
        }
    }
    kit_stop(k);
}

void
check_peer(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        size_t len = kit_cookie(k, &h, cookie);

        for (size_t bit = 0; bit < PEER_BITS; bit++) {
            flip(h.in.peer, bit);
            expect_invalid(k, &h, cookie, len,
                           bit < 128 ? "another address, bit"
                                     : "another port, bit",
                           bit < 128 ? bit : bit - 128);
            flip(h.in.peer, bit);
        }
    }
    kit_stop(k);
}

static void
try_sessions(kit *k, const hello *h, const uint8_t *cookie, size_t len)
{
    hello other;

    for (size_t n = 0; n <= SESSION_MAX; n++) {
        if (n == h->in.core_len - CORE_MIN)
            continue;
        hello_copy(&other, h);
        other.core[CORE_MIN - 1] = (uint8_t)n;
        other.in.core_len = (uint32_t)(CORE_MIN + n);
        expect_invalid(k, &other, cookie, len, "a session id of length", n);
    }
}

void
check_hello(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        size_t len = kit_cookie(k, &h, cookie);

        for (size_t bit = 0; bit < h.in.core_len * 8; bit++) {
            if (bit / 8 == CORE_MIN - 1)
                continue;
            flip(h.core, bit);
            expect_invalid(k, &h, cookie, len,
                           "another version, random or session id, bit", bit);
            flip(h.core, bit);
        }
        try_sessions(k, &h, cookie, len);
    }
    kit_stop(k);
}

void
check_extensions(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int32_t answer;
    hello h;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        size_t len = kit_cookie(k, &h, cookie);
        uint32_t least = h.in.core_len + 1 + (uint32_t)len + h.in.tail_len;

        for (uint32_t more = 0; more < EXTENSIONS_MAX; more += 7) {
            h.in.fragment_len = least + more;
            answer = kit_verify(k, &h, cookie, len);
            if (answer != DTLSL_COOKIE_VALID)
                kit_fail(k, "%s when extensions are %u bytes",
                         kit_answer_name(answer), more);
        }
    }
    kit_stop(k);
}

void
check_trim(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX + 1];
    hello h;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        size_t len = kit_cookie(k, &h, cookie);

        for (size_t n = 1; n < len; n++)
            expect_invalid(k, &h, cookie, n, "a cookie cut from", len);
        memset(cookie + len, 0, sizeof(cookie) - len);
        for (size_t n = len + 1; n <= DTLSL_COOKIE_MAX; n++)
            expect_invalid(k, &h, cookie, n, "zeros behind the cookie of",
                           len);
        kit_fill(k, cookie + len, sizeof(cookie) - len);
        for (size_t n = len + 1; n <= DTLSL_COOKIE_MAX; n++)
            expect_invalid(k, &h, cookie, n, "bytes behind the cookie of",
                           len);
    }
    kit_stop(k);
}

/* A cookie of the built-in hmac; one of its own for a plugin that has hmac
 * behind it. */
void
check_foreign(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int32_t len, answer;
    hello h;

    if (strcmp(k->plugin->name, "hmac") == 0)
        kit_skip(k, "it is named hmac itself");
    kit_start(k);
    kit_cookie(k, &h, cookie);
    h.in.mono_ms = k->now.mono_ms;
    h.in.unix_ms = k->now.unix_ms;
    len = dtlsl__chain_mint(k->chain, &h.in, cookie, sizeof(cookie));
    if (len <= 0)
        kit_skip(k, "the library's hmac made no cookie");
    answer = kit_verify(k, &h, cookie, (size_t)len);
    kit_stop(k);
    if (answer == DTLSL_COOKIE_VALID)
        kit_pass(k, "it takes cookies of hmac with the same secret, as one "
                    "that stands in front of hmac does");
    if (answer != DTLSL_COOKIE_MALFORMED)
        kit_warn(k,
                 "%s to a cookie of hmac: strategies behind it in a list are "
                 "never asked",
                 kit_answer_name(answer));
}

/* ---- fragments ---- */

/* TAIL was there at mint, and is not in the first fragment that brings the
 * cookie back. */
static void
lose_tail(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    size_t len;
    int32_t answer;
    hello h;

    len = kit_cookie(k, &h, cookie);
    hello_cut(&h, len, h.in.core_len + 1 + len + 1);
    answer = kit_verify(k, &h, cookie, len);
    if (answer != DTLSL_COOKIE_VALID && answer != DTLSL_COOKIE_NEED_MORE)
        kit_fail(k, "%s when the first fragment ends before the cipher suites",
                 kit_answer_name(answer));
}

/* mint saw a first fragment of 'room' bytes; verify sees one of 'room_then',
 * or all (0). */
static void
cross(kit *k, size_t room, size_t room_then, const char *what)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello first, second;
    int32_t len, answer;

    kit_cookie(k, &first, cookie);
    hello_set_tail(k, &first, 60);
    hello_copy(&second, &first);
    hello_cut(&first, 0, first.in.core_len + 1 + room);
    len = kit_mint(k, &first, cookie);
    if (!kit_is_length(k, len))
        kit_fail(k, "mint answers %s to a first fragment (%s)",
                 kit_answer_name(len), what);
    if (room_then == 0)
        hello_second(&second, (size_t)len);
    else
        hello_cut(&second, (size_t)len, second.in.core_len + 1 + room_then);
    answer = kit_verify(k, &second, cookie, (size_t)len);
    if (answer != DTLSL_COOKIE_VALID)
        kit_fail(k, "%s: %s", kit_answer_name(answer), what);
}

void
check_fragments(kit *k)
{
    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        lose_tail(k);
        cross(k, 30, 0,
              "the first hello's fragment ended before the cipher suites, "
              "the second hello is whole");
        cross(k, 30, 30 + DTLSL_COOKIE_MAX,
              "the second hello's first fragment is longer than the first's");
        cross(k, 60, 60,
              "the cookie pushes the cipher suites out of a fragment of the "
              "same size: such a client could never finish");
        cross(k, 400, 400, "both hellos come in large fragments");
    }
    kit_stop(k);
}
