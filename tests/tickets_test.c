/* SPDX-License-Identifier: MIT
 * Session ticket keys as clients see them, with OpenSSL's clock in the hands
 * of the test. */
#include "test.h"
#include "world.h"
#include <openssl/ssl.h>
#include <time.h>

enum {
    LIFE = 7200 /* of a ticket, seconds: OpenSSL's default */
};

static time_t clock_s = 1800000000;

/* libssl 3.0 calls it for the time of a session. */
time_t
time(time_t *out)
{
    if (out != NULL)
        *out = clock_s;
    return clock_s;
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
    clock_s += LIFE - 1;
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

    clock_s += LIFE - 100;
    late = visit(w, NULL, &resumed); /* the first key's last hour */
    clock_s += 200;
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
    time_t born = clock_s;

    for (int i = 1; i <= 2; i++) {
        clock_s = born + i * LIFE;
        SSL_SESSION_free(visit(w, NULL, &resumed));
    }
    clock_s = born + 10;
    SSL_SESSION_free(visit(w, first, &resumed));
    ck_assert_int_eq(resumed, 0);
    SSL_SESSION_free(first);
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

int
main(void)
{
    const TTest *const tests[] = {
        a_ticket_resumes_and_keeps_its_key,
        keys_rotate_and_the_one_before_is_accepted,
        a_key_is_forgotten_after_two_lives,
        two_configs_have_keys_of_their_own,
    };

    return test_main(
        test_suite("tickets", tests, sizeof(tests) / sizeof(tests[0])));
}
