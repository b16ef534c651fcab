/* SPDX-License-Identifier: MIT
 * What each class of packets costs the engine: processor time, bytes out,
 * allocations. Without sockets, in one thread.
 *
 *     make bench/cost
 *     bench/cost [--json] [--rounds N] [--seed N] [--only WORDS]
 *     bench/cost --memory [--json]
 *
 * Rounds of all classes are mixed in a random order, so that a slow moment of
 * the machine does not fall on one class; time is that of the thread. */
#include "memory.h"
#include "packets.h"
#include "test.h"
#include <openssl/crypto.h>
#include <stdio.h>
#include <time.h>

enum {
    CLASSES_MAX = 80,
    ROUNDS_MAX = 1001,
    WARM_UP = 64
};

typedef struct options {
    int json;
    int memory;
    size_t rounds;
    uint64_t seed;
    const char *only;
} options;

typedef struct run {
    const packet_class *class;
    stage *s;
    double ns[ROUNDS_MAX];
    size_t n_rounds;
    tally tally;  /* of one round */
    uint64_t fed; /* datagrams in it */
    uint64_t in;  /* bytes in it */
    uint64_t out;
    uint32_t worst; /* bytes out for one datagram */
    uint32_t worst_in;
} run;

static options chosen = {.rounds = 101, .seed = 1};
static run runs[CLASSES_MAX];
static size_t n_runs;
static item items[ITEMS_MAX];
static item warm[WARM_UP];

static uint64_t
thread_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One round */

static void
make_items(run *r)
{
    client_clock(r->s->w->now.mono_ms); /* each stage has a time of its own */
    if (r->class->before != NULL)
        r->class->before(r->s);
    for (uint32_t i = 0; i < r->class->n; i++)
        r->class->make(r->s, r->class, &items[i], i);
    if (r->class->after != NULL)
        r->class->after(r->s);
    for (size_t i = 0; i < WARM_UP; i++)
        packet_class_reference()->make(r->s, packet_class_reference(),
                                       &warm[i], 0);
    stage_feed(r->s, warm, WARM_UP, BATCH_MAX);
}

static size_t
batch_of(const run *r)
{
    return r->class->batch == 0 ? BATCH_MAX : r->class->batch;
}

static uint32_t
times_of(const run *r)
{
    return r->class->times == 0 ? 1 : r->class->times;
}

static void
check_class(const run *r, uint64_t before, uint64_t fed)
{
    ck_assert_msg(stage_counter(r->s, r->class->counter) == before + fed,
                  "%s, %s: %d of %d datagrams were of that class",
                  r->class->group, r->class->name,
                  (int)(stage_counter(r->s, r->class->counter) - before),
                  (int)fed);
}

static void
timed_round(run *r)
{
    const packet_class *c = r->class;
    uint64_t before, start, end;

    make_items(r);
    before = stage_counter(r->s, c->counter);
    start = thread_ns();
    for (uint32_t k = 0; k < times_of(r); k++)
        stage_feed(r->s, items, c->n, batch_of(r));
    end = thread_ns();
    check_class(r, before, (uint64_t)c->n * times_of(r));
    r->ns[r->n_rounds++] =
        (double)(end - start) / ((double)c->n * times_of(r));
}

/* Without the clock: each datagram by itself, its bytes and allocations. */
static void
counted_round(run *r)
{
    const packet_class *c = r->class;
    uint64_t before;

    make_items(r);
    before = stage_counter(r->s, c->counter);
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t out = r->s->out;
        tally_start(&r->tally);
        stage_feed(r->s, &items[i], 1, 1);
        tally_stop();
        out = r->s->out - out;
        r->in += items[i].len;
        r->out += out;
        if (out > r->worst)
            r->worst = (uint32_t)out;
        if (items[i].len > r->worst_in)
            r->worst_in = items[i].len;
    }
    r->fed = c->n;
    check_class(r, before, c->n);
}

/* All rounds */

static const char *
options_of(const packet_class *c)
{
    return c->rsa != 0 ? stage_certificate(c->rsa) : c->options;
}

static void
start_runs(void)
{
    const packet_class *c;

    for (size_t i = 0; (c = packet_class_at(i)) != NULL; i++) {
        run *r = &runs[n_runs];

        if (chosen.only != NULL && strstr(c->name, chosen.only) == NULL &&
            strstr(c->group, chosen.only) == NULL &&
            c != packet_class_reference())
            continue;
        ck_assert_uint_lt(n_runs++, CLASSES_MAX);
        r->class = c;
        r->s = stage_new(options_of(c));
        if (c->once != NULL)
            c->once(r->s);
        counted_round(r);
    }
}

static void
shuffle(size_t *order, size_t n, stage *random)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)(stage_random(random) % i), t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void
run_rounds(void)
{
    stage random = {.random = chosen.seed};
    size_t order[CLASSES_MAX];

    for (size_t i = 0; i < n_runs; i++)
        order[i] = i;
    for (size_t round = 0; round < chosen.rounds; round++) {
        shuffle(order, n_runs, &random);
        for (size_t i = 0; i < n_runs; i++)
            timed_round(&runs[order[i]]);
    }
    for (size_t i = 0; i < n_runs; i++)
        qsort(runs[i].ns, runs[i].n_rounds, sizeof(double), compare);
}

/* The table */

static double
median(const run *r)
{
    return r->ns[r->n_rounds / 2];
}

static double
reference(void)
{
    for (size_t i = 0; i < n_runs; i++)
        if (runs[i].class == packet_class_reference())
            return median(&runs[i]);
    return 0;
}

static double
each(const run *r, uint64_t sum)
{
    return (double)sum / (double)r->fed;
}

static void
print_run(const run *r, int counts)
{
    printf("  %-43s %9.0f %8.0f %9.0f %7.2f %6u %6u", r->class->name,
           median(r), r->ns[0], r->ns[r->n_rounds - 1],
           median(r) / reference(), r->worst_in, r->worst);
    if (counts)
        printf(" %6.1f %6.1f %8.0f", each(r, r->tally.own),
               each(r, r->tally.crypto),
               (double)r->tally.live / (double)r->fed);
    printf("\n");
}

static void
print_table(int counts)
{
    const char *group = "";

    memory_print_machine();
    printf("%zu rounds, seed %llu; ns: median, least, most; x: of a "
           "ClientHello without a cookie\n\n"
           "  %-43s %9s %8s %9s %7s %6s %6s%s\n",
           chosen.rounds, (unsigned long long)chosen.seed, "", "ns", "least",
           "most", "x", "in", "out", counts ? "    own OpenSSL    kept" : "");
    for (size_t i = 0; i < n_runs; i++) {
        if (strcmp(group, runs[i].class->group) != 0)
            printf("%s\n", runs[i].class->group);
        group = runs[i].class->group;
        print_run(&runs[i], counts);
    }
    printf("\nin, out: bytes of the longest datagram, and of all that "
           "answered one at once.\nown, OpenSSL: allocations for each; kept: "
           "bytes that stay allocated, on average.\n");
}

static void
print_json(int counts)
{
    printf("{");
    memory_json_machine();
    printf(",\"rounds\":%zu,\"seed\":%llu,\"classes\":[", chosen.rounds,
           (unsigned long long)chosen.seed);
    for (size_t i = 0; i < n_runs; i++) {
        const run *r = &runs[i];
        printf("%s\n{\"group\":\"%s\",\"name\":\"%s\",\"ns\":%.1f,"
               "\"least\":%.1f,\"most\":%.1f,\"ratio\":%.3f,\"in\":%u,"
               "\"out\":%u",
               i == 0 ? "" : ",", r->class->group, r->class->name, median(r),
               r->ns[0], r->ns[r->n_rounds - 1], median(r) / reference(),
               r->worst_in, r->worst);
        if (counts)
            printf(",\"own\":%.2f,\"openssl\":%.2f,\"kept\":%.0f",
                   each(r, r->tally.own), each(r, r->tally.crypto),
                   (double)r->tally.live / (double)r->fed);
        printf("}");
    }
    printf("\n]}\n");
}

static void
measure_time(int counts)
{
    start_runs();
    run_rounds();
    if (chosen.json)
        print_json(counts);
    else
        print_table(counts);
    for (size_t i = 0; i < n_runs; i++)
        stage_free(runs[i].s);
}

/* As one test, since the helpers assert with Check. */
static int counts_allocations;

START_TEST(cost)
{
    if (chosen.memory)
        memory_measure(chosen.json);
    else
        measure_time(counts_allocations);
    stage_remove_files();
}
END_TEST

static int
usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--json] [--rounds N] [--seed N] [--only WORDS]\n"
            "       %s --memory [--json]\n"
            "N is 1 to %d rounds\n",
            program, program, ROUNDS_MAX);
    return 2;
}

static int
parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--json") == 0)
            chosen.json = 1;
        else if (strcmp(argv[i], "--memory") == 0)
            chosen.memory = 1;
        else if (value == NULL)
            return 0;
        else if (strcmp(argv[i++], "--rounds") == 0)
            chosen.rounds = strtoul(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--seed") == 0)
            chosen.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--only") == 0)
            chosen.only = value;
        else
            return 0;
    }
    return chosen.rounds >= 1 && chosen.rounds <= ROUNDS_MAX;
}

int
main(int argc, char **argv)
{
    const TTest *const tests[] = {cost};
    SRunner *runner;
    int failed;

    counts_allocations = tally_install();
    if (!parse(argc, argv))
        return usage(argv[0]);
    if (chosen.memory && !counts_allocations) {
        fprintf(stderr,
                "%s: allocations can only be counted with glibc and "
                "without sanitizers\n",
                argv[0]);
        return 1;
    }
    runner = srunner_create(test_suite("cost", tests, 1));
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    if (failed != 0)
        srunner_print(runner, CK_NORMAL);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
