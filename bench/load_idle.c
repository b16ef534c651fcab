/* SPDX-License-Identifier: MIT
 * Sessions that are held, with an echo now and then or none. */
#include "load.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    GRACE_MS = 2000
};

static struct {
    uint64_t messages, lost, closed;
    latency rtt;
    pacer pace;
} idle;

static void
on_echo(session *s, uint64_t rtt_ns)
{
    idle.messages++;
    latency_add(&idle.rtt, rtt_ns);
    session_shrink(s);
}

static void
on_end(session *s)
{
    idle.lost += s->under_way;
    idle.closed++;
    session_free(s);
}

static const role idle_role = {.echoed = on_echo, .ended = on_end};

/* What has not come back when the next is due is lost. It begins while others
 * still open: who is silent for too long is closed. */
static uint64_t
idle_work(uint64_t now)
{
    if (idle.pace.per_second <= 0)
        return now + NS_PER_S;
    for (uint64_t due = pacer_due(&idle.pace, now); due > 0; due--) {
        session *s = session_at((uint32_t)(idle.pace.done++ % told.sessions));

        if (s == NULL || !s->is_open)
            continue;
        idle.lost += s->under_way;
        s->under_way = 0;
        session_say(s, now);
    }
    return pacer_next(&idle.pace);
}

static uint64_t
under_way(void)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < told.sessions; i++)
        if (session_at(i) != NULL)
            n += session_at(i)->under_way;
    return n;
}

static int
is_over(void)
{
    return under_way() == 0;
}

static opening
fill(void)
{
    opening o;

    if (told.between_s > 0)
        idle.pace = (pacer){.start_ns = now_ns(),
                            .per_second = told.sessions / told.between_s};
    o = sessions_open(told.sessions, &idle_role, 0, idle_work);
    printf("ready %u %lu\n", o.open, usage_rss_kb(told.common.pid));
    fflush(stdout);
    idle.messages = idle.lost = 0;
    idle.rtt = (latency){0};
    return o;
}

static void
hold(uint64_t now)
{
    static const activity work[] = {idle_work, NULL}, none[] = {NULL};
    double seconds = told.common.seconds;

    work_until(seconds > 0 ? now + (uint64_t)(seconds * 1e9) : UINT64_MAX,
               NULL, work);
    stopped = 0;
    work_until(now_ns() + GRACE_MS * NS_PER_MS, is_over, none);
    idle.lost += under_way();
}

void
load_idle(void)
{
    opening o = fill();
    usage before = usage_read(told.common.pid), after;

    hold(before.at_ns);
    after = usage_read(told.common.pid);
    printf("{\"open\": %" PRIu64 ", \"failed\": %u, \"closed\": %" PRIu64
           ", \"retransmitted\": %u, \"messages\": %" PRIu64
           ", \"lost\": %" PRIu64 ", ",
           o.open - idle.closed, o.failed, idle.closed, o.retransmitted,
           idle.messages, idle.lost);
    latency_print(&idle.rtt);
    printf(", \"fill_seconds\": %.6f, \"handshakes_per_second\": %.1f, "
           "\"client_rss_kb\": %lu, \"seconds\": %.6f, ",
           o.seconds, o.open / o.seconds, usage_rss_kb(getpid()),
           (double)(after.at_ns - before.at_ns) / 1e9);
    usage_print(told.common.pid, &before, &after);
    printf("}\n");
}
