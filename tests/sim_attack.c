/* SPDX-License-Identifier: MIT
 * Liars: they send junk, forge the addresses of others, and replay what they
 * overheard. Only plaintext that nobody can tell from genuine may disturb a
 * handshake, and nothing an open connection. */
#include "record.h"
#include "sim.h"
#include "world.h"
#include <string.h>

enum {
    RANDOM_AT = 13 + 12 + 2,
    JUNK = 300
};

typedef struct lie {
    sim_event event;
    uint8_t data[SIM_DATAGRAM_MAX];
    size_t len;
} lie;

static void
as_peer(const sim *s, lie *l, uint32_t peer)
{
    l->event.peer = peer;
    l->event.path = s->peer[peer].path;
}

static void
as_nobody(sim *s, lie *l)
{
    l->event.peer = SIM_NOBODY;
    l->event.path = world_path(0x20000 + sim_below(&s->random, 50000),
                               (uint16_t)sim_below(&s->random, 1000));
}

static void
junk(sim *s, lie *l)
{
    l->len = sim_below(&s->random, JUNK);
    sim_fill(&s->random, l->data, l->len);
    /* often with a good beginning */
    if (l->len > 25 && sim_chance(&s->random, 600))
        make_record(l->data, (uint8_t)sim_between(&s->random, 19, 25), 0,
                    sim_below(&s->random, 100), l->data + 13, l->len - 13);
}

static void
alert(sim *s, lie *l)
{
    static const uint8_t bodies[][3] = {
        {2, 40, 0}, {1, 0, 0}, {2, 48, 0}, {1, 90, 0}, {9, 9, 9}};
    size_t len = sim_chance(&s->random, 800) ? 2 : sim_below(&s->random, 4);

    l->len = make_record(l->data, 21, 0, sim_next(&s->random) >> 20,
                         bodies[sim_below(&s->random, 5)], len);
}

static void
other_epoch(sim *s, lie *l)
{
    uint8_t body[JUNK];
    size_t len =
        sim_below(&s->random, sim_chance(&s->random, 500) ? 40 : JUNK);
    uint16_t epoch = sim_chance(&s->random, 700)
                         ? 1
                         : (uint16_t)sim_between(&s->random, 2, 65535);

    sim_fill(&s->random, body, len);
    l->len =
        make_record(l->data, (uint8_t)sim_between(&s->random, 20, 24), epoch,
                    sim_chance(&s->random, 500) ? sim_below(&s->random, 20)
                                                : sim_next(&s->random) >> 16,
                    body, len);
}

static void
change_cipher(sim *s, lie *l)
{
    uint8_t value = (uint8_t)sim_between(&s->random, 1, 2);

    l->len =
        make_record(l->data, 20, 0, sim_next(&s->random) >> 20, &value, 1);
}

/* A handshake message that no client sends at its place. */
static void
misplaced(sim *s, lie *l)
{
    static const uint8_t types[] = {0, 2, 4, 12, 13, 14, 20, 22};
    uint32_t len = sim_below(&s->random, 60);

    l->len = make_message(l->data, sim_next(&s->random) >> 20,
                          types[sim_below(&s->random, sizeof(types))],
                          (uint16_t)sim_below(&s->random, 9),
                          len + sim_below(&s->random, 2) * 100000,
                          sim_below(&s->random, 2) * 5, len);
}

/* One that is well placed, but nobody sends who resumes a session. Goes to
 * somebody who does at this time, if there is one. */
static void
unresumed(sim *s, lie *l)
{
    static const uint8_t types[] = {11, 15, 16};
    uint32_t peer = sim_below(&s->random, s->n_peers), looked = 0;
    uint8_t type = types[sim_below(&s->random, sizeof(types))];
    uint32_t len = sim_between(&s->random, 1, 60);

    while (!sim_server_resumes(s, peer) && ++looked < s->n_peers)
        peer = (peer + 1) % s->n_peers;
    if (looked == s->n_peers)
        return;
    as_peer(s, l, peer);
    l->event.flags |= SIM_FULL;
    l->len =
        make_message(l->data, sim_next(&s->random) >> 20, type,
                     (uint16_t)sim_between(&s->random, 2, 4), len, 0, len);
}

/* A ClientHello that no client has sent. */
static void
forged_hello(sim *s, lie *l)
{
    l->len = s->hello_len;
    memcpy(l->data, s->hello, l->len);
    if (l->len == 0)
        return;
    sim_fill(&s->random, l->data + RANDOM_AT, 32);
    if (sim_chance(&s->random, 300))
        dtlsl__put48(l->data + 5, sim_next(&s->random) >> 17);
}

/* One with the cookie of somebody else, or with a broken one. */
static void
bad_cookie(sim *s, lie *l, uint32_t victim)
{
    const sim_peer *from = &s->peer[sim_below(&s->random, s->n_peers)];
    size_t at;

    if (from->hello_len == 0)
        return;
    l->len = from->hello_len;
    memcpy(l->data, from->hello, l->len);
    at = RANDOM_AT + 32u;
    at += 1u + l->data[at];
    if (from == &s->peer[victim] || sim_chance(&s->random, 300))
        l->data[at + 1 + sim_below(&s->random, l->data[at])] ^=
            (uint8_t)(1 + sim_below(&s->random, 255));
}

/* The genuine second hello of somebody, once more. */
static void
replay_hello(const sim *s, lie *l, uint32_t victim)
{
    const sim_peer *p = &s->peer[victim];

    l->len = p->hello_len;
    memcpy(l->data, p->hello, l->len);
    l->event.life = p->hello_life;
}

static void
replay(sim *s, lie *l)
{
    const sim_event *e = &s->heard[sim_below(&s->random, SIM_HEARD)];

    if (e->data == NULL || e->len > sizeof(l->data))
        return;
    l->len = e->len;
    memcpy(l->data, e->data, l->len);
    as_peer(s, l, e->peer);
    l->event.life = e->life;
    l->event.message = e->message;
}

/* What does no harm to a handshake. */
static void
lie_harmlessly(sim *s, lie *l)
{
    switch (sim_below(&s->random, 7)) {
    case 0:
        as_nobody(s, l);
        junk(s, l);
        break;
    case 1:
        alert(s, l);
        break;
    case 2:
        other_epoch(s, l);
        break;
    case 3:
        change_cipher(s, l);
        break;
    case 4:
        misplaced(s, l);
        break;
    case 5:
        unresumed(s, l);
        break;
    default:
        l->len = 0;
        break;
    }
}

/* What may: first hellos race with the client's own, replays and junk may hold
 * anything. */
static void
lie_boldly(sim *s, lie *l, uint32_t liar, uint32_t victim)
{
    switch (sim_below(&s->random, 7)) {
    case 0:
        forged_hello(s, l);
        break;
    case 1:
        bad_cookie(s, l, victim);
        break;
    case 2:
        replay_hello(s, l, victim);
        break;
    case 3:
        replay_hello(s, l, victim);
        as_peer(s, l, liar);
        l->event.life = 0;
        break;
    case 4:
        as_nobody(s, l);
        forged_hello(s, l);
        break;
    case 5:
        junk(s, l);
        break;
    default:
        replay(s, l);
        break;
    }
}

uint32_t
sim_attack(sim *s, uint32_t liar)
{
    lie l = {.event = {.kind = SIM_TO_SERVER, .flags = SIM_FORGED}};
    uint32_t victim = sim_below(&s->random, s->n_peers);

    as_peer(s, &l, sim_chance(&s->random, 900) ? victim : liar);
    if (s->calm || sim_chance(&s->random, 600)) {
        lie_harmlessly(s, &l);
    } else {
        lie_boldly(s, &l, liar, victim);
        l.event.flags |= SIM_BOLD;
    }
    sim_network_send(&s->net, &l.event, l.data, l.len);
    s->totals.forged++;
    return sim_between(&s->random, 5, 60);
}
