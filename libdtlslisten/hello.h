/* SPDX-License-Identifier: MIT
 * The ClientHello reader (a first fragment is enough) and the
 * HelloVerifyRequest writer (RFC 6347 section 4.2.1). */
#ifndef DTLSL_HELLO_H
#define DTLSL_HELLO_H

#include <dtlslisten/gate.h>

/* Spans point into the datagram. */
typedef struct dtlsl__hello {
    uint64_t record_seq;
    uint32_t record_len; /* header and body */
    uint16_t message_seq;
    uint8_t fragmented;    /* more fragments follow in other records */
    uint8_t cookie_len;    /* 0 to 255 */
    uint32_t fragment_len; /* bytes of the ClientHello body that are here */
    const uint8_t *core;   /* client_version, random, session_id */
    uint32_t core_len;     /* 35 + session_id */
    const uint8_t *cookie; /* behind its length byte */
    const uint8_t *tail;   /* cipher_suites, compression_methods; or NULL */
    uint32_t tail_len;     /* 0 if not wholly present, or above 512 */
    uint32_t tail_end;     /* where TAIL ends in the body, 0 without */
} dtlsl__hello;

/* Reads the ClientHello at the start of a datagram with the checks of
 * DTLSv1_listen() in its order, and then what OpenSSL would certainly refuse
 * afterwards (session_id above 32, malformed behind the cookie, a cookie with
 * message_seq 0, a record number above 2^48 - 2^20 with a cookie).
 * Returns DTLSL_REASON_NONE, or the reason to drop it. */
int32_t dtlsl__hello_read(dtlsl__hello *hello, const uint8_t *datagram,
                          size_t len);

/* Writes the answer to 'hello', byte for byte DTLSv1_listen()'s with
 * DTLS_server_method: 28 + cookie_len bytes. Returns the length, 0 if it does
 * not fit into cap. 'cookie' may lie inside 'out'. */
size_t dtlsl__hello_verify_request(const dtlsl__hello *hello,
                                   const uint8_t *cookie, size_t cookie_len,
                                   uint8_t *out, size_t cap);

#endif
