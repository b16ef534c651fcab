/* SPDX-License-Identifier: MIT
 * Credentials that are read anew while a listener serves. */
#include "scene.h"
#include "test.h"
#include <stdio.h>
#include <unistd.h>

static char dir[64];
static char path[96];
static identity old_id, new_id;

static void
set_up(scene *s, const client_options *options)
{
    dtlsl_config *config;

    strcpy(dir, "/tmp/dtlsl_reload_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/server.pem", dir);
    identity_make(&old_id, "old");
    identity_make(&new_id, "new");
    identity_save(&old_id, path);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    scene_set(config, "cert-file", path);
    scene_open_with(s, config, 0, 0, options);
    scene_both_open(s);
}

static void
tear_down(scene *s)
{
    scene_close(s);
    identity_free(&old_id);
    identity_free(&new_id);
    unlink(path);
    rmdir(dir);
}

static int
served(const scene *s, const identity *id)
{
    X509 *cert = SSL_get1_peer_certificate(client_ssl(s->peer.c));
    int same = cert != NULL && X509_cmp(cert, id->cert) == 0;

    X509_free(cert);
    return same;
}

static void
next_client(scene *s, const client_options *options)
{
    peer_close(&s->peer);
    s->log[0] = '\0';
    peer_open(&s->peer, s->port, options);
    scene_both_open(s);
}

START_TEST(a_new_certificate_is_served_to_later_clients)
{
    scene s;

    set_up(&s, NULL);
    ck_assert_int_eq(served(&s, &old_id), 1);
    identity_save(&new_id, path);
    next_client(&s, NULL);
    ck_assert_int_eq(served(&s, &old_id), 1);
    ck_assert_int_eq(dtlsl_listener_reload(s.l), DTLSL_OK);
    scene_say(&s, "hello"); /* the open session goes on */
    scene_until(&s, 'D');
    next_client(&s, NULL);
    ck_assert_int_eq(served(&s, &new_id), 1);
    tear_down(&s);
}
END_TEST

START_TEST(a_reload_that_fails_says_why_and_changes_nothing)
{
    scene s;
    FILE *file;

    set_up(&s, NULL);
    file = fopen(path, "w");
    fputs("junk\n", file);
    fclose(file);
    ck_assert_int_eq(dtlsl_listener_reload(s.l), DTLSL_ERR_CREDENTIALS);
    ck_assert_ptr_nonnull(strstr(dtlsl_listener_error(s.l), path));
    ck_assert_ptr_nonnull(strstr(dtlsl_listener_error(s.l), "cert-file"));
    unlink(path);
    ck_assert_int_eq(dtlsl_listener_reload(s.l), DTLSL_ERR_FILE);
    ck_assert_ptr_nonnull(strstr(dtlsl_listener_error(s.l), "No such file"));
    next_client(&s, NULL);
    ck_assert_int_eq(served(&s, &old_id), 1);
    tear_down(&s);
}
END_TEST

START_TEST(a_session_is_resumed_across_reloads)
{
    scene s;
    client_options options = {0};

    set_up(&s, NULL);
    options.session = SSL_get1_session(client_ssl(s.peer.c));
    identity_save(&new_id, path);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dtlsl_listener_reload(s.l), DTLSL_OK);
    next_client(&s, &options);
    ck_assert_int_eq(SSL_session_reused(client_ssl(s.peer.c)), 1);
    SSL_SESSION_free(options.session);
    tear_down(&s);
}
END_TEST

/* What a client got from one worker is good at the other, whoever of them has
 * reloaded how often. */
START_TEST(a_session_is_resumed_by_another_worker)
{
    dtlsl_config *config = scene_config(), *copy = config;
    client_options options = {0};
    dtlsl_listener *other;
    scene s;
    uint16_t port;

    ck_assert_int_eq(dtlsl_listener_new(&other, config, NULL), DTLSL_OK);
    scene_open_with(&s, copy, 0, 0, NULL);
    scene_both_open(&s);
    options.session = SSL_get1_session(client_ssl(s.peer.c));
    ck_assert_int_eq(dtlsl_listener_reload(other), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_reload(s.l), DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_reload(other), DTLSL_OK);
    dtlsl_listener_free(s.l);
    s.l = other;
    ck_assert_int_eq(dtlsl_listener_on_event(other, scene_event, &s),
                     DTLSL_OK);
    ck_assert_int_eq(dtlsl_listener_start(other, "127.0.0.1", 0), DTLSL_OK);
    port = scene_port_of(other);
    s.port = port;
    next_client(&s, &options);
    ck_assert_int_eq(SSL_session_reused(client_ssl(s.peer.c)), 1);
    SSL_SESSION_free(options.session);
    scene_close(&s);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_new_certificate_is_served_to_later_clients,
        a_reload_that_fails_says_why_and_changes_nothing,
        a_session_is_resumed_across_reloads,
        a_session_is_resumed_by_another_worker,
    };

    return test_main(
        test_suite("reload", tests, sizeof(tests) / sizeof(tests[0])));
}
