/* SPDX-License-Identifier: MIT
 * A chain of cookie strategies: options, self-test, judging their answers. */
#include "cookie.h"
#include "plugin.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHAIN_MAX = 8,
    /* No strategy has more counters; one that never ends is cut here. */
    COUNTERS_MAX = 64,
    HOST_COUNTERS = 2,
    TEXT_MAX = 512
};

/* entry.tested */
enum {
    TEST_PASSED = 0,
    TEST_DEFERRED = 1, /* until the first successful mint */
    TEST_FAILED = 2    /* neither mints nor verifies */
};

typedef struct entry {
    const dtlsl_cookie_plugin *plugin; /* the copy in 'table' */
    dtlsl_cookie_plugin table;
    void *user;
    void *state;
    int is_open;
    int tested;
    uint64_t deferred; /* self-tests put off */
    uint64_t failures; /* calls that failed, or answered nonsense */
    uint64_t next_tick_ms;
    uint64_t self_made[COUNTERS_MAX]; /* what self-tests have counted */
} entry;

struct dtlsl__chain {
    dtlsl__host host;
    const char *plugin_dir;
    size_t n_entries;
    entry entries[CHAIN_MAX];
};

static int32_t fail(char *err, size_t err_len, int32_t code,
                    const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int32_t
fail(char *err, size_t err_len, int32_t code, const char *format, ...)
{
    va_list args;

    if (err != NULL && err_len > 0) {
        va_start(args, format);
        vsnprintf(err, err_len, format, args);
        va_end(args);
    }
    return code;
}

/* ---- self-test ---- */

typedef struct sample {
    dtlsl_cookie_input in;
    uint8_t core[67];
    uint8_t tail[5];
} sample;

static void
sample_init(sample *s, const dtlsl_now *now)
{
    static const uint8_t peer[24] = {0, 0,    0,    0,   0, 0, 0, 0,    0,
                                     0, 0xff, 0xff, 192, 0, 2, 1, 0xc0, 0x01};
    static const uint8_t tail[5] = {0, 2, 0xc0, 0x2b, 0};

    memset(s, 0, sizeof(*s));
    s->core[0] = 0xfe;
    s->core[1] = 0xfd;
    for (uint8_t i = 0; i < 32; i++)
        s->core[2 + i] = i;
    memcpy(s->tail, tail, sizeof(tail));
    memcpy(s->in.peer, peer, sizeof(peer));
    memcpy(s->in.local, peer, sizeof(peer));
    s->in.local[15] = 2;
    s->in.size = sizeof(s->in);
    s->in.flags = DTLSL_COOKIE_IN_TAIL | DTLSL_COOKIE_IN_LOCAL;
    s->in.mono_ms = now->mono_ms;
    s->in.unix_ms = now->unix_ms;
    s->in.core = s->core;
    s->in.core_len = 35;
    s->in.tail = s->tail;
    s->in.tail_len = sizeof(s->tail);
    s->in.fragment_len = 100;
}

/* Not the bytes of app, of which app_len counts. */
static void
clear(dtlsl_cookie_result *out)
{
    out->size = sizeof(*out);
    out->age_ms = 0;
    out->node = 0;
    out->app_len = 0;
}

/* Calls a strategy's verify and judges its answer. */
static int32_t
ask(entry *e, const dtlsl_cookie_input *in, const uint8_t *cookie, size_t len,
    dtlsl_cookie_result *out)
{
    int32_t answer;

    clear(out);
    answer = e->plugin->verify(e->state, in, cookie, len, out);
    if (answer == 0 || answer > DTLSL_COOKIE_NEED_MORE ||
        (answer == DTLSL_COOKIE_VALID && out->app_len > sizeof(out->app)))
        answer = DTLSL_ERR_PLUGIN;
    if (answer < 0 && answer != DTLSL_COOKIE_REFUSED &&
        answer != DTLSL_COOKIE_NOTREADY)
        e->failures++;
    if (answer != DTLSL_COOKIE_VALID)
        clear(out);
    return answer;
}

static int
is_valid(entry *e, const dtlsl_cookie_input *in, const uint8_t *cookie,
         size_t len)
{
    dtlsl_cookie_result out;

    return ask(e, in, cookie, len, &out) == DTLSL_COOKIE_VALID;
}

/* NULL, or what is wrong with the cookie that was minted for 'in'. */
static const char *
examine(entry *e, const dtlsl_cookie_input *in, const uint8_t *cookie,
        size_t len)
{
    uint8_t copy[DTLSL_COOKIE_MAX];
    uint8_t core[67];
    dtlsl_cookie_input other = *in;

    if (!is_valid(e, in, cookie, len))
        return "it does not verify a cookie of its own";
    memcpy(copy, cookie, len);
    for (size_t i = 0; i < len; i++) {
        copy[i] ^= (uint8_t)(1 << (i & 7));
        if (is_valid(e, in, copy, len))
            return "it verifies a cookie with a flipped bit";
        copy[i] = cookie[i];
    }
    other.peer[15] ^= 1;
    if (is_valid(e, &other, cookie, len))
        return "it verifies a cookie for another peer address";
    other.peer[15] ^= 1;
    memcpy(core, in->core, in->core_len);
    core[33] ^= 1;
    other.core = core;
    if (is_valid(e, &other, cookie, len))
        return "it verifies a cookie for another random";
    return NULL;
}

/* Calls a strategy's mint and judges its answer. */
static int32_t
make(entry *e, const dtlsl_cookie_input *in, uint8_t *cookie, size_t cap)
{
    int32_t len;

    if (cap > DTLSL_COOKIE_MAX)
        cap = DTLSL_COOKIE_MAX;
    len = e->plugin->mint(e->state, in, cookie, cap);
    if (len == 0 || (len > 0 && ((size_t)len > cap ||
                                 (uint32_t)len > e->plugin->max_cookie_len)))
        len = DTLSL_ERR_PLUGIN;
    if (len < 0 && len != DTLSL_COOKIE_REFUSED && len != DTLSL_COOKIE_NOTREADY)
        e->failures++;
    return len;
}

static void
warn_long(dtlsl__chain *chain, const entry *e)
{
    char line[TEXT_MAX];

    if (e->plugin->max_cookie_len <= DTLSL_COOKIE_SAFE)
        return;
    snprintf(line, sizeof(line),
             "cookie strategy '%s' makes cookies of up to %u bytes: above %d "
             "handshakes of GnuTLS, NSS, tinydtls and wolfSSL clients fail; "
             "shorten its cookies if such clients matter",
             e->plugin->name, e->plugin->max_cookie_len, DTLSL_COOKIE_SAFE);
    dtlsl__host_say(&chain->host, 1, line);
}

/* Self-tests are no peer's doing: an operator who watches for unknown keys
 * should see none. Before a test 'sign' is -1, behind it 1. */
static void
note_counters(entry *e, int sign)
{
    const char *name;
    uint64_t value;

    if (e->plugin->counter == NULL)
        return;
    for (uint32_t i = 0; i < COUNTERS_MAX; i++) {
        value = 0;
        if (e->plugin->counter(e->state, i, &name, &value) < 0)
            return;
        e->self_made[i] += sign < 0 ? 0 - value : value;
    }
}

static int32_t
self_test(dtlsl__chain *chain, entry *e, const dtlsl_now *now, char *err,
          size_t err_len)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    const char *flaw = NULL;
    sample s;
    int32_t len;

    sample_init(&s, now);
    warn_long(chain, e);
    len = make(e, &s.in, cookie, sizeof(cookie));
    if (len == DTLSL_COOKIE_NOTREADY || len == DTLSL_COOKIE_REFUSED) {
        e->tested = TEST_DEFERRED;
        e->deferred++;
        return DTLSL_OK;
    }
    if (len < 0)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "cookie strategy '%s' failed its self-test: mint gave no "
                    "cookie of 1 to %u bytes (%d); repair the strategy",
                    e->plugin->name, e->plugin->max_cookie_len, (int)len);
    flaw = examine(e, &s.in, cookie, (size_t)len);
    if (flaw != NULL)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "cookie strategy '%s' failed its self-test: %s; repair "
                    "the strategy, it would not protect anybody",
                    e->plugin->name, flaw);
    return DTLSL_OK;
}

/* The self-test that was put off, on a real hello. A call that fails, for want
 * of memory for instance, puts it off once more. */
static int32_t
late_test(dtlsl__chain *chain, entry *e, const dtlsl_cookie_input *in,
          const uint8_t *cookie, int32_t len)
{
    dtlsl_cookie_result out;
    char line[TEXT_MAX];
    const char *flaw = NULL;
    int32_t answer;

    note_counters(e, -1);
    answer = ask(e, in, cookie, (size_t)len, &out);
    if (answer >= 0)
        flaw = examine(e, in, cookie, (size_t)len);
    note_counters(e, 1);
    if (answer < 0)
        return answer;
    e->tested = flaw == NULL ? TEST_PASSED : TEST_FAILED;
    if (flaw == NULL)
        return len;
    e->failures++;
    snprintf(line, sizeof(line),
             "cookie strategy '%s' failed its self-test: %s; it is not used "
             "any more, repair it and start anew",
             e->plugin->name, flaw);
    dtlsl__host_say(&chain->host, 1, line);
    return DTLSL_ERR_PLUGIN;
}

/* ---- making a chain ---- */

static int32_t
find_strategy(dtlsl__chain *chain, entry *e, const char *name, char *err,
              size_t err_len)
{
    const dtlsl__strategy *own = dtlsl__host_registered(&chain->host, name);

    if (own != NULL) {
        e->plugin = own->plugin;
        e->user = own->user;
        return dtlsl__plugin_vet(e->plugin, "dtlsl_config_add_cookie", err,
                                 err_len);
    }
    e->plugin = dtlsl__cookie_builtin(name);
    if (e->plugin != NULL)
        return DTLSL_OK;
    return dtlsl__plugin_load(&e->plugin, name, chain->plugin_dir, err,
                              err_len);
}

static int32_t
add_strategy(dtlsl__chain *chain, const char *name, char *err, size_t err_len)
{
    entry *e;
    int32_t status;

    if (chain->n_entries == CHAIN_MAX)
        return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                    "option cookie: more than %d strategies; shorten the "
                    "list",
                    CHAIN_MAX);
    e = &chain->entries[chain->n_entries];
    memset(e, 0, sizeof(*e));
    status = find_strategy(chain, e, name, err, err_len);
    if (status != DTLSL_OK)
        return status;
    dtlsl__plugin_read(&e->table, e->plugin);
    e->plugin = &e->table;
    for (size_t i = 0; i < chain->n_entries; i++)
        if (strcmp(chain->entries[i].plugin->name, e->plugin->name) == 0)
            return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                        "option cookie: strategy '%s' is there twice; name "
                        "it once",
                        e->plugin->name);
    chain->n_entries++;
    return DTLSL_OK;
}

/* "a, b": blanks around a name do not count. */
static int32_t
parse_spec(dtlsl__chain *chain, const char *spec, char *err, size_t err_len)
{
    int32_t status = DTLSL_OK;
    const char *p = spec;

    for (;;) {
        size_t len = strcspn(p, ",");
        size_t skip = strspn(p, " \t");
        size_t end = len;
        char *name;

        skip = skip < len ? skip : len;
        while (end > skip && (p[end - 1] == ' ' || p[end - 1] == '\t'))
            end--;
        if (end == skip)
            return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                        "option cookie: '%.100s' has an empty name in it; "
                        "write names separated by single commas",
                        spec);
        name = strndup(p + skip, end - skip);
        if (name == NULL)
            return fail(err, err_len, DTLSL_ERR_NOMEM,
                        "option cookie: out of memory");
        status = add_strategy(chain, name, err, err_len);
        free(name);
        if (status != DTLSL_OK || p[len] == '\0')
            return status;
        p += len + 1;
    }
}

/* The number of the strategy that an option is for, n_entries if there is
 * none; *key becomes the name without the strategy's. */
static size_t
route(const dtlsl__chain *chain, const char **key)
{
    const char *dot = strchr(*key, '.');
    size_t len;

    if (dot == NULL)
        return 0;
    len = (size_t)(dot - *key);
    for (size_t i = 0; i < chain->n_entries; i++) {
        const char *name = chain->entries[i].plugin->name;

        if (strlen(name) == len && memcmp(name, *key, len) == 0) {
            *key = dot + 1;
            return i;
        }
    }
    return chain->n_entries;
}

static int32_t
check_options(const dtlsl__chain *chain, const dtlsl__chain_options *options,
              char *err, size_t err_len)
{
    for (size_t i = 0; i < options->n_options; i++) {
        const char *key = options->options[i].key;

        if (route(chain, &key) == chain->n_entries)
            return fail(err, err_len, DTLSL_ERR_OPTION,
                        "option cookie.%.100s: no strategy of that name in "
                        "cookie=%.100s; add it to the list or take the "
                        "option out",
                        options->options[i].key, options->spec);
    }
    return DTLSL_OK;
}

static int32_t
open_entry(dtlsl__chain *chain, size_t index,
           const dtlsl__chain_options *options, char *err, size_t err_len)
{
    entry *e = &chain->entries[index];
    char text[TEXT_MAX] = "";
    size_t n = 0;
    dtlsl_cookie_option *own = calloc(options->n_options + 1, sizeof(*own));
    int32_t status;

    if (own == NULL)
        return fail(err, err_len, DTLSL_ERR_NOMEM, "cookie: out of memory");
    for (size_t i = 0; i < options->n_options; i++) {
        own[n] = options->options[i];
        if (route(chain, &own[n].key) == index)
            n++;
    }
    status = e->plugin->open(&chain->host.table, e->user, own, n, &e->state,
                             text, sizeof(text));
    text[sizeof(text) - 1] = '\0';
    free(own);
    e->is_open = status == DTLSL_OK;
    if (e->is_open)
        return DTLSL_OK;
    return fail(err, err_len, status < 0 ? status : DTLSL_ERR_PLUGIN,
                "cookie strategy '%s': %s", e->plugin->name,
                text[0] != '\0' ? text : "it did not open, without a reason");
}

static void
tick_entry(entry *e, const dtlsl_now *now)
{
    uint64_t next = UINT64_MAX;

    if (e->plugin->tick != NULL)
        e->plugin->tick(e->state, now->mono_ms, now->unix_ms, &next);
    /* A strategy must not make the loop spin. */
    e->next_tick_ms = next > now->mono_ms ? next : now->mono_ms + 1;
}

static int32_t
build(dtlsl__chain *chain, const dtlsl__chain_options *options,
      const dtlsl_now *now, char *err, size_t err_len)
{
    int32_t status =
        dtlsl__host_init(&chain->host, options->default_secret, err, err_len);

    if (status == DTLSL_OK)
        status = parse_spec(chain, options->spec, err, err_len);
    if (status == DTLSL_OK)
        status = check_options(chain, options, err, err_len);
    for (size_t i = 0; status == DTLSL_OK && i < chain->n_entries; i++) {
        status = open_entry(chain, i, options, err, err_len);
        if (status != DTLSL_OK)
            break;
        tick_entry(&chain->entries[i], now);
        note_counters(&chain->entries[i], -1);
        status = self_test(chain, &chain->entries[i], now, err, err_len);
        note_counters(&chain->entries[i], 1);
    }
    return status;
}

int32_t
dtlsl__chain_new(dtlsl__chain **out, const dtlsl__chain_options *options,
                 const dtlsl_now *now, char *err, size_t err_len)
{
    dtlsl__chain *chain = calloc(1, sizeof(*chain));
    int32_t status;

    if (chain == NULL)
        return fail(err, err_len, DTLSL_ERR_NOMEM, "cookie: out of memory");
    chain->host.strategies = options->strategies;
    chain->host.n_strategies = options->n_strategies;
    chain->plugin_dir = options->plugin_dir;
    dtlsl__host_set_log(&chain->host, options->log, options->log_ctx);
    status = build(chain, options, now, err, err_len);
    if (status != DTLSL_OK) {
        dtlsl__chain_free(chain);
        return status;
    }
    chain->plugin_dir = NULL;
    *out = chain;
    return DTLSL_OK;
}

void
dtlsl__chain_free(dtlsl__chain *chain)
{
    if (chain == NULL)
        return;
    for (size_t i = 0; i < chain->n_entries; i++)
        if (chain->entries[i].is_open)
            chain->entries[i].plugin->close(chain->entries[i].state);
    dtlsl__host_clear(&chain->host);
    free(chain);
}

void
dtlsl__chain_set_log(dtlsl__chain *chain,
                     void (*log)(void *ctx, int32_t level, const char *text),
                     void *ctx)
{
    dtlsl__host_set_log(&chain->host, log, ctx);
}

/* ---- packet path ---- */

int32_t
dtlsl__chain_mint(dtlsl__chain *chain, const dtlsl_cookie_input *in,
                  uint8_t *cookie, size_t cap)
{
    entry *e = &chain->entries[0];
    int32_t len;

    if (e->tested == TEST_FAILED)
        return DTLSL_ERR_PLUGIN;
    len = make(e, in, cookie, cap);
    if (len > 0 && e->tested == TEST_DEFERRED)
        len = late_test(chain, e, in, cookie, len);
    return len;
}

int32_t
dtlsl__chain_verify(dtlsl__chain *chain, const dtlsl_cookie_input *in,
                    const uint8_t *cookie, size_t len,
                    dtlsl_cookie_result *out)
{
    int32_t answer = DTLSL_COOKIE_MALFORMED;

    for (size_t i = 0;
         answer == DTLSL_COOKIE_MALFORMED && i < chain->n_entries; i++) {
        entry *e = &chain->entries[i];

        if (e->tested == TEST_FAILED)
            answer = DTLSL_ERR_PLUGIN;
        else
            answer = ask(e, in, cookie, len, out);
    }
    return answer;
}

uint64_t
dtlsl__chain_tick(dtlsl__chain *chain, const dtlsl_now *now)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < chain->n_entries; i++) {
        entry *e = &chain->entries[i];

        if (e->next_tick_ms <= now->mono_ms)
            tick_entry(e, now);
        if (e->next_tick_ms < next)
            next = e->next_tick_ms;
    }
    return next;
}

/* The strategy's own counters, then the host's on it. */
static int32_t
entry_counter(const entry *e, size_t *index, const char **name,
              uint64_t *value)
{
    size_t own = 0;

    while (e->plugin->counter != NULL && own < COUNTERS_MAX) {
        *name = NULL;
        *value = 0;
        if (e->plugin->counter(e->state, (uint32_t)own, name, value) < 0 ||
            *name == NULL)
            break;
        if (own == *index) {
            *value -= e->self_made[own];
            return DTLSL_OK;
        }
        own++;
    }
    *index -= own;
    if (*index < HOST_COUNTERS) {
        *name = *index == 0 ? "strategy_failed" : "selftest_deferred";
        *value = *index == 0 ? e->failures : e->deferred;
        return DTLSL_OK;
    }
    *index -= HOST_COUNTERS;
    return DTLSL_ERR_ARGUMENT;
}

int32_t
dtlsl__chain_counter(const dtlsl__chain *chain, size_t index,
                     const char **strategy, const char **name, uint64_t *value)
{
    for (size_t i = 0; i < chain->n_entries; i++) {
        const entry *e = &chain->entries[i];

        if (entry_counter(e, &index, name, value) == DTLSL_OK) {
            *strategy = e->plugin->name;
            return DTLSL_OK;
        }
    }
    return DTLSL_ERR_ARGUMENT;
}
