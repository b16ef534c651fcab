/* SPDX-License-Identifier: MIT
 * What a check works with: the plugin and its host, clocks, guarded memory. */
#include "plugin_check.h"
#include "plugin.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    AREAS_MAX = 16,
    MARK = 0xc5,
    TRIES = 300,
    TICKS_MAX = 100000,
    STACK_LEN = 65536
};

static kit_area areas[AREAS_MAX];
static size_t n_areas;
static check_report *fault_report;

/* ---- ends ---- */

static void tell(check_report *report, int outcome, const char *format,
                 va_list args) __attribute__((format(printf, 3, 0)));

static void
tell(check_report *report, int outcome, const char *format, va_list args)
{
    vsnprintf(report->seen, sizeof(report->seen), format, args);
    report->outcome = outcome;
    _exit(0);
}

void
kit_fail(kit *k, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(k->report, CHECK_FAILED, format, args);
    va_end(args);
    abort();
}

void
kit_warn(kit *k, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(k->report, CHECK_WARNING, format, args);
    va_end(args);
    abort();
}

void
kit_skip(kit *k, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(k->report, CHECK_SKIPPED, format, args);
    va_end(args);
    abort();
}

void
kit_pass(kit *k, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(k->report, CHECK_PASSED, format, args);
    va_end(args);
    abort();
}

/* ---- guarded memory ---- */

static const kit_area *
area_at(const uint8_t *p)
{
    for (size_t i = 0; i < n_areas; i++)
        if (p >= areas[i].data - areas[i].page &&
            p < areas[i].data + areas[i].size + areas[i].page)
            return &areas[i];
    return NULL;
}

/* What touches a guard page is a finding, all else a crash. */
static void
on_fault(int sig, siginfo_t *info, void *context)
{
    const uint8_t *p = info->si_addr;
    const kit_area *area = area_at(p);

    (void)context;
    if (area == NULL) {
        signal(sig, SIG_DFL);
        return;
    }
    snprintf(fault_report->seen, sizeof(fault_report->seen),
             "it reads or writes %s the %s",
             p < area->data ? "before" : "behind", area->what);
    fault_report->outcome = CHECK_FAILED;
    _exit(0);
}

static void
catch_faults(void)
{
    static uint8_t stack[STACK_LEN];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaltstack(&alternative, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

kit_area
kit_area_new(kit *k, const char *what, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    kit_area area = {.what = what, .page = page};
    void *all;

    area.size = (size + page - 1) / page * page;
    all = mmap(NULL, area.size + 2 * page, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || n_areas == AREAS_MAX)
        kit_skip(k, "no memory for the %s", what);
    area.data = (uint8_t *)all + page;
    if (mprotect(area.data, area.size, PROT_READ | PROT_WRITE) != 0)
        kit_skip(k, "no memory for the %s", what);
    areas[n_areas++] = area;
    kit_area_mark(&area);
    return area;
}

uint8_t *
kit_area_end(const kit_area *area, size_t len)
{
    return area->data + area->size - len;
}

void
kit_area_mark(const kit_area *area)
{
    memset(area->data, MARK, area->size);
}

int
kit_area_intact(const kit_area *area, const uint8_t *p, size_t len)
{
    for (const uint8_t *q = area->data; q < area->data + area->size; q++)
        if ((q < p || q >= p + len) && *q != MARK)
            return 0;
    return 1;
}

/* ---- randomness: splitmix64 ---- */

uint64_t
kit_random(kit *k)
{
    uint64_t z = k->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

size_t
kit_below(kit *k, size_t n)
{
    return (size_t)(kit_random(k) % n);
}

void
kit_fill(kit *k, uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)kit_random(k);
}

/* ---- the plugin ---- */

static void
count_line(void *ctx, int32_t level, const char *text)
{
    kit *k = ctx;

    (void)level;
    (void)text;
    k->n_log_lines++;
}

/* ---- the host ---- */

static void
make_host(kit *k)
{
    static uint8_t secret[DTLSL_COOKIE_SECRET_LEN];
    dtlsl__chain_options options = {.spec = "hmac", .default_secret = secret};
    char err[512];

    kit_fill(k, secret, sizeof(secret));
    if (dtlsl__host_init(&k->lent, secret, err, sizeof(err)) != DTLSL_OK ||
        dtlsl__chain_new(&k->chain, &options, &k->now, err, sizeof(err)) !=
            DTLSL_OK)
        kit_skip(k, "no host: %s", err);
    dtlsl__host_set_log(&k->lent, count_line, k);
    k->host = &k->lent.table;
}

int
kit_load(kit *k, char *err, size_t err_len)
{
    const dtlsl_cookie_plugin *plugin;

    if (dtlsl__plugin_load(&plugin, k->setup->path, NULL, err, err_len) !=
        DTLSL_OK)
        return 0;
    dtlsl__plugin_read(&k->table, plugin);
    k->table.size = plugin->size; /* for those who ask: is it newer? */
    k->plugin = &k->table;
    snprintf(k->report->strategy, sizeof(k->report->strategy), "%s",
             plugin->name);
    return 1;
}

void
kit_init(kit *k, const check_setup *setup, check_report *report)
{
    char err[512];

    memset(k, 0, sizeof(*k));
    k->setup = setup;
    k->report = fault_report = report;
    k->now = setup->start;
    k->random = setup->seed;
    catch_faults();
    make_host(k);
    if (!kit_load(k, err, sizeof(err)))
        kit_fail(k, "%s", err);
}

int32_t
kit_open(kit *k, void **state, char *err, size_t err_len)
{
    memset(err, 0, err_len);
    *state = NULL;
    return k->plugin->open(k->host, NULL, k->setup->options,
                           k->setup->n_options, state, err, err_len);
}

void
kit_start(kit *k)
{
    char err[512];

    if (kit_open(k, &k->state, err, sizeof(err)) != DTLSL_OK)
        kit_skip(k, "it does not open, see \"open\"");
    k->next_tick_ms = 0;
    kit_tick(k);
}

void
kit_stop(kit *k)
{
    k->plugin->close(k->state);
    k->state = NULL;
}

/* As cookie.c does it. */
void
kit_tick(kit *k)
{
    uint64_t next = UINT64_MAX;

    if (k->next_tick_ms > k->now.mono_ms)
        return;
    if (k->plugin->tick != NULL)
        k->plugin->tick(k->state, k->now.mono_ms, k->now.unix_ms, &next);
    k->next_tick_ms = next > k->now.mono_ms ? next : k->now.mono_ms + 1;
}

static void
move_clocks(kit *k, uint64_t ms)
{
    k->now.mono_ms += ms;
    k->now.unix_ms += ms;
}

void
kit_advance(kit *k, uint64_t ms)
{
    uint64_t end = k->now.mono_ms + ms;

    for (int i = 0; i < TICKS_MAX && k->next_tick_ms <= end; i++) {
        if (k->next_tick_ms > k->now.mono_ms)
            move_clocks(k, k->next_tick_ms - k->now.mono_ms);
        kit_tick(k);
    }
    move_clocks(k, end - k->now.mono_ms);
    kit_tick(k);
}

/* ---- mint and verify ---- */

static hello
at_now(const kit *k, const hello *h)
{
    hello now;

    hello_copy(&now, h);
    now.in.mono_ms = k->now.mono_ms;
    now.in.unix_ms = k->now.unix_ms;
    return now;
}

int32_t
kit_mint(kit *k, const hello *h, uint8_t cookie[DTLSL_COOKIE_MAX])
{
    uint8_t room[4096]; /* one that writes too much has its own check */
    hello now = at_now(k, h);
    int32_t len;

    hello_copy(&now, &now);
    len = k->plugin->mint(k->state, &now.in, room, DTLSL_COOKIE_MAX);
    memcpy(cookie, room, DTLSL_COOKIE_MAX);
    return len;
}

int32_t
kit_verify(kit *k, const hello *h, const uint8_t *cookie, size_t len)
{
    struct {
        dtlsl_cookie_result result;
        uint8_t more[1024]; /* likewise */
    } room;
    hello now = at_now(k, h);
    int32_t answer;

    hello_copy(&now, &now);
    memset(&room, 0, sizeof(room));
    room.result.size = sizeof(room.result);
    answer = k->plugin->verify(k->state, &now.in, cookie, len, &room.result);
    k->result = room.result;
    if (answer == 0 || answer > DTLSL_COOKIE_NEED_MORE)
        kit_fail(k, "verify answered %d, which is no answer of this ABI",
                 answer);
    return answer;
}

const char *
kit_answer_name(int32_t answer)
{
    static const char *const names[] = {
        [DTLSL_COOKIE_VALID] = "VALID",
        [DTLSL_COOKIE_MALFORMED] = "MALFORMED",
        [DTLSL_COOKIE_UNKNOWN_KEY] = "UNKNOWN_KEY",
        [DTLSL_COOKIE_EXPIRED] = "EXPIRED",
        [DTLSL_COOKIE_FUTURE] = "FUTURE",
        [DTLSL_COOKIE_MISMATCH] = "MISMATCH",
        [DTLSL_COOKIE_NEED_MORE] = "NEED_MORE"};
    static char number[32];

    if (answer > 0 && answer <= DTLSL_COOKIE_NEED_MORE)
        return names[answer];
    if (answer == DTLSL_COOKIE_NOTREADY)
        return "NOTREADY";
    if (answer == DTLSL_COOKIE_REFUSED)
        return "REFUSED";
    snprintf(number, sizeof(number), "%d", answer);
    return number;
}

int
kit_is_length(const kit *k, int32_t len)
{
    return len > 0 && (uint32_t)len <= k->plugin->max_cookie_len;
}

static _Noreturn void
skip_without_cookie(kit *k, int32_t answer)
{
    if (answer == DTLSL_COOKIE_REFUSED)
        kit_skip(k, "it refuses every peer tried; give one with --peer");
    if (answer == DTLSL_COOKIE_NOTREADY)
        kit_skip(k, "it has no key at this time (NOTREADY); see --time");
    kit_skip(k, "no cookie: mint answered %s, see \"round-trip\"",
             kit_answer_name(answer));
}

size_t
kit_cookie(kit *k, hello *h, uint8_t cookie[DTLSL_COOKIE_MAX])
{
    int32_t len = 0, answer;

    for (int i = 0; i < TRIES; i++) {
        hello_make(k, h);
        len = kit_mint(k, h, cookie);
        if (len != DTLSL_COOKIE_REFUSED)
            break;
    }
    if (!kit_is_length(k, len))
        skip_without_cookie(k, len);
    hello_second(h, (size_t)len);
    answer = kit_verify(k, h, cookie, (size_t)len);
    if (answer != DTLSL_COOKIE_VALID)
        kit_skip(k, "its own cookie is %s, see \"round-trip\"",
                 kit_answer_name(answer));
    return (size_t)len;
}
