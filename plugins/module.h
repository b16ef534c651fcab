/* SPDX-License-Identifier: MIT
 * The entries of the bundled strategies: one of its own for each that is built
 * into the library, the ABI's for each that is a module. */
#ifndef DTLSL_MODULE_H
#define DTLSL_MODULE_H

#include <dtlslisten/cookie.h>

/* A module has one of them. */
#ifdef DTLSL_COOKIE_MODULE
#define dtlsl__cookie_hmac dtlsl_cookie_plugin_v1
#define dtlsl__cookie_cluster dtlsl_cookie_plugin_v1
#define dtlsl__cookie_aead dtlsl_cookie_plugin_v1
DTLSL_API const dtlsl_cookie_plugin *dtlsl_cookie_plugin_v1(void);
#else
const dtlsl_cookie_plugin *dtlsl__cookie_hmac(void);
const dtlsl_cookie_plugin *dtlsl__cookie_cluster(void);
const dtlsl_cookie_plugin *dtlsl__cookie_aead(void);
#endif

#endif
