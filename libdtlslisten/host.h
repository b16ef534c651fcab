/* SPDX-License-Identifier: MIT
 * What the library lends to cookie strategies: the table of the ABI, and the
 * strategies that it has itself. */
#ifndef DTLSL_HOST_H
#define DTLSL_HOST_H

#include "mac.h"
#include <dtlslisten/cookie.h>

enum {
    DTLSL__HOST_LINES = 8
};

/* A strategy of the application's, from dtlsl_config_add_cookie. */
typedef struct dtlsl__strategy {
    const dtlsl_cookie_plugin *plugin;
    void *user;
} dtlsl__strategy;

/* Its address is the ctx of its table: it must not move. */
typedef struct dtlsl__host {
    dtlsl_cookie_host table;
    dtlsl__macs macs;
    const dtlsl__strategy *strategies;
    size_t n_strategies;
    void (*log)(void *ctx, int32_t level, const char *text);
    void *log_ctx;
    /* Lines said before there was somebody to hear them. */
    char *lines[DTLSL__HOST_LINES];
    int32_t levels[DTLSL__HOST_LINES];
    size_t n_lines;
} dtlsl__host;

/* Of zeroed memory, with its strategies set. DTLSL_ERR_TLS with a text if
 * OpenSSL has no HMAC-SHA-256 that computes what it should. */
int32_t dtlsl__host_init(dtlsl__host *host, const uint8_t *default_secret,
                         char *err, size_t err_len);
void dtlsl__host_clear(dtlsl__host *host);

/* Says a line for the operator, or keeps it until there is a log. */
void dtlsl__host_say(dtlsl__host *host, int32_t level, const char *text);
void dtlsl__host_set_log(dtlsl__host *host,
                         void (*log)(void *ctx, int32_t level,
                                     const char *text),
                         void *ctx);

/* The application's strategy of that name, or NULL. */
const dtlsl__strategy *dtlsl__host_registered(const dtlsl__host *host,
                                              const char *name);
/* The built-in strategies by name, or NULL. */
const dtlsl_cookie_plugin *dtlsl__cookie_builtin(const char *name);

#endif
