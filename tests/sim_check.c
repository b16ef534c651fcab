/* SPDX-License-Identifier: MIT
 * What must hold at any time: cheap questions after each step, the others now
 * and then and at the end. */
#include "sim.h"
#include "sim_memory.h"

static void
expect(sim *s, const char *invariant, const char *what, uint64_t is,
       uint64_t want)
{
    if (is != want)
        sim_fail(s, s->input == NULL ? SIM_NOBODY : s->input->peer, invariant,
                 "%s: %llu instead of %llu", what, (unsigned long long)is,
                 (unsigned long long)want);
}

static void
expect_counter(sim *s, int32_t counter, uint64_t want)
{
    expect(s, "counters agree with what happened",
           dtlsl__counter_at((size_t)counter)->name, s->counters.n[counter],
           want);
}

void
sim_check_step(sim *s)
{
    expect_counter(s, DTLSL__N_HANDSHAKES, s->n_half);
    expect_counter(s, DTLSL__N_CONNS, s->n_open);
    expect_counter(s, DTLSL__N_OPENED, s->totals.opened);
    expect_counter(s, DTLSL__N_CLOSED, s->totals.closed);
    expect_counter(s, DTLSL__N_FAILED, s->totals.failed);
    expect_counter(s, DTLSL__N_REPLACED, s->totals.replaced);
    expect_counter(s, DTLSL__N_EVICTED, s->known[DTLSL__N_EVICTED]);
    expect_counter(s, DTLSL__N_DATA_IN, s->totals.messages);
    expect_counter(s, DTLSL__N_DATA_OUT, s->known[DTLSL__N_DATA_OUT]);
    expect_counter(s, DTLSL__N_RECEIVED, s->totals.datagrams);
    expect_counter(s, DTLSL__N_SSL_NEW, s->counters.n[DTLSL__N_ACCEPTED]);
    expect(s, "only connections and clients have an SSL", "SSLs",
           (uint64_t)sim_live_ssls,
           (uint64_t)s->n_client_ssls + s->n_half + s->n_open);
}

/* Deadlines: none is forgotten. */

enum {
    SLACK = 50
};

static void
check_age(sim *s, uint64_t id)
{
    const sim_conn *conn = &s->conn[id];
    uint64_t now = s->now.mono_ms, limit;

    limit = conn->state == SIM_HALF
                ? conn->accepted + s->plan.handshake_timeout
                : conn->heard + s->plan.idle_timeout;
    if (conn->state == SIM_OPEN && s->plan.idle_timeout == 0)
        return;
    if (now < s->blocked_until)
        return;
    if (now > limit)
        sim_fail(s, conn->peer, "no connection outlives its deadline",
                 "connection %llu should have ended at %llu",
                 (unsigned long long)id, (unsigned long long)limit);
    if (sim_server_due(s) > limit)
        sim_fail(s, conn->peer, "the next deadline is the nearest",
                 "%llu, but connection %llu ends at %llu",
                 (unsigned long long)sim_server_due(s), (unsigned long long)id,
                 (unsigned long long)limit);
}

/* OpenSSL repeats its flight after 1, 2, 4 .. seconds: each pause is as long
 * as all that were before it, and one second. */
static void
check_silence(sim *s, uint64_t id)
{
    const sim_conn *conn = &s->conn[id];
    uint64_t pause = s->now.mono_ms - conn->spoke;

    if (conn->state != SIM_HALF || conn->spoke == 0 ||
        s->now.mono_ms < s->blocked_until)
        return;
    if (pause > conn->spoke - conn->accepted + 1000 + SLACK)
        sim_fail(s, conn->peer, "a half-open connection repeats its flight",
                 "connection %llu is silent for %llu ms",
                 (unsigned long long)id, (unsigned long long)pause);
}

void
sim_check_all(sim *s)
{
    uint64_t id = 0, found = 0;

    while ((id = dtlsl__engine_conn_next(s->engine, id)) != 0) {
        const sim_conn *conn = &s->conn[id];
        const sim_peer *p;
        if (id > s->n_conns ||
            (conn->state != SIM_HALF && conn->state != SIM_OPEN))
            sim_fail(s, SIM_NOBODY, "a connection is one that was accepted",
                     "%llu was not, or has ended", (unsigned long long)id);
        p = &s->peer[conn->peer];
        if (id != (conn->state == SIM_OPEN ? p->open : p->half))
            sim_fail(s, conn->peer, "at most one connection per peer",
                     "%llu is one more", (unsigned long long)id);
        check_age(s, id);
        check_silence(s, id);
        found++;
    }
    expect(s, "a connection is one that was accepted", "connections", found,
           s->n_half + s->n_open);
}

/* While a handshake is under way there is a datagram under way; when all have
 * arrived in time, whole and in order, it has gone through. */
void
sim_check_handshake(sim *s, uint32_t peer)
{
    const sim_peer *p = &s->peer[peer];
    const sim_link *link = &s->net.link[peer];
    sim_life *life = p->life;

    if (life->client == NULL || life->checked || link->under_way != 0 ||
        !sim_peer_is_keen(s, p))
        return;
    if (client_is_open(life->client) &&
        p->opened_lives >> (life->number - 1) % 64 & 1) {
        life->checked = 1;
        return;
    }
    if (link->disturbed == 0)
        sim_fail(s, peer, "an undisturbed handshake goes through",
                 "life %u: client %s, server %s", life->number,
                 client_is_dead(life->client)   ? "failed"
                 : client_is_open(life->client) ? "open"
                                                : "waiting",
                 p->half != 0 ? "half-open" : "has nothing of it");
}

enum {
    RECENT = 15000
};

/* After the calm whoever wants to talk does. */
static void
check_connected(sim *s, uint32_t peer)
{
    const sim_peer *p = &s->peer[peer];
    const sim_life *life = p->life;
    uint64_t now = s->now.mono_ms;

    if (!sim_peer_is_keen(s, p) ||
        (p->refused_at != 0 && p->refused_at + RECENT >= now))
        return;
    /* A HelloVerifyRequest for the client before it misleads it for good. */
    if (life->client != NULL && !client_is_open(life->client) &&
        s->net.link[peer].disturbed & SIM_D_OLD)
        return;
    if (life->client == NULL || !client_is_open(life->client) ||
        life->answered + RECENT < now)
        sim_fail(s, peer, "in the calm everybody connects",
                 "life %u of a peer of kind %d does not", life->number,
                 p->kind);
    if (p->open == 0 || s->conn[p->open].life != life->number)
        sim_fail(s, peer, "in the calm everybody connects",
                 "life %u is open and the server has connection %llu",
                 life->number, (unsigned long long)p->open);
}

void
sim_check_end(sim *s)
{
    sim_check_all(s);
    for (uint32_t i = 0; i < s->n_peers; i++)
        check_connected(s, i);
}
