/* SPDX-License-Identifier: MIT
 * The classes of packets: how each is made. */
#include "packets.h"
#include "record.h"
#include "test.h"

enum {
    SESSION_ID = 13 + 12 + 2 + 32, /* its length byte; it is empty */
    COOKIE = SESSION_ID + 2,       /* behind its length byte */
    TAG = COOKIE + 6,              /* of an hmac cookie */
    CLIENTS = 8,
    FLOOD = 512,
    BUDGET = 64,     /* answers to bad cookies, gate.c */
    CROWD = 1024,    /* max-handshakes by default */
    ANSWER_MS = 300, /* before one of them is evicted, engine_state.h */
    EARLY = 4,       /* records of epoch 1 before ChangeCipherSpec, conn.c */
    EXPIRED = 126000
};

static void
random_bytes(stage *s, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)stage_random(s);
}

static void
apply(const packet_class *c, item *it)
{
    for (size_t i = 0; i < 2; i++)
        for (uint32_t k = 0; k < c->patches[i].width; k++)
            it->data[c->patches[i].at + k] =
                (uint8_t)(c->patches[i].value >>
                          8 * (c->patches[i].width - 1 - k));
    if (c->len != 0)
        it->len = c->len;
}

/* Strangers */

static void
make_junk(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)i;
    it->path = stage_path(s);
    it->truncated = 0;
    it->len = c->len;
    random_bytes(s, it->data, it->len);
    while (it->data[0] == DTLSL__HANDSHAKE)
        it->data[0] = (uint8_t)stage_random(s);
}

static void
make_empty(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_junk(s, c, it, i);
    it->len = 0;
}

static void
make_truncated(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_junk(s, c, it, i);
    it->truncated = 1;
}

/* Without a cookie, then changed in one place. */
static void
make_hello(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)i;
    it->path = stage_path(s);
    it->truncated = 0;
    it->len = (uint32_t)s->w->hello_len;
    memcpy(it->data, s->w->hello, it->len);
    random_bytes(s, it->data + SESSION_ID - 32, 32);
    apply(c, it);
}

/* One suite, one compression method, no extension. */
static void
make_smallest_hello(stage *s, const packet_class *c, item *it, uint32_t i)
{
    static const uint8_t tail[] = {0, 2, 0xC0, 0x2B, 1, 0};

    make_hello(s, c, it, i);
    memcpy(it->data + COOKIE, tail, sizeof(tail));
    it->len = COOKIE + sizeof(tail);
    dtlsl__put16(it->data + 11, it->len - 13);
    dtlsl__put24(it->data + 14, it->len - 25);
    dtlsl__put24(it->data + 22, it->len - 25);
}

/* The dearest to find: all of the ClientHello is looked at. */
static void
make_last_extension_too_long(stage *s, const packet_class *c, item *it,
                             uint32_t i)
{
    size_t at = SESSION_ID + 2, last = 0;

    make_hello(s, c, it, i);
    at += 2U + dtlsl__get16(it->data + at);
    at += 1U + it->data[at];
    for (at += 2; at < it->len; at += 4U + dtlsl__get16(it->data + at + 2))
        last = at;
    it->data[last + 3]++;
}

static void
make_source_port_0(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_hello(s, c, it, i);
    dtlsl__put16(it->path.peer + 16, 0);
}

static void
make_multicast(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_hello(s, c, it, i);
    it->path.local[12] = 224;
}

/* With a cookie */

static void
make_second_hello(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)i;
    stage_second_hello(s, it);
    apply(c, it);
}

static void
make_forged_tag(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_second_hello(s, c, it, i);
    random_bytes(s, it->data + TAG, 16);
}

static void
refill(stage *s)
{
    stage_wait(s, 1000);
}

static void
expire(stage *s)
{
    stage_wait(s, EXPIRED);
}

static void
exhaust(stage *s)
{
    item it;

    for (int i = 0; i < 4 * BUDGET; i++) {
        make_forged_tag(s, packet_class_reference(), &it, 0);
        stage_feed(s, &it, 1, 1);
    }
}

static void
expire_and_exhaust(stage *s)
{
    item stale[ITEMS_MAX];

    for (int i = 0; i < 4 * BUDGET; i++)
        stage_second_hello(s, &stale[i]);
    expire(s);
    stage_feed(s, stale, 4 * BUDGET, BATCH_MAX);
}

static void
make_duplicate(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    (void)i;
    stage_half_open(s, it);
}

/* A ClientKeyExchange of random bytes; 33 of them are a key of X25519. */
static size_t
make_junk_key(stage *s, uint8_t *to, uint32_t len)
{
    size_t all = make_message(to, 3, 16, 2, len, 0, len);

    to[25] = (uint8_t)(len - 1);
    random_bytes(s, to + 26, len - 1);
    return all;
}

/* The client went on, with something that ends the connection. */
static void
make_spent(stage *s, const packet_class *c, item *it, uint32_t i)
{
    uint8_t junk[128];
    size_t len = make_junk_key(s, junk, 66);

    (void)c;
    (void)i;
    stage_half_open(s, it);
    stage_give(s, &it->path, junk, len, NULL);
    stage_clear(s);
}

static void
fill_limit(stage *s)
{
    item it;

    stage_half_open(s, &it);
}

static void
make_neighbour(stage *s, const packet_class *c, item *it, uint32_t i)
{
    uint8_t hello[HELLO_ROOM];

    (void)c;
    it->path = world_path(1, (uint16_t)(2000 + i));
    it->truncated = 0;
    it->len = (uint32_t)world_forge(s->w, &it->path, (uint8_t)i, hello);
    memcpy(it->data, hello, it->len);
}

static void
fill_prefix(stage *s)
{
    item it;

    make_neighbour(s, NULL, &it, 60000);
    stage_feed(s, &it, 1, 1);
}

/* All places are taken, by those who had their time to answer. */
static void
crowd(stage *s)
{
    item it;

    while (stage_counter(s, DTLSL__N_HANDSHAKES) < CROWD)
        stage_half_open(s, &it);
    stage_wait(s, ANSWER_MS);
}

/* At a half-open connection */

static void
open_half(stage *s)
{
    item it;

    stage_half_open(s, &it);
    s->peer = it.path;
}

static void
put_record(stage *s, item *it, uint8_t type, uint16_t epoch, const void *body,
           size_t len)
{
    it->path = s->peer;
    it->truncated = 0;
    it->len = (uint32_t)make_record(it->data, type, epoch,
                                    stage_random(s) & 0xFFFFFF, body, len);
}

static void
make_alert(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    (void)i;
    put_record(s, it, 21, 0, "\x02\x30", 2); /* fatal, unknown_ca */
}

static void
make_change(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    (void)i;
    put_record(s, it, 20, 0, "\1", 1);
}

static void
make_plaintext_data(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    (void)i;
    put_record(s, it, 23, 0, "junk", 4);
}

static void
put_fragment(stage *s, item *it, uint8_t type, uint32_t length,
             uint32_t offset)
{
    it->path = s->peer;
    it->truncated = 0;
    it->len = (uint32_t)make_message(it->data, stage_random(s) & 0xFFFFFF,
                                     type, 2, length, offset, 1);
}

static void
make_bomb(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    put_fragment(s, it, 16, 100000, 1000 * (i % 100));
}

static void
make_fitting_fragment(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    put_fragment(s, it, 16, 2048, 3 * i);
}

static void
make_unexpected_message(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)c;
    (void)i;
    put_fragment(s, it, 20, 1, 0);
}

/* Each at a half-open connection of its own. */
static void
make_key_exchange(stage *s, const packet_class *c, item *it, uint32_t i)
{
    item hello;

    (void)i;
    stage_half_open(s, &hello);
    it->path = hello.path;
    it->truncated = 0;
    it->len = (uint32_t)make_junk_key(s, it->data, c->len);
}

static void
put_protected(stage *s, item *it, const dtlsl_path *path, size_t len)
{
    uint8_t body[ITEM_MAX];

    random_bytes(s, body, len);
    it->truncated = 0;
    it->len = (uint32_t)make_record(
        it->data, 23, 1, 1000000 + stage_random(s) % 1000000, body, len);
    it->path = *path;
}

static void
make_early(stage *s, const packet_class *c, item *it, uint32_t i)
{
    item hello;

    if (i % EARLY == 0) {
        stage_half_open(s, &hello);
        s->peer = hello.path;
    }
    put_protected(s, it, &s->peer, c->len);
}

static void
open_half_and_exhaust(stage *s)
{
    item it;

    open_half(s);
    for (int i = 0; i < EARLY; i++) {
        put_protected(s, &it, &s->peer, 64);
        stage_feed(s, &it, 1, 1);
    }
}

/* At an open connection */

static void
make_protected(stage *s, const packet_class *c, item *it, uint32_t i)
{
    (void)i;
    put_protected(s, it, &s->peer, c->len);
}

static void
make_hello_on_path(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_hello(s, c, it, i);
    it->path = s->peer;
}

static void
make_genuine(stage *s, const packet_class *c, item *it, uint32_t i)
{
    uint8_t data[ITEM_MAX] = {0};
    packet p;

    (void)i;
    ck_assert_int_eq(client_write(s->c, data, c->len), (int)c->len);
    ck_assert_int_eq(client_take(s->c, &p), 1);
    it->path = s->peer;
    it->truncated = 0;
    it->len = (uint32_t)p.len;
    memcpy(it->data, p.data, p.len);
    packet_free(&p);
}

static void
make_replayed(stage *s, const packet_class *c, item *it, uint32_t i)
{
    make_genuine(s, c, it, i);
    stage_feed(s, it, 1, 1);
}

/* The client's last flight: the handshake completes. */
static void
make_last_flight(stage *s, const packet_class *c, item *it, uint32_t i)
{
    uint8_t hello[HELLO_ROOM];
    client *peer;
    packet p;

    (void)c;
    (void)i;
    it->path = stage_path(s);
    it->truncated = 0;
    peer = world_client_at(s->w, NULL, &it->path);
    world_accept(s->w, peer, hello);
    ck_assert_int_eq(client_take(peer, &p), 1);
    ck_assert_uint_eq(client_waiting(peer), 0); /* it was one datagram */
    it->len = (uint32_t)p.len;
    memcpy(it->data, p.data, p.len);
    packet_free(&p);
    world_drop_client(s->w, peer);
}

#define STRANGER "a stranger's"
#define DROPPED "a ClientHello, dropped"
#define COOKIES "a ClientHello with a cookie"
#define HALF_OPEN "at a half-open connection"
#define OPEN "at an open connection"
#define GENUINE "genuine, for comparison"

/* clang-format off */
#define DROP(words, reason, maker, ...)                                     \
    {                                                                       \
        .group = DROPPED, .name = words, .counter = DTLSL__N_DROP_##reason, \
        .n = FLOOD, .times = 4, .make = maker, __VA_ARGS__                  \
    }
/* clang-format on */

static const packet_class classes[] = {
    {.group = STRANGER,
     .name = "empty datagram",
     .counter = DTLSL__N_DROP_EMPTY,
     .n = FLOOD,
     .times = 4,
     .make = make_empty},
    {.group = STRANGER,
     .name = "truncated datagram",
     .counter = DTLSL__N_DROP_TRUNCATED,
     .n = FLOOD,
     .times = 4,
     .make = make_truncated,
     .len = 200},
    {.group = STRANGER,
     .name = "junk",
     .counter = DTLSL__N_DROP_TYPE,
     .n = FLOOD,
     .times = 4,
     .make = make_junk,
     .len = 200},
    {.group = STRANGER,
     .name = "record of epoch 1",
     .counter = DTLSL__N_DROP_EPOCH,
     .n = FLOOD,
     .times = 4,
     .make = make_hello,
     .patches = {{3, 2, 1}}},
    {.group = STRANGER,
     .name = "ClientHello without a cookie, answered",
     .counter = DTLSL__N_REPLIED,
     .n = FLOOD,
     .times = 4,
     .make = make_hello},
    {.group = STRANGER,
     .name = "the same, the smallest that is answered",
     .counter = DTLSL__N_REPLIED,
     .n = FLOOD,
     .times = 4,
     .make = make_smallest_hello},

    DROP("source port 0", SOURCE, make_source_port_0),
    DROP("to a multicast address", DESTINATION, make_multicast),
    DROP("no whole record header", SHORT, make_hello, .len = 12),
    DROP("record version", VERSION, make_hello, .patches = {{1, 1, 3}}),
    DROP("record length", RECORD_LENGTH, make_hello,
         .patches = {{11, 2, 0xFFFF}}),
    DROP("fragment length", MESSAGE_LENGTH, make_hello,
         .patches = {{22, 3, 1}}),
    DROP("message type", MESSAGE_TYPE, make_hello, .patches = {{13, 1, 2}}),
    DROP("message_seq", MESSAGE_SEQ, make_hello, .patches = {{17, 2, 2}}),
    DROP("later fragment", FRAGMENT, make_hello, .patches = {{19, 3, 1}}),
    DROP("ends before its cookie", HELLO_LENGTH, make_hello,
         .patches = {{SESSION_ID, 1, 255}}),
    DROP("session_id too long", SESSION_ID, make_hello,
         .patches = {{SESSION_ID, 1, 33}, {SESSION_ID + 34, 1, 0}}),
    DROP("broken in its last extension", MALFORMED,
         make_last_extension_too_long),
    DROP("cookie with message_seq 0", COOKIE_SEQ, make_second_hello,
         .patches = {{17, 2, 0}}),
    DROP("cookie with a huge record number", RECORD_SEQ, make_second_hello,
         .patches = {{5, 2, 0xFFFF}, {7, 4, 0xFFFFFFFF}}),

    {.group = COOKIES,
     .name = "of unknown form",
     .counter = DTLSL__N_DROP_BAD_COOKIE,
     .n = FLOOD,
     .times = 4,
     .make = make_second_hello,
     .after = exhaust,
     .patches = {{COOKIE, 1, 0xF0}}},
    {.group = COOKIES,
     .name = "forged, answered (64 a second)",
     .counter = DTLSL__N_REPLIED,
     .n = BUDGET,
     .make = make_forged_tag,
     .after = refill},
    {.group = COOKIES,
     .name = "forged, beyond that",
     .counter = DTLSL__N_DROP_BAD_COOKIE,
     .n = FLOOD,
     .times = 4,
     .make = make_forged_tag,
     .after = exhaust},
    {.group = COOKIES,
     .name = "expired, answered (64 a second)",
     .counter = DTLSL__N_REPLIED,
     .n = BUDGET,
     .make = make_second_hello,
     .after = expire},
    {.group = COOKIES,
     .name = "expired, beyond that",
     .counter = DTLSL__N_DROP_BAD_COOKIE,
     .n = FLOOD,
     .times = 4,
     .make = make_second_hello,
     .after = expire_and_exhaust},
    {.group = COOKIES,
     .name = "copy, its connection lives",
     .counter = DTLSL__N_DROP_DUPLICATE,
     .n = 64,
     .times = 4,
     .before = stage_clear,
     .make = make_duplicate},
    {.group = COOKIES,
     .name = "copy, its connection has ended",
     .counter = DTLSL__N_DROP_REPLAYED,
     .n = 64,
     .times = 4,
     .make = make_spent},
    {.group = COOKIES,
     .name = "valid, but max-conns is reached",
     .options = "max-conns=1",
     .counter = DTLSL__N_DROP_MAX_CONNS,
     .n = FLOOD,
     .times = 4,
     .once = fill_limit,
     .make = make_second_hello},
    {.group = COOKIES,
     .name = "valid, but its prefix has its share",
     .options = "max-handshakes=4",
     .counter = DTLSL__N_DROP_PREFIX,
     .n = FLOOD,
     .times = 4,
     .once = fill_prefix,
     .make = make_neighbour},
    {.group = COOKIES,
     .name = "valid, accepted, ECDSA P-256",
     .counter = DTLSL__N_ACCEPTED,
     .n = 64,
     .batch = 4,
     .before = stage_clear,
     .make = make_second_hello},
    {.group = COOKIES,
     .name = "the same, and one of 1024 is evicted",
     .counter = DTLSL__N_EVICTED,
     .n = 64,
     .batch = 4,
     .before = crowd,
     .make = make_second_hello},
    {.group = COOKIES,
     .name = "valid, accepted, RSA 2048",
     .rsa = 2048,
     .counter = DTLSL__N_ACCEPTED,
     .n = 16,
     .batch = 4,
     .before = stage_clear,
     .make = make_second_hello},
    {.group = COOKIES,
     .name = "valid, accepted, RSA 4096",
     .rsa = 4096,
     .counter = DTLSL__N_ACCEPTED,
     .n = 4,
     .batch = 4,
     .before = stage_clear,
     .make = make_second_hello},

    {.group = HALF_OPEN,
     .name = "alert",
     .once = open_half,
     .counter = DTLSL__N_ALERTS_IGNORED,
     .n = FLOOD,
     .times = 4,
     .make = make_alert},
    {.group = HALF_OPEN,
     .name = "application data in the clear",
     .once = open_half,
     .counter = DTLSL__N_DROP_FILTERED,
     .n = FLOOD,
     .times = 4,
     .make = make_plaintext_data},
    {.group = HALF_OPEN,
     .name = "handshake message out of turn",
     .once = open_half,
     .counter = DTLSL__N_DROP_FILTERED,
     .n = FLOOD,
     .times = 4,
     .make = make_unexpected_message},
    {.group = HALF_OPEN,
     .name = "fragment that declares 100,000 bytes",
     .once = open_half,
     .counter = DTLSL__N_DROP_FILTERED,
     .n = FLOOD,
     .times = 4,
     .make = make_bomb},
    {.group = HALF_OPEN,
     .name = "fragment that declares 2048 bytes",
     .once = open_half,
     .counter = DTLSL__N_DELIVERED,
     .n = FLOOD,
     .make = make_fitting_fragment},
    {.group = HALF_OPEN,
     .name = "ChangeCipherSpec",
     .once = open_half,
     .counter = DTLSL__N_DELIVERED,
     .n = FLOOD,
     .make = make_change},
    {.group = HALF_OPEN,
     .name = "ClientKeyExchange of junk: it dies",
     .counter = DTLSL__N_FAILED,
     .n = 32,
     .before = stage_clear,
     .make = make_key_exchange,
     .len = 66},
    {.group = HALF_OPEN,
     .name = "ClientKeyExchange with a key: it will",
     .counter = DTLSL__N_DELIVERED,
     .n = 32,
     .before = stage_clear,
     .make = make_key_exchange,
     .len = 33},
    {.group = HALF_OPEN,
     .name = "record of epoch 1, one of four",
     .counter = DTLSL__N_DELIVERED,
     .n = 64,
     .before = stage_clear,
     .make = make_early,
     .len = 1200},
    {.group = HALF_OPEN,
     .name = "record of epoch 1, beyond them",
     .once = open_half_and_exhaust,
     .counter = DTLSL__N_DROP_FILTERED,
     .n = FLOOD,
     .times = 4,
     .make = make_protected,
     .len = 1200},

    {.group = OPEN,
     .name = "alert in the clear",
     .once = stage_connect,
     .counter = DTLSL__N_DROP_FILTERED,
     .n = FLOOD,
     .times = 4,
     .make = make_alert},
    {.group = OPEN,
     .name = "record of epoch 1, 8 bytes",
     .once = stage_connect,
     .counter = DTLSL__N_DROP_FILTERED,
     .n = FLOOD,
     .times = 4,
     .make = make_protected,
     .len = 8},
    {.group = OPEN,
     .name = "record of epoch 1, 64 bytes",
     .once = stage_connect,
     .counter = DTLSL__N_DELIVERED,
     .n = FLOOD,
     .make = make_protected,
     .len = 64},
    {.group = OPEN,
     .name = "record of epoch 1, 1200 bytes",
     .once = stage_connect,
     .counter = DTLSL__N_DELIVERED,
     .n = FLOOD,
     .make = make_protected,
     .len = 1200},
    {.group = OPEN,
     .name = "captured record, replayed",
     .once = stage_connect,
     .counter = DTLSL__N_DELIVERED,
     .n = 64,
     .times = 4,
     .make = make_replayed,
     .len = 64},
    {.group = OPEN,
     .name = "ClientHello without a cookie, answered",
     .once = stage_connect,
     .counter = DTLSL__N_REPLIED,
     .n = FLOOD,
     .times = 4,
     .make = make_hello_on_path},

    {.group = GENUINE,
     .name = "last flight of a client, P-256",
     .counter = DTLSL__N_OPENED,
     .n = CLIENTS,
     .before = stage_clear,
     .make = make_last_flight},
    {.group = GENUINE,
     .name = "application data, 64 bytes",
     .once = stage_connect,
     .counter = DTLSL__N_DATA_IN,
     .n = 64,
     .make = make_genuine,
     .len = 64},
    {.group = GENUINE,
     .name = "application data, 1100 bytes",
     .once = stage_connect,
     .counter = DTLSL__N_DATA_IN,
     .n = 64,
     .make = make_genuine,
     .len = 1100},
};

const packet_class *
packet_class_at(size_t index)
{
    return index < sizeof(classes) / sizeof(classes[0]) ? &classes[index]
                                                        : NULL;
}

const packet_class *
packet_class_reference(void)
{
    for (size_t i = 0; packet_class_at(i) != NULL; i++)
        if (classes[i].make == make_hello &&
            classes[i].counter == DTLSL__N_REPLIED)
            return &classes[i];
    return NULL;
}
