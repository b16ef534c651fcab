/* SPDX-License-Identifier: MIT
 * The engine as its users see it: life of a connection, time, datagrams.
 * session_test.c has sending, events and facts; attack_test.c the enemies. */
#include "record.h"
#include "test.h"
#include "world.h"
#include <openssl/ssl.h>

enum {
    LOSE_ALL = 1000
};

static const uint8_t data[1];

/* Life of a connection */

START_TEST(handshake_opens_once_and_echo_works)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    ck_assert_uint_ne(id, 0);
    ck_assert_uint_lt(id, 1ULL << 53);
    world_check_echo(w, c, "hello");
    world_check_echo(w, c, "again");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 2);
    ck_assert_uint_eq(w->n_events, 3);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_OPENED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DATA_IN), 2);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DATA_OUT), 2);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(events_of_a_connection_come_in_order)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    world_check_echo(w, c, "x");
    client_shutdown(c);
    world_pump(w);
    ck_assert_int_eq(world_index(w, DTLSL_EVENT_OPEN, id), 0);
    ck_assert_int_eq(world_index(w, DTLSL_EVENT_DATA, id), 1);
    ck_assert_int_eq(world_index(w, DTLSL_EVENT_CLOSE, id), 2);
    ck_assert_uint_eq(w->n_events, 3);
    world_free(w);
}
END_TEST

START_TEST(close_notify_of_the_client_is_close_peer)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    client_shutdown(c);
    world_pump(w);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_PEER);
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, data, 1),
                     DTLSL_ERR_NOCONN);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CLOSED), 1);
    world_free(w);
}
END_TEST

START_TEST(close_sends_close_notify_and_is_close_local)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    ck_assert(dtlsl__engine_pending(w->engine));
    world_pump(w);
    ck_assert(client_is_closed(c));
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_LOCAL);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_ERR_NOCONN);
    world_free(w);
}
END_TEST

START_TEST(closing_twice_gives_one_close)
{
    world *w = world_new(NULL);
    uint64_t id = world_connect(w, world_client(w, NULL));

    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
    dtlsl__engine_close(w->engine, id);
    ck_assert_int_lt(dtlsl__engine_send(w->engine, id, data, 1), 0);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_free(w);
}
END_TEST

START_TEST(closing_a_half_open_one_is_failed_local)
{
    world *w = world_new("events-hello=1");
    dtlsl_path path = world_path(1, 4000);
    uint64_t id;

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    id = world_find(w, DTLSL_EVENT_HELLO)->conn;
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, data, 1),
                     DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
    world_pump(w);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_LOCAL);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    world_free(w);
}
END_TEST

START_TEST(stop_closes_all_and_stopped_is_last)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b = world_client(w, NULL);
    dtlsl_path path = world_path(9, 4000);

    world_connect(w, a);
    world_connect(w, b);
    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    dtlsl__engine_stop(w->engine);
    world_pump(w);
    ck_assert(client_is_closed(a) && client_is_closed(b));
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 2);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_STOPPED);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_STOPPED);
    ck_assert_int_eq(w->event[w->n_events - 1].type, DTLSL_EVENT_STOPPED);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 0);
    world_free(w);
}
END_TEST

START_TEST(a_stopping_engine_takes_no_new_peers)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(9, 4000);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_forge(w, &path, 1, hello), sent;

    dtlsl__engine_stop(w->engine);
    world_pump(w);
    sent = w->n_sent;
    world_input(w, &path, hello, len);
    world_input(w, &path, w->hello, w->hello_len);
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_STOPPING), 2);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(stopping_twice_gives_one_stopped)
{
    world *w = world_new(NULL);

    world_connect(w, world_client(w, NULL));
    dtlsl__engine_stop(w->engine);
    dtlsl__engine_stop(w->engine);
    world_pump(w);
    dtlsl__engine_stop(w->engine);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_STOPPED), 1);
    world_free(w);
}
END_TEST

START_TEST(a_cookieless_hello_leaves_nothing)
{
    world *w = world_new(NULL);
    uint8_t hello[HELLO_ROOM];

    for (uint32_t host = 1; host < 50; host++) {
        dtlsl_path path = world_path(host, 4000);
        world_forge(w, &path, (uint8_t)host, hello);
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLIED), 49);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    ck_assert_uint_eq(w->n_events, 0);
    ck_assert_uint_eq(dtlsl__engine_conn_next(w->engine, 0), 0);
    world_free(w);
}
END_TEST

START_TEST(replies_leave_on_the_path_and_socket_they_came_in_on)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(3, 4000);
    dtlsl__datagram datagram = {w->hello, 0, 0, 7, path};
    const dtlsl__output *list;
    const uint8_t *arena;
    uint8_t hello[HELLO_ROOM];

    world_forge(w, &path, 1, hello);
    datagram.len = (uint32_t)w->hello_len;
    world_begin(w);
    dtlsl__engine_input(w->engine, &datagram);
    world_drain(w);
    ck_assert_uint_eq(dtlsl__engine_output(w->engine, &list, &arena), 1);
    ck_assert_mem_eq(&list[0].path, &path, sizeof(path));
    ck_assert_uint_eq(list[0].socket, 7);
    world_flush(w);
    world_free(w);
}
END_TEST

/* Time */

START_TEST(handshake_deadline_is_exact)
{
    world *w = world_new("handshake-timeout-ms=10000");
    dtlsl_path path = world_path(1, 4000);
    uint64_t end = w->now.mono_ms + 10000;

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    for (;;) {
        uint64_t next = dtlsl__engine_deadline(w->engine);
        ck_assert_uint_gt(next, w->now.mono_ms);
        if (next >= end)
            break;
        world_wait(w, next - w->now.mono_ms);
    }
    world_wait(w, end - 1 - w->now.mono_ms);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    ck_assert_uint_eq(dtlsl__engine_deadline(w->engine), end);
    world_wait(w, 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TIMEOUT);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 3);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    world_free(w);
}
END_TEST

START_TEST(idle_deadline_is_close_idle)
{
    world *w = world_new("idle-timeout-ms=5000");
    client *c = world_client(w, NULL);

    world_connect(w, c);
    world_advance(w, 4000);
    world_check_echo(w, c, "still here");
    world_advance(w, 4999);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    ck_assert_uint_eq(dtlsl__engine_deadline(w->engine), w->now.mono_ms + 1);
    world_advance(w, 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_IDLE);
    ck_assert(client_is_closed(c));
    world_free(w);
}
END_TEST

START_TEST(junk_does_not_move_the_idle_deadline)
{
    world *w = world_new("idle-timeout-ms=5000");
    client *c = world_client(w, NULL);
    uint8_t junk[64] = {9}, body[48] = {7};
    size_t len = make_record(junk, 23, 1, 99, body, sizeof(body));

    world_connect(w, c);
    world_advance(w, 4000);
    world_input(w, &w->path[0], junk, len);
    world_input(w, &w->path[0], w->last_sent, w->last_sent_len);
    world_advance(w, 999);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_advance(w, 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_CLOSE)->status,
                     DTLSL_CLOSE_IDLE);
    world_free(w);
}
END_TEST

START_TEST(replayed_data_does_not_move_the_idle_deadline)
{
    world *w = world_new("idle-timeout-ms=5000");
    client *c = world_client(w, NULL);
    packet p;

    world_connect(w, c);
    client_write(c, "x", 1);
    ck_assert_int_eq(client_take(c, &p), 1);
    world_input(w, &w->path[0], p.data, p.len);
    world_advance(w, 4000);
    world_input(w, &w->path[0], p.data, p.len);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 1);
    world_advance(w, 1000);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    packet_free(&p);
    world_free(w);
}
END_TEST

START_TEST(idle_timeout_zero_means_never)
{
    world *w = world_new("idle-timeout-ms=0");
    client *c = world_client(w, NULL);

    world_connect(w, c);
    world_wait(w, 864000000);
    world_check_echo(w, c, "after ten days");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 0);
    world_free(w);
}
END_TEST

START_TEST(a_lost_flight_is_sent_again_by_the_timer)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);
    uint64_t next;

    w->lose = LOSE_ALL;
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_lt(w->lose, LOSE_ALL);
    w->lose = 0;
    next = dtlsl__engine_deadline(w->engine);
    ck_assert_uint_gt(next, w->now.mono_ms);
    ck_assert_uint_le(next, w->now.mono_ms + 1000);
    world_wait(w, next - w->now.mono_ms);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 1);
    world_connect(w, c);
    world_check_echo(w, c, "late");
    world_free(w);
}
END_TEST

START_TEST(a_lost_last_flight_is_sent_again_on_the_clients_word)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    world_input(w, &w->path[0], hello, len);
    w->lose = LOSE_ALL;
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    ck_assert(!client_is_open(c));
    w->lose = 0;
    world_advance(w, 1000);
    ck_assert(client_is_open(c));
    world_check_echo(w, c, "late");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 1);
    world_free(w);
}
END_TEST

START_TEST(a_lost_hello_verify_request_costs_one_timeout)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);

    w->lose = 1;
    world_pump(w);
    ck_assert(!client_is_open(c));
    world_advance(w, 1000);
    ck_assert(client_is_open(c));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_free(w);
}
END_TEST

/* RFC 6347 section 4.2.1: libssl 3.2 to 4.0 would begin with 1, which a client
 * has seen if its first ClientHello was lost. */
START_TEST(the_flight_is_numbered_on_from_the_accepted_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);
    uint64_t number = 0x70809;
    const uint8_t *at = w->last_sent;
    dtlsl__record record;

    dtlsl__put48(hello + 5, number);
    w->lose = LOSE_ALL;
    world_input(w, &w->path[0], hello, len);
    for (int32_t n; w->last_sent_len > 0; w->last_sent_len -= (size_t)n) {
        n = dtlsl__record_read(&record, at, w->last_sent_len);
        ck_assert_int_gt(n, 0);
        ck_assert_uint_eq(record.seq, number++);
        at += n;
    }
    ck_assert_uint_gt(number, 0x7080a);
    world_wait(w, 1000);
    ck_assert_int_gt(
        dtlsl__record_read(&record, w->last_sent, w->last_sent_len), 0);
    ck_assert_uint_ge(record.seq, number);
    w->lose = 0;
    world_wait(w, 2000);
    world_connect(w, c);
    world_free(w);
}
END_TEST

START_TEST(without_anybody_there_is_no_session_deadline)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t quiet = dtlsl__engine_deadline(w->engine);

    world_connect(w, c);
    ck_assert_uint_le(dtlsl__engine_deadline(w->engine),
                      w->now.mono_ms + 300000);
    client_shutdown(c);
    world_pump(w);
    ck_assert_uint_eq(dtlsl__engine_deadline(w->engine), quiet);
    world_free(w);
}
END_TEST

/* Datagrams */

START_TEST(a_fragmented_hello_reaches_one_ssl)
{
    client_options options = {.alpn_padding = 800, .mtu = 256};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    ck_assert_uint_ge(client_waiting(c), 2);
    ck_assert_uint_eq(w->n_sent, 1); /* to the first fragment alone */
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    ck_assert_uint_eq(w->n_sent, 1);
    world_connect(w, c);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_check_echo(w, c, "whole");
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(fragments_in_any_order_behind_the_first_make_a_hello)
{
    client_options options = {.alpn_padding = 800, .mtu = 256};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello), n = 0;
    packet p[16];

    world_input(w, &w->path[0], hello, len);
    while (client_take(c, &p[n]))
        ck_assert_uint_lt(++n, 16);
    while (n > 0) {
        world_input(w, &w->path[0], p[n - 1].data, p[n - 1].len);
        packet_free(&p[--n]);
    }
    world_connect(w, c);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 1);
    world_free(w);
}
END_TEST

START_TEST(an_incomplete_hello_has_a_deadline_of_its_own)
{
    client_options options = {.alpn_padding = 800, .mtu = 256};
    world *w = world_new("handshake-timeout-ms=15000");
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);

    world_input(w, &w->path[0], hello, len);
    client_discard(c);
    world_wait(w, 2999);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_wait(w, 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TIMEOUT);
    world_free(w);
}
END_TEST

START_TEST(several_records_in_one_datagram_are_several_events)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t all[512];
    size_t len = 0;
    packet p;

    world_connect(w, c);
    client_write(c, "one", 3);
    client_write(c, "two", 3);
    client_write(c, "three", 5);
    while (client_take(c, &p)) {
        memcpy(all + len, p.data, p.len);
        len += p.len;
        packet_free(&p);
    }
    world_input(w, &w->path[0], all, len);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 3);
    ck_assert_mem_eq(w->event[1].data, "one", 3);
    ck_assert_mem_eq(w->event[2].data, "two", 3);
    ck_assert_mem_eq(w->event[3].data, "three", 5);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(handshake_records_fill_the_mtu_and_no_more)
{
    world *w = world_new("mtu=300");

    world_connect(w, world_client(w, NULL));
    ck_assert_uint_le(w->longest_sent, 300);
    ck_assert_uint_ge(w->longest_sent, 280);
    world_free(w);
}
END_TEST

/* A server name callback of the application's own SSL_CTX. */
static world *called;
static uint64_t call_about; /* 0: the connection itself */
static int32_t close_said, send_said;

static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
    uint64_t id = 0;

    (void)alert;
    (void)arg;
    ck_assert_int_eq(dtlsl_conn_of_ssl(ssl, NULL, &id), DTLSL_OK);
    if (call_about != 0)
        id = call_about;
    send_said =
        dtlsl__engine_send(called->engine, id, (const uint8_t *)"x", 1);
    close_said = dtlsl__engine_close(called->engine, id);
    return SSL_TLSEXT_ERR_OK;
}

static world *
world_with_ctx(const SSL_METHOD *method, const char *name, const char *value)
{
    world *w = calloc(1, sizeof(*w));
    SSL_CTX *ctx = SSL_CTX_new(method);
    dtlsl_config *config;
    identity id;

    ck_assert_ptr_nonnull(w);
    identity_make(&id, "x");
    SSL_CTX_use_certificate(ctx, id.cert);
    SSL_CTX_use_PrivateKey(ctx, id.key);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, name, value), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set_ssl_ctx(config, ctx), DTLSL_OK);
    SSL_CTX_free(ctx);
    world_start(w, config);
    identity_free(&id);
    return w;
}

START_TEST(send_and_close_are_refused_while_openssl_is_at_work)
{
    client_options options = {.server_name = "x"};
    world *w = world_with_ctx(DTLS_server_method(), "mtu", "1232");
    client *a = world_client(w, NULL), *b;

    called = w;
    call_about = 0;
    world_connect(w, world_client(w, &options));
    ck_assert_int_eq(send_said, DTLSL_ERR_STATE);
    ck_assert_int_eq(close_said, DTLSL_ERR_STATE);
    send_said = close_said = 0;
    call_about = world_connect(w, a);
    b = world_client(w, &options);
    world_connect(w, b); /* its flight did not go to a */
    ck_assert_int_eq(send_said, DTLSL_ERR_STATE);
    ck_assert_int_eq(close_said, DTLSL_ERR_STATE);
    world_check_echo(w, a, "still here");
    world_check_echo(w, b, "here, too");
    world_free(w);
}
END_TEST

/* Not by our own SSL_CTX. */
START_TEST(dtls_1_0_only_where_the_ssl_ctx_allows_it)
{
    client_options options = {.dtls1 = 1};
    world *w = world_new(NULL);
    SSL_CTX *ctx;
    char version[16];
    uint64_t id;

    world_client(w, &options);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 0);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    world_free(w);
    w = world_with_ctx(DTLS_server_method(), "mtu", "1232");
    called = w;
    call_about = 0;
    dtlsl__config_ssl_ctx(w->config, &ctx);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, DTLS1_VERSION);
    SSL_CTX_free(ctx);
    id = world_connect(w, world_client(w, &options));
    ck_assert_int_gt(
        dtlsl__engine_info(w->engine, id, "version", version, sizeof(version)),
        0);
    ck_assert_str_eq(version, "DTLSv1");
    world_free(w);
}
END_TEST

/* A method of one version refuses the hello that the gate took. OpenSSL does
 * not like such methods any more, and 4.0 has none. */
#if OPENSSL_VERSION_MAJOR < 4
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
START_TEST(a_hello_that_was_told_has_its_failed)
{
    world *w = world_with_ctx(DTLSv1_2_server_method(), "events-hello", "1");
    dtlsl_path path = world_path(1, 4000);
    uint8_t hello[HELLO_ROOM];
    size_t len;

    world_forge(w, &path, 1, hello); /* makes w->hello */
    w->hello[26] = 0xFF;             /* client_version DTLS 1.0 */
    len = world_forge(w, &path, 1, hello);
    world_input(w, &path, hello, len);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_HELLO), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 1);
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TLS);
    world_check_sums(w);
    world_free(w);
}
END_TEST
#endif

START_TEST(a_hello_is_spent_for_the_lifetime_that_was_asked_for)
{
    world *w = world_new("cookie.lifetime-ms=3000000 idle-timeout-ms=0");
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_accept(w, c, hello);

    world_connect(w, c);
    world_advance(w, 301000);
    client_shutdown(c);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_input(w, &w->path[0], hello, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_REPLAYED), 1);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        dtls_1_0_only_where_the_ssl_ctx_allows_it,
        send_and_close_are_refused_while_openssl_is_at_work,
#if OPENSSL_VERSION_MAJOR < 4
        a_hello_that_was_told_has_its_failed,
#endif
        a_hello_is_spent_for_the_lifetime_that_was_asked_for,
        handshake_opens_once_and_echo_works,
        events_of_a_connection_come_in_order,
        close_notify_of_the_client_is_close_peer,
        close_sends_close_notify_and_is_close_local,
        closing_twice_gives_one_close,
        closing_a_half_open_one_is_failed_local,
        stop_closes_all_and_stopped_is_last,
        a_stopping_engine_takes_no_new_peers,
        stopping_twice_gives_one_stopped,
        a_cookieless_hello_leaves_nothing,
        replies_leave_on_the_path_and_socket_they_came_in_on,
        handshake_deadline_is_exact,
        idle_deadline_is_close_idle,
        junk_does_not_move_the_idle_deadline,
        replayed_data_does_not_move_the_idle_deadline,
        idle_timeout_zero_means_never,
        a_lost_flight_is_sent_again_by_the_timer,
        a_lost_last_flight_is_sent_again_on_the_clients_word,
        a_lost_hello_verify_request_costs_one_timeout,
        the_flight_is_numbered_on_from_the_accepted_hello,
        without_anybody_there_is_no_session_deadline,
        a_fragmented_hello_reaches_one_ssl,
        fragments_in_any_order_behind_the_first_make_a_hello,
        an_incomplete_hello_has_a_deadline_of_its_own,
        several_records_in_one_datagram_are_several_events,
        handshake_records_fill_the_mtu_and_no_more,
    };

    return test_main(
        test_suite("engine", tests, sizeof(tests) / sizeof(tests[0])));
}
