/* SPDX-License-Identifier: MIT
 * Counts allocations: malloc and its like are defined here, in front of the C
 * library's. So it is a source of the programs that count, and not in a
 * library, from which every program that allocates would take it. */
#include "heap.h"
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

heap_tally heap_ours;
heap_tally heap_libcrypto;

#if defined(__GLIBC__) && !defined(SANITIZED)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *
gained(heap_tally *t, void *block)
{
    if (block != NULL) {
        t->allocations++;
        t->live_blocks++;
        t->live_bytes += (int64_t)malloc_usable_size(block);
    }
    return block;
}

static void
lost(heap_tally *t, void *block)
{
    if (block != NULL) {
        t->live_blocks--;
        t->live_bytes -= (int64_t)malloc_usable_size(block);
    }
}

static void *
resized(heap_tally *t, void *block, size_t size)
{
    lost(t, block);
    return gained(t, __libc_realloc(block, size));
}

void *
malloc(size_t size)
{
    return gained(&heap_ours, __libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    return gained(&heap_ours, __libc_calloc(count, size));
}

void *
realloc(void *block, size_t size)
{
    return resized(&heap_ours, block, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    return gained(&heap_ours, __libc_memalign(alignment, size));
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
    lost(&heap_ours, block);
    __libc_free(block);
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return gained(&heap_libcrypto, __libc_malloc(size));
}

static void *
crypto_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return resized(&heap_libcrypto, block, size);
}

static void
crypto_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    lost(&heap_libcrypto, block);
    __libc_free(block);
}

int
heap_count(void)
{
    return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc,
                                    crypto_free);
}
#else
int
heap_count(void)
{
    return 1;
}
#endif
