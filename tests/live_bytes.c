/* SPDX-License-Identifier: MIT
 * What libdtlslisten, its plugins, libssl and libcrypto hold on the heap, in a
 * process of any language:
 *
 *     LD_PRELOAD=.../live_bytes.so python3 ...
 *
 * An allocation counts if the address that it returns to is in one of them,
 * with the size that was asked for; until it is freed, by whomever. So what
 * the C library allocates on their behalf does not count, but for strdup() and
 * strndup(), nor what libuv does. A library that is unmapped, and another in
 * its place, would be taken for the first.
 *
 * Blocks stay as they are: which of them count is in a table of its own, which
 * is not on the heap. For glibc, whose own functions it calls. */
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    RANGES_MAX = 512,
    SLOTS_FIRST = 1 << 16 /* a power of two */
};

/* Code that is mapped, of an object that counts or not. */
typedef struct range {
    uintptr_t begin, end;
    int counts;
} range;

typedef struct ranges {
    range list[RANGES_MAX];
    size_t n;
} ranges;

typedef struct slot {
    void *block; /* NULL: free */
    size_t size;
} slot;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

size_t live_bytes(void);
size_t live_blocks(void);

#define CALLER ((uintptr_t)__builtin_return_address(0))

static char locked;
static ranges known;
static slot *slots;
static size_t n_slots;
static size_t n_used;
static size_t bytes;

/* A mutex of pthread's is not there yet when the first blocks are made. */
static void
lock(void)
{
    while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void
unlock(void)
{
    __atomic_clear(&locked, __ATOMIC_RELEASE);
}

/* ---- who calls ---- */

/* A plugin goes by its descriptor, see plugin.c. */
static int
is_ours(const char *path)
{
    static const char *const names[] = {"libdtlslisten.so", "dtlsl_cookie_",
                                        "libssl.so", "libcrypto.so"};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return 1;
    return strncmp(path, "/proc/self/fd/", 14) == 0;
}

static int
note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    ranges *found = arg;

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) ||
            found->n == RANGES_MAX)
            continue;
        found->list[found->n++] =
            (range){begin, begin + segment->p_memsz, is_ours(info->dlpi_name)};
    }
    return 0;
}

/* 1 or 0 as it counts, -1 if nobody knows that address. */
static int
look_up(uintptr_t address)
{
    int counts = -1;

    lock();
    for (size_t i = 0; i < known.n && counts < 0; i++)
        if (address >= known.list[i].begin && address < known.list[i].end)
            counts = known.list[i].counts;
    unlock();
    return counts;
}

/* An unknown address is that of a library that came since. The loader has
 * locks of its own, and allocates under them: not while we have ours. */
static int
counts_for(uintptr_t address)
{
    int counts = look_up(address);
    ranges now;

    if (counts >= 0)
        return counts;
    now.n = 0;
    dl_iterate_phdr(note_object, &now);
    lock();
    memcpy(known.list, now.list, now.n * sizeof(now.list[0]));
    known.n = now.n;
    unlock();
    return look_up(address) > 0;
}

/* ---- the table: open addressing, at most half full ---- */

static size_t
home_of(const void *block)
{
    uint64_t hash = ((uint64_t)(uintptr_t)block >> 4) * 0x9e3779b97f4a7c15U;

    return (size_t)(hash >> 32) & (n_slots - 1);
}

static slot *
find(const void *block)
{
    size_t i = home_of(block);

    while (slots[i].block != NULL && slots[i].block != block)
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static void
grow(void)
{
    slot *old = slots;
    size_t n_old = n_slots;

    n_slots = n_old == 0 ? SLOTS_FIRST : 2 * n_old;
    slots = mmap(NULL, n_slots * sizeof(*slots), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        abort();
    for (size_t i = 0; i < n_old; i++)
        if (old[i].block != NULL)
            *find(old[i].block) = old[i];
    if (old != NULL)
        munmap(old, n_old * sizeof(*old));
}

static void
insert(void *block, size_t size)
{
    lock();
    if (2 * n_used >= n_slots)
        grow();
    *find(block) = (slot){block, size};
    n_used++;
    bytes += size;
    unlock();
}

/* Those behind it that it had kept from their place move up. */
static void
close_gap(size_t gap)
{
    size_t mask = n_slots - 1;

    for (size_t i = (gap + 1) & mask; slots[i].block != NULL;
         i = (i + 1) & mask) {
        size_t home = home_of(slots[i].block);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            slots[gap] = slots[i];
            gap = i;
        }
    }
    slots[gap].block = NULL;
}

/* Was it there? Then with its size. */
static int
take_out(const void *block, size_t *size)
{
    int found = 0;
    slot *at;

    lock();
    if (block != NULL && n_used > 0) {
        at = find(block);
        found = at->block != NULL;
        if (found) {
            *size = at->size;
            n_used--;
            bytes -= at->size;
            close_gap((size_t)(at - slots));
        }
    }
    unlock();
    return found;
}

/* ---- what is put in front of the C library's ---- */

static void *
made(void *block, size_t size, uintptr_t caller)
{
    if (block != NULL && counts_for(caller))
        insert(block, size);
    return block;
}

/* Out of the table first: once it is freed, another thread may get it. */
static void *
resized(void *block, size_t size, uintptr_t caller)
{
    size_t before;
    int was_in = take_out(block, &before);
    void *now = __libc_realloc(block, size);

    if (now != NULL && (was_in || counts_for(caller)))
        insert(now, size);
    else if (was_in && size > 0)
        insert(block, before);
    return now;
}

static void *
copied(const char *text, size_t len, uintptr_t caller)
{
    char *copy = __libc_malloc(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return made(copy, len + 1, caller);
}

void *
malloc(size_t size)
{
    return made(__libc_malloc(size), size, CALLER);
}

void *
calloc(size_t count, size_t size)
{
    return made(__libc_calloc(count, size), count * size, CALLER);
}

void *
realloc(void *block, size_t size)
{
    return resized(block, size, CALLER);
}

void *
reallocarray(void *block, size_t count, size_t size)
{
    size_t product;

    if (__builtin_mul_overflow(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return resized(block, product, CALLER);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    return made(__libc_memalign(alignment, size), size, CALLER);
}

int
posix_memalign(void **block, size_t alignment, size_t size)
{
    int saved = errno;
    void *taken;

    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    taken = made(__libc_memalign(alignment, size), size, CALLER);
    errno = saved;
    if (taken == NULL)
        return ENOMEM;
    *block = taken;
    return 0;
}

char *
strdup(const char *text)
{
    return copied(text, strlen(text), CALLER);
}

char *
strndup(const char *text, size_t max)
{
    return copied(text, strnlen(text, max), CALLER);
}

void
free(void *block)
{
    size_t size;

    take_out(block, &size);
    __libc_free(block);
}

/* ---- the counts ---- */

size_t
live_bytes(void)
{
    size_t now;

    lock();
    now = bytes;
    unlock();
    return now;
}

size_t
live_blocks(void)
{
    size_t now;

    lock();
    now = n_used;
    unlock();
    return now;
}
