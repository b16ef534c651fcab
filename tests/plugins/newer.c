/* SPDX-License-Identifier: MIT
 * A module for the tests: one that was built against a newer header, where
 * each struct has a field more. It uses them where 'size' says so. */
#include "module.h"

typedef struct newer_host {
    dtlsl_cookie_host v1;
    uint32_t (*more)(void *ctx);
} newer_host;

typedef struct newer_input {
    dtlsl_cookie_input v1;
    uint64_t more;
} newer_input;

typedef struct newer_result {
    dtlsl_cookie_result v1;
    uint64_t more;
} newer_result;

typedef struct newer_plugin {
    dtlsl_cookie_plugin v1;
    void (*more)(void *state);
} newer_plugin;

static uint64_t from_host, from_input, to_result, called;

static int32_t
newer_open(const dtlsl_cookie_host *host, void *user,
           const dtlsl_cookie_option *options, size_t n_options, void **state,
           char *err, size_t err_len)
{
    if (host->size >= sizeof(newer_host))
        from_host = ((const newer_host *)(const void *)host)->more(host->ctx);
    return module_open(host, user, options, n_options, state, err, err_len);
}

static int32_t
newer_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
           size_t cap)
{
    if (in->size >= sizeof(newer_input))
        from_input = ((const newer_input *)(const void *)in)->more;
    return module_mint(state, in, cookie, cap);
}

static int32_t
newer_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    if (out->size >= sizeof(newer_result))
        to_result = ((newer_result *)(void *)out)->more = 3;
    return module_verify(state, in, cookie, len, out);
}

static int32_t
newer_counter(void *state, uint32_t index, const char **name, uint64_t *value)
{
    static const char *const names[] = {"from_host", "from_input", "to_result",
                                        "called"};
    const uint64_t values[] = {from_host, from_input, to_result, called};

    (void)state;
    if (index >= 4)
        return DTLSL_ERR_ARGUMENT;
    *name = names[index];
    *value = values[index];
    return DTLSL_OK;
}

/* What a host that does not know it must never call. */
static void
newer_more(void *state)
{
    (void)state;
    called++;
}

static const newer_plugin table = {
    .v1 =
        {
            .size = sizeof(table),
            .abi = DTLSL_COOKIE_ABI,
            .name = "newer",
            .max_cookie_len = MODULE_LEN,
            .open = newer_open,
            .close = module_close,
            .mint = newer_mint,
            .verify = newer_verify,
            .counter = newer_counter,
        },
    .more = newer_more,
};

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table.v1;
}
