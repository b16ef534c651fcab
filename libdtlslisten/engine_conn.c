/* SPDX-License-Identifier: MIT
 * What the application asks of one connection. */
#include "engine_state.h"
#include <string.h>

static void
count(dtlsl__engine *engine, int32_t counter)
{
    engine->counters.n[counter]++;
}

static dtlsl__session *
find(const dtlsl__engine *engine, uint64_t id)
{
    return dtlsl__peers_by_id(&engine->peers, id);
}

/* The conn of an id that is not ending, or NULL. */
static dtlsl__conn *
conn_of(const dtlsl__engine *engine, uint64_t id)
{
    dtlsl__session *session = find(engine, id);

    return session == NULL ? NULL : session->conn;
}

static void
note_busy(dtlsl__engine *engine, dtlsl__session *session)
{
    engine->rooms_due = 0; /* there is none */
    if (session->busy)
        return;
    DL_APPEND2(engine->busy, session, busy_prev, busy_next);
    session->busy = 1;
    session->refused = engine->rooms;
}

int32_t
dtlsl__engine_send(dtlsl__engine *engine, uint64_t conn, const uint8_t *data,
                   size_t len)
{
    dtlsl__session *session = find(engine, conn);
    int32_t n;

    if (session == NULL)
        return DTLSL_ERR_NOCONN;
    if (session->state != DTLSL__OPEN || engine->at_work)
        return DTLSL_ERR_STATE;
    if (len > (size_t)dtlsl__conn_mtu(session->conn))
        return DTLSL_ERR_TOOBIG;
    if (data == NULL || len == 0)
        return DTLSL_ERR_ARGUMENT;
    if (dtlsl__engine_output_low(engine) ||
        dtlsl__conn_wire_len(len) > ARENA - engine->arena_len) {
        note_busy(engine, session);
        return DTLSL_ERR_BUSY;
    }
    dtlsl__engine_speak_for(engine, session);
    engine->at_work = 1;
    n = dtlsl__conn_send(session->conn, data, len);
    engine->at_work = 0;
    dtlsl__engine_note_work(engine, session);
    if (n >= 0)
        count(engine, DTLSL__N_DATA_OUT);
    return n < 0 ? n : DTLSL_OK;
}

int32_t
dtlsl__engine_close(dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__session *session = find(engine, conn);

    if (session == NULL)
        return DTLSL_ERR_NOCONN;
    if (session->state == DTLSL__ENDING || engine->at_work)
        return DTLSL_ERR_STATE;
    if (session->state == DTLSL__VERIFIED && session == engine->accepted) {
        count(engine, DTLSL__N_DROP_HELLO_REFUSED);
        dtlsl__engine_forget(engine, session);
        return DTLSL_OK;
    }
    dtlsl__engine_say_bye(engine, session);
    dtlsl__engine_end(engine, session, DTLSL_CLOSE_LOCAL, "closed here");
    return DTLSL_OK;
}

const dtlsl_path *
dtlsl__engine_path(const dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__session *session = find(engine, conn);

    return session == NULL ? NULL : &session->path;
}

int32_t
dtlsl__engine_mtu(const dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__conn *c = conn_of(engine, conn);

    if (c == NULL)
        return DTLSL_ERR_NOCONN;
    return dtlsl__conn_is_open(c) ? dtlsl__conn_mtu(c) : DTLSL_ERR_STATE;
}

uint64_t *
dtlsl__engine_tag(const dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__session *session = find(engine, conn);

    return session == NULL ? NULL : &session->tag;
}

uint64_t
dtlsl__engine_conn_next(const dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__session *session = engine->peers.by_id;

    /* ids grow, so a connection that is gone has its successors behind it */
    if (conn != 0 && find(engine, conn) != NULL)
        session = find(engine, conn);
    while (session != NULL &&
           (session->id <= conn || session->state == DTLSL__ENDING))
        session = session->by_id.next;
    return session == NULL ? 0 : session->id;
}

int32_t
dtlsl__engine_info(const dtlsl__engine *engine, uint64_t conn,
                   const char *name, char *buf, size_t buf_len)
{
    dtlsl__conn *c = conn_of(engine, conn);

    return c == NULL ? DTLSL_ERR_NOCONN
                     : dtlsl__conn_info(c, name, buf, buf_len);
}

int32_t
dtlsl__engine_peer_certificate(const dtlsl__engine *engine, uint64_t conn,
                               uint8_t *buf, size_t buf_len)
{
    dtlsl__conn *c = conn_of(engine, conn);

    return c == NULL ? DTLSL_ERR_NOCONN
                     : dtlsl__conn_peer_certificate(c, buf, buf_len);
}

int32_t
dtlsl__engine_export(const dtlsl__engine *engine, uint64_t conn,
                     const char *label, const uint8_t *context,
                     size_t context_len, uint8_t *out, size_t out_len)
{
    dtlsl__conn *c = conn_of(engine, conn);

    return c == NULL ? DTLSL_ERR_NOCONN
                     : dtlsl__conn_export(c, label, context, context_len, out,
                                          out_len);
}

int32_t
dtlsl__engine_cookie_age(const dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__session *session = find(engine, conn);

    return session == NULL ? DTLSL_ERR_NOCONN
                           : (int32_t)session->cookie_age_ms;
}

int32_t
dtlsl__engine_cookie_app(const dtlsl__engine *engine, uint64_t conn,
                         uint8_t *buf, size_t buf_len)
{
    dtlsl__session *session = find(engine, conn);

    if (session == NULL)
        return DTLSL_ERR_NOCONN;
    if (session->app_len > buf_len)
        return DTLSL_ERR_SPACE;
    memcpy(buf, session->app, session->app_len);
    return (int32_t)session->app_len;
}

struct ssl_st *
dtlsl__engine_ssl(const dtlsl__engine *engine, uint64_t conn)
{
    dtlsl__conn *c = conn_of(engine, conn);

    return c == NULL ? NULL : dtlsl__conn_ssl(c);
}
