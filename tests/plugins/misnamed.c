/* SPDX-License-Identifier: MIT
 * A module for the tests: its table has another name than its file. */
#include "module.h"

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "other",
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
