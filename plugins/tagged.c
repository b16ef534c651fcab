/* SPDX-License-Identifier: MIT
 * Cookies that carry their time in clear and a tag. */
#include "tagged.h"
#include <string.h>

static int32_t
make_tag(const dtlsl__tagged *form, dtlsl__base *base, void *mac,
         const uint8_t *header, const dtlsl_cookie_input *in, uint8_t tag[32])
{
    uint8_t message[DTLSL__MESSAGE_MAX];
    size_t len = dtlsl__schedule_message(message, header, form->header_len, in,
                                         form->binds_zone);

    return base->host->hmac_sha256(mac, message, len, tag);
}

int32_t
dtlsl__tagged_mint(const dtlsl__tagged *form, dtlsl__base *base,
                   dtlsl__key *key, const dtlsl_cookie_input *in,
                   uint64_t now_ms, uint8_t *cookie, size_t cap)
{
    size_t len = dtlsl__tagged_len(form);
    uint8_t tag[32];
    int32_t status;
    void *mac;

    if (cap < len)
        return DTLSL_ERR_SPACE;
    mac = dtlsl__key_context(key, base, form->use, now_ms / DTLSL__EPOCH_MS);
    if (mac == NULL)
        return DTLSL_ERR_NOMEM;
    cookie[0] = form->fmt;
    if (dtlsl__schedule_binds_tail(in, len, base->tail_budget))
        cookie[0] |= DTLSL__FMT_TAIL;
    cookie[1] = key->kid;
    dtlsl__cookie_put32(cookie + 2, (uint32_t)now_ms + key->offset);
    status = make_tag(form, base, mac, cookie, in, tag);
    if (status < 0)
        return status;
    memcpy(cookie + form->header_len, tag, DTLSL__TAG_LEN);
    return (int32_t)len;
}

int
dtlsl__tagged_has_form(const dtlsl__tagged *form, const uint8_t *cookie,
                       size_t len)
{
    return len == dtlsl__tagged_len(form) && (cookie[0] & 0xf0) == form->fmt &&
           (cookie[0] & DTLSL__FMT_RESERVED) == 0;
}

/* Is the tag genuine? 1, 0, or < 0. */
static int32_t
check_tag(const dtlsl__tagged *form, dtlsl__base *base, void *mac,
          const dtlsl_cookie_input *in, const uint8_t *cookie)
{
    uint8_t tag[32];
    int32_t status = make_tag(form, base, mac, cookie, in, tag);

    if (status < 0)
        return status;
    return base->host->ct_equal(tag, cookie + form->header_len,
                                DTLSL__TAG_LEN);
}

/* Only what verifies may be called expired or future: nobody without a key
 * can raise those counters. Keys of other hours are not made for it. */
static int32_t
judge_stale(const dtlsl__tagged *form, dtlsl__base *base, dtlsl__key *key,
            const dtlsl_cookie_input *in, uint64_t now_ms,
            const uint8_t *cookie, int64_t delta)
{
    void *mac;

    if (!dtlsl__base_has_inputs(in, cookie[0]) ||
        (delta > 0 && (uint64_t)delta > now_ms))
        return DTLSL_COOKIE_MISMATCH;
    mac = dtlsl__key_ready(key, (now_ms - (uint64_t)delta) / DTLSL__EPOCH_MS);
    if (mac == NULL || !dtlsl__base_take_stale(base, in->mono_ms) ||
        check_tag(form, base, mac, in, cookie) != 1)
        return DTLSL_COOKIE_MISMATCH;
    return delta > 0 ? DTLSL_COOKIE_EXPIRED : DTLSL_COOKIE_FUTURE;
}

int32_t
dtlsl__tagged_judge(const dtlsl__tagged *form, dtlsl__base *base,
                    dtlsl__key *key, const dtlsl_cookie_input *in,
                    uint64_t now_ms, const uint8_t *cookie, int64_t *delta)
{
    uint32_t issued = dtlsl__cookie_get32(cookie + 2) - key->offset;
    int32_t genuine;
    void *mac;

    *delta = (int32_t)((uint32_t)now_ms - issued);
    if (!dtlsl__base_in_window(base, *delta, now_ms))
        return judge_stale(form, base, key, in, now_ms, cookie, *delta);
    if (!dtlsl__base_has_inputs(in, cookie[0]))
        return DTLSL_COOKIE_NEED_MORE;
    mac = dtlsl__key_context(key, base, form->use,
                             (now_ms - (uint64_t)*delta) / DTLSL__EPOCH_MS);
    if (mac == NULL)
        return DTLSL_ERR_NOMEM;
    genuine = check_tag(form, base, mac, in, cookie);
    if (genuine < 0)
        return genuine;
    return genuine ? DTLSL_COOKIE_VALID : DTLSL_COOKIE_MISMATCH;
}
