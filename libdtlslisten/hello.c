/* SPDX-License-Identifier: MIT
 * Reads a ClientHello where it lies, and writes the answer to it. */
#include "hello.h"
#include "record.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    VERSION_MAJOR = 0xfe,
    VERSION = 0xfeff,
    MESSAGE_SEQ_MAX = 1,
    FIXED_LEN = 34, /* client_version and random */
    SESSION_ID_MAX = 32,
    COOKIE_MAX = 255,
    TAIL_MIN = 6, /* one suite, one method */
    TAIL_MAX = 512,
    REPLY_OVERHEAD = 28,
    REPLY_BODY = 3 /* server_version and the cookie's length byte */
};

#define RECORD_SEQ_MAX ((UINT64_C(1) << 48) - (UINT64_C(1) << 20))

/* A position in the body of which only the first 'have' bytes are here. */
typedef struct cursor {
    const uint8_t *body;
    uint32_t at;
    uint32_t have;
    uint32_t total;
} cursor;

/* What the next bytes of a cursor are. */
enum {
    HERE = 0,
    LATER = 1, /* in another fragment */
    NOWHERE = 2
};

static int
look(const cursor *c, uint32_t len)
{
    if (len > c->total - c->at)
        return NOWHERE;
    return c->at > c->have || len > c->have - c->at ? LATER : HERE;
}

/* ---- behind the cookie ---- */

static int
read_ciphers(cursor *c)
{
    int seen = look(c, 2);
    uint32_t len;

    if (look(c, TAIL_MIN) == NOWHERE)
        return NOWHERE;
    if (seen != HERE)
        return seen;
    len = dtlsl__get16(c->body + c->at);
    c->at += 2;
    if (len == 0 || len % 2 != 0)
        return NOWHERE;
    seen = look(c, len);
    if (seen != NOWHERE)
        c->at += len;
    /* A length byte and one method must follow. */
    return look(c, 2) == NOWHERE ? NOWHERE : seen;
}

static int
read_compression(cursor *c)
{
    int seen = look(c, 1);
    uint32_t len;

    if (seen != HERE)
        return seen;
    len = c->body[c->at++];
    if (len == 0)
        return NOWHERE;
    seen = look(c, len);
    if (seen == HERE && memchr(c->body + c->at, 0, len) == NULL)
        return NOWHERE;
    if (seen != NOWHERE)
        c->at += len;
    return seen;
}

static int
read_extension(cursor *c)
{
    int seen = look(c, 4);
    uint32_t len;

    if (seen != HERE)
        return seen;
    len = dtlsl__get16(c->body + c->at + 2);
    c->at += 4;
    seen = look(c, len);
    if (seen != NOWHERE)
        c->at += len;
    return seen;
}

static int
read_extensions(cursor *c)
{
    int seen;

    if (c->at == c->total)
        return HERE;
    seen = look(c, 2);
    if (seen != HERE)
        return seen;
    c->at += 2;
    if (dtlsl__get16(c->body + c->at - 2) != c->total - c->at)
        return NOWHERE;
    while (c->at < c->total && seen == HERE)
        seen = read_extension(c);
    /* What the last one here left over must hold one more header. */
    if (seen == LATER && c->at < c->total && look(c, 4) == NOWHERE)
        return NOWHERE;
    return seen;
}

/* cipher_suites, compression_methods and what may follow. */
static int32_t
read_rest(dtlsl__hello *hello, cursor *c)
{
    uint32_t start = c->at;
    int seen = read_ciphers(c);

    if (seen == HERE)
        seen = read_compression(c);
    if (seen == HERE) {
        if (c->at - start <= TAIL_MAX) {
            hello->tail = c->body + start;
            hello->tail_len = c->at - start;
            hello->tail_end = c->at;
        }
        seen = read_extensions(c);
    }
    return seen == NOWHERE ? DTLSL_REASON_DROP_MALFORMED : DTLSL_REASON_NONE;
}

/* ---- up to the cookie ---- */

static int32_t
check_record(dtlsl__record *record, const uint8_t *datagram, size_t len)
{
    int32_t record_len;

    /* DTLSv1_listen() reads no more of a datagram than this. */
    if (len > DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX)
        len = DTLSL__RECORD_HEADER + DTLSL__RECORD_MAX;
    record_len = dtlsl__record_read(record, datagram, len);
    if (record_len == 0)
        return DTLSL_REASON_DROP_SHORT;
    if (record->type != DTLSL__HANDSHAKE)
        return DTLSL_REASON_DROP_TYPE;
    if (record->version >> 8 != VERSION_MAJOR)
        return DTLSL_REASON_DROP_VERSION;
    if (record_len < 0)
        return DTLSL_REASON_DROP_RECORD_LENGTH;
    if (record->epoch != 0)
        return DTLSL_REASON_DROP_EPOCH;
    return DTLSL_REASON_NONE;
}

static int32_t
check_message(dtlsl__message *message, const dtlsl__record *record)
{
    int32_t len = dtlsl__message_read(message, record->body, record->len);

    if (len <= 0 || (size_t)len != record->len)
        return DTLSL_REASON_DROP_MESSAGE_LENGTH;
    if (message->type != DTLSL__CLIENT_HELLO)
        return DTLSL_REASON_DROP_MESSAGE_TYPE;
    if (message->seq > MESSAGE_SEQ_MAX)
        return DTLSL_REASON_DROP_MESSAGE_SEQ;
    if (message->offset != 0 || message->fragment_len > message->length)
        return DTLSL_REASON_DROP_FRAGMENT;
    return DTLSL_REASON_NONE;
}

/* A vector with a length byte, all of it in this fragment. */
static int
read_vector(cursor *c, const uint8_t **data, uint8_t *len)
{
    if (look(c, 1) != HERE)
        return 0;
    *len = c->body[c->at++];
    *data = c->body + c->at;
    if (look(c, *len) != HERE)
        return 0;
    c->at += *len;
    return 1;
}

static int32_t
read_front(dtlsl__hello *hello, cursor *c)
{
    const uint8_t *session_id;
    uint8_t session_id_len;

    if (look(c, FIXED_LEN) != HERE)
        return DTLSL_REASON_DROP_HELLO_LENGTH;
    c->at += FIXED_LEN;
    if (!read_vector(c, &session_id, &session_id_len))
        return DTLSL_REASON_DROP_HELLO_LENGTH;
    hello->core = c->body;
    hello->core_len = c->at;
    if (!read_vector(c, &hello->cookie, &hello->cookie_len))
        return DTLSL_REASON_DROP_HELLO_LENGTH;
    if (session_id_len > SESSION_ID_MAX)
        return DTLSL_REASON_DROP_SESSION_ID;
    if (hello->cookie_len > 0 && hello->message_seq == 0)
        return DTLSL_REASON_DROP_COOKIE_SEQ;
    if (hello->cookie_len > 0 && hello->record_seq > RECORD_SEQ_MAX)
        return DTLSL_REASON_DROP_RECORD_SEQ;
    return DTLSL_REASON_NONE;
}

int32_t
dtlsl__hello_read(dtlsl__hello *hello, const uint8_t *datagram, size_t len)
{
    dtlsl__record record;
    dtlsl__message message;
    cursor c = {0};
    int32_t reason;

    memset(hello, 0, sizeof(*hello));
    reason = check_record(&record, datagram, len);
    if (reason != DTLSL_REASON_NONE)
        return reason;
    hello->record_seq = record.seq;
    hello->record_len = (uint32_t)(DTLSL__RECORD_HEADER + record.len);
    reason = check_message(&message, &record);
    if (reason != DTLSL_REASON_NONE)
        return reason;
    hello->message_seq = message.seq;
    hello->fragmented = message.fragment_len < message.length;
    hello->fragment_len = message.fragment_len;
    c.body = message.body;
    c.have = message.fragment_len;
    c.total = message.length;
    reason = read_front(hello, &c);
    if (reason != DTLSL_REASON_NONE)
        return reason;
    return read_rest(hello, &c);
}

size_t
dtlsl__hello_verify_request(const dtlsl__hello *hello, const uint8_t *cookie,
                            size_t cookie_len, uint8_t *out, size_t cap)
{
    uint32_t body = (uint32_t)(REPLY_BODY + cookie_len);

    if (cookie_len > COOKIE_MAX || cap < REPLY_OVERHEAD + cookie_len)
        return 0;
    /* First: the cookie may lie where the headers go. */
    if (cookie_len > 0)
        memmove(out + REPLY_OVERHEAD, cookie, cookie_len);
    out[0] = DTLSL__HANDSHAKE;
    dtlsl__put16(out + 1, VERSION);
    dtlsl__put16(out + 3, 0);
    dtlsl__put48(out + 5, hello->record_seq);
    dtlsl__put16(out + 11, DTLSL__MESSAGE_HEADER + body);
    out[13] = DTLSL__HELLO_VERIFY_REQUEST;
    dtlsl__put24(out + 14, body);
    dtlsl__put16(out + 17, 0);
    dtlsl__put24(out + 19, 0);
    dtlsl__put24(out + 22, body);
    dtlsl__put16(out + 25, VERSION);
    out[27] = (uint8_t)cookie_len;
    return REPLY_OVERHEAD + cookie_len;
}

int32_t
dtlsl_is_client_hello(const uint8_t *datagram, size_t len)
{
    dtlsl__record record;
    dtlsl__message message;

    if (datagram == NULL ||
        check_record(&record, datagram, len) != DTLSL_REASON_NONE)
        return 0;
    return dtlsl__message_read(&message, record.body, record.len) != 0 &&
           message.type == DTLSL__CLIENT_HELLO;
}

int32_t
dtlsl_hello_id(const uint8_t *datagram, size_t len, uint8_t id[32])
{
    uint8_t data[2 + FIXED_LEN + 1 + SESSION_ID_MAX + 1 + COOKIE_MAX];
    dtlsl__hello hello;
    size_t data_len;
    int done;

    if (datagram == NULL || id == NULL ||
        dtlsl__hello_read(&hello, datagram, len) != DTLSL_REASON_NONE)
        return DTLSL_ERR_ARGUMENT;
    dtlsl__put16(data, hello.core_len);
    memcpy(data + 2, hello.core, hello.core_len);
    data_len = 2 + hello.core_len;
    data[data_len++] = hello.cookie_len;
    memcpy(data + data_len, hello.cookie, hello.cookie_len);
    data_len += hello.cookie_len;
    ERR_set_mark();
    done = EVP_Digest(data, data_len, id, NULL, EVP_sha256(), NULL);
    ERR_pop_to_mark();
    return done == 1 ? DTLSL_OK : DTLSL_ERR_TLS;
}
