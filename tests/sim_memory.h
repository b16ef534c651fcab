/* SPDX-License-Identifier: MIT
 * Counts live SSLs, beside what heap.h counts. */
#ifndef DTLSL_SIM_MEMORY_H
#define DTLSL_SIM_MEMORY_H

#include "heap.h"

extern int64_t sim_live_ssls;

/* First thing in main. */
void sim_memory_start(void);

#endif
