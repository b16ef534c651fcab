/* SPDX-License-Identifier: MIT
 * Clients of the simulation: what they send and when, how they come back, and
 * what their applications may expect. */
#include "record.h"
#include "sim.h"
#include <stdlib.h>
#include <string.h>

enum {
    OVERHEAD = 60, /* of a record around a message */
    LONG_HELLO_MTU = 256,
    LONG_HELLO_PADDING = 700,
    SILENCE = 4, /* messages without an echo: the server is gone */
    CALM_INTERVAL = 4000,
    HELLO_VERIFY_AT = 13
};

static uint64_t
bit_of(uint32_t number)
{
    return 1ULL << (number - 1) % 64;
}

int
sim_peer_is_keen(const sim *s, const sim_peer *p)
{
    (void)s;
    return !p->dead && p->kind != SIM_SQUATTER && p->kind != SIM_LIAR;
}

/* Sending */

static void
overhear(sim *s, const sim_event *event, const packet *sent)
{
    sim_event *e = &s->heard[s->n_heard++ % SIM_HEARD];

    free(e->data);
    *e = *event;
    e->len = (uint32_t)sent->len;
    e->data = malloc(sent->len);
    memcpy(e->data, sent->data, sent->len);
}

/* Keeps ClientHellos: the last first one of anybody, the last one with a
 * cookie of each peer. */
static void
keep_hello(sim *s, sim_peer *p, uint32_t life, const packet *sent)
{
    const uint8_t *data = sent->data;

    if (sent->len < 61 || sent->len > SIM_DATAGRAM_MAX - 256 ||
        data[0] != DTLSL__HANDSHAKE || !sim_is_plaintext(data, sent->len) ||
        data[13] != DTLSL__CLIENT_HELLO || dtlsl__get24(data + 19) != 0)
        return;
    if (data[18] == 0) {
        memcpy(s->hello, data, sent->len);
        s->hello_len = sent->len;
    } else {
        memcpy(p->hello, data, sent->len);
        p->hello_len = sent->len;
        p->hello_life = life;
    }
}

/* Gives the network what a client wants to send. */
static void
collect(sim *s, sim_peer *p, sim_life *life, uint32_t message)
{
    sim_event event = {.kind = SIM_TO_SERVER,
                       .peer = life->peer,
                       .path = p->path,
                       .life = life->number,
                       .message = message};
    packet sent;

    while (client_take(life->client, &sent)) {
        keep_hello(s, p, life->number, &sent);
        if (!dtlsl_is_client_hello(sent.data, sent.len))
            p->gone_on_lives |= bit_of(life->number);
        if (sim_chance(&s->random, 30))
            overhear(s, &event, &sent);
        sim_network_send(&s->net, &event, sent.data, sent.len);
        packet_free(&sent);
    }
}

/* Lives */

static void
on_data(client *c, void *user, const uint8_t *data, size_t len)
{
    sim_life *life = user;
    sim *s = life->sim;
    sim_message m = sim_message_read(s, life->peer, data, len);

    (void)c;
    if (!m.from_server || m.peer != life->peer || m.life != life->number)
        sim_fail(s, life->peer, "an echo comes to its own client",
                 "that of peer %u, life %u, to life %u", m.peer, m.life,
                 life->number);
    if (m.number == 0 || m.number > life->sent ||
        life->echoed & bit_of(m.number))
        sim_fail(s, life->peer, "an echo comes once",
                 "message %u again or never sent", m.number);
    life->echoed |= bit_of(m.number);
    life->answered = s->now.mono_ms;
    life->silence = 0;
    s->totals.echoes++;
}

static void
set_timer(sim *s, sim_life *life)
{
    struct timeval left;
    uint64_t ms;

    life->timer_at = UINT64_MAX;
    if (life->client == NULL || client_is_dead(life->client) ||
        !DTLSv1_get_timeout(client_ssl(life->client), &left))
        return;
    ms = (uint64_t)left.tv_sec * 1000 + ((uint64_t)left.tv_usec + 999) / 1000;
    life->timer_at = s->now.mono_ms + (ms < 1 ? 1 : ms);
}

static client_options
choose_options(const sim *s, const sim_peer *p, sim_life *life)
{
    client_options options = {
        .ctx = s->client_ctx, .on_data = on_data, .user = life, .mtu = p->mtu};

    if (p->options & SIM_O_LONG_HELLO)
        options.alpn_padding = LONG_HELLO_PADDING;
    if (p->options & SIM_O_PSK) {
        options.ciphers = "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256";
        options.psk_identity = "device";
        options.psk = s->psk;
        options.psk_len = sizeof(s->psk);
    }
    if (s->plan.client_certs)
        options.identity = &s->id;
    if (p->options & SIM_O_RESUMES)
        options.session = p->session;
    return options;
}

static void
begin_life(sim *s, sim_peer *p, uint32_t number)
{
    sim_life *life = p->life;
    uint32_t peer = (uint32_t)(p - s->peer), path = s->net.link[peer].mtu;
    client_options options = choose_options(s, p, life);

    *life = (sim_life){.client = client_new(&options),
                       .number = number,
                       .peer = peer,
                       .began = s->now.mono_ms,
                       .answered = s->now.mono_ms,
                       .sim = s};
    life->limit = (p->mtu != 0 && p->mtu < path ? p->mtu : path) - OVERHEAD;
    s->n_client_ssls++;
    s->totals.lives++;
    s->net.link[peer].disturbed = 0;
    sim_note(&s->net, peer, "begins", "life", number, NULL);
    client_step(life->client);
    collect(s, p, life, 0);
    set_timer(s, life);
}

static void
end_life(sim *s, sim_peer *p, sim_life *life)
{
    if (life->client == NULL)
        return;
    sim_note(&s->net, life->peer, "ends", "life", life->number, NULL);
    if (p->options & SIM_O_RESUMES && client_is_open(life->client) &&
        life->echoed != 0) {
        SSL_SESSION_free(p->session);
        p->session = SSL_get1_session(client_ssl(life->client));
    }
    client_free(life->client);
    life->client = NULL;
    life->timer_at = UINT64_MAX;
    s->n_client_ssls--;
}

static void
say_goodbye(sim *s, sim_peer *p, sim_life *life)
{
    if (!client_is_open(life->client) || client_is_dead(life->client))
        return;
    sim_note(&s->net, life->peer, "says goodbye", "life", life->number, NULL);
    p->goodbye_lives |= bit_of(life->number);
    client_shutdown(life->client);
    collect(s, p, life, 0);
}

/* The client forgets all and begins anew on the same port. */
static void
restart(sim *s, sim_peer *p)
{
    uint32_t number = p->life->number;

    end_life(s, p, p->life);
    begin_life(s, p, number + 1);
}

/* The same, but the old one does not know. */
static void
split(sim *s, sim_peer *p)
{
    sim_life *old = p->life;

    end_life(s, p, p->ghost);
    p->life = p->ghost;
    p->ghost = old;
    begin_life(s, p, old->number + 1);
}

static void
send_message(sim *s, sim_peer *p, sim_life *life)
{
    const sim_message m = {0, life->peer, life->number, life->sent + 1};
    uint32_t len = sim_between(&s->random, SIM_LEAST, life->limit);
    uint8_t data[SIM_DATAGRAM_MAX];

    if (life->sent == SIM_MESSAGES)
        return;
    if (sim_chance(&s->random, 800) && len > 100)
        len = 100;
    life->sent++;
    life->silence++;
    sim_message_write(data, len, &m);
    if (client_write(life->client, data, len) != (int)len ||
        client_waiting(life->client) != 1)
        sim_fail(s, life->peer, "an open client can write", "message %u",
                 m.number);
    collect(s, p, life, m.number);
}

/* Acting */

static int
is_up(const sim_life *life)
{
    return life->client != NULL && client_is_open(life->client) &&
           !client_is_dead(life->client) && !client_is_closed(life->client);
}

static void
die(sim *s, sim_peer *p)
{
    sim_note(&s->net, p->life->peer, "dies", NULL, 0, NULL);
    end_life(s, p, p->life);
    end_life(s, p, p->ghost);
    p->dead = 1;
}

static void
stall(sim *s, sim_peer *p)
{
    p->stalls_until = s->now.mono_ms + sim_between(&s->random, 500, 12000);
    sim_disturb(&s->net, p->life->peer, SIM_D_STALL);
    sim_note(&s->net, p->life->peer, "stalls", "until", p->stalls_until, NULL);
}

/* In the chaos. Returns whether it did something of its kind. */
static int
misbehave(sim *s, sim_peer *p)
{
    if (s->calm || !sim_chance(&s->random, 250))
        return 0;
    switch (p->kind) {
    case SIM_RESTARTER:
        restart(s, p);
        return 1;
    case SIM_TWIN:
        if (!is_up(p->life))
            return 0;
        split(s, p);
        return 1;
    case SIM_STALLER:
        stall(s, p);
        return 1;
    case SIM_MORTAL:
        die(s, p);
        return 1;
    default:
        return 0;
    }
}

/* The application of a client that is up. */
static uint32_t
talk(sim *s, sim_peer *p)
{
    sim_life *life = p->life;
    uint32_t pause = s->calm ? CALM_INTERVAL : s->plan.interval;

    if (life->silence >= SILENCE || life->sent == SIM_MESSAGES ||
        (!s->calm && sim_chance(&s->random, 20))) {
        if (sim_chance(&s->random, 500))
            say_goodbye(s, p, life);
        restart(s, p);
        return pause;
    }
    send_message(s, p, life);
    return sim_between(&s->random, pause / 2, pause);
}

/* Returns the milliseconds until it wants to act again. */
static uint32_t
act(sim *s, sim_peer *p)
{
    sim_life *life = p->life;
    uint64_t now = s->now.mono_ms;

    if (life->client == NULL) {
        begin_life(s, p, life->number + 1);
        return s->plan.interval;
    }
    if (client_is_dead(life->client) || client_is_closed(life->client)) {
        end_life(s, p, life);
        return sim_between(&s->random, 20, s->calm ? 200 : 3000);
    }
    if (misbehave(s, p))
        return s->plan.interval;
    if (client_is_open(life->client))
        return talk(s, p);
    if (now >= life->began + p->patience)
        restart(s, p);
    return sim_between(&s->random, 200, 1000);
}

static uint32_t
act_as_squatter(sim *s, sim_peer *p)
{
    if (s->calm)
        die(s, p);
    else
        restart(s, p);
    return sim_between(&s->random, 500, 6000);
}

static void
act_as_ghost(sim *s, sim_peer *p)
{
    sim_life *ghost = p->ghost;

    if (ghost->client == NULL)
        return;
    if (!is_up(ghost) || ghost->silence >= SILENCE ||
        (is_up(p->life) && p->life->checked))
        end_life(s, p, ghost);
    else
        send_message(s, p, ghost);
}

static void
schedule(sim *s, sim_peer *p)
{
    uint64_t at = p->acts_at;

    if (p->dead)
        return;
    if (p->life->timer_at < at)
        at = p->life->timer_at;
    if (p->ghost->timer_at < at)
        at = p->ghost->timer_at;
    if (at < p->stalls_until)
        at = p->stalls_until;
    if (at <= s->now.mono_ms)
        at = s->now.mono_ms + 1;
    if (p->wakes_at != 0 && p->wakes_at <= at)
        return; /* looks again when it comes */
    p->wakes_at = at;
    sim_network_wake(&s->net, SIM_WAKE, (uint32_t)(p - s->peer), at);
}

static void
run_timer(sim *s, sim_peer *p, sim_life *life)
{
    if (life->client == NULL || life->timer_at > s->now.mono_ms)
        return;
    client_timer(life->client);
    collect(s, p, life, 0);
    set_timer(s, life);
}

void
sim_peer_wake(sim *s, uint32_t peer)
{
    sim_peer *p = &s->peer[peer];
    uint32_t pause;

    if (p->dead || p->wakes_at != s->now.mono_ms)
        return; /* an earlier one was set since */
    p->wakes_at = 0;
    if (s->now.mono_ms >= p->stalls_until) {
        run_timer(s, p, p->life);
        run_timer(s, p, p->ghost);
        if (s->now.mono_ms >= p->acts_at) {
            act_as_ghost(s, p);
            pause = p->kind == SIM_LIAR       ? sim_attack(s, peer)
                    : p->kind == SIM_SQUATTER ? act_as_squatter(s, p)
                                              : act(s, p);
            p->acts_at = s->now.mono_ms + pause + 1;
        }
    }
    schedule(s, p);
}

/* Hearing */

static int
must_hear(const sim_life *life, const sim_event *e)
{
    return e->message != 0 && e->life == life->number && is_up(life) &&
           !(e->flags & SIM_CORRUPT) && !(life->echoed & bit_of(e->message));
}

static void
hear(sim *s, sim_peer *p, sim_life *life, const sim_event *e)
{
    int must;

    if (life->client == NULL || client_is_dead(life->client))
        return;
    must = must_hear(life, e);
    client_feed(life->client, e->data, e->len);
    collect(s, p, life, 0);
    set_timer(s, life);
    if (must && !(life->echoed & bit_of(e->message)))
        sim_fail(s, e->peer, "an echo reaches its client",
                 "message %u of life %u did not", e->message, e->life);
    if (client_is_dead(life->client))
        p->failed_lives |= bit_of(life->number);
    if (client_is_dead(life->client) || client_is_closed(life->client)) {
        sim_note(&s->net, e->peer, "life",
                 client_is_dead(life->client) ? "has failed" : "was closed",
                 life->number, NULL);
        if (life == p->life && p->acts_at > s->now.mono_ms + 500)
            p->acts_at = s->now.mono_ms + 500;
    }
}

void
sim_peer_input(sim *s, const sim_event *e)
{
    sim_peer *p = &s->peer[e->peer];
    const uint8_t *type = e->data + HELLO_VERIFY_AT;

    sim_note(&s->net, e->peer, "reached client",
             s->now.mono_ms < p->stalls_until ? "which stalls" : NULL, 0, e);
    if (p->dead || s->now.mono_ms < p->stalls_until) {
        sim_disturb(&s->net, e->peer, SIM_D_STALL);
        return;
    }
    if (p->kind == SIM_SQUATTER &&
        (e->len < 14 || *type != DTLSL__HELLO_VERIFY_REQUEST))
        return;
    if (e->life != p->life->number && sim_is_plaintext(e->data, e->len))
        sim_disturb(&s->net, e->peer, SIM_D_OLD);
    hear(s, p, p->life, e);
    hear(s, p, p->ghost, e);
    schedule(s, p);
}

/* Birth and death */

void
sim_peer_start(sim *s, uint32_t peer)
{
    sim_peer *p = &s->peer[peer];

    p->life = &p->slot[0];
    p->ghost = &p->slot[1];
    p->life->timer_at = p->ghost->timer_at = UINT64_MAX;
    p->life->peer = p->ghost->peer = peer;
    p->patience = sim_between(&s->random, 6000, 18000);
    p->acts_at =
        s->now.mono_ms + 1 + sim_below(&s->random, s->plan.spread_ms + 1);
    if (p->options & SIM_O_LONG_HELLO)
        p->mtu = LONG_HELLO_MTU;
    schedule(s, p);
}

void
sim_peer_free(sim *s, uint32_t peer)
{
    sim_peer *p = &s->peer[peer];

    end_life(s, p, p->life);
    end_life(s, p, p->ghost);
    SSL_SESSION_free(p->session);
}
