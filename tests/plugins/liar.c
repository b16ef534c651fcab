/* SPDX-License-Identifier: MIT
 * A module for the tests: it claims to have written more than there was room
 * for. */
#include "module.h"

static int32_t
lying_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
           size_t cap)
{
    module_mint(state, in, cookie, cap);
    return (int32_t)cap + 1000;
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "liar",
    .max_cookie_len = MODULE_LEN,
    .open = module_open,
    .close = module_close,
    .mint = lying_mint,
    .verify = module_verify,
};

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table;
}
