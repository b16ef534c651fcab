/* SPDX-License-Identifier: MIT
 * The strategy "cluster": any node verifies any node's cookie, 24 bytes, UTC.
 * dtlslisten-cookie(7). Built into the library, or as a module. */
#include "keyset.h"
#include "module.h"
#include "tagged.h"
#include <stdio.h>
#include <string.h>

enum {
    COOKIE_LEN = 24,
    HEADER_LEN = 8
};

static const dtlsl__tagged form = {
    .use = &dtlsl__key_use_cluster,
    .fmt = 0x30,
    .header_len = HEADER_LEN,
    .binds_zone = 0,
};

/* The last genuine cookie out of its window since the last notice. */
typedef struct wrong_clock {
    uint32_t cookies;
    uint16_t node;
    int64_t delta;
    uint64_t next_notice_ms;
} wrong_clock;

typedef struct state {
    dtlsl__base base;
    dtlsl__keyset keys;
    uint32_t node;
    wrong_clock wrong;
} state;

static int32_t
cluster_option(dtlsl__base *base, const dtlsl_cookie_option *option, char *err,
               size_t err_len)
{
    state *s = (state *)base;

    if (strcmp(option->key, "node") == 0)
        return dtlsl__option_number(option, 0, 65535, &s->node, err, err_len);
    return dtlsl__keyset_option(&s->keys, base, option, err, err_len);
}

/* ---- packet path ---- */

static int32_t
cluster_mint(dtlsl__base *base, const dtlsl_cookie_input *in, uint8_t *cookie,
             size_t cap)
{
    state *s = (state *)base;
    dtlsl__key *key = dtlsl__keyset_mints(&s->keys, &s->base, in->unix_ms);

    if (key == NULL)
        return DTLSL_COOKIE_NOTREADY;
    if (cap < COOKIE_LEN)
        return DTLSL_ERR_SPACE;
    cookie[6] = (uint8_t)(s->node >> 8);
    cookie[7] = (uint8_t)s->node;
    return dtlsl__tagged_mint(&form, &s->base, key, in, in->unix_ms, cookie,
                              cap);
}

/* A client may come late by itself; that much later a clock is wrong. */
static int
is_no_slow_client(const state *s, int64_t delta)
{
    return delta > (int64_t)s->base.lifetime_ms + s->base.skew_ms;
}

static int32_t
cluster_verify(dtlsl__base *base, const dtlsl_cookie_input *in,
               const uint8_t *cookie, size_t len, dtlsl_cookie_result *out)
{
    state *s = (state *)base;
    int32_t status;
    int64_t delta;
    uint16_t node;
    dtlsl__key *key;

    if (!dtlsl__tagged_has_form(&form, cookie, len))
        return DTLSL_COOKIE_MALFORMED;
    key = dtlsl__keyset_verifies(&s->keys, &s->base, cookie[1], in->unix_ms);
    if (key == NULL)
        return DTLSL_COOKIE_UNKNOWN_KEY;
    status = dtlsl__tagged_judge(&form, &s->base, key, in, in->unix_ms, cookie,
                                 &delta);
    node = (uint16_t)(cookie[6] << 8 | cookie[7]);
    if (status == DTLSL_COOKIE_VALID) {
        dtlsl__base_accept(&s->base, delta, out);
        out->node = node;
    } else if (status == DTLSL_COOKIE_FUTURE ||
               (status == DTLSL_COOKIE_EXPIRED &&
                is_no_slow_client(s, delta))) {
        s->wrong.cookies++;
        s->wrong.node = node;
        s->wrong.delta = delta;
    }
    return status;
}

static const dtlsl__kind kind = {
    .name = "cluster",
    .option_names = "key-file, skew-ms, node, ",
    .own_counts = dtlsl__keyset_counts,
    .option = cluster_option,
    .mint = cluster_mint,
    .verify = cluster_verify,
};

static void
cluster_close(void *opaque)
{
    state *s = opaque;

    if (s == NULL)
        return;
    dtlsl__keyset_close(&s->keys, &s->base);
    dtlsl__base_free(&s->base, sizeof(*s));
}

static int32_t
cluster_open(const dtlsl_cookie_host *host, void *user,
             const dtlsl_cookie_option *options, size_t n_options, void **out,
             char *err, size_t err_len)
{
    int32_t status;
    state *s = dtlsl__base_new(&kind, sizeof(*s), host, &status, err, err_len);

    (void)user;
    if (s == NULL)
        return status;
    s->base.skew_ms = 60000;
    s->keys.use = form.use;
    status = dtlsl__base_options(&s->base, options, n_options, err, err_len);
    if (status == DTLSL_OK && s->keys.path == NULL)
        status = dtlsl__refuse(err, err_len, DTLSL_ERR_OPTION,
                               "strategy cluster needs key-file: name the "
                               "fleet's key file; dtlslisten-keys init makes "
                               "one");
    if (status == DTLSL_OK)
        status = dtlsl__keyset_open(&s->keys, &s->base, err, err_len);
    if (status != DTLSL_OK) {
        cluster_close(s);
        return status;
    }
    *out = s;
    return DTLSL_OK;
}

/* Which node's clock is wrong: told from here, never from the packet path. */
static void
tell_wrong_clock(state *s, uint64_t mono_ms)
{
    wrong_clock *w = &s->wrong;
    char line[256];

    if (w->cookies == 0 || mono_ms < w->next_notice_ms)
        return;
    snprintf(line, sizeof(line),
             "strategy cluster: %u genuine cookies outside of their window, "
             "the last of node %u, %lld ms %s; compare the clocks of that "
             "node and this one",
             w->cookies, w->node,
             (long long)(w->delta < 0 ? -w->delta : w->delta),
             w->delta < 0 ? "ahead" : "old");
    s->base.host->log(s->base.host->ctx, 1, line);
    w->cookies = 0;
    w->next_notice_ms = mono_ms + 60000;
}

static void
cluster_tick(void *opaque, uint64_t mono_ms, uint64_t unix_ms,
             uint64_t *next_mono_ms)
{
    state *s = opaque;

    tell_wrong_clock(s, mono_ms);
    *next_mono_ms = dtlsl__keyset_tick(&s->keys, &s->base, mono_ms, unix_ms);
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "cluster",
    .max_cookie_len = COOKIE_LEN,
    .open = cluster_open,
    .close = cluster_close,
    .mint = dtlsl__base_mint,
    .verify = dtlsl__base_verify,
    .tick = cluster_tick,
    .counter = dtlsl__base_counter,
};

const dtlsl_cookie_plugin *
dtlsl__cookie_cluster(void)
{
    return &table;
}
