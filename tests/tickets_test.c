/* SPDX-License-Identifier: MIT
 * Session ticket keys as clients see them, with OpenSSL's clock in the hands
 * of the test. */
#include "test.h"
#include "world.h"
#include <unistd.h>
#include <stdio.h>
#include <openssl/ssl.h>
#include <sys/time.h>
#include <time.h>

enum {
    LIFE = 7200 /* of a ticket, seconds: OpenSSL's default */
};

/* libssl 3.0 calls it for the time of a session, and later versions
 * gettimeofday(). */
time_t
time(time_t *out)
{
    struct timeval now;

    gettimeofday(&now, NULL);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

static void
step(world *w, int64_t seconds)
{
    world_set_clock(w, seconds * 1000);
}

/* The key's name, that is the ticket's first 16 bytes. */
static void
ticket_name(SSL_SESSION *session, uint8_t name[16])
{
    const unsigned char *ticket;
    size_t len;

    SSL_SESSION_get0_ticket(session, &ticket, &len);
    ck_assert_uint_gt(len, 16);
    memcpy(name, ticket, 16);
}

/* A client with that session, or none: the session that it ends with. */
static SSL_SESSION *
visit(world *w, SSL_SESSION *session, int *resumed)
{
    client_options options = {.session = session};
    client *c = world_client(w, &options);
    SSL_SESSION *got;

    world_connect(w, c);
    *resumed = SSL_session_reused(client_ssl(c));
    got = SSL_get1_session(client_ssl(c));
    client_shutdown(c);
    world_pump(w);
    world_drop_client(w, c);
    return got;
}

START_TEST(a_ticket_resumes_and_keeps_its_key)
{
    world *w = world_new(NULL);
    uint8_t one[16], two[16];
    int resumed;
    SSL_SESSION *first = visit(w, NULL, &resumed), *second;

    ck_assert_int_eq(resumed, 0);
    step(w, LIFE - 1);
    second = visit(w, first, &resumed);
    ck_assert_int_eq(resumed, 1);
    ticket_name(first, one);
    ticket_name(second, two);
    ck_assert_mem_eq(one, two, 16);
    SSL_SESSION_free(first);
    SSL_SESSION_free(second);
    world_free(w);
}
END_TEST

START_TEST(keys_rotate_and_the_one_before_is_accepted)
{
    world *w = world_new(NULL);
    uint8_t old[16], new[16], renewed[16];
    int resumed;
    SSL_SESSION *first = visit(w, NULL, &resumed), *late, *other, *again;

    step(w, LIFE - 100);
    late = visit(w, NULL, &resumed); /* the first key's last hour */
    step(w, 200);
    other = visit(w, NULL, &resumed);
    ck_assert_int_eq(resumed, 0);
    again = visit(w, late, &resumed);
    ck_assert_int_eq(resumed, 1);
    ticket_name(late, old);
    ticket_name(other, new);
    ticket_name(again, renewed);
    ck_assert_mem_ne(old, new, 16);
    ck_assert_mem_eq(renewed, new, 16);
    SSL_SESSION_free(first);
    SSL_SESSION_free(late);
    SSL_SESSION_free(other);
    SSL_SESSION_free(again);
    world_free(w);
}
END_TEST

/* OpenSSL would take the ticket by its age: the key is what is gone. */
START_TEST(a_key_is_forgotten_after_two_lives)
{
    world *w = world_new(NULL);
    int resumed;
    SSL_SESSION *first = visit(w, NULL, &resumed);

    for (int i = 1; i <= 2; i++) {
        step(w, LIFE);
        SSL_SESSION_free(visit(w, NULL, &resumed));
    }
    step(w, 10 - 2 * LIFE);
    SSL_SESSION_free(visit(w, first, &resumed));
    ck_assert_int_eq(resumed, 0);
    SSL_SESSION_free(first);
    world_free(w);
}
END_TEST

/* An hour is less than a key's life. */
START_TEST(a_clock_set_by_an_hour_loses_no_key)
{
    static const int64_t steps[] = {3600, -3600};
    world *w = world_new(NULL);
    uint8_t one[16], two[16];
    int resumed;
    SSL_SESSION *first = visit(w, NULL, &resumed), *second;

    for (int i = 0; i < 20; i++) {
        step(w, steps[(_i + i) % 2]);
        second = visit(w, i % 4 < 2 ? first : NULL, &resumed);
        ck_assert_int_eq(resumed, i % 4 < 2);
        ticket_name(first, one);
        ticket_name(second, two);
        ck_assert_mem_eq(one, two, 16);
        SSL_SESSION_free(second);
    }
    SSL_SESSION_free(first);
    world_free(w);
}
END_TEST

/* Else a key made while the clock was wrong would live until it is right. */
START_TEST(a_key_from_the_far_future_is_replaced)
{
    world *w = world_new(NULL);
    uint8_t old[16], new[16], renewed[16];
    int resumed;
    SSL_SESSION *first = visit(w, NULL, &resumed), *second, *third;

    step(w, -10 * 365 * 86400);
    second = visit(w, NULL, &resumed);
    ticket_name(first, old);
    ticket_name(second, new);
    ck_assert_mem_ne(old, new, 16);
    /* Its tickets are good for as long as any other key's. */
    third = visit(w, first, &resumed);
    ck_assert_int_eq(resumed, 1);
    ticket_name(third, renewed);
    ck_assert_mem_eq(new, renewed, 16);
    step(w, LIFE);
    SSL_SESSION_free(visit(w, NULL, &resumed));
    SSL_SESSION_free(visit(w, first, &resumed));
    ck_assert_int_eq(resumed, 0);
    SSL_SESSION_free(first);
    SSL_SESSION_free(second);
    SSL_SESSION_free(third);
    world_free(w);
}
END_TEST

/* Else whoever has one could throw the keys of all others away. */
START_TEST(a_ticket_from_the_far_future_rotates_nothing)
{
    world *w = world_new(NULL);
    uint8_t one[16], two[16];
    int resumed;
    SSL_SESSION *future = visit(w, NULL, &resumed), *present, *again;

    step(w, -10 * 365 * 86400);
    present = visit(w, NULL, &resumed);
    for (int i = 0; i < 3; i++) {
        again = visit(w, future, &resumed);
        ck_assert_int_eq(resumed, 1);
        SSL_SESSION_free(again);
    }
    again = visit(w, present, &resumed);
    ck_assert_int_eq(resumed, 1);
    ticket_name(present, one);
    ticket_name(again, two);
    ck_assert_mem_eq(one, two, 16);
    SSL_SESSION_free(future);
    SSL_SESSION_free(present);
    SSL_SESSION_free(again);
    world_free(w);
}
END_TEST

START_TEST(two_configs_have_keys_of_their_own)
{
    world *w = world_new(NULL), *other = world_new(NULL);
    int resumed;
    SSL_SESSION *first = visit(w, NULL, &resumed);

    SSL_SESSION_free(visit(other, first, &resumed));
    ck_assert_int_eq(resumed, 0);
    SSL_SESSION_free(first);
    world_free(w);
    world_free(other);
}
END_TEST

static void
write_keys(const char *file, size_t len)
{
    uint8_t keys[80];
    FILE *f = fopen(file, "wb");

    memset(keys, 42, sizeof(keys));
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(keys, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

/* Read while somebody writes it: a reload keeps what it had, whole. */
START_TEST(a_torn_key_file_changes_nothing)
{
    char file[] = "/tmp/tickets_test.XXXXXX", option[64];
    int resumed, fd = mkstemp(file);
    SSL_SESSION *first;
    world *w;

    ck_assert_int_ge(fd, 0);
    close(fd);
    write_keys(file, 80);
    snprintf(option, sizeof(option), "ticket-key-file=%s", file);
    w = world_new(option);
    first = visit(w, NULL, &resumed);
    for (size_t len = 0; len < 80; len += 13) {
        write_keys(file, len);
        ck_assert_int_eq(dtlsl__config_reload(w->config),
                         DTLSL_ERR_CREDENTIALS);
        ck_assert_ptr_nonnull(
            strstr(dtlsl_config_error(w->config), "ticket-key-file"));
        dtlsl__engine_reload(w->engine);
    }
    SSL_SESSION_free(visit(w, first, &resumed));
    ck_assert_int_eq(resumed, 1);
    write_keys(file, 80);
    ck_assert_int_eq(dtlsl__config_reload(w->config), DTLSL_OK);
    SSL_SESSION_free(first);
    world_free(w);
    unlink(file);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_ticket_resumes_and_keeps_its_key,
        keys_rotate_and_the_one_before_is_accepted,
        a_key_is_forgotten_after_two_lives,
        a_key_from_the_far_future_is_replaced,
        a_ticket_from_the_far_future_rotates_nothing,
        two_configs_have_keys_of_their_own,
        a_torn_key_file_changes_nothing,
    };
    Suite *suite =
        test_suite("tickets", tests, sizeof(tests) / sizeof(tests[0]));
    TCase *ways = tcase_create("both ways");

    tcase_add_loop_test(ways, a_clock_set_by_an_hour_loses_no_key, 0, 2);
    suite_add_tcase(suite, ways);
    return test_main(suite);
}
