/* SPDX-License-Identifier: MIT
 * Handshakes from scratch: each from another address, and closed at once. */
#include "load.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    AT_ONCE = 32
};

static struct {
    uint64_t started, completed, failed, retransmitted;
    uint64_t within_4s, within_8s;
    uint32_t under_way, at_once, first_slot;
    latency took;
    pacer pace;
} storm;

static void
completed(session *s)
{
    uint64_t took = now_ns() - s->since_ns;

    storm.completed++;
    storm.retransmitted += s->retransmitted;
    storm.within_4s += took <= 4 * NS_PER_S;
    storm.within_8s += took <= 8 * NS_PER_S;
    latency_add(&storm.took, took);
    storm.under_way--;
    session_free(s);
}

static void
failed(session *s)
{
    storm.failed++;
    storm.retransmitted += s->retransmitted;
    storm.under_way--;
    session_free(s);
}

static const role storm_role = {.opened = completed, .ended = failed};

void
storm_start(uint64_t now, uint32_t first_slot, double per_second)
{
    storm.first_slot = first_slot;
    storm.pace = (pacer){.start_ns = now, .per_second = per_second};
    storm.at_once = told.at_once;
    if (storm.at_once == 0)
        storm.at_once = per_second > 0 ? AT_ONCE_MAX : AT_ONCE;
}

uint64_t
storm_work(uint64_t now)
{
    uint64_t due = pacer_due(&storm.pace, now);

    if (told.count > 0 && due > told.count - storm.started)
        due = told.count - storm.started;
    for (; due > 0 && storm.under_way < storm.at_once; due--) {
        uint32_t slot = (uint32_t)(storm.started++ % STORM_SLOTS);

        storm.under_way++;
        storm.pace.done++;
        session_start(storm.first_slot + slot, &storm_role, told.delay_ns);
    }
    /* When one ends, something has come in, or its timer was looked at. */
    return storm.pace.per_second > 0 && due == 0 ? pacer_next(&storm.pace)
                                                 : now + TIMER_MS * NS_PER_MS;
}

static int
is_over(void)
{
    return storm.under_way == 0 && !net_delays();
}

static int
is_enough(void)
{
    return told.count > 0 && storm.started == told.count && is_over();
}

/* Those under way come to their end, good or bad. */
void
storm_finish(void)
{
    static const activity none[] = {NULL};

    work_until(UINT64_MAX, is_over, none);
}

void
storm_print(double seconds)
{
    printf("\"started\": %" PRIu64 ", \"completed\": %" PRIu64
           ", \"failed\": %" PRIu64 ", \"retransmitted\": %" PRIu64
           ", \"within_4s\": %" PRIu64 ", \"within_8s\": %" PRIu64 ", ",
           storm.started, storm.completed, storm.failed, storm.retransmitted,
           storm.within_4s, storm.within_8s);
    latency_print(&storm.took);
    printf(", \"seconds\": %.6f", seconds);
}

void
load_storm(void)
{
    static const activity work[] = {storm_work, NULL};
    usage before = usage_read(told.common.pid), after;
    uint64_t end = before.at_ns + (uint64_t)(told.common.seconds * 1e9);

    storm_start(before.at_ns, 0, told.rate);
    work_until(told.count > 0 ? UINT64_MAX : end, is_enough, work);
    storm_finish();
    after = usage_read(told.common.pid);
    printf("{");
    storm_print((double)(after.at_ns - before.at_ns) / 1e9);
    printf(", ");
    usage_print(told.common.pid, &before, &after);
    printf("}\n");
}
