/* SPDX-License-Identifier: MIT
 * Thousands of clients and one engine over a network that a seed makes bad,
 * and everything checked that the library promises. The same seed is the same
 * run, to the byte.
 *
 *     simulation [--seed N] [--seeds COUNT] [--clients N] [--verbose]
 *
 * runs COUNT seeds from N on (1 to 20). DTLSL_SIM_SEEDS in the environment
 * may lower COUNT, for slow builds. Without arguments it also looks whether a
 * seed replays. */
#include "record.h"
#include "sim.h"
#include "sim_memory.h"
#include "world.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SEEDS = 20,
    CLIENTS = 1000,
    LIARS = 8,
    CALM_MS = 40000,
    SMALL_PATH = 548,
    TICK_MS = 250, /* between two looks at everything */
    STEPS_MAX = 20000000,
    REPORT = 4096, /* bytes that a run of one seed prints, at most */
    FAILURES_MAX = 10,
    UNIX_START = 1795600
};

/* Failing */

void
sim_fail(sim *s, uint32_t peer, const char *invariant, const char *format, ...)
{
    va_list args;

    printf("simulation: seed %llu, step %llu, %llu ms: violated: %s\n  ",
           (unsigned long long)s->seed, (unsigned long long)s->totals.steps,
           (unsigned long long)(s->now.mono_ms - CLIENT_CLOCK_START),
           invariant);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (peer != SIM_NOBODY && peer < s->n_peers)
        sim_report(&s->net, peer);
    printf("  replay: tests/simulation --seed %llu --clients %u\n",
           (unsigned long long)s->seed, s->plan.n_peers - LIARS);
    fflush(stdout);
    _exit(1);
}

/* The plan */

static uint32_t
one_of(sim *s, const uint32_t *values, uint32_t n)
{
    return values[sim_below(&s->random, n)];
}

#define ONE_OF(s, ...)                         \
    one_of(s, (const uint32_t[]){__VA_ARGS__}, \
           sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void
plan_network(sim *s)
{
    sim_conditions *c = &s->net.conditions;

    c->loss = ONE_OF(s, 0, 0, 5, 20, 60, 150, 250);
    c->copy = ONE_OF(s, 0, 0, 10, 50, 300);
    c->corrupt = ONE_OF(s, 0, 0, 2, 10, 50);
    c->late = ONE_OF(s, 0, 0, 20, 100);
    c->late_ms = ONE_OF(s, 50, 400, 2500);
    c->delay_min = ONE_OF(s, 1, 5, 20, 80);
    c->delay_more = ONE_OF(s, 0, 0, 5, 50, 300);
}

static void
plan_peers(sim *s)
{
    sim_plan *p = &s->plan;

    p->weight[SIM_HONEST] = 60;
    p->weight[SIM_RESTARTER] = ONE_OF(s, 0, 5, 20);
    p->weight[SIM_TWIN] = ONE_OF(s, 0, 5, 20);
    p->weight[SIM_STALLER] = ONE_OF(s, 0, 5, 10);
    p->weight[SIM_MORTAL] = ONE_OF(s, 0, 5, 20);
    p->weight[SIM_SQUATTER] = ONE_OF(s, 0, 1, 3);
    p->spread_ms = ONE_OF(s, 100, 3000, 10000);
    p->chaos_ms = ONE_OF(s, 10000, 20000);
    p->calm_ms = CALM_MS;
    p->batch = ONE_OF(s, 1, 8, 64);
    p->blocks = ONE_OF(s, 0, 0, 20, 300);
    p->block_ms = ONE_OF(s, 20, 20, 2000);
    if (p->block_ms > 20)
        p->blocks /= 4;
    p->interval = ONE_OF(s, 800, 3000, 6000);
    p->hosts = ONE_OF(s, 1, 4, 50);
    p->ipv6 = ONE_OF(s, 0, 300, 1000);
    p->resumes = ONE_OF(s, 0, 300, 900);
    p->long_hello = ONE_OF(s, 0, 50, 300);
    p->small_path = ONE_OF(s, 0, 50, 300);
}

static void
plan_server(sim *s)
{
    sim_plan *p = &s->plan;

    p->psk = ONE_OF(s, 0, 1, 1);
    p->client_certs = ONE_OF(s, 0, 0, 0, 1);
    p->events_hello = ONE_OF(s, 0, 1);
    p->handshake_timeout = ONE_OF(s, 5000, 15000, 15000);
    p->idle_timeout = ONE_OF(s, 0, 7000, 60000);
    p->max_handshakes = ONE_OF(s, 16, 200, 1024, 100000);
    p->max_conns = ONE_OF(s, p->n_peers / 2, p->n_peers * 2, 100000);
    p->max_per_prefix = ONE_OF(s, 0, 20, 1024);
    p->mtu = ONE_OF(s, 1232, 1232, 1400, 576);
}

static void
make_path(sim *s, uint32_t peer)
{
    sim_peer *p = &s->peer[peer];

    p->host = peer / s->plan.hosts;
    p->path = world_path(p->host + 1, (uint16_t)(SIM_FIRST_PORT + peer));
    if (!sim_chance(&s->random, s->plan.ipv6) || s->plan.hosts > 1)
        return;
    /* a /48 of its own */
    memset(p->path.peer, 0, 16);
    memset(p->path.local, 0, 16);
    p->path.peer[0] = p->path.local[0] = 0x20;
    p->path.local[15] = p->path.peer[15] = 1;
    dtlsl__put32(p->path.peer + 2, p->host + 1);
}

static int32_t
choose_kind(sim *s, uint32_t peer)
{
    uint32_t sum = 0, at;
    int32_t kind = 0;

    if (peer >= s->n_peers - LIARS)
        return SIM_LIAR;
    for (int i = 0; i < SIM_KINDS; i++)
        sum += s->plan.weight[i];
    for (at = sim_below(&s->random, sum); at >= s->plan.weight[kind]; kind++)
        at -= s->plan.weight[kind];
    return kind;
}

static void
make_peer(sim *s, uint32_t peer)
{
    sim_peer *p = &s->peer[peer];
    const sim_plan *plan = &s->plan;

    make_path(s, peer);
    p->kind = choose_kind(s, peer);
    s->net.link[peer].mtu = 1500;
    if (sim_chance(&s->random, plan->long_hello))
        p->options |= SIM_O_LONG_HELLO;
    if (sim_chance(&s->random, plan->resumes))
        p->options |= SIM_O_RESUMES;
    if (plan->psk && !plan->client_certs && sim_chance(&s->random, 300))
        p->options |= SIM_O_PSK;
    if (sim_chance(&s->random, plan->small_path))
        s->net.link[peer].mtu = SMALL_PATH;
    /* OpenSSL does not cut a ClientHello with a ticket unless it is told */
    if (s->net.link[peer].mtu == SMALL_PATH && p->options & SIM_O_RESUMES)
        p->mtu = SMALL_PATH;
    sim_peer_start(s, peer);
}

/* The world */

static void *
array(size_t n, size_t size)
{
    void *block = calloc(n, size);

    if (block == NULL)
        exit(2);
    return block;
}

static void
start(sim *s, uint64_t seed, uint32_t clients)
{
    s->seed = seed;
    s->random.state = seed;
    s->now.mono_ms = CLIENT_CLOCK_START;
    s->now.unix_ms = UNIX_START * 1000000ULL + s->now.mono_ms;
    client_clock(s->now.mono_ms);
    s->n_peers = s->plan.n_peers = clients + LIARS;
    s->totals.clients = clients;
    sim_network_start(&s->net, seed, s->n_peers);
    s->net.now = s->now.mono_ms;
    plan_network(s);
    plan_peers(s);
    plan_server(s);
    s->chaos_until = s->now.mono_ms + s->plan.chaos_ms;
    s->ends = s->chaos_until + s->plan.calm_ms;
    sim_fill(&s->random, s->psk, sizeof(s->psk));
    s->client_ctx = SSL_CTX_new(DTLS_client_method());
    identity_make(&s->id, "client");
    s->n_hosts = s->n_peers / s->plan.hosts + 1;
    s->host_half = array(s->n_hosts, sizeof(*s->host_half));
    s->host_all = array(s->n_hosts, sizeof(*s->host_all));
    s->peer = array(s->n_peers, sizeof(*s->peer));
    sim_conn_at(s, 0);
    sim_server_start(s);
    for (uint32_t i = 0; i < s->n_peers; i++)
        make_peer(s, i);
}

static void
finish(sim *s)
{
    for (uint32_t i = 0; i < s->n_peers; i++)
        sim_peer_free(s, i);
    sim_server_end(s);
    for (int i = 0; i < SIM_HEARD; i++)
        free(s->heard[i].data);
    identity_free(&s->id);
    SSL_CTX_free(s->client_ctx);
    free(s->host_half);
    free(s->host_all);
    free(s->peer);
    free(s->conn);
    s->n_peers = 0;
    s->totals.lost = s->net.n_lost + s->net.n_too_big;
    sim_network_end(&s->net);
}

/* Running */

static void
set_time(sim *s, uint64_t ms)
{
    if (ms < s->now.mono_ms)
        sim_fail(s, SIM_NOBODY, "no deadline lies in the past", "%llu ms ago",
                 (unsigned long long)(s->now.mono_ms - ms));
    s->now.unix_ms += ms - s->now.mono_ms;
    s->now.mono_ms = s->net.now = ms;
    client_clock(ms);
}

static void
become_calm(sim *s)
{
    s->calm = 1;
    s->net.conditions = (sim_conditions){.delay_min = 20};
}

/* Does a batch go on with the next datagram? */
static int
batch_is_over(const sim *s)
{
    const sim_event *next = sim_network_next(&s->net);

    return s->batch_left == 0 || next == NULL || next->kind != SIM_TO_SERVER ||
           next->at != s->now.mono_ms;
}

/* Plaintext that is not of the client of now; its own is as good as a copy. */
static void
note_strange_plaintext(sim *s, const sim_event *e)
{
    if (e->peer == SIM_NOBODY || e->life == s->peer[e->peer].life->number ||
        !sim_is_plaintext(e->data, e->len))
        return;
    if (e->flags & SIM_BOLD)
        sim_disturb(&s->net, e->peer, SIM_D_FORGED);
    else if (!(e->flags & SIM_FORGED))
        sim_disturb(&s->net, e->peer, SIM_D_OLD);
}

/* What was meant for a resumed handshake may come to the next one. */
static void
reach_server(sim *s, const sim_event *sent)
{
    sim_event e = *sent;

    if (e.flags & SIM_FULL && s->peer[e.peer].half != 0 &&
        !sim_server_resumes(s, e.peer))
        e.flags |= SIM_BOLD;
    note_strange_plaintext(s, &e);
    sim_server_input(s, &e);
    sim_check_step(s);
    if (batch_is_over(s))
        sim_server_flush(s);
}

static void
dispatch(sim *s, const sim_event *e)
{
    switch (e->kind) {
    case SIM_TO_SERVER:
        reach_server(s, e);
        break;
    case SIM_TO_CLIENT:
        sim_peer_input(s, e);
        break;
    case SIM_WAKE:
        sim_peer_wake(s, e->peer);
        break;
    default:
        sim_server_flush(s);
        break;
    }
    if (e->peer != SIM_NOBODY)
        sim_check_handshake(s, e->peer);
    free(e->data);
}

static void
step(sim *s, uint64_t until)
{
    const sim_event *next = sim_network_next(&s->net);
    uint64_t due = sim_server_due(s), at = until;
    sim_event event;

    if (next != NULL && next->at < at)
        at = next->at;
    if (due <= at) {
        set_time(s, due);
        sim_server_expire(s);
        sim_check_step(s);
    } else {
        set_time(s, at);
        if (next != NULL && next->at == at) {
            event = sim_network_take(&s->net);
            dispatch(s, &event);
        }
    }
    if (++s->totals.steps > STEPS_MAX)
        sim_fail(s, SIM_NOBODY, "the world goes on", "too many steps");
}

static void
run(sim *s, uint64_t until)
{
    uint64_t tick = s->now.mono_ms;

    while (s->now.mono_ms < until) {
        step(s, until);
        if (s->now.mono_ms < tick)
            continue;
        sim_check_all(s);
        tick = s->now.mono_ms + TICK_MS;
    }
}

static void
print_seed(const sim *s)
{
    const sim_totals *t = &s->totals;

    printf("seed %llu: digest %016llx, %llu lives, %llu datagrams (%llu lost, "
           "%llu forged), %llu opened, %llu replaced, %llu failed, %llu "
           "refused, %llu messages, %llu echoes\n",
           (unsigned long long)s->seed, (unsigned long long)s->net.digest,
           (unsigned long long)t->lives, (unsigned long long)t->datagrams,
           (unsigned long long)t->lost, (unsigned long long)t->forged,
           (unsigned long long)t->opened, (unsigned long long)t->replaced,
           (unsigned long long)t->failed, (unsigned long long)t->refused,
           (unsigned long long)t->messages, (unsigned long long)t->echoes);
    fflush(stdout);
}

static void
check_leaks(sim *s, int64_t blocks)
{
    if (sim_live_ssls != 0)
        sim_fail(s, SIM_NOBODY, "at the end everything is freed",
                 "%lld SSLs are left", (long long)sim_live_ssls);
    if (heap_ours.live_blocks != blocks)
        sim_fail(s, SIM_NOBODY, "at the end everything is freed",
                 "%lld blocks of ours are left",
                 (long long)(heap_ours.live_blocks - blocks));
}

static sim_totals
simulate(uint64_t seed, uint32_t clients, int verbose)
{
    static sim only;
    sim *s = &only;
    int64_t blocks;

    sim_random_openssl(seed);
    SSL_CTX_free(SSL_CTX_new(DTLS_method())); /* OpenSSL starts, */
    tzset();                                  /* and libc's time zone */
    blocks = heap_ours.live_blocks;
    start(s, seed, clients);
    run(s, s->chaos_until);
    become_calm(s);
    run(s, s->ends);
    sim_check_end(s);
    sim_server_stop(s);
    if (s->n_half + s->n_open != 0)
        sim_fail(s, SIM_NOBODY, "stop ends every connection", "%llu are left",
                 (unsigned long long)(s->n_half + s->n_open));
    finish(s);
    check_leaks(s, blocks);
    if (verbose)
        print_seed(s);
    return s->totals;
}

/* Each seed in a process of its own: nothing of one reaches the next. */
static int
simulate_apart(uint64_t seed, uint32_t clients, int verbose, sim_totals *sum)
{
    uint64_t *to = (uint64_t *)sum;
    sim_totals totals = {0};
    const uint64_t *from = (const uint64_t *)&totals;
    int fds[2], status = 1;
    ssize_t n;
    pid_t child;

    fflush(stdout);
    if (pipe(fds) < 0 || (child = fork()) < 0)
        return 0;
    if (child == 0) {
        totals = simulate(seed, clients, verbose);
        n = write(fds[1], &totals, sizeof(totals));
        exit(n == (ssize_t)sizeof(totals) ? 0 : 1);
    }
    close(fds[1]);
    n = read(fds[0], &totals, sizeof(totals));
    close(fds[0]);
    if (waitpid(child, &status, 0) != child || status != 0 ||
        n != (ssize_t)sizeof(totals)) {
        printf("simulation: seed %llu failed\n", (unsigned long long)seed);
        return 0;
    }
    for (size_t i = 0; i < sizeof(totals) / sizeof(uint64_t); i++)
        to[i] += from[i];
    return 1;
}

/* What a process of its own prints for one seed. */
static int
read_run(const char *program, char report[REPORT])
{
    char command[REPORT];
    FILE *run;
    size_t len;

    snprintf(command, sizeof(command), "'%s' --seed 1 --clients 100", program);
    run = popen(command, "r");
    if (run == NULL)
        return 0;
    len = fread(report, 1, REPORT - 1, run);
    report[len] = '\0';
    return pclose(run) == 0 && strstr(report, "digest") != NULL;
}

/* Processes differ in their addresses, a run must not. */
static int
replays(const char *program)
{
    char first[REPORT] = "", second[REPORT] = "";

    fflush(stdout);
    if (read_run(program, first) && read_run(program, second) &&
        strcmp(first, second) == 0)
        return 1;
    printf("simulation: a seed does not replay\n%s%s", first, second);
    return 0;
}

typedef struct arguments {
    uint64_t seed, seeds;
    uint32_t clients;
    int verbose;
} arguments;

static int
read_arguments(arguments *a, int argc, char **argv)
{
    const char *fewer = getenv("DTLSL_SIM_SEEDS");
    uint64_t most = fewer == NULL ? 0 : strtoull(fewer, NULL, 10);

    *a = (arguments){1, SEEDS, CLIENTS, 0};
    if (most > 0 && most < a->seeds)
        a->seeds = most;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--verbose") == 0) {
            a->verbose = 1;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            a->seed = strtoull(value, NULL, 10);
            a->seeds = 1;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            a->seeds = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--clients") == 0) {
            a->clients = (uint32_t)strtoul(value, NULL, 10);
        } else {
            return 0;
        }
        i++;
    }
    return a->clients > 0 && a->clients <= 50000;
}

int
main(int argc, char **argv)
{
    sim_totals sum = {0};
    uint64_t failures = 0, done = 0;
    arguments a;

    if (!read_arguments(&a, argc, argv)) {
        fprintf(stderr, "usage: simulation [--seed N] [--seeds COUNT] "
                        "[--clients N] [--verbose]\n");
        return 2;
    }
    sim_memory_start();
    if (a.seeds == 1) {
        sum = simulate(a.seed, a.clients, 1);
        done = 1;
    }
    for (; done < a.seeds && failures < FAILURES_MAX; done++)
        failures += !simulate_apart(a.seed + done, a.clients, a.verbose, &sum);
    printf("%llu clients, %llu lives, %llu datagrams, %llu opened, %llu "
           "replaced, %llu failed, %llu refused, %llu messages, %llu echoes\n",
           (unsigned long long)sum.clients, (unsigned long long)sum.lives,
           (unsigned long long)sum.datagrams, (unsigned long long)sum.opened,
           (unsigned long long)sum.replaced, (unsigned long long)sum.failed,
           (unsigned long long)sum.refused, (unsigned long long)sum.messages,
           (unsigned long long)sum.echoes);
    failures += argc == 1 && !replays(argv[0]);
    printf("simulation: %llu seeds, %llu failures\n", (unsigned long long)done,
           (unsigned long long)failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
