/* SPDX-License-Identifier: MIT
 * A module for the tests: its table is shorter than the ABI says. */
#include "module.h"

static const dtlsl_cookie_plugin table = {
    .size = 16,
    .abi = DTLSL_COOKIE_ABI,
    .name = "short",
    .max_cookie_len = MODULE_LEN,
    .open = module_open,
    .close = module_close,
    .mint = module_mint,
    .verify = module_verify,
};

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table;
}
