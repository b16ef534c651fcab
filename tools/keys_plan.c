/* SPDX-License-Identifier: MIT
 * dtlslisten-keys: when a key is activated, retired and removed. Pure
 * functions; dtlslisten-cookie(7) has the inequalities. */
#include "keys.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    SECRET_LEN = 32,
    NEARLY_FULL = DTLSL__KEYFILE_KEYS - 2,
    DAY_S = 86400
};

uint64_t
keys_verifies_until_s(const dtlsl__keyfile_key *key, const keys_options *o)
{
    if (key->retire_s == DTLSL__KEYFILE_NEVER)
        return DTLSL__KEYFILE_NEVER;
    return key->retire_s + o->lifetime_s + o->skew_s;
}

uint64_t
keys_removable_s(const dtlsl__keyfile_key *key, const keys_options *o)
{
    uint64_t until = keys_verifies_until_s(key, o);

    return until == DTLSL__KEYFILE_NEVER ? until : until + o->propagation_s;
}

static void
take_out(dtlsl__keyfile *file, uint32_t i)
{
    file->n_keys--;
    memmove(&file->key[i], &file->key[i + 1],
            (file->n_keys - i) * sizeof(file->key[0]));
    explicit_bzero(&file->key[file->n_keys], sizeof(file->key[0]));
}

/* The key that mints stays, be it ever so old. */
static int
is_removable(const dtlsl__keyfile *file, const dtlsl__keyfile_key *key,
             const keys_options *o, uint64_t now)
{
    int overdue;

    return keys_removable_s(key, o) <= now &&
           dtlsl__keyfile_mints(file, now, &overdue) != key;
}

/* The key that is activated next after 'at', or NULL. */
static const dtlsl__keyfile_key *
next_behind(const dtlsl__keyfile *file, uint64_t at)
{
    const dtlsl__keyfile_key *next = NULL;

    for (uint32_t i = 0; i < file->n_keys; i++)
        if (file->key[i].activate_s > at &&
            (next == NULL || file->key[i].activate_s < next->activate_s))
            next = &file->key[i];
    return next;
}

/* Where no key is in force the last one goes on minting: the file must say so,
 * or it would go while its cookies live. */
static void
bridge_gaps(dtlsl__keyfile *file)
{
    for (uint32_t i = 0; i < file->n_keys; i++) {
        uint64_t until = dtlsl__keyfile_mints_until(file, &file->key[i]);

        if (until != DTLSL__KEYFILE_NEVER)
            file->key[i].retire_s = until;
    }
}

uint32_t
keys_prune(dtlsl__keyfile *file, const keys_options *o, uint64_t now)
{
    uint32_t before = file->n_keys;

    bridge_gaps(file);
    for (uint32_t i = file->n_keys; i-- > 0;)
        if (is_removable(file, &file->key[i], o, now))
            take_out(file, i);
    return before - file->n_keys;
}

/* The one that is activated last, which a new key follows. */
static const dtlsl__keyfile_key *
newest(const dtlsl__keyfile *file)
{
    const dtlsl__keyfile_key *found = NULL;

    for (uint32_t i = 0; i < file->n_keys; i++)
        if (found == NULL || file->key[i].activate_s > found->activate_s)
            found = &file->key[i];
    return found;
}

/* The id behind that of the newest key that no key has. */
static uint8_t
free_kid(dtlsl__keyfile *file)
{
    const dtlsl__keyfile_key *last = newest(file);
    uint8_t kid = last == NULL ? 0 : last->kid;
    int taken;

    do {
        kid++;
        taken = 0;
        for (uint32_t i = 0; i < file->n_keys; i++)
            taken |= file->key[i].kid == kid;
    } while (taken);
    return kid;
}

/* A rotation that waits for its time is not overtaken. */
static uint64_t
next_activation(dtlsl__keyfile *file, const keys_options *o, uint64_t now)
{
    const dtlsl__keyfile_key *last = newest(file);
    uint64_t at = now + o->propagation_s + o->skew_s;

    if (last != NULL && last->activate_s >= at)
        at = last->activate_s + 1;
    return at;
}

static void
add(dtlsl__keyfile *file, uint8_t kid, uint64_t at, const uint8_t secret[32])
{
    dtlsl__keyfile_key *key = &file->key[file->n_keys++];

    memset(key, 0, sizeof(*key));
    key->kid = kid;
    key->activate_s = at;
    key->retire_s = DTLSL__KEYFILE_NEVER;
    key->secret_len = SECRET_LEN;
    memcpy(key->secret, secret, SECRET_LEN);
}

/* It is in force already for a node whose clock is behind. */
static void
start_anew(dtlsl__keyfile *file, const keys_options *o, uint64_t now,
           const uint8_t secret[32])
{
    uint8_t kid = free_kid(file);

    while (file->n_keys > 0)
        take_out(file, file->n_keys - 1);
    add(file, kid, now > o->skew_s ? now - o->skew_s : 0, secret);
}

const char *
keys_rotate(dtlsl__keyfile *file, const keys_options *o, uint64_t now,
            const uint8_t secret[32])
{
    uint64_t at = next_activation(file, o, now);

    if (o->emergency || file->n_keys == 0) {
        start_anew(file, o, now, secret);
        return NULL;
    }
    if (file->n_keys == DTLSL__KEYFILE_KEYS)
        return "the file has 16 keys and none may leave yet; rotate less "
               "often, or give a shorter --propagation";
    for (uint32_t i = 0; i < file->n_keys; i++)
        if (file->key[i].retire_s > at)
            file->key[i].retire_s = at;
    add(file, free_kid(file), at, secret);
    bridge_gaps(file);
    return NULL;
}

/* ---- telling ---- */

static void
print_wait(uint64_t seconds, char *buf, size_t len)
{
    if (seconds < 120)
        snprintf(buf, len, "%" PRIu64 " s", seconds);
    else if (seconds < 7200)
        snprintf(buf, len, "%" PRIu64 " min", seconds / 60);
    else if (seconds < 172800)
        snprintf(buf, len, "%" PRIu64 " h", seconds / 3600);
    else
        snprintf(buf, len, "%" PRIu64 " d", seconds / 86400);
}

void
keys_state(const dtlsl__keyfile *file, const dtlsl__keyfile_key *key,
           const keys_options *o, uint64_t now, char *buf, size_t len)
{
    char wait[32];
    int overdue;
    const char *state;

    if (key->activate_s > now) {
        print_wait(key->activate_s - now, wait, sizeof(wait));
        snprintf(buf, len, "in %s", wait);
        return;
    }
    if (dtlsl__keyfile_mints(file, now, &overdue) == key)
        state = overdue ? "overdue" : "mints";
    else if (keys_verifies_until_s(key, o) >= now)
        state = "verifies";
    else
        state = keys_removable_s(key, o) > now ? "done" : "removable";
    snprintf(buf, len, "%s", state);
}

/* Is there, from now on, always a key in force? When not, the time of the
 * first gap. */
static uint64_t
first_gap(const dtlsl__keyfile *file, uint64_t now)
{
    uint64_t at = now;
    int overdue;

    for (uint32_t i = 0; i <= file->n_keys; i++) {
        const dtlsl__keyfile_key *key =
            dtlsl__keyfile_mints(file, at, &overdue);

        if (key == NULL || overdue)
            return at;
        at = key->retire_s;
        if (at == DTLSL__KEYFILE_NEVER)
            return at;
    }
    return at;
}

static const char *
warn_gap(const dtlsl__keyfile *file, uint64_t now, char *buf, size_t len)
{
    const dtlsl__keyfile_key *next = next_behind(file, now);
    uint64_t gap = first_gap(file, now);
    char wait[32];
    int overdue;

    if (dtlsl__keyfile_mints(file, now, &overdue) == NULL)
        snprintf(buf, len,
                 "no key is in force yet: nobody can mint; check "
                 "the times of activation and this clock");
    else if (overdue && next != NULL) {
        print_wait(next->activate_s - now, wait, sizeof(wait));
        snprintf(buf, len,
                 "no key is in force until key %u is in %s: the last one goes "
                 "on minting; rotate",
                 next->kid, wait);
    } else if (overdue)
        snprintf(buf, len,
                 "all keys have retired: the last one goes on "
                 "minting; rotate");
    else if (gap < now + DAY_S)
        snprintf(buf, len,
                 "no key follows the one that retires in %" PRIu64
                 " s; rotate before",
                 gap - now);
    else
        return NULL;
    return buf;
}

/* For most of the time between two rotations some keys are done. */
static const char *
warn_full(const dtlsl__keyfile *file, const keys_options *o, uint64_t now,
          char *buf, size_t len)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < file->n_keys; i++)
        n += (uint32_t)is_removable(file, &file->key[i], o, now);
    if (n == 0 || file->n_keys < NEARLY_FULL)
        return NULL;
    snprintf(buf, len,
             "the file has %u keys of at most %d, and %u %s done; the next "
             "rotation takes %s out",
             file->n_keys, DTLSL__KEYFILE_KEYS, n, n == 1 ? "is" : "are",
             n == 1 ? "it" : "them");
    return buf;
}

/* A host whose clock was ahead has rotated: who rotates now queues up. */
const char *
keys_warn_far(const dtlsl__keyfile *file, const keys_options *o, uint64_t now,
              char *buf, size_t len)
{
    const dtlsl__keyfile_key *last = newest(file);
    char wait[32];

    if (last == NULL ||
        last->activate_s <= now + o->propagation_s + o->skew_s + DAY_S)
        return NULL;
    print_wait(last->activate_s - now, wait, sizeof(wait));
    snprintf(buf, len,
             "key %u is in force only in %s, and no rotation before; if a "
             "clock was wrong, correct it and rotate with --emergency",
             last->kid, wait);
    return buf;
}

static const char *
warn_secrets(const dtlsl__keyfile *file, char *buf, size_t len)
{
    for (uint32_t i = 0; i < file->n_keys; i++)
        for (uint32_t j = 0; j < i; j++)
            if (file->key[i].secret_len == file->key[j].secret_len &&
                memcmp(file->key[i].secret, file->key[j].secret,
                       file->key[i].secret_len) == 0) {
                snprintf(buf, len,
                         "keys %u and %u have one secret: a "
                         "rotation that changes nothing",
                         file->key[j].kid, file->key[i].kid);
                return buf;
            }
    return NULL;
}

const char *
keys_warning(const dtlsl__keyfile *file, const keys_options *o, uint64_t now,
             uint32_t i, char *buf, size_t len)
{
    const char *found[4];
    char text[4][200];

    found[0] = warn_gap(file, now, text[0], sizeof(text[0]));
    found[1] = keys_warn_far(file, o, now, text[1], sizeof(text[1]));
    found[2] = warn_full(file, o, now, text[2], sizeof(text[2]));
    found[3] = warn_secrets(file, text[3], sizeof(text[3]));
    for (uint32_t k = 0; k < 4; k++)
        if (found[k] != NULL && i-- == 0) {
            snprintf(buf, len, "%s", found[k]);
            return buf;
        }
    return NULL;
}
