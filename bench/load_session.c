/* SPDX-License-Identifier: MIT
 * One session of the load: OpenSSL's client on a BIO that is a datagram in and
 * datagrams out. */
#include "load.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    MTU = 1450,
    NUMBER = 0, /* in a message, as are the others */
    SLOT = 4,
    TIME = 8
};

static SSL_CTX *ctx;
static BIO_METHOD *method;
static session **by_slot;
static session **shaking;
static uint8_t *lives;
static uint32_t n_slots, n_shaking;
/* The datagram that is being read. */
static const uint8_t *input;
static size_t input_len;

/* ---- the BIO ---- */

static int
bio_write(BIO *bio, const char *data, int len)
{
    net_send(BIO_get_data(bio), (const uint8_t *)data, (size_t)len);
    return len;
}

static int
bio_read(BIO *bio, char *out, int room)
{
    size_t len = input_len < (size_t)room ? input_len : (size_t)room;

    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, input, len);
    input_len = 0;
    return (int)len;
}

static long
bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO *
make_bio(session *s)
{
    BIO *bio = BIO_new(method);

    if (bio == NULL)
        refuse("OpenSSL", "out of memory");
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- all of them ---- */

/* From scratch each time, and with what all servers have. */
static void
make_context(void)
{
    ctx = SSL_CTX_new(DTLS_client_method());
    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) ||
        !SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                      "ECDHE-RSA-AES128-GCM-SHA256"))
        refuse("OpenSSL", "no context");
    if (told.groups != NULL && !SSL_CTX_set1_groups_list(ctx, told.groups))
        refuse(told.groups, "OpenSSL does not know all of these groups");
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
}

void
sessions_init(uint32_t slots)
{
    n_slots = slots;
    by_slot = calloc(slots, sizeof(*by_slot));
    shaking = calloc(slots, sizeof(*shaking));
    lives = calloc(slots, sizeof(*lives));
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "load");
    if (by_slot == NULL || shaking == NULL || lives == NULL || method == NULL)
        refuse("the sessions", "out of memory");
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    make_context();
}

void
sessions_free(void)
{
    sessions_close(n_slots);
    SSL_CTX_free(ctx);
    BIO_meth_free(method);
    free(by_slot);
    free(shaking);
    free(lives);
}

void
sessions_close(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (by_slot[i] != NULL)
            session_free(by_slot[i]);
}

session *
session_at(uint32_t slot)
{
    return slot < n_slots ? by_slot[slot] : NULL;
}

session *
session_with(uint32_t address)
{
    session *s = session_at((address - LOAD_ADDRESS) % LIVES_APART);

    return s != NULL && s->address == address ? s : NULL;
}

static void
stop_shaking(session *s)
{
    session *last = shaking[--n_shaking];

    shaking[s->shaking_index] = last;
    last->shaking_index = s->shaking_index;
}

/* libssl 3.0 dereferences the buffers that SSL_free_buffers took when it
 * writes next. */
static void
take_buffers(session *s)
{
    if (s->is_bare && SSL_alloc_buffers(s->ssl))
        s->is_bare = 0;
}

void
session_shrink(session *s)
{
    s->is_bare = (uint8_t)SSL_free_buffers(s->ssl);
}

/* ---- the handshake ---- */

static void
shake(session *s)
{
    int result = SSL_do_handshake(s->ssl);

    if (result == 1) {
        stop_shaking(s);
        s->is_open = 1;
        s->role->opened(s);
    } else if (SSL_get_error(s->ssl, result) != SSL_ERROR_WANT_READ) {
        s->role->ended(s);
    }
    ERR_clear_error();
}

void
session_start(uint32_t slot, const role *as, uint64_t delay_ns)
{
    session *s = calloc(1, sizeof(*s));
    BIO *bio;

    if (s == NULL || (s->ssl = SSL_new(ctx)) == NULL)
        refuse("OpenSSL", "out of memory");
    s->role = as;
    s->slot = slot;
    /* What the server still sends to the one before is not for this one. */
    s->address =
        LOAD_ADDRESS + slot + (uint32_t)(lives[slot]++ % LIVES) * LIVES_APART;
    s->delay_ns = delay_ns;
    s->since_ns = now_ns();
    net_attach(s);
    bio = make_bio(s);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_mtu(s->ssl, MTU);
    SSL_set_connect_state(s->ssl);
    by_slot[slot] = s;
    s->shaking_index = n_shaking;
    shaking[n_shaking++] = s;
    input_len = 0;
    shake(s);
}

void
session_free(session *s)
{
    take_buffers(s);
    if (s->is_open)
        SSL_shutdown(s->ssl);
    else
        stop_shaking(s);
    by_slot[s->slot] = NULL;
    SSL_free(s->ssl);
    net_detach(s);
    free(s);
    ERR_clear_error();
}

/* Backwards: the last takes the place of one that is over. */
void
sessions_check_timers(uint64_t now)
{
    uint64_t limit = (uint64_t)(told.limit_s * (double)NS_PER_S);

    for (uint32_t i = n_shaking; i-- > 0;) {
        session *s = shaking[i];
        long result = 0;

        if (now < s->since_ns + limit)
            result = DTLSv1_handle_timeout(s->ssl);
        if (result > 0)
            s->retransmitted = 1;
        if (result < 0 || now >= s->since_ns + limit)
            s->role->ended(s);
    }
    ERR_clear_error();
}

/* ---- messages ---- */

/* Of its own for each session and number, so that no other can pass for it. */
static void
make_message(const session *s, uint32_t number, uint64_t at, uint8_t *out)
{
    memcpy(out + NUMBER, &number, sizeof(number));
    memcpy(out + SLOT, &s->slot, sizeof(s->slot));
    memcpy(out + TIME, &at, sizeof(at));
    for (size_t i = MESSAGE_MIN; i < told.size; i++)
        out[i] = (uint8_t)(s->slot + number + i);
}

int
session_say(session *s, uint64_t now)
{
    uint8_t message[MESSAGE_MAX];

    take_buffers(s);
    make_message(s, s->number, now, message);
    if (SSL_write(s->ssl, message, (int)told.size) <= 0) {
        ERR_clear_error();
        return 0;
    }
    s->number++;
    s->under_way++;
    return 1;
}

static void
take_echo(session *s, const uint8_t *data, size_t len, uint64_t now)
{
    uint8_t message[MESSAGE_MAX];
    uint32_t number = 0;
    uint64_t at = 0;

    if (len == told.size) {
        memcpy(&number, data + NUMBER, sizeof(number));
        memcpy(&at, data + TIME, sizeof(at));
        make_message(s, number, at, message);
    }
    if (len != told.size || number >= s->number || at > now ||
        memcmp(message, data, len) != 0)
        refuse("the server", "what it sent is no echo");
    s->under_way -= s->under_way > 0;
    s->role->echoed(s, now - at);
}

static void
hear(session *s, uint64_t now)
{
    uint8_t data[MESSAGE_MAX + 1];
    int len;

    take_buffers(s);
    do {
        len = SSL_read(s->ssl, data, sizeof(data));
        if (len > 0)
            take_echo(s, data, (size_t)len, now);
    } while (len > 0 && SSL_has_pending(s->ssl));
    if (len > 0)
        return;
    if (SSL_get_error(s->ssl, len) != SSL_ERROR_WANT_READ)
        s->role->ended(s);
    ERR_clear_error();
}

void
session_input(session *s, const uint8_t *data, size_t len, uint64_t now)
{
    input = data;
    input_len = len;
    if (s->is_open)
        hear(s, now);
    else
        shake(s);
    input_len = 0;
}
