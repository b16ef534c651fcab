/* SPDX-License-Identifier: MIT
 * Who may have a session. */
#include "engine_state.h"

/* With encrypt-then-MAC a record of the one would end the other. */
dtlsl__session *
dtlsl__engine_replaced(const dtlsl__engine *engine, dtlsl__session *old)
{
    if (old == NULL || old->successor != NULL)
        return old == NULL ? NULL : old->successor;
    return old->state != DTLSL__OPEN || engine->settings->encrypt_then_mac
               ? old
               : NULL;
}

/* Accepting faster than clients can answer would drive out all of them, and
 * sooner the faster it is. Who is marked will hardly answer. */
static int
may_still_answer(const dtlsl__engine *engine, const dtlsl__session *session)
{
    return session->mark == DTLSL__FIRM &&
           engine->now.mono_ms < session->created_ms + ANSWER_MS;
}

/* Whom to evict, or NULL: all may still answer. Where that holds for the most
 * crowded prefix, it is whoever had most time: else two connections of one
 * address, begun anew again and again, would keep out everybody. */
static dtlsl__session *
victim_of(const dtlsl__engine *engine)
{
    dtlsl__session *victim = dtlsl__peers_victim(&engine->peers);

    if (victim != NULL && may_still_answer(engine, victim))
        victim = dtlsl__peers_firmest(&engine->peers);
    return victim == NULL || may_still_answer(engine, victim) ? NULL : victim;
}

/* Makes room for one more half-open session. */
static int32_t
make_room(dtlsl__engine *engine)
{
    dtlsl__session *victim;

    if (engine->peers.n_half_open < engine->settings->max_handshakes)
        return 0;
    victim = victim_of(engine);
    if (victim == NULL || victim->conn == NULL)
        return DTLSL__N_DROP_MAX_HANDSHAKES;
    engine->counters.n[DTLSL__N_EVICTED]++;
    dtlsl__engine_give_up(engine, victim, DTLSL_CLOSE_EVICTED,
                          "made room for another");
    return 0;
}

int32_t
dtlsl__engine_limit(dtlsl__engine *engine, const dtlsl_path *path)
{
    dtlsl__session *old = dtlsl__peers_find(&engine->peers, path);
    const dtlsl__settings *settings = engine->settings;
    const dtlsl__session *gone = dtlsl__engine_replaced(engine, old);
    int replaces = gone != NULL && gone->state != DTLSL__OPEN;
    int32_t refused = 0;

    if (engine->stopping)
        return DTLSL__N_DROP_STOPPING;
    if (old == NULL && engine->peers.n_sessions >= settings->max_conns)
        return DTLSL__N_DROP_MAX_CONNS;
    if (!replaces)
        refused = dtlsl__peers_refuses(&engine->peers, path->peer, settings,
                                       old != NULL);
    if (refused != 0)
        return refused;
    if (engine->accepts >= ACCEPTS ||
        (replaces && engine->replacements >= REPLACEMENTS))
        return DTLSL__N_DROP_RATION;
    if (!replaces)
        refused = make_room(engine);
    if (refused != 0)
        return refused;
    engine->accepts++;
    engine->replacements += (uint32_t)replaces;
    return 0;
}
