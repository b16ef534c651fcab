/* SPDX-License-Identifier: MIT
 * Fuzzes the ClientHello reader, the HelloVerifyRequest writer and what stands
 * on them: the input is one datagram. */
#include "fuzz.h"
#include "hello.h"
#include "record.h"
#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "hello";

enum {
    AT_RECORD_SEQ = 5,
    AT_RECORD_LEN = 11,
    AT_FRAGMENT_LEN = 22,
    AT_BODY = 25,
    REPLY_OVERHEAD = 28,
    REPLY_ROOM = 300,
    CUTS_MAX = 64
};

static int32_t
read_copy(dtlsl__hello *hello, const uint8_t *data, size_t len)
{
    uint8_t *copy = fuzz_copy(data, len);
    int32_t reason = dtlsl__hello_read(hello, copy, len);

    free(copy);
    return reason;
}

static void
check_spans(const dtlsl__hello *h, const uint8_t *data, size_t len)
{
    const uint8_t *body = data + AT_BODY;
    uint32_t cookie_at = h->core_len + 1;

    fuzz_check(h->record_len <= len);
    fuzz_check(h->record_len == AT_BODY + h->fragment_len);
    fuzz_check(h->fragment_len <= dtlsl__get24(data + 14));
    fuzz_check(h->fragmented == (h->fragment_len < dtlsl__get24(data + 14)));
    fuzz_check(h->record_seq == dtlsl__get48(data + AT_RECORD_SEQ));
    fuzz_check(h->message_seq <= 1);
    fuzz_check(h->core == body && h->core_len >= 35 && h->core_len <= 67);
    fuzz_check(h->core_len == 35U + body[34]);
    fuzz_check(h->cookie == body + cookie_at);
    fuzz_check(h->cookie_len == body[cookie_at - 1]);
    fuzz_check(cookie_at + h->cookie_len <= h->fragment_len);
    fuzz_check(h->cookie_len == 0 || h->message_seq == 1);
    fuzz_check((h->tail == NULL) == (h->tail_len == 0));
    fuzz_check((h->tail == NULL) == (h->tail_end == 0));
    if (h->tail == NULL)
        return;
    fuzz_check(h->tail == h->cookie + h->cookie_len && h->tail_len <= 512);
    fuzz_check(h->tail + h->tail_len == body + h->tail_end);
    fuzz_check(h->tail_end <= h->fragment_len);
}

/* What lies behind the record counts for nothing. */
static void
check_rest(const dtlsl__hello *h, const uint8_t *data)
{
    dtlsl__hello alone;

    fuzz_check(read_copy(&alone, data, h->record_len) == DTLSL_REASON_NONE);
    fuzz_check(alone.core_len == h->core_len);
    fuzz_check(alone.cookie_len == h->cookie_len);
    fuzz_check(alone.tail_len == h->tail_len);
}

/* Changes the byte at 'at': the id of what is still a ClientHello differs if
 * 'matters'. */
static void
check_id_byte(const dtlsl__hello *h, const uint8_t *data, const uint8_t id[32],
              size_t at, int matters)
{
    uint8_t *copy = fuzz_copy(data, h->record_len);
    uint8_t other[32];

    copy[at] ^= 1;
    if (dtlsl_hello_id(copy, h->record_len, other) == DTLSL_OK)
        fuzz_check((memcmp(id, other, 32) != 0) == matters);
    free(copy);
}

static void
check_id(const dtlsl__hello *h, const uint8_t *data, size_t len)
{
    size_t cookie_at = AT_BODY + h->core_len + 1;
    size_t end = cookie_at + h->cookie_len;
    uint8_t id[32];

    fuzz_check(dtlsl_hello_id(data, len, id) == DTLSL_OK);
    check_id_byte(h, data, id, 2, 0);
    check_id_byte(h, data, id, AT_RECORD_SEQ + 5, 0);
    check_id_byte(h, data, id, AT_BODY, 1);
    check_id_byte(h, data, id, AT_BODY + 33, 1);
    check_id_byte(h, data, id, AT_BODY + 34, 1);
    check_id_byte(h, data, id, cookie_at - 1, 1);
    if (h->core_len > 35)
        check_id_byte(h, data, id, cookie_at - 2, 1);
    if (h->cookie_len > 0)
        check_id_byte(h, data, id, end - 1, 1);
    if (end < h->record_len)
        check_id_byte(h, data, id, h->record_len - 1, 0);
}

/* A first fragment is as good as the whole, if it holds the cookie. */
static void
check_cut(const dtlsl__hello *h, const uint8_t *data, uint32_t keep)
{
    uint32_t front = h->core_len + 1 + h->cookie_len;
    size_t len = AT_BODY + keep;
    uint8_t *copy = fuzz_copy(data, len);
    dtlsl__hello cut;
    int32_t reason;

    dtlsl__put16(copy + AT_RECORD_LEN, keep + DTLSL__MESSAGE_HEADER);
    dtlsl__put24(copy + AT_FRAGMENT_LEN, keep);
    reason = dtlsl__hello_read(&cut, copy, len);
    fuzz_check(dtlsl_is_client_hello(copy, len) == 1);
    if (keep < front) {
        fuzz_check(reason == DTLSL_REASON_DROP_HELLO_LENGTH);
    } else {
        fuzz_check(reason == DTLSL_REASON_NONE && cut.fragmented);
        fuzz_check(cut.core_len == h->core_len);
        fuzz_check(cut.cookie_len == h->cookie_len);
        fuzz_check(cut.tail_len == (keep >= h->tail_end ? h->tail_len : 0));
    }
    free(copy);
}

static void
check_cuts(const dtlsl__hello *h, const uint8_t *data)
{
    uint32_t step = 1 + h->fragment_len / CUTS_MAX;

    for (uint32_t keep = 0; keep < h->fragment_len; keep += step)
        check_cut(h, data, keep);
}

/* The answer says what was asked for, wherever the cookie came from. */
static void
check_reply(const dtlsl__hello *h, const uint8_t *data, size_t len)
{
    size_t n = data[len - 1], want = REPLY_OVERHEAD + n;
    size_t at = data[len - 2] % (REPLY_ROOM - n);
    uint8_t *out = malloc(REPLY_ROOM), cookie[255];
    dtlsl__record record;
    dtlsl__message message;

    fuzz_check(out != NULL);
    for (size_t i = 0; i < REPLY_ROOM; i++)
        out[i] = (uint8_t)(i * 7);
    memcpy(cookie, out + at, n);
    fuzz_check(dtlsl__hello_verify_request(h, cookie, n, out, want - 1) == 0);
    fuzz_check(dtlsl__hello_verify_request(h, cookie, 256, out, 300) == 0);
    fuzz_check(dtlsl__hello_verify_request(h, out + at, n, out, want) == want);
    fuzz_check(dtlsl__record_read(&record, out, want) == (int32_t)want);
    fuzz_check(record.type == DTLSL__HANDSHAKE && record.version == 0xfeff);
    fuzz_check(record.epoch == 0 && record.seq == h->record_seq);
    fuzz_check(dtlsl__message_read(&message, record.body, record.len) ==
               (int32_t)record.len);
    fuzz_check(message.type == DTLSL__HELLO_VERIFY_REQUEST);
    fuzz_check(message.seq == 0 && message.offset == 0);
    fuzz_check(message.length == 3 + n && message.fragment_len == 3 + n);
    fuzz_check(dtlsl__get16(message.body) == 0xfeff);
    fuzz_check(message.body[2] == n);
    fuzz_check(memcmp(message.body + 3, cookie, n) == 0);
    free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    dtlsl__hello hello;
    int32_t reason = dtlsl__hello_read(&hello, data, len);
    int32_t is_hello = dtlsl_is_client_hello(data, len);
    uint8_t id[32];

    fuzz_check(reason >= DTLSL_REASON_NONE &&
               reason <= DTLSL_REASON_DROP_RECORD_SEQ);
    fuzz_check(is_hello == 0 || is_hello == 1);
    if (reason > DTLSL_REASON_DROP_MESSAGE_TYPE)
        fuzz_check(is_hello);
    if (reason != DTLSL_REASON_NONE) {
        fuzz_check(dtlsl_hello_id(data, len, id) == DTLSL_ERR_ARGUMENT);
        return 0;
    }
    fuzz_check(is_hello);
    check_spans(&hello, data, len);
    check_rest(&hello, data);
    check_id(&hello, data, len);
    check_cuts(&hello, data);
    check_reply(&hello, data, len);
    return 0;
}
