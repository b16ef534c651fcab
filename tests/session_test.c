/* SPDX-License-Identifier: MIT
 * The engine's connections as an application uses them: sending, calls inside
 * events, facts, credentials. */
#include "test.h"
#include "world.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOSE_ALL = 1000
};

static const uint8_t psk[16] = {1, 2, 3, 4, 5, 6, 7, 8};

static void
write_file(const char *file, const char *text)
{
    FILE *f = fopen(file, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void
make_dir(char dir[64], char file[96])
{
    strcpy(dir, "/tmp/engine_test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, 96, "%s/file", dir);
}

static void
remove_dir(const char *dir, const char *file)
{
    unlink(file);
    rmdir(dir);
}

/* Sending */

START_TEST(a_datagram_above_the_mtu_is_too_big)
{
    world *w = world_new("mtu=500");
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);
    uint8_t data[600] = {1};
    int32_t mtu = dtlsl__engine_mtu(w->engine, id);
    size_t len;

    ck_assert_int_gt(mtu, 500 - 64);
    ck_assert_int_lt(mtu, 500);
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, data, (size_t)mtu + 1),
                     DTLSL_ERR_TOOBIG);
    ck_assert_int_ge(dtlsl__engine_send(w->engine, id, data, (size_t)mtu), 0);
    w->longest_sent = 0;
    world_pump(w);
    ck_assert_uint_le(w->longest_sent, 500);
    client_last(c, &len);
    ck_assert_uint_eq(len, (size_t)mtu);
    world_free(w);
}
END_TEST

/* OpenSSL does not count all of Finished when it packs the last flight. */
START_TEST(no_flight_is_longer_than_mtu)
{
    char option[16];

    for (unsigned mtu = 256; mtu < 400; mtu += 4) {
        snprintf(option, sizeof(option), "mtu=%u", mtu);
        world *w = world_new(option);
        world_connect(w, world_client(w, NULL));
        ck_assert_uint_le(w->longest_sent, mtu);
        world_free(w);
    }
}
END_TEST

START_TEST(ids_that_are_gone_are_noconn_everywhere)
{
    world *w = world_new(NULL);
    uint64_t ids[] = {0, 1, 77, UINT64_MAX};
    uint8_t buf[64];

    for (size_t i = 0; i < 4; i++) {
        uint64_t id = ids[i];
        ck_assert_int_eq(dtlsl__engine_send(w->engine, id, buf, 1),
                         DTLSL_ERR_NOCONN);
        ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_ERR_NOCONN);
        ck_assert_int_eq(dtlsl__engine_mtu(w->engine, id), DTLSL_ERR_NOCONN);
        ck_assert_ptr_null(dtlsl__engine_path(w->engine, id));
        ck_assert_ptr_null(dtlsl__engine_tag(w->engine, id));
        ck_assert_ptr_null(dtlsl__engine_ssl(w->engine, id));
        ck_assert_int_eq(dtlsl__engine_info(w->engine, id, "alpn", (char *)buf,
                                            sizeof(buf)),
                         DTLSL_ERR_NOCONN);
        ck_assert_int_eq(
            dtlsl__engine_peer_certificate(w->engine, id, buf, 64),
            DTLSL_ERR_NOCONN);
        ck_assert_int_eq(
            dtlsl__engine_export(w->engine, id, "x", NULL, 0, buf, 16),
            DTLSL_ERR_NOCONN);
        ck_assert_int_eq(dtlsl__engine_cookie_age(w->engine, id),
                         DTLSL_ERR_NOCONN);
        ck_assert_int_eq(dtlsl__engine_cookie_app(w->engine, id, buf, 64),
                         DTLSL_ERR_NOCONN);
    }
    world_free(w);
}
END_TEST

START_TEST(a_full_arena_is_busy_then_one_writable)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);
    uint8_t data[1000] = {1};
    size_t taken = 0;
    int32_t err;

    while ((err = dtlsl__engine_send(w->engine, id, data, 1000)) >= 0)
        ck_assert_uint_lt(++taken, 100000);
    ck_assert_int_eq(err, DTLSL_ERR_BUSY);
    ck_assert_uint_gt(taken, 4);
    ck_assert_int_eq(dtlsl__engine_send(w->engine, id, data, 1000),
                     DTLSL_ERR_BUSY);
    ck_assert(dtlsl__engine_output_low(w->engine));
    world_drain(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 0);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 1);
    ck_assert_uint_eq(client_received(c), taken);
    ck_assert_int_ge(dtlsl__engine_send(w->engine, id, data, 1000), 0);
    world_pump(w);
    ck_assert_uint_eq(client_received(c), taken + 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 1);
    world_free(w);
}
END_TEST

static uint8_t filling[1000];

static void
fill(world *w, uint64_t id)
{
    while (dtlsl__engine_send(w->engine, id, filling, sizeof(filling)) >= 0)
        continue;
}

/* Takes all the room there is once more. */
static void
fill_when_writable(world *w, const dtlsl_event *event)
{
    if (event->type == DTLSL_EVENT_WRITABLE && event->conn == w->hooked)
        fill(w, event->conn);
}

/* Three were refused, in the order 2, 0, 1; one of them closes; the first to
 * be told takes the room, and waits behind the others. */
START_TEST(the_busy_are_told_in_turn_and_once_for_a_sending)
{
    world *w = world_new(NULL);
    uint64_t id[3];

    for (int i = 0; i < 3; i++)
        id[i] = world_connect(w, world_client(w, NULL));
    w->n_events = 0;
    fill(w, id[2]);
    fill(w, id[0]);
    fill(w, id[1]);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, id[0]), DTLSL_OK);
    w->hook = fill_when_writable;
    w->hooked = id[2];
    world_drain(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 0);
    world_flush(w);
    world_drain(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 2);
    ck_assert_int_lt(world_index(w, DTLSL_EVENT_WRITABLE, id[2]),
                     world_index(w, DTLSL_EVENT_WRITABLE, id[1]));
    ck_assert(dtlsl__engine_output_low(w->engine));
    w->hook = NULL;
    world_flush(w);
    world_drain(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 3);
    ck_assert_uint_eq(world_find(w, DTLSL_EVENT_WRITABLE)->conn, id[2]);
    world_free(w);
}
END_TEST

START_TEST(a_busy_connection_that_closes_has_no_writable_after)
{
    world *w = world_new(NULL);
    uint64_t id = world_connect(w, world_client(w, NULL));
    uint8_t data[1000] = {1};

    while (dtlsl__engine_send(w->engine, id, data, 1000) >= 0)
        continue;
    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_WRITABLE), 0);
    world_free(w);
}
END_TEST

START_TEST(output_can_be_sent_in_parts)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);
    const dtlsl__output *list;
    const uint8_t *arena;

    for (uint8_t i = 0; i < 4; i++)
        dtlsl__engine_send(w->engine, id, &i, 1);
    for (uint8_t i = 0; i < 4; i++) {
        size_t len;
        ck_assert_uint_eq(dtlsl__engine_output(w->engine, &list, &arena),
                          4U - i);
        client_feed(c, arena + list[0].offset, list[0].len);
        ck_assert_uint_eq(client_last(c, &len)[0], i);
        dtlsl__engine_output_sent(w->engine, 1);
    }
    ck_assert_uint_eq(client_received(c), 4);
    world_free(w);
}
END_TEST

START_TEST(a_full_arena_loses_replies_and_flights_but_nothing_else)
{
    world *w = world_new(NULL);
    client *a = world_client(w, NULL), *b;
    uint64_t id = world_connect(w, a);
    uint8_t hello[HELLO_ROOM], big[1000] = {1};
    size_t len;

    b = world_client(w, NULL);
    len = world_second_hello(w, b, hello);
    while (dtlsl__engine_send(w->engine, id, big, sizeof(big)) >= 0)
        continue;
    world_begin(w);
    world_input_raw(w, &w->path[1], hello, len);
    for (uint8_t i = 0; i < 250; i++) {
        dtlsl_path path = world_path(100U + i, 4000);
        client *c = client_new(NULL);
        packet p;
        client_step(c);
        ck_assert_int_eq(client_take(c, &p), 1);
        world_input_raw(w, &path, p.data, p.len);
        packet_free(&p);
        client_free(c);
    }
    world_flush(w);
    world_pump(w);
    for (int i = 0; i < 3 && !client_is_open(b); i++)
        world_advance(w, 4000);
    ck_assert(client_is_open(b));
    world_check_echo(w, a, "x");
    world_check_echo(w, b, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Calls inside events */

static void
meddle(world *w, const dtlsl_event *e)
{
    char text[64];

    if (e->conn == 0)
        return;
    dtlsl__engine_send(w->engine, e->conn, psk, sizeof(psk));
    dtlsl__engine_info(w->engine, e->conn, "cipher", text, sizeof(text));
    dtlsl__engine_cookie_age(w->engine, e->conn);
    dtlsl__engine_conn_next(w->engine, 0);
    if (e->type == (int32_t)w->hooked)
        dtlsl__engine_close(w->engine, e->conn);
    dtlsl__engine_send(w->engine, e->conn, psk, sizeof(psk));
    if (e->type != DTLSL_EVENT_HELLO) /* refused there, it is gone at once */
        ck_assert_ptr_nonnull(dtlsl__engine_path(w->engine, e->conn));
}

START_TEST(send_and_close_are_allowed_in_each_event)
{
    for (uint64_t type = DTLSL_EVENT_OPEN; type <= DTLSL_EVENT_HELLO; type++) {
        world *w = world_new("events-hello=1");
        client *c = world_client(w, NULL);
        dtlsl_path path = world_path(9, 4000);

        w->hook = meddle;
        w->hooked = type;
        world_pump(w);
        if (client_is_open(c)) {
            client_write(c, "x", 1);
            world_pump(w);
        }
        world_half_open(w, &path, 1);
        world_wait(w, 15000);
        if (client_is_open(c) && !client_is_closed(c))
            client_shutdown(c);
        world_pump(w);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_CONNS), 0);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
        world_check_sums(w);
        world_free(w);
    }
}
END_TEST

static void
stop_in_hook(world *w, const dtlsl_event *e)
{
    if (e->type == DTLSL_EVENT_DATA)
        dtlsl__engine_stop(w->engine);
}

START_TEST(stop_is_allowed_in_an_event)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);

    w->hook = stop_in_hook;
    world_connect(w, c);
    client_write(c, "x", 1);
    client_write(c, "y", 1);
    world_pump(w);
    ck_assert_int_eq(w->event[w->n_events - 1].type, DTLSL_EVENT_STOPPED);
    ck_assert(client_is_closed(c));
    world_free(w);
}
END_TEST

START_TEST(no_data_follows_a_close_in_the_same_datagram)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t all[512];
    size_t len = 0;
    packet p;

    world_connect(w, c);
    w->hook = meddle;
    w->hooked = DTLSL_EVENT_DATA;
    client_write(c, "one", 3);
    client_write(c, "two", 3);
    while (client_take(c, &p)) {
        memcpy(all + len, p.data, p.len);
        len += p.len;
        packet_free(&p);
    }
    world_input(w, &w->path[0], all, len);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 1);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    world_free(w);
}
END_TEST

START_TEST(hello_event_comes_first_and_only_when_asked_for)
{
    world *w = world_new("events-hello=1");
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    ck_assert_int_eq(world_index(w, DTLSL_EVENT_HELLO, id), 0);
    ck_assert_int_eq(world_index(w, DTLSL_EVENT_OPEN, id), 1);
    world_check_echo(w, c, "x");
    world_free(w);
}
END_TEST

START_TEST(close_in_the_hello_event_refuses_the_peer)
{
    world *w = world_new("events-hello=1");
    client *c = world_client(w, NULL);
    size_t sent;

    w->hook = meddle;
    w->hooked = DTLSL_EVENT_HELLO;
    world_pump(w);
    sent = w->n_sent;
    ck_assert(!client_is_open(c));
    ck_assert_uint_eq(sent, 1); /* the HelloVerifyRequest */
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_HELLO_REFUSED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 0);
    ck_assert_uint_eq(dtlsl__engine_conn_next(w->engine, 0), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* Facts */

static const char *
info(const world *w, uint64_t id, const char *name)
{
    static char text[128];
    int32_t len = dtlsl__engine_info(w->engine, id, name, text, sizeof(text));

    ck_assert_int_ge(len, 0);
    ck_assert_uint_eq(strlen(text), (size_t)len);
    return text;
}

START_TEST(info_tells_version_cipher_alpn_and_server_name)
{
    client_options options = {.alpn = "http/1.1,coap",
                              .server_name = "device.example"};
    world *w = world_new("alpn=coap,http/1.1");
    client *c = world_client(w, &options);
    uint64_t id = world_connect(w, c);
    char tiny[3];

    ck_assert_str_eq(info(w, id, "version"), "DTLSv1.2");
    ck_assert_str_eq(info(w, id, "cipher"), SSL_get_cipher(client_ssl(c)));
    ck_assert_str_eq(info(w, id, "alpn"), "coap");
    ck_assert_str_eq(info(w, id, "server-name"), "device.example");
    ck_assert_str_eq(info(w, id, "psk-identity"), "");
    ck_assert_int_eq(dtlsl__engine_info(w->engine, id, "colour", tiny, 3),
                     DTLSL_ERR_OPTION);
    ck_assert_int_eq(dtlsl__engine_info(w->engine, id, "alpn", tiny, 3),
                     DTLSL_ERR_SPACE);
    world_free(w);
}
END_TEST

START_TEST(info_is_empty_where_there_is_nothing)
{
    world *w = world_new(NULL);
    uint64_t id = world_connect(w, world_client(w, NULL));
    uint8_t der[8];

    ck_assert_str_eq(info(w, id, "alpn"), "");
    ck_assert_str_eq(info(w, id, "server-name"), "");
    ck_assert_int_eq(dtlsl__engine_peer_certificate(w->engine, id, der, 8), 0);
    ck_assert_int_eq(dtlsl__engine_cookie_app(w->engine, id, der, 8), 0);
    world_free(w);
}
END_TEST

static world *
psk_world(char dir[64], char file[96])
{
    char option[128];

    make_dir(dir, file);
    write_file(file, "sensor-7:01020304050607080000000000000000\n");
    snprintf(option, sizeof(option), "psk-file=%s", file);
    ck_assert_int_eq(chmod(file, 0600), 0);
    return world_new(option);
}

START_TEST(psk_identity_is_told)
{
    client_options options = {.psk_identity = "sensor-7",
                              .psk = psk,
                              .psk_len = sizeof(psk),
                              .ciphers = "PSK-AES128-GCM-SHA256:"
                                         "ECDHE-PSK-CHACHA20-POLY1305"};
    char dir[64], file[96];
    world *w = psk_world(dir, file);
    client *c = world_client(w, &options);
    uint64_t id = world_connect(w, c);

    ck_assert_str_eq(info(w, id, "psk-identity"), "sensor-7");
    world_check_echo(w, c, "x");
    world_free(w);
    remove_dir(dir, file);
}
END_TEST

/* An unknown identity and a wrong key look alike to a client. */
START_TEST(unknown_psk_identities_look_like_wrong_keys)
{
    uint8_t wrong[16] = {9};
    client_options options[2] = {
        {.psk_identity = "sensor-7", .psk = wrong, .psk_len = 16},
        {.psk_identity = "nobody-7", .psk = psk, .psk_len = 16}};
    size_t sent[2];
    char dir[64], file[96];
    world *w = psk_world(dir, file);

    for (int i = 0; i < 2; i++) {
        options[i].ciphers = "PSK-AES128-GCM-SHA256";
        client *c = world_client(w, &options[i]);
        sent[i] = w->n_sent;
        world_pump(w);
        sent[i] = w->n_sent - sent[i];
        ck_assert(!client_is_open(c));
        ck_assert(!client_is_dead(c));
    }
    ck_assert_uint_eq(sent[0], sent[1]);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 0);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_free(w);
    remove_dir(dir, file);
}
END_TEST

START_TEST(peer_certificate_is_the_clients)
{
    uint8_t der[2048], *want = NULL;
    identity me;
    client_options options = {.identity = &me};
    world *w = world_of_certificates(NULL, &me);
    uint64_t id = world_connect(w, world_client(w, &options));
    int32_t len =
        dtlsl__engine_peer_certificate(w->engine, id, der, sizeof(der));

    ck_assert_int_eq(len, i2d_X509(me.cert, &want));
    ck_assert_mem_eq(der, want, (size_t)len);
    ck_assert_int_eq(
        dtlsl__engine_peer_certificate(w->engine, id, der, (size_t)len - 1),
        DTLSL_ERR_SPACE);
    OPENSSL_free(want);
    world_free(w);
    identity_free(&me);
}
END_TEST

START_TEST(a_client_certificate_of_nobodys_is_failed_tls)
{
    identity me, other;
    identity_make(&other, "other");
    client_options options = {.identity = &other};
    world *w = world_of_certificates(NULL, &me);
    client *c = world_client(w, &options);

    world_pump(w);
    ck_assert(client_is_dead(c));
    ck_assert_int_eq(world_find(w, DTLSL_EVENT_FAILED)->status,
                     DTLSL_CLOSE_TLS);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_OPEN), 0);
    world_free(w);
    identity_free(&me);
    identity_free(&other);
}
END_TEST

START_TEST(exported_keys_are_equal_on_both_sides)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);
    uint8_t ours[32], theirs[32];

    for (int context = 0; context < 2; context++) {
        ck_assert_int_eq(dtlsl__engine_export(w->engine, id, "EXPORTER-test",
                                              context ? psk : NULL,
                                              context ? 4 : 0, ours,
                                              sizeof(ours)),
                         DTLSL_OK);
        ck_assert_int_eq(
            SSL_export_keying_material(client_ssl(c), theirs, sizeof(theirs),
                                       "EXPORTER-test", 13, psk, 4, context),
            1);
        ck_assert_mem_eq(ours, theirs, 32);
    }
    world_free(w);
}
END_TEST

START_TEST(cookie_age_is_a_round_trip_at_least)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len = world_second_hello(w, c, hello);
    uint64_t id;

    world_wait(w, 70);
    world_input(w, &w->path[0], hello, len);
    id = world_connect(w, c);
    ck_assert_int_ge(dtlsl__engine_cookie_age(w->engine, id), 70);
    ck_assert_int_le(dtlsl__engine_cookie_age(w->engine, id), 71);
    world_free(w);
}
END_TEST

START_TEST(tags_come_back_in_every_event)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint64_t id = world_connect(w, c);

    ck_assert_uint_eq(world_find(w, DTLSL_EVENT_OPEN)->tag, 0);
    *dtlsl__engine_tag(w->engine, id) = 0xFEEDULL << 40;
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(world_find(w, DTLSL_EVENT_DATA)->tag, 0xFEEDULL << 40);
    dtlsl__engine_close(w->engine, id);
    world_pump(w);
    ck_assert_uint_eq(world_find(w, DTLSL_EVENT_CLOSE)->tag, 0xFEEDULL << 40);
    world_free(w);
}
END_TEST

START_TEST(connections_are_iterated_by_age)
{
    world *w = world_new(NULL);
    uint64_t id[4], at = 0;

    for (int i = 0; i < 4; i++)
        id[i] = world_connect(w, world_client(w, NULL));
    dtlsl__engine_close(w->engine, id[1]);
    world_pump(w);
    for (int i = 0; i < 4; i += i == 0 ? 2 : 1) {
        at = dtlsl__engine_conn_next(w->engine, at);
        ck_assert_uint_eq(at, id[i]);
    }
    ck_assert_uint_eq(dtlsl__engine_conn_next(w->engine, at), 0);
    ck_assert_uint_eq(dtlsl__engine_conn_next(w->engine, id[1]), id[2]);
    world_free(w);
}
END_TEST

START_TEST(path_is_the_peers)
{
    world *w = world_new(NULL);
    uint64_t id = world_connect(w, world_client(w, NULL));

    ck_assert_mem_eq(dtlsl__engine_path(w->engine, id), &w->path[0],
                     sizeof(dtlsl_path));
    world_free(w);
}
END_TEST

START_TEST(the_ssl_knows_its_connection)
{
    world *w = world_new(NULL);
    uint64_t id = world_connect(w, world_client(w, NULL)), found = 0;
    struct ssl_st *ssl = dtlsl__engine_ssl(w->engine, id);
    dtlsl_listener *listener;
    client *stranger = client_new(NULL);

    ck_assert_ptr_nonnull(ssl);
    ck_assert_int_eq(dtlsl_conn_of_ssl(ssl, &listener, &found), DTLSL_OK);
    ck_assert_uint_eq(found, id);
    ck_assert_int_eq(
        dtlsl_conn_of_ssl(client_ssl(stranger), &listener, &found),
        DTLSL_ERR_NOCONN);
    client_free(stranger);
    world_free(w);
}
END_TEST

/* Credentials */

START_TEST(reload_serves_the_new_certificate_to_later_handshakes)
{
    char dir[64], file[96], option[128];
    identity id[2];
    make_dir(dir, file);
    identity_make(&id[0], "old");
    identity_make(&id[1], "new");
    identity_save(&id[0], file);
    snprintf(option, sizeof(option), "cert-file=%s", file);
    world *w = world_new(option);
    client *a = world_client(w, NULL), *b;

    world_connect(w, a);
    identity_save(&id[1], file);
    ck_assert_int_eq(dtlsl__config_reload(w->config), DTLSL_OK);
    dtlsl__engine_reload(w->engine);
    b = world_client(w, NULL);
    world_connect(w, b);
    ck_assert_int_eq(
        X509_cmp(SSL_get0_peer_certificate(client_ssl(a)), id[0].cert), 0);
    ck_assert_int_eq(
        X509_cmp(SSL_get0_peer_certificate(client_ssl(b)), id[1].cert), 0);
    world_check_echo(w, a, "old one goes on");
    world_free(w);
    identity_free(&id[0]);
    identity_free(&id[1]);
    remove_dir(dir, file);
}
END_TEST

START_TEST(no_shared_cipher_is_failed_with_a_text)
{
    client_options options = {.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"};
    world *w = world_new(NULL);
    client *c = world_client(w, &options);
    const seen *failed;

    world_pump(w);
    failed = world_find(w, DTLSL_EVENT_FAILED);
    ck_assert_ptr_nonnull(failed);
    ck_assert_int_eq(failed->status, DTLSL_CLOSE_TLS);
    ck_assert_ptr_nonnull(strstr((const char *)failed->data, "cipher"));
    ck_assert(client_is_dead(c)); /* it was told */
    ck_assert_uint_eq(world_counter(w, DTLSL__N_FAILED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_HANDSHAKES), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* How the first connection ends, before its session is resumed. */
static void
check_resumption(world *w, client_options *options, int idle)
{
    client *a = world_client(w, options), *b;
    uint64_t id = world_connect(w, a);
    SSL_SESSION *session = SSL_get1_session(client_ssl(a));

    if (idle)
        world_advance(w, 300000);
    else
        dtlsl__engine_close(w->engine, id);
    world_pump(w);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_CLOSE), 1);
    options->session = session;
    b = world_client(w, options);
    world_connect(w, b);
    ck_assert_int_eq(SSL_session_reused(client_ssl(b)), 1);
    world_check_echo(w, b, "x");
    SSL_SESSION_free(session);
}

START_TEST(a_closed_session_can_be_resumed)
{
    client_options options = {.alpn = NULL};
    world *w = world_new(NULL);

    check_resumption(w, &options, 0);
    world_free(w);
}
END_TEST

START_TEST(an_idle_session_with_a_client_certificate_can_be_resumed)
{
    identity me;
    client_options options = {.identity = &me};
    world *w = world_of_certificates(NULL, &me);

    check_resumption(w, &options, 1);
    world_free(w);
    identity_free(&me);
}
END_TEST

START_TEST(notices_come_only_when_asked_for)
{
    for (int asked = 0; asked < 2; asked++) {
        world *w = world_new(asked ? "events-notice=1" : "events-notice=0");
        dtlsl__engine_notice(w->engine, "key file is unreadable");
        world_pump(w);
        ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_NOTICE),
                          (size_t)asked);
        if (asked)
            ck_assert_str_eq(
                (const char *)world_find(w, DTLSL_EVENT_NOTICE)->data,
                "key file is unreadable");
        world_free(w);
    }
}
END_TEST

START_TEST(notices_are_rate_limited)
{
    world *w = world_new("events-notice=1");

    for (int i = 0; i < 1000; i++) {
        dtlsl__engine_notice(w->engine, "again");
        if (i % 10 == 0)
            world_pump(w);
    }
    world_pump(w);
    ck_assert_uint_ge(world_count_events(w, DTLSL_EVENT_NOTICE), 1);
    ck_assert_uint_lt(world_count_events(w, DTLSL_EVENT_NOTICE), 100);
    ck_assert_uint_gt(world_counter(w, DTLSL__N_NOTICES_DROPPED), 900);
    world_free(w);
}
END_TEST

/* What a sanitizer or valgrind sees is the point of it. */
START_TEST(free_with_live_connections_leaks_nothing)
{
    world *w = world_new("events-notice=1");
    client *c = world_client(w, NULL);
    dtlsl_path path = world_path(9, 4000);
    uint64_t id = world_connect(w, c);

    ck_assert_uint_eq(world_half_open(w, &path, 1), 1);
    ck_assert_int_ge(dtlsl__engine_send(w->engine, id, psk, 1), 0);
    ck_assert_int_eq(dtlsl__engine_close(w->engine, id), DTLSL_OK);
    dtlsl__engine_notice(w->engine, "unread");
    dtlsl__engine_stop(w->engine);
    ck_assert(dtlsl__engine_pending(w->engine));
    world_free(w);
    dtlsl__engine_free(NULL);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        no_flight_is_longer_than_mtu,
        a_datagram_above_the_mtu_is_too_big,
        ids_that_are_gone_are_noconn_everywhere,
        a_full_arena_is_busy_then_one_writable,
        the_busy_are_told_in_turn_and_once_for_a_sending,
        a_busy_connection_that_closes_has_no_writable_after,
        output_can_be_sent_in_parts,
        a_full_arena_loses_replies_and_flights_but_nothing_else,
        send_and_close_are_allowed_in_each_event,
        stop_is_allowed_in_an_event,
        no_data_follows_a_close_in_the_same_datagram,
        hello_event_comes_first_and_only_when_asked_for,
        close_in_the_hello_event_refuses_the_peer,
        info_tells_version_cipher_alpn_and_server_name,
        info_is_empty_where_there_is_nothing,
        psk_identity_is_told,
        unknown_psk_identities_look_like_wrong_keys,
        peer_certificate_is_the_clients,
        a_client_certificate_of_nobodys_is_failed_tls,
        exported_keys_are_equal_on_both_sides,
        cookie_age_is_a_round_trip_at_least,
        tags_come_back_in_every_event,
        connections_are_iterated_by_age,
        path_is_the_peers,
        the_ssl_knows_its_connection,
        reload_serves_the_new_certificate_to_later_handshakes,
        no_shared_cipher_is_failed_with_a_text,
        a_closed_session_can_be_resumed,
        an_idle_session_with_a_client_certificate_can_be_resumed,
        notices_come_only_when_asked_for,
        notices_are_rate_limited,
        free_with_live_connections_leaks_nothing,
    };

    return test_main(
        test_suite("session", tests, sizeof(tests) / sizeof(tests[0])));
}
