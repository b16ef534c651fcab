/* SPDX-License-Identifier: MIT
 * What a listener has counted: its engine and its sockets, summed. */
#include "gate.h"
#include "listener_state.h"

static void
sum_counters(const dtlsl_listener *l, dtlsl__counters *sum)
{
    *sum = l->udp_counters;
    sum->n[DTLSL__N_LIBSSL_OUTDATED] = (uint64_t)dtlsl_libssl_outdated(NULL);
    dtlsl__engine_counters(l->engine, sum);
    if (l->udp != NULL)
        dtlsl__counters_add(sum, dtlsl__udp_counters(l->udp));
    sum->n[DTLSL__N_ISOLATED] = l->n_sockets > 1;
}

uint64_t
dtlsl_listener_counter(const dtlsl_listener *l, const char *name)
{
    dtlsl__counters sum;
    int32_t index;

    if (l == NULL || name == NULL)
        return 0;
    index = dtlsl__counter_find(name);
    if (index < 0)
        return dtlsl_gate_counter(dtlsl__engine_gate(l->engine), name);
    sum_counters(l, &sum);
    return sum.n[index];
}

const char *
dtlsl_listener_counter_name(size_t index)
{
    const dtlsl__counter_info *info = dtlsl__counter_at(index);

    return info == NULL ? NULL : info->name;
}

int32_t
dtlsl_listener_counter_at(const dtlsl_listener *l, size_t index, char *name,
                          size_t name_len, uint64_t *value)
{
    dtlsl__counters sum;

    if (l == NULL || name == NULL || value == NULL)
        return DTLSL_ERR_ARGUMENT;
    sum_counters(l, &sum);
    return dtlsl__counters_at(&sum, dtlsl__gate_counters_more,
                              dtlsl__engine_gate(l->engine), index, name,
                              name_len, value);
}

int32_t
dtlsl_listener_counters(const dtlsl_listener *l, int32_t format, char *buf,
                        size_t buf_len)
{
    dtlsl__counters sum;

    if (l == NULL || buf == NULL)
        return DTLSL_ERR_ARGUMENT;
    sum_counters(l, &sum);
    return dtlsl__counters_text(&sum, dtlsl__gate_counters_more,
                                dtlsl__engine_gate(l->engine), format, buf,
                                buf_len);
}
