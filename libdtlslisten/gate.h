/* SPDX-License-Identifier: MIT
 * The gate as the engine uses it. */
#ifndef DTLSL_GATE_H
#define DTLSL_GATE_H

#include "cookie.h"
#include "counters.h"
#include <dtlslisten/gate.h>

/* dtlsl_gate_new with the time given, so that no clock is read. */
int32_t dtlsl__gate_new(dtlsl_gate **out, dtlsl_config *config,
                        const dtlsl_now *now);

/* dtlsl_gate_judge without RECEIVED and ACCEPTED: the engine counts these two
 * itself, as not every datagram gets here and not every accepted ClientHello
 * opens a connection. */
int32_t dtlsl__gate_judge(dtlsl_gate *gate, const dtlsl_path *path,
                          const uint8_t *datagram, size_t len,
                          const dtlsl_now *now, dtlsl_verdict *verdict);

const dtlsl__counters *dtlsl__gate_counters(const dtlsl_gate *gate);
dtlsl__chain *dtlsl__gate_chain(const dtlsl_gate *gate);

/* Those of the strategies: a dtlsl__counters_more. */
int32_t dtlsl__gate_counters_more(const void *gate, size_t index,
                                  const char **strategy, const char **name,
                                  uint64_t *value);

#endif
