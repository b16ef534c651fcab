/* SPDX-License-Identifier: MIT
 * The clocks, for callers that have none of their own. */
#include <dtlslisten/gate.h>
#include <time.h>

static uint64_t
clock_ms(clockid_t id)
{
    struct timespec ts = {0};

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
dtlsl_now_read(dtlsl_now *now)
{
    if (now == NULL)
        return;
    now->mono_ms = clock_ms(CLOCK_MONOTONIC);
    now->unix_ms = clock_ms(CLOCK_REALTIME);
}
