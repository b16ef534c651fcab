/* SPDX-License-Identifier: MIT
 * The keys of a key file in use: who mints, who verifies, and a new file put
 * in force while the process runs. Its clock is UTC. */
#ifndef DTLSL_KEYSET_H
#define DTLSL_KEYSET_H

#include "file.h"
#include "keyfile.h"
#include "keyring.h"

/* A strategy with a key file has these counters of its own. */
enum {
    DTLSL__COUNT_KEY_RELOADS = DTLSL__COUNT_OWN,
    DTLSL__COUNT_KEY_FILE_ERRORS,
    DTLSL__COUNT_KEY_OVERDUE
};
extern const char *const dtlsl__keyset_counts[3];

typedef struct dtlsl__keyset {
    const dtlsl__key_use *use;
    char *path;
    dtlsl__file_look look;
    uint64_t next_poll_ms;
    dtlsl__file_fault fault;
    uint8_t option_service; /* the option names the service, not the file */
    uint64_t seen_mono_ms;  /* clocks of the last tick, 0 before the first */
    uint64_t seen_unix_ms;
    dtlsl__keyfile file;                 /* without its secrets */
    dtlsl__key key[DTLSL__KEYFILE_KEYS]; /* those of the file's lines */
} dtlsl__keyset;

/* Takes the options of a strategy with a key file; DTLSL_ERR_OPTION if it is
 * none of them. */
int32_t dtlsl__keyset_option(dtlsl__keyset *set, dtlsl__base *base,
                             const dtlsl_cookie_option *option, char *err,
                             size_t err_len);

/* Reads the file at set->path for the first time; set->use is set. */
int32_t dtlsl__keyset_open(dtlsl__keyset *set, dtlsl__base *base, char *err,
                           size_t err_len);
void dtlsl__keyset_close(dtlsl__keyset *set, const dtlsl__base *base);

/* Looks at the file if that is due, and makes keys. Returns the mono_ms when
 * to come again. */
uint64_t dtlsl__keyset_tick(dtlsl__keyset *set, dtlsl__base *base,
                            uint64_t mono_ms, uint64_t unix_ms);

/* The key that mints now, or NULL before the first activation. */
dtlsl__key *dtlsl__keyset_mints(dtlsl__keyset *set, dtlsl__base *base,
                                uint64_t unix_ms);
/* The key of that id if it verifies now, or NULL. */
dtlsl__key *dtlsl__keyset_verifies(dtlsl__keyset *set, const dtlsl__base *base,
                                   uint8_t kid, uint64_t unix_ms);

#endif
