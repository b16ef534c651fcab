/* SPDX-License-Identifier: MIT
 * The datagrams to send: one contiguous arena and a list. */
#include "engine_state.h"
#include <string.h>

uint8_t *
dtlsl__engine_reserve(void *ctx, size_t len)
{
    dtlsl__engine *engine = ctx;
    dtlsl__output *output;

    if (engine->n_outputs == OUTPUTS || len > ARENA - engine->arena_len ||
        engine->out_path == NULL)
        return NULL;
    output = &engine->outputs[engine->n_outputs++];
    output->offset = (uint32_t)engine->arena_len;
    output->len = (uint32_t)len;
    output->socket = engine->out_socket;
    output->path = *engine->out_path;
    engine->arena_len += len;
    return engine->arena + output->offset;
}

void
dtlsl__engine_trim(dtlsl__engine *engine, size_t len)
{
    dtlsl__output *output = &engine->outputs[engine->n_outputs - 1];

    output->len = (uint32_t)len;
    engine->arena_len = output->offset + len;
    if (len == 0)
        engine->n_outputs--;
}

void
dtlsl__engine_speak_for(dtlsl__engine *engine, const dtlsl__session *session)
{
    engine->out_path = &session->path;
    engine->out_socket = DTLSL__SESSIONS;
}

int
dtlsl__engine_output_low(const dtlsl__engine *engine)
{
    return engine->n_outputs > OUTPUTS - FLIGHT_DATAGRAMS ||
           engine->arena_len > ARENA - FLIGHT;
}

int
dtlsl__engine_output_stuck(const dtlsl__engine *engine)
{
    return engine->stuck || dtlsl__engine_output_low(engine);
}

size_t
dtlsl__engine_output(const dtlsl__engine *engine, const dtlsl__output **list,
                     const uint8_t **arena)
{
    *list = engine->outputs + engine->first_output;
    *arena = engine->arena;
    return engine->n_outputs - engine->first_output;
}

void
dtlsl__engine_set_sorted(dtlsl__engine *engine, int sorted)
{
    engine->sorted = sorted;
}

/* A reply of so many bytes in 'scratch', for which there is no room. */
void
dtlsl__engine_put_aside(dtlsl__engine *engine, size_t len)
{
    if (!engine->sorted || engine->out_socket == DTLSL__SESSIONS) {
        engine->counters.n[DTLSL__N_SEND_DROPPED]++;
        return;
    }
    engine->aside.len = (uint32_t)len;
    engine->aside.socket = engine->out_socket;
    engine->aside.path = *engine->out_path;
}

const dtlsl__output *
dtlsl__engine_aside(const dtlsl__engine *engine, const uint8_t **arena)
{
    *arena = engine->scratch;
    return engine->aside.len > 0 ? &engine->aside : NULL;
}

/* Moves what is left to the front, so that room is one piece. */
static void
compact(dtlsl__engine *engine)
{
    size_t n = engine->n_outputs - engine->first_output;
    uint32_t start = n == 0 ? 0 : engine->outputs[engine->first_output].offset;

    if (n > 0) {
        memmove(engine->outputs, engine->outputs + engine->first_output,
                n * sizeof(engine->outputs[0]));
        memmove(engine->arena, engine->arena + start,
                engine->arena_len - start);
    }
    for (size_t i = 0; i < n; i++)
        engine->outputs[i].offset -= start;
    engine->arena_len = n == 0 ? 0 : engine->arena_len - start;
    engine->n_outputs = n;
    engine->first_output = 0;
}

/* Who sends whenever there is room on a path that always takes it must not
 * keep the rest of a wake-up from coming. */
static void
tell_room(dtlsl__engine *engine)
{
    if (engine->busy != NULL && engine->rooms_now++ >= ROOMS) {
        engine->rooms_due = 1;
        return;
    }
    engine->rooms++;
}

void
dtlsl__engine_output_sent(dtlsl__engine *engine, size_t n)
{
    engine->first_output += n;
    engine->stuck = engine->first_output < engine->n_outputs;
    if (engine->first_output == engine->n_outputs ||
        dtlsl__engine_output_low(engine))
        compact(engine);
    if (dtlsl__engine_output_low(engine))
        engine->rooms_due = 0;
    else
        tell_room(engine);
}

int
dtlsl__engine_writable_due(const dtlsl__engine *engine)
{
    return engine->busy != NULL && engine->rooms_due;
}

int
dtlsl__engine_owes_writable(const dtlsl__engine *engine)
{
    return engine->busy != NULL && engine->busy->refused < engine->rooms;
}
