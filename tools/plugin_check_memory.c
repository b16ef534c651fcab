/* SPDX-License-Identifier: MIT
 * What calls leave behind, and what they cost. */
#include "plugin_check.h"
#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    WARM_CALLS = 5000,
    CALLS = 100000,
    HEAP_NOISE = CALLS / 2, /* half a byte a call */
    PRIVATE_NOISE = 1 << 20,
    COUNTED_CALLS = 1000,
    LINES_MAX = 10,
    COST_CALLS = 20000,
    COST_ROUNDS = 5
};

/* ---- measuring ---- */

#if SANITIZED
size_t __sanitizer_get_current_allocated_bytes(void);

size_t
memory_heap_bytes(void)
{
    return __sanitizer_get_current_allocated_bytes();
}

size_t
memory_private_bytes(void)
{
    return 0; /* a sanitizer keeps what was freed */
}
#else
#if defined(__GLIBC__)
size_t
memory_heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}
#else
size_t
memory_heap_bytes(void)
{
    return 0; /* not told here: pages must do */
}
#endif

size_t
memory_private_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long data = 0;

    if (f == NULL)
        return 0;
    if (fscanf(f, "%*u %*u %*u %*u %*u %lu", &data) != 1)
        data = 0;
    fclose(f);
    return data * (size_t)sysconf(_SC_PAGESIZE);
}
#endif

#if defined(__GLIBC__) && !SANITIZED
/* The program's own malloc comes before the C library's, for plugins too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static uint64_t n_allocations = 1;
static int in_host;

static void
count(void)
{
    if (!in_host)
        __atomic_fetch_add(&n_allocations, 1, __ATOMIC_RELAXED);
}

void *
malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

int
posix_memalign(void **block, size_t alignment, size_t size)
{
    void *taken = aligned_alloc(alignment, size);

    if (taken == NULL)
        return ENOMEM;
    *block = taken;
    return 0;
}

uint64_t
memory_allocations(void)
{
    return __atomic_load_n(&n_allocations, __ATOMIC_RELAXED);
}
#else
static int in_host;

uint64_t
memory_allocations(void)
{
    return 0;
}
#endif

/* What OpenSSL allocates for the host's HMAC is not the plugin's doing. */
static int32_t (*host_hmac)(void *mac, const uint8_t *data, size_t len,
                            uint8_t *tag);

static int32_t
uncounted_hmac(void *mac, const uint8_t *data, size_t len, uint8_t *tag)
{
    int32_t status;

    in_host = 1;
    status = host_hmac(mac, data, len, tag);
    in_host = 0;
    return status;
}

/* ---- calls ---- */

/* One mint and two verdicts for a peer that was not there before. */
static void
serve(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int32_t len;
    hello h;

    hello_make(k, &h);
    len = kit_mint(k, &h, cookie);
    if (!kit_is_length(k, len))
        len = 22;
    kit_verify(k, &h, cookie, (size_t)len);
    cookie[kit_below(k, (size_t)len)] ^= 1;
    kit_verify(k, &h, cookie, (size_t)len);
}

static void
serve_many(kit *k, int n)
{
    for (int i = 0; i < n; i++)
        serve(k);
}

void
check_memory(kit *k)
{
    size_t heap, pages;

    kit_start(k);
    serve_many(k, WARM_CALLS);
    heap = memory_heap_bytes();
    pages = memory_private_bytes();
    serve_many(k, CALLS);
    heap = memory_heap_bytes() - heap;
    pages = memory_private_bytes() - pages;
    if ((int64_t)heap > HEAP_NOISE)
        kit_fail(k, "%d hellos left %zu bytes more on the heap", CALLS, heap);
    if ((int64_t)pages > PRIVATE_NOISE)
        kit_fail(k, "%d hellos left %zu more bytes of private pages", CALLS,
                 pages);
    kit_stop(k);
    kit_pass(k, "%d hellos", CALLS);
}

void
check_allocations(kit *k)
{
    static dtlsl_cookie_host host;
    uint64_t n = memory_allocations();

    if (n == 0)
        kit_skip(k, "allocations are not counted in this build");
    host = *k->host;
    host_hmac = host.hmac_sha256;
    host.hmac_sha256 = uncounted_hmac;
    k->host = &host;
    kit_start(k);
    serve_many(k, COUNTED_CALLS);
    n = memory_allocations();
    serve_many(k, COUNTED_CALLS);
    n = memory_allocations() - n;
    if (n >= COUNTED_CALLS)
        kit_warn(k,
                 "%.1f allocations for each hello: everybody who sends one "
                 "can cause them",
                 (double)n / COUNTED_CALLS);
    kit_stop(k);
    kit_pass(k, "%llu for %d hellos", (unsigned long long)n, COUNTED_CALLS);
}

void
check_quiet(kit *k)
{
    kit_start(k);
    serve_many(k, COUNTED_CALLS);
    kit_stop(k);
    if (k->n_log_lines > LINES_MAX)
        kit_fail(k, "%u lines for %d hellos", k->n_log_lines, COUNTED_CALLS);
    kit_pass(k, "%u lines for %d hellos", k->n_log_lines, COUNTED_CALLS);
}

/* Who reads the queue next, such as SSL_get_error, believes what is in it. */
void
check_error_queue(kit *k)
{
    unsigned long mine;

    kit_start(k);
    serve_many(k, 100);
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    mine = ERR_peek_last_error();
    serve_many(k, COUNTED_CALLS);
    if (ERR_peek_last_error() != mine)
        kit_fail(k, "mint or verify left or took errors; use ERR_set_mark and "
                    "ERR_pop_to_mark around calls of OpenSSL");
    if (ERR_get_error() != mine || ERR_get_error() != 0)
        kit_fail(k, "mint or verify put errors before those that were there");
    kit_stop(k);
}

/* ---- cost ---- */

static double
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef struct subject {
    const dtlsl_cookie_plugin *plugin;
    void *state;
    hello h;
    uint8_t cookie[DTLSL_COOKIE_MAX];
    size_t len;
    double mint_ns, verify_ns;
} subject;

static double
time_mint(subject *s)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    double start = now_ns();

    for (int i = 0; i < COST_CALLS; i++)
        s->plugin->mint(s->state, &s->h.in, cookie, sizeof(cookie));
    return (now_ns() - start) / COST_CALLS;
}

static double
time_verify(subject *s)
{
    dtlsl_cookie_result out = {.size = sizeof(out)};
    double start = now_ns();

    for (int i = 0; i < COST_CALLS; i++)
        s->plugin->verify(s->state, &s->h.in, s->cookie, s->len, &out);
    return (now_ns() - start) / COST_CALLS;
}

static void
keep_least(double *least, double ns)
{
    if (*least == 0 || ns < *least)
        *least = ns;
}

static void
measure(subject *s)
{
    keep_least(&s->mint_ns, time_mint(s));
    keep_least(&s->verify_ns, time_verify(s));
}

static void
prepare_hmac(kit *k, subject *s)
{
    uint64_t next;
    char err[512];
    int32_t len;

    s->plugin = k->host->strategy(k->host->ctx, "hmac");
    if (s->plugin == NULL || s->plugin->open(k->host, NULL, NULL, 0, &s->state,
                                             err, sizeof(err)) != DTLSL_OK)
        kit_skip(k, "there is no hmac to compare with");
    s->plugin->tick(s->state, k->now.mono_ms, k->now.unix_ms, &next);
    len = s->plugin->mint(s->state, &s->h.in, s->cookie, sizeof(s->cookie));
    s->len = len > 0 ? (size_t)len : 0;
}

void
check_cost(kit *k)
{
    static subject own, hmac;

    kit_start(k);
    own.len = kit_cookie(k, &own.h, own.cookie);
    own.plugin = k->plugin;
    own.state = k->state;
    hello_copy(&hmac.h, &own.h);
    prepare_hmac(k, &hmac);
    for (int i = 0; i < COST_ROUNDS; i++) {
        measure(&own);
        measure(&hmac);
    }
    k->report->mint_ns = own.mint_ns;
    k->report->verify_ns = own.verify_ns;
    k->report->hmac_mint_ns = hmac.mint_ns;
    k->report->hmac_verify_ns = hmac.verify_ns;
    kit_pass(k,
             "mint %.0f ns, %.2f times hmac's; verify %.0f ns, %.2f times "
             "hmac's",
             own.mint_ns, own.mint_ns / hmac.mint_ns, own.verify_ns,
             own.verify_ns / hmac.verify_ns);
}
