/* SPDX-License-Identifier: MIT
 * What all strategies share: the key schedule and the MAC's input.
 * dtlslisten-cookie(7). Uses nothing but the host table. */
#ifndef DTLSL_SCHEDULE_H
#define DTLSL_SCHEDULE_H

#include <dtlslisten/cookie.h>

enum {
    DTLSL__EPOCH_MS = 3600000,
    DTLSL__SECRET_MIN = 32,
    DTLSL__SECRET_MAX = 256,
    DTLSL__CORE_MIN = 35,
    DTLSL__CORE_MAX = 67,
    DTLSL__TAIL_MAX = 512,
    DTLSL__SERVICE_MAX = 255,
    DTLSL__TAG_LEN = 16,
    DTLSL__HEADER_MAX = 8,
    /* header, two endpoints, CORE, TAIL */
    DTLSL__MESSAGE_MAX = 8 + 2 * 22 + 67 + 512
};

/* The fmt byte's low bits. */
enum {
    DTLSL__FMT_TAIL = 1,
    DTLSL__FMT_LOCAL = 2,
    DTLSL__FMT_RESERVED = 12
};

/* The construction's id in the key's info. */
enum {
    DTLSL__ID_HMAC = 0x10,
    DTLSL__ID_AEAD = 0x20,
    DTLSL__ID_CLUSTER = 0x30,
    DTLSL__ID_FIPS = 0x40
};

/* What separates keys beside secret, kid and epoch. */
typedef struct dtlsl__realm {
    uint8_t service[DTLSL__SERVICE_MAX];
    uint8_t service_len;
    uint8_t has_boot_id; /* boot_id goes behind the service in key infos */
    uint8_t boot_id[16];
} dtlsl__realm;

/* PRK_kid. 0, or a negative code; nothing is left at prk then. */
int32_t dtlsl__schedule_prk(const dtlsl_cookie_host *host,
                            const uint8_t *secret, size_t secret_len,
                            uint8_t prk[32]);

/* K_kid,e, of len bytes (32; 64 for the fips profile). */
int32_t dtlsl__schedule_key(const dtlsl_cookie_host *host,
                            const uint8_t prk[32], uint8_t id, uint8_t kid,
                            uint64_t epoch, const dtlsl__realm *realm,
                            uint8_t *key, size_t len);

/* The kid that follows the secret, and off_kid. */
int32_t dtlsl__schedule_kid(const dtlsl_cookie_host *host,
                            const uint8_t prk[32], uint8_t *kid);
int32_t dtlsl__schedule_offset(const dtlsl_cookie_host *host,
                               const uint8_t prk[32], uint8_t kid,
                               const dtlsl__realm *realm, uint32_t *offset);

/* Takes the kernel's boot id into the realm; DTLSL_ERR_FILE without one. */
int32_t dtlsl__realm_read_boot_id(dtlsl__realm *realm);

/* 0 if the host's input can be bound at all, else DTLSL_ERR_ARGUMENT. */
int32_t dtlsl__schedule_check(const dtlsl_cookie_input *in);

/* 1 if TAIL is wholly present and short enough to be hashed. */
int dtlsl__schedule_has_tail(const dtlsl_cookie_input *in);

/* The rule for T at mint. */
int dtlsl__schedule_binds_tail(const dtlsl_cookie_input *in, size_t cookie_len,
                               uint32_t tail_budget);

/* MSG: header | EP(peer) | [EP(local)] | CORE | [TAIL] as the fmt byte
 * header[0] says; the caller has checked that both are there. 'zone' 0 writes
 * zones as zero. Returns its length, at most DTLSL__MESSAGE_MAX. */
size_t dtlsl__schedule_message(uint8_t out[DTLSL__MESSAGE_MAX],
                               const uint8_t *header, size_t header_len,
                               const dtlsl_cookie_input *in, int zone);

void dtlsl__cookie_put32(uint8_t *out, uint32_t value);
uint32_t dtlsl__cookie_get32(const uint8_t *in);

#endif
