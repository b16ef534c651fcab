/* SPDX-License-Identifier: MIT
 * An engine, clients and a network between them. */
#include "world.h"
#include "record.h"
#include "test.h"
#include <openssl/err.h>
#include <stdio.h>
#include <unistd.h>

enum {
    POISON = 77,
    ROUNDS = 1000,
    UNIX_START = 1795600,
    COOKIE_AT = 13 + 12 + 2 + 32 /* the session_id's length byte */
};

/* The error queue is the application's: same before and after. */

static void
guard(const world *w)
{
    ERR_clear_error();
    if (w->before != NULL)
        w->before();
    else if (w->poison)
        ERR_raise(ERR_LIB_USER, POISON);
}

static void
unguard(const world *w)
{
    if (w->after != NULL) {
        w->after();
        return;
    }
    if (w->poison) {
        ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()), POISON);
    }
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* Birth and death */

void
world_start(world *w, dtlsl_config *config)
{
    w->now.mono_ms = CLIENT_CLOCK_START;
    w->now.unix_ms = UNIX_START * 1000000ULL + w->now.mono_ms;
    w->config = config;
    client_clock(w->now.mono_ms);
    client_clock_off(0);
    guard(w);
    ck_assert_msg(dtlsl__engine_new(&w->engine, config, NULL, &w->now) ==
                      DTLSL_OK,
                  "engine: %s", dtlsl_config_error(config));
    unguard(w);
}

static void
set_option(dtlsl_config *config, const char *option)
{
    const char *equals = strchr(option, '=');
    char name[64];

    ck_assert_ptr_nonnull(equals);
    ck_assert_uint_lt((size_t)(equals - option), sizeof(name));
    memcpy(name, option, (size_t)(equals - option));
    name[equals - option] = '\0';
    ck_assert_msg(dtlsl_config_set(config, name, equals + 1) == DTLSL_OK,
                  "%s: %s", option, dtlsl_config_error(config));
}

world *
world_new(const char *options)
{
    world *w = calloc(1, sizeof(*w));
    char *text = strdup(options == NULL ? "" : options), *rest = NULL;
    dtlsl_config *config;

    ck_assert_ptr_nonnull(w);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    if (strstr(text, "cert-file=") == NULL &&
        strstr(text, "psk-file=") == NULL)
        set_option(config, "self-signed=1");
    for (char *option = strtok_r(text, " ", &rest); option != NULL;
         option = strtok_r(NULL, " ", &rest))
        set_option(config, option);
    free(text);
    world_start(w, config);
    return w;
}

world *
world_of_certificates(const char *options, identity *me)
{
    char file[] = "/tmp/dtlsl_world_XXXXXX", text[256];
    int fd = mkstemp(file);
    world *w;

    ck_assert_int_ge(fd, 0);
    close(fd);
    identity_make(me, "me");
    identity_save(me, file);
    snprintf(text, sizeof(text), "ca-file=%s %s", file,
             options == NULL ? "" : options);
    w = world_new(text);
    unlink(file);
    return w;
}

void
world_free(world *w)
{
    for (size_t i = 0; i < w->n_clients; i++)
        client_free(w->client[i]);
    guard(w);
    dtlsl__engine_free(w->engine);
    dtlsl_config_free(w->config);
    unguard(w);
    free(w);
}

/* Addresses */

dtlsl_path
world_path(uint32_t host, uint16_t port)
{
    dtlsl_path path = {{0}, {0}};

    path.peer[10] = path.peer[11] = path.local[10] = path.local[11] = 0xFF;
    dtlsl__put32(path.peer + 12, 0x0A000000 + host);
    dtlsl__put16(path.peer + 16, port);
    dtlsl__put32(path.local + 12, 0x0AFF0001);
    dtlsl__put16(path.local + 16, 4433);
    return path;
}

client *
world_client_at(world *w, const client_options *options,
                const dtlsl_path *path)
{
    ck_assert_uint_lt(w->n_clients, WORLD_CLIENTS);
    w->client[w->n_clients] = client_new(options);
    w->path[w->n_clients] = *path;
    return w->client[w->n_clients++];
}

client *
world_client(world *w, const client_options *options)
{
    dtlsl_path path = world_path((uint32_t)w->n_clients + 1, 4000);

    return world_client_at(w, options, &path);
}

static size_t
find_client(const world *w, const client *c)
{
    size_t i = 0;

    while (w->client[i] != c)
        ck_assert_uint_lt(++i, w->n_clients);
    return i;
}

void
world_drop_client(world *w, client *c)
{
    size_t i = find_client(w, c);

    client_free(c);
    w->n_clients--;
    for (; i < w->n_clients; i++) {
        w->client[i] = w->client[i + 1];
        w->path[i] = w->path[i + 1];
    }
}

/* Events */

/* OPEN, then DATA and WRITABLE, then one CLOSE; or FAILED alone. */
static void
check_order(world *w, const dtlsl_event *e)
{
    uint8_t *life;

    ck_assert_msg(!w->stopped, "event %d after STOPPED", e->type);
    ck_assert_uint_ge(e->size, sizeof(*e));
    ck_assert_ptr_nonnull(e->data);
    if (e->conn == 0)
        return;
    ck_assert_uint_lt(e->conn, WORLD_IDS);
    life = &w->life[e->conn];
    switch (e->type) {
    case DTLSL_EVENT_OPEN:
        ck_assert_uint_eq(*life, 0);
        *life = 1;
        break;
    case DTLSL_EVENT_DATA:
    case DTLSL_EVENT_WRITABLE:
        ck_assert_uint_eq(*life, 1);
        break;
    case DTLSL_EVENT_CLOSE:
        ck_assert_uint_eq(*life, 1);
        *life = 2;
        break;
    case DTLSL_EVENT_FAILED:
    case DTLSL_EVENT_HELLO:
        ck_assert_uint_eq(*life, 0);
        *life = e->type == DTLSL_EVENT_FAILED ? 2 : 0;
        break;
    default:
        ck_abort_msg("connection %d has event %d", (int)e->conn, e->type);
    }
}

static void
record_event(world *w, const dtlsl_event *e)
{
    seen *s = &w->event[w->n_events++];

    ck_assert_uint_lt(w->n_events, WORLD_EVENTS);
    s->type = e->type;
    s->status = e->status;
    s->conn = e->conn;
    s->tag = e->tag;
    s->len = e->len;
    memcpy(s->data, e->data, e->len < sizeof(s->data) ? e->len : 1499);
    if (dtlsl__engine_path(w->engine, e->conn) != NULL)
        s->path = *dtlsl__engine_path(w->engine, e->conn);
    if (e->type == DTLSL_EVENT_CLOSE || e->type == DTLSL_EVENT_FAILED) {
        ck_assert_int_ge(e->status, DTLSL_CLOSE_PEER);
        ck_assert_uint_gt(e->len, 0);
        ck_assert_uint_eq(e->data[e->len], 0);
        ck_assert_ptr_nonnull(dtlsl__engine_path(w->engine, e->conn));
        ck_assert_ptr_nonnull(dtlsl__engine_tag(w->engine, e->conn));
    }
    w->stopped |= e->type == DTLSL_EVENT_STOPPED;
}

void
world_drain(world *w)
{
    const dtlsl_event *e;

    guard(w);
    while ((e = dtlsl__engine_next(w->engine)) != NULL) {
        check_order(w, e);
        record_event(w, e);
        if (w->echo && e->type == DTLSL_EVENT_DATA)
            ck_assert_int_ge(
                dtlsl__engine_send(w->engine, e->conn, e->data, e->len), 0);
        if (w->hook != NULL)
            w->hook(w, e);
    }
    unguard(w);
    ck_assert(!dtlsl__engine_pending(w->engine));
}

/* The network */

void
world_begin(world *w)
{
    guard(w);
    dtlsl__engine_begin(w->engine, &w->now);
    unguard(w);
}

void
world_input_raw(world *w, const dtlsl_path *path, const uint8_t *data,
                size_t len)
{
    /* of the exact length, so that a sanitizer sees a read behind it */
    uint8_t *copy = malloc(len > 0 ? len : 1);
    dtlsl__datagram datagram = {copy, (uint32_t)len, 0, 0, *path};

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, len);
    guard(w);
    dtlsl__engine_input(w->engine, &datagram);
    unguard(w);
    world_drain(w);
    free(copy);
}

static int
same_path(const dtlsl_path *a, const dtlsl_path *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void
carry(world *w, const dtlsl__output *o, const uint8_t *data)
{
    w->n_sent++;
    if (o->len > w->longest_sent)
        w->longest_sent = o->len;
    ck_assert_uint_le(o->len, sizeof(w->last_sent));
    memcpy(w->last_sent, data, o->len);
    w->last_sent_len = o->len;
    w->last_sent_path = o->path;
    if (w->lose > 0) {
        w->lose--;
        return;
    }
    if (w->loses_out != NULL && w->loses_out(data, o->len))
        return;
    for (size_t i = 0; i < w->n_clients; i++)
        if (same_path(&w->path[i], &o->path))
            client_feed(w->client[i], w->last_sent, o->len);
}

void
world_flush(world *w)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(w->engine, &list, &arena);

    for (size_t i = 0; i < n; i++)
        carry(w, &list[i], arena + list[i].offset);
    guard(w);
    dtlsl__engine_output_sent(w->engine, n);
    unguard(w);
    ck_assert_uint_eq(dtlsl__engine_output(w->engine, &list, &arena), 0);
}

void
world_input(world *w, const dtlsl_path *path, const uint8_t *data, size_t len)
{
    world_begin(w);
    world_input_raw(w, path, data, len);
    world_flush(w);
}

void
world_set_clock(world *w, int64_t ms)
{
    w->off_ms += ms;
    w->now.unix_ms += (uint64_t)ms;
    client_clock_off(w->off_ms);
}

/* Returns whether anything moved. */
static int
pump_once(world *w)
{
    size_t sent = w->n_sent;
    int moved = 0;
    packet p;

    for (size_t i = 0; i < w->n_clients; i++) {
        if (!client_is_open(w->client[i]))
            client_step(w->client[i]);
        while (client_take(w->client[i], &p)) {
            if (w->loses_in == NULL || !w->loses_in(p.data, p.len))
                world_input(w, &w->path[i], p.data, p.len);
            packet_free(&p);
            moved = 1;
        }
    }
    world_drain(w); /* WRITABLE, after room was made */
    world_flush(w);
    return moved || w->n_sent != sent;
}

void
world_pump(world *w)
{
    int rounds = 0;

    while (pump_once(w))
        ck_assert_int_lt(++rounds, ROUNDS);
}

void
world_wait(world *w, uint64_t ms)
{
    w->now.mono_ms += ms;
    w->now.unix_ms += ms;
    client_clock(w->now.mono_ms);
    world_begin(w);
    do { /* what finds no room stays due */
        guard(w);
        dtlsl__engine_expire(w->engine);
        unguard(w);
        world_drain(w);
        world_flush(w);
    } while (dtlsl__engine_deadline(w->engine) <= w->now.mono_ms);
}

void
world_advance(world *w, uint64_t ms)
{
    world_wait(w, ms);
    for (size_t i = 0; i < w->n_clients; i++)
        client_timer(w->client[i]);
    world_pump(w);
}

uint64_t
world_connect(world *w, client *c)
{
    const dtlsl_path *path = &w->path[find_client(w, c)];
    uint64_t id = 0;

    world_pump(w);
    ck_assert_msg(client_is_open(c), "the client's handshake did not finish");
    for (size_t i = 0; i < w->n_events; i++)
        if (w->event[i].type == DTLSL_EVENT_OPEN &&
            same_path(&w->event[i].path, path))
            id = w->event[i].conn;
    ck_assert_uint_ne(id, 0);
    return id;
}

void
world_check_echo(world *w, client *c, const char *text)
{
    size_t before = client_received(c), len;
    int echo = w->echo;

    w->echo = 1;
    ck_assert_int_eq(client_write(c, text, strlen(text)), (int)strlen(text));
    world_pump(w);
    w->echo = echo;
    ck_assert_uint_eq(client_received(c), before + 1);
    ck_assert_mem_eq(client_last(c, &len), text, strlen(text));
    ck_assert_uint_eq(len, strlen(text));
}

/* Looking back */

size_t
world_count_events(const world *w, int32_t type)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_events; i++)
        n += w->event[i].type == type;
    return n;
}

const seen *
world_find(const world *w, int32_t type)
{
    for (size_t i = w->n_events; i > 0; i--)
        if (w->event[i - 1].type == type)
            return &w->event[i - 1];
    return NULL;
}

int
world_index(const world *w, int32_t type, uint64_t conn)
{
    for (size_t i = 0; i < w->n_events; i++)
        if (w->event[i].type == type && w->event[i].conn == conn)
            return (int)i;
    return -1;
}

uint64_t
world_counter(const world *w, int32_t index)
{
    dtlsl__counters sum = {{0}};

    dtlsl__engine_counters(w->engine, &sum);
    return sum.n[index];
}

void
world_check_sums(const world *w)
{
    const dtlsl__counter_info *info;
    dtlsl__counters sum = {{0}};
    uint64_t out = 0;

    dtlsl__engine_counters(w->engine, &sum);
    for (size_t i = 0; (info = dtlsl__counter_at(i)) != NULL; i++)
        out += info->kind == DTLSL__OUT ? sum.n[i] : 0;
    ck_assert_uint_eq(out, sum.n[DTLSL__N_RECEIVED]);
}

void
world_check_one(const world *w)
{
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_check_sums(w);
}

/* ClientHellos */

size_t
world_second_hello(world *w, client *c, uint8_t hello[HELLO_ROOM])
{
    size_t i = find_client(w, c);
    packet p;

    client_step(c);
    ck_assert_int_eq(client_take(c, &p), 1);
    client_discard(c);
    world_input(w, &w->path[i], p.data, p.len);
    packet_free(&p);
    ck_assert_int_eq(client_take(c, &p), 1);
    ck_assert_uint_le(p.len, HELLO_ROOM);
    memcpy(hello, p.data, p.len);
    packet_free(&p);
    return p.len;
}

static void
remember_hello(world *w)
{
    client *c = client_new(NULL);
    packet p;

    client_step(c);
    ck_assert_int_eq(client_take(c, &p), 1);
    ck_assert_uint_lt(p.len, HELLO_ROOM - 256);
    memcpy(w->hello, p.data, p.len);
    w->hello_len = p.len;
    packet_free(&p);
    client_free(c);
}

/* Puts a cookie into a ClientHello that has none. */
static size_t
insert_cookie(uint8_t *hello, size_t len, const uint8_t *cookie, uint8_t n)
{
    size_t at = COOKIE_AT + 1U + hello[COOKIE_AT];
    uint32_t body = (uint32_t)(len - 25 + n);

    ck_assert_uint_eq(hello[at], 0);
    memmove(hello + at + 1 + n, hello + at + 1, len - at - 1);
    hello[at] = n;
    memcpy(hello + at + 1, cookie, n);
    dtlsl__put16(hello + 11, body + 12);
    dtlsl__put24(hello + 14, body);
    dtlsl__put16(hello + 17, 1);
    dtlsl__put24(hello + 22, body);
    dtlsl__put48(hello + 5, dtlsl__get48(hello + 5) + 1);
    return len + n;
}

size_t
world_forge(world *w, const dtlsl_path *path, uint8_t random,
            uint8_t hello[HELLO_ROOM])
{
    size_t sent = w->n_sent;

    if (w->hello_len == 0)
        remember_hello(w);
    memcpy(hello, w->hello, w->hello_len);
    hello[COOKIE_AT - 1] = random;
    world_input(w, path, hello, w->hello_len);
    ck_assert_uint_eq(w->n_sent, sent + 1);
    ck_assert_uint_eq(w->last_sent[13], DTLSL__HELLO_VERIFY_REQUEST);
    return insert_cookie(hello, w->hello_len, w->last_sent + 28,
                         w->last_sent[27]);
}

uint64_t
world_half_open(world *w, const dtlsl_path *path, uint8_t random)
{
    uint64_t before = world_counter(w, DTLSL__N_ACCEPTED);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_forge(w, path, random, hello);

    world_input(w, path, hello, len);
    return world_counter(w, DTLSL__N_ACCEPTED) - before;
}

size_t
world_accept(world *w, client *c, uint8_t hello[HELLO_ROOM])
{
    size_t len = world_second_hello(w, c, hello);
    uint64_t before = world_counter(w, DTLSL__N_ACCEPTED);

    world_input(w, &w->path[find_client(w, c)], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), before + 1);
    ck_assert_uint_gt(client_waiting(c), 0);
    return len;
}

size_t
world_hold(client *c, packet held[WORLD_HELD])
{
    size_t n = 0;

    while (client_take(c, &held[n]))
        ck_assert_uint_lt(++n, WORLD_HELD);
    return n;
}

void
world_release(world *w, const dtlsl_path *path, packet *held, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        world_input(w, path, held[i].data, held[i].len);
        packet_free(&held[i]);
    }
}

const dtlsl_path *
world_evicted(const world *w, size_t count)
{
    const seen *e = world_find(w, DTLSL_EVENT_FAILED);

    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), count);
    ck_assert_int_eq(e->status, DTLSL_CLOSE_EVICTED);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_EVICTED), count);
    return &e->path;
}

/* ClientHellos in fragments */

static void
whole_add(whole *message, const packet *p)
{
    dtlsl__message fragment;
    dtlsl__record record;

    ck_assert_int_gt(dtlsl__record_read(&record, p->data, p->len), 0);
    ck_assert_int_gt(dtlsl__message_read(&fragment, record.body, record.len),
                     0);
    ck_assert_uint_eq(fragment.type, DTLSL__CLIENT_HELLO);
    ck_assert_uint_eq(fragment.seq, 1);
    ck_assert_uint_le(fragment.length, sizeof(message->body));
    if (fragment.offset == 0)
        message->seq = record.seq;
    message->len = fragment.length;
    memcpy(message->body + fragment.offset, fragment.body,
           fragment.fragment_len);
}

void
whole_take(world *w, client *c, whole *message)
{
    uint8_t hello[HELLO_ROOM];
    packet p = {hello, world_second_hello(w, c, hello)};

    whole_add(message, &p);
    while (client_take(c, &p)) {
        whole_add(message, &p);
        packet_free(&p);
    }
}

size_t
whole_cut(const whole *message, uint64_t record_seq, uint32_t offset,
          uint32_t len, uint8_t *out)
{
    size_t n = make_message(out, record_seq, DTLSL__CLIENT_HELLO, 1,
                            message->len, offset, len);

    ck_assert_uint_le(offset + len, message->len);
    memcpy(out + n - len, message->body + offset, len);
    return n;
}

/* Records */

size_t
make_record(uint8_t *out, uint8_t type, uint16_t epoch, uint64_t seq,
            const void *body, size_t len)
{
    out[0] = type;
    dtlsl__put16(out + 1, 0xFEFD);
    dtlsl__put16(out + 3, epoch);
    dtlsl__put48(out + 5, seq);
    dtlsl__put16(out + 11, (uint32_t)len);
    if (len > 0)
        memmove(out + 13, body, len);
    return len + 13;
}

size_t
make_message(uint8_t *out, uint64_t record_seq, uint8_t type, uint16_t seq,
             uint32_t length, uint32_t offset, uint32_t fragment_len)
{
    uint8_t *p = out + 13;

    p[0] = type;
    dtlsl__put24(p + 1, length);
    dtlsl__put16(p + 4, seq);
    dtlsl__put24(p + 6, offset);
    dtlsl__put24(p + 9, fragment_len);
    memset(p + 12, 0, fragment_len);
    return make_record(out, 22, 0, record_seq, p, 12 + (size_t)fragment_len);
}
