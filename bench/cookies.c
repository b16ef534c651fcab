/* SPDX-License-Identifier: MIT
 * What a cookie costs: mint and verify of each strategy, loaded as a module
 * and called as the gate does, beside a bare HMAC-SHA-256 over 100 bytes with
 * a context that is keyed once.
 *
 *     make bench/cookies
 *     bench/cookies [--json] [--rounds N] [--seed N] [--only STRATEGY]
 *
 * Rounds of all rows are mixed in a random order; time is that of the thread.
 * The ratio is to the bare HMAC in the same round. */
#include "bundled.h"
#include "test.h"
#include <getopt.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <time.h>

enum {
    ROUNDS_MAX = 1001,
    CALLS = 2000, /* in a round */
    ROWS_MAX = 32,
    MONO_MS = 7200000
};

/* With cipher suites of 32 bytes hmac binds 99 bytes; with 60, as s_client has,
 * 127. */
typedef struct hello {
    const char *name;
    uint32_t suites_len;
} hello;

typedef struct strategy {
    const char *name;
    const char *module;
    const char *options; /* behind the key file's, if it takes one */
    int keyed;
} strategy;

typedef struct row {
    const hello *hello; /* NULL: the bare HMAC */
    const strategy *strategy;
    int verifies;
    dtlsl__chain *chain;
    dtlsl_cookie_input in;
    uint8_t core[35];
    uint8_t tail[128];
    uint8_t cookie[255];
    size_t cookie_len;
    double ns[ROUNDS_MAX];
    double ratio[ROUNDS_MAX];
} row;

static const hello hellos[] = {{"short", 32}, {"s_client's", 60}};
static const strategy strategies[] = {
    {"hmac", "hmac", "", 0},
    {"cluster", "cluster", "", 1},
    {"aead", "aead", "app=hex:010203040506070809", 1},
    {"aead, no key file", "aead", "app=hex:010203040506070809", 0},
    {"aead, fips", "aead", "profile=fips\napp=hex:010203040506070809", 1},
};

static struct {
    int json;
    size_t rounds;
    uint64_t seed;
    const char *only;
} chosen = {.rounds = 201, .seed = 1};

static row rows[ROWS_MAX];
static size_t n_rows;
static EVP_MAC_CTX *bare;
static uint64_t unix_ms = UINT64_C(1795300000000);

/* ---- what is measured ---- */

static void
open_bare(void)
{
    static const uint8_t key[32] = {1};
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    bare = EVP_MAC_CTX_new(mac);
    ck_assert_int_eq(EVP_MAC_init(bare, key, sizeof(key), params), 1);
    EVP_MAC_free(mac);
}

static void
call_bare(void)
{
    static const uint8_t message[100];
    uint8_t tag[32];
    size_t len;

    for (int i = 0; i < CALLS; i++)
        if (!EVP_MAC_init(bare, NULL, 0, NULL) ||
            !EVP_MAC_update(bare, message, sizeof(message)) ||
            !EVP_MAC_final(bare, tag, &len, sizeof(tag)))
            ck_abort_msg("HMAC failed");
}

static void
call_mint(row *r)
{
    uint8_t cookie[255];

    for (int i = 0; i < CALLS; i++)
        if (dtlsl__chain_mint(r->chain, &r->in, cookie, sizeof(cookie)) !=
            (int32_t)r->cookie_len)
            ck_abort_msg("%s does not mint", r->strategy->name);
}

static void
call_verify(row *r)
{
    for (int i = 0; i < CALLS; i++) {
        dtlsl_cookie_result out;

        if (dtlsl__chain_verify(r->chain, &r->in, r->cookie, r->cookie_len,
                                &out) != DTLSL_COOKIE_VALID)
            ck_abort_msg("%s does not verify", r->strategy->name);
    }
}

/* ---- rows ---- */

static dtlsl__chain *
open_strategy(const strategy *s)
{
    static const char keys[] = "dtlslisten-cluster-keys 1\n"
                               "key 1 0 - hex:000102030405060708090a0b0c0d0e0f"
                               "101112131415161718191a1b1c1d1e1f\n";
    dtlsl_now now = {MONO_MS, unix_ms};
    char path[256], options[400] = "", err[512];
    dtlsl__chain *chain = NULL;

    if (s->keyed) {
        bundled_file(path, "keys", keys, strlen(keys));
        snprintf(options, sizeof(options), "key-file=%s\n%s", path,
                 s->options);
    } else {
        snprintf(options, sizeof(options), "%s", s->options);
    }
    ck_assert_msg(bundled_chain(&chain, s->module, options, &now, err) == 0,
                  "%s", err);
    return chain;
}

static void
add_row(const hello *h, const strategy *s, int verifies)
{
    row *r = &rows[n_rows++];
    int32_t len;

    ck_assert_uint_le(n_rows, ROWS_MAX);
    r->hello = h;
    if (h == NULL)
        return;
    r->strategy = s;
    r->verifies = verifies;
    r->chain = open_strategy(s);
    r->core[0] = 0xfe;
    r->core[1] = 0xfd;
    r->tail[1] = (uint8_t)h->suites_len;
    r->tail[2 + h->suites_len] = 1;
    r->in = (dtlsl_cookie_input){.size = sizeof(r->in),
                                 .flags = DTLSL_COOKIE_IN_TAIL,
                                 .mono_ms = MONO_MS,
                                 .unix_ms = unix_ms,
                                 .peer = {[10] = 0xff, 0xff, 127, 0, 0, 1},
                                 .core = r->core,
                                 .core_len = sizeof(r->core),
                                 .tail = r->tail,
                                 .tail_len = h->suites_len + 4,
                                 .fragment_len = 200};
    len = dtlsl__chain_mint(r->chain, &r->in, r->cookie, sizeof(r->cookie));
    ck_assert_int_gt(len, 0);
    r->cookie_len = (size_t)len;
}

static int
is_chosen(const strategy *s)
{
    return chosen.only == NULL || strcmp(chosen.only, s->name) == 0;
}

static void
open_rows(void)
{
    open_bare();
    add_row(NULL, NULL, 0);
    for (size_t h = 0; h < sizeof(hellos) / sizeof(hellos[0]); h++)
        for (size_t s = 0; s < sizeof(strategies) / sizeof(strategies[0]); s++)
            for (int verifies = 0; is_chosen(&strategies[s]) && verifies <= 1;
                 verifies++)
                add_row(&hellos[h], &strategies[s], verifies);
}

/* ---- rounds ---- */

static double
timed(row *r)
{
    struct timespec start, end;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    if (r->hello == NULL)
        call_bare();
    else if (r->verifies)
        call_verify(r);
    else
        call_mint(r);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return ((double)(end.tv_sec - start.tv_sec) * 1e9 +
            (double)(end.tv_nsec - start.tv_nsec)) /
           CALLS;
}

/* xorshift64: the same order in each run. */
static uint64_t
random_below(uint64_t n)
{
    chosen.seed ^= chosen.seed << 13;
    chosen.seed ^= chosen.seed >> 7;
    chosen.seed ^= chosen.seed << 17;
    return chosen.seed % n;
}

static void
run_round(size_t round)
{
    size_t order[ROWS_MAX];

    for (size_t i = 0; i < n_rows; i++)
        order[i] = i;
    for (size_t i = n_rows; i > 1; i--) {
        size_t k = (size_t)random_below(i), t = order[i - 1];

        order[i - 1] = order[k];
        order[k] = t;
    }
    for (size_t i = 0; i < n_rows; i++)
        rows[order[i]].ns[round] = timed(&rows[order[i]]);
    for (size_t i = 0; i < n_rows; i++)
        rows[i].ratio[round] = rows[i].ns[round] / rows[0].ns[round];
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* ---- the table ---- */

static void
print_row(const row *r, int first)
{
    const char *name = r->hello == NULL ? "bare HMAC" : r->strategy->name;
    const char *input = r->hello == NULL ? "100 bytes" : r->hello->name;
    const char *what = r->hello == NULL ? "" : r->verifies ? "verify" : "mint";
    size_t middle = chosen.rounds / 2;

    if (chosen.json)
        printf("%s\n{\"strategy\":\"%s\",\"hello\":\"%s\",\"what\":\"%s\","
               "\"ns\":%.1f,\"ratio\":%.3f}",
               first ? "" : ",", name, input, what, r->ns[middle],
               r->ratio[middle]);
    else
        printf("%-18s %-7s %-11s %6.0f %6.2f %6.2f %6.2f\n", name, what, input,
               r->ns[middle], r->ratio[middle], r->ratio[chosen.rounds / 20],
               r->ratio[chosen.rounds - 1 - chosen.rounds / 20]);
}

START_TEST(cookies)
{
    open_rows();
    for (size_t round = 0; round < chosen.rounds; round++)
        run_round(round);
    if (chosen.json)
        printf("[");
    else
        printf("%zu rounds of %d calls; medians, and the ratio's 5th and 95th "
               "percentile\n\n%-18s %-7s %-11s %6s %6s\n",
               chosen.rounds, CALLS, "", "", "ClientHello", "ns", "x");
    for (size_t i = 0; i < n_rows; i++) {
        qsort(rows[i].ns, chosen.rounds, sizeof(double), compare);
        qsort(rows[i].ratio, chosen.rounds, sizeof(double), compare);
        print_row(&rows[i], i == 0);
        dtlsl__chain_free(rows[i].chain);
    }
    if (chosen.json)
        printf("\n]\n");
    EVP_MAC_CTX_free(bare);
    bundled_done();
}
END_TEST

static int
parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"rounds", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"only", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'j')
            chosen.json = 1;
        else if (c == 'r')
            chosen.rounds = strtoul(optarg, NULL, 10);
        else if (c == 's')
            chosen.seed = strtoull(optarg, NULL, 10);
        else if (c == 'o')
            chosen.only = optarg;
        else
            return 0;
    }
    return optind == argc && chosen.seed != 0 && chosen.rounds >= 1 &&
           chosen.rounds <= ROUNDS_MAX;
}

int
main(int argc, char **argv)
{
    const TTest *const tests[] = {cookies};
    SRunner *runner;
    int failed;

    if (!parse(argc, argv)) {
        fprintf(stderr,
                "usage: %s [--json] [--rounds N] [--seed N] "
                "[--only STRATEGY]\n"
                "N is 1 to %d rounds, the seed is not 0\n",
                argv[0], ROUNDS_MAX);
        return 2;
    }
    runner = srunner_create(test_suite("cookies", tests, 1));
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    if (failed != 0)
        srunner_print(runner, CK_NORMAL);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
