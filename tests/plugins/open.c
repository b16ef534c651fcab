/* SPDX-License-Identifier: MIT
 * A module for the tests: it lets everybody in. */
#include "module.h"

static int32_t
open_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    (void)state;
    (void)in;
    (void)cookie;
    (void)len;
    (void)out;
    return DTLSL_COOKIE_VALID;
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "open",
    .max_cookie_len = MODULE_LEN,
    .open = module_open,
    .close = module_close,
    .mint = module_mint,
    .verify = open_verify,
};

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table;
}
