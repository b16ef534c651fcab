/* SPDX-License-Identifier: MIT
 * The strategy "hmac": one host, 22 bytes, the monotonic clock.
 * dtlslisten-cookie(7). Built into the library, and as a module. */
#include "file.h"
#include "module.h"
#include "tagged.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COOKIE_LEN = 22,
    SKEW_MS = 5000,
    /* More live secrets than this: the next reload waits. */
    GENERATIONS_MAX = 4,
    BOOT_ID_UNSET = 2
};

enum {
    COUNT_SECRET_RELOADS = DTLSL__COUNT_OWN,
    COUNT_SECRET_FILE_ERRORS
};

static const dtlsl__tagged form = {
    .use = &dtlsl__key_use_hmac,
    .fmt = 0x10,
    .header_len = 6,
    .binds_zone = 1,
};

static const dtlsl__file_rule secret_rule = {
    .option = "secret-file",
    .refused = 0006,
    .min = DTLSL__SECRET_MIN,
    .max = DTLSL__SECRET_MAX,
};

typedef struct state {
    dtlsl__base base;
    uint32_t boot_id;
    char *secret_file;
    dtlsl__file_look look;
    uint64_t next_poll_ms;
    dtlsl__file_fault fault;
    size_t n_keys; /* the first one mints, retire_ms is of verifying */
    dtlsl__key key[GENERATIONS_MAX];
} state;

/* ---- options ---- */

static int32_t
hmac_option(dtlsl__base *base, const dtlsl_cookie_option *option, char *err,
            size_t err_len)
{
    state *s = (state *)base;

    if (strcmp(option->key, "secret-file") == 0)
        return dtlsl__option_path(option, "a file of 32 to 256 random bytes",
                                  &s->secret_file, err, err_len);
    if (strcmp(option->key, "boot-id") == 0)
        return dtlsl__option_number(option, 0, 1, &s->boot_id, err, err_len);
    return DTLSL_ERR_OPTION;
}

static const char *const own_counts[3] = {"secret_reloads",
                                          "secret_file_errors"};

/* ---- packet path ---- */

static int32_t
hmac_mint(dtlsl__base *base, const dtlsl_cookie_input *in, uint8_t *cookie,
          size_t cap)
{
    state *s = (state *)base;

    return dtlsl__tagged_mint(&form, base, &s->key[0], in, in->mono_ms, cookie,
                              cap);
}

/* Two secrets may share a kid: the more telling answer counts. */
static int32_t
hmac_verify(dtlsl__base *base, const dtlsl_cookie_input *in,
            const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    state *s = (state *)base;
    int32_t best = DTLSL_COOKIE_UNKNOWN_KEY;
    int64_t delta;

    if (!dtlsl__tagged_has_form(&form, cookie, len))
        return DTLSL_COOKIE_MALFORMED;
    for (size_t i = 0; i < s->n_keys; i++) {
        dtlsl__key *key = &s->key[i];
        int32_t status;

        if (key->kid != cookie[1] || in->mono_ms > key->retire_ms)
            continue;
        status = dtlsl__tagged_judge(&form, &s->base, key, in, in->mono_ms,
                                     cookie, &delta);
        if (status == DTLSL_COOKIE_VALID)
            dtlsl__base_accept(&s->base, delta, out);
        if (status == DTLSL_COOKIE_VALID || status < 0)
            return status;
        if (best == DTLSL_COOKIE_UNKNOWN_KEY || best == DTLSL_COOKIE_MISMATCH)
            best = status;
    }
    return best;
}

static const dtlsl__kind kind = {
    .name = "hmac",
    .option_names = "secret-file, boot-id, ",
    .own_counts = own_counts,
    .option = hmac_option,
    .mint = hmac_mint,
    .verify = hmac_verify,
};

/* ---- secrets ---- */

static int32_t
make_key(state *s, dtlsl__key *key, const uint8_t *secret, size_t len)
{
    const dtlsl_cookie_host *host = s->base.host;
    int32_t status = dtlsl__key_init(key, host, secret, len);

    if (status >= 0)
        status = dtlsl__schedule_kid(host, key->prk, &key->kid);
    if (status >= 0)
        status = dtlsl__schedule_offset(host, key->prk, key->kid,
                                        &s->base.realm, &key->offset);
    if (status < 0)
        dtlsl__key_clear(key, host, form.use);
    return status;
}

/* Takes number i out without clearing its keys. */
static void
take_out(state *s, size_t i)
{
    s->n_keys--;
    memmove(s->key + i, s->key + i + 1, (s->n_keys - i) * sizeof(s->key[0]));
    s->base.host->cleanse(&s->key[s->n_keys], sizeof(s->key[0]));
}

/* Puts 'key' in force; the one before it verifies until its cookies are out.
 */
static void
put_in_force(state *s, const dtlsl__key *key, uint64_t mono_ms)
{
    s->key[0].retire_ms = mono_ms + s->base.lifetime_ms + SKEW_MS;
    memmove(s->key + 1, s->key, s->n_keys * sizeof(*key));
    s->key[0] = *key;
    s->key[0].retire_ms = UINT64_MAX;
    s->n_keys++;
    s->base.counters[COUNT_SECRET_RELOADS]++;
}

static void
retire(state *s, uint64_t mono_ms)
{
    for (size_t i = s->n_keys; i > 1; i--) {
        if (s->key[i - 1].retire_ms >= mono_ms)
            continue;
        dtlsl__key_clear(&s->key[i - 1], s->base.host, form.use);
        take_out(s, i - 1);
    }
}

/* 1 if the secret is in force now, 0 if that has to wait. */
static int
adopt_secret(state *s, const uint8_t *secret, size_t len, uint64_t mono_ms)
{
    const dtlsl_cookie_host *host = s->base.host;
    dtlsl__key key;

    if (make_key(s, &key, secret, len) < 0)
        return 0;
    for (size_t i = 0; i < s->n_keys; i++) {
        if (!host->ct_equal(key.prk, s->key[i].prk, 32))
            continue;
        dtlsl__key_clear(&key, host, form.use);
        if (i == 0)
            return 1;
        key = s->key[i];
        take_out(s, i);
        break;
    }
    if (s->n_keys == GENERATIONS_MAX) {
        dtlsl__key_clear(&key, host, form.use);
        return 0;
    }
    put_in_force(s, &key, mono_ms);
    host->cleanse(&key, sizeof(key));
    return 1;
}

static void
complain(state *s, const char *err)
{
    char line[600];

    s->base.counters[COUNT_SECRET_FILE_ERRORS]++;
    if (!dtlsl__file_is_news(&s->fault, err))
        return;
    snprintf(line, sizeof(line), "%s (the old secret stays)", err);
    s->base.host->log(s->base.host->ctx, 1, line);
}

static void
poll_secret(state *s, uint64_t mono_ms)
{
    uint8_t secret[DTLSL__SECRET_MAX + 1];
    dtlsl__file_look look;
    char err[512];
    int32_t len;

    if (dtlsl__file_is_unchanged(s->secret_file, &s->look)) {
        dtlsl__file_is_news(&s->fault, NULL);
        return;
    }
    len = dtlsl__file_read(s->secret_file, &secret_rule, secret, &look, NULL,
                           err, sizeof(err));
    if (len < 0) {
        complain(s, err);
    } else {
        dtlsl__file_is_news(&s->fault, NULL);
        if (adopt_secret(s, secret, (size_t)len, mono_ms))
            s->look = look;
    }
    s->base.host->cleanse(secret, sizeof(secret));
}

static void
hmac_tick(void *opaque, uint64_t mono_ms, uint64_t unix_ms,
          uint64_t *next_mono_ms)
{
    state *s = opaque;
    uint64_t next = dtlsl__key_prepare_next(mono_ms);

    (void)unix_ms;
    retire(s, mono_ms);
    if (s->secret_file != NULL) {
        if (mono_ms >= s->next_poll_ms) {
            poll_secret(s, mono_ms);
            s->next_poll_ms = mono_ms + s->base.poll_ms;
        }
        if (s->next_poll_ms < next)
            next = s->next_poll_ms;
    }
    for (size_t i = 0; i < s->n_keys; i++) {
        dtlsl__key_prepare(&s->key[i], &s->base, form.use, mono_ms);
        if (s->key[i].retire_ms < next)
            next = s->key[i].retire_ms + 1;
    }
    *next_mono_ms = next;
}

/* ---- open and close ---- */

static void
hmac_close(void *opaque)
{
    state *s = opaque;

    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_keys; i++)
        dtlsl__key_clear(&s->key[i], s->base.host, form.use);
    free(s->secret_file);
    dtlsl__base_free(&s->base, sizeof(*s));
}

static int32_t
first_secret(state *s, char *err, size_t err_len)
{
    uint8_t secret[DTLSL__SECRET_MAX + 1];
    int32_t len = DTLSL_COOKIE_SECRET_LEN;
    int32_t status;

    if (s->secret_file != NULL) {
        len = dtlsl__file_read(s->secret_file, &secret_rule, secret, &s->look,
                               NULL, err, err_len);
        if (len < 0)
            return len;
    } else if (s->base.host->default_secret != NULL) {
        memcpy(secret, s->base.host->default_secret, DTLSL_COOKIE_SECRET_LEN);
    } else {
        return dtlsl__refuse(err, err_len, DTLSL_ERR_PLUGIN,
                             "strategy hmac got no secret; set secret-file");
    }
    status = make_key(s, &s->key[0], secret, (size_t)len);
    s->base.host->cleanse(secret, sizeof(secret));
    if (status < 0)
        return dtlsl__refuse(err, err_len, status,
                             "strategy hmac cannot compute HMAC-SHA-256; "
                             "check that OpenSSL's provider offers it");
    s->n_keys = 1;
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
    if (s->boot_id == BOOT_ID_UNSET)
        s->boot_id = s->secret_file != NULL;
    if (s->boot_id == 1 &&
        dtlsl__realm_read_boot_id(&s->base.realm) != DTLSL_OK)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                             "option boot-id: the kernel's boot_id cannot be "
                             "read in /proc; set boot-id=0 and keep "
                             "secret-file where a reboot loses it");
    return first_secret(s, err, err_len);
}

static int32_t
hmac_open(const dtlsl_cookie_host *host, void *user,
          const dtlsl_cookie_option *options, size_t n_options, void **out,
          char *err, size_t err_len)
{
    int32_t status;
    state *s = dtlsl__base_new(&kind, sizeof(*s), host, &status, err, err_len);

    (void)user;
    if (s == NULL)
        return status;
    s->base.skew_ms = SKEW_MS;
    s->boot_id = BOOT_ID_UNSET;
    status = set_up(s, options, n_options, err, err_len);
    if (status != DTLSL_OK) {
        hmac_close(s);
        return status;
    }
    *out = s;
    return DTLSL_OK;
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "hmac",
    .max_cookie_len = COOKIE_LEN,
    .open = hmac_open,
    .close = hmac_close,
    .mint = dtlsl__base_mint,
    .verify = dtlsl__base_verify,
    .tick = hmac_tick,
    .counter = dtlsl__base_counter,
};

const dtlsl_cookie_plugin *
dtlsl__cookie_hmac(void)
{
    return &table;
}
