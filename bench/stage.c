/* SPDX-License-Identifier: MIT
 * An engine, and datagrams for it. */
#include "stage.h"
#include "record.h"
#include "test.h"
#include <openssl/rsa.h>
#include <stdio.h>
#include <unistd.h>

enum {
    FILES_MAX = 4,
    PATH_LEN = 64
};

uint64_t
stage_random(stage *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

stage *
stage_new(const char *options)
{
    stage *s = calloc(1, sizeof(*s));
    item first;

    ck_assert_ptr_nonnull(s);
    s->random = 20260101;
    s->w = world_new(options);
    stage_second_hello(s, &first); /* makes w->hello */
    return s;
}

void
stage_free(stage *s)
{
    stage_clear(s);
    world_free(s->w);
    free(s);
}

dtlsl_path
stage_path(stage *s)
{
    return world_path(1 + s->hosts++ % 0xFE0000,
                      (uint16_t)(1024 + stage_random(s) % 60000));
}

static void
send_all(stage *s)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(s->w->engine, &list, &arena);

    for (size_t i = 0; i < n; i++) {
        s->out += list[i].len;
        if (list[i].len > s->longest)
            s->longest = list[i].len;
    }
    dtlsl__engine_output_sent(s->w->engine, n);
}

static void
input(stage *s, const item *it)
{
    dtlsl__datagram datagram = {it->data, it->len, it->truncated, 0, it->path};

    dtlsl__engine_input(s->w->engine, &datagram);
    while (dtlsl__engine_next(s->w->engine) != NULL)
        s->events++;
}

void
stage_feed(stage *s, const item *items, size_t n, size_t batch)
{
    for (size_t i = 0; i < n; i++) {
        if (i % batch == 0)
            dtlsl__engine_begin(s->w->engine, &s->w->now);
        input(s, &items[i]);
        if (dtlsl__engine_output_low(s->w->engine) || i % batch == batch - 1)
            send_all(s);
    }
    send_all(s);
}

/* To the client, if there is one. */
static void
carry_all(stage *s)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(s->w->engine, &list, &arena);
    uint8_t copy[ITEM_MAX];

    for (size_t i = 0; i < n && s->c != NULL; i++) {
        ck_assert_uint_le(list[i].len, sizeof(copy));
        memcpy(copy, arena + list[i].offset, list[i].len);
        if (memcmp(&list[i].path, &s->peer, sizeof(s->peer)) == 0)
            client_feed(s->c, copy, list[i].len);
    }
    send_all(s);
}

void
stage_give(stage *s, const dtlsl_path *path, const uint8_t *data, size_t len,
           tally *sum)
{
    dtlsl__datagram datagram = {data, (uint32_t)len, 0, 0, *path};

    tally_start(sum);
    dtlsl__engine_begin(s->w->engine, &s->w->now);
    dtlsl__engine_input(s->w->engine, &datagram);
    while (dtlsl__engine_next(s->w->engine) != NULL)
        s->events++;
    tally_stop();
    carry_all(s);
}

void
stage_wait(stage *s, uint64_t ms)
{
    s->w->now.mono_ms += ms;
    s->w->now.unix_ms += ms;
    client_clock(s->w->now.mono_ms);
    dtlsl__engine_begin(s->w->engine, &s->w->now);
    do {
        dtlsl__engine_expire(s->w->engine);
        while (dtlsl__engine_next(s->w->engine) != NULL)
            s->events++;
        send_all(s);
    } while (dtlsl__engine_deadline(s->w->engine) <= s->w->now.mono_ms);
}

void
stage_clear(stage *s)
{
    dtlsl__engine *engine = s->w->engine;
    uint64_t id = 0;

    while ((id = dtlsl__engine_conn_next(engine, id)) != 0) {
        dtlsl__engine_close(engine, id);
        while (dtlsl__engine_next(engine) != NULL)
            s->events++;
        send_all(s);
    }
}

uint64_t
stage_counter(const stage *s, int32_t index)
{
    return world_counter(s->w, index);
}

/* Peers */

void
stage_connect(stage *s)
{
    s->peer = stage_path(s);
    s->c = world_client_at(s->w, NULL, &s->peer);
    world_connect(s->w, s->c);
}

void
stage_second_hello(stage *s, item *it)
{
    uint8_t hello[HELLO_ROOM];

    it->path = stage_path(s);
    it->truncated = 0;
    it->len = (uint32_t)world_forge(s->w, &it->path, (uint8_t)stage_random(s),
                                    hello);
    ck_assert_uint_le(it->len, sizeof(it->data));
    memcpy(it->data, hello, it->len);
}

void
stage_half_open(stage *s, item *it)
{
    uint64_t before = stage_counter(s, DTLSL__N_ACCEPTED);

    stage_second_hello(s, it);
    stage_feed(s, it, 1, 1);
    ck_assert_uint_eq(stage_counter(s, DTLSL__N_ACCEPTED), before + 1);
}

/* Files */

static char directory[] = "/tmp/dtlsl-cost-XXXXXX";
static char files[FILES_MAX][PATH_LEN];
static size_t n_files;
static identity p256;

static void
use_rsa(identity *id, unsigned bits)
{
    EVP_PKEY_free(id->key);
    id->key = EVP_RSA_gen(bits);
    ck_assert_ptr_nonnull(id->key);
    ck_assert_int_eq(X509_set_pubkey(id->cert, id->key), 1);
    ck_assert_int_gt(X509_sign(id->cert, id->key, EVP_sha256()), 0);
}

const char *
stage_certificate(unsigned bits)
{
    static char options[FILES_MAX][PATH_LEN + 16];
    identity id;
    size_t i;

    for (i = 0; i < n_files; i++)
        if (strtoul(strrchr(files[i], '/') + 1, NULL, 10) == bits)
            return options[i];
    ck_assert_uint_lt(i, FILES_MAX);
    if (n_files++ == 0)
        ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(files[i], sizeof(files[i]), "%s/%u.pem", directory, bits);
    snprintf(options[i], sizeof(options[i]), "cert-file=%s", files[i]);
    identity_make(&id, "localhost");
    if (bits != 0)
        use_rsa(&id, bits);
    identity_save(&id, files[i]);
    if (bits == 0)
        p256 = id;
    else
        identity_free(&id);
    return options[i];
}

const identity *
stage_identity(void)
{
    stage_certificate(0);
    return &p256;
}

void
stage_remove_files(void)
{
    if (n_files == 0)
        return;
    for (size_t i = 0; i < n_files; i++)
        unlink(files[i]);
    rmdir(directory);
    identity_free(&p256);
}
