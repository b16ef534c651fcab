/* SPDX-License-Identifier: MIT
 * DTLS records and handshake headers, read in place. */
#include "record.h"

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
