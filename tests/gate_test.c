/* SPDX-License-Identifier: MIT
 * The gate: each reason by a datagram made by hand, replies, accepts, the
 * budget for bad cookies, and strategies that misbehave. */
#include "gate.h"
#include "counters.h"
#include "test.h"
#include <arpa/inet.h>
#include <dtlslisten/gate.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <time.h>

enum {
    AT_RECORD_SEQ = 5,
    AT_MESSAGE = 13,
    AT_MESSAGE_LENGTH = 14,
    AT_MESSAGE_SEQ = 17,
    AT_FRAGMENT_OFFSET = 19,
    AT_FRAGMENT_LENGTH = 22,
    AT_BODY = 25,
    AT_SESSION_ID = AT_BODY + 34,
    AT_COOKIE = AT_SESSION_ID + 1 /* its length byte, no session id */
};

typedef struct packet {
    uint8_t data[2048];
    size_t len;
} packet;

/* A strategy whose answers a test dictates. Without orders it is honest enough
 * for the self-test. */
typedef struct fake {
    int32_t cookie_len;
    int32_t mint_answer;   /* != 0: instead of a cookie */
    int32_t verify_answer; /* != 0: instead of the truth */
    uint32_t app_len;
    int leaves_errors;
    unsigned mints;
    unsigned verifies;
    dtlsl_cookie_input seen;
} fake;

static dtlsl_config *config;
static dtlsl_gate *gate;
static dtlsl_path path;
static dtlsl_now now;
static dtlsl_verdict verdict;
static uint8_t reply[DTLSL_REPLY_MAX];

static void
put(packet *p, size_t at, unsigned bytes, uint64_t value)
{
    for (unsigned i = bytes; i-- > 0; value >>= 8)
        p->data[at + i] = (uint8_t)value;
}

static void
append(packet *p, const void *data, size_t len)
{
    ck_assert_uint_le(p->len + len, sizeof(p->data));
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

/* Makes the length fields of record and message right. */
static void
fix_lengths(packet *p)
{
    put(p, 11, 2, p->len - AT_MESSAGE);
    put(p, AT_MESSAGE_LENGTH, 3, p->len - AT_BODY);
    put(p, AT_FRAGMENT_LENGTH, 3, p->len - AT_BODY);
}

static void
make_hello(packet *p, unsigned message_seq, unsigned session_id_len,
           const uint8_t *cookie, size_t cookie_len)
{
    static const uint8_t record[13] = {22, 0xfe, 0xff};
    static const uint8_t message[12] = {1};
    static const uint8_t tail[] = {0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0};

    memset(p, 0, sizeof(*p));
    append(p, record, sizeof(record));
    append(p, message, sizeof(message));
    append(p, "\xfe\xfd", 2);
    for (unsigned i = 0; i < 32; i++)
        append_byte(p, i * 7 + 1);
    append_byte(p, session_id_len);
    for (unsigned i = 0; i < session_id_len; i++)
        append_byte(p, i);
    append_byte(p, (unsigned)cookie_len);
    append(p, cookie, cookie_len);
    append(p, tail, sizeof(tail));
    put(p, AT_MESSAGE_SEQ, 2, message_seq);
    fix_lengths(p);
}

static void
first_hello(packet *p)
{
    make_hello(p, 0, 0, NULL, 0);
}

static void
second_hello(packet *p)
{
    make_hello(p, 1, 0, reply + 28, verdict.reply_len - 28);
}

static void
set_address(uint8_t address[24], uint32_t ipv4, unsigned port)
{
    packet p = {0};

    put(&p, 10, 2, 0xffff);
    put(&p, 12, 4, ipv4);
    put(&p, 16, 2, port);
    memcpy(address, p.data, 24);
}

static void
judge(const packet *p)
{
    memset(&verdict, 0xee, sizeof(verdict));
    verdict.size = sizeof(verdict);
    verdict.reply = reply;
    verdict.reply_cap = sizeof(reply);
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, p->data, p->len, &now, &verdict),
        DTLSL_OK);
}

static void
setup_with(const dtlsl_cookie_plugin *plugin, void *user)
{
    uint64_t next;

    now.mono_ms = 5000000;
    now.unix_ms = 1795300000000;
    set_address(path.peer, 0xc0000201, 40000);
    set_address(path.local, 0xc6336401, 4433);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    if (plugin != NULL) {
        ck_assert_int_eq(dtlsl_config_add_cookie(config, plugin, user),
                         DTLSL_OK);
        ck_assert_int_eq(dtlsl_config_set(config, "cookie", plugin->name),
                         DTLSL_OK);
    }
    ck_assert_msg(dtlsl_gate_new(&gate, config) == DTLSL_OK, "%s",
                  dtlsl_config_error(config));
    ck_assert_int_eq(dtlsl_gate_tick(gate, &now, &next), DTLSL_OK);
    ck_assert_uint_gt(next, now.mono_ms);
}

static void
setup(void)
{
    setup_with(NULL, NULL);
}

/* Each datagram has exactly one outcome, whatever the test did. */
static void
teardown(void)
{
    const dtlsl__counter_info *info;
    uint64_t in = 0;
    uint64_t out = 0;

    for (size_t i = 0; (info = dtlsl__counter_at(i)) != NULL; i++) {
        if (info->kind == DTLSL__IN)
            in += dtlsl_gate_counter(gate, info->name);
        if (info->kind == DTLSL__OUT)
            out += dtlsl_gate_counter(gate, info->name);
    }
    ck_assert_uint_eq(in, out);
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
    gate = NULL;
    config = NULL;
}

static void
assert_drop(const packet *p, int32_t reason, const char *counter)
{
    uint64_t before = dtlsl_gate_counter(gate, counter);

    judge(p);
    ck_assert_int_eq(verdict.action, DTLSL_DROP);
    ck_assert_int_eq(verdict.reason, reason);
    ck_assert_uint_eq(verdict.reply_len, 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, counter), before + 1);
}

static void
assert_reply(const packet *p)
{
    judge(p);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    ck_assert_int_eq(verdict.reason, DTLSL_REASON_NONE);
    ck_assert_uint_gt(verdict.reply_len, 28);
    ck_assert_uint_le(verdict.reply_len, p->len);
}

/* --- the fake strategy --- */

static uint64_t
mix(uint64_t hash, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001b3;
    return hash;
}

static uint8_t
fake_byte(const dtlsl_cookie_input *in, size_t index)
{
    uint8_t salt = (uint8_t)index;
    uint64_t hash = mix(0xcbf29ce484222325, &salt, 1);

    hash = mix(hash, in->peer, sizeof(in->peer));
    hash = mix(hash, in->core, in->core_len);
    hash = (hash ^ (hash >> 32)) * 0x9e3779b97f4a7c15;
    return (uint8_t)(hash >> 56);
}

static int32_t
fake_open(const dtlsl_cookie_host *host, void *user,
          const dtlsl_cookie_option *options, size_t n_options, void **state,
          char *err, size_t err_len)
{
    (void)host;
    (void)options;
    (void)err;
    (void)err_len;
    ck_assert_uint_eq(n_options, 0);
    *state = user;
    return DTLSL_OK;
}

static void
fake_close(void *state)
{
    (void)state;
}

static int32_t
fake_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
          size_t cap)
{
    fake *f = state;

    f->mints++;
    f->seen = *in;
    if (f->leaves_errors)
        ERR_raise(ERR_LIB_USER, 1);
    if (f->mint_answer != 0)
        return f->mint_answer;
    if ((size_t)f->cookie_len > cap)
        return -1;
    for (int32_t i = 0; i < f->cookie_len; i++)
        cookie[i] = fake_byte(in, (size_t)i);
    return f->cookie_len;
}

static int32_t
fake_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    fake *f = state;

    f->verifies++;
    f->seen = *in;
    if (f->leaves_errors)
        ERR_raise(ERR_LIB_USER, 2);
    if (f->verify_answer != 0)
        return f->verify_answer;
    if (len != (size_t)f->cookie_len)
        return DTLSL_COOKIE_MISMATCH;
    for (size_t i = 0; i < len; i++) {
        if (cookie[i] != fake_byte(in, i))
            return DTLSL_COOKIE_MISMATCH;
    }
    out->age_ms = 42;
    out->node = 7;
    out->app_len = f->app_len;
    for (uint32_t i = 0; i < f->app_len && i < sizeof(out->app); i++)
        out->app[i] = (uint8_t)i;
    return DTLSL_COOKIE_VALID;
}

static int32_t
fake_counter(void *state, uint32_t index, const char **name, uint64_t *value)
{
    fake *f = state;

    if (index > 1)
        return -1;
    *name = index == 0 ? "mints" : "verifies";
    *value = index == 0 ? f->mints : f->verifies;
    return DTLSL_OK;
}

static const dtlsl_cookie_plugin fake_plugin = {
    .size = sizeof(fake_plugin),
    .abi = DTLSL_COOKIE_ABI,
    .name = "fake",
    .max_cookie_len = DTLSL_COOKIE_MAX,
    .open = fake_open,
    .close = fake_close,
    .mint = fake_mint,
    .verify = fake_verify,
    .counter = fake_counter,
};

static void
setup_fake(fake *f)
{
    if (f->cookie_len == 0)
        f->cookie_len = 24;
    setup_with(&fake_plugin, f);
}

/* --- datagrams that are dropped for what they are --- */

START_TEST(an_empty_datagram_is_short)
{
    packet p = {0};

    setup();
    assert_drop(&p, DTLSL_REASON_DROP_SHORT, "drop_short");
    ck_assert_int_eq(dtlsl_gate_judge(gate, &path, NULL, 0, &now, &verdict),
                     DTLSL_OK);
    ck_assert_int_eq(verdict.reason, DTLSL_REASON_DROP_SHORT);
    teardown();
}
END_TEST

START_TEST(twelve_bytes_are_short)
{
    packet p;

    setup();
    first_hello(&p);
    p.len = 12;
    assert_drop(&p, DTLSL_REASON_DROP_SHORT, "drop_short");
    teardown();
}
END_TEST

typedef struct mutation {
    int32_t reason;
    const char *counter;
    size_t at;
    uint8_t value;
} mutation;

static const mutation mutations[] = {
    {DTLSL_REASON_DROP_TYPE, "drop_type", 0, 23},
    {DTLSL_REASON_DROP_TYPE, "drop_type", 0, 0},
    {DTLSL_REASON_DROP_VERSION, "drop_version", 1, 3},
    {DTLSL_REASON_DROP_RECORD_LENGTH, "drop_record_length", 11, 1},
    {DTLSL_REASON_DROP_EPOCH, "drop_epoch", 4, 1},
    {DTLSL_REASON_DROP_MESSAGE_LENGTH, "drop_message_length",
     AT_FRAGMENT_LENGTH + 2, 1},
    {DTLSL_REASON_DROP_MESSAGE_LENGTH, "drop_message_length",
     AT_FRAGMENT_LENGTH, 1},
    {DTLSL_REASON_DROP_MESSAGE_TYPE, "drop_message_type", AT_MESSAGE, 2},
    {DTLSL_REASON_DROP_MESSAGE_SEQ, "drop_message_seq", AT_MESSAGE_SEQ + 1, 2},
    {DTLSL_REASON_DROP_MESSAGE_SEQ, "drop_message_seq", AT_MESSAGE_SEQ, 1},
    {DTLSL_REASON_DROP_FRAGMENT, "drop_fragment", AT_FRAGMENT_OFFSET + 2, 1},
    {DTLSL_REASON_DROP_HELLO_LENGTH, "drop_hello_length", AT_COOKIE, 200},
    {DTLSL_REASON_DROP_HELLO_LENGTH, "drop_hello_length", AT_SESSION_ID, 200},
};

START_TEST(one_wrong_byte_has_its_own_reason)
{
    const mutation *m = &mutations[_i];
    packet p;

    setup();
    first_hello(&p);
    p.data[m->at] = m->value;
    assert_drop(&p, m->reason, m->counter);
    teardown();
}
END_TEST

START_TEST(a_record_cut_short_is_dropped)
{
    packet p;

    setup();
    first_hello(&p);
    p.len--;
    assert_drop(&p, DTLSL_REASON_DROP_RECORD_LENGTH, "drop_record_length");
    teardown();
}
END_TEST

START_TEST(a_session_id_of_33_bytes_is_dropped)
{
    packet p;

    setup();
    make_hello(&p, 0, 33, NULL, 0);
    assert_drop(&p, DTLSL_REASON_DROP_SESSION_ID, "drop_session_id");
    make_hello(&p, 0, 32, NULL, 0);
    assert_reply(&p);
    teardown();
}
END_TEST

START_TEST(a_hello_broken_behind_its_cookie_is_dropped)
{
    static const uint8_t cookie[22] = {0x10};
    packet p;

    setup();
    make_hello(&p, 1, 0, cookie, sizeof(cookie));
    p.data[AT_COOKIE + 1 + sizeof(cookie)] = 0xff;
    assert_drop(&p, DTLSL_REASON_DROP_MALFORMED, "drop_malformed");
    teardown();
}
END_TEST

START_TEST(a_cookie_in_message_seq_0_is_dropped)
{
    packet p;

    setup();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    put(&p, AT_MESSAGE_SEQ, 2, 0);
    assert_drop(&p, DTLSL_REASON_DROP_COOKIE_SEQ, "drop_cookie_seq");
    teardown();
}
END_TEST

START_TEST(a_cookie_with_a_huge_record_number_is_dropped)
{
    packet p;

    setup();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    put(&p, AT_RECORD_SEQ, 6, 0xffffffffffff);
    assert_drop(&p, DTLSL_REASON_DROP_RECORD_SEQ, "drop_record_seq");
    teardown();
}
END_TEST

/* --- addresses --- */

START_TEST(a_source_that_nobody_can_answer_is_dropped)
{
    packet p;

    setup();
    first_hello(&p);
    set_address(path.peer, 0xc0000201, 0);
    assert_drop(&p, DTLSL_REASON_DROP_SOURCE, "drop_source");
    set_address(path.peer, 0xe0000001, 40000);
    assert_drop(&p, DTLSL_REASON_DROP_SOURCE, "drop_source");
    set_address(path.peer, 0xffffffff, 40000);
    assert_drop(&p, DTLSL_REASON_DROP_SOURCE, "drop_source");
    set_address(path.peer, 0, 40000);
    assert_drop(&p, DTLSL_REASON_DROP_SOURCE, "drop_source");
    memset(path.peer, 0, 16);
    path.peer[0] = 0xff;
    path.peer[1] = 0x02;
    assert_drop(&p, DTLSL_REASON_DROP_SOURCE, "drop_source");
    teardown();
}
END_TEST

START_TEST(our_own_address_as_source_is_dropped)
{
    packet p;

    setup();
    first_hello(&p);
    memcpy(path.peer, path.local, sizeof(path.peer));
    assert_drop(&p, DTLSL_REASON_DROP_SOURCE, "drop_source");
    set_address(path.peer, 0xc6336401, 4434);
    assert_reply(&p);
    teardown();
}
END_TEST

START_TEST(a_multicast_or_broadcast_destination_is_dropped)
{
    packet p;

    setup();
    first_hello(&p);
    set_address(path.local, 0xe0000001, 4433);
    assert_drop(&p, DTLSL_REASON_DROP_DESTINATION, "drop_destination");
    set_address(path.local, 0xffffffff, 4433);
    assert_drop(&p, DTLSL_REASON_DROP_DESTINATION, "drop_destination");
    teardown();
}
END_TEST

START_TEST(an_unknown_destination_is_no_reason_to_drop)
{
    fake f = {0};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    assert_reply(&p);
    ck_assert_uint_ne(f.seen.flags & DTLSL_COOKIE_IN_LOCAL, 0);
    memset(path.local, 0, sizeof(path.local));
    assert_reply(&p);
    ck_assert_uint_eq(f.seen.flags & DTLSL_COOKIE_IN_LOCAL, 0);
    teardown();
}
END_TEST

/* --- replies and accepts --- */

START_TEST(the_reply_is_the_hello_verify_request_of_rfc_6347)
{
    packet p;

    setup();
    first_hello(&p);
    put(&p, AT_RECORD_SEQ, 6, 0x0102030405);
    assert_reply(&p);
    ck_assert_mem_eq(reply, "\x16\xfe\xff\0\0\0\x01\x02\x03\x04\x05", 11);
    ck_assert_uint_eq(reply[11] * 256u + reply[12], verdict.reply_len - 13);
    ck_assert_uint_eq(reply[13], 3);
    ck_assert_mem_eq(reply + 17, "\0\0", 2);
    ck_assert_mem_eq(reply + 25, "\xfe\xff", 2);
    ck_assert_uint_eq(reply[27], verdict.reply_len - 28);
    ck_assert_uint_eq(verdict.record_len, p.len);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "hello_verify_sent"), 1);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "replied"), 1);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "received"), 1);
    teardown();
}
END_TEST

START_TEST(the_cookie_of_the_reply_is_accepted)
{
    packet p;

    setup();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    now.mono_ms += 30;
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_int_eq(verdict.reason, DTLSL_REASON_NONE);
    ck_assert_uint_eq(verdict.age_ms, 30);
    ck_assert_uint_eq(verdict.record_len, p.len);
    ck_assert_uint_eq(verdict.reply_len, 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "accepted"), 1);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_valid"), 1);
    teardown();
}
END_TEST

/* As recvfrom gives an IPv4 peer: on a socket of IPv4, and v4-mapped on one
 * that serves both. */
static void
arrive_by_ipv4(void)
{
    struct sockaddr_in peer = {.sin_family = AF_INET,
                               .sin_port = htons(40000),
                               .sin_addr.s_addr = htonl(0xc0000201)};
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_port = htons(4433),
                                .sin_addr.s_addr = htonl(0xc6336401)};

    ck_assert_int_eq(
        dtlsl_path_set(&path, &peer, sizeof(peer), &local, sizeof(local)),
        DTLSL_OK);
}

static void
arrive_v4_mapped(void)
{
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6,
                                .sin6_port = htons(40000)};
    struct sockaddr_in6 local = {.sin6_family = AF_INET6,
                                 .sin6_port = htons(4433)};

    ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:192.0.2.1", &peer.sin6_addr),
                     1);
    ck_assert_int_eq(
        inet_pton(AF_INET6, "::ffff:198.51.100.1", &local.sin6_addr), 1);
    ck_assert_int_eq(
        dtlsl_path_set(&path, &peer, sizeof(peer), &local, sizeof(local)),
        DTLSL_OK);
}

START_TEST(a_cookie_for_ipv4_is_accepted_from_the_v4_mapped_address)
{
    packet p;

    setup();
    arrive_by_ipv4();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    arrive_v4_mapped();
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    arrive_by_ipv4();
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    teardown();
}
END_TEST

START_TEST(only_the_first_record_is_judged)
{
    packet p;
    size_t record_len;

    setup();
    first_hello(&p);
    record_len = p.len;
    append(&p, "junk behind it", 14);
    assert_reply(&p);
    ck_assert_uint_eq(verdict.record_len, record_len);
    second_hello(&p);
    record_len = p.len;
    append(&p, "junk behind it", 14);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_uint_eq(verdict.record_len, record_len);
    teardown();
}
END_TEST

START_TEST(what_the_cookie_tells_is_in_the_verdict)
{
    fake f = {.app_len = 232};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_uint_eq(verdict.age_ms, 42);
    ck_assert_uint_eq(verdict.node, 7);
    ck_assert_uint_eq(verdict.app_len, 232);
    ck_assert_uint_eq(verdict.app[231], 231);
    teardown();
}
END_TEST

/* Cuts the message so that only its first bytes are in this record. */
static void
cut_message(packet *p, size_t body_len)
{
    p->len = AT_BODY + body_len;
    put(p, 11, 2, p->len - AT_MESSAGE);
    put(p, AT_FRAGMENT_LENGTH, 3, body_len);
}

START_TEST(a_first_fragment_is_answered_and_accepted)
{
    fake f = {0};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    cut_message(&p, 36);
    assert_reply(&p);
    ck_assert_uint_eq(f.seen.flags & DTLSL_COOKIE_IN_TAIL, 0);
    cut_message(&p, 35);
    assert_drop(&p, DTLSL_REASON_DROP_HELLO_LENGTH, "drop_hello_length");
    make_hello(&p, 0, 0, NULL, 0);
    append(&p, "\0\4\0\x17\0\0", 6);
    fix_lengths(&p);
    cut_message(&p, 47);
    assert_reply(&p);
    ck_assert_uint_ne(f.seen.flags & DTLSL_COOKIE_IN_FRAGMENTED, 0);
    ck_assert_uint_ne(f.seen.flags & DTLSL_COOKIE_IN_TAIL, 0);
    ck_assert_uint_eq(f.seen.fragment_len, 47);
    second_hello(&p);
    cut_message(&p, 36 + 24);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_uint_eq(f.seen.flags & DTLSL_COOKIE_IN_TAIL, 0);
    ck_assert_uint_eq(f.seen.fragment_len, 60);
    teardown();
}
END_TEST

START_TEST(the_strategy_sees_spans_of_the_datagram_and_the_time)
{
    fake f = {0};
    packet p;

    setup_fake(&f);
    make_hello(&p, 0, 5, NULL, 0);
    assert_reply(&p);
    ck_assert_uint_eq(f.seen.size, sizeof(f.seen));
    ck_assert_uint_eq(f.seen.flags,
                      DTLSL_COOKIE_IN_TAIL | DTLSL_COOKIE_IN_LOCAL);
    ck_assert_ptr_eq(f.seen.core, p.data + AT_BODY);
    ck_assert_uint_eq(f.seen.core_len, 40);
    ck_assert_ptr_eq(f.seen.tail, p.data + AT_BODY + 41);
    ck_assert_uint_eq(f.seen.tail_len, 8);
    ck_assert_uint_eq(f.seen.app_len, 0);
    ck_assert_uint_eq(f.seen.mono_ms, now.mono_ms);
    ck_assert_uint_eq(f.seen.unix_ms, now.unix_ms);
    ck_assert_mem_eq(f.seen.peer, path.peer, 24);
    ck_assert_mem_eq(f.seen.local, path.local, 24);
    teardown();
}
END_TEST

START_TEST(another_peer_or_port_or_hello_is_refused)
{
    packet p;
    packet changed;
    dtlsl_path honest;

    setup();
    honest = path;
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    set_address(path.peer, 0xc0000202, 40000);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    set_address(path.peer, 0xc0000201, 40001);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    path = honest;
    changed = p;
    changed.data[AT_BODY + 2] ^= 1;
    judge(&changed);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_mismatch"), 3);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "accepted"), 0);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    teardown();
}
END_TEST

/* Workers of one config each have a gate. */
START_TEST(gates_of_a_config_verify_each_others_cookies)
{
    dtlsl_gate *first, *second;
    packet p;

    setup();
    first = gate;
    ck_assert_int_eq(dtlsl_gate_new(&second, config), DTLSL_OK);
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    gate = second;
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    dtlsl_gate_free(second);
    gate = first;
    teardown();
}
END_TEST

START_TEST(every_flipped_bit_of_a_cookie_is_refused)
{
    packet p;
    size_t cookie_len;

    setup();
    first_hello(&p);
    assert_reply(&p);
    cookie_len = verdict.reply_len - 28;
    second_hello(&p);
    for (size_t bit = 0; bit < cookie_len * 8; bit++) {
        packet changed = p;

        changed.data[AT_COOKIE + 1 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        judge(&changed);
        ck_assert_int_ne(verdict.action, DTLSL_ACCEPT);
    }
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_valid"), 0);
    teardown();
}
END_TEST

START_TEST(a_cookie_is_not_accepted_beyond_its_lifetime)
{
    packet p;

    setup();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    now.mono_ms += 120001;
    ck_assert_int_eq(dtlsl_gate_tick(gate, &now, NULL), DTLSL_OK);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_expired"), 1);
    teardown();
}
END_TEST

/* --- the budget for bad cookies --- */

static unsigned
replies_to_bad_cookies(unsigned count)
{
    static const uint8_t cookie[24] = {1, 2, 3};
    unsigned replies = 0;
    packet p;

    make_hello(&p, 1, 0, cookie, sizeof(cookie));
    while (count-- > 0) {
        judge(&p);
        if (verdict.action == DTLSL_REPLY)
            replies++;
        else
            ck_assert_int_eq(verdict.reason, DTLSL_REASON_DROP_BAD_COOKIE);
    }
    return replies;
}

START_TEST(bad_cookies_are_answered_within_a_budget)
{
    fake f = {0};
    unsigned mints;

    setup_fake(&f);
    mints = f.mints;
    ck_assert_uint_eq(replies_to_bad_cookies(100), 64);
    ck_assert_uint_eq(f.mints - mints, 64);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "drop_bad_cookie"), 36);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_mismatch"), 100);
    now.mono_ms += 500;
    ck_assert_uint_eq(replies_to_bad_cookies(100), 32);
    now.mono_ms += 3600000;
    ck_assert_uint_eq(replies_to_bad_cookies(100), 64);
    teardown();
}
END_TEST

START_TEST(the_budget_grows_by_the_millisecond)
{
    fake f = {0};
    unsigned replies = 0;

    setup_fake(&f);
    ck_assert_uint_eq(replies_to_bad_cookies(64), 64);
    for (unsigned ms = 0; ms < 1000; ms++) {
        now.mono_ms++;
        replies += replies_to_bad_cookies(2);
    }
    ck_assert_uint_eq(replies, 64);
    teardown();
}
END_TEST

START_TEST(a_clock_that_steps_back_neither_fills_nor_blocks_the_budget)
{
    fake f = {0};

    setup_fake(&f);
    ck_assert_uint_eq(replies_to_bad_cookies(100), 64);
    now.mono_ms -= 4000000;
    ck_assert_uint_eq(replies_to_bad_cookies(100), 0);
    now.mono_ms += 1000;
    ck_assert_uint_eq(replies_to_bad_cookies(100), 64);
    teardown();
}
END_TEST

START_TEST(honest_peers_do_not_pay_for_bad_cookies)
{
    packet p;

    setup();
    replies_to_bad_cookies(200);
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    teardown();
}
END_TEST

START_TEST(each_result_of_verify_is_counted)
{
    static const struct {
        int32_t answer;
        const char *counter;
    } results[] = {
        {DTLSL_COOKIE_MALFORMED, "cookie_malformed"},
        {DTLSL_COOKIE_UNKNOWN_KEY, "cookie_unknown_key"},
        {DTLSL_COOKIE_EXPIRED, "cookie_expired"},
        {DTLSL_COOKIE_FUTURE, "cookie_future"},
        {DTLSL_COOKIE_MISMATCH, "cookie_mismatch"},
        {DTLSL_COOKIE_NEED_MORE, "cookie_need_more"},
    };
    fake f = {0};

    setup_fake(&f);
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        f.verify_answer = results[i].answer;
        ck_assert_uint_eq(replies_to_bad_cookies(1), 1);
        ck_assert_uint_eq(dtlsl_gate_counter(gate, results[i].counter), 1);
    }
    teardown();
}
END_TEST

/* --- strategies that fail --- */

START_TEST(a_reply_longer_than_its_datagram_is_not_sent)
{
    fake f = {.cookie_len = 42};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    ck_assert_uint_eq(p.len, 28 + 41);
    assert_drop(&p, DTLSL_REASON_DROP_AMPLIFY, "drop_amplify");
    make_hello(&p, 0, 1, NULL, 0);
    assert_reply(&p);
    ck_assert_uint_eq(verdict.reply_len, p.len);
    teardown();
}
END_TEST

START_TEST(the_longest_cookie_fits)
{
    fake f = {.cookie_len = 255};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    while (p.len < 300)
        append_byte(&p, 0);
    assert_reply(&p);
    ck_assert_uint_eq(verdict.reply_len, DTLSL_REPLY_MAX);
    second_hello(&p);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    teardown();
}
END_TEST

static void
assert_mint_fails(int32_t answer, int32_t reason, const char *counter)
{
    fake f = {0};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    f.mint_answer = answer;
    assert_drop(&p, reason, counter);
    teardown();
}

START_TEST(a_failed_mint_sends_nothing)
{
    assert_mint_fails(DTLSL_COOKIE_NOTREADY, DTLSL_REASON_DROP_NOTREADY,
                      "drop_notready");
    assert_mint_fails(DTLSL_COOKIE_REFUSED, DTLSL_REASON_DROP_REFUSED,
                      "drop_refused");
    assert_mint_fails(-1, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
    assert_mint_fails(256, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
    assert_mint_fails(INT32_MAX, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
    assert_mint_fails(INT32_MIN, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
}
END_TEST

static void
assert_verify_fails(int32_t answer, int32_t reason, const char *counter)
{
    fake f = {0};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    f.verify_answer = answer;
    assert_drop(&p, reason, counter);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_valid"), 0);
    teardown();
}

START_TEST(a_failed_verify_accepts_nobody)
{
    assert_verify_fails(DTLSL_COOKIE_NOTREADY, DTLSL_REASON_DROP_NOTREADY,
                        "drop_notready");
    assert_verify_fails(DTLSL_COOKIE_REFUSED, DTLSL_REASON_DROP_REFUSED,
                        "drop_refused");
    assert_verify_fails(-1, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
    assert_verify_fails(8, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
    assert_verify_fails(INT32_MAX, DTLSL_REASON_DROP_STRATEGY,
                        "drop_strategy");
}
END_TEST

START_TEST(application_data_that_is_too_long_is_a_failure)
{
    fake f = {0};
    packet p;

    setup_fake(&f);
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    f.app_len = 233;
    assert_drop(&p, DTLSL_REASON_DROP_STRATEGY, "drop_strategy");
    teardown();
}
END_TEST

START_TEST(a_strategy_leaves_nothing_on_the_error_queue)
{
    fake f = {.leaves_errors = 1};
    packet p;

    setup_fake(&f);
    ERR_clear_error();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    judge(&p);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_USER, 77);
    judge(&p);
    ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()), 77);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    teardown();
}
END_TEST

/* --- the rest of the interface --- */

START_TEST(counters_of_a_strategy_have_its_name)
{
    fake f = {0};

    setup_fake(&f);
    /* The self-test has minted and verified, but it is no peer. */
    ck_assert_uint_gt(f.verifies, 1);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_fake_mints"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_fake_verifies"), 0);
    f.mints += 12;
    f.verifies += 34;
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_fake_mints"), 12);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_fake_verifies"), 34);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_fake_"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_fake"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_hmac_mints"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "no_such_counter"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, ""), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, NULL), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(NULL, "received"), 0);
    teardown();
}
END_TEST

START_TEST(counters_are_told_one_by_one)
{
    char name[DTLSL_COUNTER_NAME_MAX];
    fake f = {0};
    packet p;
    uint64_t value, sum = 0;
    size_t n = 0;
    int32_t len;

    setup_fake(&f);
    first_hello(&p);
    assert_reply(&p);
    p.len = 1;
    assert_drop(&p, DTLSL_REASON_DROP_SHORT, "drop_short");
    while ((len = dtlsl_gate_counter_at(gate, n, name, sizeof(name), &value)) >
           0) {
        ck_assert_int_eq(len, (int32_t)strlen(name));
        ck_assert_uint_eq(value, dtlsl_gate_counter(gate, name));
        sum += value;
        n++;
    }
    ck_assert_int_eq(len, DTLSL_ERR_OPTION);
    /* received twice, drop_short, replied, hello_verify_sent, a mint. */
    ck_assert_uint_eq(sum, 6);
    /* The reasons, received, replied, accepted, hello_verify_sent, the results
     * of verify, and of the strategy two and the host's two. */
    ck_assert_uint_eq(n, 21 + 3 + 1 + 7 + 4);
    ck_assert_str_eq(name, "cookie_fake_selftest_deferred");
    ck_assert_int_eq(
        dtlsl_gate_counter_at(gate, SIZE_MAX, name, sizeof(name), &value),
        DTLSL_ERR_OPTION);
    ck_assert_int_eq(dtlsl_gate_counter_at(gate, 0, name, 8, &value),
                     DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl_gate_counter_at(NULL, 0, name, 9, &value),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_counter_at(gate, 0, NULL, 9, &value),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_counter_at(gate, 0, name, 9, NULL),
                     DTLSL_ERR_ARGUMENT);
    teardown();
}
END_TEST

static uint64_t
clock_ms(clockid_t id)
{
    struct timespec ts;

    ck_assert_int_eq(clock_gettime(id, &ts), 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Someone may set the wall clock meanwhile: a day is near enough. */
START_TEST(both_clocks_are_read_in_milliseconds)
{
    static const uint64_t day = 86400000;
    uint64_t mono = clock_ms(CLOCK_MONOTONIC);
    uint64_t wall = clock_ms(CLOCK_REALTIME);
    dtlsl_now read = {0};

    dtlsl_now_read(&read);
    ck_assert_uint_ge(read.mono_ms, mono);
    ck_assert_uint_le(read.mono_ms, clock_ms(CLOCK_MONOTONIC));
    ck_assert_uint_ge(read.unix_ms, wall - day);
    ck_assert_uint_le(read.unix_ms, wall + day);
    dtlsl_now_read(NULL);
}
END_TEST

START_TEST(the_engine_counts_received_and_accepted_itself)
{
    packet p;

    setup();
    first_hello(&p);
    assert_reply(&p);
    second_hello(&p);
    ck_assert_int_eq(
        dtlsl__gate_judge(gate, &path, p.data, p.len, &now, &verdict),
        DTLSL_OK);
    ck_assert_int_eq(verdict.action, DTLSL_ACCEPT);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "received"), 1);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "accepted"), 0);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "cookie_valid"), 1);
    teardown();
}
END_TEST

START_TEST(broken_arguments_are_told_and_not_counted)
{
    packet p;

    setup();
    first_hello(&p);
    judge(&p);
    ck_assert_int_eq(
        dtlsl_gate_judge(NULL, &path, p.data, p.len, &now, &verdict),
        DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, NULL, p.data, p.len, &now, &verdict),
        DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, NULL, p.len, &now, &verdict),
        DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, p.data, p.len, NULL, &verdict),
        DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_judge(gate, &path, p.data, p.len, &now, NULL),
                     DTLSL_ERR_ARGUMENT);
    verdict.reply_cap = 59;
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, p.data, p.len, &now, &verdict),
        DTLSL_ERR_ARGUMENT);
    verdict.reply_cap = 60;
    verdict.size = 8;
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, p.data, p.len, &now, &verdict),
        DTLSL_ERR_ARGUMENT);
    ck_assert_uint_eq(dtlsl_gate_counter(gate, "received"), 1);
    ck_assert_int_eq(dtlsl_gate_tick(NULL, &now, NULL), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_tick(gate, NULL, NULL), DTLSL_ERR_ARGUMENT);
    teardown();
}
END_TEST

START_TEST(sixty_bytes_of_room_are_enough_for_the_default_strategy)
{
    packet p;

    setup();
    first_hello(&p);
    judge(&p);
    verdict.reply_cap = 60;
    ck_assert_int_eq(
        dtlsl_gate_judge(gate, &path, p.data, p.len, &now, &verdict),
        DTLSL_OK);
    ck_assert_int_eq(verdict.action, DTLSL_REPLY);
    teardown();
}
END_TEST

START_TEST(a_gate_freezes_its_config_and_keeps_it_alive)
{
    packet p;

    setup();
    ck_assert_int_eq(dtlsl_config_set(config, "mtu", "1000"), DTLSL_ERR_STATE);
    dtlsl_config_free(config);
    first_hello(&p);
    assert_reply(&p);
    dtlsl_gate_free(gate);
}
END_TEST

START_TEST(a_config_that_makes_no_gate_can_be_mended)
{
    dtlsl_gate *none = (dtlsl_gate *)&now;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "cookie.no-such", "1"),
                     DTLSL_OK);
    ck_assert_int_lt(dtlsl_gate_new(&none, config), 0);
    ck_assert_ptr_null(none);
    ck_assert_int_gt((int)strlen(dtlsl_config_error(config)), 0);
    ck_assert_int_eq(dtlsl_config_set(config, "mtu", "1000"), DTLSL_OK);
    dtlsl_config_free(config);
    dtlsl_gate_free(NULL);
    ck_assert_int_eq(dtlsl_gate_new(&none, NULL), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(dtlsl_gate_new(NULL, NULL), DTLSL_ERR_ARGUMENT);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        an_empty_datagram_is_short,
        twelve_bytes_are_short,
        a_record_cut_short_is_dropped,
        a_session_id_of_33_bytes_is_dropped,
        a_hello_broken_behind_its_cookie_is_dropped,
        a_cookie_in_message_seq_0_is_dropped,
        a_cookie_with_a_huge_record_number_is_dropped,
        a_source_that_nobody_can_answer_is_dropped,
        our_own_address_as_source_is_dropped,
        a_multicast_or_broadcast_destination_is_dropped,
        an_unknown_destination_is_no_reason_to_drop,
        the_reply_is_the_hello_verify_request_of_rfc_6347,
        the_cookie_of_the_reply_is_accepted,
        a_cookie_for_ipv4_is_accepted_from_the_v4_mapped_address,
        only_the_first_record_is_judged,
        what_the_cookie_tells_is_in_the_verdict,
        a_first_fragment_is_answered_and_accepted,
        the_strategy_sees_spans_of_the_datagram_and_the_time,
        another_peer_or_port_or_hello_is_refused,
        gates_of_a_config_verify_each_others_cookies,
        every_flipped_bit_of_a_cookie_is_refused,
        a_cookie_is_not_accepted_beyond_its_lifetime,
        bad_cookies_are_answered_within_a_budget,
        the_budget_grows_by_the_millisecond,
        a_clock_that_steps_back_neither_fills_nor_blocks_the_budget,
        honest_peers_do_not_pay_for_bad_cookies,
        each_result_of_verify_is_counted,
        a_reply_longer_than_its_datagram_is_not_sent,
        the_longest_cookie_fits,
        a_failed_mint_sends_nothing,
        a_failed_verify_accepts_nobody,
        application_data_that_is_too_long_is_a_failure,
        a_strategy_leaves_nothing_on_the_error_queue,
        counters_of_a_strategy_have_its_name,
        counters_are_told_one_by_one,
        both_clocks_are_read_in_milliseconds,
        the_engine_counts_received_and_accepted_itself,
        broken_arguments_are_told_and_not_counted,
        sixty_bytes_of_room_are_enough_for_the_default_strategy,
        a_gate_freezes_its_config_and_keeps_it_alive,
        a_config_that_makes_no_gate_can_be_mended,
    };
    Suite *suite = test_suite("gate", tests, sizeof(tests) / sizeof(tests[0]));
    TCase *bytes = tcase_create("bytes");

    tcase_add_loop_test(bytes, one_wrong_byte_has_its_own_reason, 0,
                        sizeof(mutations) / sizeof(mutations[0]));
    suite_add_tcase(suite, bytes);
    return test_main(suite);
}
