/* SPDX-License-Identifier: MIT
 * The verdict on one datagram: drop, reply or accept. Nothing is kept about a
 * peer, nothing is allocated, and there is no SSL object. */
#include "gate.h"
#include "address.h"
#include "config.h"
#include "hello.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Of a HelloVerifyRequest: record header, message header, server_version
     * and the cookie's length byte. */
    REPLY_OVERHEAD = 28,
    REPLY_CAP_MIN = REPLY_OVERHEAD + DTLSL_COOKIE_SAFE,

    /* Answers to bad cookies: a burst, and as many again each second. Levels
     * are in thousandths, so that a millisecond adds a whole number. */
    BUCKET_ANSWERS = 64,
    BUCKET_ONE = 1000,
    BUCKET_FULL = BUCKET_ANSWERS * BUCKET_ONE
};

struct dtlsl_gate {
    dtlsl_config *config;
    dtlsl__chain *chain;
    dtlsl__counters counters;
    uint64_t bucket_ms; /* when the bucket was last filled */
    uint32_t bucket;
};

_Static_assert(DTLSL__N_DROP_STRATEGY - DTLSL__N_DROP_SHORT ==
                   DTLSL_REASON_DROP_STRATEGY - DTLSL_REASON_DROP_SHORT,
               "counters follow the reasons");
_Static_assert(DTLSL__N_COOKIE_NEED_MORE - DTLSL__N_COOKIE_VALID ==
                   DTLSL_COOKIE_NEED_MORE - DTLSL_COOKIE_VALID,
               "counters follow the results of verify");
_Static_assert(DTLSL_REPLY_MAX == REPLY_OVERHEAD + DTLSL_COOKIE_MAX,
               "the longest reply carries the longest cookie");

int32_t
dtlsl__gate_new(dtlsl_gate **out, dtlsl_config *config, const dtlsl_now *now)
{
    dtlsl_gate *gate;
    int32_t err;

    *out = NULL;
    gate = calloc(1, sizeof(*gate));
    if (gate == NULL)
        return dtlsl__config_fail(config, DTLSL_ERR_NOMEM,
                                  "no memory for a gate");
    err = dtlsl__config_chain(config, now, &gate->chain);
    if (err < 0) {
        free(gate);
        return err;
    }
    /* Only now: after a failure the options can still be mended. */
    dtlsl__config_ref(config);
    gate->config = config;
    gate->bucket = BUCKET_FULL;
    gate->bucket_ms = now->mono_ms;
    *out = gate;
    return DTLSL_OK;
}

int32_t
dtlsl_gate_new(dtlsl_gate **out, dtlsl_config *config)
{
    dtlsl_now now;

    if (out == NULL || config == NULL)
        return DTLSL_ERR_ARGUMENT;
    /* The self-test of a strategy needs a plausible time; from the first
     * dtlsl_gate_tick() on the caller's clocks are the only ones. */
    dtlsl_now_read(&now);
    return dtlsl__gate_new(out, config, &now);
}

void
dtlsl_gate_free(dtlsl_gate *gate)
{
    if (gate == NULL)
        return;
    /* In this order: the chain borrows the config's secret. */
    dtlsl__chain_free(gate->chain);
    dtlsl__config_unref(gate->config);
    free(gate);
}

int32_t
dtlsl_gate_tick(dtlsl_gate *gate, const dtlsl_now *now, uint64_t *next_mono_ms)
{
    uint64_t next;

    if (gate == NULL || now == NULL)
        return DTLSL_ERR_ARGUMENT;
    next = dtlsl__chain_tick(gate->chain, now);
    if (next_mono_ms != NULL)
        *next_mono_ms = next;
    return DTLSL_OK;
}

static int
is_set(const uint8_t address[24])
{
    static const uint8_t zero[24];

    return memcmp(address, zero, sizeof(zero)) != 0;
}

static int32_t
check_path(const dtlsl_path *path)
{
    if (dtlsl__address_port(path->peer) == 0 ||
        dtlsl__address_is_multicast(path->peer) ||
        dtlsl__address_is_unspecified(path->peer))
        return DTLSL_REASON_DROP_SOURCE;
    if (!is_set(path->local))
        return DTLSL_REASON_NONE;
    /* Address and port: we would talk to ourselves. */
    if (memcmp(path->peer, path->local, 18) == 0)
        return DTLSL_REASON_DROP_SOURCE;
    if (dtlsl__address_is_multicast(path->local))
        return DTLSL_REASON_DROP_DESTINATION;
    return DTLSL_REASON_NONE;
}

static void
fill_input(dtlsl_cookie_input *in, const dtlsl_path *path,
           const dtlsl__hello *hello, const dtlsl_now *now)
{
    in->size = sizeof(*in);
    in->flags = 0;
    if (hello->tail != NULL && hello->tail_len > 0)
        in->flags |= DTLSL_COOKIE_IN_TAIL;
    if (is_set(path->local))
        in->flags |= DTLSL_COOKIE_IN_LOCAL;
    if (hello->fragmented)
        in->flags |= DTLSL_COOKIE_IN_FRAGMENTED;
    in->mono_ms = now->mono_ms;
    in->unix_ms = now->unix_ms;
    memcpy(in->peer, path->peer, sizeof(in->peer));
    memcpy(in->local, path->local, sizeof(in->local));
    in->core = hello->core;
    in->core_len = hello->core_len;
    in->tail = hello->tail;
    in->tail_len = hello->tail_len;
    in->app = NULL;
    in->app_len = 0;
    in->fragment_len = hello->fragment_len;
}

static int32_t
reason_of_failure(int32_t err)
{
    switch (err) {
    case DTLSL_COOKIE_NOTREADY:
        return DTLSL_REASON_DROP_NOTREADY;
    case DTLSL_COOKIE_REFUSED:
        return DTLSL_REASON_DROP_REFUSED;
    default:
        return DTLSL_REASON_DROP_STRATEGY;
    }
}

/* A strategy that uses OpenSSL may leave entries on its error queue, which is
 * the application's. */
static int32_t
mint(dtlsl_gate *gate, const dtlsl_cookie_input *in, uint8_t *cookie,
     size_t cap)
{
    int32_t len;

    ERR_set_mark();
    len = dtlsl__chain_mint(gate->chain, in, cookie, cap);
    ERR_pop_to_mark();
    return len;
}

static int32_t
verify(dtlsl_gate *gate, const dtlsl_cookie_input *in,
       const dtlsl__hello *hello, dtlsl_cookie_result *result)
{
    int32_t answer;

    ERR_set_mark();
    answer = dtlsl__chain_verify(gate->chain, in, hello->cookie,
                                 hello->cookie_len, result);
    ERR_pop_to_mark();
    return answer;
}

/* The cookie is minted where the HelloVerifyRequest will have it. The strategy
 * gets all the room there is: one that fails for want of room and one whose
 * cookies amplify have different counters. */
static int32_t
reply(dtlsl_gate *gate, const dtlsl_cookie_input *in,
      const dtlsl__hello *hello, size_t datagram_len, dtlsl_verdict *verdict)
{
    uint8_t *cookie = verdict->reply + REPLY_OVERHEAD;
    size_t cap = verdict->reply_cap - REPLY_OVERHEAD;
    int32_t cookie_len;
    size_t len;

    if (cap > DTLSL_COOKIE_MAX)
        cap = DTLSL_COOKIE_MAX;
    if (datagram_len <= REPLY_OVERHEAD)
        return DTLSL_REASON_DROP_AMPLIFY;
    cookie_len = mint(gate, in, cookie, cap);
    if (cookie_len <= 0 || (size_t)cookie_len > cap)
        return reason_of_failure(cookie_len);
    if (REPLY_OVERHEAD + (size_t)cookie_len > datagram_len)
        return DTLSL_REASON_DROP_AMPLIFY;
    len = dtlsl__hello_verify_request(hello, cookie, (size_t)cookie_len,
                                      verdict->reply, verdict->reply_cap);
    if (len == 0)
        return DTLSL_REASON_DROP_STRATEGY;
    verdict->action = DTLSL_REPLY;
    verdict->reply_len = (uint32_t)len;
    gate->counters.n[DTLSL__N_HELLO_VERIFY_SENT]++;
    gate->counters.n[DTLSL__N_REPLIED]++;
    return DTLSL_REASON_NONE;
}

/* One token, if there is one. */
static int
take_token(dtlsl_gate *gate, uint64_t mono_ms)
{
    uint64_t elapsed = 0;
    uint64_t level;

    if (mono_ms > gate->bucket_ms)
        elapsed = mono_ms - gate->bucket_ms;
    if (elapsed > 1000)
        elapsed = 1000;
    level = gate->bucket + elapsed * BUCKET_ANSWERS;
    if (level > BUCKET_FULL)
        level = BUCKET_FULL;
    gate->bucket_ms = mono_ms;
    gate->bucket = (uint32_t)level;
    if (gate->bucket < BUCKET_ONE)
        return 0;
    gate->bucket -= BUCKET_ONE;
    return 1;
}

static void
accept_hello(dtlsl_verdict *verdict, const dtlsl_cookie_result *result)
{
    verdict->action = DTLSL_ACCEPT;
    verdict->age_ms = result->age_ms;
    verdict->node = result->node;
    verdict->app_len = result->app_len;
    memcpy(verdict->app, result->app, result->app_len);
}

/* DTLSv1_listen() answers a bad cookie like none. No client uses that answer,
 * so a flood of bad cookies is not worth a MAC and a datagram each. */
static int32_t
judge_cookie(dtlsl_gate *gate, const dtlsl_cookie_input *in,
             const dtlsl__hello *hello, size_t datagram_len,
             dtlsl_verdict *verdict)
{
    dtlsl_cookie_result result = {.size = sizeof(result)};
    int32_t answer = verify(gate, in, hello, &result);

    if (answer < DTLSL_COOKIE_VALID || answer > DTLSL_COOKIE_NEED_MORE)
        return reason_of_failure(answer);
    if (answer == DTLSL_COOKIE_VALID && result.app_len > sizeof(verdict->app))
        return DTLSL_REASON_DROP_STRATEGY;
    gate->counters.n[DTLSL__N_COOKIE_VALID + answer - DTLSL_COOKIE_VALID]++;
    if (answer == DTLSL_COOKIE_VALID) {
        accept_hello(verdict, &result);
        return DTLSL_REASON_NONE;
    }
    if (!take_token(gate, in->mono_ms))
        return DTLSL_REASON_DROP_BAD_COOKIE;
    return reply(gate, in, hello, datagram_len, verdict);
}

static int32_t
judge(dtlsl_gate *gate, const dtlsl_path *path, const uint8_t *datagram,
      size_t len, const dtlsl_now *now, dtlsl_verdict *verdict)
{
    dtlsl_cookie_input in;
    dtlsl__hello hello;
    int32_t reason = check_path(path);

    if (reason != DTLSL_REASON_NONE)
        return reason;
    if (len == 0)
        return DTLSL_REASON_DROP_SHORT;
    reason = dtlsl__hello_read(&hello, datagram, len);
    if (reason != DTLSL_REASON_NONE)
        return reason;
    verdict->record_len = hello.record_len;
    fill_input(&in, path, &hello, now);
    if (hello.cookie_len > 0)
        return judge_cookie(gate, &in, &hello, len, verdict);
    return reply(gate, &in, &hello, len, verdict);
}

static int
is_usable(const dtlsl_verdict *verdict)
{
    return verdict != NULL && verdict->size >= sizeof(*verdict) &&
           verdict->reply != NULL && verdict->reply_cap >= REPLY_CAP_MIN;
}

int32_t
dtlsl__gate_judge(dtlsl_gate *gate, const dtlsl_path *path,
                  const uint8_t *datagram, size_t len, const dtlsl_now *now,
                  dtlsl_verdict *verdict)
{
    int32_t reason;

    if (gate == NULL || path == NULL || now == NULL || !is_usable(verdict) ||
        (datagram == NULL && len > 0))
        return DTLSL_ERR_ARGUMENT;
    verdict->action = DTLSL_DROP;
    verdict->reply_len = 0;
    verdict->record_len = 0;
    verdict->age_ms = 0;
    verdict->node = 0;
    verdict->app_len = 0;
    reason = judge(gate, path, datagram, len, now, verdict);
    verdict->reason = reason;
    if (reason != DTLSL_REASON_NONE)
        gate->counters
            .n[DTLSL__N_DROP_SHORT + reason - DTLSL_REASON_DROP_SHORT]++;
    return DTLSL_OK;
}

int32_t
dtlsl_gate_judge(dtlsl_gate *gate, const dtlsl_path *path,
                 const uint8_t *datagram, size_t len, const dtlsl_now *now,
                 dtlsl_verdict *verdict)
{
    int32_t err = dtlsl__gate_judge(gate, path, datagram, len, now, verdict);

    if (err < 0)
        return err;
    gate->counters.n[DTLSL__N_RECEIVED]++;
    if (verdict->action == DTLSL_ACCEPT)
        gate->counters.n[DTLSL__N_ACCEPTED]++;
    return DTLSL_OK;
}

int32_t
dtlsl__gate_counters_more(const void *gate, size_t index,
                          const char **strategy, const char **name,
                          uint64_t *value)
{
    return dtlsl__chain_counter(((const dtlsl_gate *)gate)->chain, index,
                                strategy, name, value);
}

/* "cookie_<strategy>_<name>" */
static int
is_strategy_counter(const char *name, const char *strategy,
                    const char *counter)
{
    static const char prefix[] = "cookie_";
    size_t len = strlen(strategy);

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return 0;
    name += sizeof(prefix) - 1;
    return strncmp(name, strategy, len) == 0 && name[len] == '_' &&
           strcmp(name + len + 1, counter) == 0;
}

uint64_t
dtlsl_gate_counter(const dtlsl_gate *gate, const char *name)
{
    const char *strategy;
    const char *counter;
    uint64_t value;
    int32_t index;

    if (gate == NULL || name == NULL)
        return 0;
    index = dtlsl__counter_find(name);
    if (index >= 0)
        return gate->counters.n[index];
    for (size_t i = 0;
         dtlsl__gate_counters_more(gate, i, &strategy, &counter, &value) >= 0;
         i++) {
        if (is_strategy_counter(name, strategy, counter))
            return value;
    }
    return 0;
}

/* Where in the list of all counters the gate's counter 'index' stands. */
static size_t
place_in_list(size_t index)
{
    static const struct {
        size_t first, last;
    } counted[] = {
        {DTLSL__N_RECEIVED, DTLSL__N_DROP_STRATEGY},
        {DTLSL__N_REPLIED, DTLSL__N_ACCEPTED},
        {DTLSL__N_HELLO_VERIFY_SENT, DTLSL__N_COOKIE_NEED_MORE},
    };

    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        size_t n = counted[i].last - counted[i].first + 1;
        if (index < n)
            return counted[i].first + index;
        index -= n;
    }
    /* Those of the strategies come behind the list. */
    return index < SIZE_MAX - DTLSL__N_COUNTERS ? DTLSL__N_COUNTERS + index
                                                : SIZE_MAX;
}

int32_t
dtlsl_gate_counter_at(const dtlsl_gate *gate, size_t index, char *name,
                      size_t name_len, uint64_t *value)
{
    if (gate == NULL || name == NULL || value == NULL)
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__counters_at(&gate->counters, dtlsl__gate_counters_more, gate,
                              place_in_list(index), name, name_len, value);
}

const dtlsl__counters *
dtlsl__gate_counters(const dtlsl_gate *gate)
{
    return &gate->counters;
}

dtlsl__chain *
dtlsl__gate_chain(const dtlsl_gate *gate)
{
    return gate->chain;
}
