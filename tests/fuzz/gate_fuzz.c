/* SPDX-License-Identifier: MIT
 * Fuzzes a gate with the hmac strategy: the input is a list of orders, which
 * send it ClientHellos and junk, with its own cookies and with damaged ones,
 * from several addresses, while time passes and the secret changes. */
#include "counters.h"
#include "fuzz.h"
#include "gate.h"
#include "hello.h"
#include "record.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char fuzz_name[] = "gate";

enum {
    LIFETIME_MS = 10000,
    SKEW_MS = 5000,
    POLL_MS = 1000,
    SECRET_LEN = 32,
    COOKIE_LEN = 22,
    BINDS_TAIL = 1, /* in a cookie's first byte */
    ENDPOINT = 22,  /* bytes of an address that a cookie binds */
    ORDERS_MAX = 200,
    MINTED_MAX = 256,
    DATAGRAM_MAX = 2048,
    AT_BODY = 25
};

/* A cookie that the gate has minted, and for what. */
typedef struct minted {
    uint8_t cookie[COOKIE_LEN];
    uint8_t peer[24];
    uint8_t core[67];
    uint32_t core_len;
    uint8_t tail[512];
    uint32_t tail_len;
    uint64_t mono_ms;
} minted;

typedef struct packet {
    uint8_t data[DATAGRAM_MAX];
    size_t len;
} packet;

static char secret_file[64];
static int secret_fd;
static SSL_CTX *ssl_ctx;

static struct {
    dtlsl_gate *gate;
    dtlsl_path path;
    dtlsl_now now;
    uint64_t next_tick;
    uint8_t reply[DTLSL_REPLY_MAX];
    minted minted[MINTED_MAX];
    size_t n_minted;
    uint64_t judged;
} g;

/* In place: making the file anew would write it to the disk each time. */
static void
write_secret(uint8_t byte)
{
    uint8_t secret[SECRET_LEN];

    memset(secret, byte, sizeof(secret));
    fuzz_check(pwrite(secret_fd, secret, sizeof(secret), 0) ==
               (ssize_t)sizeof(secret));
}

static void
remove_secret(void)
{
    unlink(secret_file);
}

static void
make_once(void)
{
    strcpy(secret_file, "/tmp/gate_fuzz.XXXXXX");
    secret_fd = mkstemp(secret_file);
    fuzz_check(secret_fd >= 0 && fchmod(secret_fd, 0600) == 0);
    atexit(remove_secret);
    ssl_ctx = SSL_CTX_new(DTLS_server_method());
    fuzz_check(ssl_ctx != NULL);
}

/* ---- the model ---- */

static int
same_endpoint(const minted *m)
{
    return memcmp(m->peer, g.path.peer, ENDPOINT) == 0;
}

static int
same_hello(const minted *m, const dtlsl__hello *h)
{
    if (m->core_len != h->core_len ||
        memcmp(m->core, h->core, h->core_len) != 0)
        return 0;
    if (!(m->cookie[0] & BINDS_TAIL))
        return 1;
    return h->tail != NULL && m->tail_len == h->tail_len &&
           memcmp(m->tail, h->tail, h->tail_len) == 0;
}

/* The cookie that 'h' brings back rightly, or NULL. */
static const minted *
find_minted(const dtlsl__hello *h)
{
    for (size_t i = g.n_minted; i-- > 0;) {
        const minted *m = &g.minted[i];

        if (h->cookie_len == COOKIE_LEN &&
            memcmp(m->cookie, h->cookie, COOKIE_LEN) == 0 &&
            same_endpoint(m) && same_hello(m, h) &&
            g.now.mono_ms - m->mono_ms <= LIFETIME_MS)
            return m;
    }
    return NULL;
}

static void
note_minted(const dtlsl__hello *h, const uint8_t *cookie)
{
    minted *m = &g.minted[g.n_minted++];

    fuzz_check(g.n_minted <= MINTED_MAX);
    memcpy(m->cookie, cookie, COOKIE_LEN);
    memcpy(m->peer, g.path.peer, sizeof(m->peer));
    memcpy(m->core, h->core, h->core_len);
    m->core_len = h->core_len;
    m->tail_len = h->tail_len;
    if (h->tail_len > 0)
        memcpy(m->tail, h->tail, h->tail_len);
    m->mono_ms = g.now.mono_ms;
}

/* ---- one datagram ---- */

static void
check_reply(const dtlsl_verdict *v, const dtlsl__hello *h, size_t len)
{
    uint8_t want[DTLSL_REPLY_MAX];
    const uint8_t *cookie = g.reply + 28;

    fuzz_check(v->reply_len <= len && v->reply_len == 28 + COOKIE_LEN);
    fuzz_check(dtlsl__hello_verify_request(h, cookie, COOKIE_LEN, want,
                                           sizeof(want)) == v->reply_len);
    fuzz_check(memcmp(want, g.reply, v->reply_len) == 0);
    fuzz_check(find_minted(h) == NULL);
    note_minted(h, cookie);
}

/* OpenSSL's own DTLSv1_listen() takes whatever the gate accepts. */
static void
check_accept(const dtlsl_verdict *v, const dtlsl__hello *h,
             const uint8_t *data, size_t len)
{
    const minted *m = find_minted(h);
    SSL *ssl = SSL_new(ssl_ctx);

    fuzz_check(m != NULL);
    fuzz_check(v->age_ms == g.now.mono_ms - m->mono_ms);
    fuzz_check(v->record_len == h->record_len && v->record_len <= len);
    fuzz_check(v->reply_len == 0 && v->node == 0 && v->app_len == 0);
    fuzz_check(ssl != NULL);
    fuzz_check(dtlsl_gate_accept(ssl, data, len) == 1);
    SSL_free(ssl);
}

/* Exactly one outcome was counted, and it is the verdict. */
static void
check_counters(const dtlsl__counters *before, const dtlsl_verdict *v)
{
    const dtlsl__counters *after = dtlsl__gate_counters(g.gate);
    int32_t outcome = DTLSL__N_DROP_SHORT + v->reason - 1;
    uint64_t in = 0, out = 0;

    if (v->action != DTLSL_DROP)
        outcome =
            v->action == DTLSL_REPLY ? DTLSL__N_REPLIED : DTLSL__N_ACCEPTED;
    fuzz_check(after->n[outcome] == before->n[outcome] + 1);
    for (int32_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        int32_t kind = dtlsl__counter_at((size_t)i)->kind;

        fuzz_check(after->n[i] - before->n[i] <= 1);
        if (kind == DTLSL__IN)
            in += after->n[i];
        if (kind == DTLSL__OUT)
            out += after->n[i];
    }
    fuzz_check(in == ++g.judged && out == in);
}

/* A cookie that was minted here for this hello is taken. */
static void
check_drop(const dtlsl_verdict *v, const dtlsl__hello *h, int32_t reason)
{
    fuzz_check(v->reason != DTLSL_REASON_NONE && v->reply_len == 0);
    if (reason != DTLSL_REASON_NONE) {
        fuzz_check(v->reason == reason ||
                   v->reason >= DTLSL_REASON_DROP_SOURCE);
        return;
    }
    fuzz_check(v->reason >= DTLSL_REASON_DROP_SOURCE);
    if (v->reason > DTLSL_REASON_DROP_DESTINATION)
        fuzz_check(find_minted(h) == NULL);
}

static void
judge(const uint8_t *datagram, size_t len)
{
    uint8_t *data = fuzz_copy(datagram, len);
    dtlsl__counters before = *dtlsl__gate_counters(g.gate);
    dtlsl_verdict v = {
        .size = sizeof(v), .reply = g.reply, .reply_cap = sizeof(g.reply)};
    dtlsl__hello h;
    int32_t reason = dtlsl__hello_read(&h, data, len);

    ERR_raise(ERR_LIB_USER, 7); /* the application's */
    fuzz_check(dtlsl_gate_judge(g.gate, &g.path, data, len, &g.now, &v) ==
               DTLSL_OK);
    fuzz_check(ERR_GET_REASON(ERR_get_error()) == 7);
    fuzz_check(ERR_peek_error() == 0);
    check_counters(&before, &v);
    fuzz_check((v.reason == DTLSL_REASON_NONE) == (v.action != DTLSL_DROP));
    if (v.action == DTLSL_DROP) {
        check_drop(&v, &h, reason);
    } else {
        fuzz_check(reason == DTLSL_REASON_NONE);
        if (v.action == DTLSL_REPLY)
            check_reply(&v, &h, len);
        else
            check_accept(&v, &h, data, len);
    }
    fuzz_check(ERR_peek_error() == 0);
    free(data);
}

/* ---- orders ---- */

static void
append(packet *p, const void *data, size_t len)
{
    fuzz_check(p->len + len <= sizeof(p->data));
    if (len > 0)
        memcpy(p->data + p->len, data, len);
    p->len += len;
}

static void
append_byte(packet *p, unsigned value)
{
    uint8_t byte = (uint8_t)value;

    append(p, &byte, 1);
}

static void
append_random(packet *p, uint8_t id)
{
    for (unsigned i = 0; i < 32; i++)
        append_byte(p, id * 31U + i);
}

/* One that was minted, by its age; or that one with a bit changed; or bytes
 * of the input. */
static void
append_cookie(packet *p, fuzz_input *in, unsigned how)
{
    uint8_t which = fuzz_byte(in), change = 0, at = 0;
    size_t len = which;
    const uint8_t *data;

    if (how == 2) {
        data = fuzz_bytes(in, &len);
        append_byte(p, (unsigned)len);
        append(p, data, len);
        return;
    }
    if (how == 3) {
        at = fuzz_byte(in) % COOKIE_LEN;
        change = fuzz_byte(in);
    }
    if (how == 0 || g.n_minted == 0) {
        append_byte(p, 0);
        return;
    }
    append_byte(p, COOKIE_LEN);
    append(p, g.minted[g.n_minted - 1 - which % g.n_minted].cookie,
           COOKIE_LEN);
    p->data[p->len - COOKIE_LEN + at] ^= change;
}

static void
append_tail(packet *p, uint8_t suites)
{
    append_byte(p, suites >> 7);
    append_byte(p, suites << 1 & 0xff);
    for (unsigned i = 0; i < suites; i++) {
        append_byte(p, 0xc0);
        append_byte(p, i);
    }
    append(p, "\1\0", 2);
}

/* The input's bytes as one extension. */
static void
append_extension(packet *p, fuzz_input *in)
{
    size_t len = fuzz_byte(in);
    const uint8_t *data = fuzz_bytes(in, &len);

    if (len == 0)
        return;
    append_byte(p, 0);
    append_byte(p, (unsigned)len + 4 > 255 ? 255 : (unsigned)len + 4);
    if (len > 251)
        len = 251;
    append(p, "\xff\1\0", 3);
    append_byte(p, (unsigned)len);
    append(p, data, len);
}

/* Shape: 0x03 cookie, 0x04 message_seq, 0x08 fragment, 0x10 session id, 0x20
 * record number, 0x40 extension, 0x80 something behind the record. */
static void
hello(fuzz_input *in)
{
    static const uint8_t headers[AT_BODY] = {22, 0xfe, 0xff};
    packet p = {.len = 0};
    uint8_t shape = fuzz_byte(in), id = fuzz_byte(in);
    uint8_t suites = fuzz_byte(in), seq_top = 0;
    size_t len, keep;

    append(&p, headers, AT_BODY);
    append(&p, "\xfe\xfd", 2);
    append_random(&p, id & 0x0f);
    append_byte(&p, shape & 0x10 ? id >> 3 : 0);
    for (unsigned i = 0; shape & 0x10 && i < id >> 3; i++)
        append_byte(&p, i);
    append_cookie(&p, in, shape & 3);
    append_tail(&p, suites);
    if (shape & 0x40)
        append_extension(&p, in);
    if (shape & 0x20)
        seq_top = fuzz_byte(in);
    len = keep = p.len - AT_BODY;
    if (shape & 0x08)
        keep = fuzz_short(in) % (len + 1);
    p.len = AT_BODY + keep;
    p.data[13] = DTLSL__CLIENT_HELLO;
    dtlsl__put48(p.data + 5, (uint64_t)seq_top << 40 | id);
    dtlsl__put16(p.data + 11, (uint32_t)keep + DTLSL__MESSAGE_HEADER);
    dtlsl__put24(p.data + 14, (uint32_t)len);
    dtlsl__put16(p.data + 17, shape >> 2 & 1);
    dtlsl__put24(p.data + 22, (uint32_t)keep);
    if (shape & 0x80)
        append(&p, headers, fuzz_byte(in) % AT_BODY);
    judge(p.data, p.len);
}

/* The input's bytes as they are. */
static void
junk(fuzz_input *in)
{
    size_t len = fuzz_short(in);
    const uint8_t *data = fuzz_bytes(in, &len);

    judge(data, len);
}

static void
tick(void)
{
    fuzz_check(dtlsl_gate_tick(g.gate, &g.now, &g.next_tick) == DTLSL_OK);
    fuzz_check(g.next_tick > g.now.mono_ms);
    fuzz_check(ERR_peek_error() == 0);
}

/* A step of any size; the wall clock goes where it likes. */
static void
pass_time(fuzz_input *in)
{
    uint8_t exponent = fuzz_byte(in), more = fuzz_byte(in);

    g.now.mono_ms += (UINT64_C(1) << exponent % 36) + more * 16U;
    g.now.unix_ms = (uint64_t)more << exponent % 48;
    if (g.now.mono_ms >= g.next_tick)
        tick();
}

/* Almost to the end of a cookie's life, or just beyond. */
static void
pass_lifetime(fuzz_input *in)
{
    g.now.mono_ms += LIFETIME_MS - 2U + fuzz_byte(in) % 5;
    if (g.now.mono_ms >= g.next_tick)
        tick();
}

static void
set_address(uint8_t address[24], uint8_t kind, uint8_t host, uint8_t port)
{
    memset(address, 0, 24);
    if (kind & 1) {
        dtlsl__put16(address, kind & 2 ? 0xfe80 : 0x2001);
        address[15] = host;
        dtlsl__put32(address + 18, kind & 2 ? kind >> 2 : 0);
    } else {
        dtlsl__put16(address + 10, 0xffff);
        address[12] = kind & 2 ? 224 : 192;
        address[15] = host;
    }
    dtlsl__put16(address + 16, port);
}

static void
move_peer(fuzz_input *in)
{
    uint8_t kind = fuzz_byte(in), host = fuzz_byte(in);

    set_address(g.path.peer, kind, host, fuzz_byte(in));
}

static void
move_local(fuzz_input *in)
{
    uint8_t kind = fuzz_byte(in), host = fuzz_byte(in);

    set_address(g.path.local, kind, host, fuzz_byte(in));
    if (host == 0)
        memset(g.path.local, 0, sizeof(g.path.local));
}

/* A new secret, or a file that cannot be used. */
static void
change_secret(fuzz_input *in)
{
    uint8_t byte = fuzz_byte(in);

    if (byte == 0xff)
        fuzz_check(ftruncate(secret_fd, 5) == 0);
    else
        write_secret(byte);
    g.now.mono_ms += POLL_MS;
    tick();
}

static void
obey(fuzz_input *in)
{
    static void (*const orders[])(fuzz_input *) = {
        hello,     junk,       pass_time,     pass_lifetime,
        move_peer, move_local, change_secret, hello};

    for (int i = 0; i < ORDERS_MAX && in->len > 0; i++)
        orders[fuzz_byte(in) % 8](in);
}

/* ---- a gate per input ---- */

static void
set(dtlsl_config *config, const char *name, const char *value)
{
    fuzz_check(dtlsl_config_set(config, name, value) == DTLSL_OK);
}

static void
begin(fuzz_input *in)
{
    dtlsl_config *config;

    memset(&g, 0, sizeof(g));
    write_secret(1);
    /* After some start of the machine, a day or 49 days, in milliseconds. */
    g.now.mono_ms = UINT64_C(1) << (fuzz_byte(in) % 33);
    g.now.unix_ms = 1795300000000;
    set_address(g.path.peer, 0, 1, 77);
    set_address(g.path.local, 0, 2, 44);
    fuzz_check(dtlsl_config_new(&config) == DTLSL_OK);
    set(config, "cookie.secret-file", secret_file);
    set(config, "cookie.boot-id", "0");
    set(config, "cookie.lifetime-ms", "10000");
    set(config, "cookie.poll-ms", "1000");
    fuzz_check(dtlsl__gate_new(&g.gate, config, &g.now) == DTLSL_OK);
    dtlsl_config_free(config);
    tick();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_input in = {data, len};

    if (ssl_ctx == NULL)
        make_once();
    fuzz_seed(1);
    ERR_clear_error();
    begin(&in);
    obey(&in);
    dtlsl_gate_free(g.gate);
    fuzz_check(ERR_peek_error() == 0);
    return 0;
}
