/* SPDX-License-Identifier: MIT
 * Times and their quantiles, in constant memory and to 2 %. */
#ifndef DTLSL_BENCH_LATENCY_H
#define DTLSL_BENCH_LATENCY_H

#include <stdint.h>

enum {
    LATENCY_STEPS = 64, /* between a power of two and the next */
    LATENCY_BUCKETS = 40 * LATENCY_STEPS
};

typedef struct latency {
    uint64_t n;
    uint64_t max_ns;
    uint64_t buckets[LATENCY_BUCKETS];
} latency;

void latency_add(latency *l, uint64_t ns);
/* In milliseconds; 0 of nothing. */
double latency_quantile(const latency *l, double share);
/* Members of a JSON object: "p50_ms", "p99_ms" and "max_ms". */
void latency_print(const latency *l);

#endif
