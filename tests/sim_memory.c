/* SPDX-License-Identifier: MIT
 * Counts allocations, as flood_test.c does, and SSLs. */
#include "sim_memory.h"
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

sim_tally sim_ours;
sim_tally sim_libcrypto;
int64_t sim_live_ssls;

#if defined(__GLIBC__) && !defined(SANITIZED)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static void *
gained(sim_tally *t, void *block)
{
    if (block != NULL) {
        t->allocations++;
        t->live_blocks++;
    }
    return block;
}

static void
lost(sim_tally *t, void *block)
{
    if (block != NULL)
        t->live_blocks--;
}

static void *
resized(sim_tally *t, void *block, size_t size)
{
    lost(t, block);
    return gained(t, __libc_realloc(block, size));
}

void *
malloc(size_t size)
{
    return gained(&sim_ours, __libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    return gained(&sim_ours, __libc_calloc(count, size));
}

void *
realloc(void *block, size_t size)
{
    return resized(&sim_ours, block, size);
}

void
free(void *block)
{
    lost(&sim_ours, block);
    __libc_free(block);
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return gained(&sim_libcrypto, __libc_malloc(size));
}

static void *
crypto_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return resized(&sim_libcrypto, block, size);
}

static void
crypto_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    lost(&sim_libcrypto, block);
    __libc_free(block);
}

static int
count_libcrypto(void)
{
    return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc,
                                    crypto_free);
}
#else
static int
count_libcrypto(void)
{
    return 1;
}
#endif

static void
ssl_born(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
         void *argp)
{
    (void)parent;
    (void)ptr;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    sim_live_ssls++;
}

static void
ssl_gone(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
         void *argp)
{
    (void)parent;
    (void)ptr;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    sim_live_ssls--;
}

void
sim_memory_start(void)
{
    if (!count_libcrypto() ||
        SSL_get_ex_new_index(0, NULL, ssl_born, NULL, ssl_gone) < 0) {
        fprintf(stderr, "simulation: cannot count SSLs\n");
        exit(2);
    }
}
