/* SPDX-License-Identifier: MIT
 * Counts allocations: malloc and its like are defined here, in front of the
 * C library's. */
#include "tally.h"
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static tally *counting;

void
tally_start(tally *sum)
{
    counting = sum;
}

void
tally_stop(void)
{
    counting = NULL;
}

#if defined(__GLIBC__) && !defined(SANITIZED)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *
gained(void *block, int crypto)
{
    if (counting == NULL || block == NULL)
        return block;
    counting->own += !crypto;
    counting->crypto += crypto != 0;
    counting->live += (int64_t)malloc_usable_size(block);
    if (counting->live > counting->peak)
        counting->peak = counting->live;
    return block;
}

static void
lost(void *block)
{
    if (counting != NULL && block != NULL)
        counting->live -= (int64_t)malloc_usable_size(block);
}

static void *
resized(void *block, size_t size, int crypto)
{
    lost(block);
    return gained(__libc_realloc(block, size), crypto);
}

void *
malloc(size_t size)
{
    return gained(__libc_malloc(size), 0);
}

void *
calloc(size_t count, size_t size)
{
    return gained(__libc_calloc(count, size), 0);
}

void *
realloc(void *block, size_t size)
{
    return resized(block, size, 0);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    return gained(__libc_memalign(alignment, size), 0);
}

int
posix_memalign(void **block, size_t alignment, size_t size)
{
    void *taken = aligned_alloc(alignment, size);

    if (taken == NULL)
        return ENOMEM;
    *block = taken;
    return 0;
}

void
free(void *block)
{
    lost(block);
    __libc_free(block);
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return gained(__libc_malloc(size), 1);
}

static void *
crypto_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return resized(block, size, 1);
}

static void
crypto_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    lost(block);
    __libc_free(block);
}

int
tally_install(void)
{
    return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc,
                                    crypto_free);
}

#else

int
tally_install(void)
{
    return 0;
}

#endif
