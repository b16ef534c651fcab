/* SPDX-License-Identifier: MIT
 * A small strategy out of which the modules of the tests are made: 16 bytes of
 * HMAC over peer and CORE, no lifetime. */
#ifndef DTLSL_TEST_MODULE_H
#define DTLSL_TEST_MODULE_H

#include <dtlslisten/cookie.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODULE_LEN = 16
};

DTLSL_API const dtlsl_cookie_plugin *dtlsl_cookie_plugin_v1(void);

typedef struct module_state {
    const dtlsl_cookie_host *host;
    void *mac;
} module_state;

static inline int32_t
module_open(const dtlsl_cookie_host *host, void *user,
            const dtlsl_cookie_option *options, size_t n_options, void **state,
            char *err, size_t err_len)
{
    module_state *s;

    (void)user;
    if (n_options > 0) {
        snprintf(err, err_len, "no option '%s'; take it out", options[0].key);
        return DTLSL_ERR_OPTION;
    }
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return DTLSL_ERR_NOMEM;
    s->host = host;
    s->mac = host->hmac_new(host->ctx, host->default_secret,
                            DTLSL_COOKIE_SECRET_LEN);
    *state = s;
    return DTLSL_OK;
}

static inline void
module_close(void *state)
{
    module_state *s = state;

    s->host->hmac_free(s->mac);
    free(s);
}

static inline int32_t
module_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
            size_t cap)
{
    module_state *s = state;
    uint8_t message[24 + 67];
    uint8_t tag[32];

    if (cap < MODULE_LEN)
        return DTLSL_ERR_SPACE;
    memcpy(message, in->peer, 24);
    memcpy(message + 24, in->core, in->core_len);
    if (s->host->hmac_sha256(s->mac, message, 24 + in->core_len, tag) < 0)
        return DTLSL_ERR_STATE;
    memcpy(cookie, tag, MODULE_LEN);
    return MODULE_LEN;
}

static inline int32_t
module_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
              size_t len, dtlsl_cookie_result *out)
{
    module_state *s = state;
    uint8_t want[MODULE_LEN];

    (void)out;
    if (len != MODULE_LEN)
        return DTLSL_COOKIE_MALFORMED;
    if (module_mint(state, in, want, sizeof(want)) < 0)
        return DTLSL_ERR_STATE;
    return s->host->ct_equal(want, cookie, MODULE_LEN) ? DTLSL_COOKIE_VALID
                                                       : DTLSL_COOKIE_MISMATCH;
}

#endif
