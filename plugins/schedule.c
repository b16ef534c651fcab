/* SPDX-License-Identifier: MIT
 * HKDF-SHA-256 over the host's HMAC, and the encoding of what is bound. */
#include "schedule.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* With its NUL, which is the zero byte behind the label. */
static const uint8_t label[] = "dtlslisten-cookie-v1";

enum {
    LABEL_LEN = sizeof(label) - 1,
    ENDPOINT_LEN = 22,
    /* label and 00, id, kid, epoch, service with length, boot id */
    INFO_MAX = sizeof(label) + 1 + 1 + 8 + 1 + DTLSL__SERVICE_MAX + 16
};

void
dtlsl__cookie_put32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

uint32_t
dtlsl__cookie_get32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 |
           (uint32_t)in[2] << 8 | (uint32_t)in[3];
}

static size_t
append(uint8_t *out, size_t at, const void *data, size_t len)
{
    if (len > 0)
        memcpy(out + at, data, len);
    return at + len;
}

int32_t
dtlsl__schedule_prk(const dtlsl_cookie_host *host, const uint8_t *secret,
                    size_t secret_len, uint8_t prk[32])
{
    int32_t status;
    void *mac;

    if (secret_len < DTLSL__SECRET_MIN || secret_len > DTLSL__SECRET_MAX)
        return DTLSL_ERR_ARGUMENT;
    mac = host->hmac_new(host->ctx, label, LABEL_LEN);
    if (mac == NULL)
        return DTLSL_ERR_NOMEM;
    status = host->hmac_sha256(mac, secret, secret_len, prk);
    host->hmac_free(mac);
    if (status < 0)
        host->cleanse(prk, 32);
    return status;
}

/* HKDF-Expand for at most two blocks. */
static int32_t
expand(const dtlsl_cookie_host *host, const uint8_t prk[32],
       const uint8_t *info, size_t info_len, uint8_t *out, size_t len)
{
    uint8_t input[32 + INFO_MAX + 1];
    uint8_t block[32];
    size_t at = 0;
    int32_t status = DTLSL_OK;
    void *mac = host->hmac_new(host->ctx, prk, 32);

    if (mac == NULL)
        return DTLSL_ERR_NOMEM;
    for (size_t done = 0; status >= 0 && done < len;) {
        size_t part = len - done < 32 ? len - done : 32;

        at = append(input, done > 0 ? 32 : 0, info, info_len);
        input[at++] = (uint8_t)(done / 32 + 1);
        status = host->hmac_sha256(mac, input, at, block);
        if (status < 0)
            break;
        memcpy(out + done, block, part);
        memcpy(input, block, 32);
        done += part;
    }
    host->hmac_free(mac);
    host->cleanse(input, sizeof(input));
    host->cleanse(block, sizeof(block));
    if (status < 0)
        host->cleanse(out, len);
    return status;
}

static size_t
append_service(uint8_t *info, size_t at, const dtlsl__realm *realm)
{
    at = append(info, at, &realm->service_len, 1);
    return append(info, at, realm->service, realm->service_len);
}

int32_t
dtlsl__schedule_key(const dtlsl_cookie_host *host, const uint8_t prk[32],
                    uint8_t id, uint8_t kid, uint64_t epoch,
                    const dtlsl__realm *realm, uint8_t *key, size_t len)
{
    uint8_t info[INFO_MAX];
    size_t at = append(info, 0, label, sizeof(label));

    if (len > 64)
        return DTLSL_ERR_ARGUMENT;
    info[at++] = id;
    info[at++] = kid;
    dtlsl__cookie_put32(info + at, (uint32_t)(epoch >> 32));
    dtlsl__cookie_put32(info + at + 4, (uint32_t)epoch);
    at = append_service(info, at + 8, realm);
    if (realm->has_boot_id)
        at = append(info, at, realm->boot_id, sizeof(realm->boot_id));
    return expand(host, prk, info, at, key, len);
}

int32_t
dtlsl__schedule_kid(const dtlsl_cookie_host *host, const uint8_t prk[32],
                    uint8_t *kid)
{
    uint8_t info[INFO_MAX];
    size_t at = append(info, 0, label, sizeof(label));

    at = append(info, at, "kid", 3);
    return expand(host, prk, info, at, kid, 1);
}

int32_t
dtlsl__schedule_offset(const dtlsl_cookie_host *host, const uint8_t prk[32],
                       uint8_t kid, const dtlsl__realm *realm,
                       uint32_t *offset)
{
    uint8_t info[INFO_MAX];
    uint8_t out[4];
    size_t at = append(info, 0, label, sizeof(label));
    int32_t status;

    at = append(info, at, "time", 4);
    info[at++] = kid;
    at = append_service(info, at, realm);
    status = expand(host, prk, info, at, out, sizeof(out));
    if (status >= 0)
        *offset = dtlsl__cookie_get32(out);
    return status;
}

/* "8-4-4-4-12" hexadecimal digits; 0 if 'text' (64 bytes) is not that. */
static int
parse_uuid(const char *text, uint8_t out[16])
{
    for (size_t i = 0; i < 16; i++) {
        text += *text == '-';
        if (sscanf(text, "%2hhx", &out[i]) != 1)
            return 0;
        text += 2;
    }
    return 1;
}

int32_t
dtlsl__realm_read_boot_id(dtlsl__realm *realm)
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return DTLSL_ERR_FILE;
    if (read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    if (!parse_uuid(text, realm->boot_id))
        return DTLSL_ERR_FILE;
    realm->has_boot_id = 1;
    return DTLSL_OK;
}

int32_t
dtlsl__schedule_check(const dtlsl_cookie_input *in)
{
    if (in->size < sizeof(*in) || in->core == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (in->core_len < DTLSL__CORE_MIN || in->core_len > DTLSL__CORE_MAX)
        return DTLSL_ERR_ARGUMENT;
    if (in->core[34] != in->core_len - DTLSL__CORE_MIN)
        return DTLSL_ERR_ARGUMENT;
    if ((in->flags & DTLSL_COOKIE_IN_TAIL) && in->tail == NULL)
        return DTLSL_ERR_ARGUMENT;
    return DTLSL_OK;
}

int
dtlsl__schedule_has_tail(const dtlsl_cookie_input *in)
{
    return (in->flags & DTLSL_COOKIE_IN_TAIL) && in->tail_len > 0 &&
           in->tail_len <= DTLSL__TAIL_MAX;
}

int
dtlsl__schedule_binds_tail(const dtlsl_cookie_input *in, size_t cookie_len,
                           uint32_t tail_budget)
{
    size_t end = in->core_len + 1 + cookie_len + in->tail_len;

    if (!dtlsl__schedule_has_tail(in) || end > tail_budget)
        return 0;
    return !(in->flags & DTLSL_COOKIE_IN_FRAGMENTED) ||
           end <= in->fragment_len;
}

static size_t
append_endpoint(uint8_t *out, size_t at, const uint8_t address[24], int zone)
{
    int link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;

    memcpy(out + at, address, ENDPOINT_LEN);
    if (!zone || !link_local)
        memset(out + at + 18, 0, 4);
    return at + ENDPOINT_LEN;
}

size_t
dtlsl__schedule_message(uint8_t out[DTLSL__MESSAGE_MAX], const uint8_t *header,
                        size_t header_len, const dtlsl_cookie_input *in,
                        int zone)
{
    size_t at = append(out, 0, header, header_len);

    at = append_endpoint(out, at, in->peer, zone);
    if (header[0] & DTLSL__FMT_LOCAL)
        at = append_endpoint(out, at, in->local, zone);
    at = append(out, at, in->core, in->core_len);
    if (header[0] & DTLSL__FMT_TAIL)
        at = append(out, at, in->tail, in->tail_len);
    return at;
}
