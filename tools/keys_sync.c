/* SPDX-License-Identifier: MIT
 * dtlslisten-keys: the key file in Redis, followed from there and pushed
 * there. */
#include "keys.h"
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* One byte more than a key file may have shows that a value is too long. */
#define LAST_BYTE "65536"
_Static_assert(DTLSL__KEYFILE_MAX == 65536, "LAST_BYTE is in step");

/* Where secrets may not go is refused before anything else. */
static int
find_target(keys_target *to, const keys_options *o)
{
    if (!keys_target_parse(to, o->url))
        return 0;
    if (o->password_file != NULL &&
        !keys_target_password(to, o->password_file))
        return 0;
    if (to->user[0] != '\0' && to->password_len == 0) {
        keys_complain("a user needs a password; give --password-file");
        return 0;
    }
    if (keys_target_resolve(to) != KEYS_NOT_LOOPBACK)
        return 1;
    keys_complain("redis:// to %s would send secrets in clear text; use "
                  "rediss://, or a loopback address",
                  to->host);
    explicit_bzero(to, sizeof(*to));
    return 0;
}

/* ---- sync ---- */

/* What was wrong at the last poll, so that it is told once. A text that is
 * refused is so for good; a file that cannot be written is tried again. */
typedef struct trouble {
    int refused; /* the text with this digest */
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char why[KEYS_WHY_MAX]; /* the file cannot be written; "" */
} trouble;

static void
warn(const keys_job *job, const dtlsl__keyfile *file)
{
    char buf[200];
    const char *text;

    for (uint32_t i = 0;
         (text = keys_warning(file, job->o, (uint64_t)time(NULL), i, buf,
                              sizeof(buf))) != NULL;
         i++)
        keys_complain("%s: %s", job->o->file, text);
}

/* A text that is refused is never renamed into place. */
static int
is_usable(const keys_job *job, const uint8_t *text, size_t len,
          dtlsl__keyfile *file)
{
    char where[2 * KEYS_NAME_MAX];

    if (len == 0) {
        keys_complain("Redis has nothing at %s: push a file there; %s stays "
                      "as it is",
                      job->to->key, job->o->file);
        return 0;
    }
    snprintf(where, sizeof(where), "%s in Redis is refused", job->to->key);
    if (keys_parse(where, text, len, file) == KEYS_GOOD)
        return 1;
    keys_complain("%s stays as it is", job->o->file);
    return 0;
}

static int
put_in_place(const keys_job *job, const uint8_t *text, size_t len,
             const dtlsl__keyfile *file)
{
    trouble *last = job->ctx;
    char why[KEYS_WHY_MAX];

    if (keys_replace(job->o->file, text, len, why) != KEYS_GOOD) {
        if (strcmp(why, last->why) != 0)
            keys_complain("%s%s", why,
                          job->o->once ? "" : ", and I try again");
        memcpy(last->why, why, sizeof(why));
        return KEYS_FAILED;
    }
    last->why[0] = '\0';
    keys_complain("%s has new keys from Redis", job->o->file);
    warn(job, file);
    return KEYS_GOOD;
}

static int
take_file(const keys_job *job, const uint8_t *text, size_t len)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    trouble *last = job->ctx;
    int hashed = SHA256(text, len, digest) != NULL;
    dtlsl__keyfile file;
    int status;

    if (hashed && last->refused &&
        memcmp(last->digest, digest, sizeof(digest)) == 0)
        return KEYS_FAILED;
    last->refused = 0;
    if (len > 0 && keys_is_same(job->o->file, text, len)) {
        last->why[0] = '\0';
        return KEYS_GOOD;
    }
    if (!is_usable(job, text, len, &file)) {
        last->refused = hashed;
        if (hashed)
            memcpy(last->digest, digest, sizeof(digest));
        return KEYS_FAILED;
    }
    status = put_in_place(job, text, len, &file);
    explicit_bzero(&file, sizeof(file));
    return status;
}

int
keys_sync(const keys_options *o)
{
    trouble last = {0};
    keys_target to;
    keys_job job = {.o = o,
                    .to = &to,
                    .once = o->once,
                    .otherwise = "the file stays as it is",
                    .argument = {"GETRANGE", to.key, "0", LAST_BYTE},
                    .n_arguments = 4,
                    .take = take_file,
                    .ctx = &last};
    int status;

    if (!find_target(&to, o))
        return KEYS_USAGE;
    for (int i = 0; i < job.n_arguments; i++)
        job.argument_len[i] = strlen(job.argument[i]);
    status = keys_redis_run(&job);
    explicit_bzero(&to, sizeof(to));
    return status;
}

/* ---- push ---- */

static int
take_thanks(const keys_job *job, const uint8_t *text, size_t len)
{
    if (len == 2 && memcmp(text, "OK", 2) == 0)
        return KEYS_GOOD;
    keys_complain("Redis does not confirm that it has %s", job->to->key);
    return KEYS_FAILED;
}

static int
push_text(const keys_options *o, const uint8_t *text, size_t len)
{
    keys_target to;
    keys_job job = {.o = o,
                    .to = &to,
                    .once = 1,
                    .otherwise = "it did not get the file",
                    .argument = {"SET", to.key, (const char *)text},
                    .n_arguments = 3,
                    .take = take_thanks};
    int status;

    if (!find_target(&to, o))
        return KEYS_USAGE;
    job.argument_len[0] = strlen(job.argument[0]);
    job.argument_len[1] = strlen(to.key);
    job.argument_len[2] = len;
    status = keys_redis_run(&job);
    explicit_bzero(&to, sizeof(to));
    return status;
}

int
keys_push(const keys_options *o)
{
    dtlsl__keyfile file;
    size_t len = 0;
    uint8_t *text = keys_read(o->file, &len, NULL);
    int status;

    if (text == NULL)
        return KEYS_FAILED;
    status = keys_parse(o->file, text, len, &file);
    explicit_bzero(&file, sizeof(file));
    if (status == KEYS_GOOD)
        status = push_text(o, text, len);
    keys_forget(text);
    return status;
}
