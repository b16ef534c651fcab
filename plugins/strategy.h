/* SPDX-License-Identifier: MIT
 * What every bundled strategy is made of: options that all have, counters that
 * all keep, texts, and a budget for looking at stale cookies. A strategy's
 * state begins with a dtlsl__base. */
#ifndef DTLSL_STRATEGY_H
#define DTLSL_STRATEGY_H

#include "schedule.h"

enum {
    DTLSL__COUNT_MINTED,
    DTLSL__COUNT_MINT_FAILED,
    DTLSL__COUNT_VALID,
    DTLSL__COUNT_VALID_EARLY,
    DTLSL__COUNT_VALID_LATE,
    DTLSL__COUNT_MALFORMED,
    DTLSL__COUNT_UNKNOWN_KEY,
    DTLSL__COUNT_EXPIRED,
    DTLSL__COUNT_FUTURE,
    DTLSL__COUNT_MISMATCH,
    DTLSL__COUNT_NEED_MORE,
    DTLSL__COUNT_VERIFY_FAILED,
    DTLSL__COUNT_STALE_UNJUDGED,
    DTLSL__COUNT_OWN, /* the strategy's own from here on */
    DTLSL__COUNTERS = DTLSL__COUNT_OWN + 3
};

typedef struct dtlsl__base dtlsl__base;

/* What a strategy is, constant. */
typedef struct dtlsl__kind {
    const char *name;
    const char *option_names;      /* its own, for a text; each with ", " */
    const char *const *own_counts; /* 3 names; NULL: there is none */
    /* Takes one of its own options; DTLSL_ERR_OPTION if it has no such. */
    int32_t (*option)(dtlsl__base *base, const dtlsl_cookie_option *option,
                      char *err, size_t err_len);
    /* As in the table, of an input that can be bound. */
    int32_t (*mint)(dtlsl__base *base, const dtlsl_cookie_input *in,
                    uint8_t *cookie, size_t cap);
    int32_t (*verify)(dtlsl__base *base, const dtlsl_cookie_input *in,
                      const uint8_t *cookie, size_t len,
                      dtlsl_cookie_result *out);
} dtlsl__kind;

struct dtlsl__base {
    const dtlsl__kind *kind;
    const dtlsl_cookie_host *host;
    dtlsl__realm realm;
    uint32_t lifetime_ms;
    uint32_t skew_ms;
    uint32_t tail_budget;
    uint32_t poll_ms;
    uint32_t allow_short;
    uint32_t stale_tokens;
    uint64_t stale_ms;
    uint64_t counters[DTLSL__COUNTERS];
};

/* Writes a text for the operator and returns 'code'. */
int32_t dtlsl__refuse(char *err, size_t err_len, int32_t code,
                      const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A whole number from min to max. */
int32_t dtlsl__option_number(const dtlsl_cookie_option *option, uint32_t min,
                             uint32_t max, uint32_t *out, char *err,
                             size_t err_len);
/* A path; *out, NULL at first, is to be freed. 'what' says what to name. */
int32_t dtlsl__option_path(const dtlsl_cookie_option *option, const char *what,
                           char **out, char *err, size_t err_len);

/* A state of 'size' bytes that begins with a dtlsl__base, with the defaults;
 * released by dtlsl__base_free. NULL with a text and a code at *status. */
void *dtlsl__base_new(const dtlsl__kind *kind, size_t size,
                      const dtlsl_cookie_host *host, int32_t *status,
                      char *err, size_t err_len);
void dtlsl__base_free(dtlsl__base *base, size_t size);
int32_t dtlsl__base_options(dtlsl__base *base,
                            const dtlsl_cookie_option *options, size_t n,
                            char *err, size_t err_len);

/* A valid cookie, delta milliseconds old: its age, and whether that was near
 * the edge of what is accepted. */
void dtlsl__base_accept(dtlsl__base *base, int64_t delta,
                        dtlsl_cookie_result *out);

/* Is an age of delta within the window, and not above the clock itself? */
int dtlsl__base_in_window(const dtlsl__base *base, int64_t delta,
                          uint64_t now_ms);
/* One look at a cookie outside of its window: 1 if the budget allows it. */
int dtlsl__base_take_stale(dtlsl__base *base, uint64_t mono_ms);
/* Are the inputs there that the cookie says it binds? */
int dtlsl__base_has_inputs(const dtlsl_cookie_input *in, uint8_t fmt);

/* The table's functions; each outcome is counted. */
int32_t dtlsl__base_mint(void *base, const dtlsl_cookie_input *in,
                         uint8_t *cookie, size_t cap);
int32_t dtlsl__base_verify(void *base, const dtlsl_cookie_input *in,
                           const uint8_t *cookie, size_t len,
                           dtlsl_cookie_result *out);
int32_t dtlsl__base_counter(void *base, uint32_t index, const char **name,
                            uint64_t *value);

#endif
