/* SPDX-License-Identifier: MIT
 * One verified peer on OpenSSL: records in, records out, next deadline. No
 * I/O. Each function gives OpenSSL's error queue back as it found it. */
#ifndef DTLSL_CONN_H
#define DTLSL_CONN_H

#include "counters.h"
#include "record.h"
#include <dtlslisten/dtlslisten.h>

typedef struct dtlsl__conn dtlsl__conn;

/* What a connection gets from its owner, who outlives it. */
typedef struct dtlsl__conn_host {
    /* Room for a datagram of len bytes that will be sent; NULL: there is none
     * and the datagram is lost, as any may be. */
    uint8_t *(*reserve)(void *ctx, size_t len);
    void *ctx;
    dtlsl__counters *counters;
    uint8_t *scratch; /* DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX bytes */
    dtlsl_listener *listener; /* for dtlsl_conn_of_ssl */
    uint64_t id;
    int encrypt_then_mac; /* allowed */
} dtlsl__conn_host;

/* What dtlsl__conn_step found. */
enum {
    DTLSL__STEP_DONE = 0, /* nothing more until the next record */
    DTLSL__STEP_OPEN = 1, /* the handshake is complete */
    DTLSL__STEP_DATA = 2, /* a datagram for the application */
    DTLSL__STEP_END = 3   /* over: dtlsl__conn_status, dtlsl__conn_text */
};

/* Makes an SSL and hands it the ClientHello's record that the gate accepted.
 * The server's flight is written at once. */
int32_t dtlsl__conn_new(dtlsl__conn **out, const dtlsl__conn_host *host,
                        struct ssl_ctx_st *ctx, uint32_t mtu,
                        uint32_t overhead, const uint8_t *hello, size_t len);
/* NULL is allowed. Writes nothing; the session stays resumable. */
void dtlsl__conn_free(dtlsl__conn *conn);

/* Takes one record that is whole, if it can be genuine: then 1 and
 * dtlsl__conn_step follows until it says DONE; else 0 and it was counted. */
int32_t dtlsl__conn_feed(dtlsl__conn *conn, const dtlsl__record *record);
int32_t dtlsl__conn_step(dtlsl__conn *conn, uint8_t *plain, size_t cap,
                         size_t *len);

/* Milliseconds until OpenSSL wants to send its flight again, -1: never. */
int64_t dtlsl__conn_timeout(dtlsl__conn *conn);
/* Sends it again. 0, or < 0 when the connection is over. */
int32_t dtlsl__conn_retransmit(dtlsl__conn *conn);

/* Encrypts one datagram into reserved room: its length or an error. */
int32_t dtlsl__conn_send(dtlsl__conn *conn, const uint8_t *data, size_t len);
/* Bytes that a datagram of len bytes may need at the most when encrypted. */
size_t dtlsl__conn_wire_len(size_t len);
void dtlsl__conn_close_notify(dtlsl__conn *conn);
int32_t dtlsl__conn_mtu(dtlsl__conn *conn);

/* Gives OpenSSL's buffers back, 33 KB, until they are needed again; where that
 * is not safe at the moment, nothing happens. */
void dtlsl__conn_rest(dtlsl__conn *conn);
int dtlsl__conn_rests(const dtlsl__conn *conn);

int dtlsl__conn_is_open(const dtlsl__conn *conn);
/* Is the ClientHello still lacking fragments? */
int dtlsl__conn_hello_incomplete(const dtlsl__conn *conn);
/* Did it take a ChangeCipherSpec, that is: has epoch 1 begun? */
int dtlsl__conn_change_seen(const dtlsl__conn *conn);
/* Was there a genuine-looking record behind its ClientHello? */
int dtlsl__conn_progressed(const dtlsl__conn *conn);
/* Was there a plaintext alert (ignored, but the peer may have given up)? */
int dtlsl__conn_alerted(const dtlsl__conn *conn);
const char *dtlsl__conn_alert_text(const dtlsl__conn *conn);

/* Why it is over: DTLSL_CLOSE_*, and a text, borrowed. */
int32_t dtlsl__conn_status(const dtlsl__conn *conn);
const char *dtlsl__conn_text(const dtlsl__conn *conn);

int32_t dtlsl__conn_info(dtlsl__conn *conn, const char *name, char *buf,
                         size_t buf_len);
int32_t dtlsl__conn_peer_certificate(dtlsl__conn *conn, uint8_t *buf,
                                     size_t buf_len);
int32_t dtlsl__conn_export(dtlsl__conn *conn, const char *label,
                           const uint8_t *context, size_t context_len,
                           uint8_t *out, size_t out_len);
struct ssl_st *dtlsl__conn_ssl(const dtlsl__conn *conn);

#endif
