/* SPDX-License-Identifier: MIT
 * A module for the tests, sound but for the flaw that its option 'flaw'
 * names. */
#include "sound.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <unistd.h>

enum {
    LIE = 100 /* bytes of a text that is too long */
};

struct state;

/* What is NULL is as it should be. */
typedef struct flaw {
    const char *name;
    /* What both mint and verify do not look at. */
    void (*hide)(struct state *s, dtlsl_cookie_input *in);
    int32_t (*mint)(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie,
                    size_t cap);
    int32_t (*verify)(sound *s, const dtlsl_cookie_input *in,
                      const uint8_t *cookie, size_t len,
                      dtlsl_cookie_result *out);
    void (*close)(sound *s);
    int32_t (*refuse)(const char *key, char *err, size_t err_len);
    void (*tick)(uint64_t mono_ms, uint64_t *next_mono_ms);
    int32_t (*counter)(uint32_t index, const char **name, uint64_t *value);
} flaw;

typedef struct state {
    sound base; /* first: closed as such */
    const flaw *flaw;
    uint8_t core[SOUND_CORE_MAX];
} state;

/* ---- binds too little ---- */

static void
hide_peer(state *s, dtlsl_cookie_input *in)
{
    (void)s;
    memset(in->peer, 0, 16);
}

static void
hide_port(state *s, dtlsl_cookie_input *in)
{
    (void)s;
    memset(in->peer + 16, 0, 2);
}

static void
hide_random(state *s, dtlsl_cookie_input *in)
{
    memcpy(s->core, in->core, in->core_len);
    memset(s->core + 2, 0, 32);
    in->core = s->core;
}

static void
hide_session(state *s, dtlsl_cookie_input *in)
{
    (void)s;
    in->core_len = 34;
}

static int32_t
verify_all(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
           size_t len, dtlsl_cookie_result *out)
{
    (void)s;
    (void)in;
    (void)cookie;
    (void)len;
    (void)out;
    return DTLSL_COOKIE_VALID;
}

static int32_t
verify_half_tag(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                size_t len, dtlsl_cookie_result *out)
{
    uint8_t tag[32];
    uint64_t issued;

    if (len != SOUND_LEN || sound_tag(s, in, cookie, tag) < 0)
        return DTLSL_COOKIE_MALFORMED;
    if (memcmp(tag, cookie + SOUND_TIME, 8) != 0)
        return DTLSL_COOKIE_MISMATCH;
    memcpy(&issued, cookie, sizeof(issued));
    return sound_judge_time(in, issued, out);
}

static int32_t
verify_longer(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
              size_t len, dtlsl_cookie_result *out)
{
    return sound_verify(s, in, cookie, len > SOUND_LEN ? SOUND_LEN : len, out);
}

static int32_t
verify_with_tail(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                 size_t len, dtlsl_cookie_result *out)
{
    if (in->flags & DTLSL_COOKIE_IN_FRAGMENTED)
        return DTLSL_COOKIE_MISMATCH;
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_strictly(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                size_t len, dtlsl_cookie_result *out)
{
    int32_t answer = sound_verify(s, in, cookie, len, out);

    return answer == DTLSL_COOKIE_MALFORMED ? DTLSL_COOKIE_MISMATCH : answer;
}

/* ---- lets in few, or nobody ---- */

static int
is_welcome(const dtlsl_cookie_input *in)
{
    static const uint8_t one[16] = {0, 0, 0,    0,    0,   0,  0,   0,
                                    0, 0, 0xff, 0xff, 198, 51, 100, 7};

    return memcmp(in->peer, one, sizeof(one)) == 0;
}

static int32_t
mint_for_one(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie,
             size_t cap)
{
    return is_welcome(in) ? sound_mint(s, in, cookie, cap)
                          : DTLSL_COOKIE_REFUSED;
}

static int32_t
verify_for_one(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
               size_t len, dtlsl_cookie_result *out)
{
    return is_welcome(in) ? sound_verify(s, in, cookie, len, out)
                          : DTLSL_COOKIE_REFUSED;
}

static int32_t
mint_for_none(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie,
              size_t cap)
{
    (void)s;
    (void)in;
    (void)cookie;
    (void)cap;
    return DTLSL_COOKIE_NOTREADY;
}

/* ---- memory ---- */

static int32_t
mint_over(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie, size_t cap)
{
    int32_t len = sound_mint(s, in, cookie, cap);

    if (len < 0)
        cookie[cap] = 0;
    return len;
}

static int32_t
mint_liar(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie, size_t cap)
{
    sound_mint(s, in, cookie, cap);
    return SOUND_LEN;
}

static int32_t
mint_zero(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie, size_t cap)
{
    int32_t len = sound_mint(s, in, cookie, cap);

    return len < 0 ? 0 : len;
}

static int32_t
verify_leak(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    void *volatile lost = malloc(16);

    (void)lost;
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_allocate(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                size_t len, dtlsl_cookie_result *out)
{
    void *volatile used = malloc(16);

    free(used);
    return sound_verify(s, in, cookie, len, out);
}

static void
close_leak(sound *s)
{
    s->host->hmac_free(s->mac);
}

static void
close_descriptor(sound *s)
{
    (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
    sound_close(s);
}

/* Believes to know what a greater size stands for. */
static int32_t
verify_over(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    if (out->size > sizeof(*out))
        memset(out + 1, 0, 4);
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_behind(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
              size_t len, dtlsl_cookie_result *out)
{
    volatile uint8_t behind = cookie[len];

    (void)behind;
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_long_core(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                 size_t len, dtlsl_cookie_result *out)
{
    volatile uint8_t behind = in->core[SOUND_CORE_MAX - 1];

    (void)behind;
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_write(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    ((dtlsl_cookie_input *)(uintptr_t)in)->fragment_len = 0;
    return sound_verify(s, in, cookie, len, out);
}

/* ---- ends ---- */

static int32_t
verify_crash(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    if (len == 0)
        abort();
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_hang(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    while (len == 0)
        pause();
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_exit(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    if (len == 0)
        _exit(0);
    return sound_verify(s, in, cookie, len, out);
}

/* ---- time ---- */

static int32_t
verify_for_ever(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                size_t len, dtlsl_cookie_result *out)
{
    (void)out;
    return sound_judge_tag(s, in, cookie, len);
}

/* 32 bits of milliseconds come again after 49.7 days. */
static int32_t
verify_wrapping(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                size_t len, dtlsl_cookie_result *out)
{
    int32_t answer = sound_judge_tag(s, in, cookie, len);
    uint32_t issued;

    if (answer != DTLSL_COOKIE_VALID)
        return answer;
    memcpy(&issued, cookie, sizeof(issued));
    out->age_ms = (uint32_t)in->mono_ms - issued;
    return out->age_ms <= SOUND_LIFETIME ? DTLSL_COOKIE_VALID
                                         : DTLSL_COOKIE_EXPIRED;
}

static int32_t
verify_old(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
           size_t len, dtlsl_cookie_result *out)
{
    int32_t answer = sound_verify(s, in, cookie, len, out);

    out->age_ms = 777;
    return answer;
}

/* A new key every ten minutes, and the old one is gone at once. */
static void
change_key(state *s, dtlsl_cookie_input *in)
{
    uint64_t period = in->mono_ms / 600000;

    (void)s;
    in->peer[22] = (uint8_t)(period >> 8);
    in->peer[23] = (uint8_t)period;
}

static void
tick_past(uint64_t mono_ms, uint64_t *next_mono_ms)
{
    *next_mono_ms = mono_ms;
}

/* ---- moods ---- */

static int32_t
verify_nothing(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
               size_t len, dtlsl_cookie_result *out)
{
    int32_t answer = sound_verify(s, in, cookie, len, out);

    return answer == DTLSL_COOKIE_VALID ? DTLSL_COOKIE_MISMATCH : answer;
}

static int32_t
verify_short_hello(sound *s, const dtlsl_cookie_input *in,
                   const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    if (in->fragment_len > 1000)
        return DTLSL_COOKIE_MISMATCH;
    return sound_verify(s, in, cookie, len, out);
}

/* Who sends enough garbage takes the cookies of all. */
static int32_t
verify_until(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    static int n_bad;
    int32_t answer = sound_verify(s, in, cookie, len, out);

    n_bad += answer != DTLSL_COOKIE_VALID;
    return n_bad > 15000 ? DTLSL_COOKIE_MISMATCH : answer;
}

static int32_t
verify_exact_size(sound *s, const dtlsl_cookie_input *in,
                  const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    if (in->size != sizeof(*in))
        return DTLSL_ERR_ARGUMENT;
    return sound_verify(s, in, cookie, len, out);
}

/* One for all states. */
static int n_open, is_broken;

static int32_t
verify_shared(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
              size_t len, dtlsl_cookie_result *out)
{
    return is_broken ? DTLSL_COOKIE_UNKNOWN_KEY
                     : sound_verify(s, in, cookie, len, out);
}

static void
close_shared(sound *s)
{
    is_broken |= n_open > 1;
    sound_close(s);
}

/* ---- words ---- */

static int32_t
verify_loud(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    s->host->log(s->host->ctx, 0, "a hello came");
    return sound_verify(s, in, cookie, len, out);
}

static int32_t
verify_raise(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    int32_t answer = sound_verify(s, in, cookie, len, out);

    if (answer != DTLSL_COOKIE_VALID)
        ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    return answer;
}

static int32_t
refuse_over(const char *key, char *err, size_t err_len)
{
    if (err_len >= LIE)
        snprintf(err, err_len, "no option '%s'", key);
    else
        memset(err, 'x', LIE);
    return DTLSL_ERR_OPTION;
}

static int32_t
refuse_silently(const char *key, char *err, size_t err_len)
{
    (void)key;
    (void)err;
    (void)err_len;
    return DTLSL_ERR_OPTION;
}

/* Has no text for an option that it knows. */
static int32_t
refuse_known(const char *key, char *err, size_t err_len)
{
    if (strcmp(key, "flaw") != 0)
        snprintf(err, err_len, "no option '%s'", key);
    return DTLSL_ERR_OPTION;
}

static int32_t
refuse_nothing(const char *key, char *err, size_t err_len)
{
    (void)key;
    (void)err;
    (void)err_len;
    return DTLSL_OK;
}

static int32_t
counter_endless(uint32_t index, const char **name, uint64_t *value)
{
    (void)index;
    *name = "again";
    *value = 0;
    return DTLSL_OK;
}

static const flaw flaws[] = {
    {.name = "none"},
    {.name = "hides-peer", .hide = hide_peer},
    {.name = "hides-port", .hide = hide_port},
    {.name = "hides-random", .hide = hide_random},
    {.name = "hides-session", .hide = hide_session},
    {.name = "rotates-away", .hide = change_key},
    {.name = "takes-all", .verify = verify_all},
    {.name = "takes-half-a-tag", .verify = verify_half_tag},
    {.name = "takes-longer", .verify = verify_longer},
    {.name = "wants-whole-hellos", .verify = verify_with_tail},
    {.name = "strict", .verify = verify_strictly},
    {.name = "lets-in-one", .mint = mint_for_one, .verify = verify_for_one},
    {.name = "has-no-key", .mint = mint_for_none},
    {.name = "writes-over-cap", .mint = mint_over},
    {.name = "returns-too-much", .mint = mint_liar},
    {.name = "returns-zero", .mint = mint_zero},
    {.name = "leaks-in-verify", .verify = verify_leak},
    {.name = "allocates", .verify = verify_allocate},
    {.name = "leaks-in-close", .close = close_leak},
    {.name = "leaks-descriptors", .close = close_descriptor},
    {.name = "writes-over-result", .verify = verify_over},
    {.name = "reads-behind-cookie", .verify = verify_behind},
    {.name = "reads-behind-core", .verify = verify_long_core},
    {.name = "writes-to-input", .verify = verify_write},
    {.name = "crashes", .verify = verify_crash},
    {.name = "hangs", .verify = verify_hang},
    {.name = "exits", .verify = verify_exit},
    {.name = "never-expires", .verify = verify_for_ever},
    {.name = "wraps", .verify = verify_wrapping},
    {.name = "tells-wrong-age", .verify = verify_old},
    {.name = "ticks-past", .tick = tick_past},
    {.name = "rejects-its-own", .verify = verify_nothing},
    {.name = "wants-short-hellos", .verify = verify_short_hello},
    {.name = "gives-up", .verify = verify_until},
    {.name = "wants-exact-sizes", .verify = verify_exact_size},
    {.name = "shares", .verify = verify_shared, .close = close_shared},
    {.name = "takes-options-once", .refuse = refuse_known},
    {.name = "loud", .verify = verify_loud},
    {.name = "leaves-errors", .verify = verify_raise},
    {.name = "writes-over-err", .refuse = refuse_over},
    {.name = "silent", .refuse = refuse_silently},
    {.name = "takes-any-option", .refuse = refuse_nothing},
    {.name = "endless-counters", .counter = counter_endless},
};

/* ---- the table ---- */

static const flaw *
find(const char *name)
{
    for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++)
        if (strcmp(flaws[i].name, name) == 0)
            return &flaws[i];
    return NULL;
}

static int32_t
refuse(const state *s, const dtlsl_cookie_option *option, char *err,
       size_t err_len)
{
    if (s->flaw->refuse != NULL)
        return s->flaw->refuse(option->key, err, err_len);
    snprintf(err, err_len, "no option '%s' with '%s'; take it out",
             option->key, option->value);
    return DTLSL_ERR_OPTION;
}

static int32_t
flawed_open(const dtlsl_cookie_host *host, void *user,
            const dtlsl_cookie_option *options, size_t n_options, void **out,
            char *err, size_t err_len)
{
    state *s = calloc(1, sizeof(*s));
    int32_t status = s != NULL ? DTLSL_OK : DTLSL_ERR_NOMEM;

    (void)user;
    if (s != NULL)
        s->flaw = &flaws[0];
    for (size_t i = 0; status == DTLSL_OK && i < n_options; i++) {
        const flaw *f = find(options[i].value);

        if (strcmp(options[i].key, "flaw") == 0 && f != NULL &&
            (s->flaw == &flaws[0] || f->refuse != refuse_known))
            s->flaw = f;
        else
            status = refuse(s, &options[i], err, err_len);
    }
    if (status == DTLSL_OK)
        status = sound_open(&s->base, host);
    n_open += status == DTLSL_OK;
    if (status == DTLSL_OK)
        *out = s;
    else
        free(s);
    return status;
}

static void
flawed_close(void *opaque)
{
    state *s = opaque;

    if (s->flaw->close != NULL)
        s->flaw->close(&s->base);
    else
        sound_close(&s->base);
    n_open--;
}

static int32_t
flawed_mint(void *opaque, const dtlsl_cookie_input *in, uint8_t *cookie,
            size_t cap)
{
    state *s = opaque;
    dtlsl_cookie_input seen = *in;

    if (s->flaw->hide != NULL)
        s->flaw->hide(s, &seen);
    if (s->flaw->mint != NULL)
        return s->flaw->mint(&s->base, &seen, cookie, cap);
    return sound_mint(&s->base, &seen, cookie, cap);
}

static int32_t
flawed_verify(void *opaque, const dtlsl_cookie_input *in,
              const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    state *s = opaque;
    dtlsl_cookie_input seen = *in;

    if (s->flaw->verify != NULL)
        return s->flaw->verify(&s->base, in, cookie, len, out);
    if (s->flaw->hide != NULL)
        s->flaw->hide(s, &seen);
    return sound_verify(&s->base, &seen, cookie, len, out);
}

static void
flawed_tick(void *opaque, uint64_t mono_ms, uint64_t unix_ms,
            uint64_t *next_mono_ms)
{
    state *s = opaque;

    (void)unix_ms;
    *next_mono_ms = UINT64_MAX;
    if (s->flaw->tick != NULL)
        s->flaw->tick(mono_ms, next_mono_ms);
}

static int32_t
flawed_counter(void *opaque, uint32_t index, const char **name,
               uint64_t *value)
{
    state *s = opaque;

    if (s->flaw->counter != NULL)
        return s->flaw->counter(index, name, value);
    return DTLSL_ERR_ARGUMENT;
}

#ifndef TABLE_CUT
#define TABLE_CUT 0
#endif

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table) - TABLE_CUT,
    .abi = DTLSL_COOKIE_ABI,
    .name = "flawed",
    .max_cookie_len = SOUND_LEN,
    .open = flawed_open,
    .close = flawed_close,
    .mint = flawed_mint,
    .verify = flawed_verify,
    .tick = flawed_tick,
    .counter = flawed_counter,
};

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table;
}
