/* SPDX-License-Identifier: MIT
 * Opens the sessions of a load, a few at once, and each again if it fails. */
#include "load.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    TRIES = 4,
    AT_ONCE = 4 /* as many as a listener accepts in one wake-up */
};

static opening sum;
static uint32_t wanted, started, under_way;
static uint8_t *tries;
static const role *then;

static void joined(session *s);
static void not_joined(session *s);

static const role joining = {.opened = joined, .ended = not_joined};

static void
joined(session *s)
{
    sum.open++;
    sum.retransmitted += s->retransmitted;
    under_way--;
    s->role = then;
    session_shrink(s);
}

static void
not_joined(session *s)
{
    uint32_t slot = s->slot;

    session_free(s);
    if (++tries[slot] < TRIES) {
        session_start(slot, &joining, 0);
        return;
    }
    under_way--;
    sum.failed++;
}

static uint64_t
open_work(uint64_t now)
{
    uint32_t at_once = told.at_once > 0 ? told.at_once : AT_ONCE;

    while (started < wanted && under_way < at_once) {
        under_way++;
        session_start(started++, &joining, 0);
    }
    return now + TIMER_MS * NS_PER_MS;
}

static int
is_done(void)
{
    return sum.open + sum.failed == wanted;
}

opening
sessions_open(uint32_t n, const role *as, int all, activity meanwhile)
{
    const activity work[] = {open_work, meanwhile, NULL};
    uint64_t start = now_ns();

    sum = (opening){0};
    wanted = n;
    then = as;
    started = under_way = 0;
    tries = calloc(n, 1);
    if (tries == NULL)
        refuse("the sessions", "out of memory");
    work_until(UINT64_MAX, is_done, work);
    free(tries);
    sum.seconds = (double)(now_ns() - start) / 1e9;
    if (all && sum.open < n && !stopped)
        refuse("a session", "no handshake completed: is that a DTLS 1.2 "
                            "server with ECDHE and AES128-GCM?");
    return sum;
}
