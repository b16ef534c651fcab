/* SPDX-License-Identifier: MIT
 * Datagrams of a flood: ClientHellos with and without a cookie, junk, records
 * of a later epoch; and the HelloVerifyRequests that come back. */
#ifndef DTLSL_BENCH_WIRE_H
#define DTLSL_BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_HEADER = 13, /* of a record */
    WIRE_HELLO = 205, /* the shortest hello without a cookie */
    WIRE_MAX = 1400,
    WIRE_COOKIE_MAX = 255
};

typedef struct cookie {
    uint8_t data[WIRE_COOKIE_MAX];
    uint8_t len;
} cookie;

/* splitmix64: a number for each 'at' and the same for the same. */
uint64_t wire_random(uint64_t at);

/* A hello of that many bytes at 'out'; 0 if there is none of that size:
 * WIRE_HELLO, or at least 4 more. */
int wire_hello(uint8_t *out, size_t size);
/* The second hello to a first one of 'size' bytes, with another message_seq
 * and a cookie; how long it is. */
size_t wire_second(uint8_t *out, const uint8_t *hello, size_t size,
                   const cookie *c);
/* A record header for a body of that many bytes. */
void wire_record(uint8_t *out, uint8_t type, uint16_t epoch, size_t len);

/* In place: the random of a hello, the record's number, the end of the
 * cookie. */
void wire_set_random(uint8_t *hello, uint64_t seed);
void wire_set_number(uint8_t *record, uint64_t number);
void wire_set_cookie_end(uint8_t *hello, uint64_t seed);

/* 1 if it is a well-formed HelloVerifyRequest; its cookie and the last byte
 * of its record's number go to 'c' and 'number' where they are not NULL. */
int wire_request(const uint8_t *data, size_t len, cookie *c, uint8_t *number);

#endif
