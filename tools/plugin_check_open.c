/* SPDX-License-Identifier: MIT
 * Options, and the life of a state. */
#include "plugin_check.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum {
    ERR_LEN = 512,
    OPTIONS_MAX = 64,
    WARM_ROUNDS = 100,
    ROUNDS = 1000,
    /* Below it is what allocators keep for themselves. */
    HEAP_NOISE = 8 * ROUNDS,
    PRIVATE_NOISE = 1 << 20,
    COUNTERS_MAX = 64
};

void
check_open(kit *k)
{
    char err[ERR_LEN];
    int32_t status = kit_open(k, &k->state, err, sizeof(err));

    err[sizeof(err) - 1] = '\0';
    if (status != DTLSL_OK)
        kit_fail(k, "open answered %d: %.400s", status,
                 err[0] != '\0' ? err : "(no text)");
    kit_stop(k);
}

/* ---- options ---- */

/* The options of the command line, with those at 'more' behind. */
static size_t
join(const kit *k, const dtlsl_cookie_option *more, size_t n_more,
     dtlsl_cookie_option out[OPTIONS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < k->setup->n_options && n < OPTIONS_MAX; i++)
        out[n++] = k->setup->options[i];
    for (size_t i = 0; i < n_more && n < OPTIONS_MAX; i++)
        out[n++] = more[i];
    return n;
}

static const dtlsl_cookie_option unknown = {"no-such-option", "1"};

static int32_t
open_unknown(kit *k, void **state, char *err, size_t err_len)
{
    dtlsl_cookie_option options[OPTIONS_MAX];
    size_t n = join(k, &unknown, 1, options);

    *state = NULL;
    return k->plugin->open(k->host, NULL, options, n, state, err, err_len);
}

void
check_option_unknown(kit *k)
{
    char err[ERR_LEN] = "";
    void *state;
    int32_t status = open_unknown(k, &state, err, sizeof(err));

    if (status >= 0)
        kit_fail(k, "open answered %d to the option %s=1", status,
                 unknown.key);
    if (memchr(err, '\0', sizeof(err)) == NULL || err[0] == '\0')
        kit_fail(k, "open answered %d without a text", status);
    if (strstr(err, unknown.key) == NULL)
        kit_warn(k, "the text does not name the option: %.400s", err);
}

static void
try_text(kit *k, const kit_area *area, size_t err_len)
{
    uint8_t *err = area->data + area->size / 2;
    void *state;
    int32_t status;

    kit_area_mark(area);
    memset(err, 0, err_len);
    status = open_unknown(k, &state, (char *)err, err_len);
    if (status >= 0)
        kit_skip(k, "it takes unknown options, see \"option-unknown\"");
    if (!kit_area_intact(area, err, err_len))
        kit_fail(k, "with err_len %zu it wrote outside of err", err_len);
    if (err_len > 0 && memchr(err, '\0', err_len) == NULL)
        kit_fail(k, "with err_len %zu the text has no NUL", err_len);
}

void
check_option_text(kit *k)
{
    kit_area area = kit_area_new(k, "text at err", 16384);

    for (size_t len = 0; len <= 64; len++)
        try_text(k, &area, len);
    try_text(k, &area, ERR_LEN);
}

void
check_option_twice(kit *k)
{
    dtlsl_cookie_option options[OPTIONS_MAX];
    char err[ERR_LEN] = "";
    void *state = NULL;
    size_t n = join(k, k->setup->options, k->setup->n_options, options);
    int32_t status;

    if (n == 0)
        kit_skip(k, "no option was given on the command line");
    status =
        k->plugin->open(k->host, NULL, options, n, &state, err, sizeof(err));
    if (status == DTLSL_OK) {
        k->plugin->close(state);
        kit_pass(k, "the last one counts, or the first: it was taken");
    }
    if (status > 0 || err[0] == '\0')
        kit_fail(k, "open answered %d without a text", status);
    kit_pass(k, "refused: %.400s", err);
}

/* ---- open and close ---- */

static size_t
count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

typedef struct holdings {
    size_t heap;
    size_t private;
    size_t descriptors;
    size_t threads;
} holdings;

static holdings
take_stock(void)
{
    return (holdings){memory_heap_bytes(), memory_private_bytes(),
                      count_entries("/proc/self/fd"),
                      count_entries("/proc/self/task")};
}

/* Each round uses the state, too: what it makes late must go as well. */
static void
go_round(kit *k, int rounds)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    hello h;

    for (int i = 0; i < rounds; i++) {
        kit_start(k);
        hello_make(k, &h);
        kit_mint(k, &h, cookie);
        kit_stop(k);
    }
}

void
check_open_close(kit *k)
{
    holdings before, after;

    go_round(k, WARM_ROUNDS);
    before = take_stock();
    go_round(k, ROUNDS);
    after = take_stock();
    if (after.descriptors > before.descriptors)
        kit_fail(k, "%d times left %zu more descriptors open", ROUNDS,
                 after.descriptors - before.descriptors);
    if (after.threads > before.threads)
        kit_fail(k, "%d times left %zu more threads", ROUNDS,
                 after.threads - before.threads);
    if (after.heap > before.heap + HEAP_NOISE)
        kit_fail(k, "%d times left %zu bytes more on the heap", ROUNDS,
                 after.heap - before.heap);
    if (after.private > before.private + PRIVATE_NOISE)
        kit_fail(k, "%d times left %zu more bytes of private pages", ROUNDS,
                 after.private - before.private);
    kit_pass(k, "%d times", ROUNDS);
}

void
check_two_states(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    void *first, *second;
    size_t len;
    hello h;

    kit_start(k);
    first = k->state;
    kit_start(k);
    second = k->state;
    k->state = first;
    len = kit_cookie(k, &h, cookie);
    k->plugin->close(second);
    if (kit_verify(k, &h, cookie, len) != DTLSL_COOKIE_VALID)
        kit_fail(k, "closing another state took a valid cookie away");
    kit_cookie(k, &h, cookie);
    kit_stop(k);
}

/* ---- the library's own way ---- */

void
check_self_test(kit *k)
{
    dtlsl__chain_options options = {.spec = k->setup->path,
                                    .options = k->setup->options,
                                    .n_options = k->setup->n_options,
                                    .default_secret = k->host->default_secret};
    const char *strategy, *name;
    dtlsl__chain *chain = NULL;
    char err[ERR_LEN] = "";
    uint64_t value;

    if (dtlsl__chain_new(&chain, &options, &k->now, err, sizeof(err)) !=
        DTLSL_OK)
        kit_fail(k, "%.500s", err);
    for (size_t i = 0;
         dtlsl__chain_counter(chain, i, &strategy, &name, &value) == DTLSL_OK;
         i++)
        if (strcmp(name, "selftest_deferred") == 0 && value > 0)
            kit_skip(k, "it refuses the self-test's hello or has no key yet: "
                        "the library repeats the test at the first cookie");
    dtlsl__chain_free(chain);
}

/* ---- counters ---- */

static void
examine_counter(kit *k, uint32_t index, const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

    if (name == NULL || name[0] == '\0' || name[strspn(name, letters)] != '\0')
        kit_fail(k, "counter %u is named '%.60s'", index,
                 name != NULL ? name : "");
}

void
check_counters(kit *k)
{
    const char *name;
    uint64_t value;
    uint32_t n = 0;

    if (k->plugin->counter == NULL)
        kit_skip(k, "it has none");
    kit_start(k);
    for (;; n++) {
        name = NULL;
        value = 0;
        if (k->plugin->counter(k->state, n, &name, &value) < 0)
            break;
        examine_counter(k, n, name);
        if (n >= COUNTERS_MAX)
            kit_fail(k, "no end at counter %u", n);
    }
    if (k->plugin->counter(k->state, UINT32_MAX, &name, &value) >= 0)
        kit_fail(k, "there is a counter %u", UINT32_MAX);
    kit_stop(k);
    kit_pass(k, "%u counters", n);
}
