/* SPDX-License-Identifier: MIT
 * The server without I/O. The only place where gate and conn meet: a known
 * address goes to its connection, an epoch-0 ClientHello to the gate, an
 * accepted one becomes a connection. */
#include "engine_state.h"
#include "address.h"
#include "gate.h"
#include "hello.h"
#include "tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
count(dtlsl__engine *engine, int32_t counter)
{
    engine->counters.n[counter]++;
}

/* Events */

static const dtlsl_event *
say(dtlsl__engine *engine, int32_t type, const dtlsl__session *session,
    const uint8_t *data, size_t len)
{
    dtlsl_event *event = &engine->event;

    memset(event, 0, sizeof(*event));
    event->size = sizeof(*event);
    event->type = type;
    event->data = data == NULL ? engine->plain : data;
    event->len = (uint32_t)len;
    if (session != NULL) {
        event->conn = session->id;
        event->tag = session->tag;
        event->status = session->status;
    }
    return event;
}

/* Ends a session: off the path and out of the counts now; its last event
 * comes with engine_next. */
void
dtlsl__engine_end(dtlsl__engine *engine, dtlsl__session *session,
                  int32_t status, const char *text)
{
    if (session->state == DTLSL__ENDING)
        return;
    if (session->conn != NULL && dtlsl__conn_progressed(session->conn))
        dtlsl__peers_spend(&engine->peers, session, engine->now.mono_ms);
    session->status = status;
    session->text = strdup(text);
    if (engine->accepted == session)
        engine->accepted = NULL;
    if (engine->opening == session)
        engine->opening = NULL;
    if (engine->target == session)
        engine->target = session->successor;
    for (int i = 0; i < 2; i++)
        if (engine->step[i] == session)
            engine->step[i] = NULL;
    if (session->busy)
        DL_DELETE2(engine->busy, session, busy_prev, busy_next);
    session->busy = 0;
    dtlsl__peers_detach(&engine->peers, session);
    dtlsl__conn_free(session->conn);
    session->conn = NULL;
    DL_APPEND2(engine->ending, session, end_prev, end_next);
}

static const char *
with_alert(const dtlsl__session *session, const char *text, char *buf,
           size_t len)
{
    if (session->conn == NULL || dtlsl__conn_is_open(session->conn) ||
        !dtlsl__conn_alerted(session->conn))
        return text;
    snprintf(buf, len, "%s (alert %s seen)", text,
             dtlsl__conn_alert_text(session->conn));
    return buf;
}

void
dtlsl__engine_give_up(dtlsl__engine *engine, dtlsl__session *session,
                      int32_t status, const char *text)
{
    char buf[DTLSL__TEXT_MAX];

    dtlsl__engine_end(engine, session, status,
                      with_alert(session, text, buf, sizeof(buf)));
}

void
dtlsl__engine_say_bye(dtlsl__engine *engine, const dtlsl__session *session)
{
    if (session->conn == NULL)
        return;
    dtlsl__engine_speak_for(engine, session);
    engine->at_work = 1;
    dtlsl__conn_close_notify(session->conn);
    engine->at_work = 0;
}

static const dtlsl_event *
tell_end(dtlsl__engine *engine)
{
    dtlsl__session *session = engine->ending;
    const char *text = session->text == NULL ? "" : session->text;

    DL_DELETE2(engine->ending, session, end_prev, end_next);
    engine->told = session;
    count(engine, session->told_open ? DTLSL__N_CLOSED : DTLSL__N_FAILED);
    return say(engine,
               session->told_open ? DTLSL_EVENT_CLOSE : DTLSL_EVENT_FAILED,
               session, (const uint8_t *)text, strlen(text));
}

/* Accepting */

static dtlsl__session *
add_session(dtlsl__engine *engine, const dtlsl__datagram *datagram,
            const dtlsl_verdict *verdict, const dtlsl__hello *hello,
            const uint8_t id[DTLSL_HELLO_ID_LEN])
{
    dtlsl__session *old = dtlsl__peers_find(&engine->peers, &datagram->path);
    dtlsl__session *session;
    dtlsl__session *gone = dtlsl__engine_replaced(engine, old);

    if (gone != NULL) {
        if (gone->state == DTLSL__OPEN)
            count(engine, DTLSL__N_REPLACED);
        /* a late copy of its ClientHello must not replace the newer one */
        dtlsl__peers_spend(&engine->peers, gone, engine->now.mono_ms);
        dtlsl__engine_give_up(engine, gone, DTLSL_CLOSE_REPLACED,
                              "a newer handshake of the peer");
    }
    if (gone == old)
        old = NULL;
    session = dtlsl__peers_add(&engine->peers, &datagram->path, old,
                               verdict->app_len, engine->now.mono_ms);
    if (session == NULL)
        return NULL;
    session->hello_seq = hello->record_seq;
    session->cookie_age_ms = verdict->age_ms;
    memcpy(session->app, verdict->app, verdict->app_len);
    memcpy(session->hello_id, id, DTLSL_HELLO_ID_LEN);
    dtlsl__engine_schedule(engine, session);
    return session;
}

static void
accept_hello(dtlsl__engine *engine, const dtlsl__datagram *datagram,
             const dtlsl_verdict *verdict, const dtlsl__hello *hello)
{
    uint8_t id[DTLSL_HELLO_ID_LEN];
    int32_t refused;

    if (dtlsl_hello_id(datagram->data, datagram->len, id) < 0) {
        count(engine, DTLSL__N_DROP_NOMEM);
        return;
    }
    if (dtlsl__peers_spent(&engine->peers, &datagram->path, id)) {
        count(engine, DTLSL__N_DROP_REPLAYED);
        return;
    }
    refused = dtlsl__engine_limit(engine, &datagram->path);
    if (refused != 0) {
        count(engine, refused);
        return;
    }
    engine->accepted = add_session(engine, datagram, verdict, hello, id);
    if (engine->accepted == NULL) {
        count(engine, DTLSL__N_DROP_NOMEM);
        return;
    }
    engine->hello = datagram->data;
    engine->hello_len = verdict->record_len;
    engine->rest = datagram->data + verdict->record_len;
    engine->rest_len = datagram->len - verdict->record_len;
}

/* A session that no event has told of is simply taken back. */
void
dtlsl__engine_forget(dtlsl__engine *engine, dtlsl__session *session)
{
    dtlsl__engine_end(engine, session, DTLSL_CLOSE_NOMEM, "");
    DL_DELETE2(engine->ending, session, end_prev, end_next);
    dtlsl__peers_remove(&engine->peers, session);
    engine->rest_len = 0;
}

/* How firm it stands among those that may have to make room. */
static void
note_mark(dtlsl__engine *engine, dtlsl__session *session)
{
    int32_t mark = DTLSL__FIRM;

    if (session->state != DTLSL__HALF_OPEN)
        return;
    if (dtlsl__conn_alerted(session->conn))
        mark = DTLSL__ALERTED;
    else if (dtlsl__conn_hello_incomplete(session->conn))
        mark = DTLSL__INCOMPLETE;
    dtlsl__peers_mark(&engine->peers, session, mark);
}

static void
cannot_start(dtlsl__engine *engine, dtlsl__session *session, int32_t err)
{
    engine->rest_len = 0;
    if (session->told_hello)
        dtlsl__engine_end(engine, session,
                          err == DTLSL_ERR_NOMEM ? DTLSL_CLOSE_NOMEM
                                                 : DTLSL_CLOSE_TLS,
                          "OpenSSL did not take the ClientHello");
    else
        dtlsl__engine_forget(engine, session);
}

static void
start_session(dtlsl__engine *engine)
{
    dtlsl__session *session = engine->accepted;
    dtlsl__conn_host host = {dtlsl__engine_reserve,
                             engine,
                             &engine->counters,
                             engine->scratch,
                             engine->listener,
                             session->id,
                             (int)engine->settings->encrypt_then_mac};
    uint32_t overhead = dtlsl__address_is_v4(session->path.peer) ? 28 : 48;
    int32_t err;

    engine->accepted = NULL;
    session->state = DTLSL__HALF_OPEN;
    dtlsl__engine_speak_for(engine, session);
    engine->at_work = 1;
    err = dtlsl__conn_new(&session->conn, &host, engine->ssl_ctx,
                          engine->settings->mtu, overhead, engine->hello,
                          engine->hello_len);
    engine->at_work = 0;
    if (err < 0) {
        count(engine, DTLSL__N_DROP_NOMEM);
        cannot_start(engine, session, err);
        return;
    }
    count(engine, DTLSL__N_ACCEPTED);
    engine->target = dtlsl__peers_find(&engine->peers, &session->path);
    engine->delivered = 1; /* its outcome is told */
    engine->step[0] = session;
    note_mark(engine, session);
    dtlsl__engine_note_timer(engine, session);
}

/* Routing */

static void
judge(dtlsl__engine *engine, const dtlsl__datagram *datagram,
      const dtlsl__hello *hello)
{
    dtlsl_verdict verdict;
    dtlsl__hello own;
    uint8_t *room;

    engine->out_path = &datagram->path;
    engine->out_socket = datagram->socket;
    room = dtlsl__engine_output_stuck(engine)
               ? NULL
               : dtlsl__engine_reserve(engine, DTLSL_REPLY_MAX);
    verdict.size = sizeof(verdict);
    verdict.reply = room != NULL ? room : engine->scratch;
    verdict.reply_cap = DTLSL_REPLY_MAX;
    dtlsl__gate_judge(engine->gate, &datagram->path, datagram->data,
                      datagram->len, &engine->now, &verdict);
    if (room != NULL)
        dtlsl__engine_trim(
            engine, verdict.action == DTLSL_REPLY ? verdict.reply_len : 0);
    else if (verdict.action == DTLSL_REPLY)
        dtlsl__engine_put_aside(engine, verdict.reply_len);
    if (verdict.action != DTLSL_ACCEPT)
        return;
    if (hello == NULL) {
        dtlsl__hello_read(&own, datagram->data, datagram->len);
        hello = &own;
    }
    accept_hello(engine, datagram, &verdict, hello);
}

static int
is_copy(dtlsl__session *session, const dtlsl__hello *hello,
        const uint8_t id[DTLSL_HELLO_ID_LEN])
{
    if (session == NULL ||
        memcmp(session->hello_id, id, DTLSL_HELLO_ID_LEN) != 0)
        return 0;
    if (hello->record_seq > session->hello_seq &&
        hello->record_seq - session->hello_seq <= RESTART_WINDOW)
        session->hello_seq = hello->record_seq;
    return 1;
}

static int
lacks_fragments(const dtlsl__session *session)
{
    return session != NULL && session->conn != NULL &&
           dtlsl__conn_hello_incomplete(session->conn);
}

/* A reflected HelloVerifyRequest with a huge record number would end the
 * honest client's handshake. */
static int
runs_ahead(const dtlsl__session *session, const dtlsl__hello *hello)
{
    return session != NULL && session->state != DTLSL__OPEN &&
           hello->record_seq > session->hello_seq + RESTART_WINDOW;
}

/* A ClientHello on a known path (RFC 6347 section 4.2.8). Returns 1 when it is
 * a fragment for a handshake under way, the first one once more included. */
static int
hello_on_path(dtlsl__engine *engine, const dtlsl__datagram *datagram,
              dtlsl__session *session)
{
    uint8_t id[DTLSL_HELLO_ID_LEN];
    dtlsl__hello hello;
    int32_t reason = dtlsl__hello_read(&hello, datagram->data, datagram->len);

    if (reason == DTLSL_REASON_DROP_FRAGMENT)
        return 1;
    if (reason != DTLSL_REASON_NONE) {
        judge(engine, datagram, NULL);
        return 0;
    }
    if (hello.cookie_len > 0 &&
        dtlsl_hello_id(datagram->data, datagram->len, id) >= 0) {
        dtlsl__session *copied = is_copy(session, &hello, id) ? session
                                 : is_copy(session->successor, &hello, id)
                                     ? session->successor
                                     : NULL;
        if (lacks_fragments(copied))
            return 1; /* this one may be longer than the accepted one */
        if (copied != NULL) {
            count(engine, DTLSL__N_DROP_DUPLICATE);
            return 0;
        }
    }
    if (runs_ahead(session, &hello) ||
        runs_ahead(session->successor, &hello)) {
        count(engine, DTLSL__N_DROP_RECORD_SEQ);
        return 0;
    }
    judge(engine, datagram, &hello);
    return 0;
}

/* A first ClientHello is answered alike on any path, but for one whose number
 * may run ahead of a handshake under way: nobody is looked up for it, so that
 * a flood costs the same however many sessions there are. */
static int
is_answered_alike(const dtlsl__datagram *datagram)
{
    dtlsl__record record;
    dtlsl__message message;

    return dtlsl__record_read(&record, datagram->data, datagram->len) > 0 &&
           record.type == DTLSL__HANDSHAKE && record.epoch == 0 &&
           record.seq <= RESTART_WINDOW &&
           dtlsl__message_read(&message, record.body, record.len) > 0 &&
           message.type == DTLSL__CLIENT_HELLO && message.seq == 0 &&
           message.offset == 0;
}

void
dtlsl__engine_input(dtlsl__engine *engine, const dtlsl__datagram *datagram)
{
    dtlsl__session *session;

    count(engine, DTLSL__N_RECEIVED);
    engine->rest_len = 0;
    engine->delivered = 0;
    engine->aside.len = 0;
    if (datagram->len == 0 || datagram->truncated) {
        count(engine, datagram->truncated ? DTLSL__N_DROP_TRUNCATED
                                          : DTLSL__N_DROP_EMPTY);
        return;
    }
    if (!engine->stopping && is_answered_alike(datagram)) {
        judge(engine, datagram, NULL);
        return;
    }
    session = dtlsl__peers_find(&engine->peers, &datagram->path);
    if (session == NULL) {
        if (engine->stopping)
            count(engine, DTLSL__N_DROP_STOPPING);
        else
            judge(engine, datagram, NULL);
        return;
    }
    if (dtlsl_is_client_hello(datagram->data, datagram->len) &&
        !hello_on_path(engine, datagram, session))
        return;
    engine->target = session;
    engine->rest = datagram->data;
    engine->rest_len = datagram->len;
}

/* Who gets a record, RFC 6347 section 4.2.8: epoch 0 is the new handshake's;
 * later epochs are the old session's until the new one changed its cipher,
 * then they are shown to both, the new one first. */
static void
route(dtlsl__engine *engine, const dtlsl__record *record)
{
    dtlsl__session *old = engine->target, *fresh = old->successor;
    int fed = 0;

    if (fresh != NULL && fresh->conn != NULL &&
        (record->epoch == 0 || dtlsl__conn_change_seen(fresh->conn)))
        engine->step[0] = fresh;
    if (fresh == NULL || fresh->conn == NULL || record->epoch != 0)
        engine->step[1] = old;
    for (int i = 0; i < 2; i++) {
        dtlsl__session *session = engine->step[i];
        if (session == NULL)
            continue;
        if (session->conn != NULL && dtlsl__conn_feed(session->conn, record)) {
            fed = 1;
            continue;
        }
        engine->step[i] = NULL;
        if (session->conn != NULL)
            note_mark(engine, session);
    }
    if (fed && !engine->delivered) {
        engine->delivered = 1;
        count(engine, DTLSL__N_DELIVERED);
    }
}

static void
next_record(dtlsl__engine *engine)
{
    dtlsl__record record;
    int32_t n = dtlsl__record_read(&record, engine->rest, engine->rest_len);

    if (engine->target == NULL || n <= 0) {
        if (n <= 0)
            count(engine, DTLSL__N_RECORDS_FILTERED);
        engine->rest_len = 0;
    } else {
        engine->rest += n;
        engine->rest_len -= (size_t)n;
        route(engine, &record);
    }
    if (engine->rest_len == 0 && !engine->delivered) {
        engine->delivered = 1;
        count(engine, DTLSL__N_DROP_FILTERED);
    }
}

/* The new handshake is finished: the old association ends first. */
static void
opened(dtlsl__engine *engine, dtlsl__session *session)
{
    dtlsl__session *old = session->predecessor;

    count(engine, DTLSL__N_OPENED);
    dtlsl__peers_opened(&engine->peers, session);
    session->idle_ms = engine->now.mono_ms;
    engine->opening = session;
    if (old != NULL) {
        count(engine, DTLSL__N_REPLACED);
        dtlsl__engine_end(engine, old, DTLSL_CLOSE_REPLACED,
                          "the peer made a new handshake");
    }
    dtlsl__engine_schedule(engine, session);
}

/* A connection that rests already was shown nothing genuine. */
void
dtlsl__engine_note_work(dtlsl__engine *engine, dtlsl__session *session)
{
    dtlsl__session *last;

    if (dtlsl__conn_rests(session->conn)) {
        dtlsl__peers_cool(&engine->peers, session);
        return;
    }
    last = dtlsl__peers_warm(&engine->peers, session);
    if (last != NULL)
        dtlsl__conn_rest(last->conn);
}

static const dtlsl_event *
take_step(dtlsl__engine *engine, int i)
{
    dtlsl__session *session = engine->step[i];
    size_t len;
    int32_t step;

    dtlsl__engine_speak_for(engine, session);
    engine->at_work = 1;
    step = dtlsl__conn_step(session->conn, engine->plain, PLAIN, &len);
    engine->at_work = 0;
    switch (step) {
    case DTLSL__STEP_OPEN:
        opened(engine, session);
        return NULL;
    case DTLSL__STEP_DATA:
        session->idle_ms = engine->now.mono_ms;
        count(engine, DTLSL__N_DATA_IN);
        return say(engine, DTLSL_EVENT_DATA, session, engine->plain, len);
    case DTLSL__STEP_END:
        if (dtlsl__conn_status(session->conn) == DTLSL_CLOSE_PEER)
            dtlsl__engine_say_bye(engine, session);
        dtlsl__engine_end(engine, session, dtlsl__conn_status(session->conn),
                          dtlsl__conn_text(session->conn));
        return NULL;
    default:
        engine->step[i] = NULL;
        if (session->state == DTLSL__OPEN) {
            dtlsl__engine_note_work(engine, session);
        } else {
            note_mark(engine, session);
            dtlsl__engine_note_timer(engine, session);
        }
        return NULL;
    }
}

static const dtlsl_event *
tell_writable(dtlsl__engine *engine)
{
    dtlsl__session *session = engine->busy;

    DL_DELETE2(engine->busy, session, busy_prev, busy_next);
    session->busy = 0;
    return say(engine, DTLSL_EVENT_WRITABLE, session, NULL, 0);
}

static const dtlsl_event *
tell_notice(dtlsl__engine *engine)
{
    size_t len = strlen(engine->notice[0]);

    memcpy(engine->plain, engine->notice[0], len + 1);
    engine->n_notices--;
    memmove(engine->notice[0], engine->notice[1],
            engine->n_notices * sizeof(engine->notice[0]));
    return say(engine, DTLSL_EVENT_NOTICE, NULL, engine->plain, len);
}

/* One connection at a time, so that a full arena can be sent in between. */
static void
stop_one(dtlsl__engine *engine)
{
    dtlsl__session *session = engine->peers.by_id;

    while (session != NULL && session->state == DTLSL__ENDING)
        session = session->by_id.next;
    if (session == NULL) {
        engine->stopped = 1;
        return;
    }
    dtlsl__engine_say_bye(engine, session);
    dtlsl__engine_end(engine, session, DTLSL_CLOSE_STOPPED,
                      "the listener stops");
}

static int
in_progress(const dtlsl__engine *engine)
{
    return engine->rest_len > 0 || engine->accepted != NULL ||
           engine->step[0] != NULL || engine->step[1] != NULL ||
           engine->opening != NULL;
}

/* HELLO is said once, then the session leaves the state VERIFIED. */
static const dtlsl_event *
begin_session(dtlsl__engine *engine)
{
    dtlsl__session *session = engine->accepted;

    if (engine->settings->events_hello && !session->told_hello) {
        session->told_hello = 1;
        return say(engine, DTLSL_EVENT_HELLO, session, NULL, 0);
    }
    start_session(engine);
    return NULL;
}

/* One move of the datagram in progress. */
static const dtlsl_event *
progress(dtlsl__engine *engine)
{
    dtlsl__session *session;

    if (engine->opening != NULL) {
        session = engine->opening;
        engine->opening = NULL;
        session->told_open = 1;
        return say(engine, DTLSL_EVENT_OPEN, session, NULL, 0);
    }
    if (engine->accepted != NULL)
        return begin_session(engine);
    if (engine->step[0] != NULL)
        return take_step(engine, 0);
    if (engine->step[1] != NULL)
        return take_step(engine, 1);
    next_record(engine);
    return NULL;
}

const dtlsl_event *
dtlsl__engine_next(dtlsl__engine *engine)
{
    const dtlsl_event *event;

    if (engine->told != NULL)
        dtlsl__peers_remove(&engine->peers, engine->told);
    engine->told = NULL;
    for (;;) {
        if (engine->ending != NULL)
            return tell_end(engine);
        if (in_progress(engine)) {
            event = progress(engine);
            if (event != NULL)
                return event;
            continue;
        }
        if (engine->stopping == 1) {
            if (dtlsl__engine_output_low(engine))
                return NULL;
            stop_one(engine);
            if (!engine->stopped)
                continue;
            engine->stopping = 2;
            return say(engine, DTLSL_EVENT_STOPPED, NULL, NULL, 0);
        }
        if (dtlsl__engine_owes_writable(engine))
            return tell_writable(engine);
        return engine->n_notices > 0 ? tell_notice(engine) : NULL;
    }
}

uint32_t
dtlsl__engine_accepts(const dtlsl__engine *engine)
{
    return ACCEPTS - engine->accepts;
}

static int
has_work(const dtlsl__engine *engine)
{
    return engine->ending != NULL || in_progress(engine) ||
           engine->stopping == 1 || engine->n_notices > 0;
}

int
dtlsl__engine_pending(const dtlsl__engine *engine)
{
    return has_work(engine) || dtlsl__engine_owes_writable(engine);
}

int
dtlsl__engine_only_writable(const dtlsl__engine *engine)
{
    return !has_work(engine) && dtlsl__engine_owes_writable(engine);
}

/* Life */

static void
log_notice(void *ctx, int32_t level, const char *text)
{
    (void)level;
    dtlsl__engine_notice(ctx, text);
}

int32_t
dtlsl__engine_new(dtlsl__engine **out, dtlsl_config *config,
                  dtlsl_listener *listener, const dtlsl_now *now)
{
    dtlsl__engine *engine = calloc(1, sizeof(*engine));
    int32_t err;

    if (engine == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_NOMEM, "out of memory");
    engine->settings = dtlsl__config_settings(config);
    err =
        dtlsl__peers_init(&engine->peers, engine->settings->max_handshakes,
                          dtlsl__config_cookie_life_ms(config), now->mono_ms);
    if (err < 0) {
        free(engine);
        return dtlsl__config_fail(config, err, "%s", dtlsl_strerror(err));
    }
    engine->listener = listener;
    engine->now = *now;
    err = dtlsl__config_ssl_ctx(config, &engine->ssl_ctx);
    if (err >= 0)
        err = dtlsl__gate_new(&engine->gate, config, now);
    if (err < 0) {
        dtlsl__engine_free(engine);
        return err;
    }
    engine->config = config;
    dtlsl__config_ref(config); /* which freezes it: not before all is well */
    dtlsl__chain_set_log(dtlsl__gate_chain(engine->gate), log_notice, engine);
    dtlsl_gate_tick(engine->gate, now, &engine->gate_ms);
    *out = engine;
    return DTLSL_OK;
}

void
dtlsl__engine_free(dtlsl__engine *engine)
{
    dtlsl__session *session, *next;

    if (engine == NULL)
        return;
    dtlsl_gate_free(engine->gate);
    HASH_ITER(by_id, engine->peers.by_id, session, next)
    {
        if (session->state != DTLSL__ENDING) {
            dtlsl__conn_free(session->conn);
            dtlsl__peers_detach(&engine->peers, session);
        }
        dtlsl__peers_remove(&engine->peers, session);
    }
    dtlsl__peers_done(&engine->peers);
    dtlsl__tls_ctx_free(engine->ssl_ctx);
    dtlsl__config_unref(engine->config);
    free(engine);
}

void
dtlsl__engine_stop(dtlsl__engine *engine)
{
    if (engine->stopping == 0)
        engine->stopping = 1;
}

void
dtlsl__engine_reload(dtlsl__engine *engine)
{
    struct ssl_ctx_st *ctx;

    if (dtlsl__config_ssl_ctx(engine->config, &ctx) < 0)
        return;
    dtlsl__tls_ctx_free(engine->ssl_ctx);
    engine->ssl_ctx = ctx;
}

void
dtlsl__engine_notice(dtlsl__engine *engine, const char *text)
{
    if (!engine->settings->events_notice)
        return;
    if (engine->now.mono_ms >= engine->notice_ms + NOTICE_MS) {
        engine->notice_ms = engine->now.mono_ms;
        engine->notices_said = 0;
    }
    if (engine->n_notices == NOTICES || engine->notices_said == NOTICES) {
        count(engine, DTLSL__N_NOTICES_DROPPED);
        return;
    }
    engine->notices_said++;
    snprintf(engine->notice[engine->n_notices++], DTLSL__TEXT_MAX, "%s", text);
}

void
dtlsl__engine_counters(const dtlsl__engine *engine, dtlsl__counters *sum)
{
    dtlsl__counters_add(sum, dtlsl__gate_counters(engine->gate));
    dtlsl__counters_add(sum, &engine->counters);
    sum->n[DTLSL__N_HANDSHAKES] += engine->peers.n_half_open;
    sum->n[DTLSL__N_CONNS] +=
        engine->peers.n_sessions - engine->peers.n_half_open;
}

const dtlsl_gate *
dtlsl__engine_gate(const dtlsl__engine *engine)
{
    return engine->gate;
}
