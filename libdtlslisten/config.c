/* SPDX-License-Identifier: MIT
 * The one table of options, and what the listeners of a config share. */
#include "config.h"
#include "plugin.h"
#include "tls.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef DTLSL_PLUGINDIR
#define DTLSL_PLUGINDIR "/usr/local/lib/dtlslisten"
#endif

#define COOKIE_PREFIX "cookie."

enum {
    TEXT_MAX = 4096,
    NAME_MAX_LEN = 64,
    ERROR_LEN = 512
};

struct dtlsl_config {
    uint32_t refs;   /* atomic */
    uint32_t frozen; /* atomic */

    dtlsl__settings settings;
    uint32_t self_signed;
    char *cert_file;
    char *key_file;
    char *ca_file;
    char *psk_file;
    char *alpn;
    char *ciphers;
    char *ticket_key_file;
    uint32_t session_cache;
    char *cookie;
    char *plugin_dir;

    dtlsl_cookie_option *cookie_options; /* their strings are owned */
    size_t n_cookie_options;
    dtlsl__strategy *strategies;
    size_t n_strategies;
    uint8_t secret[DTLSL_COOKIE_SECRET_LEN];

    void *group;
    void (*release_group)(void *group);

    pthread_mutex_t lock; /* of what follows */
    struct ssl_ctx_st *user_ctx;
    struct ssl_ctx_st *ctx;
    char error[ERROR_LEN];
};

/* ---- the table ---- */

enum {
    TYPE_TEXT,
    TYPE_NUMBER
};

typedef struct definition {
    const char *name;
    const char *default_value;
    const char *text;
    size_t offset; /* in dtlsl_config */
    int type;
    uint32_t min; /* of a text: its shortest length */
    uint32_t max;
} definition;

#define TEXT(field, min) \
    offsetof(dtlsl_config, field), TYPE_TEXT, min, TEXT_MAX
#define NUMBER(field, min, max) \
    offsetof(dtlsl_config, field), TYPE_NUMBER, min, max

static const definition options[] = {
    {"cert-file", "", "PEM file with the server's certificate and its chain",
     TEXT(cert_file, 0)},
    {"key-file", "", "PEM file with its private key, if not in cert-file",
     TEXT(key_file, 0)},
    {"ca-file", "",
     "PEM file with the CAs of client certificates, which are then required",
     TEXT(ca_file, 0)},
    {"psk-file", "", "pre-shared keys, lines \"identity:hexkey\"",
     TEXT(psk_file, 0)},
    {"self-signed", "0",
     "1: make a certificate for localhost in memory, for a first try",
     NUMBER(self_signed, 0, 1)},
    {"alpn", "", "application protocols, preferred first: \"coap,http/1.1\"",
     TEXT(alpn, 0)},
    {"ciphers", "",
     "cipher list in OpenSSL's form; empty: ECDHE and PSK with AEAD",
     TEXT(ciphers, 0)},
    {"ticket-key-file", "",
     "80 random bytes, the session ticket keys of a fleet",
     TEXT(ticket_key_file, 0)},
    {"session-cache", "20480",
     "most sessions that are kept for clients without tickets, 0: none",
     NUMBER(session_cache, 0, 10000000)},
    {"cookie", "hmac",
     "cookie strategy: name, absolute path, or comma-separated chain",
     TEXT(cookie, 1)},
    {"plugin-dir", DTLSL_PLUGINDIR,
     "directory in which cookie strategies are looked up by name",
     TEXT(plugin_dir, 1)},
    {"handshake-timeout-ms", "15000",
     "time a handshake may take, 100 to 600000",
     NUMBER(settings.handshake_timeout_ms, 100, 600000)},
    {"idle-timeout-ms", "300000",
     "time without data after which a connection ends, 0: never",
     NUMBER(settings.idle_timeout_ms, 0, 604800000)},
    {"max-conns", "100000", "most connections, 1 to 10000000",
     NUMBER(settings.max_conns, 1, 10000000)},
    {"max-handshakes", "1024", "most handshakes at a time, 1 to 1000000",
     NUMBER(settings.max_handshakes, 1, 1000000)},
    {"max-conns-per-prefix", "1024",
     "most connections of an address prefix, 0: no limit",
     NUMBER(settings.max_conns_per_prefix, 0, 10000000)},
    {"mtu", "1232", "largest UDP payload in bytes, 256 to 65507",
     NUMBER(settings.mtu, 256, 65507)},
    {"encrypt-then-mac", "0", "1: allow it to cipher suites with CBC",
     NUMBER(settings.encrypt_then_mac, 0, 1)},
    {"workers", "1", "listeners that share one address, 1 to 64",
     NUMBER(settings.workers, 1, 64)},
    {"reuse-port", "0", "1: share the port with other processes",
     NUMBER(settings.reuse_port, 0, 1)},
    {"isolate", "1",
     "1: strangers have sockets of their own, where the system can sort",
     NUMBER(settings.isolate, 0, 1)},
    {"recv-buffer", "2097152",
     "socket receive buffer in bytes, 0: the system's default",
     NUMBER(settings.recv_buffer, 0, 1073741824)},
    {"send-buffer", "2097152",
     "socket send buffer in bytes, 0: the system's default",
     NUMBER(settings.send_buffer, 0, 1073741824)},
    {"events-hello", "0", "1: an event for each verified ClientHello",
     NUMBER(settings.events_hello, 0, 1)},
    {"events-notice", "0", "1: events with texts for an operator",
     NUMBER(settings.events_notice, 0, 1)},
};

enum {
    N_OPTIONS = sizeof(options) / sizeof(options[0])
};

int32_t
dtlsl_config_option(size_t index, const char **name,
                    const char **default_value, const char **text)
{
    if (index >= N_OPTIONS)
        return DTLSL_ERR_OPTION;
    if (name != NULL)
        *name = options[index].name;
    if (default_value != NULL)
        *default_value = options[index].default_value;
    if (text != NULL)
        *text = options[index].text;
    return DTLSL_OK;
}

static const definition *
find_option(const char *name)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

/* ---- life ---- */

int32_t
dtlsl__config_fail(dtlsl_config *config, int32_t code, const char *format, ...)
{
    char text[ERROR_LEN];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&config->lock);
    memcpy(config->error, text, sizeof(text));
    pthread_mutex_unlock(&config->lock);
    return code;
}

const char *
dtlsl_config_error(const dtlsl_config *config)
{
    return config == NULL ? "" : config->error;
}

static void
destroy(dtlsl_config *config)
{
    if (config->group != NULL && config->release_group != NULL)
        config->release_group(config->group);
    dtlsl__tls_ctx_free(config->ctx);
    dtlsl__tls_ctx_free(config->user_ctx);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].type == TYPE_TEXT)
            free(*(char **)((char *)config + options[i].offset));
    for (size_t i = 0; i < config->n_cookie_options; i++) {
        free((char *)config->cookie_options[i].key);
        free((char *)config->cookie_options[i].value);
    }
    free(config->cookie_options);
    free(config->strategies);
    pthread_mutex_destroy(&config->lock);
    OPENSSL_cleanse(config, sizeof(*config));
    free(config);
}

void
dtlsl__config_ref(dtlsl_config *config)
{
    __atomic_store_n(&config->frozen, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&config->refs, 1, __ATOMIC_RELAXED);
}

void
dtlsl__config_unref(dtlsl_config *config)
{
    if (config != NULL &&
        __atomic_sub_fetch(&config->refs, 1, __ATOMIC_ACQ_REL) == 0)
        destroy(config);
}

void
dtlsl_config_free(dtlsl_config *config)
{
    dtlsl__config_unref(config);
}

static int32_t set_option(dtlsl_config *config, const definition *option,
                          const char *value);

static int32_t
set_defaults(dtlsl_config *config)
{
    dtlsl__tls_errors saved;
    int32_t err = DTLSL_OK;

    for (size_t i = 0; i < N_OPTIONS && err == DTLSL_OK; i++)
        err = set_option(config, &options[i], options[i].default_value);
    dtlsl__tls_enter(&saved);
    if (err == DTLSL_OK &&
        RAND_priv_bytes(config->secret, sizeof(config->secret)) != 1)
        err = DTLSL_ERR_RANDOM;
    dtlsl__tls_leave(&saved);
    return err;
}

int32_t
dtlsl_config_new(dtlsl_config **out)
{
    dtlsl_config *config;
    int32_t err;

    if (out == NULL)
        return DTLSL_ERR_ARGUMENT;
    *out = NULL;
    config = calloc(1, sizeof(*config));
    if (config == NULL)
        return DTLSL_ERR_NOMEM;
    if (pthread_mutex_init(&config->lock, NULL) != 0) {
        free(config);
        return DTLSL_ERR_NOMEM;
    }
    config->refs = 1;
    err = set_defaults(config);
    if (err < 0) {
        destroy(config);
        return err;
    }
    *out = config;
    return DTLSL_OK;
}

/* ---- setting ---- */

static int32_t
set_text(dtlsl_config *config, const definition *option, const char *value)
{
    char **slot = (char **)((char *)config + option->offset);
    size_t len = strlen(value);
    char *copy = NULL;

    if (len < option->min || len > option->max)
        return dtlsl__config_fail(
            config, DTLSL_ERR_ARGUMENT,
            "%s: a text of %zu bytes; give %u to %u bytes", option->name, len,
            option->min, option->max);
    if (len > 0 && (copy = strdup(value)) == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_NOMEM, "%s: out of memory",
                                  option->name);
    free(*slot);
    *slot = copy;
    return DTLSL_OK;
}

/* Digits and nothing else; ten of them fit in any case. */
static int
read_number(const char *value, uint64_t *out)
{
    size_t len = strlen(value);

    if (len == 0 || len > 10 || strspn(value, "0123456789") != len)
        return 0;
    *out = strtoull(value, NULL, 10);
    return 1;
}

static int32_t
set_number(dtlsl_config *config, const definition *option, const char *value)
{
    uint64_t number;

    if (!read_number(value, &number) || number < option->min ||
        number > option->max)
        return dtlsl__config_fail(
            config, DTLSL_ERR_ARGUMENT,
            "%s=%.32s: not in range; give a whole number from %u to %u",
            option->name, value, option->min, option->max);
    *(uint32_t *)((char *)config + option->offset) = (uint32_t)number;
    return DTLSL_OK;
}

static void
drop_ctx(dtlsl_config *config)
{
    pthread_mutex_lock(&config->lock);
    dtlsl__tls_ctx_free(config->ctx);
    config->ctx = NULL;
    pthread_mutex_unlock(&config->lock);
}

static int32_t
set_option(dtlsl_config *config, const definition *option, const char *value)
{
    int32_t err = option->type == TYPE_TEXT
                      ? set_text(config, option, value)
                      : set_number(config, option, value);

    /* A listener that failed may have made one of the old options. */
    if (err == DTLSL_OK)
        drop_ctx(config);
    return err;
}

/* Edits from a to b, at most NAME_MAX_LEN bytes of each (Levenshtein). */
static size_t
distance(const char *a, const char *b)
{
    size_t a_len = strnlen(a, NAME_MAX_LEN), b_len = strnlen(b, NAME_MAX_LEN);
    size_t row[NAME_MAX_LEN + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

static int32_t
refuse_unknown(dtlsl_config *config, const char *name)
{
    const char *nearest = options[0].name;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < N_OPTIONS; i++) {
        size_t d = distance(name, options[i].name);

        if (d < least) {
            least = d;
            nearest = options[i].name;
        }
    }
    return dtlsl__config_fail(config, DTLSL_ERR_OPTION,
                              "unknown option \"%.64s\"; the nearest is "
                              "\"%s\", dtlslisten-config(5) lists all",
                              name, nearest);
}

/* "cookie.<name>" and "cookie.<strategy>.<name>", of lower-case letters. */
static int
is_cookie_option(const char *name)
{
    const char *key = name + strlen(COOKIE_PREFIX);
    const char *dot;
    size_t len;

    if (strncmp(name, COOKIE_PREFIX, strlen(COOKIE_PREFIX)) != 0)
        return 0;
    len = strlen(key);
    dot = strchr(key, '.');
    return len > 0 && len <= NAME_MAX_LEN && key[len - 1] != '.' &&
           dot != key && (dot == NULL || strchr(dot + 1, '.') == NULL) &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

static dtlsl_cookie_option *
cookie_slot(dtlsl_config *config, const char *key)
{
    dtlsl_cookie_option *grown;
    size_t n = config->n_cookie_options;

    for (size_t i = 0; i < n; i++)
        if (strcmp(config->cookie_options[i].key, key) == 0)
            return &config->cookie_options[i];
    grown = realloc(config->cookie_options, (n + 1) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    config->cookie_options = grown;
    grown[n].key = strdup(key);
    grown[n].value = NULL;
    if (grown[n].key == NULL)
        return NULL;
    config->n_cookie_options = n + 1;
    return &grown[n];
}

static int32_t
set_cookie_option(dtlsl_config *config, const char *name, const char *value)
{
    dtlsl_cookie_option *slot;
    char *copy;

    if (strlen(value) > TEXT_MAX)
        return dtlsl__config_fail(
            config, DTLSL_ERR_ARGUMENT,
            "%s: longer than %d bytes; shorten the value", name, TEXT_MAX);
    copy = strdup(value);
    slot = copy == NULL ? NULL
                        : cookie_slot(config, name + strlen(COOKIE_PREFIX));
    if (slot == NULL) {
        free(copy);
        return dtlsl__config_fail(config, DTLSL_ERR_NOMEM, "%s: out of memory",
                                  name);
    }
    free((char *)slot->value);
    slot->value = copy;
    return DTLSL_OK;
}

static int32_t
check_unfrozen(dtlsl_config *config, const char *what)
{
    if (__atomic_load_n(&config->frozen, __ATOMIC_ACQUIRE) == 0)
        return DTLSL_OK;
    return dtlsl__config_fail(config, DTLSL_ERR_STATE,
                              "%.64s: a listener or gate uses this config "
                              "already; set it before, or make a new config",
                              what);
}

int32_t
dtlsl_config_set(dtlsl_config *config, const char *name, const char *value)
{
    const definition *option;
    int32_t err;

    if (config == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (name == NULL || value == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_ARGUMENT,
                                  "dtlsl_config_set: name or value is NULL; "
                                  "give two strings");
    err = check_unfrozen(config, name);
    if (err < 0)
        return err;
    option = find_option(name);
    if (option != NULL)
        return set_option(config, option, value);
    if (is_cookie_option(name))
        return set_cookie_option(config, name, value);
    return refuse_unknown(config, name);
}

int32_t
dtlsl_config_set_ssl_ctx(dtlsl_config *config, struct ssl_ctx_st *ssl_ctx)
{
    char text[ERROR_LEN / 2];
    int32_t err;

    if (config == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (ssl_ctx == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_ARGUMENT,
                                  "dtlsl_config_set_ssl_ctx: the SSL_CTX is "
                                  "NULL; see why SSL_CTX_new failed");
    err = check_unfrozen(config, "dtlsl_config_set_ssl_ctx");
    if (err < 0)
        return err;
    err = dtlsl__tls_ctx_check(ssl_ctx, text, sizeof(text));
    if (err < 0)
        return dtlsl__config_fail(config, err, "%s", text);
    dtlsl__tls_ctx_ref(ssl_ctx);
    drop_ctx(config);
    dtlsl__tls_ctx_free(config->user_ctx);
    config->user_ctx = ssl_ctx;
    return DTLSL_OK;
}

static int
is_taken(const dtlsl_config *config, const char *name)
{
    if (dtlsl__cookie_builtin(name) != NULL)
        return 1;
    for (size_t i = 0; i < config->n_strategies; i++)
        if (strcmp(config->strategies[i].plugin->name, name) == 0)
            return 1;
    return 0;
}

int32_t
dtlsl_config_add_cookie(dtlsl_config *config,
                        const dtlsl_cookie_plugin *plugin, void *user)
{
    char text[ERROR_LEN / 2];
    dtlsl__strategy *grown;
    size_t n;
    int32_t err;

    if (config == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (plugin == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_ARGUMENT,
                                  "dtlsl_config_add_cookie: the table is "
                                  "NULL; give that of a strategy");
    err = check_unfrozen(config, "dtlsl_config_add_cookie");
    if (err < 0)
        return err;
    err = dtlsl__plugin_vet(plugin, "dtlsl_config_add_cookie", text,
                            sizeof(text));
    if (err < 0)
        return dtlsl__config_fail(config, err, "%s", text);
    if (is_taken(config, plugin->name))
        return dtlsl__config_fail(config, DTLSL_ERR_ARGUMENT,
                                  "dtlsl_config_add_cookie: there is a "
                                  "strategy \"%s\" already; choose another "
                                  "name",
                                  plugin->name);
    n = config->n_strategies;
    grown = realloc(config->strategies, (n + 1) * sizeof(*grown));
    if (grown == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_NOMEM,
                                  "dtlsl_config_add_cookie: out of memory");
    grown[n] = (dtlsl__strategy){plugin, user};
    config->strategies = grown;
    config->n_strategies = n + 1;
    return DTLSL_OK;
}

/* ---- what listeners and gates ask for ---- */

const dtlsl__settings *
dtlsl__config_settings(const dtlsl_config *config)
{
    return &config->settings;
}

/* The greatest number among the strategies' options of that name. */
static uint64_t
greatest_cookie_option(const dtlsl_config *config, const char *name,
                       uint64_t otherwise)
{
    uint64_t greatest = otherwise;

    for (size_t i = 0; i < config->n_cookie_options; i++) {
        const char *key = config->cookie_options[i].key;
        const char *dot = strchr(key, '.');
        uint64_t value = strtoull(config->cookie_options[i].value, NULL, 10);
        if (strcmp(dot == NULL ? key : dot + 1, name) == 0 && value > greatest)
            greatest = value;
    }
    return greatest;
}

uint64_t
dtlsl__config_cookie_life_ms(const dtlsl_config *config)
{
    return greatest_cookie_option(config, "lifetime-ms", 120000) +
           2 * greatest_cookie_option(config, "skew-ms", 60000);
}

static const char *
first_tls_option(const dtlsl_config *config)
{
    const struct {
        const char *value, *name;
    } given[] = {{config->cert_file, "cert-file"},
                 {config->key_file, "key-file"},
                 {config->ca_file, "ca-file"},
                 {config->psk_file, "psk-file"},
                 {config->alpn, "alpn"},
                 {config->ciphers, "ciphers"},
                 {config->ticket_key_file, "ticket-key-file"}};

    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        if (given[i].value != NULL)
            return given[i].name;
    return config->self_signed ? "self-signed" : NULL;
}

/* What contradicts itself, as a text; NULL if nothing does. */
static const char *
find_conflict(const dtlsl_config *config)
{
    if (config->self_signed && config->cert_file != NULL)
        return "self-signed=1 and cert-file are both set; leave one out";
    if (config->key_file != NULL && config->cert_file == NULL)
        return "key-file is set without cert-file; set cert-file, too";
    if (config->cert_file == NULL && config->psk_file == NULL &&
        !config->self_signed)
        return "no credentials; set cert-file and key-file, or psk-file, or "
               "self-signed=1 for a first try, or call "
               "dtlsl_config_set_ssl_ctx";
    if (config->ca_file != NULL && config->cert_file == NULL &&
        !config->self_signed)
        return "ca-file asks for client certificates, which needs one of the "
               "server; set cert-file and key-file, or leave ca-file out";
    return NULL;
}

static dtlsl__tls_options
tls_options(const dtlsl_config *config)
{
    return (dtlsl__tls_options){.cert_file = config->cert_file,
                                .key_file = config->key_file,
                                .ca_file = config->ca_file,
                                .psk_file = config->psk_file,
                                .alpn = config->alpn,
                                .ciphers = config->ciphers,
                                .self_signed = (int32_t)config->self_signed,
                                .ticket_key_file = config->ticket_key_file,
                                .session_cache = config->session_cache};
}

/* The caller holds the lock. 'old' is the one before, or NULL. */
static int32_t
make_own_ctx(const dtlsl_config *config, struct ssl_ctx_st *old,
             struct ssl_ctx_st **out, char *text, size_t text_len)
{
    const dtlsl__tls_options tls = tls_options(config);
    const char *conflict = find_conflict(config);
    struct ssl_ctx_st *fresh = NULL;
    int32_t err;

    if (conflict != NULL) {
        snprintf(text, text_len, "%s", conflict);
        return DTLSL_ERR_CREDENTIALS;
    }
    err = dtlsl__tls_ctx_new(&fresh, &tls, text, text_len);
    if (err == DTLSL_OK && old != NULL)
        err = dtlsl__tls_ctx_keep(fresh, old, &tls, text, text_len);
    if (err < 0) {
        dtlsl__tls_ctx_free(fresh);
        return err;
    }
    *out = fresh;
    return DTLSL_OK;
}

/* As make_own_ctx, or the application's. */
static int32_t
make_ctx(const dtlsl_config *config, struct ssl_ctx_st *old,
         struct ssl_ctx_st **out, char *text, size_t text_len)
{
    const char *option = first_tls_option(config);

    if (config->user_ctx == NULL)
        return make_own_ctx(config, old, out, text, text_len);
    if (option != NULL) {
        snprintf(text, text_len,
                 "%s and an SSL_CTX of your own are both set; leave the "
                 "option out, or do not call dtlsl_config_set_ssl_ctx",
                 option);
        return DTLSL_ERR_CREDENTIALS;
    }
    dtlsl__tls_ctx_ref(config->user_ctx);
    *out = config->user_ctx;
    return DTLSL_OK;
}

int32_t
dtlsl__config_ssl_ctx(dtlsl_config *config, struct ssl_ctx_st **out)
{
    char text[ERROR_LEN];
    int32_t err = DTLSL_OK;

    if (config->settings.workers > 1 && config->settings.reuse_port)
        return dtlsl__config_fail(
            config, DTLSL_ERR_ARGUMENT,
            "workers=%u and reuse-port=1 are both set; workers share their "
            "port among themselves, leave one out",
            config->settings.workers);
    pthread_mutex_lock(&config->lock);
    if (config->ctx == NULL)
        err = make_ctx(config, NULL, &config->ctx, text, sizeof(text));
    if (err == DTLSL_OK) {
        dtlsl__tls_ctx_ref(config->ctx);
        *out = config->ctx;
    }
    pthread_mutex_unlock(&config->lock);
    return err < 0 ? dtlsl__config_fail(config, err, "%s", text) : DTLSL_OK;
}

int32_t
dtlsl__config_reload(dtlsl_config *config)
{
    char text[ERROR_LEN];
    struct ssl_ctx_st *fresh = NULL;
    int32_t err;

    pthread_mutex_lock(&config->lock);
    err = make_ctx(config, config->ctx, &fresh, text, sizeof(text));
    if (err == DTLSL_OK) {
        dtlsl__tls_ctx_free(config->ctx);
        config->ctx = fresh;
    }
    pthread_mutex_unlock(&config->lock);
    return err < 0 ? dtlsl__config_fail(config, err, "%s", text) : DTLSL_OK;
}

int32_t
dtlsl__config_chain(dtlsl_config *config, const dtlsl_now *now,
                    dtlsl__chain **out)
{
    const dtlsl__chain_options chain = {.spec = config->cookie,
                                        .options = config->cookie_options,
                                        .n_options = config->n_cookie_options,
                                        .strategies = config->strategies,
                                        .n_strategies = config->n_strategies,
                                        .plugin_dir = config->plugin_dir,
                                        .default_secret = config->secret};
    char text[ERROR_LEN] = "";
    int32_t err = dtlsl__chain_new(out, &chain, now, text, sizeof(text));

    return err < 0 ? dtlsl__config_fail(config, err, "%s", text) : DTLSL_OK;
}

void **
dtlsl__config_group(dtlsl_config *config, void (*release)(void *group))
{
    config->release_group = release;
    return &config->group;
}
