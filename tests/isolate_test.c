/* SPDX-License-Identifier: MIT
 * A listener whose sockets are sorted: who gets how much of a wake-up, and
 * what a flood takes from others. */
#include "scene.h"
#include "test.h"
#include <stdio.h>
#include <unistd.h>

enum {
    FLOOD = 20000,
    RECORDS = 100,
    SENDERS = 40,
    WAIT_MS = 1000,
    EACH = 12,
    BUFFER = 65536
};

/* A ClientHello of OpenSSL's, as its client sent it. */
static size_t
first_hello(uint8_t *buf, size_t cap)
{
    client *c = client_new(NULL);
    packet out;
    size_t len;

    client_step(c);
    ck_assert_int_eq(client_take(c, &out), 1);
    ck_assert_uint_le(out.len, cap);
    memcpy(buf, out.data, len = out.len);
    packet_free(&out);
    client_free(c);
    return len;
}

/* As fast as it goes; nobody reads meanwhile. */
static void
send_many(uint16_t port, const uint8_t *data, size_t len, int n)
{
    struct sockaddr_in name = scene_loopback(port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(send(fd, data, len, 0), (ssize_t)len);
    close(fd);
}

static uint64_t
counter(const scene *s, const char *name)
{
    return dtlsl_listener_counter(s->l, name);
}

static void
open_small(scene *s, const char *isolate, int pulling)
{
    dtlsl_config *config = scene_config();
    char buffer[16];

    snprintf(buffer, sizeof(buffer), "%d", BUFFER);
    scene_set(config, "isolate", isolate);
    scene_set(config, "recv-buffer", buffer);
    scene_open_with(s, config, !pulling, pulling, NULL);
    scene_both_open(s);
}

/* A flood fills its own queue: what a session sends behind it arrives. */
static uint64_t
records_behind_a_flood(const char *isolate, int pulling)
{
    uint8_t hello[512];
    size_t len = first_hello(hello, sizeof(hello));
    uint64_t arrived;
    scene s;

    open_small(&s, isolate, pulling);
    ck_assert_uint_eq(counter(&s, "isolated"), (uint64_t)(*isolate - '0'));
    s.hook = NULL;
    s.act = CLOSE; /* no echo */
    send_many(s.port, hello, len, FLOOD);
    for (int i = 0; i < RECORDS; i++) {
        ck_assert_int_gt(client_write(s.peer.c, "r", 1), 0);
        peer_pump(&s.peer);
    }
    for (int i = 0; i < FLOOD / 16; i++) {
        s.log[0] = '\0';
        scene_run(&s);
    }
    arrived = counter(&s, "data_in");
    ck_assert_uint_gt(counter(&s, "replied"), 10);
    ck_assert_uint_lt(counter(&s, "replied"), FLOOD);
    if (*isolate == '1')
        ck_assert_uint_eq(counter(&s, "kernel_drops_sessions"), 0);
    scene_close(&s);
    return arrived;
}

START_TEST(a_flood_of_hellos_takes_nothing_from_a_session)
{
    for (int pulling = 0; pulling < 2; pulling++) {
        ck_assert_uint_eq(records_behind_a_flood("1", pulling), RECORDS);
        ck_assert_uint_eq(records_behind_a_flood("0", pulling), 0);
    }
}
END_TEST

START_TEST(drops_are_counted_where_they_were)
{
    uint8_t hello[512];
    size_t len = first_hello(hello, sizeof(hello));
    uint64_t drops;
    scene s;

    open_small(&s, "1", 0);
    send_many(s.port, hello, len, FLOOD);
    for (int i = 0; i < FLOOD / 16; i++)
        scene_run(&s);
    drops = counter(&s, "kernel_drops");
    ck_assert_uint_eq(counter(&s, "kernel_drops_strangers"), drops);
    ck_assert_uint_eq(counter(&s, "replied") + drops, FLOOD + 1);
    scene_close(&s);
}
END_TEST

START_TEST(a_given_socket_and_a_shared_port_are_not_sorted)
{
    struct sockaddr_in name = scene_loopback(0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    dtlsl_config *config = scene_config();
    dtlsl_listener *l[2];

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    scene_set(config, "isolate", "1");
    scene_set(config, "reuse-port", "1");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dtlsl_listener_new(&l[i], config, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start_fd(l[0], fd), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(l[1], "127.0.0.1", 0), DTLSL_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(dtlsl_listener_counter(l[i], "isolated"), 0);
        send_many(scene_port_of(l[i]), (const uint8_t *)"junk", 4, 1);
        dtlsl_listener_poll(l[i], 0);
        ck_assert_ptr_null(dtlsl_listener_next(l[i]));
        ck_assert_uint_eq(dtlsl_listener_counter(l[i], "drop_short"), 1);
        dtlsl_listener_free(l[i]);
    }
    dtlsl_config_free(config);
    close(fd);
}
END_TEST

/* What one wake-up takes of each class when all have plenty. */
START_TEST(a_wake_up_has_shares)
{
    uint8_t hello[512], second[512], record[77] = {23, 0xfe, 0xfd, 0, 1};
    size_t len = first_hello(hello, sizeof(hello));
    dtlsl_config *config = scene_config();
    uint64_t replied, filtered, bad;
    scene s;

    memcpy(second, hello, len);
    second[18] = 1; /* message_seq: without a cookie, it is answered too */
    record[12] = sizeof(record) - 13;
    scene_open_with(&s, config, 1, 0, NULL);
    scene_both_open(&s);
    replied = counter(&s, "replied");
    filtered = counter(&s, "received") - replied;
    for (int i = 0; i < 400; i++) {
        send_many(s.port, record, sizeof(record), 1);
        send_many(s.port, hello, len, 1);
        send_many(s.port, second, len, 1);
    }
    scene_run(&s);
    bad = counter(&s, "replied") - replied;
    filtered = counter(&s, "received") - counter(&s, "replied") - filtered;
    ck_assert_uint_eq(filtered, 2 * 64);    /* strangers' records */
    ck_assert_uint_eq(bad, 2 * 64 + 8 * 4); /* hellos of both classes */
    for (int i = 0; i < 50; i++)
        scene_run(&s);
    ck_assert_uint_eq(counter(&s, "replied") - replied, 800);
    scene_close(&s);
}
END_TEST

static void
run_dry(dtlsl_listener *l)
{
    dtlsl_listener_poll(l, 0);
    while (dtlsl_listener_next(l) != NULL)
        ;
}

/* Pulling, a call has one batch: over many of them each class has its share,
 * though the queues of all are never empty. */
START_TEST(pulling_nobody_starves)
{
    uint8_t hello[512], second[512], record[77] = {23, 0xfe, 0xfd, 0, 1};
    size_t len = first_hello(hello, sizeof(hello));
    uint64_t replied, types, seqs;
    scene s;

    memcpy(second, hello, len);
    second[18] = 2; /* message_seq: with the verified, and dropped */
    record[12] = sizeof(record) - 13;
    scene_open_with(&s, scene_config(), 0, 1, NULL);
    scene_both_open(&s);
    replied = counter(&s, "replied");
    types = counter(&s, "drop_type");
    seqs = counter(&s, "drop_message_seq");
    for (int i = 0; i < 3 * 128; i++) {
        send_many(s.port, record, sizeof(record), 1);
        send_many(s.port, hello, len, 1);
        send_many(s.port, second, len, i % 4 == 0);
    }
    for (int i = 0; i < 2 * (2 + 8 + 2); i++) /* in one round of shares, too */
        run_dry(s.l);
    ck_assert_uint_ge(counter(&s, "drop_type") - types, 2 * 64);
    ck_assert_uint_ge(counter(&s, "replied") - replied, 2 * 64);
    ck_assert_uint_ge(counter(&s, "drop_message_seq") - seqs, 8 * 4);
    scene_close(&s);
}
END_TEST

/* All fragments are in one queue, first and second hello alike. */
START_TEST(a_fragmented_hello_makes_a_session)
{
    client_options options = {.alpn_padding = 800, .mtu = 256};

    for (int pulling = 0; pulling < 2; pulling++) {
        scene s;
        scene_open_with(&s, scene_config(), !pulling, pulling, &options);
        ck_assert_uint_eq(counter(&s, "isolated"), 1);
        scene_both_open(&s);
        ck_assert_uint_eq(counter(&s, "accepted"), 1);
        ck_assert_uint_ge(counter(&s, "received"), 2 * 4);
        scene_say(&s, "whole");
        scene_close(&s);
    }
}
END_TEST

static void
note(dtlsl_listener *l, const dtlsl_event *event, void *log)
{
    (void)l;
    (void)event;
    strcpy(log, "event");
}

/* More than a wake-up takes, and nothing else wakes the sibling up. */
static void
check_inheritance(int pulling)
{
    dtlsl_config *config = scene_config();
    dtlsl_listener *l[2];
    uint8_t hello[512];
    size_t len = first_hello(hello, sizeof(hello));
    char log[8] = "";
    uint64_t own;

    scene_set(config, "workers", "2");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(dtlsl_listener_new(&l[i], config, NULL), DTLSL_OK);
        if (!pulling)
            dtlsl_listener_on_event(l[i], note, log);
        ck_assert_int_eq(dtlsl_listener_start(l[i], "127.0.0.1", 0), DTLSL_OK);
    }
    dtlsl_config_free(config);
    for (int i = 0; i < SENDERS; i++)
        send_many(scene_port_of(l[0]), hello, len, EACH);
    for (int i = 0; i < SENDERS; i++)
        run_dry(l[0]);
    own = dtlsl_listener_counter(l[0], "replied");
    ck_assert_uint_lt(own, SENDERS * EACH);
    dtlsl_listener_free(l[1]);
    for (int i = 0; i < SENDERS; i++) {
        dtlsl_listener_poll(l[0], WAIT_MS); /* wakes up by itself */
        run_dry(l[0]);
        if (dtlsl_listener_counter(l[0], "replied") == SENDERS * EACH)
            break;
    }
    ck_assert_uint_eq(dtlsl_listener_counter(l[0], "replied"), SENDERS * EACH);
    dtlsl_listener_free(l[0]);
    ck_assert_str_eq(log, "");
}

START_TEST(all_that_a_stopped_worker_left_is_read)
{
    check_inheritance(0);
    check_inheritance(1);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_flood_of_hellos_takes_nothing_from_a_session,
        drops_are_counted_where_they_were,
        a_given_socket_and_a_shared_port_are_not_sorted,
        a_wake_up_has_shares,
        pulling_nobody_starves,
        a_fragmented_hello_makes_a_session,
        all_that_a_stopped_worker_left_is_read,
    };

    return test_main(
        test_suite("isolate", tests, sizeof(tests) / sizeof(tests[0])));
}
