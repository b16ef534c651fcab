/* SPDX-License-Identifier: MIT
 * DTLS records and handshake headers, read in place. */
#include "record.h"

uint16_t
dtlsl__get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
dtlsl__get24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | dtlsl__get16(p + 1);
}

uint32_t
dtlsl__get32(const uint8_t *p)
{
    return (uint32_t)dtlsl__get16(p) << 16 | dtlsl__get16(p + 2);
}

uint64_t
dtlsl__get48(const uint8_t *p)
{
    return (uint64_t)dtlsl__get16(p) << 32 | dtlsl__get32(p + 2);
}

void
dtlsl__put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

void
dtlsl__put24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 16);
    dtlsl__put16(p + 1, value);
}

void
dtlsl__put32(uint8_t *p, uint32_t value)
{
    dtlsl__put16(p, value >> 16);
    dtlsl__put16(p + 2, value);
}

void
dtlsl__put48(uint8_t *p, uint64_t value)
{
    dtlsl__put16(p, (uint32_t)(value >> 32));
    dtlsl__put32(p + 2, (uint32_t)value);
}

void
dtlsl__put64(uint8_t *p, uint64_t value)
{
    dtlsl__put32(p, (uint32_t)(value >> 32));
    dtlsl__put32(p + 4, (uint32_t)value);
}

int32_t
dtlsl__record_read(dtlsl__record *record, const uint8_t *data, size_t len)
{
    if (len < DTLSL__RECORD_HEADER)
        return 0;
    record->type = data[0];
    record->version = dtlsl__get16(data + 1);
    record->epoch = dtlsl__get16(data + 3);
    record->seq = dtlsl__get48(data + 5);
    record->len = dtlsl__get16(data + 11);
    record->body = data + DTLSL__RECORD_HEADER;
    if (record->len > len - DTLSL__RECORD_HEADER)
        return -1;
    return (int32_t)(DTLSL__RECORD_HEADER + record->len);
}

int32_t
dtlsl__message_read(dtlsl__message *message, const uint8_t *data, size_t len)
{
    if (len < DTLSL__MESSAGE_HEADER)
        return 0;
    message->type = data[0];
    message->length = dtlsl__get24(data + 1);
    message->seq = dtlsl__get16(data + 4);
    message->offset = dtlsl__get24(data + 6);
    message->fragment_len = dtlsl__get24(data + 9);
    message->body = data + DTLSL__MESSAGE_HEADER;
    if (message->fragment_len > len - DTLSL__MESSAGE_HEADER)
        return -1;
    return (int32_t)(DTLSL__MESSAGE_HEADER + message->fragment_len);
}
