/* SPDX-License-Identifier: MIT
 * The CPU that this program and the server have used, and the server's
 * memory. */
#ifndef DTLSL_BENCH_USAGE_H
#define DTLSL_BENCH_USAGE_H

#include <stdint.h>
#include <sys/types.h>

typedef struct usage {
    uint64_t at_ns;
    double client_s;
    double server_s;
    double user_ticks, system_ticks; /* the server's, coarse */
} usage;

/* With pid 0 nothing of the server. */
usage usage_read(pid_t pid);
/* Resident memory in KB, 0 with pid 0. */
unsigned long usage_rss_kb(pid_t pid);
/* Members of a JSON object, without a comma at either end: "client_s", and
 * with a pid "server_s", "server_user_s", "server_system_s" and
 * "server_rss_kb". */
void usage_print(pid_t pid, const usage *before, const usage *after);

#endif
