/* SPDX-License-Identifier: MIT
 * What the rest of the library asks of a config. */
#ifndef DTLSL_CONFIG_H
#define DTLSL_CONFIG_H

#include "cookie.h"
#include <dtlslisten/config.h>

struct ssl_ctx_st;

/* The numbers, after parsing; fixed once the config is frozen. */
typedef struct dtlsl__settings {
    uint32_t handshake_timeout_ms;
    uint32_t idle_timeout_ms; /* 0: never */
    uint32_t max_conns;
    uint32_t max_handshakes;
    uint32_t max_conns_per_prefix; /* 0: no limit */
    uint32_t mtu;                  /* largest UDP payload, bytes */
    uint32_t encrypt_then_mac;
    uint32_t workers;
    uint32_t reuse_port;
    uint32_t isolate;
    uint32_t recv_buffer; /* bytes, 0: the system's default */
    uint32_t send_buffer;
    uint32_t events_hello;
    uint32_t events_notice;
} dtlsl__settings;

/* Freezes the config, and takes a reference for a listener or gate. */
void dtlsl__config_ref(dtlsl_config *config);
void dtlsl__config_unref(dtlsl_config *config);
/* Keeps a text for dtlsl_config_error and returns 'code'. */
int32_t dtlsl__config_fail(dtlsl_config *config, int32_t code,
                           const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const dtlsl__settings *dtlsl__config_settings(const dtlsl_config *config);

/* The SSL_CTX, made from the options at the first call and after a change of
 * them. Error text in the config. */
int32_t dtlsl__config_ssl_ctx(dtlsl_config *config, struct ssl_ctx_st **out);
/* Reads the credential files anew; on failure the old SSL_CTX stays. Both
 * functions may be called from the threads of different listeners. The
 * SSL_CTX comes with a reference of its own: dtlsl__tls_ctx_free it. */
int32_t dtlsl__config_reload(dtlsl_config *config);

/* The longest that a cookie may be accepted after it was minted: lifetime and
 * twice the clock skew of the options, or of the bundled strategies. */
uint64_t dtlsl__config_cookie_life_ms(const dtlsl_config *config);

/* The chain of cookie strategies that the options ask for. Yours. */
int32_t dtlsl__config_chain(dtlsl_config *config, const dtlsl_now *now,
                            dtlsl__chain **out);

/* A slot for the socket group of udp.c, released with 'release' when the last
 * reference to the config goes. */
void **dtlsl__config_group(dtlsl_config *config, void (*release)(void *group));

#endif
