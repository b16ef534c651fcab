/* SPDX-License-Identifier: MIT
 * The monotonic clock, and work that is due at a steady rate by it. */
#include "clock.h"
#include <time.h>

uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
sleep_until(uint64_t ns)
{
    struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S),
                          .tv_nsec = (long)(ns % NS_PER_S)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

uint64_t
pacer_due(const pacer *p, uint64_t now)
{
    double passed;
    uint64_t whole;

    if (p->per_second <= 0)
        return UINT64_MAX;
    if (now < p->start_ns)
        return 0;
    passed = (double)(now - p->start_ns) / (double)NS_PER_S;
    whole = (uint64_t)(passed * p->per_second) + 1;
    return whole > p->done ? whole - p->done : 0;
}

uint64_t
pacer_next(const pacer *p)
{
    if (p->per_second <= 0)
        return p->start_ns;
    return p->start_ns +
           (uint64_t)((double)p->done / p->per_second * (double)NS_PER_S);
}
