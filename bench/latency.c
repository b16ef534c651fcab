/* SPDX-License-Identifier: MIT
 * Times and their quantiles: a histogram whose buckets grow with the time. */
#include "latency.h"
#include <stdio.h>

/* Below LATENCY_STEPS each value has a bucket, above each power of two has as
 * many. */
static unsigned
bucket_of(uint64_t ns)
{
    unsigned shift = 0, bucket;

    while (ns >> shift >= 2 * LATENCY_STEPS)
        shift++;
    bucket = shift * LATENCY_STEPS + (unsigned)(ns >> shift);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t
top_of(unsigned bucket)
{
    unsigned shift = bucket < LATENCY_STEPS ? 0 : bucket / LATENCY_STEPS - 1;

    return (((uint64_t)bucket - shift * LATENCY_STEPS + 1) << shift) - 1;
}

void
latency_add(latency *l, uint64_t ns)
{
    l->n++;
    l->buckets[bucket_of(ns)]++;
    if (ns > l->max_ns)
        l->max_ns = ns;
}

double
latency_quantile(const latency *l, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)l->n);
    uint64_t below = 0, ns = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS && l->n > 0; i++) {
        below += l->buckets[i];
        ns = top_of(i);
        if (below > wanted)
            break;
    }
    return (double)(ns < l->max_ns ? ns : l->max_ns) / 1e6;
}

void
latency_print(const latency *l)
{
    printf("\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f",
           latency_quantile(l, 0.5), latency_quantile(l, 0.99),
           (double)l->max_ns / 1e6);
}
