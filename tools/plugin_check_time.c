/* SPDX-License-Identifier: MIT
 * Age, expiry and change of keys, on clocks that only the check moves. */
#include "plugin_check.h"
#include <string.h>

enum {
    STEPS = 100,
    AGE_ERROR = 1000, /* for those who count seconds */
    LIFE_MIN = 10000, /* the least that the bundled strategies take */
    LIFE_KEPT = 60000,
    DAY = 24 * KIT_HOUR,
    ROTATION_S = 3 * 3600,
    RING = 64
};

/* A cookie and its hello, made at the state's present time. */
typedef struct sample {
    hello h;
    uint8_t cookie[DTLSL_COOKIE_MAX];
    size_t len;
} sample;

static void
restart(kit *k, sample *s)
{
    k->now = k->setup->start;
    kit_start(k);
    s->len = kit_cookie(k, &s->h, s->cookie);
}

static int32_t
ask(kit *k, const sample *s)
{
    return kit_verify(k, &s->h, s->cookie, s->len);
}

/* ---- age ---- */

/* It may be too great, as it bounds an RTT, but never too small. */
void
check_age(kit *k)
{
    static const uint32_t steps[] = {0, 50, 100, 1000, 2000, 5000};
    uint32_t passed = 0, age = 0, last, excess = 0;
    sample s;

    kit_start(k);
    s.len = kit_cookie(k, &s.h, s.cookie);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        kit_advance(k, steps[i]);
        passed += steps[i];
        if (ask(k, &s) != DTLSL_COOKIE_VALID)
            kit_skip(k, "it expires within %u ms, see \"expiry\"", passed);
        last = age;
        age = k->result.age_ms;
        if (age < last)
            kit_fail(k, "the age fell from %u to %u ms", last, age);
        if (age > 0 && age + AGE_ERROR < passed)
            kit_fail(k, "%u ms after mint the age is %u ms", passed, age);
        if (age > passed && age - passed > excess)
            excess = age - passed;
    }
    kit_stop(k);
    if (excess > AGE_ERROR)
        kit_warn(k, "up to %u ms too old: no measure of an RTT", excess);
    if (age == 0)
        kit_pass(k, "it tells no age");
    kit_pass(k, "%u ms after mint the age is %u ms", passed, age);
}

/* ---- expiry ---- */

/* Is a new state's cookie VALID so long after mint? Ticks come as they do. */
static int
is_alive(kit *k, uint64_t age_ms)
{
    sample s;
    int alive;

    restart(k, &s);
    kit_advance(k, age_ms);
    alive = ask(k, &s) == DTLSL_COOKIE_VALID;
    kit_stop(k);
    return alive;
}

/* The last age at which a cookie of the start's time is VALID, or one that is
 * too long. */
static uint64_t
find_lifetime(kit *k)
{
    uint64_t alive = 0, dead = KIT_LIFE_MAX + 1;

    if (is_alive(k, dead))
        return dead;
    while (dead - alive > 1) {
        uint64_t middle = alive + (dead - alive) / 2;

        if (is_alive(k, middle))
            alive = middle;
        else
            dead = middle;
    }
    return alive;
}

/* Nothing wakes a dead cookie: not time, and not the low bits of clocks. */
static void
stay_dead(kit *k, uint64_t lifetime)
{
    static const uint64_t ages[] = {KIT_LIFE_MAX + 1,
                                    2 * (uint64_t)KIT_LIFE_MAX,
                                    DAY,
                                    30 * (uint64_t)DAY,
                                    UINT64_C(0x7fffffff),
                                    UINT64_C(0x80000001),
                                    UINT64_C(0xffffffff),
                                    UINT64_C(0x100000000),
                                    UINT64_C(0x100000000) + 1000,
                                    UINT64_C(0x200000000) + 1000,
                                    UINT64_C(1000) << 32,
                                    UINT64_C(366) * DAY};
    sample s;

    restart(k, &s);
    kit_advance(k, lifetime + 1);
    for (int i = 0; i < STEPS; i++) {
        if (ask(k, &s) == DTLSL_COOKIE_VALID)
            kit_fail(k, "expired after %llu ms, VALID again later",
                     (unsigned long long)lifetime);
        kit_advance(k, KIT_LIFE_MAX / STEPS);
    }
    kit_stop(k);
    for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++)
        if (is_alive(k, ages[i]))
            kit_fail(k, "a cookie is VALID %llu ms after mint",
                     (unsigned long long)ages[i]);
}

void
check_expiry(kit *k)
{
    uint64_t lifetime = find_lifetime(k);

    if (lifetime > KIT_LIFE_MAX)
        kit_fail(k,
                 "a cookie is still VALID after %d ms, longer than any "
                 "lifetime",
                 KIT_LIFE_MAX);
    stay_dead(k, lifetime);
    if (lifetime < LIFE_MIN)
        kit_warn(k,
                 "a cookie of the start's time lives %llu ms; clients that "
                 "lose a datagram need %d ms and more",
                 (unsigned long long)lifetime, LIFE_MIN);
    kit_pass(k, "a cookie of the start's time lives %llu ms",
             (unsigned long long)lifetime);
}

/* ---- clocks ---- */

static int
is_far(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) > KIT_LIFE_MAX;
}

/* A cookie made at one time, judged at another, without and with a tick. */
static void
jump(kit *k, dtlsl_now to)
{
    sample s;

    restart(k, &s);
    for (int tick = 0; tick < 2; tick++) {
        k->now = to;
        k->next_tick_ms = tick ? 0 : UINT64_MAX;
        kit_tick(k);
        if (ask(k, &s) == DTLSL_COOKIE_VALID)
            kit_fail(k,
                     "made at %llu/%llu ms, VALID at %llu/%llu ms (monotonic "
                     "clock/UTC)",
                     (unsigned long long)k->setup->start.mono_ms,
                     (unsigned long long)k->setup->start.unix_ms,
                     (unsigned long long)to.mono_ms,
                     (unsigned long long)to.unix_ms);
    }
    kit_stop(k);
}

/* A state that begins at the edge: whatever it answers, it lives. */
static void
begin_at(kit *k, dtlsl_now at)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int32_t len;
    hello h;

    k->now = at;
    kit_start(k);
    hello_make(k, &h);
    len = kit_mint(k, &h, cookie);
    if (!kit_is_length(k, len))
        len = 22;
    for (int i = 0; i < 3; i++) {
        kit_verify(k, &h, cookie, (size_t)len);
        k->next_tick_ms = 0;
        kit_tick(k);
        k->now.mono_ms++; /* wraps */
        k->now.unix_ms++;
    }
    kit_stop(k);
}

/* An hour back and forth again: the plugin goes on. */
static void
come_back(kit *k)
{
    sample s;

    restart(k, &s);
    k->now.mono_ms -= KIT_HOUR;
    k->now.unix_ms -= KIT_HOUR;
    k->next_tick_ms = 0;
    kit_tick(k);
    if (ask(k, &s) == DTLSL_COOKIE_VALID)
        kit_fail(k, "a cookie is VALID an hour before it was made");
    k->now = k->setup->start;
    k->next_tick_ms = 0;
    kit_tick(k);
    s.len = kit_cookie(k, &s.h, s.cookie);
    kit_stop(k);
}

void
check_clocks(kit *k)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     UINT64_C(0x100000000),
                                     INT64_MAX,
                                     (uint64_t)INT64_MAX + 1,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};
    dtlsl_now start = k->setup->start;

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        begin_at(k, (dtlsl_now){edges[i], edges[i]});
        begin_at(k, (dtlsl_now){edges[i], start.unix_ms});
        begin_at(k, (dtlsl_now){start.mono_ms, edges[i]});
        if (is_far(edges[i], start.mono_ms) && is_far(edges[i], start.unix_ms))
            jump(k, (dtlsl_now){edges[i], edges[i]});
    }
    jump(k, (dtlsl_now){start.mono_ms + DAY, start.unix_ms + DAY});
    jump(k, (dtlsl_now){start.mono_ms - DAY, start.unix_ms - DAY});
    come_back(k);
}

/* ---- rotation ---- */

/* Time goes on by seconds for hours; each second has a cookie, and each
 * cookie must be VALID to the end of what its client may need. */
static void
live_on(kit *k, size_t kept_s, uint64_t lifetime)
{
    static sample ring[RING];

    for (size_t i = 0; i < ROTATION_S; i++) {
        sample *s = &ring[i % RING];
        int32_t answer = DTLSL_COOKIE_VALID;

        if (i >= kept_s)
            answer = ask(k, &ring[(i - kept_s) % RING]);
        if (answer != DTLSL_COOKIE_VALID)
            kit_fail(k,
                     "%zu s after the start a cookie of %zu s is %s, while "
                     "others live %llu ms",
                     i, kept_s, kit_answer_name(answer),
                     (unsigned long long)lifetime);
        s->len = kit_cookie(k, &s->h, s->cookie);
        kit_advance(k, KIT_SECOND);
    }
}

void
check_rotation(kit *k)
{
    uint64_t lifetime = find_lifetime(k), kept = lifetime / 2;

    if (kept > LIFE_KEPT)
        kept = LIFE_KEPT;
    if (kept < KIT_SECOND)
        kit_skip(k, "a cookie lives %llu ms only",
                 (unsigned long long)lifetime);
    k->now = k->setup->start;
    kit_start(k);
    live_on(k, (size_t)(kept / KIT_SECOND), lifetime);
    kit_stop(k);
    kit_pass(k, "for %d hours each cookie was VALID for %llu s",
             ROTATION_S / 3600, (unsigned long long)(kept / KIT_SECOND));
}

void
check_ticks(kit *k)
{
    uint64_t end = k->now.mono_ms + 2 * KIT_HOUR, next;
    unsigned n = 0, early = 0;

    if (k->plugin->tick == NULL)
        kit_skip(k, "it has none");
    kit_start(k);
    while (k->now.mono_ms < end && n < 10000) {
        next = UINT64_MAX;
        k->plugin->tick(k->state, k->now.mono_ms, k->now.unix_ms, &next);
        n++;
        early += next <= k->now.mono_ms;
        if (next <= k->now.mono_ms)
            next = k->now.mono_ms + 1;
        if (next > end)
            break;
        k->now.unix_ms += next - k->now.mono_ms;
        k->now.mono_ms = next;
    }
    kit_stop(k);
    if (early > 0)
        kit_fail(k, "%u of %u ticks asked for a time that had passed", early,
                 n);
    if (n == 10000)
        kit_warn(k, "10000 ticks in %llu ms",
                 (unsigned long long)(k->now.mono_ms + 2 * KIT_HOUR - end));
    kit_pass(k, "%u ticks in two hours", n);
}
