/* SPDX-License-Identifier: MIT
 * The monotonic clock, and work that is due at a steady rate by it. */
#ifndef DTLSL_BENCH_CLOCK_H
#define DTLSL_BENCH_CLOCK_H

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

uint64_t now_ns(void);
/* Sleeps until then, or until a signal. */
void sleep_until(uint64_t ns);

typedef struct pacer {
    uint64_t start_ns;
    double per_second; /* 0: as fast as possible */
    uint64_t done;
} pacer;

/* How many are due by now that are not done. */
uint64_t pacer_due(const pacer *p, uint64_t now);
/* When the next is due. */
uint64_t pacer_next(const pacer *p);

#endif
