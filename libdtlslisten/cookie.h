/* SPDX-License-Identifier: MIT
 * A chain of cookie strategies, of which the first mints and all verify; the
 * self-test; ticks. */
#ifndef DTLSL_COOKIE_H
#define DTLSL_COOKIE_H

#include "host.h"
#include <dtlslisten/gate.h>

typedef struct dtlsl__chain dtlsl__chain;

/* Everything is borrowed; what is kept is copied, except default_secret and
 * the strategies, which the config keeps alive. */
typedef struct dtlsl__chain_options {
    const char *spec;                   /* "hmac", "/path.so", "a,b" */
    const dtlsl_cookie_option *options; /* without "cookie." */
    size_t n_options;
    const dtlsl__strategy *strategies;
    size_t n_strategies;
    const char *plugin_dir;
    const uint8_t *default_secret;                           /* 32 bytes */
    void (*log)(void *ctx, int32_t level, const char *text); /* or NULL */
    void *log_ctx;
} dtlsl__chain_options;

/* Loads, opens, ticks and self-tests the strategies. The self-test uses the
 * time given. */
int32_t dtlsl__chain_new(dtlsl__chain **out,
                         const dtlsl__chain_options *options,
                         const dtlsl_now *now, char *err, size_t err_len);
void dtlsl__chain_free(dtlsl__chain *chain);
void dtlsl__chain_set_log(dtlsl__chain *chain,
                          void (*log)(void *ctx, int32_t level,
                                      const char *text),
                          void *ctx);

/* 1 to cap, or < 0: DTLSL_COOKIE_NOTREADY, DTLSL_COOKIE_REFUSED, any other
 * code for a strategy that failed (also one that returned too much). */
int32_t dtlsl__chain_mint(dtlsl__chain *chain, const dtlsl_cookie_input *in,
                          uint8_t *cookie, size_t cap);

/* The first answer that is not MALFORMED. A strategy that writes nonsense to
 * 'out' (app_len too large) has failed. */
int32_t dtlsl__chain_verify(dtlsl__chain *chain, const dtlsl_cookie_input *in,
                            const uint8_t *cookie, size_t len,
                            dtlsl_cookie_result *out);

/* Returns the absolute mono_ms of the next tick. */
uint64_t dtlsl__chain_tick(dtlsl__chain *chain, const dtlsl_now *now);

/* Counter number index over all strategies: its strategy, name and value;
 * < 0 behind the last. */
int32_t dtlsl__chain_counter(const dtlsl__chain *chain, size_t index,
                             const char **strategy, const char **name,
                             uint64_t *value);

#endif
