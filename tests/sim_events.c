/* SPDX-License-Identifier: MIT
 * The server's application: what it is told must agree with the promises of
 * dtlslisten.h and with what the peers did. */
#include "hello.h"
#include "sim.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELLO_MS = 3000, /* to complete a fragmented ClientHello */
    CLOSES = 4,      /* permille of the messages that end a connection */
    MUTE = 10        /* permille of the messages without an echo */
};

static const char *const event_names[] = {"?",        "OPEN",   "DATA",
                                          "WRITABLE", "CLOSE",  "FAILED",
                                          "HELLO",    "NOTICE", "STOPPED"};

static uint64_t
mark_of(uint64_t id)
{
    return id * 0x10001 + 5;
}

static uint64_t
bit_of(uint32_t number)
{
    return 1ULL << (number - 1) % 64;
}

/* The ledger */

sim_conn *
sim_conn_at(sim *s, uint64_t id)
{
    while (id >= s->cap_conns) {
        uint64_t cap = s->cap_conns == 0 ? 1024 : 2 * s->cap_conns;
        s->conn = realloc(s->conn, cap * sizeof(*s->conn));
        if (s->conn == NULL)
            exit(2);
        memset(s->conn + s->cap_conns, 0,
               (cap - s->cap_conns) * sizeof(*s->conn));
        s->cap_conns = cap;
    }
    return &s->conn[id];
}

void
sim_conn_accepted(sim *s, uint64_t id, const sim_event *input)
{
    sim_conn *conn = sim_conn_at(s, id);
    const dtlsl_path *path = dtlsl__engine_path(s->engine, id);
    dtlsl__hello hello;
    sim_peer *p;

    if (input == NULL || input->peer == SIM_NOBODY || input->life == 0)
        sim_fail(s, input == NULL ? SIM_NOBODY : input->peer,
                 "only who got a cookie is accepted", "connection %llu",
                 (unsigned long long)id);
    if (id != s->n_conns + 1 || path == NULL)
        sim_fail(s, input->peer, "ids are never reused", "%llu behind %llu",
                 (unsigned long long)id, (unsigned long long)s->n_conns);
    p = &s->peer[input->peer];
    if (memcmp(path, &p->path, sizeof(*path)) != 0)
        sim_fail(s, input->peer, "a connection is where its hello came from",
                 "connection %llu is not", (unsigned long long)id);
    if (p->half != 0)
        sim_fail(s, input->peer, "at most one handshake per peer",
                 "%llu beside %llu", (unsigned long long)id,
                 (unsigned long long)p->half);
    if (p->opened_lives & bit_of(input->life))
        sim_fail(s, input->peer, "a hello opens one connection",
                 "that of life %u once more", input->life);
    dtlsl__hello_read(&hello, input->data, input->len);
    *conn = (sim_conn){.state = SIM_HALF,
                       .peer = input->peer,
                       .life = input->life,
                       .in_parts = hello.fragmented,
                       .accepted = s->now.mono_ms,
                       .spoke = s->input_outputs > 0 ? s->now.mono_ms : 0};
    s->n_conns = id;
    p->half = id;
    s->n_half++;
    s->host_half[p->host]++;
    s->host_all[p->host]++;
    sim_note(&s->net, input->peer, "accepted", "as", id, NULL);
}

static void
leave(sim *s, uint64_t id)
{
    sim_conn *conn = &s->conn[id];
    sim_peer *p = &s->peer[conn->peer];

    if (conn->state == SIM_HALF) {
        s->n_half--;
        s->host_half[p->host]--;
        p->half = 0;
    } else {
        s->n_open--;
        p->open = 0;
    }
    s->host_all[p->host]--;
    s->n_busy -= conn->busy;
    conn->busy = 0;
    conn->state = SIM_ENDED;
}

/* OPEN */

static void
find_out_who(sim *s, uint64_t id, sim_conn *conn)
{
    sim_peer *p = &s->peer[conn->peer];
    struct ssl_st *ssl = dtlsl__engine_ssl(s->engine, id);
    const sim_life *lives[] = {p->life, p->ghost};
    uint8_t random[32], own[32];

    if (ssl == NULL || SSL_get_client_random(ssl, random, 32) != 32)
        sim_fail(s, conn->peer, "an open connection has an SSL", "it has not");
    for (int i = 0; i < 2; i++) {
        if (lives[i]->client == NULL || lives[i]->number != conn->life)
            continue;
        SSL_get_client_random(client_ssl(lives[i]->client), own, 32);
        if (memcmp(own, random, 32) != 0)
            sim_fail(s, conn->peer, "a connection belongs to its client",
                     "connection %llu has another random",
                     (unsigned long long)id);
    }
}

static void
on_open(sim *s, uint64_t id, sim_conn *conn)
{
    sim_peer *p = &s->peer[conn->peer];

    if (s->replaced_peer != 0 && s->replaced_peer != conn->peer + 1ULL)
        sim_fail(s, conn->peer, "REPLACED comes right before its OPEN",
                 "peer %llu was replaced",
                 (unsigned long long)s->replaced_peer - 1);
    s->replaced_peer = 0;
    if (p->open != 0)
        sim_fail(s, conn->peer, "at most one open connection per peer",
                 "%llu beside %llu", (unsigned long long)id,
                 (unsigned long long)p->open);
    find_out_who(s, id, conn);
    conn->state = SIM_OPEN;
    conn->opened = conn->heard = s->now.mono_ms;
    s->n_half--;
    s->host_half[p->host]--;
    s->n_open++;
    p->half = 0;
    p->open = id;
    p->opened_lives |= bit_of(conn->life);
    s->totals.opened++;
    *dtlsl__engine_tag(s->engine, id) = mark_of(id);
}

/* DATA */

static void
note_echo(sim *s, const sim_conn *conn, uint32_t number)
{
    const dtlsl__output *list;
    const uint8_t *arena;
    size_t n = dtlsl__engine_output(s->engine, &list, &arena);
    const sim_peer *p = &s->peer[conn->peer];

    if (n != s->n_tags + 1 ||
        memcmp(&list[n - 1].path, &p->path, sizeof(p->path)) != 0)
        sim_fail(s, conn->peer, "a send is one datagram to its peer",
                 "%zu datagrams", n - s->n_tags);
    s->tag[s->n_tags++] = (sim_tag){conn->peer, conn->life, number};
    s->net.link[conn->peer].under_way++;
    s->known[DTLSL__N_DATA_OUT]++;
}

static void
echo(sim *s, uint64_t id, sim_conn *conn, uint32_t number, size_t len)
{
    const sim_message m = {1, conn->peer, conn->life, number};
    int32_t mtu = dtlsl__engine_mtu(s->engine, id), err;
    uint8_t data[SIM_DATAGRAM_MAX];

    if (mtu < SIM_LEAST)
        sim_fail(s, conn->peer, "an open connection can send", "mtu %d", mtu);
    if (len > (size_t)mtu)
        len = (size_t)mtu;
    sim_message_write(data, len, &m);
    err = dtlsl__engine_send(s->engine, id, data, len);
    if (err == DTLSL_OK) {
        note_echo(s, conn, number);
        return;
    }
    if (err != DTLSL_ERR_BUSY || !dtlsl__engine_output_low(s->engine))
        sim_fail(s, conn->peer, "an open connection can send", "%s",
                 dtlsl_err_name(err));
    s->n_busy += !conn->busy;
    conn->busy = 1;
}

static void
close_it(sim *s, uint64_t id, sim_conn *conn)
{
    int32_t err = dtlsl__engine_close(s->engine, id);

    if (err != DTLSL_OK)
        sim_fail(s, conn->peer, "what lives can be closed", "%s",
                 dtlsl_err_name(err));
    conn->closing = 1;
    sim_note(&s->net, conn->peer, "closed by the server", "conn", id, NULL);
}

static void
on_data(sim *s, uint64_t id, sim_conn *conn, const dtlsl_event *e)
{
    sim_message m = sim_message_read(s, conn->peer, e->data, e->len);
    const sim_event *input = s->input;

    if (m.from_server || m.peer != conn->peer || m.life != conn->life)
        sim_fail(s, conn->peer, "data comes on its own connection",
                 "that of peer %u, life %u, on connection %llu of life %u",
                 m.peer, m.life, (unsigned long long)id, conn->life);
    if (m.number == 0 || m.number > SIM_MESSAGES ||
        conn->seen & bit_of(m.number))
        sim_fail(s, conn->peer, "data comes once", "message %u again",
                 m.number);
    if (input == NULL ||
        (input->message != m.number && conn->opened != s->now.mono_ms) ||
        (input->message == m.number && input->flags & SIM_CORRUPT))
        sim_fail(s, conn->peer, "data comes with its datagram",
                 "message %u does not", m.number);
    if (s->must_say == m.number && input->life == m.life)
        s->must_say = 0;
    conn->seen |= bit_of(m.number);
    conn->heard = s->now.mono_ms;
    s->totals.messages++;
    if (sim_chance(&s->random, s->calm ? 0 : CLOSES))
        close_it(s, id, conn);
    else if (s->calm || !sim_chance(&s->random, MUTE))
        echo(s, id, conn, m.number, e->len);
}

/* The end */

static void
check_close(sim *s, uint64_t id, const sim_conn *conn, const dtlsl_event *e)
{
    const sim_peer *p = &s->peer[conn->peer];
    int ok = 0;

    if (e->status == DTLSL_CLOSE_PEER)
        ok = (p->goodbye_lives & bit_of(conn->life)) != 0;
    else if (e->status == DTLSL_CLOSE_LOCAL)
        ok = conn->closing;
    else if (e->status == DTLSL_CLOSE_IDLE)
        ok = s->plan.idle_timeout != 0 &&
             s->now.mono_ms >= conn->heard + s->plan.idle_timeout;
    else if (e->status == DTLSL_CLOSE_REPLACED)
        ok = p->half != 0 && s->conn[p->half].life != conn->life;
    else if (e->status == DTLSL_CLOSE_ALERT)
        ok = (p->failed_lives & bit_of(conn->life)) != 0;
    else if (e->status == DTLSL_CLOSE_STOPPED)
        ok = s->stopping;
    if (!ok)
        sim_fail(s, conn->peer, "an open connection ends for a true reason",
                 "connection %llu: status %d, %s", (unsigned long long)id,
                 e->status, (const char *)e->data);
}

static void
on_close(sim *s, uint64_t id, sim_conn *conn, const dtlsl_event *e)
{
    check_close(s, id, conn, e);
    s->totals.closed++;
    if (e->status == DTLSL_CLOSE_REPLACED) {
        s->replaced_peer = conn->peer + 1ULL;
        s->totals.replaced++;
    }
    leave(s, id);
}

/* Is it the client of now, and did nothing come in its way? */
static int
is_undisturbed(const sim *s, const sim_conn *conn)
{
    const sim_peer *p = &s->peer[conn->peer];

    return p->life->client != NULL && p->life->number == conn->life &&
           sim_peer_is_keen(s, p) && s->net.link[conn->peer].disturbed == 0;
}

static void
on_failed(sim *s, uint64_t id, sim_conn *conn, const dtlsl_event *e)
{
    const sim_peer *p = &s->peer[conn->peer];
    uint64_t age = s->now.mono_ms - conn->accepted;
    int ok = 1;

    if (e->status == DTLSL_CLOSE_TIMEOUT)
        ok = age >= s->plan.handshake_timeout ||
             (age >= HELLO_MS && conn->in_parts);
    else if (e->status == DTLSL_CLOSE_REPLACED)
        ok = s->input != NULL && s->input->peer == conn->peer;
    else if (e->status == DTLSL_CLOSE_EVICTED)
        ok = s->n_half >= s->plan.max_handshakes &&
             (age >= SIM_ANSWER_MS || conn->in_parts || conn->alerted);
    else if (e->status == DTLSL_CLOSE_STOPPED)
        ok = s->stopping;
    else if (e->status == DTLSL_CLOSE_TLS || e->status == DTLSL_CLOSE_ALERT)
        ok = !is_undisturbed(s, conn);
    else
        ok = 0;
    if (!ok)
        sim_fail(s, conn->peer, "a handshake fails for a true reason",
                 "connection %llu after %llu ms: status %d, %s",
                 (unsigned long long)id, (unsigned long long)age, e->status,
                 (const char *)e->data);
    s->totals.failed++;
    s->known[DTLSL__N_EVICTED] += e->status == DTLSL_CLOSE_EVICTED;
    if (e->status == DTLSL_CLOSE_EVICTED)
        s->peer[conn->peer].refused_at = s->now.mono_ms;
    if (p->life->number == conn->life && !s->stopping)
        sim_disturb(&s->net, conn->peer, SIM_D_REFUSED);
    leave(s, id);
}

static void
on_hello(sim *s, uint64_t id)
{
    sim_conn *conn = &s->conn[id];

    conn->told_hello++;
    if (conn->told_hello != 1)
        sim_fail(s, conn->peer, "HELLO is said once", "again");
    if (s->calm || !sim_chance(&s->random, 5))
        return;
    close_it(s, id, conn);
    leave(s, id); /* no event follows */
}

/* All of them */

/* OPEN, then DATA and WRITABLE, then one CLOSE; or FAILED alone. */
static void
check_order(sim *s, const dtlsl_event *e)
{
    static const int32_t state_before[] = {
        [DTLSL_EVENT_OPEN] = SIM_HALF,     [DTLSL_EVENT_DATA] = SIM_OPEN,
        [DTLSL_EVENT_WRITABLE] = SIM_OPEN, [DTLSL_EVENT_CLOSE] = SIM_OPEN,
        [DTLSL_EVENT_FAILED] = SIM_HALF,   [DTLSL_EVENT_HELLO] = SIM_HALF};
    const sim_conn *conn = &s->conn[e->conn];
    uint64_t mark = conn->state == SIM_OPEN ? mark_of(e->conn) : 0;

    if (e->type > DTLSL_EVENT_HELLO || conn->state != state_before[e->type])
        sim_fail(s, conn->peer, "events come in their order",
                 "event %d for connection %llu in state %d", e->type,
                 (unsigned long long)e->conn, conn->state);
    if (e->tag != mark || e->data == NULL)
        sim_fail(s, conn->peer, "events carry the connection's tag", "%llx",
                 (unsigned long long)e->tag);
}

static void
hash_event(sim *s, const dtlsl_event *e)
{
    uint64_t *digest = &s->net.digest;

    *digest = sim_hash_number(*digest, s->now.mono_ms);
    *digest = sim_hash_number(*digest, (uint64_t)e->type);
    *digest = sim_hash_number(*digest, e->conn);
    *digest = sim_hash_number(*digest, (uint64_t)e->status);
    *digest = sim_hash(*digest, e->data, e->len);
}

static void
on_event(sim *s, uint64_t id, const dtlsl_event *e)
{
    sim_conn *conn = &s->conn[id];

    switch (e->type) {
    case DTLSL_EVENT_OPEN:
        on_open(s, id, conn);
        break;
    case DTLSL_EVENT_DATA:
        on_data(s, id, conn, e);
        break;
    case DTLSL_EVENT_WRITABLE:
        if (!conn->busy)
            sim_fail(s, conn->peer, "WRITABLE follows BUSY", "it does not");
        conn->busy = 0;
        s->n_busy--;
        break;
    case DTLSL_EVENT_CLOSE:
        on_close(s, id, conn, e);
        break;
    case DTLSL_EVENT_FAILED:
        on_failed(s, id, conn, e);
        break;
    default:
        on_hello(s, id);
        break;
    }
}

void
sim_server_event(sim *s, const dtlsl_event *e)
{
    if (s->stopped)
        sim_fail(s, SIM_NOBODY, "STOPPED is the last event", "event %d",
                 e->type);
    hash_event(s, e);
    if (e->conn == 0) {
        s->stopped = e->type == DTLSL_EVENT_STOPPED && s->stopping;
        if (!s->stopped)
            sim_fail(s, SIM_NOBODY, "events come in their order", "event %d",
                     e->type);
        return;
    }
    sim_conn_at(s, e->conn);
    if (e->conn > s->n_conns)
        sim_conn_accepted(s, e->conn, s->input);
    if (s->replaced_peer != 0 && e->type != DTLSL_EVENT_OPEN)
        sim_fail(s, (uint32_t)s->replaced_peer - 1,
                 "REPLACED comes right before its OPEN", "event %d", e->type);
    check_order(s, e);
    sim_note(&s->net, s->conn[e->conn].peer, event_names[e->type],
             e->status == 0 ? "conn" : "status and conn",
             e->status == 0 ? e->conn
                            : (uint64_t)e->status * 1000000 + e->conn,
             NULL);
    on_event(s, e->conn, e);
}
