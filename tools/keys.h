/* SPDX-License-Identifier: MIT
 * What the parts of dtlslisten-keys share. */
#ifndef DTLSL_KEYS_H
#define DTLSL_KEYS_H

#include "keyfile.h"

/* Exit codes, as in dtlslisten-keys(1). */
enum {
    KEYS_GOOD = 0,
    KEYS_FAILED = 1, /* the file cannot be read or written, or is refused */
    KEYS_USAGE = 2,
    KEYS_WARNED = 3, /* check: usable, but somebody should look */
    KEYS_OFFLINE = 4 /* sync, push: no answer from Redis */
};

enum {
    KEYS_WHY_MAX = 4608 /* with a path in it */
};

typedef struct keys_options {
    const char *file;
    const char *url;
    const char *service;
    const char *password_file;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    uint64_t propagation_s; /* until the slowest node has a new file */
    uint64_t lifetime_s;
    uint64_t skew_s;
    uint64_t poll_s;
    uint64_t at_s; /* show, check: as of then; 0: now */
    int emergency;
    int force;
    int once;
} keys_options;

/* "dtlslisten-keys: ..." to standard error, one line whatever is in it. */
void keys_complain(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* ---- keys_store.c: the file ---- */

/* The bytes of a file as they are, DTLSL__KEYFILE_MAX + 1 allocated, to be
 * given to keys_forget; *mode (or NULL) are its permissions. NULL after a
 * complaint. */
uint8_t *keys_read(const char *path, size_t *len, uint32_t *mode);
void keys_forget(uint8_t *text);
/* 1 if the file can be read and has exactly these bytes. */
int keys_is_same(const char *path, const uint8_t *text, size_t len);
/* Checks bytes as a key file; 'where' is for the complaint. */
int keys_parse(const char *where, const uint8_t *text, size_t len,
               dtlsl__keyfile *file);
/* Reads and parses a file. KEYS_GOOD, or KEYS_FAILED after a complaint. */
int keys_load(const char *path, dtlsl__keyfile *file, uint32_t *mode);
/* Writes bytes beside the file, or beside what a symbolic link leads to, and
 * renames them into place. Others never get access; the owner and what the
 * group may read stay as they were. What others can have put there is refused:
 * a link, or a file, of neither root's nor ours. KEYS_GOOD, or KEYS_FAILED
 * with a text in 'why': the caller knows whether it was told before. */
int keys_replace(const char *path, const uint8_t *text, size_t len,
                 char why[KEYS_WHY_MAX]);
/* A file as text, to be cleansed and freed; NULL without memory. */
char *keys_print(const dtlsl__keyfile *file);
/* One at a time may change files in the directory of 'path', until the
 * descriptor is closed. Waits for 10 s at most; -1 after a complaint. */
int keys_lock(const char *path);

/* ---- keys_plan.c: what to do when; pure functions ---- */

/* Takes out what no cookie can need any more. Returns how many. */
uint32_t keys_prune(dtlsl__keyfile *file, const keys_options *o, uint64_t now);
/* Adds a key with the secret given, and retires those before when it is
 * activated; in an emergency, and for the first key, at once and in place of
 * all others. NULL, or a text that says why not, and nothing is changed. */
const char *keys_rotate(dtlsl__keyfile *file, const keys_options *o,
                        uint64_t now, const uint8_t secret[32]);
/* Until when cookies of a key are verified; DTLSL__KEYFILE_NEVER. */
uint64_t keys_verifies_until_s(const dtlsl__keyfile_key *key,
                               const keys_options *o);
/* When the key may leave the file: no cookie of it is good any more, and
 * every node had time to see the next one. */
uint64_t keys_removable_s(const dtlsl__keyfile_key *key,
                          const keys_options *o);
/* The warnings on a file, one at a time: i from 0 on. NULL behind the last. */
const char *keys_warning(const dtlsl__keyfile *file, const keys_options *o,
                         uint64_t now, uint32_t i, char *buf, size_t len);
/* One of them: a key, and with it every rotation, waits too long. NULL. */
const char *keys_warn_far(const dtlsl__keyfile *file, const keys_options *o,
                          uint64_t now, char *buf, size_t len);
/* What a key does now: "mints", "in 3 h", "verifies", "done", ... */
void keys_state(const dtlsl__keyfile *file, const dtlsl__keyfile_key *key,
                const keys_options *o, uint64_t now, char *buf, size_t len);

/* ---- keys_target.c: where Redis is ---- */

enum {
    KEYS_NAME_MAX = 255,
    KEYS_ADDRESSES = 8
};

/* redis[s]://[USER@]HOST[:PORT]/KEY */
typedef struct keys_target {
    int tls;
    int port;
    char user[KEYS_NAME_MAX + 1];
    char host[KEYS_NAME_MAX + 1];
    char key[KEYS_NAME_MAX + 1];
    uint8_t password[KEYS_NAME_MAX + 2];
    size_t password_len;              /* 0: there is none */
    char address[KEYS_ADDRESSES][64]; /* numeric */
    int n_addresses;
} keys_target;

enum {
    KEYS_UNKNOWN_HOST = -1,
    KEYS_NOT_LOOPBACK = -2
};

/* 1, or 0 after a complaint. */
int keys_target_parse(keys_target *to, const char *url);
int keys_target_password(keys_target *to, const char *path);
/* Looks the host up: 0, or a code of those above. Without TLS each address
 * must be a loopback one; only what was looked at here is connected to. */
int keys_target_resolve(keys_target *to);

/* ---- keys_redis.c, or keys_noredis.c in a build without hiredis ---- */

/* A command to Redis, once or again and again. */
typedef struct keys_job {
    const keys_options *o;
    keys_target *to;
    int once;
    const char *otherwise; /* what holds when it fails */
    const char *argument[4];
    size_t argument_len[4];
    int n_arguments;
    /* Judges an answer that is a text; KEYS_GOOD or KEYS_FAILED. */
    int (*take)(const struct keys_job *job, const uint8_t *text, size_t len);
    void *ctx;
} keys_job;

/* Until a signal, or until it is done once: the status of the last attempt. */
int keys_redis_run(keys_job *job);

/* ---- keys_sync.c ---- */

int keys_sync(const keys_options *o);
int keys_push(const keys_options *o);

#endif
