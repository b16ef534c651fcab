/* SPDX-License-Identifier: MIT
 * Messages that come back: in a closed loop, where a session sends its next
 * when one has returned, or at a steady rate. */
#include "load.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    WARM_UP_MS = 500,
    LOST_MS = 1000,
    GRACE_MS = 2000
};

typedef struct talk {
    uint64_t sent, echoed, lost, closed;
    latency rtt;
} talk;

static talk sum;
static pacer pace;
static uint64_t next_look;

static void
print(uint64_t messages, uint64_t lost, double seconds)
{
    printf("\"sessions\": %u, \"messages\": %" PRIu64 ", \"lost\": %" PRIu64
           ", \"closed\": %" PRIu64 ", ",
           told.sessions, messages, lost, sum.closed);
    latency_print(&sum.rtt);
    printf(", \"seconds\": %.6f", seconds);
}

static void
on_echo(uint64_t rtt_ns)
{
    sum.echoed++;
    latency_add(&sum.rtt, rtt_ns);
}

/* ---- the closed loop ---- */

static void
fill_window(session *s, uint64_t now)
{
    while (s->under_way < told.window && session_say(s, now))
        sum.sent++;
}

static void
begin(session *s, uint64_t now)
{
    s->under_way = 0;
    s->since_ns = now;
    fill_window(s, now);
}

static void
loop_echoed(session *s, uint64_t rtt_ns)
{
    uint64_t now = now_ns();

    on_echo(rtt_ns);
    s->since_ns = now;
    fill_window(s, now);
}

static void
on_end(session *s)
{
    sum.lost += s->under_way;
    sum.closed++;
    session_free(s);
}

static const role loop_role = {.echoed = loop_echoed, .ended = on_end};

/* What a session had under way is lost when it has heard nothing for a
 * second; it begins anew. */
static uint64_t
loop_work(uint64_t now)
{
    for (uint32_t i = 0; i < told.sessions && now >= next_look; i++) {
        session *s = session_at(i);

        if (s == NULL || s->since_ns + LOST_MS * NS_PER_MS > now)
            continue;
        sum.lost += s->under_way;
        begin(s, now);
    }
    if (now >= next_look)
        next_look = now + LOST_MS / 4 * NS_PER_MS;
    return next_look;
}

void
load_echo(void)
{
    static const activity work[] = {loop_work, NULL};
    usage before, after;
    uint64_t start;

    sessions_open(told.sessions, &loop_role, 1, NULL);
    start = now_ns();
    for (uint32_t i = 0; i < told.sessions; i++)
        if (session_at(i) != NULL)
            begin(session_at(i), start);
    work_until(start + WARM_UP_MS * NS_PER_MS, NULL, work);
    sum = (talk){.closed = sum.closed};
    before = usage_read(told.common.pid);
    work_until(before.at_ns + (uint64_t)(told.common.seconds * 1e9), NULL,
               work);
    after = usage_read(told.common.pid);
    printf("{");
    print(sum.echoed, sum.lost, (double)(after.at_ns - before.at_ns) / 1e9);
    printf(", ");
    usage_print(told.common.pid, &before, &after);
    printf("}\n");
}

/* ---- a steady rate ---- */

static void
paced_echoed(session *s, uint64_t rtt_ns)
{
    (void)s;
    on_echo(rtt_ns);
}

const role paced_role = {.echoed = paced_echoed, .ended = on_end};

void
paced_start(uint64_t now)
{
    pace = (pacer){.start_ns = now,
                   .per_second = told.rate * (double)told.sessions};
}

/* In turn, so that they are spread over the time. What is due of one that was
 * closed is lost. */
uint64_t
paced_work(uint64_t now)
{
    for (uint64_t due = pacer_due(&pace, now); due > 0; due--) {
        session *s = session_at((uint32_t)(pace.done++ % told.sessions));

        sum.sent++;
        sum.lost += s == NULL || !session_say(s, now);
    }
    return pacer_next(&pace);
}

static int
is_over(void)
{
    return sum.echoed + sum.lost >= sum.sent;
}

void
paced_finish(void)
{
    static const activity none[] = {NULL};

    work_until(now_ns() + GRACE_MS * NS_PER_MS, is_over, none);
}

void
paced_print(double seconds)
{
    print(sum.echoed, sum.sent - sum.echoed, seconds);
}

void
load_paced(void)
{
    static const activity work[] = {paced_work, NULL};
    usage before, after;

    sessions_open(told.sessions, &paced_role, 1, NULL);
    before = usage_read(told.common.pid);
    paced_start(before.at_ns);
    work_until(before.at_ns + (uint64_t)(told.common.seconds * 1e9), NULL,
               work);
    after = usage_read(told.common.pid);
    paced_finish();
    printf("{");
    paced_print((double)(after.at_ns - before.at_ns) / 1e9);
    printf(", ");
    usage_print(told.common.pid, &before, &after);
    printf("}\n");
}
