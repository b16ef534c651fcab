/* SPDX-License-Identifier: MIT
 * The server without I/O: datagrams and time in; datagrams, events and the
 * next deadline out. Used by one thread.
 *
 * The order of calls, which the listener and the simulation keep:
 *
 *     engine_begin(now)                 once per wake-up
 *     for each datagram:
 *         engine_input(datagram); send engine_aside()
 *         while ((event = engine_next())) deliver(event)
 *         if engine_output_low(): send and engine_output_sent()
 *     engine_expire(); events again     when the deadline has come
 *     send engine_output(), engine_output_sent()
 *
 * The datagram must stay valid until engine_next() has said NULL. Any engine
 * function may be called between two engine_next(). */
#ifndef DTLSL_ENGINE_H
#define DTLSL_ENGINE_H

#include "config.h"
#include "counters.h"
#include <dtlslisten/dtlslisten.h>

typedef struct dtlsl__engine dtlsl__engine;

/* The classes of datagrams; with isolate each has a socket. */
enum {
    DTLSL__STRANGERS = 0, /* first ClientHellos, and what nobody can place */
    DTLSL__VERIFYING = 1, /* second ones, with all their fragments */
    DTLSL__SESSIONS = 2,
    DTLSL__CLASSES = 3
};

typedef struct dtlsl__datagram {
    const uint8_t *data;
    uint32_t len;
    uint16_t truncated; /* there was more than the buffer took */
    uint16_t socket; /* where it came in: answers to strangers leave there */
    dtlsl_path path;
} dtlsl__datagram;

/* A datagram to send: len bytes at arena + offset, from path.local to
 * path.peer. */
typedef struct dtlsl__output {
    uint32_t offset;
    uint32_t len;
    uint32_t socket; /* DTLSL__SESSIONS, or that of the ClientHello */
    dtlsl_path path;
} dtlsl__output;

/* 'listener' is what dtlsl_conn_of_ssl tells and may be NULL. Error text in
 * the config. */
int32_t dtlsl__engine_new(dtlsl__engine **out, dtlsl_config *config,
                          dtlsl_listener *listener, const dtlsl_now *now);
void dtlsl__engine_free(dtlsl__engine *engine);

void dtlsl__engine_begin(dtlsl__engine *engine, const dtlsl_now *now);
void dtlsl__engine_input(dtlsl__engine *engine,
                         const dtlsl__datagram *datagram);
const dtlsl_event *dtlsl__engine_next(dtlsl__engine *engine);
/* How many more ClientHellos can become connections before the next
 * engine_begin()? What comes beyond that is dropped. */
uint32_t dtlsl__engine_accepts(const dtlsl__engine *engine);
/* Is there anything that engine_next() would yield or work off? */
int dtlsl__engine_pending(const dtlsl__engine *engine);
/* Is that a WRITABLE and nothing else? */
int dtlsl__engine_only_writable(const dtlsl__engine *engine);
/* Does the next engine_begin() bring a WRITABLE? */
int dtlsl__engine_writable_due(const dtlsl__engine *engine);

/* Absolute mono_ms of the next engine_expire(), UINT64_MAX: none. */
uint64_t dtlsl__engine_deadline(const dtlsl__engine *engine);
/* Does what is due at the time of the last engine_begin(). */
void dtlsl__engine_expire(dtlsl__engine *engine);

/* The datagrams to send, in order, and the arena that they lie in. */
size_t dtlsl__engine_output(const dtlsl__engine *engine,
                            const dtlsl__output **list, const uint8_t **arena);
/* The first n of them are gone (sent, or dropped for good). */
void dtlsl__engine_output_sent(dtlsl__engine *engine, size_t n);
/* Do answers to strangers leave by sockets of their own? Then what sessions
 * have waiting does not keep them back: see engine_aside(). */
void dtlsl__engine_set_sorted(dtlsl__engine *engine, int sorted);
/* The answer to the datagram of the last engine_input(), to be sent at once,
 * since it has no place among what waits for the sessions' socket; or NULL. */
const dtlsl__output *dtlsl__engine_aside(const dtlsl__engine *engine,
                                         const uint8_t **arena);
/* Less than one flight is free: send now. */
int dtlsl__engine_output_low(const dtlsl__engine *engine);

/* No new peers, close_notify to all, STOPPED as the last event. */
void dtlsl__engine_stop(dtlsl__engine *engine);
/* Later handshakes use the config's new SSL_CTX. */
void dtlsl__engine_reload(dtlsl__engine *engine);
/* A NOTICE event, where the config asked for them; rate-limited. */
void dtlsl__engine_notice(dtlsl__engine *engine, const char *text);

/* Gate's and engine's counters, summed into 'sum'. */
void dtlsl__engine_counters(const dtlsl__engine *engine, dtlsl__counters *sum);
/* The gate, for its strategies' counters. */
const dtlsl_gate *dtlsl__engine_gate(const dtlsl__engine *engine);

/* As the dtlsl_conn_* functions of dtlslisten.h. */
int32_t dtlsl__engine_send(dtlsl__engine *engine, uint64_t conn,
                           const uint8_t *data, size_t len);
int32_t dtlsl__engine_close(dtlsl__engine *engine, uint64_t conn);
/* The path of a connection, or NULL. */
const dtlsl_path *dtlsl__engine_path(const dtlsl__engine *engine,
                                     uint64_t conn);
int32_t dtlsl__engine_mtu(const dtlsl__engine *engine, uint64_t conn);
/* Where its tag is, or NULL. */
uint64_t *dtlsl__engine_tag(const dtlsl__engine *engine, uint64_t conn);
uint64_t dtlsl__engine_conn_next(const dtlsl__engine *engine, uint64_t conn);
int32_t dtlsl__engine_info(const dtlsl__engine *engine, uint64_t conn,
                           const char *name, char *buf, size_t buf_len);
int32_t dtlsl__engine_peer_certificate(const dtlsl__engine *engine,
                                       uint64_t conn, uint8_t *buf,
                                       size_t buf_len);
int32_t dtlsl__engine_export(const dtlsl__engine *engine, uint64_t conn,
                             const char *label, const uint8_t *context,
                             size_t context_len, uint8_t *out, size_t out_len);
int32_t dtlsl__engine_cookie_age(const dtlsl__engine *engine, uint64_t conn);
int32_t dtlsl__engine_cookie_app(const dtlsl__engine *engine, uint64_t conn,
                                 uint8_t *buf, size_t buf_len);
struct ssl_st *dtlsl__engine_ssl(const dtlsl__engine *engine, uint64_t conn);

#endif
