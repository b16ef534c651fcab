/* SPDX-License-Identifier: MIT
 *
 * Configuration by name and string: one table of options, the same names in
 * C, on the command line of the examples, in bindings and in
 * dtlslisten-config(5), which lists all of them with range and default.
 *
 * A config owns what its listeners share: the SSL_CTX, the cookie secret, the
 * ticket keys and the sockets of a group of workers. It freezes with the first
 * listener or gate that is made from it; dtlsl_config_set then answers
 * DTLSL_ERR_STATE. Its reference count is atomic and listeners keep it alive,
 * so dtlsl_config_free may be called as soon as the listeners exist. Set it up
 * in one thread; create and start its listeners in that thread, too, then hand
 * each to its own.
 *
 * dtlsl_listener_reload makes a new SSL_CTX of the files for the config; the
 * listener that asked uses it at once, another from its own reload on. Without
 * ticket-key-file the ticket keys pass from one to the next: sessions from
 * before are resumed by all workers.
 */
#ifndef DTLSLISTEN_CONFIG_H
#define DTLSLISTEN_CONFIG_H

#include <dtlslisten/base.h>
#include <dtlslisten/cookie.h>

DTLSL_BEGIN_DECLS

struct ssl_ctx_st;

typedef struct dtlsl_config dtlsl_config;

/* A config with the default of every option, and 32 random bytes as cookie
 * secret. Yours, release it with dtlsl_config_free. Fails with
 * DTLSL_ERR_NOMEM or DTLSL_ERR_RANDOM. */
DTLSL_API int32_t dtlsl_config_new(dtlsl_config **out);

/* Gives the caller's reference back. NULL is allowed. */
DTLSL_API void dtlsl_config_free(dtlsl_config *config);

/* Sets an option; both strings are copied. DTLSL_ERR_OPTION for an unknown
 * name, DTLSL_ERR_ARGUMENT for a value out of range, DTLSL_ERR_STATE once the
 * config is frozen; dtlsl_config_error then has the text. A failed call
 * changes nothing. Options of cookie strategies ("cookie.<name>",
 * "cookie.<strategy>.<name>") and files are looked at when the first listener
 * or gate is made. */
DTLSL_API int32_t dtlsl_config_set(dtlsl_config *config, const char *name,
                                   const char *value);

/* Uses the application's own SSL_CTX (any DTLS server method) instead of
 * cert-file and the other options that make one. A reference is taken; the
 * SSL_CTX is never written to. DTLS 1.2 is the newest version that will be
 * negotiated; DTLS 1.0 only where the SSL_CTX allows it. */
DTLSL_API int32_t dtlsl_config_set_ssl_ctx(dtlsl_config *config,
                                           struct ssl_ctx_st *ssl_ctx);

/* Offers a strategy of this process, without dlopen. The option cookie=<its
 * name> chooses it. The table must outlive the config and its listeners;
 * 'user' is handed to its open(). A name that is taken by a built-in strategy
 * or was added before is DTLSL_ERR_ARGUMENT. */
DTLSL_API int32_t dtlsl_config_add_cookie(dtlsl_config *config,
                                          const dtlsl_cookie_plugin *plugin,
                                          void *user);

/* What was wrong with the last call that failed on this config (listener and
 * gate constructors included): what, where, the remedy. Borrowed until the
 * next call on the config; "" if nothing failed yet. */
DTLSL_API const char *dtlsl_config_error(const dtlsl_config *config);

/* The option number 'index', from 0 on: its name, default ("" for none) and a
 * line of text; DTLSL_ERR_OPTION behind the last. All strings are static. For
 * usage texts and bindings. */
DTLSL_API int32_t dtlsl_config_option(size_t index, const char **name,
                                      const char **default_value,
                                      const char **text);

DTLSL_END_DECLS

#endif
