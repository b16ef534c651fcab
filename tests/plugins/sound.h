/* SPDX-License-Identifier: MIT
 * A strategy that keeps every rule, out of which wrong ones are made: the
 * time in 8 bytes, and 16 bytes of HMAC over it, peer and CORE. */
#ifndef DTLSL_TEST_SOUND_H
#define DTLSL_TEST_SOUND_H

#include <dtlslisten/cookie.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOUND_TIME = 8,
    SOUND_TAG = 16,
    SOUND_LEN = SOUND_TIME + SOUND_TAG,
    SOUND_CORE_MAX = 67,
    SOUND_LIFETIME = 120000,
    SOUND_SKEW = 5000
};

DTLSL_API const dtlsl_cookie_plugin *dtlsl_cookie_plugin_v1(void);

typedef struct sound {
    const dtlsl_cookie_host *host;
    void *mac;
} sound;

static inline int32_t
sound_open(sound *s, const dtlsl_cookie_host *host)
{
    s->host = host;
    s->mac = host->hmac_new(host->ctx, host->default_secret,
                            DTLSL_COOKIE_SECRET_LEN);
    return s->mac != NULL ? DTLSL_OK : DTLSL_ERR_NOMEM;
}

static inline void
sound_close(sound *s)
{
    s->host->hmac_free(s->mac);
    free(s);
}

/* The tag of the time that stands at the cookie's begin. */
static inline int32_t
sound_tag(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
          uint8_t tag[32])
{
    uint8_t message[SOUND_TIME + 24 + SOUND_CORE_MAX];
    size_t len = SOUND_TIME + 24 + in->core_len;

    if (in->core_len > SOUND_CORE_MAX)
        return DTLSL_ERR_ARGUMENT;
    memcpy(message, cookie, SOUND_TIME);
    memcpy(message + SOUND_TIME, in->peer, 24);
    memcpy(message + SOUND_TIME + 24, in->core, in->core_len);
    return s->host->hmac_sha256(s->mac, message, len, tag);
}

static inline int32_t
sound_mint(sound *s, const dtlsl_cookie_input *in, uint8_t *cookie, size_t cap)
{
    uint8_t tag[32];

    if (cap < SOUND_LEN)
        return DTLSL_ERR_SPACE;
    memcpy(cookie, &in->mono_ms, SOUND_TIME);
    if (sound_tag(s, in, cookie, tag) < 0)
        return DTLSL_ERR_STATE;
    memcpy(cookie + SOUND_TIME, tag, SOUND_TAG);
    return SOUND_LEN;
}

static inline int32_t
sound_judge_time(const dtlsl_cookie_input *in, uint64_t issued,
                 dtlsl_cookie_result *out)
{
    uint64_t now = in->mono_ms;

    if (issued > now)
        return issued - now > SOUND_SKEW ? DTLSL_COOKIE_FUTURE
                                         : DTLSL_COOKIE_VALID;
    if (now - issued > SOUND_LIFETIME)
        return DTLSL_COOKIE_EXPIRED;
    out->age_ms = (uint32_t)(now - issued);
    return DTLSL_COOKIE_VALID;
}

/* MALFORMED, MISMATCH, or VALID whatever the time is. */
static inline int32_t
sound_judge_tag(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
                size_t len)
{
    uint8_t tag[32];

    if (len != SOUND_LEN)
        return DTLSL_COOKIE_MALFORMED;
    if (sound_tag(s, in, cookie, tag) < 0)
        return DTLSL_ERR_STATE;
    return s->host->ct_equal(tag, cookie + SOUND_TIME, SOUND_TAG)
               ? DTLSL_COOKIE_VALID
               : DTLSL_COOKIE_MISMATCH;
}

static inline int32_t
sound_verify(sound *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    int32_t answer = sound_judge_tag(s, in, cookie, len);
    uint64_t issued;

    if (answer != DTLSL_COOKIE_VALID)
        return answer;
    memcpy(&issued, cookie, sizeof(issued));
    return sound_judge_time(in, issued, out);
}

#endif
