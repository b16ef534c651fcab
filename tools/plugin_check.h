/* SPDX-License-Identifier: MIT
 * What the files of dtlslisten-plugin-check share. Each check runs in a child
 * process of its own, with a kit: the plugin, loaded as the library does it, a
 * host table that the library made, clocks that only the check moves, and
 * seeded randomness. A check that has seen enough ends its process. */
#ifndef DTLSL_PLUGIN_CHECK_H
#define DTLSL_PLUGIN_CHECK_H

#include "cookie.h"
#include <dtlslisten/cookie.h>
#include <dtlslisten/gate.h>

enum {
    CHECK_NONE, /* the process ended before it said anything */
    CHECK_PASSED,
    CHECK_WARNING,
    CHECK_FAILED,
    CHECK_SKIPPED,
    CHECK_OUTCOMES
};

enum {
    KIT_CORE_MAX = 67,
    KIT_TAIL_MAX = 512,
    KIT_SECOND = 1000,
    KIT_HOUR = 3600000,
    /* No cookie may live longer: the longest lifetime and the widest skew of
     * the bundled strategies, and an hour for a coarse rotation. */
    KIT_LIFE_MAX = KIT_HOUR + 3000000 + 300000
};

/* What a check tells; the child writes it, the parent reads it. */
typedef struct check_report {
    int outcome; /* CHECK_* */
    char seen[600];
    char strategy[64]; /* the name in the plugin's table */
    double mint_ns;    /* these four by the check "cost", else 0 */
    double verify_ns;
    double hmac_mint_ns;
    double hmac_verify_ns;
} check_report;

/* What was asked for on the command line. */
typedef struct check_setup {
    const char *path; /* absolute */
    const dtlsl_cookie_option *options;
    size_t n_options;
    uint64_t seed;
    dtlsl_now start;
    int has_peer;
    uint8_t peer[16];
    uint32_t zone;
    unsigned limit_s; /* for one check */
} check_setup;

typedef struct kit {
    const check_setup *setup;
    check_report *report;
    dtlsl__chain *chain; /* mints by "hmac" */
    dtlsl__host lent;
    const dtlsl_cookie_host *host;     /* of 'lent', or a check's own */
    const dtlsl_cookie_plugin *plugin; /* its table, copied */
    dtlsl_cookie_plugin table;
    void *state;
    dtlsl_now now;
    uint64_t next_tick_ms;
    uint64_t random;
    unsigned n_log_lines;
    dtlsl_cookie_result result; /* of the last kit_verify */
} kit;

typedef struct check {
    const char *name;
    const char *expected;
    const char *manual; /* where that is written */
    void (*run)(kit *k);
} check;

/* A ClientHello as a strategy sees it. */
typedef struct hello {
    dtlsl_cookie_input in;
    uint8_t core[KIT_CORE_MAX];
    uint8_t tail[KIT_TAIL_MAX];
} hello;

/* Memory between two pages that nobody may touch. */
typedef struct kit_area {
    const char *what;
    uint8_t *data;
    size_t size;
    size_t page;
} kit_area;

/* ---- plugin_check_list.c: the checks in their order ---- */

extern const check check_list[];
extern const size_t check_count;

/* ---- plugin_check_run.c ---- */

/* Runs one check in a child process; the report is always filled. */
void check_run(const check *c, const check_setup *setup, check_report *report);

/* ---- plugin_check_report.c ---- */

const char *check_outcome_name(int outcome);
/* Was "round-trip" skipped, and with it all that needs a cookie? */
int check_had_no_cookie(const check_report *reports);
/* The reports belong to the checks of the same number; CHECK_NONE stands for
 * one that was not run. */
void check_print_table(const check_setup *setup, const check_report *reports);
void check_print_json(const check_setup *setup, const check_report *reports);
void check_print_list(void);

/* ---- plugin_check_kit.c ---- */

/* Ends with CHECK_SKIPPED if the plugin cannot be loaded. */
void kit_init(kit *k, const check_setup *setup, check_report *report);
/* Loads the plugin; a text at err if that fails. */
int kit_load(kit *k, char *err, size_t err_len);

/* End the check and its process. */
_Noreturn void kit_fail(kit *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void kit_warn(kit *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void kit_skip(kit *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void kit_pass(kit *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The plugin's open with the options of the command line. */
int32_t kit_open(kit *k, void **state, char *err, size_t err_len);
/* Opens k->state and ticks it, or skips the check. */
void kit_start(kit *k);
void kit_stop(kit *k);
/* A tick now, if it is due; and time going on with all ticks on its way. */
void kit_tick(kit *k);
void kit_advance(kit *k, uint64_t ms);

uint64_t kit_random(kit *k);
size_t kit_below(kit *k, size_t n);
void kit_fill(kit *k, uint8_t *buf, size_t len);

/* mint with the largest capacity; what does not fit into 'cookie' is cut. */
int32_t kit_mint(kit *k, const hello *h, uint8_t cookie[DTLSL_COOKIE_MAX]);
/* An answer that is none of the ABI ends the check. */
int32_t kit_verify(kit *k, const hello *h, const uint8_t *cookie, size_t len);
const char *kit_answer_name(int32_t answer);

/* Makes hellos until the plugin mints for one and verifies that: 'h' becomes
 * the second ClientHello. If that cannot be had, the check is skipped. */
size_t kit_cookie(kit *k, hello *h, uint8_t cookie[DTLSL_COOKIE_MAX]);
int kit_is_length(const kit *k, int32_t len);

kit_area kit_area_new(kit *k, const char *what, size_t size);
/* 'len' bytes that end where nobody may touch. */
uint8_t *kit_area_end(const kit_area *area, size_t len);
/* Marks all of it; is all of it but 'len' bytes at p as it was marked? */
void kit_area_mark(const kit_area *area);
int kit_area_intact(const kit_area *area, const uint8_t *p, size_t len);

/* ---- plugin_check_hello.c ---- */

/* Any ClientHello, not fragmented, of the peer that the setup names. */
void hello_make(kit *k, hello *h);
void hello_copy(hello *to, const hello *from);
void hello_set_session(kit *k, hello *h, size_t len);
/* 0: there is no TAIL. */
void hello_set_tail(kit *k, hello *h, size_t len);
/* What brings the cookie back is longer by it. */
void hello_second(hello *h, size_t cookie_len);
/* A first fragment of so many bytes; TAIL goes if it does not end in it. */
void hello_cut(hello *h, size_t cookie_len, size_t fragment_len);
const char *hello_text(const hello *h, char text[160]);

/* ---- plugin_check_memory.c ---- */

size_t memory_heap_bytes(void);
/* Private pages in bytes, for those who do not use malloc; 0: unknown. */
size_t memory_private_bytes(void);
/* Calls of malloc and its like so far; 0: not counted in this build. */
uint64_t memory_allocations(void);

/* ---- the checks ---- */

void check_load(kit *k);
void check_name(kit *k);
void check_length(kit *k);
void check_symbols(kit *k);
void check_segments(kit *k);
void check_undefined(kit *k);

void check_open(kit *k);
void check_option_unknown(kit *k);
void check_option_text(kit *k);
void check_option_twice(kit *k);
void check_open_close(kit *k);
void check_two_states(kit *k);
void check_self_test(kit *k);
void check_counters(kit *k);

void check_round_trip(kit *k);
void check_bits(kit *k);
void check_peer(kit *k);
void check_hello(kit *k);
void check_extensions(kit *k);
void check_trim(kit *k);
void check_foreign(kit *k);
void check_fragments(kit *k);

void check_capacities(kit *k);
void check_lengths(kit *k);
void check_garbage(kit *k);
void check_spans(kit *k);
void check_input(kit *k);
void check_repeat(kit *k);
void check_result(kit *k);
void check_sizes(kit *k);

void check_error_queue(kit *k);
void check_quiet(kit *k);
void check_memory(kit *k);
void check_allocations(kit *k);
void check_cost(kit *k);

void check_age(kit *k);
void check_expiry(kit *k);
void check_clocks(kit *k);
void check_rotation(kit *k);
void check_ticks(kit *k);

#endif
