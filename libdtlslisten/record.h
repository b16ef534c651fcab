/* SPDX-License-Identifier: MIT
 * DTLS records and handshake headers, read in place (RFC 6347 sections 4.1 and
 * 4.2.2). Pure functions; nothing is copied. */
#ifndef DTLSL_RECORD_H
#define DTLSL_RECORD_H

#include <dtlslisten/base.h>

enum {
    DTLSL__RECORD_HEADER = 13,
    DTLSL__MESSAGE_HEADER = 12,
    DTLSL__RECORD_MAX = 16384, /* plaintext */

    DTLSL__CHANGE_CIPHER_SPEC = 20,
    DTLSL__ALERT = 21,
    DTLSL__HANDSHAKE = 22,
    DTLSL__APPLICATION_DATA = 23,

    DTLSL__CLIENT_HELLO = 1,
    DTLSL__HELLO_VERIFY_REQUEST = 3,
    DTLSL__CERTIFICATE = 11,
    DTLSL__CERTIFICATE_VERIFY = 15,
    DTLSL__CLIENT_KEY_EXCHANGE = 16
};

typedef struct dtlsl__record {
    uint8_t type;
    uint16_t version;
    uint16_t epoch;
    uint64_t seq;        /* 48 bits */
    const uint8_t *body; /* behind the header */
    size_t len;          /* of body, as declared */
} dtlsl__record;

typedef struct dtlsl__message {
    uint8_t type;
    uint16_t seq;
    uint32_t length; /* of the whole message */
    uint32_t offset;
    uint32_t fragment_len;
    const uint8_t *body; /* the fragment */
} dtlsl__message;

/* Reads the record header at data. Returns the bytes of the whole record, 0
 * if there is no whole header, -1 if the record is longer than the rest (then
 * the header's fields are set all the same, body too). */
int32_t dtlsl__record_read(dtlsl__record *record, const uint8_t *data,
                           size_t len);

/* Reads one handshake message header. Returns the bytes of header and
 * fragment, 0 without a whole header, -1 if the fragment is longer than the
 * rest (fields set all the same). */
int32_t dtlsl__message_read(dtlsl__message *message, const uint8_t *data,
                            size_t len);

/* Numbers in the network's order. */

static inline uint16_t
dtlsl__get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
dtlsl__get24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | dtlsl__get16(p + 1);
}

static inline uint32_t
dtlsl__get32(const uint8_t *p)
{
    return (uint32_t)dtlsl__get16(p) << 16 | dtlsl__get16(p + 2);
}

static inline uint64_t
dtlsl__get48(const uint8_t *p)
{
    return (uint64_t)dtlsl__get16(p) << 32 | dtlsl__get32(p + 2);
}

static inline void
dtlsl__put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void
dtlsl__put24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 16);
    dtlsl__put16(p + 1, value);
}

static inline void
dtlsl__put32(uint8_t *p, uint32_t value)
{
    dtlsl__put16(p, value >> 16);
    dtlsl__put16(p + 2, value);
}

static inline void
dtlsl__put48(uint8_t *p, uint64_t value)
{
    dtlsl__put16(p, (uint32_t)(value >> 32));
    dtlsl__put32(p + 2, (uint32_t)value);
}

static inline void
dtlsl__put64(uint8_t *p, uint64_t value)
{
    dtlsl__put32(p, (uint32_t)(value >> 32));
    dtlsl__put32(p + 4, (uint32_t)value);
}

#endif
