/* SPDX-License-Identifier: MIT
 * The listener's life, without a peer. */
#include "test.h"
#include <dtlslisten/dtlslisten.h>
#include <uv.h>

static dtlsl_config *
config_new(void)
{
    dtlsl_config *config;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "self-signed", "1"), DTLSL_OK);
    return config;
}

static dtlsl_listener *
private_new(void)
{
    dtlsl_config *config = config_new();
    dtlsl_listener *l;

    ck_assert_int_eq(dtlsl_listener_new(&l, config, NULL), DTLSL_OK);
    dtlsl_config_free(config);
    return l;
}

static void
on_event(dtlsl_listener *l, const dtlsl_event *event, void *user)
{
    (void)l;
    if (event->type == DTLSL_EVENT_STOPPED)
        ++*(int *)user;
}

static void
on_event_free(dtlsl_listener *l, const dtlsl_event *event, void *user)
{
    on_event(l, event, user);
    dtlsl_listener_free(l);
}

START_TEST(a_config_without_credentials_is_refused_with_a_text)
{
    dtlsl_config *config;
    dtlsl_listener *l = NULL;

    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, NULL),
                     DTLSL_ERR_CREDENTIALS);
    ck_assert_ptr_nonnull(strstr(dtlsl_config_error(config), "self-signed"));
    dtlsl_config_free(config);
}
END_TEST

START_TEST(free_takes_null_and_any_state)
{
    dtlsl_listener *l;

    dtlsl_listener_free(NULL);
    dtlsl_listener_free(private_new());
    l = private_new();
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    dtlsl_listener_free(l);
}
END_TEST

START_TEST(wrong_states_have_their_code)
{
    dtlsl_listener *l = private_new();
    char text[DTLSL_ADDRESS_MAX];

    ck_assert_int_eq(dtlsl_listener_poll(l, 0), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_address(l, text, sizeof(text)),
                     DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_ERR_STATE);
    ck_assert_int_ne(dtlsl_listener_error(l)[0], '\0');
    ck_assert_int_eq(dtlsl_conn_send(l, 1, (const uint8_t *)"x", 1),
                     DTLSL_ERR_NOCONN);
    ck_assert_int_eq(dtlsl_conn_close(l, 1), DTLSL_ERR_NOCONN);
    dtlsl_listener_free(l);
}
END_TEST

START_TEST(a_port_in_use_is_eaddrinuse)
{
    dtlsl_listener *a = private_new(), *b = private_new();
    char text[DTLSL_ADDRESS_MAX];
    uint16_t port;

    ck_assert_int_eq(dtlsl_listener_start(a, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_gt(dtlsl_listener_address(a, text, sizeof(text)), 0);
    port = (uint16_t)atoi(strrchr(text, ':') + 1);
    ck_assert_int_eq(dtlsl_listener_start(b, "127.0.0.1", port),
                     UV_EADDRINUSE);
    dtlsl_listener_free(a);
    dtlsl_listener_free(b);
}
END_TEST

START_TEST(stop_gives_stopped_by_pulling)
{
    dtlsl_listener *l = private_new();
    const dtlsl_event *event;

    ck_assert_int_eq(dtlsl_listener_start(l, NULL, 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 0);
    ck_assert_ptr_null(dtlsl_listener_next(l));
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 0);
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 1);
    event = dtlsl_listener_next(l);
    ck_assert_ptr_nonnull(event);
    ck_assert_int_eq(event->type, DTLSL_EVENT_STOPPED);
    ck_assert_ptr_null(dtlsl_listener_next(l));
    ck_assert_int_eq(dtlsl_listener_poll(l, 0), 0);
    ck_assert_int_eq(dtlsl_listener_timeout(l), 60000);
    dtlsl_listener_free(l);
}
END_TEST

START_TEST(stop_gives_stopped_by_callback)
{
    dtlsl_config *config = config_new();
    dtlsl_listener *l;
    uv_loop_t loop;
    int stopped = 0;

    uv_loop_init(&loop);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, &loop), DTLSL_OK);
    dtlsl_config_free(config);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_ERR_STATE);
    ck_assert_int_eq(dtlsl_listener_on_event(l, on_event, &stopped), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    ck_assert_int_eq(stopped, 0); /* never inside another call */
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(stopped, 1);
    dtlsl_listener_free(l);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(free_is_allowed_in_the_last_event)
{
    dtlsl_config *config = config_new();
    dtlsl_listener *l;
    uv_loop_t loop;
    int stopped = 0;

    uv_loop_init(&loop);
    ck_assert_int_eq(dtlsl_listener_new(&l, config, &loop), DTLSL_OK);
    dtlsl_config_free(config);
    dtlsl_listener_on_event(l, on_event_free, &stopped);
    ck_assert_int_eq(dtlsl_listener_start(l, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_stop(l), DTLSL_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(stopped, 1);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(two_workers_share_a_port_and_stop)
{
    dtlsl_config *config = config_new();
    dtlsl_listener *a, *b, *c;
    char one[DTLSL_ADDRESS_MAX], two[DTLSL_ADDRESS_MAX];

    ck_assert_int_eq(dtlsl_config_set(config, "workers", "2"), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&a, config, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&b, config, NULL), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_new(&c, config, NULL), DTLSL_OK);
    dtlsl_config_free(config);
    ck_assert_int_eq(dtlsl_listener_start(a, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(b, "127.0.0.1", 0), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(c, "127.0.0.1", 0), DTLSL_ERR_LIMIT);
    dtlsl_listener_address(a, one, sizeof(one));
    dtlsl_listener_address(b, two, sizeof(two));
    ck_assert_str_eq(one, two);
    dtlsl_listener_free(a);
    dtlsl_listener_free(b);
    dtlsl_listener_free(c);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_config_without_credentials_is_refused_with_a_text,
        free_takes_null_and_any_state,
        wrong_states_have_their_code,
        a_port_in_use_is_eaddrinuse,
        stop_gives_stopped_by_pulling,
        stop_gives_stopped_by_callback,
        free_is_allowed_in_the_last_event,
        two_workers_share_a_port_and_stop,
    };

    return test_main(
        test_suite("listener", tests, sizeof(tests) / sizeof(tests[0])));
}
