/* SPDX-License-Identifier: MIT
 * The key file of a fleet: cluster, keyed aead, and dtlslisten-keys.
 * dtlslisten-cookie(7). The reader is a pure function over its bytes. */
#ifndef DTLSL_KEYFILE_H
#define DTLSL_KEYFILE_H

#include "schedule.h"

enum {
    DTLSL__KEYFILE_KEYS = 16,
    DTLSL__KEYFILE_MIN = 26, /* the header line and its end */
    DTLSL__KEYFILE_MAX = 65536
};

#define DTLSL__KEYFILE_NEVER UINT64_MAX

typedef struct dtlsl__keyfile_key {
    uint8_t kid;
    uint16_t secret_len;
    uint32_t line;
    uint64_t activate_s; /* unix time */
    uint64_t retire_s;   /* DTLSL__KEYFILE_NEVER for "-" */
    uint8_t secret[DTLSL__SECRET_MAX];
} dtlsl__keyfile_key;

typedef struct dtlsl__keyfile {
    uint8_t has_service;
    uint8_t service_len;
    uint8_t service[DTLSL__SERVICE_MAX];
    uint32_t n_keys;
    dtlsl__keyfile_key key[DTLSL__KEYFILE_KEYS];
} dtlsl__keyfile;

/* Reads a whole file. DTLSL_OK; or DTLSL_ERR_FILE with a text that has the
 * line's number, never a part of a secret, and nothing is left at out. */
int32_t dtlsl__keyfile_parse(dtlsl__keyfile *out, const uint8_t *text,
                             size_t len, char *err, size_t err_len);

/* Until when cookies are minted with a key, in unix seconds: until it retires,
 * but where none follows at once, until the next one is activated. */
uint64_t dtlsl__keyfile_mints_until(const dtlsl__keyfile *file,
                                    const dtlsl__keyfile_key *key);

/* The key that mints at a time: of those in force the one of greatest
 * (activate, kid); with none in force, of those retired the one retired last,
 * and *overdue is 1. NULL before the first activation. */
const dtlsl__keyfile_key *dtlsl__keyfile_mints(const dtlsl__keyfile *file,
                                               uint64_t unix_s, int *overdue);

#endif
