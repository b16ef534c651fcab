/* SPDX-License-Identifier: MIT
 * The engine at work, and what must hold after each call of it. */
#include "record.h"
#include "sim.h"
#include "sim_memory.h"
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    POISON = 77,
    ACCEPTS = 4,      /* of a batch */
    REPLACEMENTS = 1, /* ... of half-open ones */
    SHARE = 4,        /* of the half-opens: an address may have 1/4 */
    FAR_AHEAD = 100000,
    ROUNDS = 1000,
    SERVER_HELLO = 2
};

/* The error queue is the application's: same before and after. */

static void
guard(void)
{
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, POISON);
}

static void
unguard(sim *s)
{
    if (ERR_GET_REASON(ERR_get_error()) != POISON || ERR_peek_error() != 0)
        sim_fail(s, s->input == NULL ? SIM_NOBODY : s->input->peer,
                 "the error queue is given back as found", "it was not");
}

/* Whose is an address? */
static uint32_t
peer_of(const sim *s, const dtlsl_path *path)
{
    uint32_t peer = dtlsl__get16(path->peer + 16);

    peer = peer < SIM_FIRST_PORT ? SIM_NOBODY : peer - SIM_FIRST_PORT;
    if (peer >= s->n_peers ||
        memcmp(&s->peer[peer].path, path, sizeof(*path)) != 0)
        return SIM_NOBODY;
    return peer;
}

int
sim_server_resumes(const sim *s, uint32_t peer)
{
    uint64_t id = peer == SIM_NOBODY ? 0 : s->peer[peer].half;
    const struct ssl_st *ssl =
        id == 0 ? NULL : dtlsl__engine_ssl(s->engine, id);

    return ssl != NULL && SSL_session_reused(ssl);
}

/* Output */

static sim_tag
tag_of_session(sim *s, uint32_t peer)
{
    sim_tag tag = {peer, 0, 0};
    const sim_peer *p = &s->peer[peer];
    uint64_t id = p->half != 0 ? p->half : p->open;

    if (id == 0)
        sim_fail(s, peer, "nothing is sent to strangers",
                 "a datagram for one without a connection");
    tag.life = s->conn[id].life;
    return tag;
}

/* A HelloVerifyRequest with a number far ahead ends an OpenSSL client's
 * handshake: its replay window moves. Forged ClientHellos ask for such
 * ones. */
static void
check_number(sim *s, uint32_t peer, const uint8_t *data, size_t len)
{
    if (peer == SIM_NOBODY || s->peer[peer].half == 0 ||
        !sim_is_plaintext(data, len))
        return; /* what is protected may be of the one before, */
    if (data[13] == SERVER_HELLO) /* and so may the end of a flight */
        s->conn[s->peer[peer].half].spoke = s->now.mono_ms;
    else if (data[13] == DTLSL__HELLO_VERIFY_REQUEST &&
             s->input->flags & SIM_FORGED &&
             dtlsl__get48(data + 5) > FAR_AHEAD)
        sim_fail(s, peer, "no number far ahead in a handshake", "%llu",
                 (unsigned long long)dtlsl__get48(data + 5));
}

/* Notes the owner of what is new in the output: the sender of the datagram at
 * work, or a connection whose time has come. */
static void
note_outputs(sim *s)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(s->engine, &list, &arena);

    for (size_t i = s->n_tags; i < n; i++) {
        uint32_t peer = peer_of(s, &list[i].path);
        s->input_outputs++;
        s->input_bytes += list[i].len;
        if (s->input == NULL) {
            if (peer == SIM_NOBODY)
                sim_fail(s, peer, "nothing is sent to strangers",
                         "a datagram for an unknown address");
            s->tag[i] = tag_of_session(s, peer);
        } else {
            if (memcmp(&list[i].path, &s->input->path, sizeof(dtlsl_path)))
                sim_fail(s, s->input->peer,
                         "an answer goes where its datagram came from",
                         "one for peer %u", peer);
            s->tag[i] = (sim_tag){peer, s->input->life, 0};
        }
        if (peer != SIM_NOBODY)
            s->net.link[peer].under_way++;
        check_number(s, peer, arena + list[i].offset, list[i].len);
    }
    s->n_tags = n;
}

static void
drain(sim *s)
{
    const dtlsl_event *event;

    do {
        guard();
        event = dtlsl__engine_next(s->engine);
        unguard(s);
        note_outputs(s);
        if (event != NULL)
            sim_server_event(s, event);
    } while (event != NULL);
    if (s->replaced_peer != 0)
        sim_fail(s, (uint32_t)s->replaced_peer - 1,
                 "the old connection lives until the new one is open",
                 "it was replaced by nothing");
    if (dtlsl__engine_pending(s->engine))
        sim_fail(s, SIM_NOBODY, "pending is true while there are events",
                 "pending after the last event");
}

static void
carry(sim *s, const dtlsl__output *o, const uint8_t *data, const sim_tag *tag)
{
    sim_event event = {.kind = SIM_TO_CLIENT,
                       .peer = tag->peer,
                       .path = o->path,
                       .life = tag->life,
                       .message = tag->message};

    if (o->len > s->plan.mtu)
        sim_fail(s, tag->peer, "no datagram is longer than mtu", "%u bytes",
                 o->len);
    if (tag->peer == SIM_NOBODY)
        return;
    s->net.link[tag->peer].under_way--;
    sim_network_send(&s->net, &event, data, o->len);
}

void
sim_server_flush(sim *s)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(s->engine, &list, &arena), take = n;

    if (s->now.mono_ms < s->blocked_until)
        return;
    if (n > 0 && !s->calm && sim_chance(&s->random, s->plan.blocks)) {
        take = sim_below(&s->random, (uint32_t)n);
        s->blocked_until =
            s->now.mono_ms + 1 + sim_below(&s->random, s->plan.block_ms);
        sim_network_wake(&s->net, SIM_SOCKET, SIM_NOBODY, s->blocked_until);
    }
    for (size_t i = 0; i < take; i++)
        carry(s, &list[i], arena + list[i].offset, &s->tag[i]);
    guard();
    dtlsl__engine_output_sent(s->engine, take);
    unguard(s);
    memmove(s->tag, s->tag + take, (n - take) * sizeof(s->tag[0]));
    s->n_tags = n - take;
    s->input = NULL;
    drain(s);
    if (take == n && s->n_busy != 0)
        sim_fail(s, SIM_NOBODY, "WRITABLE follows BUSY",
                 "%llu wait although there is room",
                 (unsigned long long)s->n_busy);
    for (size_t i = 0; i < s->n_tags && take == 0; i++)
        if (s->tag[i].peer != SIM_NOBODY)
            sim_note(&s->net, s->tag[i].peer, "waits for the socket", NULL, 0,
                     NULL);
}

/* Counters */

/* What became of the datagram; 0 where there was none. */
static size_t
outcome(sim *s, const dtlsl__counters *before)
{
    const dtlsl__counter_info *info;
    uint64_t in, out = 0;
    size_t found = 0;

    memset(&s->counters, 0, sizeof(s->counters));
    dtlsl__engine_counters(s->engine, &s->counters);
    in = s->counters.n[DTLSL__N_RECEIVED] - before->n[DTLSL__N_RECEIVED];
    for (size_t i = 0; (info = dtlsl__counter_at(i)) != NULL; i++) {
        if (info->kind != DTLSL__OUT || s->counters.n[i] == before->n[i])
            continue;
        out += s->counters.n[i] - before->n[i];
        found = i;
    }
    if (in != (s->input != NULL) || out != in)
        sim_fail(s, s->input == NULL ? SIM_NOBODY : s->input->peer,
                 "each datagram has one outcome",
                 "%llu came in, %llu outcomes, one of them %s",
                 (unsigned long long)in, (unsigned long long)out,
                 found == 0 ? "none" : dtlsl__counter_at(found)->name);
    return found;
}

/* Limits */

/* May a newcomer have a place? */
typedef enum room {
    ROOM_NONE,
    ROOM_MAYBE, /* if somebody is marked, which the server knows better */
    ROOM_SURE
} room;

typedef struct fullness {
    int had_half, had_open;
    room room;
    uint64_t half, all;
    uint32_t host_half, host_all;
} fullness;

/* There is, where not all places are taken or somebody had time to answer. */
static room
find_room(const sim *s)
{
    room found = s->n_half < s->plan.max_handshakes ? ROOM_SURE : ROOM_NONE;

    for (uint32_t i = 0; i < s->n_peers && found != ROOM_SURE; i++) {
        const sim_conn *conn = &s->conn[s->peer[i].half];
        if (s->peer[i].half == 0)
            continue;
        if (conn->in_parts || conn->alerted)
            found = ROOM_MAYBE;
        else if (s->now.mono_ms >= conn->accepted + SIM_ANSWER_MS)
            found = ROOM_SURE;
    }
    return found;
}

static fullness
how_full(const sim *s, uint32_t peer)
{
    fullness f = {
        .room = find_room(s), .half = s->n_half, .all = s->n_half + s->n_open};

    if (peer == SIM_NOBODY)
        return f;
    f.had_half = s->peer[peer].half != 0;
    f.had_open = s->peer[peer].open != 0;
    f.host_half = s->host_half[s->peer[peer].host];
    f.host_all = s->host_all[s->peer[peer].host];
    return f;
}

/* The outcome that a verified hello must have when it finds things like this;
 * one that replaces its own half-open needs no room. */
static size_t
right_outcome(const sim *s, const fullness *f)
{
    uint32_t share = s->plan.max_handshakes / SHARE;

    if (f->had_half)
        return s->batch_accepts < ACCEPTS && s->batch_replaced < REPLACEMENTS
                   ? DTLSL__N_ACCEPTED
                   : DTLSL__N_DROP_RATION;
    if (!f->had_open && f->all >= s->plan.max_conns)
        return DTLSL__N_DROP_MAX_CONNS;
    if (f->host_half >= (share == 0 ? 1 : share))
        return DTLSL__N_DROP_PREFIX;
    if (f->all > s->plan.max_conns / 2 && !f->had_open &&
        s->plan.max_per_prefix != 0 && f->host_all >= s->plan.max_per_prefix)
        return DTLSL__N_DROP_PREFIX;
    if (s->batch_accepts >= ACCEPTS)
        return DTLSL__N_DROP_RATION;
    return f->room == ROOM_NONE ? DTLSL__N_DROP_MAX_HANDSHAKES
                                : DTLSL__N_ACCEPTED;
}

static void
check_limits(sim *s, size_t out, const fullness *f)
{
    size_t right = right_outcome(s, f);

    if (out == DTLSL__N_DROP_HELLO_REFUSED)
        out = DTLSL__N_ACCEPTED;
    if (out == DTLSL__N_DROP_MAX_HANDSHAKES && f->room == ROOM_MAYBE &&
        !f->had_half)
        return;
    if (out != right)
        sim_fail(s, s->input->peer, "limits refuse whom they must and no more",
                 "%s where %s was due (%llu half-open, %llu sessions; of its "
                 "address %u and %u)",
                 dtlsl__counter_at(out)->name, dtlsl__counter_at(right)->name,
                 (unsigned long long)f->half, (unsigned long long)f->all,
                 f->host_half, f->host_all);
}

/* Outcomes */

static void
note_refusal(sim *s)
{
    s->totals.refused++;
    if (s->input->peer == SIM_NOBODY)
        return;
    s->peer[s->input->peer].refused_at = s->now.mono_ms;
    sim_disturb(&s->net, s->input->peer, SIM_D_REFUSED);
}

/* Accepted: the conn has the next id, if no event has told of it. */
static void
after_accept(sim *s, uint64_t n_conns)
{
    s->batch_accepts++;
    if (s->n_conns == n_conns)
        sim_conn_accepted(s, n_conns + 1, s->input);
}

static void
check_reply(sim *s)
{
    if (s->input_outputs > 1 || s->input_bytes > s->input->len)
        sim_fail(s, s->input->peer, "no reply is longer than its datagram",
                 "%zu bytes in %zu datagrams for %u bytes", s->input_bytes,
                 s->input_outputs, s->input->len);
}

/* A hello is good until its client has gone on from it, or somebody's forged,
 * late or broken plaintext says so. */
static void
check_replayed(sim *s)
{
    const sim_event *e = s->input;
    const uint32_t excuses = SIM_D_OLD | SIM_D_FORGED | SIM_D_CORRUPT;

    if (e->peer != SIM_NOBODY && s->net.link[e->peer].disturbed & excuses)
        return;
    if (e->peer == SIM_NOBODY || e->life == 0 ||
        !(s->peer[e->peer].gone_on_lives >> (e->life - 1) % 64 & 1))
        sim_fail(s, e->peer, "a hello is good until its client has gone on",
                 "life %u has not", e->life);
}

/* A single record that cannot be genuine is kept from OpenSSL: alerts and
 * misplaced messages in plaintext, any plaintext once all are open, later
 * epochs. */
static void
check_delivered(sim *s, const fullness *f)
{
    const sim_event *e = s->input;
    uint32_t epoch = e->len < 13 ? 0 : dtlsl__get16(e->data + 3);
    int misplaced = e->data[0] == DTLSL__HANDSHAKE && e->flags & SIM_FORGED &&
                    !(e->flags & SIM_BOLD);

    if (!f->had_half && !f->had_open)
        sim_fail(s, e->peer, "strangers have no connection", "delivered");
    if (e->len < 13 || dtlsl__get16(e->data + 11) + 13U != e->len)
        return;
    if (epoch > 1 || (epoch == 0 && (!f->had_half || misplaced ||
                                     e->data[0] == DTLSL__ALERT)))
        sim_fail(s, e->peer, "what cannot be genuine is kept from OpenSSL",
                 "type %u of epoch %u was delivered", e->data[0], epoch);
}

static void
check_outcome(sim *s, size_t out, const fullness *f, uint64_t n_conns)
{
    int known = f->had_half || f->had_open;

    switch (out) {
    case DTLSL__N_ACCEPTED:
        check_limits(s, out, f);
        s->batch_replaced += (uint32_t)f->had_half;
        after_accept(s, n_conns);
        return;
    case DTLSL__N_REPLIED:
        check_reply(s);
        return;
    case DTLSL__N_DELIVERED:
        check_delivered(s, f);
        return;
    case DTLSL__N_DROP_RATION:
    case DTLSL__N_DROP_MAX_CONNS:
    case DTLSL__N_DROP_PREFIX:
    case DTLSL__N_DROP_MAX_HANDSHAKES:
    case DTLSL__N_DROP_HELLO_REFUSED:
        check_limits(s, out, f);
        s->batch_accepts += out == DTLSL__N_DROP_HELLO_REFUSED;
        s->batch_replaced += out == DTLSL__N_DROP_HELLO_REFUSED && f->had_half;
        note_refusal(s);
        break;
    case DTLSL__N_DROP_REPLAYED:
        check_replayed(s);
        break;
    case DTLSL__N_DROP_DUPLICATE:
    case DTLSL__N_DROP_FILTERED:
        if (!known)
            sim_fail(s, s->input->peer, "strangers have no connection", "%s",
                     dtlsl__counter_at(out)->name);
        break;
    case DTLSL__N_DROP_NOMEM:
    case DTLSL__N_DROP_STRATEGY:
    case DTLSL__N_DROP_NOTREADY:
        sim_fail(s, s->input->peer, "nothing fails", "%s",
                 dtlsl__counter_at(out)->name);
    default:
        break;
    }
    if (s->input_outputs != 0)
        sim_fail(s, s->input->peer, "what is dropped is not answered",
                 "%zu datagrams after %s", s->input_outputs,
                 dtlsl__counter_at(out)->name);
}

/* An alert at a half-open connection may have it evicted early. */
static void
note_alert(sim *s, const sim_event *e)
{
    uint64_t id = e->peer == SIM_NOBODY ? 0 : s->peer[e->peer].half;
    dtlsl__record record;
    size_t at = 0;
    int32_t n;

    while (id != 0 && at < e->len &&
           (n = dtlsl__record_read(&record, e->data + at, e->len - at)) > 0) {
        if (record.type == DTLSL__ALERT)
            s->conn[id].alerted = 1;
        at += (size_t)n;
    }
}

/* Behind a full socket answers are lost, but never a retransmission. */
static void
note_full_socket(sim *s, const dtlsl__counters *before)
{
    if (s->counters.n[DTLSL__N_SEND_DROPPED] ==
        before->n[DTLSL__N_SEND_DROPPED])
        return;
    if (s->input == NULL || s->plan.blocks == 0)
        sim_fail(s, s->input == NULL ? SIM_NOBODY : s->input->peer,
                 "what there is room for is sent", "it was dropped");
    sim_disturb(&s->net, s->input->peer, SIM_D_LOST);
    sim_note(&s->net, s->input->peer, "lost", "for a full socket", 0, NULL);
}

/* Must this datagram bring its message to the application? */
static uint64_t
must_say(const sim *s, const sim_event *e)
{
    const sim_conn *conn;
    uint64_t bit, id;

    if (e->message == 0 || e->flags & (SIM_CORRUPT | SIM_FORGED))
        return 0;
    id = s->peer[e->peer].open;
    conn = &s->conn[id];
    bit = 1ULL << (e->message - 1);
    if (id == 0 || conn->life != e->life || conn->seen & bit)
        return 0;
    /* far behind the newest it may look like a replay */
    return conn->seen >= bit << 40 && e->message < 24 ? 0 : e->message;
}

void
sim_server_input(sim *s, const sim_event *event)
{
    const dtlsl__datagram datagram = {event->data, event->len, 0, 0,
                                      event->path};
    dtlsl__counters before = s->counters;
    fullness f = how_full(s, event->peer);
    uint64_t n_conns = s->n_conns, allocations;
    size_t out;

    if (s->batch_left == 0 || s->batch_ms != s->now.mono_ms) {
        guard();
        dtlsl__engine_begin(s->engine, &s->now);
        unguard(s);
        s->batch_left = 1 + sim_below(&s->random, s->plan.batch);
        s->batch_ms = s->now.mono_ms;
        s->batch_accepts = s->batch_replaced = 0;
    }
    s->batch_left--;
    s->input = event;
    s->must_say = must_say(s, event);
    s->input_outputs = s->input_bytes = 0;
    guard();
    allocations = heap_ours.allocations;
    dtlsl__engine_input(s->engine, &datagram);
    allocations = heap_ours.allocations - allocations;
    unguard(s);
    drain(s);
    out = outcome(s, &before);
    sim_note(&s->net, event->peer, "came in", dtlsl__counter_at(out)->name, 0,
             event);
    note_full_socket(s, &before);
    check_outcome(s, out, &f, n_conns);
    note_alert(s, event);
    if (out != DTLSL__N_ACCEPTED && out != DTLSL__N_DROP_HELLO_REFUSED &&
        !f.had_half && !f.had_open && allocations != 0)
        sim_fail(s, event->peer, "nothing is allocated for strangers",
                 "%llu blocks", (unsigned long long)allocations);
    if (s->must_say != 0)
        sim_fail(s, event->peer, "data of an open connection is delivered",
                 "message %u of life %u was not", event->message, event->life);
    s->input = NULL;
    s->totals.datagrams++;
    if (dtlsl__engine_output_low(s->engine))
        sim_server_flush(s);
}

/* Time */

/* Behind a full socket the engine has no room to do what is due. */
uint64_t
sim_server_due(const sim *s)
{
    uint64_t due = dtlsl__engine_deadline(s->engine), now = s->now.mono_ms;

    if (now < s->blocked_until && dtlsl__engine_output_low(s->engine))
        return s->blocked_until;
    return due < now && now <= s->blocked_until ? now : due;
}

/* What finds no room stays due. */
void
sim_server_expire(sim *s)
{
    dtlsl__counters before = s->counters;
    uint32_t rounds = 0;

    guard();
    dtlsl__engine_begin(s->engine, &s->now);
    unguard(s);
    s->batch_left = 0;
    s->input = NULL;
    do {
        guard();
        dtlsl__engine_expire(s->engine);
        unguard(s);
        drain(s);
        sim_server_flush(s);
        if (++rounds > ROUNDS)
            sim_fail(s, SIM_NOBODY, "a deadline that has come is worked off",
                     "%llu is still due",
                     (unsigned long long)dtlsl__engine_deadline(s->engine));
    } while (sim_server_due(s) <= s->now.mono_ms);
    outcome(s, &before);
    note_full_socket(s, &before);
}

/* Birth and death */

static void
set(sim *s, const char *name, const char *value)
{
    if (dtlsl_config_set(s->config, name, value) != DTLSL_OK)
        sim_fail(s, SIM_NOBODY, "the engine starts", "%s",
                 dtlsl_config_error(s->config));
}

static void
set_number(sim *s, const char *name, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", value);
    set(s, name, text);
}

static void
set_numbers(sim *s)
{
    const sim_plan *plan = &s->plan;

    set(s, "self-signed", "1");
    set_number(s, "handshake-timeout-ms", plan->handshake_timeout);
    set_number(s, "idle-timeout-ms", plan->idle_timeout);
    set_number(s, "max-handshakes", plan->max_handshakes);
    set_number(s, "max-conns", plan->max_conns);
    set_number(s, "max-conns-per-prefix", plan->max_per_prefix);
    set_number(s, "mtu", plan->mtu);
    set_number(s, "events-hello", plan->events_hello);
}

static FILE *
create(sim *s, char path[64])
{
    int fd;

    snprintf(path, 64, "/tmp/dtlsl-sim.XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        sim_fail(s, SIM_NOBODY, "the engine starts", "no temporary file");
    return fdopen(fd, "w");
}

static void
write_psk(sim *s, char path[64])
{
    FILE *f = create(s, path);

    fprintf(f, "device:");
    for (size_t i = 0; i < sizeof(s->psk); i++)
        fprintf(f, "%02x", s->psk[i]);
    fprintf(f, "\n");
    fclose(f);
    set(s, "psk-file", path);
}

static void
write_ca(sim *s, char path[64])
{
    fclose(create(s, path));
    identity_save(&s->id, path);
    set(s, "ca-file", path);
}

void
sim_server_start(sim *s)
{
    char psk[64] = "", ca[64] = "";

    if (dtlsl_config_new(&s->config) != DTLSL_OK)
        sim_fail(s, SIM_NOBODY, "the engine starts", "no config");
    set_numbers(s);
    if (s->plan.psk)
        write_psk(s, psk);
    if (s->plan.client_certs)
        write_ca(s, ca);
    guard();
    if (dtlsl__engine_new(&s->engine, s->config, NULL, &s->now) != DTLSL_OK)
        sim_fail(s, SIM_NOBODY, "the engine starts", "%s",
                 dtlsl_config_error(s->config));
    unguard(s);
    unlink(psk);
    unlink(ca);
}

void
sim_server_stop(sim *s)
{
    guard();
    dtlsl__engine_stop(s->engine);
    unguard(s);
    s->stopping = 1;
    s->blocked_until = 0;
    for (uint32_t rounds = 0; !s->stopped; rounds++) {
        s->input = NULL;
        while (dtlsl__engine_pending(s->engine) && !s->stopped) {
            const dtlsl_event *event;
            guard();
            event = dtlsl__engine_next(s->engine);
            unguard(s);
            s->n_tags = 0; /* nobody listens any more */
            if (event == NULL)
                break;
            sim_server_event(s, event);
        }
        guard();
        const dtlsl__output *list;
        const uint8_t *arena;
        dtlsl__engine_output_sent(
            s->engine, dtlsl__engine_output(s->engine, &list, &arena));
        unguard(s);
        if (rounds > ROUNDS)
            sim_fail(s, SIM_NOBODY, "STOPPED comes", "it does not");
    }
    s->n_tags = 0;
}

void
sim_server_end(sim *s)
{
    guard();
    dtlsl__engine_free(s->engine);
    dtlsl_config_free(s->config);
    unguard(s);
    s->engine = NULL;
}
