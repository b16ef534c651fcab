/* SPDX-License-Identifier: MIT
 * Datagrams of a flood, as of RFC 6347 sections 4.1 and 4.2. */
#include "wire.h"
#include <string.h>

enum {
    RECORD_NUMBER = 5,
    RECORD_LENGTH = 11,
    MESSAGE_LENGTH = 14,
    MESSAGE_SEQ = 17,
    FRAGMENT_OFFSET = 19,
    FRAGMENT_LENGTH = 22,
    BODY = 25,
    RANDOM = 27,
    RANDOM_LEN = 32,
    COOKIE_LENGTH = 60,
    EXTENSIONS_LENGTH = 121,
    EXTENSION_HEADER = 4,
    EXTENSION_PADDING = 21, /* RFC 7685 */
    COOKIE_END = 8,
    HANDSHAKE = 22,
    HELLO_VERIFY_REQUEST = 3,
    REQUEST_COOKIE = 28
};

/* What "openssl s_client -dtls1_2" of OpenSSL 3.0.22 sends first; it is
 * tests/hellos/openssl-1.bin. */
static const uint8_t captured[WIRE_HELLO] = {
    0x16, 0xfe, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xc0, 0x01, 0x00, 0x00, 0xb4, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xb4, 0xfe, 0xfd, 0xc9, 0xae, 0x08, 0xd9, 0x5f, 0x97, 0x2e, 0x15, 0x62,
    0x52, 0xbb, 0x43, 0xe7, 0x90, 0xf6, 0x12, 0xbb, 0x0f, 0x9e, 0xcd, 0x20,
    0x89, 0xac, 0x09, 0xd2, 0xdd, 0x3e, 0x91, 0x93, 0x49, 0xd7, 0xd2, 0x00,
    0x00, 0x00, 0x38, 0xc0, 0x2c, 0xc0, 0x30, 0x00, 0x9f, 0xcc, 0xa9, 0xcc,
    0xa8, 0xcc, 0xaa, 0xc0, 0x2b, 0xc0, 0x2f, 0x00, 0x9e, 0xc0, 0x24, 0xc0,
    0x28, 0x00, 0x6b, 0xc0, 0x23, 0xc0, 0x27, 0x00, 0x67, 0xc0, 0x0a, 0xc0,
    0x14, 0x00, 0x39, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x33, 0x00, 0x9d, 0x00,
    0x9c, 0x00, 0x3d, 0x00, 0x3c, 0x00, 0x35, 0x00, 0x2f, 0x00, 0xff, 0x01,
    0x00, 0x00, 0x52, 0x00, 0x0b, 0x00, 0x04, 0x03, 0x00, 0x01, 0x02, 0x00,
    0x0a, 0x00, 0x0c, 0x00, 0x0a, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x1e, 0x00,
    0x19, 0x00, 0x18, 0x00, 0x23, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00,
    0x17, 0x00, 0x00, 0x00, 0x0d, 0x00, 0x2a, 0x00, 0x28, 0x04, 0x03, 0x05,
    0x03, 0x06, 0x03, 0x08, 0x07, 0x08, 0x08, 0x08, 0x09, 0x08, 0x0a, 0x08,
    0x0b, 0x08, 0x04, 0x08, 0x05, 0x08, 0x06, 0x04, 0x01, 0x05, 0x01, 0x06,
    0x01, 0x03, 0x03, 0x03, 0x01, 0x03, 0x02, 0x04, 0x02, 0x05, 0x02, 0x06,
    0x02,
};

uint64_t
wire_random(uint64_t at)
{
    uint64_t z = at * 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void
put16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void
put24(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 16);
    put16(out + 1, value);
}

static size_t
get16(const uint8_t *in)
{
    return (size_t)in[0] << 8 | in[1];
}

static size_t
get24(const uint8_t *in)
{
    return (size_t)in[0] << 16 | get16(in + 1);
}

/* The three lengths of a datagram that is one handshake message. */
static void
put_lengths(uint8_t *out, size_t size)
{
    put16(out + RECORD_LENGTH, size - WIRE_HEADER);
    put24(out + MESSAGE_LENGTH, size - BODY);
    put24(out + FRAGMENT_LENGTH, size - BODY);
}

int
wire_hello(uint8_t *out, size_t size)
{
    size_t more = size - WIRE_HELLO;

    if (size < WIRE_HELLO || size > WIRE_MAX ||
        (more > 0 && more < EXTENSION_HEADER))
        return 0;
    memcpy(out, captured, WIRE_HELLO);
    if (more == 0)
        return 1;
    memset(out + WIRE_HELLO, 0, more);
    put16(out + WIRE_HELLO, EXTENSION_PADDING);
    put16(out + WIRE_HELLO + 2, more - EXTENSION_HEADER);
    put16(out + EXTENSIONS_LENGTH, get16(out + EXTENSIONS_LENGTH) + more);
    put_lengths(out, size);
    return 1;
}

size_t
wire_second(uint8_t *out, const uint8_t *hello, size_t size, const cookie *c)
{
    size_t rest = COOKIE_LENGTH + 1;

    memcpy(out, hello, COOKIE_LENGTH);
    out[COOKIE_LENGTH] = c->len;
    memcpy(out + rest, c->data, c->len);
    memcpy(out + rest + c->len, hello + rest, size - rest);
    put16(out + MESSAGE_SEQ, 1);
    put_lengths(out, size + c->len);
    return size + c->len;
}

void
wire_record(uint8_t *out, uint8_t type, uint16_t epoch, size_t len)
{
    memset(out, 0, WIRE_HEADER);
    out[0] = type;
    put16(out + 1, 0xfefd);
    put16(out + 3, epoch);
    put16(out + RECORD_LENGTH, len);
}

void
wire_set_random(uint8_t *hello, uint64_t seed)
{
    for (size_t i = 0; i < RANDOM_LEN; i += sizeof(uint64_t)) {
        uint64_t part = wire_random(RANDOM_LEN * seed + i);

        memcpy(hello + RANDOM + i, &part, sizeof(part));
    }
}

void
wire_set_number(uint8_t *record, uint64_t number)
{
    for (int i = 5; i >= 0; i--, number >>= 8)
        record[RECORD_NUMBER + i] = (uint8_t)number;
}

void
wire_set_cookie_end(uint8_t *hello, uint64_t seed)
{
    uint64_t end = wire_random(seed);
    size_t len = hello[COOKIE_LENGTH];
    size_t at = len < COOKIE_END ? 0 : len - COOKIE_END;

    memcpy(hello + COOKIE_LENGTH + 1 + at, &end, len - at);
}

static int
is_request(const uint8_t *data, size_t len)
{
    return len > REQUEST_COOKIE && data[0] == HANDSHAKE && data[1] == 0xfe &&
           data[2] >= 0xfd && get16(data + 3) == 0 &&
           get16(data + RECORD_LENGTH) == len - WIRE_HEADER &&
           data[WIRE_HEADER] == HELLO_VERIFY_REQUEST &&
           get24(data + MESSAGE_LENGTH) == len - BODY &&
           get16(data + MESSAGE_SEQ) == 0 &&
           get24(data + FRAGMENT_OFFSET) == 0 &&
           get24(data + FRAGMENT_LENGTH) == len - BODY && data[BODY] == 0xfe &&
           data[BODY + 1] >= 0xfd && data[BODY + 2] == len - REQUEST_COOKIE;
}

int
wire_request(const uint8_t *data, size_t len, cookie *c, uint8_t *number)
{
    if (!is_request(data, len))
        return 0;
    if (number != NULL)
        *number = data[RECORD_LENGTH - 1];
    if (c != NULL) {
        c->len = (uint8_t)(len - REQUEST_COOKIE);
        memcpy(c->data, data + REQUEST_COOKIE, c->len);
    }
    return 1;
}
