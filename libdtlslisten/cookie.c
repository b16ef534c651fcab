/* SPDX-License-Identifier: MIT
 * The host side of cookie strategies: table, chain, options, self-test. */
#include "cookie.h"
#include "plugin.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const dtlsl_cookie_plugin *dtlsl__cookie_hmac(void);
#ifdef DTLSL_BUILTIN_CLUSTER
const dtlsl_cookie_plugin *dtlsl__cookie_cluster(void);
#endif
#ifdef DTLSL_BUILTIN_AEAD
const dtlsl_cookie_plugin *dtlsl__cookie_aead(void);
#endif

enum {
    CHAIN_MAX = 8,
    /* No strategy has more counters; one that never ends is cut here. */
    COUNTERS_MAX = 64,
    HOST_COUNTERS = 2,
    LINES_MAX = 8,
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
} entry;

struct dtlsl__chain {
    dtlsl_cookie_host host;
    EVP_MAC *mac;
    int rekey; /* this libcrypto forgets the key of a reused context */
    const dtlsl__strategy *strategies;
    size_t n_strategies;
    const char *plugin_dir;
    void (*log)(void *ctx, int32_t level, const char *text);
    void *log_ctx;
    /* Lines said before there was somebody to hear them. */
    char *lines[LINES_MAX];
    int32_t levels[LINES_MAX];
    size_t n_lines;
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

/* ---- the host table ---- */

static void
host_log(void *ctx, int32_t level, const char *text)
{
    dtlsl__chain *chain = ctx;
    char *copy;

    if (chain->log != NULL) {
        chain->log(chain->log_ctx, level, text);
        return;
    }
    if (chain->n_lines == LINES_MAX)
        return;
    copy = strdup(text);
    if (copy == NULL)
        return;
    chain->levels[chain->n_lines] = level;
    chain->lines[chain->n_lines++] = copy;
}

static int32_t
host_random(void *ctx, uint8_t *buf, size_t len)
{
    int ok = 1;

    (void)ctx;
    ERR_set_mark();
    while (ok == 1 && len > 0) {
        int part = len < 65536 ? (int)len : 65536;

        ok = RAND_bytes(buf, part);
        buf += part;
        len -= (size_t)part;
    }
    ERR_pop_to_mark();
    return ok == 1 ? DTLSL_OK : DTLSL_ERR_RANDOM;
}

static void
host_cleanse(void *buf, size_t len)
{
    OPENSSL_cleanse(buf, len);
}

static int32_t
host_ct_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

typedef struct mac_context {
    EVP_MAC_CTX *evp;
    size_t rekey_len; /* bytes at key; 0: the context remembers it */
    uint8_t key[];
} mac_context;

static void
host_hmac_free(void *mac)
{
    mac_context *m = mac;

    if (m == NULL)
        return;
    EVP_MAC_CTX_free(m->evp);
    OPENSSL_cleanse(m->key, m->rekey_len);
    free(m);
}

static void *
host_hmac_new(void *ctx, const uint8_t *key, size_t key_len)
{
    dtlsl__chain *chain = ctx;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    mac_context *m = calloc(1, sizeof(*m) + key_len);

    if (m == NULL)
        return NULL;
    ERR_set_mark();
    if (chain->rekey) {
        m->rekey_len = key_len;
        memcpy(m->key, key, key_len);
    }
    m->evp = EVP_MAC_CTX_new(chain->mac);
    if (m->evp == NULL || EVP_MAC_init(m->evp, key, key_len, params) != 1) {
        host_hmac_free(m);
        m = NULL;
    }
    ERR_pop_to_mark();
    return m;
}

static int32_t
host_hmac_sha256(void *mac, const uint8_t *data, size_t len, uint8_t *tag)
{
    mac_context *m = mac;
    const uint8_t *key = NULL;
    size_t tag_len = 0;
    int ok;

    if (m == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (m->rekey_len > 0)
        key = m->key;
    ERR_set_mark();
    ok = EVP_MAC_init(m->evp, key, m->rekey_len, NULL) == 1 &&
         EVP_MAC_update(m->evp, data, len) == 1 &&
         EVP_MAC_final(m->evp, tag, &tag_len, 32) == 1 && tag_len == 32;
    ERR_pop_to_mark();
    return ok ? DTLSL_OK : DTLSL_ERR_TLS;
}

const dtlsl_cookie_plugin *
dtlsl__cookie_builtin(const char *name)
{
    if (strcmp(name, "hmac") == 0)
        return dtlsl__cookie_hmac();
#ifdef DTLSL_BUILTIN_CLUSTER
    if (strcmp(name, "cluster") == 0)
        return dtlsl__cookie_cluster();
#endif
#ifdef DTLSL_BUILTIN_AEAD
    if (strcmp(name, "aead") == 0)
        return dtlsl__cookie_aead();
#endif
    return NULL;
}

static const dtlsl__strategy *
registered(const dtlsl__chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->n_strategies; i++)
        if (strcmp(chain->strategies[i].plugin->name, name) == 0)
            return &chain->strategies[i];
    return NULL;
}

static const dtlsl_cookie_plugin *
host_strategy(void *ctx, const char *name)
{
    const dtlsl__strategy *own = registered(ctx, name);

    return own != NULL ? own->plugin : dtlsl__cookie_builtin(name);
}

/* RFC 4231, test case 2; twice, because the second use of a context is what
 * fails on OpenSSL 3.0.0 to 3.0.2. */
static int
known_answer(dtlsl__chain *chain)
{
    static const uint8_t want[32] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    static const char text[] = "what do ya want for nothing?";
    void *mac = host_hmac_new(chain, (const uint8_t *)"Jefe", 4);
    int ok = mac != NULL;

    for (int i = 0; ok && i < 2; i++) {
        uint8_t tag[32] = {0};

        ok = host_hmac_sha256(mac, (const uint8_t *)text, sizeof(text) - 1,
                              tag) == DTLSL_OK &&
             memcmp(tag, want, sizeof(want)) == 0;
    }
    host_hmac_free(mac);
    return ok;
}

static int32_t
host_init(dtlsl__chain *chain, const uint8_t *default_secret, char *err,
          size_t err_len)
{
    ERR_set_mark();
    chain->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ERR_pop_to_mark();
    if (chain->mac == NULL)
        return fail(err, err_len, DTLSL_ERR_TLS,
                    "cookie: OpenSSL has no HMAC; load its default or fips "
                    "provider in openssl.cnf");
    if (!known_answer(chain)) {
        chain->rekey = 1;
        if (!known_answer(chain))
            return fail(err, err_len, DTLSL_ERR_TLS,
                        "cookie: OpenSSL's HMAC-SHA-256 fails its known "
                        "answer; repair or update libcrypto");
    }
    chain->host = (dtlsl_cookie_host){.size = sizeof(chain->host),
                                      .abi = DTLSL_COOKIE_ABI,
                                      .ctx = chain,
                                      .default_secret = default_secret,
                                      .log = host_log,
                                      .random = host_random,
                                      .cleanse = host_cleanse,
                                      .ct_equal = host_ct_equal,
                                      .hmac_new = host_hmac_new,
                                      .hmac_sha256 = host_hmac_sha256,
                                      .hmac_free = host_hmac_free,
                                      .strategy = host_strategy};
    return DTLSL_OK;
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
    host_log(chain, 1, line);
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

/* The self-test that was put off, on a real hello. */
static int32_t
late_test(dtlsl__chain *chain, entry *e, const dtlsl_cookie_input *in,
          const uint8_t *cookie, int32_t len)
{
    char line[TEXT_MAX];
    const char *flaw = examine(e, in, cookie, (size_t)len);

    e->tested = flaw == NULL ? TEST_PASSED : TEST_FAILED;
    if (flaw == NULL)
        return len;
    e->failures++;
    snprintf(line, sizeof(line),
             "cookie strategy '%s' failed its self-test: %s; it is not used "
             "any more, repair it and start anew",
             e->plugin->name, flaw);
    host_log(chain, 1, line);
    return DTLSL_ERR_PLUGIN;
}

/* ---- making a chain ---- */

static int32_t
find_strategy(dtlsl__chain *chain, entry *e, const char *name, char *err,
              size_t err_len)
{
    const dtlsl__strategy *own = registered(chain, name);

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
    status = e->plugin->open(&chain->host, e->user, own, n, &e->state, text,
                             sizeof(text));
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
    int32_t status = host_init(chain, options->default_secret, err, err_len);

    if (status == DTLSL_OK)
        status = parse_spec(chain, options->spec, err, err_len);
    if (status == DTLSL_OK)
        status = check_options(chain, options, err, err_len);
    for (size_t i = 0; status == DTLSL_OK && i < chain->n_entries; i++) {
        status = open_entry(chain, i, options, err, err_len);
        if (status != DTLSL_OK)
            break;
        tick_entry(&chain->entries[i], now);
        status = self_test(chain, &chain->entries[i], now, err, err_len);
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
    chain->strategies = options->strategies;
    chain->n_strategies = options->n_strategies;
    chain->plugin_dir = options->plugin_dir;
    chain->log = options->log;
    chain->log_ctx = options->log_ctx;
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
    for (size_t i = 0; i < chain->n_lines; i++)
        free(chain->lines[i]);
    EVP_MAC_free(chain->mac);
    free(chain);
}

void
dtlsl__chain_set_log(dtlsl__chain *chain,
                     void (*log)(void *ctx, int32_t level, const char *text),
                     void *ctx)
{
    chain->log = log;
    chain->log_ctx = ctx;
    if (log == NULL)
        return;
    for (size_t i = 0; i < chain->n_lines; i++) {
        log(ctx, chain->levels[i], chain->lines[i]);
        free(chain->lines[i]);
    }
    chain->n_lines = 0;
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
        if (own++ == *index)
            return DTLSL_OK;
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
