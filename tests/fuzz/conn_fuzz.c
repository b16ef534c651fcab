/* SPDX-License-Identifier: MIT
 * Fuzzes one connection: a handshake with a client in this process, up to
 * where the first byte of the input says, then the input's orders: junk,
 * records that look right, the client's own ones, as they are or damaged,
 * records that are encrypted rightly, lost time, data the other way. The
 * handshake is a full one, or resumes a session by its ticket. */
#include "conn_fuzz.h"
#include "conn_fuzz_seal.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "conn";

enum {
    LONGEST_DATA = 1100,
    /* Fewer time-outs than end a handshake. */
    WAITS_MAX = 8
};

static void
junk(fuzz_input *in)
{
    size_t len = fuzz_byte(in);
    const uint8_t *data = fuzz_bytes(in, &len);

    pair_deliver(data, len, 0);
}

/* A record with a right header: type, epoch, number, body. */
static void
shaped_record(fuzz_input *in)
{
    uint8_t record[DTLSL__RECORD_HEADER + 255 * 65];
    uint8_t type = fuzz_byte(in), shape = fuzz_byte(in);
    size_t len = fuzz_byte(in), times = shape & 0x40 ? 65 : 1;
    const uint8_t *body = fuzz_bytes(in, &len);

    record[0] = type;
    dtlsl__put16(record + 1, shape & 0x20 ? 0xfeff : 0xfefd);
    dtlsl__put16(record + 3, shape & 3);
    dtlsl__put48(record + 5, shape & 0x80 ? (UINT64_C(1) << 48) - 1
                                          : UINT64_C(1) << (shape >> 2 & 7));
    dtlsl__put16(record + 11, (uint32_t)(len * times));
    for (size_t i = 0; i < times && len > 0; i++)
        memcpy(record + DTLSL__RECORD_HEADER + i * len, body, len);
    pair_deliver(record, DTLSL__RECORD_HEADER + len * times, 0);
}

/* A handshake record of one message: type, message_seq, lengths, body. */
static void
shaped_message(fuzz_input *in)
{
    uint8_t record[DTLSL__RECORD_HEADER + DTLSL__MESSAGE_HEADER + 255];
    uint8_t *message = record + DTLSL__RECORD_HEADER;
    uint8_t type = fuzz_byte(in), seq = fuzz_byte(in);
    uint32_t more = fuzz_byte(in), offset = fuzz_byte(in);
    size_t len = fuzz_byte(in);
    const uint8_t *body = fuzz_bytes(in, &len);

    record[0] = DTLSL__HANDSHAKE;
    dtlsl__put16(record + 1, 0xfefd);
    dtlsl__put16(record + 3, 0);
    dtlsl__put48(record + 5, 2);
    dtlsl__put16(record + 11, (uint32_t)len + DTLSL__MESSAGE_HEADER);
    message[0] = type;
    dtlsl__put24(message + 1, (uint32_t)len + offset + more * more);
    dtlsl__put16(message + 4, seq);
    dtlsl__put24(message + 6, offset);
    dtlsl__put24(message + 9, (uint32_t)len);
    if (len > 0)
        memcpy(message + DTLSL__MESSAGE_HEADER, body, len);
    pair_deliver(record, DTLSL__RECORD_HEADER + DTLSL__MESSAGE_HEADER + len,
                 0);
}

/* The client's next datagram: of its handshake, or with these bytes. */
static int
client_datagram(fuzz_input *in, datagram *d)
{
    size_t len = fuzz_byte(in), times = 1;
    uint8_t bytes[LONGEST_DATA];
    const uint8_t *data = fuzz_bytes(in, &len);

    if (pair.n_held > 0) {
        *d = pair_next_held();
        return 1;
    }
    if (!client_is_open(pair.client) || client_is_dead(pair.client) ||
        client_is_closed(pair.client) || len == 0)
        return 0;
    if (len > 128)
        times = 4;
    for (size_t i = 0; i < times; i++)
        memcpy(bytes + i * len, data, len);
    if (client_write(pair.client, bytes, len * times) <= 0)
        return 0;
    pair_hold();
    fuzz_check(pair.n_held == 1);
    *d = pair_next_held();
    pair_note_written(bytes, len * times);
    return 1;
}

static void
genuine(fuzz_input *in)
{
    size_t before = pair.n_data, written = pair.n_written;
    int open = pair_both_open();
    datagram d;

    if (!client_datagram(in, &d))
        return;
    pair_deliver(d.data, d.len, 1);
    if (open && pair.n_written > written && !pair.unusual)
        fuzz_check(pair.n_data == before + 1);
    /* A copy; in the handshake it does no harm either. */
    pair_deliver(d.data, d.len, !dtlsl__conn_is_open(pair.conn));
    free(d.data);
}

/* The datagram with one byte changed, cut or not, and then itself. */
static void
damaged(fuzz_input *in)
{
    size_t before = pair.n_data, written = pair.n_written, cut, at;
    int open = pair_both_open();
    uint8_t change, *copy;
    datagram d;

    if (!client_datagram(in, &d))
        return;
    at = fuzz_short(in) % d.len;
    change = fuzz_byte(in);
    cut = fuzz_byte(in) % d.len;
    copy = fuzz_copy(d.data, d.len);
    copy[at] ^= change == 0 ? 0x80 : change;
    if (cut > DTLSL__RECORD_HEADER) {
        dtlsl__put16(copy + 11, (uint32_t)(cut - DTLSL__RECORD_HEADER));
        pair_deliver(copy, cut, 0);
    } else {
        pair_deliver(copy, d.len, 0);
    }
    pair_deliver(d.data, d.len, 1);
    if (open && pair.n_written > written && !pair.unusual)
        fuzz_check(pair.n_data == before + 1);
    free(copy);
    free(d.data);
}

/* A record of any type and content that authenticates: it takes the place of
 * one of the client's, so that the numbers stay in step. */
static void
sealed(fuzz_input *in)
{
    uint8_t type = fuzz_byte(in), shape = fuzz_byte(in);
    size_t len = fuzz_byte(in), times = shape & 1 ? 64 : 1, sealed_len;
    const uint8_t *data = fuzz_bytes(in, &len);
    uint8_t *plain, *record;
    datagram d;

    if (!pair_both_open() || !pair.suite->seals ||
        client_write(pair.client, "x", 1) <= 0)
        return;
    pair_hold();
    d = pair.held[--pair.n_held];
    plain = malloc(len * times + 1);
    record = malloc(len * times + SEAL_OVERHEAD);
    fuzz_check(plain != NULL && record != NULL);
    for (size_t i = 0; i < times && len > 0; i++)
        memcpy(plain + i * len, data, len);
    memcpy(record, d.data, DTLSL__RECORD_HEADER);
    record[0] = type;
    sealed_len = seal(client_ssl(pair.client), record, plain, len * times);
    if (type != DTLSL__APPLICATION_DATA || len * times > DTLSL__RECORD_MAX)
        pair.unusual = 1;
    else
        pair_note_written(plain, len * times);
    pair_deliver(record, sealed_len, 1);
    free(d.data);
    free(record);
    free(plain);
}

static void
send_back(fuzz_input *in)
{
    static const uint8_t zeros[4096];
    size_t len = fuzz_byte(in) * 8U, received, got;
    size_t count = pair.out_count;
    int32_t sent, mtu = dtlsl__conn_mtu(pair.conn);
    int open = pair_both_open();

    pair_enter();
    sent = dtlsl__conn_send(pair.conn, zeros, len);
    pair_leave();
    fuzz_check(pair.out_count <= count + 1);
    if (!dtlsl__conn_is_open(pair.conn) || pair.ended) {
        fuzz_check(sent == DTLSL_ERR_STATE);
        return;
    }
    fuzz_check(mtu > 0 && mtu < MTU);
    fuzz_check((sent == DTLSL_ERR_TOOBIG) == (len > (size_t)mtu));
    received = client_received(pair.client);
    pair_flush();
    if (!open || pair.unusual || pair.lossy || len == 0 || len > (size_t)mtu)
        return;
    fuzz_check(sent == (int32_t)len);
    fuzz_check(client_received(pair.client) == received + 1);
    client_last(pair.client, &got);
    fuzz_check(got == len);
}

static void
pass_time(fuzz_input *in)
{
    unsigned ms = fuzz_byte(in) * 100U;

    if (pair.waits++ < WAITS_MAX)
        pair_wait(ms);
}

/* What an honest client may send behind its Finished, besides data. */
static void
control(fuzz_input *in)
{
    if (!pair_both_open())
        return;
    pair.unusual = 1;
    if (fuzz_byte(in) & 1) {
        SSL_renegotiate(client_ssl(pair.client));
        SSL_do_handshake(client_ssl(pair.client));
        ERR_clear_error();
    } else {
        client_shutdown(pair.client);
    }
    pair_hold();
    pair_settle();
}

/* The held datagrams in another order, or one lost. */
static void
disorder(fuzz_input *in)
{
    uint8_t how = fuzz_byte(in);
    datagram first;

    if (pair.n_held < 2)
        return;
    first = pair_next_held();
    if (how & 1) {
        free(first.data);
    } else {
        memmove(pair.held + 1, pair.held, pair.n_held * sizeof(pair.held[0]));
        pair.held[0] = pair.held[1];
        pair.held[1] = first;
        pair.n_held++;
    }
}

static void
obey(fuzz_input *in)
{
    static void (*const orders[])(fuzz_input *) = {
        junk,   shaped_record, shaped_message, genuine,  damaged,
        sealed, send_back,     pass_time,      disorder, control};

    for (int i = 0; i < ORDERS_MAX && in->len > 0; i++)
        orders[fuzz_byte(in) % (sizeof(orders) / sizeof(orders[0]))](in);
}

/* Whatever a stranger did, an honest client gets through. */
static void
check_alive(void)
{
    fuzz_input abc = {(const uint8_t *)"\3abc", 4};
    fuzz_input eight = {(const uint8_t *)"\10", 1};

    if (pair.forged || pair.unusual)
        return;
    for (int i = 0; i < 3 && !pair_both_open(); i++) {
        pair_settle();
        pair_wait(20000);
    }
    pair_settle();
    if (pair.lossy)
        return;
    fuzz_check(pair_both_open());
    genuine(&abc);
    send_back(&eight);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_input in = {data, len};

    pair_prepare();
    fuzz_seed(1);
    pair_begin(fuzz_byte(&in));
    obey(&in);
    check_alive();
    pair_finish();
    return 0;
}
