/* SPDX-License-Identifier: MIT
 * Datagrams of odd shapes: empty and huge ones, several records in one,
 * several handshake messages in one record. */
#include "record.h"
#include "scene.h"
#include "test.h"
#include "world.h"
#include <sys/socket.h>

enum {
    LONGEST = 65507, /* a UDP payload by IPv4 */
    HEADERS = LONGEST / DTLSL__RECORD_HEADER
};

static uint8_t big[LONGEST];

/* Empty and huge */

START_TEST(empty_datagrams_change_nothing)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    size_t len, sent = 0;

    world_input(w, &w->path[0], big, 0);
    ck_assert_uint_eq(w->n_sent, sent);
    len = world_second_hello(w, c, hello);
    world_input(w, &w->path[0], big, 0);
    world_input(w, &w->path[0], hello, len);
    sent = w->n_sent;
    world_input(w, &w->path[0], big, 0); /* half-open */
    ck_assert_uint_eq(w->n_sent, sent);
    world_connect(w, c);
    world_input(w, &w->path[0], big, 0);
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_EMPTY), 4);
    ck_assert_uint_eq(w->n_events, 2);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(a_hello_in_front_of_65_kb_is_a_hello)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    packet p;

    for (int i = 0; i < 2; i++) {
        client_step(c);
        ck_assert_int_eq(client_take(c, &p), 1);
        memset(big, 0xA5, sizeof(big));
        memcpy(big, p.data, p.len);
        packet_free(&p);
        world_input(w, &w->path[0], big, sizeof(big));
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLIED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(data_in_front_of_65_kb_is_data)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    packet p;

    world_connect(w, c);
    client_write(c, "first", 5);
    ck_assert_int_eq(client_take(c, &p), 1);
    memset(big, 23, sizeof(big));
    memcpy(big, p.data, p.len);
    packet_free(&p);
    world_input(w, &w->path[0], big, sizeof(big));
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 1);
    ck_assert_mem_eq(world_find(w, DTLSL_EVENT_DATA)->data, "first", 5);
    world_check_echo(w, c, "x");
    world_check_sums(w);
    world_free(w);
}
END_TEST

static size_t
fill_with_headers(uint8_t type, uint16_t epoch)
{
    size_t len = 0;

    while (len + DTLSL__RECORD_HEADER <= sizeof(big))
        len += make_record(big + len, type, epoch, len, NULL, 0);
    return len;
}

/* As many records as a datagram can have, each of them kept from OpenSSL. */
START_TEST(five_thousand_empty_records_are_harmless)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n;

    world_input(w, &w->path[0], big, fill_with_headers(22, 0)); /* nobody's */
    world_accept(w, c, hello);
    n = world_hold(c, held);
    for (uint8_t type = 20; type < 24; type++) {
        world_input(w, &w->path[0], big, fill_with_headers(type, 0));
        world_input(w, &w->path[0], big, fill_with_headers(type, 1));
    }
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED),
                      8 * HEADERS);
    world_release(w, &w->path[0], held, n);
    world_connect(w, c);
    for (uint8_t type = 20; type < 24; type++)
        world_input(w, &w->path[0], big, fill_with_headers(type, 1));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED),
                      12 * HEADERS);
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(w->n_events, 2);
    world_check_sums(w);
    world_free(w);
}
END_TEST

static uint64_t
number(const scene *s, const char *name)
{
    return dtlsl_listener_counter(s->l, name);
}

/* Over a real socket: the rest of a huge one is lost, which is told. (Sorting
 * would let the kernel drop the empty one.) */
START_TEST(a_listener_drops_what_is_empty_or_longer_than_its_buffer)
{
    dtlsl_config *config = scene_config();
    scene s;

    scene_set(config, "isolate", "0");
    scene_open_with(&s, config, 0, 1, NULL);
    scene_both_open(&s);
    ck_assert_int_eq(send(s.peer.fd, big, sizeof(big), 0), sizeof(big));
    ck_assert_int_eq(send(s.peer.fd, big, 0, 0), 0);
    for (int i = 0; i < TURNS && number(&s, "drop_empty") == 0; i++)
        scene_turn(&s);
    ck_assert_uint_eq(number(&s, "drop_empty"), 1);
    ck_assert_uint_eq(number(&s, "drop_truncated"), 1);
    scene_say(&s, "still here");
    scene_until(&s, 'D');
    ck_assert_int_eq(scene_has(&s, 'C'), 0);
    scene_close(&s);
}
END_TEST

/* Several records */

static size_t
take_all(client *c, uint8_t *out)
{
    size_t len = 0;
    packet p;

    while (client_take(c, &p)) {
        memcpy(out + len, p.data, p.len);
        len += p.len;
        packet_free(&p);
    }
    return len;
}

START_TEST(data_and_close_notify_in_one_datagram_are_both_told)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);

    world_connect(w, c);
    client_write(c, "last", 4);
    client_shutdown(c);
    world_input(w, &w->path[0], big, take_all(c, big));
    ck_assert_uint_eq(w->n_events, 3);
    ck_assert_int_eq(w->event[1].type, DTLSL_EVENT_DATA);
    ck_assert_int_eq(w->event[2].type, DTLSL_EVENT_CLOSE);
    ck_assert_int_eq(w->event[2].status, DTLSL_CLOSE_PEER);
    world_check_sums(w);
    world_free(w);
}
END_TEST

START_TEST(junk_between_records_hides_none)
{
    world *w = world_new(NULL);
    client *c = world_client(w, NULL);
    uint8_t junk[40] = {1};
    size_t len = 0;
    packet p;

    world_connect(w, c);
    for (int i = 0; i < 4; i++) {
        client_write(c, &i, sizeof(i));
        ck_assert_int_eq(client_take(c, &p), 1);
        len += make_record(big + len, 23, 1, 500, junk, sizeof(junk));
        len += make_record(big + len, 99, 7, 500, junk, 3);
        memcpy(big + len, p.data, p.len);
        len += p.len;
        packet_free(&p);
    }
    memset(big + len, 23, 12); /* and the beginning of one more */
    world_input(w, &w->path[0], big, len + 12);
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_DATA), 4);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 5);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* What DTLSv1_listen() does, too: the first record is the hello, whatever is
 * behind it. */
START_TEST(two_hellos_in_one_datagram_are_one)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000);
    uint8_t second[HELLO_ROOM];
    size_t len = world_forge(w, &path, 1, second);

    memcpy(big, w->hello, w->hello_len);
    memcpy(big + w->hello_len, second, len);
    world_input(w, &path, big, w->hello_len + len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLIED), 2);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 0);
    memcpy(big, second, len);
    memcpy(big + len, w->hello, w->hello_len);
    world_input(w, &path, big, w->hello_len + len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_ACCEPTED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_REPLIED), 2);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 1);
    world_check_sums(w);
    world_free(w);
}
END_TEST

/* A client that is in a hurry sends all that it has in one datagram. */
START_TEST(an_alert_of_any_kind_behind_the_hello_does_not_kill)
{
    static const uint8_t alerts[][2] = {{2, 40}, {1, 0}, {1, 90}, {2, 0}};

    for (size_t i = 0; i < 4; i++) {
        world *w = world_new(NULL);
        client *c = world_client(w, NULL);
        uint8_t hello[HELLO_ROOM];
        size_t len = world_second_hello(w, c, hello);

        len += make_record(hello + len, 21, 0, 1ULL << 47, alerts[i], 2);
        len += make_record(hello + len, 22, 0, 3, NULL, 0);
        world_input(w, &w->path[0], hello, len);
        world_connect(w, c);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_ALERTS_IGNORED), 1);
        ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
        world_check_echo(w, c, "x");
        world_free(w);
    }
}
END_TEST

/* Several messages in one record */

/* Takes Certificate, ClientKeyExchange and CertificateVerify out of a held
 * flight into one record, and leaves the others behind it. Returns how many
 * messages it packed. */
static size_t
pack(const packet *held, size_t n, uint8_t *out, size_t *out_len)
{
    static uint8_t messages[4096], others[1024];
    size_t len = 0, rest = 0, count = 0;
    dtlsl__record record;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = held[i].data;
        size_t left = held[i].len;
        int32_t size;
        while ((size = dtlsl__record_read(&record, p, left)) > 0) {
            int plain = record.epoch == 0 && record.type == DTLSL__HANDSHAKE;
            memcpy(plain ? messages + len : others + rest,
                   plain ? record.body : p, plain ? record.len : (size_t)size);
            len += plain ? record.len : 0;
            rest += plain ? 0 : (size_t)size;
            count += (size_t)plain;
            p += size;
            left -= (size_t)size;
        }
    }
    *out_len = make_record(out, DTLSL__HANDSHAKE, 0, 50, messages, len);
    memcpy(out + *out_len, others, rest);
    *out_len += rest;
    return count;
}

static void
release(packet *held, size_t n)
{
    while (n > 0)
        packet_free(&held[--n]);
}

START_TEST(messages_packed_in_one_record_make_a_handshake)
{
    identity me;
    world *w = world_of_certificates(NULL, &me);
    client_options options = {.identity = &me};
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM];
    packet held[WORLD_HELD];
    size_t n, len;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    ck_assert_uint_eq(pack(held, n, big, &len), 3);
    release(held, n);
    world_input(w, &w->path[0], big, len);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RETRANSMITS), 0);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 0);
    world_check_sums(w);
    world_free(w);
    identity_free(&me);
}
END_TEST

/* One message among them that cannot be genuine: none is believed, and the
 * client's next try completes. */
START_TEST(one_bad_message_spoils_its_record_and_no_more)
{
    identity me;
    world *w = world_of_certificates(NULL, &me);
    client_options options = {.identity = &me};
    client *c = world_client(w, &options);
    uint8_t hello[HELLO_ROOM], bad[64];
    packet held[WORLD_HELD];
    size_t n, len, bad_len;

    world_accept(w, c, hello);
    n = world_hold(c, held);
    pack(held, n, big, &len);
    release(held, n);
    len = DTLSL__RECORD_HEADER + dtlsl__get16(big + 11);
    bad_len = make_message(bad, 0, 20, 2, 12, 0, 12) - DTLSL__RECORD_HEADER;
    memcpy(big + len, bad + DTLSL__RECORD_HEADER, bad_len);
    len += bad_len;
    dtlsl__put16(big + 11, (uint32_t)(len - DTLSL__RECORD_HEADER));
    world_input(w, &w->path[0], big, len);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_RECORDS_FILTERED), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_FILTERED), 1);
    world_pump(w);
    world_advance(w, 1000);
    world_connect(w, c);
    world_check_echo(w, c, "x");
    ck_assert_uint_eq(world_count_events(w, DTLSL_EVENT_FAILED), 0);
    world_free(w);
    identity_free(&me);
}
END_TEST

START_TEST(a_hello_packed_with_another_message_is_dropped)
{
    world *w = world_new(NULL);
    dtlsl_path path = world_path(1, 4000);
    uint8_t hello[HELLO_ROOM], more[64];
    size_t len = world_forge(w, &path, 1, hello), n;

    n = make_message(more, 0, 16, 2, 1, 0, 1) - DTLSL__RECORD_HEADER;
    memcpy(hello + len, more + DTLSL__RECORD_HEADER, n);
    dtlsl__put16(hello + 11, (uint32_t)(len + n - DTLSL__RECORD_HEADER));
    world_input(w, &path, hello, len + n);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_DROP_MESSAGE_LENGTH), 1);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), 0);
    world_check_sums(w);
    world_free(w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        empty_datagrams_change_nothing,
        a_hello_in_front_of_65_kb_is_a_hello,
        data_in_front_of_65_kb_is_data,
        five_thousand_empty_records_are_harmless,
        a_listener_drops_what_is_empty_or_longer_than_its_buffer,
        data_and_close_notify_in_one_datagram_are_both_told,
        junk_between_records_hides_none,
        two_hellos_in_one_datagram_are_one,
        an_alert_of_any_kind_behind_the_hello_does_not_kill,
        messages_packed_in_one_record_make_a_handshake,
        one_bad_message_spoils_its_record_and_no_more,
        a_hello_packed_with_another_message_is_dropped,
    };

    return test_main(
        test_suite("datagram", tests, sizeof(tests) / sizeof(tests[0])));
}
