/* SPDX-License-Identifier: MIT
 * The connection and its client at work, and what must hold meanwhile. */
#include "conn_fuzz.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* One record is answered with a flight at the most. */
    ANSWER_MAX = 4096,
    ANSWER_DATAGRAMS_MAX = 8,
    STEPS_MAX = 16,
    EARLY_MAX = 4
};

fuzz_pair pair;

/* ---- the application's error queue ---- */

void
pair_enter(void)
{
    ERR_clear_error();
    if (pair.own_error)
        ERR_raise(ERR_LIB_USER, 7);
}

void
pair_leave(void)
{
    if (pair.own_error) {
        unsigned long code = ERR_get_error();

        fuzz_check(ERR_GET_LIB(code) == ERR_LIB_USER &&
                   ERR_GET_REASON(code) == 7);
    }
    fuzz_check(ERR_peek_error() == 0);
}

/* ---- datagrams between the two ---- */

uint8_t *
pair_reserve(void *ctx, size_t len)
{
    (void)ctx;
    fuzz_check(len > 0 && len <= MTU);
    pair.out_bytes += len;
    if (pair.out_count++ % 2 == 1 && pair.lossy)
        return NULL;
    fuzz_check(pair.n_out < QUEUE);
    pair.out[pair.n_out].data = malloc(len);
    fuzz_check(pair.out[pair.n_out].data != NULL);
    pair.out[pair.n_out].len = len;
    return pair.out[pair.n_out++].data;
}

void
pair_hold(void)
{
    packet p;

    while (client_take(pair.client, &p)) {
        if (pair.n_held == QUEUE) {
            packet_free(&p);
            continue;
        }
        pair.held[pair.n_held].data = p.data;
        pair.held[pair.n_held++].len = p.len;
    }
}

datagram
pair_next_held(void)
{
    datagram first = pair.held[0];

    fuzz_check(pair.n_held > 0);
    memmove(pair.held, pair.held + 1, --pair.n_held * sizeof(pair.held[0]));
    return first;
}

void
pair_flush(void)
{
    for (size_t i = 0; i < pair.n_out; i++) {
        client_feed(pair.client, pair.out[i].data, pair.out[i].len);
        free(pair.out[i].data);
    }
    pair.n_out = 0;
    pair_hold();
}

void
pair_note_written(const uint8_t *data, size_t len)
{
    text *m = &pair.written[pair.n_written++];

    fuzz_check(pair.n_written <=
               sizeof(pair.written) / sizeof(pair.written[0]));
    m->data = fuzz_copy(data, len);
    m->len = len;
    m->delivered = 0;
}

/* ---- the connection at work ---- */

static void
take_data(size_t len)
{
    uint8_t *copy = fuzz_copy(pair.plain, len); /* is all of it defined? */

    pair.n_data++;
    for (size_t i = 0; i < pair.n_written; i++) {
        text *m = &pair.written[i];

        if (m->delivered || m->len != len || memcmp(m->data, copy, len) != 0)
            continue;
        m->delivered = 1;
        free(copy);
        return;
    }
    fuzz_fail(__FILE__, __LINE__, "the client wrote this");
}

static void
take_end(void)
{
    int was_open = dtlsl__conn_is_open(pair.conn);

    fuzz_check(pair.unusual || (!was_open && pair.forged));
    fuzz_check(dtlsl__conn_text(pair.conn)[0] != '\0');
    fuzz_check(dtlsl__conn_status(pair.conn) > 0);
    pair.ended = 1;
    if (dtlsl__conn_status(pair.conn) == DTLSL_CLOSE_PEER) {
        pair_enter();
        dtlsl__conn_close_notify(pair.conn);
        pair_leave();
    }
}

static void
step(void)
{
    int32_t found = DTLSL__STEP_DATA;
    size_t len;

    for (int i = 0; found != DTLSL__STEP_DONE && !pair.ended; i++) {
        fuzz_check(i < STEPS_MAX);
        pair_enter();
        found = dtlsl__conn_step(pair.conn, pair.plain, PLAIN, &len);
        pair_leave();
        fuzz_check(len <= PLAIN && (len == 0 || found == DTLSL__STEP_DATA));
        if (found == DTLSL__STEP_DATA)
            take_data(len);
        if (found == DTLSL__STEP_END)
            take_end();
    }
}

/* May a client have sent this behind its second ClientHello? */
static int
may_be_genuine(const dtlsl__message *m, int hello_incomplete)
{
    int asks = pair.suite->asks;

    if (m->offset + m->fragment_len > m->length)
        return 0;
    if (hello_incomplete)
        return m->type == DTLSL__CLIENT_HELLO && m->seq == 1 &&
               m->length <= 16384;
    if (SSL_session_reused(dtlsl__conn_ssl(pair.conn)))
        return 0;
    switch (m->type) {
    case DTLSL__CLIENT_KEY_EXCHANGE:
        return m->seq == 2 || (asks && m->seq == 3);
    case DTLSL__CERTIFICATE:
        return asks && m->seq == 2;
    case DTLSL__CERTIFICATE_VERIFY:
        return asks && m->seq == 4;
    default:
        return 0;
    }
}

/* OpenSSL is shown nothing else. */
static void
check_taken(const dtlsl__record *record, int was_open, int hello_incomplete)
{
    const uint8_t *data = record->body;
    size_t len = record->len;
    dtlsl__message m;
    int32_t n;

    fuzz_check(record->version >> 8 == 0xfe && record->epoch <= 1);
    if (record->epoch == 1) {
        fuzz_check(len >= 16 && !hello_incomplete);
        fuzz_check(
            was_open ||
            (dtlsl__conn_change_seen(pair.conn) && record->type == 22) ||
            pair.early++ < EARLY_MAX);
        fuzz_check(record->type >= 20 && record->type <= 23);
        return;
    }
    fuzz_check(!was_open && len > 0);
    if (record->type == DTLSL__CHANGE_CIPHER_SPEC) {
        fuzz_check(len == 1 && data[0] == 1 && !hello_incomplete);
        return;
    }
    fuzz_check(record->type == DTLSL__HANDSHAKE);
    for (; len > 0; data += n, len -= (size_t)n) {
        n = dtlsl__message_read(&m, data, len);
        fuzz_check(n > 0 && may_be_genuine(&m, hello_incomplete));
    }
}

static void
feed(const dtlsl__record *record, int authentic)
{
    size_t bytes = pair.out_bytes, count = pair.out_count, data = pair.n_data;
    int was_open = dtlsl__conn_is_open(pair.conn);
    int incomplete = dtlsl__conn_hello_incomplete(pair.conn);
    int32_t taken;

    pair_enter();
    taken = dtlsl__conn_feed(pair.conn, record);
    pair_leave();
    fuzz_check(taken == 0 || (taken == 1 && !pair.ended));
    if (taken)
        check_taken(record, was_open, incomplete);
    if (taken && !authentic && record->epoch == 0 &&
        record->type == DTLSL__HANDSHAKE)
        pair.forged = 1;
    if (taken)
        step();
    fuzz_check(pair.out_bytes - bytes <= ANSWER_MAX);
    fuzz_check(pair.out_count - count <= ANSWER_DATAGRAMS_MAX);
    if (was_open && !authentic)
        fuzz_check(pair.out_count == count && pair.n_data == data);
}

/* As the engine cuts it. */
void
pair_deliver(const uint8_t *data, size_t len, int authentic)
{
    uint8_t *copy = fuzz_copy(data, len);
    dtlsl__record record;
    size_t at = 0;
    int32_t n;

    while ((n = dtlsl__record_read(&record, copy + at, len - at)) > 0) {
        feed(&record, authentic);
        at += (size_t)n;
    }
    free(copy);
    pair_flush();
}

/* ---- both ---- */

static void
deliver_held(void)
{
    datagram next = pair_next_held();

    pair_deliver(next.data, next.len, 1);
    free(next.data);
}

void
pair_settle(void)
{
    for (int i = 0; pair.n_held > 0; i++) {
        fuzz_check(i < 2 * QUEUE);
        deliver_held();
    }
}

void
pair_wait(unsigned ms)
{
    int32_t err = DTLSL_OK;

    client_clock(pair.clock += ms);
    if (!pair.ended && dtlsl__conn_timeout(pair.conn) == 0) {
        pair_enter();
        err = dtlsl__conn_retransmit(pair.conn);
        pair_leave();
    }
    fuzz_check(err == DTLSL_OK);
    pair_flush();
    client_timer(pair.client);
    pair_hold();
}

int
pair_both_open(void)
{
    return dtlsl__conn_is_open(pair.conn) && !pair.ended &&
           client_is_open(pair.client) && !client_is_dead(pair.client) &&
           !client_is_closed(pair.client);
}
