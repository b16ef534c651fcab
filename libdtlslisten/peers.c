/* SPDX-License-Identifier: MIT
 * Who is connected. */
#include "peers.h"
#include "address.h"
#include "siphash.h"
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAP_START = 64,
    SPENT_SLOTS = 16384, /* per generation; a power of two */
    SPENT_MAX = 12288,   /* then the next generation begins */
    SHARE = 4,           /* of the half-opens: one prefix's part is 1/4 */
    WIDE = 2             /* a /48 gets this many times what a /64 gets */
};

int32_t
dtlsl__peers_init(dtlsl__peers *peers, uint32_t max_half_open,
                  uint64_t cookie_life_ms, uint64_t mono_ms)
{
    memset(peers, 0, sizeof(*peers));
    peers->share = max_half_open < SHARE ? 1 : max_half_open / SHARE;
    peers->n_levels = peers->share + 1;
    peers->spent_ms = mono_ms;
    peers->spent_life_ms = cookie_life_ms;
    peers->heap_cap = HEAP_START;
    peers->heap = calloc(HEAP_START, sizeof(*peers->heap));
    peers->spent[0] = calloc(SPENT_SLOTS, sizeof(*peers->spent[0]));
    peers->spent[1] = calloc(SPENT_SLOTS, sizeof(*peers->spent[1]));
    for (int wide = 0; wide < 2; wide++)
        peers->level[wide] =
            calloc(peers->n_levels, sizeof(*peers->level[wide]));
    if (peers->heap == NULL || peers->spent[0] == NULL ||
        peers->spent[1] == NULL || peers->level[0] == NULL ||
        peers->level[1] == NULL) {
        dtlsl__peers_done(peers);
        return DTLSL_ERR_NOMEM;
    }
    if (RAND_bytes(peers->key, sizeof(peers->key)) != 1) {
        dtlsl__peers_done(peers);
        return DTLSL_ERR_RANDOM;
    }
    return DTLSL_OK;
}

void
dtlsl__peers_done(dtlsl__peers *peers)
{
    free(peers->heap);
    free(peers->spent[0]);
    free(peers->spent[1]);
    free(peers->level[0]);
    free(peers->level[1]);
    OPENSSL_cleanse(peers, sizeof(*peers));
}

static unsigned
path_hash(const dtlsl__peers *peers, const dtlsl_path *path)
{
    return (unsigned)dtlsl__siphash(peers->key, path, sizeof(*path));
}

dtlsl__session *
dtlsl__peers_find(const dtlsl__peers *peers, const dtlsl_path *path)
{
    dtlsl__session *found = NULL;

    if (peers->by_path != NULL)
        HASH_FIND_BYHASHVALUE(by_path, peers->by_path, path, sizeof(*path),
                              path_hash(peers, path), found);
    return found;
}

dtlsl__session *
dtlsl__peers_by_id(const dtlsl__peers *peers, uint64_t id)
{
    dtlsl__session *found = NULL;

    HASH_FIND(by_id, peers->by_id, &id, sizeof(id), found);
    return found;
}

/* Prefixes */

static void
prefix_key(const uint8_t peer[24], int wide, uint8_t key[17])
{
    key[16] = (uint8_t)wide;
    dtlsl__address_prefix(peer, wide, key);
}

static dtlsl__prefix *
prefix_find(const dtlsl__peers *peers, const uint8_t peer[24], int wide)
{
    dtlsl__prefix *found = NULL;
    uint8_t key[17];

    prefix_key(peer, wide, key);
    if (peers->prefixes != NULL)
        HASH_FIND_BYHASHVALUE(
            hh, peers->prefixes, key, sizeof(key),
            (unsigned)dtlsl__siphash(peers->key, key, sizeof(key)), found);
    return found;
}

static dtlsl__prefix *
prefix_make(dtlsl__peers *peers, const uint8_t peer[24], int wide)
{
    dtlsl__prefix *prefix = calloc(1, sizeof(*prefix));
    unsigned hash;

    if (prefix == NULL)
        return NULL;
    prefix_key(peer, wide, prefix->key);
    hash =
        (unsigned)dtlsl__siphash(peers->key, prefix->key, sizeof(prefix->key));
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, peers->prefixes, prefix->key,
                                sizeof(prefix->key), hash, prefix);
    if (prefix->hh.tbl == NULL) {
        free(prefix);
        return NULL;
    }
    return prefix;
}

static void
prefix_leave(dtlsl__peers *peers, dtlsl__prefix *prefix)
{
    if (prefix == NULL || --prefix->sessions > 0)
        return;
    HASH_DELETE(hh, peers->prefixes, prefix);
    free(prefix);
}

static int
prefix_join(dtlsl__peers *peers, dtlsl__session *session)
{
    for (int wide = 0; wide < 2; wide++) {
        dtlsl__prefix *prefix = prefix_find(peers, session->path.peer, wide);
        if (prefix == NULL)
            prefix = prefix_make(peers, session->path.peer, wide);
        if (prefix == NULL) {
            prefix_leave(peers, session->prefix[0]);
            return 0;
        }
        prefix->sessions++;
        session->prefix[wide] = prefix;
    }
    return 1;
}

/* How full it is, in what a narrow prefix may have. It moves by one level at a
 * time, so that the highest is found in one step. */
static void
set_level(dtlsl__peers *peers, dtlsl__prefix *prefix)
{
    int wide = prefix->key[16];
    dtlsl__prefix **list = peers->level[wide];
    uint32_t *top = &peers->top[wide];
    uint32_t level = prefix->half_open / (wide ? WIDE : 1);

    if (level >= peers->n_levels)
        level = peers->n_levels - 1;
    if (level == prefix->level)
        return;
    if (prefix->level > 0)
        DL_DELETE(list[prefix->level], prefix);
    if (level > 0)
        DL_APPEND(list[level], prefix);
    prefix->level = level;
    if (level > *top)
        *top = level;
    while (*top > 0 && list[*top] == NULL)
        --*top;
}

static void
half_open_join(dtlsl__peers *peers, dtlsl__session *session)
{
    peers->n_half_open++;
    DL_APPEND2(peers->marked[session->mark], session, mark_prev, mark_next);
    DL_APPEND(session->prefix[0]->oldest, session);
    DL_APPEND2(session->prefix[1]->oldest, session, wide_prev, wide_next);
    for (int wide = 0; wide < 2; wide++) {
        session->prefix[wide]->half_open++;
        set_level(peers, session->prefix[wide]);
    }
}

static void
half_open_leave(dtlsl__peers *peers, dtlsl__session *session)
{
    peers->n_half_open--;
    DL_DELETE2(peers->marked[session->mark], session, mark_prev, mark_next);
    session->mark = DTLSL__FIRM;
    DL_DELETE(session->prefix[0]->oldest, session);
    DL_DELETE2(session->prefix[1]->oldest, session, wide_prev, wide_next);
    for (int wide = 0; wide < 2; wide++) {
        session->prefix[wide]->half_open--;
        set_level(peers, session->prefix[wide]);
    }
}

int32_t
dtlsl__peers_refuses(const dtlsl__peers *peers, const uint8_t peer[24],
                     const dtlsl__settings *settings, int replaces)
{
    uint64_t conns = settings->max_conns_per_prefix;
    int crowded = peers->n_sessions > settings->max_conns / 2;

    for (int wide = 0; wide < 2; wide++) {
        const dtlsl__prefix *prefix = prefix_find(peers, peer, wide);
        uint64_t times = wide && !dtlsl__address_is_v4(peer) ? WIDE : 1;
        if (prefix == NULL)
            continue;
        if (prefix->half_open >= peers->share * times)
            return DTLSL__N_DROP_PREFIX;
        if (crowded && !replaces && conns != 0 &&
            prefix->sessions >= conns * times)
            return DTLSL__N_DROP_PREFIX;
    }
    return 0;
}

void
dtlsl__peers_mark(dtlsl__peers *peers, dtlsl__session *session, int32_t mark)
{
    if (mark == session->mark)
        return;
    DL_DELETE2(peers->marked[session->mark], session, mark_prev, mark_next);
    DL_APPEND2(peers->marked[mark], session, mark_prev, mark_next);
    session->mark = mark;
}

/* The oldest of the most crowded prefix, or NULL. */
static dtlsl__session *
most_crowded(const dtlsl__peers *peers, int wide)
{
    uint32_t top = peers->top[wide];

    return top == 0 ? NULL : peers->level[wide][top]->oldest;
}

dtlsl__session *
dtlsl__peers_victim(const dtlsl__peers *peers)
{
    dtlsl__session *narrow = most_crowded(peers, 0);
    dtlsl__session *wide = most_crowded(peers, 1);

    for (int mark = DTLSL__MARKS - 1; mark > DTLSL__FIRM; mark--)
        if (peers->marked[mark] != NULL)
            return peers->marked[mark];
    if (narrow == NULL || wide == NULL || peers->top[0] > peers->top[1])
        return narrow;
    return peers->top[1] > peers->top[0] || wide->id < narrow->id ? wide
                                                                  : narrow;
}

dtlsl__session *
dtlsl__peers_firmest(const dtlsl__peers *peers)
{
    return peers->marked[DTLSL__FIRM];
}

/* Deadlines */

static void
heap_put(dtlsl__peers *peers, size_t index, dtlsl__session *session)
{
    peers->heap[index] = session;
    session->heap_index = index;
}

static void
heap_up(dtlsl__peers *peers, size_t index, dtlsl__session *session)
{
    for (; index > 1; index /= 2) {
        dtlsl__session *parent = peers->heap[index / 2];
        if (parent->heap_ms <= session->heap_ms)
            break;
        heap_put(peers, index, parent);
    }
    heap_put(peers, index, session);
}

static void
heap_down(dtlsl__peers *peers, size_t index, dtlsl__session *session)
{
    for (;;) {
        size_t child = 2 * index;
        if (child > peers->heap_len)
            break;
        if (child < peers->heap_len &&
            peers->heap[child + 1]->heap_ms < peers->heap[child]->heap_ms)
            child++;
        if (session->heap_ms <= peers->heap[child]->heap_ms)
            break;
        heap_put(peers, index, peers->heap[child]);
        index = child;
    }
    heap_put(peers, index, session);
}

static int
heap_grow(dtlsl__peers *peers)
{
    dtlsl__session **heap;

    if (peers->heap_len + 2 <= peers->heap_cap)
        return 1;
    heap = realloc(peers->heap, 2 * peers->heap_cap * sizeof(*heap));
    if (heap == NULL)
        return 0;
    peers->heap = heap;
    peers->heap_cap *= 2;
    return 1;
}

static void
heap_add(dtlsl__peers *peers, dtlsl__session *session)
{
    session->heap_ms = UINT64_MAX;
    heap_put(peers, ++peers->heap_len, session);
}

static void
heap_remove(dtlsl__peers *peers, dtlsl__session *session)
{
    size_t index = session->heap_index;
    dtlsl__session *last = peers->heap[peers->heap_len--];

    session->heap_index = 0;
    if (last == session)
        return;
    heap_put(peers, index, last);
    dtlsl__peers_schedule(peers, last, last->heap_ms);
}

void
dtlsl__peers_schedule(dtlsl__peers *peers, dtlsl__session *session,
                      uint64_t mono_ms)
{
    session->heap_ms = mono_ms;
    heap_up(peers, session->heap_index, session);
    heap_down(peers, session->heap_index, session);
}

dtlsl__session *
dtlsl__peers_next_due(const dtlsl__peers *peers)
{
    return peers->heap_len == 0 ? NULL : peers->heap[1];
}

/* Sessions */

static int
index_path(dtlsl__peers *peers, dtlsl__session *session)
{
    HASH_ADD_KEYPTR_BYHASHVALUE(by_path, peers->by_path, &session->path,
                                sizeof(session->path),
                                path_hash(peers, &session->path), session);
    return session->by_path.tbl != NULL;
}

static int
index_session(dtlsl__peers *peers, dtlsl__session *session,
              dtlsl__session *predecessor)
{
    HASH_ADD_KEYPTR(by_id, peers->by_id, &session->id, sizeof(session->id),
                    session);
    if (session->by_id.tbl == NULL)
        return 0;
    if (predecessor != NULL) {
        predecessor->successor = session;
        session->predecessor = predecessor;
        return 1;
    }
    if (index_path(peers, session))
        return 1;
    HASH_DELETE(by_id, peers->by_id, session);
    return 0;
}

dtlsl__session *
dtlsl__peers_add(dtlsl__peers *peers, const dtlsl_path *path,
                 dtlsl__session *predecessor, uint32_t app_len,
                 uint64_t mono_ms)
{
    dtlsl__session *session;

    if (!heap_grow(peers))
        return NULL;
    session = calloc(1, sizeof(*session) + app_len);
    if (session == NULL)
        return NULL;
    session->app_len = app_len;
    session->id = peers->last_id + 1;
    session->path = *path;
    session->created_ms = session->idle_ms = mono_ms;
    session->retransmit_ms = UINT64_MAX;
    if (!prefix_join(peers, session)) {
        free(session);
        return NULL;
    }
    if (!index_session(peers, session, predecessor)) {
        prefix_leave(peers, session->prefix[0]);
        prefix_leave(peers, session->prefix[1]);
        free(session);
        return NULL;
    }
    peers->last_id++;
    peers->n_sessions++;
    half_open_join(peers, session);
    heap_add(peers, session);
    return session;
}

void
dtlsl__peers_opened(dtlsl__peers *peers, dtlsl__session *session)
{
    session->state = DTLSL__OPEN;
    session->was_open = 1;
    half_open_leave(peers, session);
}

dtlsl__session *
dtlsl__peers_warm(dtlsl__peers *peers, dtlsl__session *session)
{
    dtlsl__session *last;

    dtlsl__peers_cool(peers, session);
    DL_PREPEND(peers->warm, session);
    session->warm = 1;
    if (++peers->n_warm <= DTLSL__WARM_MAX)
        return NULL;
    last = peers->warm->prev;
    dtlsl__peers_cool(peers, last);
    return last;
}

void
dtlsl__peers_cool(dtlsl__peers *peers, dtlsl__session *session)
{
    if (!session->warm)
        return;
    DL_DELETE(peers->warm, session);
    session->warm = 0;
    peers->n_warm--;
}

/* A successor takes the path over. Where the table finds no memory for that
 * it cannot be reached, and its deadline ends it. */
static void
leave_path(dtlsl__peers *peers, dtlsl__session *session)
{
    dtlsl__session *successor = session->successor;

    if (session->predecessor != NULL) {
        session->predecessor->successor = NULL;
        session->predecessor = NULL;
        return;
    }
    if (successor != NULL) {
        successor->predecessor = NULL;
        session->successor = NULL;
        index_path(peers, successor);
    }
    if (session->by_path.tbl != NULL)
        HASH_DELETE(by_path, peers->by_path, session);
}

void
dtlsl__peers_detach(dtlsl__peers *peers, dtlsl__session *session)
{
    leave_path(peers, session);
    dtlsl__peers_cool(peers, session);
    if (!session->was_open)
        half_open_leave(peers, session);
    prefix_leave(peers, session->prefix[0]);
    prefix_leave(peers, session->prefix[1]);
    session->prefix[0] = session->prefix[1] = NULL;
    heap_remove(peers, session);
    peers->n_sessions--;
    session->state = DTLSL__ENDING;
}

void
dtlsl__peers_remove(dtlsl__peers *peers, dtlsl__session *session)
{
    HASH_DELETE(by_id, peers->by_id, session);
    free(session->text);
    free(session);
}

/* Spent hellos */

static uint64_t
spent_key(const dtlsl__peers *peers, const dtlsl_path *path,
          const uint8_t hello_id[DTLSL_HELLO_ID_LEN])
{
    uint8_t data[sizeof(*path) + DTLSL_HELLO_ID_LEN];
    uint64_t key;

    memcpy(data, path, sizeof(*path));
    memcpy(data + sizeof(*path), hello_id, DTLSL_HELLO_ID_LEN);
    key = dtlsl__siphash(peers->key, data, sizeof(data));
    return key == 0 ? 1 : key; /* 0 is an empty slot */
}

/* The slot that holds the key, or the empty one where it belongs. There is
 * always an empty one: SPENT_MAX < SPENT_SLOTS. */
static uint64_t *
spent_slot(uint64_t *slots, uint64_t key)
{
    size_t i = (size_t)key & (SPENT_SLOTS - 1);

    while (slots[i] != 0 && slots[i] != key)
        i = (i + 1) & (SPENT_SLOTS - 1);
    return &slots[i];
}

void
dtlsl__peers_spend(dtlsl__peers *peers, const dtlsl__session *session,
                   uint64_t mono_ms)
{
    uint64_t key = spent_key(peers, &session->path, session->hello_id);
    uint64_t *slot;

    if (mono_ms - session->created_ms > peers->spent_life_ms)
        return; /* its cookie is over, too */
    if (peers->n_spent >= SPENT_MAX ||
        mono_ms - peers->spent_ms > peers->spent_life_ms) {
        uint64_t *oldest = peers->spent[1];
        peers->spent[1] = peers->spent[0];
        peers->spent[0] = oldest;
        memset(oldest, 0, SPENT_SLOTS * sizeof(*oldest));
        peers->n_spent = 0;
        peers->spent_ms = mono_ms;
    }
    slot = spent_slot(peers->spent[0], key);
    if (*slot == 0)
        peers->n_spent++;
    *slot = key;
}

int
dtlsl__peers_spent(const dtlsl__peers *peers, const dtlsl_path *path,
                   const uint8_t hello_id[DTLSL_HELLO_ID_LEN])
{
    uint64_t key = spent_key(peers, path, hello_id);

    return *spent_slot(peers->spent[0], key) == key ||
           *spent_slot(peers->spent[1], key) == key;
}
