/* SPDX-License-Identifier: MIT
 * When a session is due, and what happens then. */
#include "engine_state.h"
#include "gate.h"

void
dtlsl__engine_schedule(dtlsl__engine *engine, dtlsl__session *session)
{
    uint64_t due = UINT64_MAX;
    const dtlsl__settings *settings = engine->settings;

    if (session->state == DTLSL__OPEN) {
        if (settings->idle_timeout_ms != 0)
            due = session->idle_ms + settings->idle_timeout_ms;
    } else {
        due = session->created_ms + settings->handshake_timeout_ms;
        if (session->conn != NULL &&
            dtlsl__conn_hello_incomplete(session->conn) &&
            due > session->created_ms + HELLO_MS)
            due = session->created_ms + HELLO_MS;
        if (session->retransmit_ms < due)
            due = session->retransmit_ms;
    }
    dtlsl__peers_schedule(&engine->peers, session, due);
}

void
dtlsl__engine_note_timer(dtlsl__engine *engine, dtlsl__session *session)
{
    int64_t left = dtlsl__conn_timeout(session->conn);

    session->retransmit_ms =
        left < 0 ? UINT64_MAX
                 : engine->now.mono_ms + (left < 1 ? 1 : (uint64_t)left);
    dtlsl__engine_schedule(engine, session);
}

void
dtlsl__engine_begin(dtlsl__engine *engine, const dtlsl_now *now)
{
    engine->now = *now;
    engine->accepts = engine->replacements = 0;
    engine->rooms += (uint64_t)engine->rooms_due;
    engine->rooms_now = (uint32_t)engine->rooms_due;
    engine->rooms_due = 0;
}

uint64_t
dtlsl__engine_deadline(const dtlsl__engine *engine)
{
    const dtlsl__session *session = dtlsl__peers_next_due(&engine->peers);

    if (session != NULL && session->heap_ms < engine->gate_ms)
        return session->heap_ms;
    return engine->gate_ms;
}

static void
expire_session(dtlsl__engine *engine, dtlsl__session *session)
{
    uint64_t now = engine->now.mono_ms;
    const dtlsl__settings *settings = engine->settings;
    int32_t err;

    if (session->state == DTLSL__OPEN) {
        if (now < session->idle_ms + settings->idle_timeout_ms) {
            dtlsl__engine_schedule(engine, session);
            return;
        }
        dtlsl__engine_say_bye(engine, session);
        dtlsl__engine_end(engine, session, DTLSL_CLOSE_IDLE,
                          "idle for too long");
        return;
    }
    if (session->state == DTLSL__VERIFIED) {
        /* the application still thinks about its HELLO */
        dtlsl__peers_schedule(&engine->peers, session,
                              now + settings->handshake_timeout_ms);
        return;
    }
    if (session->retransmit_ms > now ||
        now >= session->created_ms + settings->handshake_timeout_ms) {
        dtlsl__engine_give_up(engine, session, DTLSL_CLOSE_TIMEOUT,
                              "no Finished within the handshake timeout");
        return;
    }
    dtlsl__engine_speak_for(engine, session);
    engine->at_work = 1;
    err = dtlsl__conn_retransmit(session->conn);
    engine->at_work = 0;
    if (err < 0) {
        dtlsl__engine_end(engine, session, dtlsl__conn_status(session->conn),
                          dtlsl__conn_text(session->conn));
        return;
    }
    dtlsl__engine_note_timer(engine, session);
}

void
dtlsl__engine_expire(dtlsl__engine *engine)
{
    dtlsl__session *session;

    if (engine->gate_ms <= engine->now.mono_ms)
        dtlsl_gate_tick(engine->gate, &engine->now, &engine->gate_ms);
    /* what finds no room now is due as soon as there is */
    while (!dtlsl__engine_output_low(engine) &&
           (session = dtlsl__peers_next_due(&engine->peers)) != NULL &&
           session->heap_ms <= engine->now.mono_ms)
        expire_session(engine, session);
}
