/* SPDX-License-Identifier: MIT
 * A module for the tests: an old one. It has its own copy of what major 1 of
 * the ABI began with, and a table that ends with verify. The table lies before
 * a page that cannot be read: who looks for more is caught in the act. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    OLD_LEN = 16,
    OLD_VALID = 1,
    OLD_MALFORMED = 2,
    OLD_MISMATCH = 6
};

/* Never to be changed: strategies of this shape are out there. */
typedef struct old_input {
    uint32_t size, flags;
    uint64_t mono_ms, unix_ms;
    uint8_t peer[24], local[24];
    const uint8_t *core, *tail, *app;
    uint32_t core_len, tail_len, app_len, fragment_len;
} old_input;

typedef struct old_result {
    uint32_t size, age_ms, node, app_len;
    uint8_t app[232];
} old_result;

typedef struct old_host {
    uint32_t size, abi;
    void *ctx;
    const uint8_t *default_secret;
    void (*log)(void *ctx, int32_t level, const char *text);
    int32_t (*random)(void *ctx, uint8_t *buf, size_t len);
    void (*cleanse)(void *buf, size_t len);
    int32_t (*ct_equal)(const uint8_t *a, const uint8_t *b, size_t len);
    void *(*hmac_new)(void *ctx, const uint8_t *key, size_t key_len);
    int32_t (*hmac_sha256)(void *mac, const uint8_t *data, size_t len,
                           uint8_t *tag);
    void (*hmac_free)(void *mac);
} old_host;

typedef struct old_plugin {
    uint32_t size, abi;
    const char *name;
    uint32_t max_cookie_len, flags;
    int32_t (*open)(const old_host *host, void *user, const void *options,
                    size_t n_options, void **state, char *err, size_t err_len);
    void (*close)(void *state);
    int32_t (*mint)(void *state, const old_input *in, uint8_t *cookie,
                    size_t cap);
    int32_t (*verify)(void *state, const old_input *in, const uint8_t *cookie,
                      size_t len, old_result *out);
} old_plugin;

__attribute__((visibility("default"))) const old_plugin *
dtlsl_cookie_plugin_v1(void);

typedef struct old_state {
    const old_host *host;
    void *mac;
} old_state;

static int32_t
old_open(const old_host *host, void *user, const void *options,
         size_t n_options, void **state, char *err, size_t err_len)
{
    old_state *s;

    (void)user;
    (void)options;
    (void)err;
    (void)err_len;
    if (host->size < sizeof(*host) || host->abi != 1 || n_options > 0)
        return -10009;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -10002;
    s->host = host;
    s->mac = host->hmac_new(host->ctx, host->default_secret, 32);
    *state = s;
    return s->mac == NULL ? -10002 : 0;
}

static void
old_close(void *state)
{
    old_state *s = state;

    s->host->hmac_free(s->mac);
    free(s);
}

static int32_t
old_mint(void *state, const old_input *in, uint8_t *cookie, size_t cap)
{
    old_state *s = state;
    uint8_t message[24 + 67], tag[32];

    if (cap < OLD_LEN || in->size < sizeof(*in) || in->core_len > 67)
        return -10001;
    memcpy(message, in->peer, 24);
    memcpy(message + 24, in->core, in->core_len);
    if (s->host->hmac_sha256(s->mac, message, 24 + in->core_len, tag) < 0)
        return -10003;
    memcpy(cookie, tag, OLD_LEN);
    return OLD_LEN;
}

static int32_t
old_verify(void *state, const old_input *in, const uint8_t *cookie, size_t len,
           old_result *out)
{
    old_state *s = state;
    uint8_t want[OLD_LEN];

    if (len != OLD_LEN)
        return OLD_MALFORMED;
    if (out->size < sizeof(*out) || old_mint(state, in, want, OLD_LEN) < 0)
        return -10003;
    if (!s->host->ct_equal(want, cookie, OLD_LEN))
        return OLD_MISMATCH;
    out->age_ms = 7;
    return OLD_VALID;
}

const old_plugin *
dtlsl_cookie_plugin_v1(void)
{
    static const old_plugin table = {
        .size = sizeof(table),
        .abi = 1,
        .name = "old",
        .max_cookie_len = OLD_LEN,
        .open = old_open,
        .close = old_close,
        .mint = old_mint,
        .verify = old_verify,
    };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0)
        return NULL;
    pages += page - sizeof(table);
    memcpy(pages, &table, sizeof(table));
    return (const old_plugin *)(void *)pages;
}
