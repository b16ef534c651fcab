/* SPDX-License-Identifier: MIT
 * The strategy "aead": time and application data encrypted in the cookie, 23
 * bytes and the data. dtlslisten-cookie(7). Built into the library, or as a
 * module. */
#include "keyset.h"
#include "module.h"
#include "seal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_LEN = 3, /* fmt, kid, low byte of the epoch */
    TIME_LEN = 4,
    FIXED_LEN = HEADER_LEN + DTLSL__SEAL_TAG + TIME_LEN,
    FMT_SIV = 0x20,
    FMT_FIPS = 0x40,
    APP_DEFAULT_MAX = 9,
    SKEW_LOCAL_MS = 5000, /* without a key file: the monotonic clock */
    SKEW_UNSET = UINT32_MAX >> 1
};

typedef struct state {
    dtlsl__base base;
    const dtlsl__key_use *use;
    uint8_t fmt;
    dtlsl__keyset keys; /* with a key file */
    dtlsl__key own;     /* without: the config's secret */
    uint32_t max_app_len;
    uint32_t app_len;
    uint8_t app[DTLSL_COOKIE_APP_MAX];
} state;

/* ---- options ---- */

static int
parse_hex(const char *text, uint8_t *out, uint32_t *out_len)
{
    size_t len = strlen(text);

    if (len % 2 != 0 || len / 2 > DTLSL_COOKIE_APP_MAX)
        return 0;
    for (size_t i = 0; i < len; i += 2) {
        char digits[3] = {text[i], text[i + 1], '\0'};

        if (strspn(digits, "0123456789abcdefABCDEF") != 2)
            return 0;
        out[i / 2] = (uint8_t)strtoul(digits, NULL, 16);
    }
    *out_len = (uint32_t)(len / 2);
    return 1;
}

static int32_t
take_app(state *s, const char *value, char *err, size_t err_len)
{
    if (value[0] == '\0') {
        s->app_len = 0;
        return DTLSL_OK;
    }
    if (strncmp(value, "hex:", 4) != 0 ||
        !parse_hex(value + 4, s->app, &s->app_len))
        return dtlsl__refuse(err, err_len, DTLSL_ERR_ARGUMENT,
                             "option app: '%.40s' is not hex: and an even "
                             "number of hexadecimal digits, at most %d bytes",
                             value, DTLSL_COOKIE_APP_MAX);
    return DTLSL_OK;
}

static int32_t
take_profile(state *s, const char *value, char *err, size_t err_len)
{
    if (strcmp(value, "siv") == 0) {
        s->fmt = FMT_SIV;
        s->use = &dtlsl__key_use_siv;
    } else if (strcmp(value, "fips") == 0) {
        s->fmt = FMT_FIPS;
        s->use = &dtlsl__key_use_fips;
    } else {
        return dtlsl__refuse(err, err_len, DTLSL_ERR_ARGUMENT,
                             "option profile: '%.40s' is none; give siv or "
                             "fips",
                             value);
    }
    return DTLSL_OK;
}

static int32_t
aead_option(dtlsl__base *base, const dtlsl_cookie_option *option, char *err,
            size_t err_len)
{
    state *s = (state *)base;
    const char *key = option->key;

    if (strcmp(key, "max-app-len") == 0)
        return dtlsl__option_number(option, 0, DTLSL_COOKIE_APP_MAX,
                                    &s->max_app_len, err, err_len);
    if (strcmp(key, "app") == 0)
        return take_app(s, option->value, err, err_len);
    if (strcmp(key, "profile") == 0)
        return take_profile(s, option->value, err, err_len);
    return dtlsl__keyset_option(&s->keys, base, option, err, err_len);
}

/* ---- packet path ---- */

static uint64_t
clock_of(const state *s, const dtlsl_cookie_input *in)
{
    return s->keys.path != NULL ? in->unix_ms : in->mono_ms;
}

static size_t
associated(uint8_t ad[DTLSL__MESSAGE_MAX], const state *s,
           const uint8_t *header, const dtlsl_cookie_input *in)
{
    return dtlsl__schedule_message(ad, header, HEADER_LEN, in,
                                   s->keys.path == NULL);
}

static int32_t
aead_mint(dtlsl__base *base, const dtlsl_cookie_input *in, uint8_t *cookie,
          size_t cap)
{
    state *s = (state *)base;
    uint64_t now_ms = clock_of(s, in), epoch = now_ms / DTLSL__EPOCH_MS;
    size_t len = FIXED_LEN + s->app_len, ad_len;
    uint8_t plain[TIME_LEN + DTLSL_COOKIE_APP_MAX];
    uint8_t ad[DTLSL__MESSAGE_MAX];
    dtlsl__key *key = &s->own;
    void *context;
    int32_t status;

    if (s->keys.path != NULL)
        key = dtlsl__keyset_mints(&s->keys, &s->base, now_ms);
    if (key == NULL)
        return DTLSL_COOKIE_NOTREADY;
    if (cap < len)
        return DTLSL_ERR_SPACE;
    context = dtlsl__key_context(key, &s->base, s->use, epoch);
    if (context == NULL)
        return DTLSL_ERR_NOMEM;
    cookie[0] = s->fmt;
    if (dtlsl__schedule_binds_tail(in, len, s->base.tail_budget))
        cookie[0] |= DTLSL__FMT_TAIL;
    cookie[1] = key->kid;
    cookie[2] = (uint8_t)epoch;
    dtlsl__cookie_put32(plain, (uint32_t)now_ms);
    memcpy(plain + TIME_LEN, s->app, s->app_len);
    ad_len = associated(ad, s, cookie, in);
    status = dtlsl__seal(context, ad, ad_len, plain, TIME_LEN + s->app_len,
                         cookie + HEADER_LEN);
    return status < 0 ? status : (int32_t)len;
}

/* The context that may have sealed a cookie with that byte of its epoch: of an
 * epoch that is in the window, or, on a budget, of another that has its key
 * here, so that a cookie out of its window can be told as such. */
static void *
find_context(state *s, dtlsl__key *key, uint8_t low, uint64_t now_ms,
             uint64_t mono_ms, uint64_t *epoch)
{
    uint64_t first = now_ms > s->base.lifetime_ms
                         ? (now_ms - s->base.lifetime_ms) / DTLSL__EPOCH_MS
                         : 0;
    uint64_t last = (now_ms + s->base.skew_ms) / DTLSL__EPOCH_MS;

    for (*epoch = first; *epoch <= last; ++*epoch)
        if ((uint8_t)*epoch == low)
            return dtlsl__key_context(key, &s->base, s->use, *epoch);
    for (int i = 0; i < 2; i++) {
        *epoch = key->slot[i].epoch;
        if (key->slot[i].context != NULL && (uint8_t)*epoch == low)
            return dtlsl__base_take_stale(&s->base, mono_ms)
                       ? key->slot[i].context
                       : NULL;
    }
    return NULL;
}

/* A genuine cookie: is it in its window? */
static int32_t
judge_opened(state *s, const uint8_t *plain, size_t app_len, uint64_t epoch,
             uint64_t now_ms, dtlsl_cookie_result *out)
{
    int64_t delta = (int32_t)((uint32_t)now_ms - dtlsl__cookie_get32(plain));

    if (delta > 0 && (uint64_t)delta > now_ms)
        return DTLSL_COOKIE_MISMATCH;
    if ((now_ms - (uint64_t)delta) / DTLSL__EPOCH_MS != epoch)
        return DTLSL_COOKIE_MISMATCH;
    if (!dtlsl__base_in_window(&s->base, delta, now_ms))
        return delta > 0 ? DTLSL_COOKIE_EXPIRED : DTLSL_COOKIE_FUTURE;
    dtlsl__base_accept(&s->base, delta, out);
    out->app_len = (uint32_t)app_len;
    memcpy(out->app, plain + TIME_LEN, app_len);
    return DTLSL_COOKIE_VALID;
}

static int32_t
aead_verify(dtlsl__base *base, const dtlsl_cookie_input *in,
            const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    state *s = (state *)base;
    uint64_t now_ms = clock_of(s, in), epoch;
    uint8_t plain[TIME_LEN + DTLSL_COOKIE_APP_MAX];
    uint8_t ad[DTLSL__MESSAGE_MAX];
    dtlsl__key *key = &s->own;
    size_t ad_len;
    void *context;
    int32_t status;

    if (len < FIXED_LEN || (cookie[0] & 0xf0) != s->fmt ||
        (cookie[0] & DTLSL__FMT_RESERVED))
        return DTLSL_COOKIE_MALFORMED;
    if (s->keys.path != NULL)
        key = dtlsl__keyset_verifies(&s->keys, &s->base, cookie[1], now_ms);
    if (key == NULL || key->kid != cookie[1])
        return DTLSL_COOKIE_UNKNOWN_KEY;
    if (!dtlsl__base_has_inputs(in, cookie[0]))
        return DTLSL_COOKIE_NEED_MORE;
    context = find_context(s, key, cookie[2], now_ms, in->mono_ms, &epoch);
    if (context == NULL)
        return DTLSL_COOKIE_MISMATCH;
    ad_len = associated(ad, s, cookie, in);
    status = dtlsl__unseal(context, ad, ad_len, cookie + HEADER_LEN,
                           len - HEADER_LEN - DTLSL__SEAL_TAG, plain);
    if (status < 0)
        return status;
    if (status == 0)
        return DTLSL_COOKIE_MISMATCH;
    return judge_opened(s, plain, len - FIXED_LEN, epoch, now_ms, out);
}

static const dtlsl__kind kind = {
    .name = "aead",
    .option_names = "key-file, skew-ms, max-app-len, app, profile, ",
    .own_counts = dtlsl__keyset_counts,
    .option = aead_option,
    .mint = aead_mint,
    .verify = aead_verify,
};

/* ---- open and close ---- */

static void
aead_close(void *opaque)
{
    state *s = opaque;

    if (s == NULL)
        return;
    if (s->keys.path != NULL)
        dtlsl__keyset_close(&s->keys, &s->base);
    dtlsl__key_clear(&s->own, s->base.host, s->use);
    dtlsl__base_free(&s->base, sizeof(*s));
}

static int32_t
own_secret(state *s, char *err, size_t err_len)
{
    const dtlsl_cookie_host *host = s->base.host;
    int32_t status;

    if (host->default_secret == NULL)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_PLUGIN,
                             "strategy aead got no secret; set key-file");
    status = dtlsl__key_init(&s->own, host, host->default_secret,
                             DTLSL_COOKIE_SECRET_LEN);
    if (status >= 0)
        status = dtlsl__schedule_kid(host, s->own.prk, &s->own.kid);
    if (status < 0)
        return dtlsl__refuse(err, err_len, status,
                             "strategy aead cannot compute HMAC-SHA-256; "
                             "check that OpenSSL's provider offers it");
    return DTLSL_OK;
}

/* The profile's algorithms must be there before the first cookie. */
static int32_t
try_profile(state *s, char *err, size_t err_len)
{
    static const uint8_t key[64] = {1};
    void *context = s->use->make(s->base.host, key);

    if (context == NULL)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_PLUGIN,
                             "strategy aead: OpenSSL's provider has no usable "
                             "%s; choose the other profile, or cookie=hmac",
                             s->fmt == FMT_SIV ? "AES-128-CBC and AES-128-ECB"
                                               : "AES-256-ECB");
    s->use->drop(s->base.host, context);
    return DTLSL_OK;
}

static int32_t
set_up(state *s, const dtlsl_cookie_option *options, size_t n_options,
       char *err, size_t err_len)
{
    int32_t status =
        dtlsl__base_options(&s->base, options, n_options, err, err_len);

    if (status != DTLSL_OK)
        return status;
    if (s->app_len > s->max_app_len)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_ARGUMENT,
                             "option app: %u bytes are more than max-app-len "
                             "%u; shorten them, or raise it (above %d some "
                             "clients fail)",
                             s->app_len, s->max_app_len, APP_DEFAULT_MAX);
    if (s->base.skew_ms == SKEW_UNSET)
        s->base.skew_ms = s->keys.path != NULL ? 60000 : SKEW_LOCAL_MS;
    status = try_profile(s, err, err_len);
    if (status != DTLSL_OK)
        return status;
    s->keys.use = s->use;
    return s->keys.path != NULL
               ? dtlsl__keyset_open(&s->keys, &s->base, err, err_len)
               : own_secret(s, err, err_len);
}

static int32_t
aead_open(const dtlsl_cookie_host *host, void *user,
          const dtlsl_cookie_option *options, size_t n_options, void **out,
          char *err, size_t err_len)
{
    int32_t status;
    state *s = dtlsl__base_new(&kind, sizeof(*s), host, &status, err, err_len);

    (void)user;
    if (s == NULL)
        return status;
    s->base.skew_ms = SKEW_UNSET;
    s->max_app_len = APP_DEFAULT_MAX;
    s->fmt = FMT_SIV;
    s->use = &dtlsl__key_use_siv;
    status = set_up(s, options, n_options, err, err_len);
    if (status != DTLSL_OK) {
        aead_close(s);
        return status;
    }
    if (s->app_len > APP_DEFAULT_MAX)
        host->log(host->ctx, 1,
                  "strategy aead: cookies above 32 bytes break the handshakes "
                  "of GnuTLS, NSS, tinydtls and wolfSSL clients; keep app at "
                  "9 bytes");
    *out = s;
    return DTLSL_OK;
}

static void
aead_tick(void *opaque, uint64_t mono_ms, uint64_t unix_ms,
          uint64_t *next_mono_ms)
{
    state *s = opaque;

    if (s->keys.path != NULL) {
        *next_mono_ms =
            dtlsl__keyset_tick(&s->keys, &s->base, mono_ms, unix_ms);
        return;
    }
    dtlsl__key_prepare(&s->own, &s->base, s->use, mono_ms);
    *next_mono_ms = dtlsl__key_prepare_next(mono_ms);
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "aead",
    .max_cookie_len = FIXED_LEN + DTLSL_COOKIE_APP_MAX,
    .open = aead_open,
    .close = aead_close,
    .mint = dtlsl__base_mint,
    .verify = dtlsl__base_verify,
    .tick = aead_tick,
    .counter = dtlsl__base_counter,
};

const dtlsl_cookie_plugin *
dtlsl__cookie_aead(void)
{
    return &table;
}
