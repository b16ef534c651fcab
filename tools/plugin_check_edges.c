/* SPDX-License-Identifier: MIT
 * Buffers, lengths and garbage: what a plugin may read and write. */
#include "plugin_check.h"
#include <stdio.h>
#include <string.h>

enum {
    GARBAGE = 100000,
    GARBAGE_STOCK = 32,
    REPEATS = 20000,
    SAMPLES = 20,
    CORE_MIN = 35,
    SESSION_MAX = 32,
    MORE = 64 /* bytes that a newer host's structs have behind */
};

/* ---- mint ---- */

static void
try_capacity(kit *k, const kit_area *area, const hello *h, size_t cap)
{
    uint8_t *cookie = area->data + area->size / 2;
    int32_t len;

    kit_area_mark(area);
    len = k->plugin->mint(k->state, &h->in, cookie, cap);
    if (!kit_area_intact(area, cookie, cap))
        kit_fail(k, "with cap %zu it wrote outside of the buffer", cap);
    if (len == 0 || (len > 0 && (size_t)len > cap))
        kit_fail(k, "with cap %zu mint answered %d", cap, len);
    if (len < 0 && cap >= k->plugin->max_cookie_len)
        kit_fail(k,
                 "mint answered %s with cap %zu, enough for its longest "
                 "cookie",
                 kit_answer_name(len), cap);
}

void
check_capacities(kit *k)
{
    kit_area area = kit_area_new(k, "cookie's buffer", 16384);
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    kit_cookie(k, &h, cookie);
    for (size_t cap = 0; cap <= DTLSL_COOKIE_MAX; cap++)
        try_capacity(k, &area, &h, cap);
    kit_stop(k);
}

/* ---- verify ---- */

/* Verifies a copy that ends where nobody may read. */
static int32_t
verify_at_end(kit *k, const kit_area *area, const hello *h,
              const uint8_t *cookie, size_t len)
{
    uint8_t *copy = kit_area_end(area, len);

    memcpy(copy, cookie, len);
    return kit_verify(k, h, copy, len);
}

void
check_lengths(kit *k)
{
    kit_area area = kit_area_new(k, "cookie", DTLSL_COOKIE_MAX);
    uint8_t cookie[DTLSL_COOKIE_MAX], genuine[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    kit_cookie(k, &h, genuine);
    for (size_t len = 0; len <= DTLSL_COOKIE_MAX; len++) {
        for (int kind = 0; kind < 3; kind++) {
            memset(cookie, kind == 0 ? 0 : 0xff, sizeof(cookie));
            if (kind == 2)
                kit_fill(k, cookie, sizeof(cookie));
            /* The first bytes of a genuine one pass the first looks. */
            memcpy(cookie, genuine, len < 4 ? len : 4);
            if (verify_at_end(k, &area, &h, cookie, len) == DTLSL_COOKIE_VALID)
                kit_fail(k,
                         "VALID for a cookie of %zu bytes that it did not "
                         "make",
                         len);
        }
    }
    kit_stop(k);
}

typedef struct stock {
    hello h;
    uint8_t cookie[DTLSL_COOKIE_MAX];
    size_t len;
} stock;

/* Bytes of another cookie, or any, from some place on. */
static void
damage(kit *k, const stock *all, const stock *s, uint8_t *cookie)
{
    const stock *other = &all[kit_below(k, GARBAGE_STOCK)];
    size_t at = kit_below(k, s->len), n = 1 + kit_below(k, s->len - at);

    if (kit_below(k, 2) && other->len >= s->len)
        memcpy(cookie + at, other->cookie + at, n);
    else
        kit_fill(k, cookie + at, n);
}

/* A cookie that is not the genuine one of 's'; its length. */
static size_t
make_garbage(kit *k, const stock *all, const stock *s,
             uint8_t cookie[DTLSL_COOKIE_MAX])
{
    size_t len = s->len, kind = kit_below(k, 4);

    if (kind == 0)
        len = 1 + kit_below(k, DTLSL_COOKIE_MAX);
    kit_fill(k, cookie, DTLSL_COOKIE_MAX);
    if (kind < 2)
        return len;
    memcpy(cookie, s->cookie, s->len);
    damage(k, all, s, cookie);
    if (kind == 3)
        len = 1 + kit_below(k, DTLSL_COOKIE_MAX);
    return len;
}

static void
fill_stock(kit *k, stock all[GARBAGE_STOCK])
{
    for (int i = 0; i < GARBAGE_STOCK; i++) {
        all[i].len = kit_cookie(k, &all[i].h, all[i].cookie);
        hello_copy(&all[i].h, &all[i].h);
    }
}

void
check_garbage(kit *k)
{
    static stock all[GARBAGE_STOCK];
    kit_area area = kit_area_new(k, "cookie", DTLSL_COOKIE_MAX);
    uint8_t cookie[DTLSL_COOKIE_MAX];
    char text[160];

    kit_start(k);
    fill_stock(k, all);
    for (int i = 0; i < GARBAGE; i++) {
        const stock *s = &all[kit_below(k, GARBAGE_STOCK)];
        size_t len = make_garbage(k, all, s, cookie);

        if (len == s->len && memcmp(cookie, s->cookie, len) == 0)
            continue;
        if (verify_at_end(k, &area, &s->h, cookie, len) == DTLSL_COOKIE_VALID)
            kit_fail(k, "number %d, of %zu bytes, is VALID (%s)", i, len,
                     hello_text(&s->h, text));
    }
    kit_stop(k);
    kit_pass(k, "%d cookies", GARBAGE);
}

/* ---- input ---- */

typedef struct spans {
    kit_area core, tail, input;
} spans;

/* The same hello, each part of it at the end of its memory. */
static const dtlsl_cookie_input *
lay_out(const spans *s, const hello *h)
{
    dtlsl_cookie_input in = h->in;
    uint8_t *at = kit_area_end(&s->core, in.core_len);

    memcpy(at, h->core, in.core_len);
    in.core = at;
    if (in.tail_len > 0) {
        at = kit_area_end(&s->tail, in.tail_len);
        memcpy(at, h->tail, in.tail_len);
        in.tail = at;
    }
    at = kit_area_end(&s->input, sizeof(in));
    memcpy(at, &in, sizeof(in));
    return (const dtlsl_cookie_input *)(const void *)at;
}

static void
try_spans(kit *k, const spans *s, hello *h)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    dtlsl_cookie_result out = {.size = sizeof(out)};
    int32_t len =
        k->plugin->mint(k->state, lay_out(s, h), cookie, sizeof(cookie));

    if (!kit_is_length(k, len))
        return;
    hello_second(h, (size_t)len);
    k->plugin->verify(k->state, lay_out(s, h), cookie, (size_t)len, &out);
    cookie[0] ^= 1;
    k->plugin->verify(k->state, lay_out(s, h), cookie, (size_t)len, &out);
}

void
check_spans(kit *k)
{
    static const size_t tails[] = {0, 4, 60, KIT_TAIL_MAX};
    spans s = {kit_area_new(k, "core", KIT_CORE_MAX),
               kit_area_new(k, "tail", KIT_TAIL_MAX),
               kit_area_new(k, "input", sizeof(dtlsl_cookie_input))};
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    for (size_t i = 0; i <= SESSION_MAX; i++)
        for (size_t j = 0; j < sizeof(tails) / sizeof(tails[0]); j++) {
            kit_cookie(k, &h, cookie);
            hello_set_session(k, &h, i);
            hello_set_tail(k, &h, tails[j]);
            try_spans(k, &s, &h);
        }
    kit_stop(k);
}

void
check_input(kit *k)
{
    uint8_t genuine[DTLSL_COOKIE_MAX], cookie[DTLSL_COOKIE_MAX];
    dtlsl_cookie_result out = {.size = sizeof(out)};
    hello h, copy;
    size_t len;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        len = kit_cookie(k, &h, genuine);
        copy = h;
        k->plugin->mint(k->state, &h.in, cookie, sizeof(cookie));
        if (memcmp(&h, &copy, sizeof(h)) != 0)
            kit_fail(k, "mint changed its input");
        memcpy(cookie, genuine, len);
        k->plugin->verify(k->state, &h.in, cookie, len, &out);
        if (memcmp(&h, &copy, sizeof(h)) != 0)
            kit_fail(k, "verify changed its input");
        if (memcmp(cookie, genuine, len) != 0)
            kit_fail(k, "verify changed the cookie");
    }
    kit_stop(k);
}

void
check_repeat(kit *k)
{
    static stock all[GARBAGE_STOCK];
    uint8_t cookie[DTLSL_COOKIE_MAX + 1]; /* reads behind: "lengths" */
    int32_t answer;

    kit_start(k);
    fill_stock(k, all);
    for (int i = 0; i < REPEATS; i++) {
        const stock *s = &all[kit_below(k, GARBAGE_STOCK)];
        size_t len = make_garbage(k, all, s, cookie);

        kit_verify(k, &s->h, cookie, len);
        kit_mint(k, &s->h, cookie);
        answer = kit_verify(k, &s->h, s->cookie, s->len);
        if (answer != DTLSL_COOKIE_VALID)
            kit_fail(k, "a cookie that was VALID is %s after %d other calls",
                     kit_answer_name(answer), 2 * i + 2);
    }
    kit_stop(k);
}

/* ---- structs ---- */

/* The host of tomorrow says a greater size; this plugin's bytes end where
 * they always did. */
static void
try_result(kit *k, const kit_area *area, const hello *h, const uint8_t *cookie,
           size_t len, size_t more)
{
    dtlsl_cookie_result *out =
        (dtlsl_cookie_result *)(void *)(area->data + area->size / 2);
    uint32_t size = (uint32_t)(sizeof(*out) + more);

    kit_area_mark(area);
    memset(out, 0, sizeof(*out));
    out->size = size;
    k->plugin->verify(k->state, &h->in, cookie, len, out);
    if (!kit_area_intact(area, (const uint8_t *)out, sizeof(*out)))
        kit_fail(k,
                 "with a result of size %u it wrote outside of the %zu "
                 "bytes that this ABI has",
                 size, sizeof(*out));
    if (out->size != size)
        kit_fail(k, "it changed the result's size from %u to %u", size,
                 out->size);
    if (out->app_len > DTLSL_COOKIE_APP_MAX)
        kit_fail(k, "app_len is %u, more than %d", out->app_len,
                 DTLSL_COOKIE_APP_MAX);
}

/* It knows what is behind the structs of today. */
static int
is_newer(const kit *k)
{
    return k->plugin->size > sizeof(*k->plugin);
}

void
check_result(kit *k)
{
    kit_area area = kit_area_new(k, "result", 16384);
    size_t most = is_newer(k) ? 0 : MORE;
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    kit_start(k);
    for (int i = 0; i < SAMPLES; i++) {
        size_t len = kit_cookie(k, &h, cookie);

        for (size_t more = 0; more <= most; more += MORE) {
            try_result(k, &area, &h, cookie, len, more);
            cookie[len - 1] ^= 1;
            try_result(k, &area, &h, cookie, len, more);
            cookie[len - 1] ^= 1;
        }
    }
    kit_stop(k);
}

static void
enlarge_host(kit *k)
{
    static struct {
        dtlsl_cookie_host host;
        uint8_t more[MORE];
    } larger;

    memset(larger.more, 0xa5, sizeof(larger.more));
    larger.host = *k->host;
    larger.host.size = sizeof(larger);
    k->host = &larger.host;
}

void
check_sizes(kit *k)
{
    struct {
        dtlsl_cookie_input in;
        uint8_t more[MORE];
    } input;
    struct {
        dtlsl_cookie_result out;
        uint8_t more[MORE];
    } result = {0};
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int32_t len, answer;
    hello h;

    if (is_newer(k))
        kit_skip(k, "it is newer than this program");
    enlarge_host(k);
    kit_start(k);
    kit_cookie(k, &h, cookie);
    memset(input.more, 0xa5, sizeof(input.more));
    input.in = h.in;
    input.in.size = sizeof(input);
    result.out.size = sizeof(result);
    len = k->plugin->mint(k->state, &input.in, cookie, sizeof(cookie));
    if (!kit_is_length(k, len))
        kit_fail(k, "mint answers %s to an input with %d bytes more",
                 kit_answer_name(len), MORE);
    answer = k->plugin->verify(k->state, &input.in, cookie, (size_t)len,
                               &result.out);
    if (answer != DTLSL_COOKIE_VALID)
        kit_fail(k, "%s when input and result have %d bytes more",
                 kit_answer_name(answer), MORE);
    kit_stop(k);
}
