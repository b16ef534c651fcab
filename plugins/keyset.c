/* SPDX-License-Identifier: MIT
 * The keys of a key file in use. */
#include "keyset.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UTC_STEP_MS = 1000
};

/* 2026-01-01: a clock that shows less was never set. */
#define UTC_FLOOR_MS UINT64_C(1767225600000)

const char *const dtlsl__keyset_counts[3] = {"key_reloads", "key_file_errors",
                                             "key_overdue"};

static const dtlsl__file_rule key_file_rule = {
    .option = "key-file",
    .refused = 0002,
    .min = DTLSL__KEYFILE_MIN,
    .max = DTLSL__KEYFILE_MAX,
};

static void
say(const dtlsl__base *base, int32_t level, const char *what,
    const char *consequence)
{
    char line[700];

    snprintf(line, sizeof(line), "%s%s", what, consequence);
    base->host->log(base->host->ctx, level, line);
}

/* ---- reading ---- */

static void
clear_keys(dtlsl__key *key, size_t n, const dtlsl__base *base,
           const dtlsl__key_use *use)
{
    for (size_t i = 0; i < n; i++)
        dtlsl__key_clear(&key[i], base->host, use);
}

static int32_t
check_service(const dtlsl__keyset *set, const dtlsl__base *base,
              const dtlsl__keyfile *file, char *err, size_t err_len)
{
    const dtlsl__realm *realm = &base->realm;
    int known = set->option_service || set->file.n_keys > 0;

    if (!known || (set->option_service && !file->has_service))
        return DTLSL_OK;
    if (file->service_len == realm->service_len &&
        memcmp(file->service, realm->service, realm->service_len) == 0)
        return DTLSL_OK;
    return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                         "option key-file: %s is for the service '%.*s', but "
                         "'%.*s' is in force; give both the same name, or "
                         "restart",
                         set->path, file->service_len, file->service,
                         realm->service_len, realm->service);
}

/* Reads and parses; the file's secrets are in *file on success. */
static int32_t
load(const dtlsl__keyset *set, const dtlsl__base *base, dtlsl__keyfile *file,
     dtlsl__file_look *look, uint32_t *mode, char *err, size_t err_len)
{
    const size_t size = DTLSL__KEYFILE_MAX + 1;
    uint8_t *text = malloc(size);
    char why[256];
    int32_t status;

    if (text == NULL)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_NOMEM,
                             "option key-file: out of memory");
    status = dtlsl__file_read(set->path, &key_file_rule, text, look, mode, err,
                              err_len);
    if (status >= 0) {
        status =
            dtlsl__keyfile_parse(file, text, (size_t)status, why, sizeof(why));
        if (status < 0)
            dtlsl__refuse(err, err_len, status, "option key-file: %s: %s",
                          set->path, why);
    }
    if (status >= 0)
        status = check_service(set, base, file, err, err_len);
    base->host->cleanse(text, size);
    free(text);
    return status;
}

static uint64_t
to_ms(uint64_t unix_s)
{
    return unix_s == DTLSL__KEYFILE_NEVER ? UINT64_MAX : unix_s * 1000;
}

/* Puts a file in force; its secrets go. */
static int32_t
adopt(dtlsl__keyset *set, dtlsl__base *base, dtlsl__keyfile *file, char *err,
      size_t err_len)
{
    dtlsl__key fresh[DTLSL__KEYFILE_KEYS] = {{0}};
    int32_t status = DTLSL_OK;
    uint32_t n = 0;

    for (; status >= 0 && n < file->n_keys; n++) {
        status = dtlsl__key_init(&fresh[n], base->host, file->key[n].secret,
                                 file->key[n].secret_len);
        fresh[n].kid = file->key[n].kid;
        fresh[n].retire_ms =
            to_ms(dtlsl__keyfile_mints_until(file, &file->key[n]));
    }
    if (status < 0) {
        clear_keys(fresh, n, base, set->use);
        return dtlsl__refuse(err, err_len, status,
                             "option key-file: cannot compute HMAC-SHA-256; "
                             "check that OpenSSL's provider offers it");
    }
    clear_keys(set->key, set->file.n_keys, base, set->use);
    memcpy(set->key, fresh, n * sizeof(fresh[0]));
    base->host->cleanse(fresh, sizeof(fresh));
    for (uint32_t i = 0; i < n; i++)
        base->host->cleanse(file->key[i].secret, DTLSL__SECRET_MAX);
    set->file = *file;
    if (file->has_service) {
        memcpy(base->realm.service, file->service, file->service_len);
        base->realm.service_len = file->service_len;
    }
    return DTLSL_OK;
}

static int32_t
read_file(dtlsl__keyset *set, dtlsl__base *base, char *err, size_t err_len)
{
    dtlsl__file_look look;
    dtlsl__keyfile file;
    uint32_t mode = 0;
    int32_t status = load(set, base, &file, &look, &mode, err, err_len);

    if (status >= 0)
        status = adopt(set, base, &file, err, err_len);
    base->host->cleanse(&file, sizeof(file));
    if (status < 0)
        return status;
    set->look = look;
    if (mode & 0777 & ~0640u) {
        char what[256];

        snprintf(what, sizeof(what), "option key-file: %s has mode %04o",
                 set->path, mode);
        say(base, 1, what, "; 0640 is enough for a file of secrets");
    }
    return DTLSL_OK;
}

int32_t
dtlsl__keyset_option(dtlsl__keyset *set, dtlsl__base *base,
                     const dtlsl_cookie_option *option, char *err,
                     size_t err_len)
{
    if (strcmp(option->key, "key-file") == 0)
        return dtlsl__option_path(option, "the fleet's key file", &set->path,
                                  err, err_len);
    if (strcmp(option->key, "skew-ms") == 0)
        return dtlsl__option_number(option, 0, 300000, &base->skew_ms, err,
                                    err_len);
    return DTLSL_ERR_OPTION;
}

int32_t
dtlsl__keyset_open(dtlsl__keyset *set, dtlsl__base *base, char *err,
                   size_t err_len)
{
    set->option_service = base->realm.service_len > 0;
    return read_file(set, base, err, err_len);
}

void
dtlsl__keyset_close(dtlsl__keyset *set, const dtlsl__base *base)
{
    clear_keys(set->key, set->file.n_keys, base, set->use);
    free(set->path);
    set->path = NULL;
}

/* ---- tick ---- */

static void
poll_file(dtlsl__keyset *set, dtlsl__base *base)
{
    char err[600];

    if (dtlsl__file_is_unchanged(set->path, &set->look)) {
        dtlsl__file_is_news(&set->fault, NULL);
        return;
    }
    if (read_file(set, base, err, sizeof(err)) == DTLSL_OK) {
        base->counters[DTLSL__COUNT_KEY_RELOADS]++;
        dtlsl__file_is_news(&set->fault, NULL);
        return;
    }
    base->counters[DTLSL__COUNT_KEY_FILE_ERRORS]++;
    if (dtlsl__file_is_news(&set->fault, err))
        say(base, 1, err, " (the old keys stay)");
}

/* Cookies of this node and of others depend on its clock. */
static void
watch_clock(dtlsl__keyset *set, const dtlsl__base *base, uint64_t mono_ms,
            uint64_t unix_ms)
{
    int64_t step = (int64_t)((unix_ms - set->seen_unix_ms) -
                             (mono_ms - set->seen_mono_ms));
    char what[128];

    if (set->seen_unix_ms != 0 &&
        (step > UTC_STEP_MS || step < -UTC_STEP_MS)) {
        snprintf(what, sizeof(what), "strategy %s: UTC was stepped by %lld ms",
                 base->kind->name, (long long)step);
        say(base, 1, what, "; cookies of other nodes may fail");
    }
    set->seen_mono_ms = mono_ms;
    set->seen_unix_ms = unix_ms;
}

/* A client may come back with the last cookie that was minted with it. */
static int
verifies(const dtlsl__keyset *set, const dtlsl__base *base, uint32_t i,
         uint64_t unix_ms)
{
    uint64_t until_ms = set->key[i].retire_ms;

    return until_ms == UINT64_MAX ||
           unix_ms <= until_ms + base->lifetime_ms + base->skew_ms;
}

uint64_t
dtlsl__keyset_tick(dtlsl__keyset *set, dtlsl__base *base, uint64_t mono_ms,
                   uint64_t unix_ms)
{
    uint64_t next = mono_ms + (dtlsl__key_prepare_next(unix_ms) - unix_ms);

    watch_clock(set, base, mono_ms, unix_ms);
    if (mono_ms >= set->next_poll_ms) {
        poll_file(set, base);
        set->next_poll_ms = mono_ms + base->poll_ms;
    }
    for (uint32_t i = 0; i < set->file.n_keys; i++)
        if (verifies(set, base, i, unix_ms))
            dtlsl__key_prepare(&set->key[i], base, set->use, unix_ms);
    return next < set->next_poll_ms ? next : set->next_poll_ms;
}

/* ---- packet path ---- */

dtlsl__key *
dtlsl__keyset_mints(dtlsl__keyset *set, dtlsl__base *base, uint64_t unix_ms)
{
    const dtlsl__keyfile_key *line;
    int overdue;

    if (unix_ms < UTC_FLOOR_MS)
        return NULL;
    line = dtlsl__keyfile_mints(&set->file, unix_ms / 1000, &overdue);
    if (line == NULL)
        return NULL;
    base->counters[DTLSL__COUNT_KEY_OVERDUE] += (uint64_t)overdue;
    return &set->key[line - set->file.key];
}

dtlsl__key *
dtlsl__keyset_verifies(dtlsl__keyset *set, const dtlsl__base *base,
                       uint8_t kid, uint64_t unix_ms)
{
    for (uint32_t i = 0; i < set->file.n_keys; i++)
        if (set->key[i].kid == kid)
            return verifies(set, base, i, unix_ms) ? &set->key[i] : NULL;
    return NULL;
}
