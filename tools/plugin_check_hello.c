/* SPDX-License-Identifier: MIT
 * ClientHellos as the library shows them to a strategy. */
#include "plugin_check.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
    CORE_MIN = 35,
    PORT = 16,
    ZONE = 18,
    EXTENSIONS = 200 /* longest that is thought of here */
};

static void
random_address(kit *k, uint8_t address[24])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t link_local[8] = {0xfe, 0x80};
    size_t kind = kit_below(k, 4);

    memset(address, 0, 24);
    kit_fill(k, address, 18);
    if (kind < 2)
        memcpy(address, mapped, sizeof(mapped));
    else if (kind == 2)
        address[0] = 0x20;
    else
        memcpy(address, link_local, sizeof(link_local));
    if (kind == 3)
        address[ZONE + 3] = (uint8_t)(1 + kit_below(k, 9));
}

static void
set_peer(kit *k, hello *h)
{
    random_address(k, h->in.peer);
    if (!k->setup->has_peer)
        return;
    memcpy(h->in.peer, k->setup->peer, 16);
    memset(h->in.peer + ZONE, 0, 4);
    for (int i = 0; i < 4; i++)
        h->in.peer[ZONE + i] = (uint8_t)(k->setup->zone >> (24 - 8 * i));
}

static void
set_length(kit *k, hello *h)
{
    h->in.fragment_len = h->in.core_len + 1 + h->in.tail_len +
                         (uint32_t)kit_below(k, EXTENSIONS);
}

void
hello_set_session(kit *k, hello *h, size_t len)
{
    h->core[CORE_MIN - 1] = (uint8_t)len;
    kit_fill(k, h->core + CORE_MIN, len);
    h->in.core_len = (uint32_t)(CORE_MIN + len);
    set_length(k, h);
}

/* One compression method; so the length is even for whole suites. */
void
hello_set_tail(kit *k, hello *h, size_t len)
{
    h->in.tail = NULL;
    h->in.tail_len = 0;
    h->in.flags &= ~(uint32_t)DTLSL_COOKIE_IN_TAIL;
    if (len >= 4) {
        size_t suites = len - 4;

        h->tail[0] = (uint8_t)(suites >> 8);
        h->tail[1] = (uint8_t)suites;
        kit_fill(k, h->tail + 2, suites);
        h->tail[2 + suites] = 1;
        h->tail[3 + suites] = 0;
        h->in.tail = h->tail;
        h->in.tail_len = (uint32_t)len;
        h->in.flags |= DTLSL_COOKIE_IN_TAIL;
    }
    set_length(k, h);
}

void
hello_make(kit *k, hello *h)
{
    static const size_t tails[] = {0, 6, 34, 60, 130, 300, KIT_TAIL_MAX};
    static const size_t sessions[] = {0, 32, 1};
    size_t kind = kit_below(k, 4);

    memset(h, 0, sizeof(*h));
    h->in.size = sizeof(h->in);
    h->in.mono_ms = k->now.mono_ms;
    h->in.unix_ms = k->now.unix_ms;
    h->in.core = h->core;
    set_peer(k, h);
    if (kit_below(k, 2)) {
        h->in.flags |= DTLSL_COOKIE_IN_LOCAL;
        random_address(k, h->in.local);
    }
    kit_fill(k, h->core, sizeof(h->core));
    h->core[0] = 0xfe;
    h->core[1] = kit_below(k, 4) ? 0xfd : 0xff;
    hello_set_session(k, h, kind < 3 ? sessions[kind] : kit_below(k, 33));
    hello_set_tail(k, h, tails[kit_below(k, sizeof(tails) / sizeof(*tails))]);
}

/* The spans of 'to' are its own. */
void
hello_copy(hello *to, const hello *from)
{
    if (to != from)
        *to = *from;
    to->in.core = to->core;
    to->in.tail = to->in.tail_len > 0 ? to->tail : NULL;
}

void
hello_second(hello *h, size_t cookie_len)
{
    h->in.fragment_len += (uint32_t)cookie_len;
}

void
hello_cut(hello *h, size_t cookie_len, size_t fragment_len)
{
    h->in.flags |= DTLSL_COOKIE_IN_FRAGMENTED;
    h->in.fragment_len = (uint32_t)fragment_len;
    if (h->in.core_len + 1 + cookie_len + h->in.tail_len <= fragment_len)
        return;
    h->in.flags &= ~(uint32_t)DTLSL_COOKIE_IN_TAIL;
    h->in.tail = NULL;
    h->in.tail_len = 0;
}

const char *
hello_text(const hello *h, char text[160])
{
    char address[INET6_ADDRSTRLEN] = "";
    const uint8_t *peer = h->in.peer;

    inet_ntop(AF_INET6, peer, address, sizeof(address));
    snprintf(text, 160, "peer [%s]:%u, session id of %u, tail of %u, %s of %u",
             address, (unsigned)(peer[PORT] << 8 | peer[PORT + 1]),
             h->in.core_len - CORE_MIN, h->in.tail_len,
             h->in.flags & DTLSL_COOKIE_IN_FRAGMENTED ? "fragment" : "hello",
             h->in.fragment_len);
    return text;
}
