/* SPDX-License-Identifier: MIT
 * dtlslisten-keys: one command to Redis, again and again. Each attempt has a
 * connection of its own, so none is left to guard between two. */
#include "keys.h"
#include <hiredis/hiredis.h>
#include <hiredis/async.h>
#include <hiredis/adapters/libuv.h>
#ifdef HAVE_HIREDIS_SSL
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum {
    ANSWER_MS = 5000,
    ANSWER_MAX = 2 * DTLSL__KEYFILE_MAX,
    BACKOFF_MAX_S = 60
};

typedef struct client {
    keys_job *job;
    uv_loop_t loop;
    uv_timer_t timer; /* the next attempt, or the limit of this one */
    uv_check_t watch;
    uv_signal_t on_term;
    uv_signal_t on_int;
    redisAsyncContext *redis; /* NULL: between attempts */
    int address;              /* that is tried */
    redisReplyObjectFunctions makers;
    uint64_t backoff_s;
    int status;      /* of the last attempt: the exit code */
    char first[200]; /* why the host's first address was no good */
    char told[200];  /* the complaint that stands */
#ifdef HAVE_HIREDIS_SSL
    SSL_CTX *tls;
    SSL *ssl;      /* of redis, which owns it */
    long verified; /* X509_V_OK, or why not, when there is no ssl */
#endif
} client;

/* ---- TLS ---- */

#ifdef HAVE_HIREDIS_SSL
/* Our own context: hiredis's does not look at the name in the certificate. */
static int
prepare_tls(client *c)
{
    const keys_options *o = c->job->o;

    if (!c->job->to->tls)
        return 1;
    c->tls = SSL_CTX_new(TLS_client_method());
    if (c->tls == NULL ||
        SSL_CTX_set_min_proto_version(c->tls, TLS1_2_VERSION) != 1) {
        keys_complain("no TLS: out of memory");
        return 0;
    }
    SSL_CTX_set_verify(c->tls, SSL_VERIFY_PEER, NULL);
    if (o->ca_file != NULL ? SSL_CTX_load_verify_file(c->tls, o->ca_file) != 1
                           : SSL_CTX_set_default_verify_paths(c->tls) != 1) {
        keys_complain("--ca-file: no certificates in %s; name a PEM file",
                      o->ca_file != NULL ? o->ca_file : "the system's place");
        return 0;
    }
    if (o->cert_file == NULL)
        return 1;
    if (SSL_CTX_use_certificate_chain_file(c->tls, o->cert_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(c->tls, o->key_file, SSL_FILETYPE_PEM) ==
            1)
        return 1;
    keys_complain("--cert %s --key %s: no certificate with its private key; "
                  "name PEM files that belong together",
                  o->cert_file, o->key_file);
    return 0;
}

static int
names_host(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return 1;
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int
secure(client *c, redisAsyncContext *redis)
{
    SSL *ssl;

    c->ssl = NULL;
    c->verified = X509_V_OK;
    if (!c->job->to->tls)
        return 1;
    ssl = SSL_new(c->tls);
    if (ssl != NULL && names_host(ssl, c->job->to->host) &&
        redisInitiateSSL(&redis->c, ssl) == REDIS_OK) {
        c->ssl = ssl;
        return 1;
    }
    if (ssl != NULL)
        c->verified = SSL_get_verify_result(ssl);
    SSL_free(ssl);
    return 0;
}

/* NULL if the certificate is not what is wrong. */
static const char *
explain_tls(const client *c)
{
    switch (c->ssl == NULL ? c->verified : SSL_get_verify_result(c->ssl)) {
    case X509_V_OK:
        return NULL;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "its certificate is for another name; use that in the URL";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "its certificate has expired; renew it";
    default:
        return "its certificate is of nobody whom --ca-file knows; mend that";
    }
}

static void
forget_tls(client *c)
{
    SSL_CTX_free(c->tls);
}
#else
static int
prepare_tls(client *c)
{
    if (!c->job->to->tls)
        return 1;
    keys_complain("this build has no TLS to Redis, which takes hiredis 1.0; "
                  "let stunnel listen on a loopback address and give that");
    return 0;
}

static int
secure(client *c, redisAsyncContext *redis)
{
    (void)c;
    (void)redis;
    return 1;
}

static const char *
explain_tls(const client *c)
{
    (void)c;
    return NULL;
}

static void
forget_tls(client *c)
{
    (void)c;
}
#endif

/* ---- the end of an attempt ---- */

static void attempt(uv_timer_t *timer);

static void
drop(client *c)
{
    redisAsyncContext *redis = c->redis;

    c->redis = NULL; /* its callbacks are not heard from here on */
    if (redis != NULL)
        redisAsyncFree(redis);
}

static void
finish(client *c)
{
    drop(c);
    uv_close((uv_handle_t *)&c->timer, NULL);
    uv_close((uv_handle_t *)&c->watch, NULL);
    uv_close((uv_handle_t *)&c->on_term, NULL);
    uv_close((uv_handle_t *)&c->on_int, NULL);
}

/* The next attempt comes in due time. */
static void
end_attempt(client *c, int status, uint64_t wait_s)
{
    drop(c);
    c->status = status;
    c->address = 0;
    if (c->job->once)
        finish(c);
    else
        uv_timer_start(&c->timer, attempt, 1000 * wait_s, 0);
}

static void
succeed(client *c, int status)
{
    if (c->told[0] != '\0')
        keys_complain("Redis at %s answers again", c->job->to->host);
    c->told[0] = '\0';
    c->backoff_s = 0;
    end_attempt(c, status, c->job->o->poll_s);
}

/* Said when something new is wrong, not at each attempt from then on. */
static void
fail(client *c, const char *why)
{
    const keys_target *to = c->job->to;
    char text[sizeof(c->told)];

    snprintf(text, sizeof(text), "%s", why);
    if (strcmp(text, c->told) != 0)
        keys_complain("Redis at %s port %d: %s; %s%s", to->host, to->port,
                      text, c->job->otherwise,
                      c->job->once ? "" : ", and I try again");
    memcpy(c->told, text, sizeof(text));
    c->backoff_s = c->backoff_s == 0 ? 1 : 2 * c->backoff_s;
    if (c->backoff_s > BACKOFF_MAX_S)
        c->backoff_s = BACKOFF_MAX_S;
    end_attempt(c, KEYS_OFFLINE, c->backoff_s);
}

/* The host's next address is tried before anything is said. */
static void
lose(client *c, const char *why)
{
    if (c->address == 0)
        snprintf(c->first, sizeof(c->first), "%s", why);
    if (c->address + 1 >= c->job->to->n_addresses) {
        fail(c, c->first);
        return;
    }
    drop(c);
    c->address++;
    uv_timer_start(&c->timer, attempt, 0, 0);
}

/* ---- an attempt ---- */

/* What a key is not. hiredis would make room for as many elements as a server
 * claims there are. */
#if HIREDIS_MAJOR < 1
static void *
refuse_array(const redisReadTask *task, int len)
#else
static void *
refuse_array(const redisReadTask *task, size_t len)
#endif
{
    (void)task;
    (void)len;
    return NULL;
}

static const char not_text[] = "its answer is no text; is it Redis?";

static void
limit_answers(client *c, redisReader *reader)
{
    c->makers = *reader->fn;
    c->makers.createArray = refuse_array;
    reader->fn = &c->makers;
}

static const char *
explain_loss(const client *c, const redisAsyncContext *redis)
{
    const char *text = explain_tls(c);

    if (text != NULL)
        return text;
    if (redis->err == REDIS_ERR_OOM)
        return not_text; /* refuse_array */
    return redis->errstr != NULL && redis->errstr[0] != '\0'
               ? redis->errstr
               : "it closed the connection";
}

/* Of an error of Redis only the first word is told, as the rest may repeat
 * arguments, which are secrets. */
static const char *
explain(const char *error)
{
    static const char *const rows[][2] = {
        {"NOAUTH", "it wants a password; give --password-file"},
        {"WRONGPASS", "it refuses user or password; mend --password-file"},
        {"NOPERM", "the user may not do that; mend its ACL"},
        {"WRONGTYPE", "the key is not a string; delete it and push a file"},
        {"LOADING", "it is loading its data"},
        {"READONLY", "it is a read-only replica; name the master"},
        {"MASTERDOWN", "it is a replica without its master"},
        {"OOM", "it is out of memory"},
    };
    size_t len = strcspn(error, " \r\n");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strlen(rows[i][0]) == len && strncmp(rows[i][0], error, len) == 0)
            return rows[i][1];
    return "it answers with an error; look at its log, and see whether user "
           "and password are right";
}

static void
take_answer(redisAsyncContext *redis, void *answer, void *data)
{
    const redisReply *reply = answer;
    client *c = redis->data;

    (void)data;
    if (c->redis != redis)
        return;
    if (reply == NULL)
        lose(c, explain_loss(c, redis));
    else if (reply->type == REDIS_REPLY_ERROR)
        fail(c, explain(reply->str));
    else if (reply->type == REDIS_REPLY_STRING ||
             reply->type == REDIS_REPLY_STATUS)
        succeed(c, c->job->take(c->job, (const uint8_t *)reply->str,
                                (size_t)reply->len));
    else
        fail(c, not_text);
}

/* AUTH: what comes next is heard by take_answer. */
static void
take_auth(redisAsyncContext *redis, void *answer, void *data)
{
    const redisReply *reply = answer;
    client *c = redis->data;

    (void)data;
    if (c->redis == redis && reply != NULL && reply->type == REDIS_REPLY_ERROR)
        fail(c, explain(reply->str));
}

static int
log_in(redisAsyncContext *redis, const keys_target *to)
{
    const char *words[3] = {"AUTH"};
    size_t lens[3] = {4};
    int n = 1;

    if (to->password_len == 0)
        return 1;
    if (to->user[0] != '\0') {
        words[n] = to->user;
        lens[n++] = strlen(to->user);
    }
    words[n] = (const char *)to->password;
    lens[n++] = to->password_len;
    return redisAsyncCommandArgv(redis, take_auth, NULL, n, words, lens) ==
           REDIS_OK;
}

static int
send_job(client *c)
{
    keys_job *job = c->job;

    return log_in(c->redis, job->to) &&
           redisAsyncCommandArgv(c->redis, take_answer, NULL, job->n_arguments,
                                 job->argument, job->argument_len) == REDIS_OK;
}

static void
open_redis(client *c)
{
    const keys_target *to = c->job->to;
    redisAsyncContext *redis =
        redisAsyncConnect(to->address[c->address], to->port);

    if (redis == NULL) {
        lose(c, "out of memory");
        return;
    }
    c->redis = redis;
    redis->data = c;
    limit_answers(c, redis->c.reader);
    if (redis->err != 0)
        lose(c, redis->errstr);
    else if (!secure(c, redis))
        lose(c, explain_loss(c, redis));
    else if (redisLibuvAttach(redis, &c->loop) != REDIS_OK || !send_job(c))
        lose(c, "out of memory");
    else
        uv_timer_start(&c->timer, attempt, ANSWER_MS, 0);
}

static void
attempt(uv_timer_t *timer)
{
    client *c = timer->data;
    int status;

    if (c->redis != NULL) {
        lose(c, "no answer");
        return;
    }
    if (c->address == 0) {
        status = keys_target_resolve(c->job->to);
        if (status != 0) {
            fail(c, status == KEYS_UNKNOWN_HOST
                        ? "the host's name has no address"
                        : "the host's name leads beyond loopback now");
            return;
        }
    }
    open_redis(c);
}

/* Behind each wait: hiredis sets no limit to an answer, and hears of a refused
 * connection from its libuv adapter from 1.0 on only. */
static void
look_after(uv_check_t *watch)
{
    client *c = watch->data;
    const redisLibuvEvents *events;
    socklen_t len = sizeof(int);
    int error = 0;

    if (c->redis == NULL)
        return;
    events = c->redis->ev.data;
    if (c->redis->c.reader->len > ANSWER_MAX) {
        fail(c, "its answer is too long for a key file");
    } else if (!uv_is_active((const uv_handle_t *)&events->handle)) {
        getsockopt(c->redis->c.fd, SOL_SOCKET, SO_ERROR, &error, &len);
        lose(c, error != 0 ? strerror(error) : "it closed the connection");
    }
}

static void
end_by_signal(uv_signal_t *signal, int number)
{
    (void)number;
    finish(signal->data);
}

static int
start(client *c)
{
    if (uv_loop_init(&c->loop) != 0)
        return 0;
    uv_timer_init(&c->loop, &c->timer);
    uv_check_init(&c->loop, &c->watch);
    uv_signal_init(&c->loop, &c->on_term);
    uv_signal_init(&c->loop, &c->on_int);
    c->timer.data = c->watch.data = c->on_term.data = c->on_int.data = c;
    signal(SIGPIPE, SIG_IGN);
    uv_signal_start(&c->on_term, end_by_signal, SIGTERM);
    uv_signal_start(&c->on_int, end_by_signal, SIGINT);
    uv_check_start(&c->watch, look_after);
    uv_timer_start(&c->timer, attempt, 0, 0);
    return 1;
}

int
keys_redis_run(keys_job *job)
{
    client c = {.job = job, .status = KEYS_OFFLINE};
    int status = KEYS_USAGE;

    if (prepare_tls(&c)) {
        status = KEYS_FAILED;
        if (start(&c)) {
            uv_run(&c.loop, UV_RUN_DEFAULT);
            uv_loop_close(&c.loop);
            status = c.status;
        } else {
            keys_complain("no event loop: out of memory or descriptors");
        }
    }
    forget_tls(&c);
    return status;
}
