/* SPDX-License-Identifier: MIT
 * The strategies as modules against the vectors of an independent program,
 * tests/vectors/vectors.py. */
#include "bundled.h"
#include "hello.h"
#include "schedule.h"
#include "test.h"
#include <stdio.h>

enum {
    FIELDS = 20
};

/* One block of "name value" lines. */
typedef struct vector {
    size_t n;
    char *name[FIELDS];
    char *value[FIELDS];
} vector;

static const dtlsl_cookie_host *host;

/* ---- the file ---- */

static char *
load_file(void)
{
    FILE *f = fopen(TEST_SRCDIR "/vectors/cookies.txt", "r");
    char *text = calloc(1, 1 << 20);

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(text, 1, (1 << 20) - 1, f), 1000);
    fclose(f);
    return text;
}

/* Reads the block at *text and goes behind it; 0 at the end. */
static int
next_vector(vector *v, char **text)
{
    v->n = 0;
    while (**text != '\0') {
        char *line = *text, *end = strchr(line, '\n'), *blank;

        *text = end + 1;
        *end = '\0';
        if (*line == '#')
            continue;
        if (*line == '\0' && v->n > 0)
            return 1;
        blank = strchr(line, ' ');
        if (blank == NULL)
            continue;
        *blank = '\0';
        ck_assert_uint_lt(v->n, FIELDS);
        v->name[v->n] = line;
        v->value[v->n++] = blank + 1;
    }
    return v->n > 0;
}

static const char *
find(const vector *v, const char *name)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->name[i], name) == 0)
            return v->value[i];
    return NULL;
}

static uint64_t
find_number(const vector *v, const char *name, uint64_t otherwise)
{
    const char *value = find(v, name);

    return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

/* Its length, 0 without one. */
static size_t
find_bytes(const vector *v, const char *name, uint8_t *out, size_t cap)
{
    const char *hex = find(v, name);
    size_t len = hex == NULL ? 0 : strlen(hex) / 2;

    ck_assert_uint_le(len, cap);
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
    return len;
}

/* ---- cookies ---- */

typedef struct hello {
    dtlsl_cookie_input in;
    uint8_t core[DTLSL__CORE_MAX];
    uint8_t tail[DTLSL__TAIL_MAX];
} hello;

static void
read_input(const vector *v, hello *h)
{
    dtlsl_cookie_input *in = &h->in;

    memset(h, 0, sizeof(*h));
    in->size = sizeof(*in);
    in->mono_ms = find_number(v, "mono", 1);
    in->unix_ms = find_number(v, "unix", 1795300000000);
    ck_assert_uint_eq(find_bytes(v, "peer", in->peer, 24), 24);
    if (find_bytes(v, "local", in->local, 24) == 24)
        in->flags |= DTLSL_COOKIE_IN_LOCAL;
    in->core = h->core;
    in->core_len = (uint32_t)find_bytes(v, "core", h->core, sizeof(h->core));
    in->tail = h->tail;
    in->tail_len = (uint32_t)find_bytes(v, "tail", h->tail, sizeof(h->tail));
    if (in->tail_len > 0)
        in->flags |= DTLSL_COOKIE_IN_TAIL;
    in->fragment_len = (uint32_t)find_number(v, "fragment", 1000);
    if (find(v, "fragment") != NULL)
        in->flags |= DTLSL_COOKIE_IN_FRAGMENTED;
}

/* A file with the vector's key, in force always. */
static void
write_keys(const vector *v, char path[256])
{
    char text[2048], service[300] = "";
    uint8_t name[256] = {0};

    if (find_bytes(v, "service", name, 255) > 0)
        snprintf(service, sizeof(service), "service %s\n", (char *)name);
    snprintf(text, sizeof(text),
             "dtlslisten-cluster-keys 1\n%skey %s 0 - hex:%s\n", service,
             find(v, "kid"), find(v, "secret"));
    bundled_file(path, "keys", text, strlen(text));
}

/* The options that make a strategy do what the vector says. */
static void
spell_options(const vector *v, char *out, size_t len)
{
    const char *strategy = find(v, "strategy");
    uint8_t bytes[256] = {0};
    char path[256];
    size_t at = 0;

    if (strcmp(strategy, "hmac") == 0) {
        size_t n = find_bytes(v, "secret", bytes, sizeof(bytes));

        bundled_file(path, "secret", bytes, n);
        at = (size_t)snprintf(out, len, "secret-file=%s\nboot-id=0\n", path);
        memset(bytes, 0, sizeof(bytes));
        if (find_bytes(v, "service", bytes, 255) > 0)
            at += (size_t)snprintf(out + at, len - at, "service=%s\n",
                                   (char *)bytes);
    } else if (find(v, "kid") != NULL) {
        write_keys(v, path);
        at = (size_t)snprintf(out, len, "key-file=%s\n", path);
    }
    if (find(v, "budget") != NULL)
        at += (size_t)snprintf(out + at, len - at, "tail-budget=%s\n",
                               find(v, "budget"));
    if (find(v, "node") != NULL)
        at +=
            (size_t)snprintf(out + at, len - at, "node=%s\n", find(v, "node"));
    if (strcmp(strategy, "fips") == 0)
        at += (size_t)snprintf(out + at, len - at, "profile=fips\n");
    if (find(v, "app") != NULL && find(v, "app")[0] != '\0')
        snprintf(out + at, len - at, "max-app-len=232\napp=hex:%s\n",
                 find(v, "app"));
}

static void
check_cookie(const vector *v)
{
    const char *strategy = find(v, "strategy");
    const char *module = strcmp(strategy, "fips") == 0 ? "aead" : strategy;
    uint8_t want[256], got[256], app[256];
    char options[2048] = "", err[512];
    dtlsl_cookie_result out = {.size = sizeof(out)};
    dtlsl__chain *chain = NULL;
    size_t len = find_bytes(v, "cookie", want, sizeof(want)), app_len;
    dtlsl_now now;
    hello h;

    read_input(v, &h);
    spell_options(v, options, sizeof(options));
    now = (dtlsl_now){h.in.mono_ms, h.in.unix_ms};
    ck_assert_msg(bundled_chain(&chain, module, options, &now, err) ==
                      DTLSL_OK,
                  "%s: %s", find(v, "vector"), err);
    ck_assert_msg(dtlsl__chain_mint(chain, &h.in, got, 255) == (int32_t)len &&
                      memcmp(got, want, len) == 0,
                  "%s differs", find(v, "vector"));
    ck_assert_int_eq(dtlsl__chain_verify(chain, &h.in, want, len, &out),
                     DTLSL_COOKIE_VALID);
    app_len = find_bytes(v, "app", app, sizeof(app));
    ck_assert_uint_eq(out.app_len, app_len);
    ck_assert_mem_eq(out.app, app, app_len);
    ck_assert_uint_eq(out.node, find_number(v, "node", 0));
    dtlsl__chain_free(chain);
}

static const char *
verdict_name(int32_t verdict)
{
    static const char *const names[] = {
        [DTLSL_COOKIE_VALID] = "VALID",
        [DTLSL_COOKIE_MALFORMED] = "MALFORMED",
        [DTLSL_COOKIE_UNKNOWN_KEY] = "UNKNOWN_KEY",
        [DTLSL_COOKIE_EXPIRED] = "EXPIRED",
        [DTLSL_COOKIE_FUTURE] = "FUTURE",
        [DTLSL_COOKIE_MISMATCH] = "MISMATCH",
        [DTLSL_COOKIE_NEED_MORE] = "NEED_MORE",
    };

    return verdict > 0 && (size_t)verdict < sizeof(names) / sizeof(names[0])
               ? names[verdict]
               : "a failure";
}

static void
check_verdict(const vector *v)
{
    const char *strategy = find(v, "strategy");
    const char *module = strcmp(strategy, "fips") == 0 ? "aead" : strategy;
    dtlsl_cookie_result out = {.size = sizeof(out)};
    uint8_t cookie[256], data[256];
    char options[2048] = "", err[512];
    size_t len = find_bytes(v, "cookie", cookie, sizeof(cookie)), data_len;
    dtlsl__chain *chain = NULL;
    const char *got;
    dtlsl_now now;
    hello h;

    read_input(v, &h);
    h.in.mono_ms = h.in.unix_ms = find_number(v, "now", 0);
    now = (dtlsl_now){h.in.mono_ms, h.in.unix_ms};
    spell_options(v, options, sizeof(options));
    ck_assert_msg(bundled_chain(&chain, module, options, &now, err) ==
                      DTLSL_OK,
                  "%s: %s", find(v, "vector"), err);
    got = verdict_name(dtlsl__chain_verify(chain, &h.in, cookie, len, &out));
    ck_assert_msg(strcmp(got, find(v, "verdict")) == 0, "%s is %s",
                  find(v, "vector"), got);
    ck_assert_uint_eq(out.age_ms, find_number(v, "age", 0));
    data_len = find_bytes(v, "data", data, sizeof(data));
    ck_assert_uint_eq(out.app_len, data_len);
    ck_assert_mem_eq(out.app, data, data_len);
    dtlsl__chain_free(chain);
}

/* PRK and K, which no cookie shows. */
static void
check_keys(const vector *v)
{
    static const struct {
        const char *strategy;
        uint8_t id;
        uint8_t len;
    } kinds[] = {{"hmac", DTLSL__ID_HMAC, 32},
                 {"cluster", DTLSL__ID_CLUSTER, 32},
                 {"aead", DTLSL__ID_AEAD, 32},
                 {"fips", DTLSL__ID_FIPS, 64}};
    uint8_t secret[256], prk[32], want[64], key[64];
    size_t len = find_bytes(v, "secret", secret, sizeof(secret)), i = 0;
    int keyed = find(v, "kid") != NULL;
    uint64_t now = find_number(v, keyed ? "unix" : "mono", 0);
    uint8_t kid = (uint8_t)find_number(v, "kid", 0);
    dtlsl__realm realm = {0};

    while (strcmp(kinds[i].strategy, find(v, "strategy")) != 0)
        i++;
    realm.service_len = (uint8_t)find_bytes(v, "service", realm.service, 255);
    ck_assert_int_eq(dtlsl__schedule_prk(host, secret, len, prk), DTLSL_OK);
    find_bytes(v, "prk", want, 32);
    ck_assert_mem_eq(prk, want, 32);
    if (!keyed)
        ck_assert_int_eq(dtlsl__schedule_kid(host, prk, &kid), DTLSL_OK);
    ck_assert_int_eq(dtlsl__schedule_key(host, prk, kinds[i].id, kid,
                                         now / DTLSL__EPOCH_MS, &realm, key,
                                         kinds[i].len),
                     DTLSL_OK);
    ck_assert_uint_eq(find_bytes(v, "key", want, sizeof(want)), kinds[i].len);
    ck_assert_mem_eq(key, want, kinds[i].len);
}

/* ---- key files and hellos ---- */

static void
check_file(const vector *v)
{
    static const uint8_t core[35] = {0xfe, 0xfd};
    uint64_t unix_ms = find_number(v, "at", 0) * 1000;
    dtlsl_cookie_input in = {.size = sizeof(in),
                             .mono_ms = 1,
                             .unix_ms = unix_ms,
                             .core = core,
                             .core_len = 35,
                             .fragment_len = 60};
    dtlsl_now now = {1, unix_ms};
    char path[256], options[300], err[512];
    uint8_t text[16384], cookie[255];
    const char *mints = find(v, "mints");
    dtlsl__chain *chain = NULL;
    size_t len = find_bytes(v, "file", text, sizeof(text));
    int32_t status;

    bundled_file(path, "keys", text, len);
    snprintf(options, sizeof(options), "key-file=%s", path);
    status = bundled_chain(&chain, "cluster", options, &now, err);
    if (strcmp(find(v, "result"), "refused") == 0) {
        ck_assert_msg(status < 0, "%s was accepted", find(v, "vector"));
        ck_assert_ptr_nonnull(strstr(err, path));
        return;
    }
    ck_assert_msg(status == DTLSL_OK, "%s: %s", find(v, "vector"), err);
    status = dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));
    if (strcmp(mints, "none") == 0) {
        ck_assert_int_eq(status, DTLSL_COOKIE_NOTREADY);
    } else {
        ck_assert_int_eq(status, 24);
        ck_assert_uint_eq(cookie[1], find_number(v, "mints", 0));
    }
    dtlsl__chain_free(chain);
}

static void
check_hello(const vector *v)
{
    uint8_t datagram[512], core[128], cookie[255], tail[512];
    size_t len = find_bytes(v, "datagram", datagram, sizeof(datagram));
    dtlsl__hello read;

    ck_assert_int_eq(dtlsl__hello_read(&read, datagram, len),
                     DTLSL_REASON_NONE);
    ck_assert_uint_eq(read.core_len,
                      find_bytes(v, "core", core, sizeof(core)));
    ck_assert_mem_eq(read.core, core, read.core_len);
    ck_assert_uint_eq(read.cookie_len,
                      find_bytes(v, "cookie", cookie, sizeof(cookie)));
    ck_assert_mem_eq(read.cookie, cookie, read.cookie_len);
    ck_assert_uint_eq(read.tail_len,
                      find_bytes(v, "tail", tail, sizeof(tail)));
    ck_assert_mem_eq(read.tail, tail, read.tail_len);
}

/* ---- the suite ---- */

START_TEST(strategies_make_the_cookies_of_an_independent_program)
{
    char *text = load_file(), *at = text;
    static const uint8_t secret[32] = {0};
    dtlsl__host lent = {.n_lines = 0};
    char err[512];
    size_t n = 0;
    vector v;

    ck_assert_int_eq(dtlsl__host_init(&lent, secret, err, sizeof(err)),
                     DTLSL_OK);
    host = &lent.table;
    while (next_vector(&v, &at)) {
        if (find(&v, "strategy") == NULL || find(&v, "verdict") != NULL)
            continue;
        check_keys(&v);
        check_cookie(&v);
        n++;
    }
    ck_assert_uint_ge(n, 40);
    dtlsl__host_clear(&lent);
    free(text);
    bundled_done();
}
END_TEST

START_TEST(strategies_judge_as_an_independent_program_does)
{
    char *text = load_file(), *at = text;
    size_t n = 0;
    vector v;

    while (next_vector(&v, &at)) {
        if (find(&v, "verdict") == NULL)
            continue;
        check_verdict(&v);
        n++;
    }
    ck_assert_uint_ge(n, 90);
    free(text);
    bundled_done();
}
END_TEST

START_TEST(key_files_are_read_as_an_independent_program_does)
{
    char *text = load_file(), *at = text;
    size_t n = 0;
    vector v;

    while (next_vector(&v, &at)) {
        if (find(&v, "file") == NULL)
            continue;
        check_file(&v);
        n++;
    }
    ck_assert_uint_ge(n, 30);
    free(text);
    bundled_done();
}
END_TEST

START_TEST(a_hello_is_split_as_by_an_independent_program)
{
    char *text = load_file(), *at = text;
    size_t n = 0;
    vector v;

    while (next_vector(&v, &at)) {
        if (find(&v, "datagram") == NULL)
            continue;
        check_hello(&v);
        n++;
    }
    ck_assert_uint_ge(n, 1);
    free(text);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        strategies_make_the_cookies_of_an_independent_program,
        strategies_judge_as_an_independent_program_does,
        key_files_are_read_as_an_independent_program_does,
        a_hello_is_split_as_by_an_independent_program,
    };

    return test_main(
        test_suite("vectors", tests, sizeof(tests) / sizeof(tests[0])));
}
