/* SPDX-License-Identifier: MIT
 * What every bundled strategy is made of. */
#include "strategy.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    STALE_BURST = 100,
    STALE_EVERY_MS = 10
};

static const char *const common_counts[DTLSL__COUNT_OWN] = {
    "minted",         "mint_failed", "valid",       "valid_early",
    "valid_late",     "malformed",   "unknown_key", "expired",
    "future",         "mismatch",    "need_more",   "verify_failed",
    "stale_unjudged",
};

int32_t
dtlsl__refuse(char *err, size_t err_len, int32_t code, const char *format, ...)
{
    va_list args;

    if (err != NULL && err_len > 0) {
        va_start(args, format);
        vsnprintf(err, err_len, format, args);
        va_end(args);
    }
    return code;
}

/* ---- options ---- */

int32_t
dtlsl__option_number(const dtlsl_cookie_option *option, uint32_t min,
                     uint32_t max, uint32_t *out, char *err, size_t err_len)
{
    const char *p = option->value;
    uint64_t value = 0;

    while (*p >= '0' && *p <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*p++ - '0');
    if (p == option->value || *p != '\0' || value < min || value > max)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_ARGUMENT,
                             "option %s: '%.40s' is not a whole number from "
                             "%u to %u; give one in that range",
                             option->key, option->value, min, max);
    *out = (uint32_t)value;
    return DTLSL_OK;
}

int32_t
dtlsl__option_path(const dtlsl_cookie_option *option, const char *what,
                   char **out, char *err, size_t err_len)
{
    if (option->value[0] == '\0')
        return dtlsl__refuse(err, err_len, DTLSL_ERR_ARGUMENT,
                             "option %s: the path is empty; name %s, or "
                             "leave the option out",
                             option->key, what);
    free(*out);
    *out = strdup(option->value);
    if (*out == NULL)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_NOMEM,
                             "option %s: out of memory", option->key);
    return DTLSL_OK;
}

static int32_t
take_service(dtlsl__base *base, const char *value, char *err, size_t err_len)
{
    size_t len = strlen(value);

    if (len > DTLSL__SERVICE_MAX)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_ARGUMENT,
                             "option service: %zu bytes are too many; use a "
                             "name of at most %d bytes",
                             len, DTLSL__SERVICE_MAX);
    memcpy(base->realm.service, value, len);
    base->realm.service_len = (uint8_t)len;
    return DTLSL_OK;
}

static int32_t
take_option(dtlsl__base *base, const dtlsl_cookie_option *option, char *err,
            size_t err_len)
{
    const char *key = option->key;
    int32_t status;

    if (strcmp(key, "service") == 0)
        return take_service(base, option->value, err, err_len);
    if (strcmp(key, "lifetime-ms") == 0)
        return dtlsl__option_number(option, base->allow_short ? 1 : 10000,
                                    3000000, &base->lifetime_ms, err, err_len);
    if (strcmp(key, "tail-budget") == 0)
        return dtlsl__option_number(option, 0, 1200, &base->tail_budget, err,
                                    err_len);
    if (strcmp(key, "poll-ms") == 0)
        return dtlsl__option_number(option, base->allow_short ? 1 : 100,
                                    3600000, &base->poll_ms, err, err_len);
    if (strcmp(key, "allow-short-lifetimes") == 0)
        return dtlsl__option_number(option, 0, 1, &base->allow_short, err,
                                    err_len);
    status = base->kind->option(base, option, err, err_len);
    if (status != DTLSL_ERR_OPTION)
        return status;
    return dtlsl__refuse(err, err_len, DTLSL_ERR_OPTION,
                         "strategy %s has no option '%.64s'; it has %s"
                         "service, lifetime-ms, tail-budget, poll-ms, "
                         "allow-short-lifetimes",
                         base->kind->name, key, base->kind->option_names);
}

/* allow-short-lifetimes first: it moves the bounds of others. */
int32_t
dtlsl__base_options(dtlsl__base *base, const dtlsl_cookie_option *options,
                    size_t n, char *err, size_t err_len)
{
    int32_t status = DTLSL_OK;

    for (size_t i = 0; status == DTLSL_OK && i < n; i++)
        if (strcmp(options[i].key, "allow-short-lifetimes") == 0)
            status = take_option(base, &options[i], err, err_len);
    for (size_t i = 0; status == DTLSL_OK && i < n; i++)
        status = take_option(base, &options[i], err, err_len);
    return status;
}

/* ---- life ---- */

/* In whole pages. */
static size_t
round_up(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

/* Secrets stay out of core dumps and, where the limits allow it, out of swap.
 * From malloc, so that leak checkers see what the state points to. */
static void *
take_pages(size_t size)
{
    void *pages;

    if (posix_memalign(&pages, round_up(1), round_up(size)) != 0)
        return NULL;
    memset(pages, 0, round_up(size));
#ifdef MADV_DONTDUMP
    (void)madvise(pages, round_up(size), MADV_DONTDUMP);
#endif
    (void)mlock(pages, round_up(size));
    return pages;
}

static void
give_back(void *pages, size_t size)
{
    (void)munlock(pages, round_up(size));
#ifdef MADV_DODUMP
    (void)madvise(pages, round_up(size), MADV_DODUMP);
#endif
    free(pages);
}

void *
dtlsl__base_new(const dtlsl__kind *kind, size_t size,
                const dtlsl_cookie_host *host, int32_t *status, char *err,
                size_t err_len)
{
    dtlsl__base *base;

    if (host->abi != DTLSL_COOKIE_ABI || host->size < sizeof(*host)) {
        *status = dtlsl__refuse(err, err_len, DTLSL_ERR_PLUGIN,
                                "strategy %s was built for a newer library; "
                                "install the one that came with this library",
                                kind->name);
        return NULL;
    }
    base = take_pages(size);
    if (base == NULL) {
        *status = dtlsl__refuse(err, err_len, DTLSL_ERR_NOMEM,
                                "strategy %s: out of memory", kind->name);
        return NULL;
    }
    base->kind = kind;
    base->host = host;
    base->lifetime_ms = 120000;
    base->tail_budget = 139;
    base->poll_ms = 10000;
    base->stale_tokens = STALE_BURST;
    return base;
}

void
dtlsl__base_free(dtlsl__base *base, size_t size)
{
    base->host->cleanse(base, size);
    give_back(base, size);
}

/* ---- packet path ---- */

int32_t
dtlsl__base_mint(void *opaque, const dtlsl_cookie_input *in, uint8_t *cookie,
                 size_t cap)
{
    dtlsl__base *base = opaque;
    int32_t status = dtlsl__schedule_check(in);

    if (status == DTLSL_OK)
        status = base->kind->mint(base, in, cookie, cap);
    base->counters[status > 0 ? DTLSL__COUNT_MINTED
                              : DTLSL__COUNT_MINT_FAILED]++;
    return status;
}

int32_t
dtlsl__base_verify(void *opaque, const dtlsl_cookie_input *in,
                   const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    static const uint8_t counts[] = {
        [DTLSL_COOKIE_VALID] = DTLSL__COUNT_VALID,
        [DTLSL_COOKIE_MALFORMED] = DTLSL__COUNT_MALFORMED,
        [DTLSL_COOKIE_UNKNOWN_KEY] = DTLSL__COUNT_UNKNOWN_KEY,
        [DTLSL_COOKIE_EXPIRED] = DTLSL__COUNT_EXPIRED,
        [DTLSL_COOKIE_FUTURE] = DTLSL__COUNT_FUTURE,
        [DTLSL_COOKIE_MISMATCH] = DTLSL__COUNT_MISMATCH,
        [DTLSL_COOKIE_NEED_MORE] = DTLSL__COUNT_NEED_MORE,
    };
    dtlsl__base *base = opaque;
    int32_t status = dtlsl__schedule_check(in);

    if (status == DTLSL_OK)
        status = base->kind->verify(base, in, cookie, len, out);
    base->counters[status < 0 ? DTLSL__COUNT_VERIFY_FAILED : counts[status]]++;
    return status;
}

void
dtlsl__base_accept(dtlsl__base *base, int64_t delta, dtlsl_cookie_result *out)
{
    out->age_ms = delta > 0 ? (uint32_t)delta : 0;
    if (-delta > base->skew_ms / 2)
        base->counters[DTLSL__COUNT_VALID_EARLY]++;
    if (delta > base->lifetime_ms / 2)
        base->counters[DTLSL__COUNT_VALID_LATE]++;
}

int
dtlsl__base_in_window(const dtlsl__base *base, int64_t delta, uint64_t now_ms)
{
    return delta >= -(int64_t)base->skew_ms && delta <= base->lifetime_ms &&
           (delta < 0 || (uint64_t)delta <= now_ms);
}

/* Bounds the work that cookies outside their window can cause. */
int
dtlsl__base_take_stale(dtlsl__base *base, uint64_t mono_ms)
{
    uint64_t gain;

    if (mono_ms > base->stale_ms) {
        gain = (mono_ms - base->stale_ms) / STALE_EVERY_MS;
        base->stale_ms += gain * STALE_EVERY_MS;
        gain += base->stale_tokens;
        base->stale_tokens = gain < STALE_BURST ? (uint32_t)gain : STALE_BURST;
    }
    if (base->stale_tokens == 0) {
        base->counters[DTLSL__COUNT_STALE_UNJUDGED]++;
        return 0;
    }
    base->stale_tokens--;
    return 1;
}

int
dtlsl__base_has_inputs(const dtlsl_cookie_input *in, uint8_t fmt)
{
    return (!(fmt & DTLSL__FMT_TAIL) || dtlsl__schedule_has_tail(in)) &&
           (!(fmt & DTLSL__FMT_LOCAL) || (in->flags & DTLSL_COOKIE_IN_LOCAL));
}

int32_t
dtlsl__base_counter(void *opaque, uint32_t index, const char **name,
                    uint64_t *value)
{
    const dtlsl__base *base = opaque;

    if (index >= DTLSL__COUNTERS)
        return DTLSL_ERR_ARGUMENT;
    *name = index < DTLSL__COUNT_OWN
                ? common_counts[index]
                : base->kind->own_counts[index - DTLSL__COUNT_OWN];
    if (*name == NULL)
        return DTLSL_ERR_ARGUMENT;
    *value = base->counters[index];
    return DTLSL_OK;
}
