/* SPDX-License-Identifier: MIT
 * The strategy "allow": a list of networks in front of "hmac".
 *
 *     -o cookie=allow -o cookie.allow=192.0.2.0/24,2001:db8::/32
 *
 * Who is not on the list gets no answer at all. The other options go to hmac.
 * Needs nothing but the installed header; C99 and C++20. */
#define _POSIX_C_SOURCE 200809L
#include <dtlslisten/cookie.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NETWORKS_MAX = 32
};

typedef struct network {
    uint8_t address[17]; /* IPv4 mapped; one more byte for /128 to look at */
    unsigned long bits;
} network;

typedef struct allow {
    const dtlsl_cookie_plugin *hmac;
    void *state; /* of hmac */
    size_t n_networks;
    network networks[NETWORKS_MAX];
} allow;

static int
contains(const network *net, const uint8_t *address)
{
    size_t whole = net->bits / 8;
    uint8_t rest = (uint8_t)(0xff00 >> net->bits % 8);

    return memcmp(net->address, address, whole) == 0 &&
           ((net->address[whole] ^ address[whole]) & rest) == 0;
}

static int
is_allowed(const allow *a, const dtlsl_cookie_input *in)
{
    for (size_t i = 0; i < a->n_networks; i++)
        if (contains(&a->networks[i], in->peer))
            return 1;
    return 0;
}

/* "192.0.2.0/24", "2001:db8::/32", or an address alone; 0 if it is not. */
static int
parse_network(network *net, char *text)
{
    int v4 = strchr(text, ':') == NULL;
    unsigned long width = v4 ? 32 : 128;
    char *slash = strchr(text, '/');
    char *end;

    net->bits = width;
    if (slash != NULL) {
        *slash++ = '\0';
        net->bits = strtoul(slash, &end, 10);
        if (*slash < '0' || *slash > '9' || *end != '\0' || net->bits > width)
            return 0;
    }
    net->bits += 128 - width;
    if (!v4)
        return inet_pton(AF_INET6, text, net->address) == 1;
    net->address[10] = net->address[11] = 0xff;
    return inet_pton(AF_INET, text, net->address + 12) == 1;
}

static int32_t
parse_list(allow *a, const char *list, char *err, size_t err_len)
{
    char *copy = strdup(list);
    char *rest = copy;
    char *text;
    int ok = copy != NULL;

    while (ok && (text = strtok_r(rest, ",", &rest)) != NULL)
        ok = a->n_networks < NETWORKS_MAX &&
             parse_network(&a->networks[a->n_networks++], text);
    free(copy);
    if (ok && a->n_networks > 0)
        return DTLSL_OK;
    snprintf(err, err_len,
             "option allow: '%s' is no list of 1 to %d networks; write it as "
             "in 192.0.2.0/24,2001:db8::/32",
             list, NETWORKS_MAX);
    return DTLSL_ERR_ARGUMENT;
}

/* Takes its own option; hmac gets the others, and refuses what it does not
 * know. */
static int32_t
open_hmac(allow *a, const dtlsl_cookie_host *host,
          const dtlsl_cookie_option *options, size_t n_options,
          dtlsl_cookie_option *others, char *err, size_t err_len)
{
    const char *list = "";
    size_t n = 0;
    int32_t status;

    for (size_t i = 0; i < n_options; i++)
        if (strcmp(options[i].key, "allow") == 0)
            list = options[i].value;
        else
            others[n++] = options[i];
    status = parse_list(a, list, err, err_len);
    if (status < 0)
        return status;
    return a->hmac->open(host, NULL, others, n, &a->state, err, err_len);
}

static int32_t
allow_open(const dtlsl_cookie_host *host, void *user,
           const dtlsl_cookie_option *options, size_t n_options, void **state,
           char *err, size_t err_len)
{
    allow *a = (allow *)calloc(1, sizeof(*a));
    dtlsl_cookie_option *others =
        (dtlsl_cookie_option *)calloc(n_options + 1, sizeof(*others));
    int32_t status = DTLSL_ERR_PLUGIN;

    (void)user;
    snprintf(err, err_len,
             "the library is too old for it, or out of memory; "
             "update libdtlslisten");
    if (a != NULL && others != NULL && host->size >= sizeof(*host))
        a->hmac = host->strategy(host->ctx, "hmac");
    if (a != NULL && a->hmac != NULL && a->hmac->size >= sizeof(*a->hmac))
        status = open_hmac(a, host, options, n_options, others, err, err_len);
    free(others);
    if (status < 0)
        free(a);
    else
        *state = a;
    return status;
}

static void
allow_close(void *state)
{
    allow *a = (allow *)state;

    a->hmac->close(a->state);
    free(a);
}

static int32_t
allow_mint(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
           size_t cap)
{
    allow *a = (allow *)state;

    if (!is_allowed(a, in))
        return DTLSL_COOKIE_REFUSED;
    return a->hmac->mint(a->state, in, cookie, cap);
}

/* Here, too: another listener with the same secret may have minted. */
static int32_t
allow_verify(void *state, const dtlsl_cookie_input *in, const uint8_t *cookie,
             size_t len, dtlsl_cookie_result *out)
{
    allow *a = (allow *)state;

    if (!is_allowed(a, in))
        return DTLSL_COOKIE_REFUSED;
    return a->hmac->verify(a->state, in, cookie, len, out);
}

static void
allow_tick(void *state, uint64_t mono_ms, uint64_t unix_ms,
           uint64_t *next_mono_ms)
{
    allow *a = (allow *)state;

    a->hmac->tick(a->state, mono_ms, unix_ms, next_mono_ms);
}

static int32_t
allow_counter(void *state, uint32_t index, const char **name, uint64_t *value)
{
    allow *a = (allow *)state;

    return a->hmac->counter(a->state, index, name, value);
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(dtlsl_cookie_plugin),
    .abi = DTLSL_COOKIE_ABI,
    .name = "allow",
    .max_cookie_len = DTLSL_COOKIE_SAFE,
    .flags = 0,
    .open = allow_open,
    .close = allow_close,
    .mint = allow_mint,
    .verify = allow_verify,
    .tick = allow_tick,
    .counter = allow_counter,
};

DTLSL_BEGIN_DECLS
DTLSL_API const dtlsl_cookie_plugin *dtlsl_cookie_plugin_v1(void);

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table;
}
DTLSL_END_DECLS
