/* SPDX-License-Identifier: MIT
 * Datagrams on their way, and what happens to them there. */
#include "sim_network.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
need(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "simulation: out of memory\n");
        exit(2);
    }
    return block;
}

void
sim_network_start(sim_network *net, uint64_t seed, uint32_t n_links)
{
    memset(net, 0, sizeof(*net));
    net->random.state = seed ^ 0x6e6574776f726b;
    net->digest = 0xcbf29ce484222325;
    net->link = need(calloc(n_links, sizeof(*net->link)));
    net->n_links = n_links;
    net->cap = 1024;
    net->heap = need(malloc(net->cap * sizeof(*net->heap)));
}

void
sim_network_end(sim_network *net)
{
    for (size_t i = 0; i < net->n; i++)
        free(net->heap[i].data);
    free(net->heap);
    free(net->link);
}

/* The heap */

static int
before(const sim_event *a, const sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
push(sim_network *net, const sim_event *event)
{
    size_t i = net->n++;

    if (net->n > net->cap) {
        net->cap *= 2;
        net->heap = need(realloc(net->heap, net->cap * sizeof(*net->heap)));
    }
    for (; i > 0 && before(event, &net->heap[(i - 1) / 2]); i = (i - 1) / 2)
        net->heap[i] = net->heap[(i - 1) / 2];
    net->heap[i] = *event;
    net->heap[i].order = net->order++;
}

const sim_event *
sim_network_next(const sim_network *net)
{
    return net->n == 0 ? NULL : &net->heap[0];
}

static sim_event
pop(sim_network *net)
{
    sim_event top = net->heap[0], last = net->heap[--net->n];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < net->n) {
        if (child + 1 < net->n &&
            before(&net->heap[child + 1], &net->heap[child]))
            child++;
        if (before(&last, &net->heap[child]))
            break;
        net->heap[i] = net->heap[child];
        i = child;
    }
    net->heap[i] = last;
    return top;
}

/* Links */

int
sim_is_plaintext(const uint8_t *data, size_t len)
{
    return len >= 13 && data[3] == 0 && data[4] == 0;
}

void
sim_disturb(sim_network *net, uint32_t peer, uint32_t reason)
{
    if (peer != SIM_NOBODY)
        net->link[peer].disturbed |= reason;
}

static void
digest(sim_network *net, const sim_event *event)
{
    net->digest = sim_hash_number(net->digest, net->now);
    net->digest = sim_hash_number(net->digest, event->at);
    net->digest = sim_hash_number(net->digest, (uint64_t)event->kind);
    net->digest = sim_hash(net->digest, &event->path, sizeof(event->path));
    net->digest = sim_hash(net->digest, event->data, event->len);
}

static uint64_t
arrival(sim_network *net)
{
    const sim_conditions *c = &net->conditions;
    uint64_t at = net->now + c->delay_min;

    at += sim_below(&net->random, c->delay_more + 1);
    if (sim_chance(&net->random, c->late))
        at += sim_below(&net->random, c->late_ms + 1);
    return at;
}

static void
corrupt(sim_network *net, sim_event *event, const uint8_t *genuine)
{
    uint32_t flips = 1 + sim_below(&net->random, 3);

    if (event->len == 0 || !sim_chance(&net->random, net->conditions.corrupt))
        return;
    while (flips-- > 0)
        event->data[sim_below(&net->random, event->len)] ^=
            (uint8_t)(1u << sim_below(&net->random, 8));
    if (memcmp(event->data, genuine, event->len) == 0)
        return; /* the same bit twice */
    event->flags |= SIM_CORRUPT;
    net->n_corrupted++;
}

static void
dispatch(sim_network *net, const sim_event *event, const uint8_t *data)
{
    sim_event own = *event;

    own.data = need(malloc(own.len > 0 ? own.len : 1));
    memcpy(own.data, data, own.len);
    own.at = arrival(net);
    corrupt(net, &own, data);
    if (own.message == 0 && own.flags & SIM_CORRUPT)
        sim_disturb(net, own.peer, SIM_D_CORRUPT);
    if (own.peer != SIM_NOBODY)
        net->link[own.peer].under_way++;
    sim_note(net, own.peer,
             own.kind == SIM_TO_SERVER ? "sent to server" : "sent to client",
             own.flags & SIM_CORRUPT ? "corrupted" : "arrives at", own.at,
             &own);
    digest(net, &own);
    push(net, &own);
}

void
sim_network_send(sim_network *net, const sim_event *event, const uint8_t *data,
                 size_t len)
{
    sim_event own = *event;
    sim_link *link = own.peer == SIM_NOBODY ? NULL : &net->link[own.peer];
    uint32_t reason = 0;

    own.len = (uint32_t)len;
    own.data = (uint8_t *)(uintptr_t)data;
    own.number = link == NULL ? 0 : ++link->sent[own.kind];
    net->n_sent++;
    if (link != NULL && len > link->mtu)
        reason = SIM_D_MTU;
    else if (sim_chance(&net->random, net->conditions.loss))
        reason = SIM_D_LOST;
    if (reason != 0) {
        net->n_lost += reason == SIM_D_LOST;
        net->n_too_big += reason == SIM_D_MTU;
        if (own.message == 0)
            sim_disturb(net, own.peer, reason);
        sim_note(net, own.peer, "lost",
                 own.kind == SIM_TO_SERVER ? "to server" : "to client", reason,
                 &own);
        return;
    }
    dispatch(net, &own, data);
    if (sim_chance(&net->random, net->conditions.copy)) {
        net->n_copied++;
        own.flags |= SIM_COPY;
        dispatch(net, &own, data);
    }
}

void
sim_network_wake(sim_network *net, int32_t kind, uint32_t peer, uint64_t at)
{
    sim_event event = {.at = at, .kind = kind, .peer = peer};

    push(net, &event);
}

sim_event
sim_network_take(sim_network *net)
{
    sim_event event = pop(net);
    sim_link *link = event.peer == SIM_NOBODY ? NULL : &net->link[event.peer];

    if (event.kind > SIM_TO_CLIENT)
        return event;
    digest(net, &event);
    if (link == NULL)
        return event;
    link->under_way--;
    if (event.message != 0 || event.flags & SIM_FORGED)
        return event;
    if (event.number < link->delivered[event.kind]) {
        net->n_reordered++;
        if (!(event.flags & SIM_COPY))
            link->disturbed |= SIM_D_ORDER;
    } else {
        link->delivered[event.kind] = event.number;
    }
    return event;
}

/* The report */

void
sim_note(sim_network *net, uint32_t peer, const char *what, const char *detail,
         uint64_t value, const sim_event *event)
{
    sim_link *link = peer == SIM_NOBODY ? NULL : &net->link[peer];
    sim_trace *t;

    if (link == NULL)
        return;
    t = &link->trace[link->n_trace++ % SIM_TRACE];
    memset(t, 0, sizeof(*t));
    t->at = net->now;
    t->what = what;
    t->detail = detail;
    t->value = value;
    if (event == NULL)
        return;
    t->len = event->len;
    t->flags = event->flags;
    t->life = event->life;
    t->message = event->message;
    memcpy(t->head, event->data,
           event->len < sizeof(t->head) ? event->len : sizeof(t->head));
}

static void
print_record(const sim_trace *t)
{
    const uint8_t *h = t->head;

    printf(" [%u bytes: type %u epoch %u number %u", t->len, h[0],
           h[3] << 8 | h[4],
           (unsigned)(h[7] << 24 | h[8] << 16 | h[9] << 8 | h[10]));
    if (h[0] == 22 && h[3] == 0 && h[4] == 0)
        printf(" message %u.%u", h[13], h[17] << 8 | h[18]);
    printf(", life %u", t->life);
    if (t->message != 0)
        printf(", application's %u", t->message);
    printf("%s%s%s]", t->flags & SIM_COPY ? ", copy" : "",
           t->flags & SIM_CORRUPT ? ", corrupt" : "",
           t->flags & SIM_FORGED ? ", forged" : "");
}

void
sim_report(const sim_network *net, uint32_t peer)
{
    const sim_link *link = &net->link[peer];
    uint32_t first = link->n_trace > SIM_TRACE ? link->n_trace - SIM_TRACE : 0;

    printf("  peer %u: path MTU %u, %u datagrams under way, disturbed by "
           "0x%x; its last events:\n",
           peer, link->mtu, link->under_way, link->disturbed);
    for (uint32_t i = first; i < link->n_trace; i++) {
        const sim_trace *t = &link->trace[i % SIM_TRACE];
        printf("  %8llu %s", (unsigned long long)t->at, t->what);
        if (t->detail != NULL)
            printf(" %s %llu", t->detail, (unsigned long long)t->value);
        if (t->len > 0)
            print_record(t);
        printf("\n");
    }
}
