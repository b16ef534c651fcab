/* SPDX-License-Identifier: MIT
 * The strategy "cluster", as a module: what nodes of a fleet owe each other.
 * Its bytes are checked in vectors_test. */
#include "bundled.h"
#include "test.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0 UINT64_C(1795300000) /* unix seconds; not at an hour */
#define SECRET_A "hex:" HEX32 HEX32
#define SECRET_B "hex:" HEX32 "ffffffffffffffffffffffffffffffff"
#define HEX32 "00112233445566778899aabbccddeeff"
#define HEAD "dtlslisten-cluster-keys 1\n"

enum {
    LEN = 24,
    LIFETIME = 120000,
    SKEW = 60000,
    POLL = 10000
};

static uint8_t core[35];
static dtlsl_cookie_input in;
static char err[512];
static char log_text[8][700];
static size_t n_logged;

/* ---- fixture ---- */

static void
take_log(void *ctx, int32_t level, const char *text)
{
    (void)ctx;
    (void)level;
    if (n_logged < 8)
        snprintf(log_text[n_logged++], sizeof(log_text[0]), "%s", text);
}

static int
was_logged(const char *part)
{
    for (size_t i = 0; i < n_logged; i++)
        if (strstr(log_text[i], part) != NULL)
            return 1;
    return 0;
}

static void
setup(void)
{
    memset(core, 0x5a, sizeof(core));
    core[34] = 0;
    memset(&in, 0, sizeof(in));
    in.size = sizeof(in);
    in.mono_ms = 5000000;
    in.unix_ms = T0 * 1000;
    in.peer[10] = in.peer[11] = 0xff;
    in.peer[15] = 7;
    in.core = core;
    in.core_len = sizeof(core);
    in.fragment_len = 100;
    n_logged = 0;
}

/* Both clocks go on. */
static void
pass(int64_t ms)
{
    in.mono_ms += (uint64_t)ms;
    in.unix_ms += (uint64_t)ms;
}

static dtlsl_now
now(void)
{
    return (dtlsl_now){in.mono_ms, in.unix_ms};
}

static void
tick(dtlsl__chain *chain)
{
    dtlsl_now t = now();

    dtlsl__chain_tick(chain, &t);
}

/* A line "key KID T0+activate T0+retire SECRET"; retire 0: never. */
static size_t
key_line(char *out, size_t len, int kid, int activate, int retire,
         const char *secret)
{
    char end[32] = "-";

    if (retire != 0)
        snprintf(end, sizeof(end), "%llu",
                 (unsigned long long)(T0 + (uint64_t)retire));
    return (size_t)snprintf(out, len, "key %d %llu %s %s\n", kid,
                            (unsigned long long)(T0 + (uint64_t)activate), end,
                            secret);
}

static void
publish(char path[256], const char *text)
{
    bundled_file(path, "keys", text, strlen(text));
}

/* A file with one key, in force from long ago. */
static void
publish_one(char path[256], int kid, const char *secret)
{
    char text[1024] = HEAD;

    key_line(text + strlen(text), 512, kid, -1000, 0, secret);
    publish(path, text);
}

static int32_t
try_node(dtlsl__chain **out, const char *path, const char *more)
{
    char options[600];
    dtlsl_now t = now();
    int32_t status;

    snprintf(options, sizeof(options), "key-file=%s\n%s", path, more);
    status = bundled_chain(out, "cluster", options, &t, err);
    if (status == DTLSL_OK)
        dtlsl__chain_set_log(*out, take_log, NULL);
    return status;
}

static dtlsl__chain *
node(const char *path, const char *more)
{
    dtlsl__chain *chain = NULL;

    ck_assert_msg(try_node(&chain, path, more) == DTLSL_OK, "%s", err);
    return chain;
}

static int32_t
mint(dtlsl__chain *chain, uint8_t cookie[255])
{
    return dtlsl__chain_mint(chain, &in, cookie, 255);
}

static int32_t
verify(dtlsl__chain *chain, const uint8_t *cookie)
{
    dtlsl_cookie_result out = {.size = sizeof(out)};

    return dtlsl__chain_verify(chain, &in, cookie, LEN, &out);
}

static uint64_t
count(const dtlsl__chain *chain, const char *name)
{
    return bundled_count(chain, name);
}

/* ---- any node verifies any node's cookie ---- */

START_TEST(another_node_accepts_the_cookie_and_knows_who_minted_it)
{
    dtlsl_cookie_result out = {.size = sizeof(out)};
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *a, *b;

    setup();
    publish_one(path, 7, SECRET_A);
    a = node(path, "node=513");
    b = node(path, "");
    ck_assert_int_eq(mint(a, cookie), LEN);
    pass(1500);
    in.mono_ms = 77; /* another host, booted just now */
    ck_assert_int_eq(dtlsl__chain_verify(b, &in, cookie, LEN, &out),
                     DTLSL_COOKIE_VALID);
    ck_assert_uint_eq(out.node, 513);
    ck_assert_uint_eq(out.age_ms, 1500);
    dtlsl__chain_free(a);
    dtlsl__chain_free(b);
    bundled_done();
}
END_TEST

START_TEST(zones_of_a_host_do_not_count)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    memset(in.peer, 0, 24);
    in.peer[0] = 0xfe;
    in.peer[1] = 0x80;
    in.peer[21] = 3;
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    ck_assert_int_eq(mint(chain, cookie), LEN);
    in.peer[21] = 4;
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
    in.peer[15] = 1;
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "node=1");
    ck_assert_int_eq(mint(chain, cookie), LEN);
    for (size_t bit = 0; bit < 8 * LEN; bit++) {
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_ne(verify(chain, cookie), DTLSL_COOKIE_VALID);
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(services_with_one_secret_refuse_each_other)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *a, *b;

    setup();
    publish_one(path, 7, SECRET_A);
    a = node(path, "service=coap");
    b = node(path, "service=syslog");
    ck_assert_int_eq(mint(a, cookie), LEN);
    ck_assert_int_eq(verify(a, cookie), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(verify(b, cookie), DTLSL_COOKIE_MISMATCH);
    dtlsl__chain_free(a);
    dtlsl__chain_free(b);
    bundled_done();
}
END_TEST

/* ---- time ---- */

START_TEST(the_window_is_lifetime_and_skew_inclusive)
{
    static const struct {
        int64_t age;
        int32_t answer;
    } rows[] = {{-SKEW - 1, DTLSL_COOKIE_FUTURE},
                {-SKEW, DTLSL_COOKIE_VALID},
                {0, DTLSL_COOKIE_VALID},
                {LIFETIME, DTLSL_COOKIE_VALID},
                {LIFETIME + 1, DTLSL_COOKIE_EXPIRED}};
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    ck_assert_int_eq(mint(chain, cookie), LEN);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        in.unix_ms = T0 * 1000 + (uint64_t)rows[i].age;
        ck_assert_int_eq(verify(chain, cookie), rows[i].answer);
    }
    ck_assert_uint_eq(count(chain, "future"), 1);
    ck_assert_uint_eq(count(chain, "expired"), 1);
    ck_assert_uint_eq(count(chain, "valid_early"), 1);
    ck_assert_uint_eq(count(chain, "valid_late"), 1);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(cookies_cross_the_hour_in_both_directions)
{
    uint64_t hour = (T0 * 1000 / 3600000 + 1) * 3600000;
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    for (int64_t minted = -2; minted <= 2; minted++)
        for (int64_t seen = -SKEW; seen <= LIFETIME; seen += 20000) {
            in.unix_ms = hour + (uint64_t)(minted * 30000);
            ck_assert_int_eq(mint(chain, cookie), LEN);
            in.unix_ms += (uint64_t)seen;
            ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
        }
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_clock_that_was_never_set_mints_nothing)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish(path, HEAD "key 1 0 - " SECRET_A "\n");
    in.unix_ms = 3000;
    chain = node(path, "");
    ck_assert_int_eq(mint(chain, cookie), DTLSL_COOKIE_NOTREADY);
    in.unix_ms = T0 * 1000;
    tick(chain);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_stepped_clock_is_told_once)
{
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    tick(chain);
    pass(POLL);
    tick(chain);
    ck_assert(!was_logged("stepped"));
    in.unix_ms += 90000;
    pass(POLL);
    tick(chain);
    ck_assert(was_logged("UTC was stepped by 90000 ms"));
    n_logged = 0;
    pass(POLL);
    tick(chain);
    ck_assert(!was_logged("stepped"));
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_node_whose_clock_is_wrong_is_named)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *right, *wrong;

    setup();
    publish_one(path, 7, SECRET_A);
    right = node(path, "");
    in.unix_ms += 200000;
    wrong = node(path, "node=42");
    ck_assert_int_eq(mint(wrong, cookie), LEN);
    in.unix_ms -= 200000;
    ck_assert_int_eq(verify(right, cookie), DTLSL_COOKIE_FUTURE);
    pass(POLL);
    tick(right);
    ck_assert(was_logged("of node 42, 200000 ms ahead"));
    n_logged = 0;
    ck_assert_int_eq(verify(right, cookie), DTLSL_COOKIE_FUTURE);
    pass(POLL);
    tick(right); /* not again within a minute */
    ck_assert(!was_logged("node 42"));
    dtlsl__chain_free(right);
    dtlsl__chain_free(wrong);
    bundled_done();
}
END_TEST

START_TEST(a_slow_client_accuses_no_clock)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "node=42");
    tick(chain);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    pass(LIFETIME + SKEW);
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_EXPIRED);
    tick(chain);
    ck_assert(!was_logged("node 42"));
    pass(1);
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_EXPIRED);
    ck_assert_uint_eq(count(chain, "expired"), 2);
    for (int i = 0; i < 100; i++)
        verify(chain, cookie);
    ck_assert_uint_eq(count(chain, "expired"), 100);
    ck_assert_uint_eq(count(chain, "stale_unjudged"), 2);
    ck_assert_uint_eq(count(chain, "mismatch"), 2);
    pass(POLL);
    tick(chain);
    ck_assert(was_logged("node 42, 180001 ms old"));
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(forged_cookies_blame_no_node)
{
    uint8_t cookie[255], forged[LEN];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    ck_assert_int_eq(mint(chain, cookie), LEN);
    for (uint32_t i = 0; i < 5000; i++) {
        memcpy(forged, cookie, LEN);
        forged[1] = i % 3 == 0 ? 8 : 7;
        forged[2] = (uint8_t)(i * 7);
        forged[3] = (uint8_t)(i >> 3);
        forged[6] = 9;
        forged[LEN - 1] ^= 1;
        ck_assert_int_ne(verify(chain, forged), DTLSL_COOKIE_VALID);
    }
    ck_assert_uint_eq(count(chain, "valid_early"), 0);
    ck_assert_uint_eq(count(chain, "valid_late"), 0);
    ck_assert_uint_eq(count(chain, "expired"), 0);
    ck_assert_uint_eq(count(chain, "future"), 0);
    ck_assert_uint_gt(count(chain, "unknown_key"), 1000);
    ck_assert_uint_gt(count(chain, "mismatch"), 1000);
    pass(POLL);
    tick(chain);
    ck_assert(!was_logged("node 9"));
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

/* ---- keys ---- */

START_TEST(a_key_mints_from_activation_to_retirement)
{
    uint8_t cookie[255];
    char path[256], text[1024] = HEAD;
    dtlsl__chain *chain;
    size_t at = strlen(HEAD);

    setup();
    at += key_line(text + at, 300, 7, 10, 30, SECRET_A);
    key_line(text + at, 300, 8, 20, 0, SECRET_B);
    publish(path, text);
    chain = node(path, "");
    pass(9999);
    ck_assert_int_eq(mint(chain, cookie), DTLSL_COOKIE_NOTREADY);
    pass(1);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 7);
    pass(9999);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 7);
    pass(1);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 8);
    ck_assert_uint_eq(count(chain, "key_overdue"), 0);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_key_verifies_before_its_activation)
{
    uint8_t cookie[255];
    char path[256], text[1024] = HEAD;
    dtlsl__chain *early, *late;
    size_t at = strlen(HEAD);

    setup();
    at += key_line(text + at, 300, 7, -100, 30, SECRET_A);
    key_line(text + at, 300, 8, 20, 0, SECRET_B);
    publish(path, text);
    late = node(path, "");
    pass(25000);
    early = node(path, "");
    ck_assert_int_eq(mint(early, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 8);
    pass(-25000);
    ck_assert_int_eq(verify(late, cookie), DTLSL_COOKIE_VALID);
    dtlsl__chain_free(early);
    dtlsl__chain_free(late);
    bundled_done();
}
END_TEST

START_TEST(a_retired_key_verifies_for_lifetime_and_skew)
{
    uint8_t cookie[255];
    char path[256], text[1024] = HEAD;
    dtlsl__chain *chain;
    size_t at = strlen(HEAD);

    setup();
    at += key_line(text + at, 300, 7, -100, 10, SECRET_A);
    key_line(text + at, 300, 8, 0, 0, SECRET_B);
    publish(path, text);
    chain = node(path, "lifetime-ms=3000000");
    in.unix_ms = T0 * 1000 - 1000;
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 7);
    in.unix_ms = T0 * 1000 - 1000 + 3000000;
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
    /* its own time is over before the key's is: the answer must change to
     * one that needs the key, then to one that does not */
    in.unix_ms = T0 * 1000 + 10000 + 3000000 + SKEW;
    ck_assert_int_ne(verify(chain, cookie), DTLSL_COOKIE_UNKNOWN_KEY);
    in.unix_ms++;
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_UNKNOWN_KEY);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_forgotten_rotation_stops_nobody)
{
    uint8_t cookie[255];
    char path[256], text[1024] = HEAD;
    dtlsl__chain *chain;
    size_t at = strlen(HEAD);

    setup();
    at += key_line(text + at, 300, 7, -100, 10, SECRET_A);
    key_line(text + at, 300, 8, -100, 5, SECRET_B);
    publish(path, text);
    chain = node(path, "");
    pass(86400000);
    tick(chain);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 7);
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
    ck_assert_uint_gt(count(chain, "key_overdue"), 0);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

/* Key 7 has retired and goes on; a moment later key 8 takes over. */
START_TEST(a_gap_between_two_keys_loses_no_cookie)
{
    uint8_t cookie[255];
    char path[256], text[1024] = HEAD;
    dtlsl__chain *chain;
    size_t at = strlen(HEAD);

    setup();
    at += key_line(text + at, 300, 7, -90000, -3600, SECRET_A);
    key_line(text + at, 300, 8, 5000, 0, SECRET_B);
    publish(path, text);
    chain = node(path, "");
    pass(4999000);
    tick(chain);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 7);
    pass(LIFETIME);
    tick(chain);
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
    pass(1000 + SKEW);
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_EXPIRED);
    pass(1);
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_UNKNOWN_KEY);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

/* ---- a new file ---- */

START_TEST(a_new_file_is_in_force_after_a_poll)
{
    uint8_t old[255], cookie[255];
    char path[256], text[1024] = HEAD;
    dtlsl__chain *chain;
    size_t at = strlen(HEAD);

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    tick(chain);
    ck_assert_int_eq(mint(chain, old), LEN);
    at += key_line(text + at, 300, 7, -1000, 0, SECRET_A);
    key_line(text + at, 300, 8, -5, 0, SECRET_B);
    publish(path, text);
    pass(POLL - 1);
    tick(chain);
    ck_assert_uint_eq(count(chain, "key_reloads"), 0);
    pass(1);
    tick(chain);
    ck_assert_uint_eq(count(chain, "key_reloads"), 1);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 8);
    ck_assert_int_eq(verify(chain, old), DTLSL_COOKIE_VALID);
    pass(POLL);
    tick(chain); /* nothing new */
    ck_assert_uint_eq(count(chain, "key_reloads"), 1);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_bad_file_leaves_the_keys_in_force)
{
    uint8_t cookie[255];
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    tick(chain);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    publish(path, HEAD "key 7 0 - hex:00\n");
    pass(POLL);
    tick(chain);
    ck_assert_uint_eq(count(chain, "key_file_errors"), 1);
    ck_assert(was_logged("line 2"));
    ck_assert(was_logged("the old keys stay"));
    ck_assert_int_eq(verify(chain, cookie), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    unlink(path);
    pass(POLL);
    tick(chain);
    ck_assert_uint_eq(count(chain, "key_file_errors"), 2);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

static void
look(dtlsl__chain *chain, const char *told)
{
    n_logged = 0;
    pass(POLL);
    tick(chain);
    ck_assert_uint_eq(n_logged, told != NULL);
    if (told != NULL)
        ck_assert(was_logged(told));
}

START_TEST(each_fault_of_a_file_is_told_once)
{
    char path[256], away[300];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    tick(chain);
    publish(path, HEAD "key 7 0 - hex:00\n");
    look(chain, "line 2");
    look(chain, NULL);
    publish(path, HEAD "\nkey 7 0 - hex:00\n");
    look(chain, "line 3");
    ck_assert_int_eq(chmod(path, 0602), 0);
    look(chain, "chmod");
    publish_one(path, 7, SECRET_A);
    look(chain, NULL);
    /* It goes and comes back as it was. */
    snprintf(away, sizeof(away), "%s.away", path);
    ck_assert_int_eq(rename(path, away), 0);
    look(chain, "cannot open");
    ck_assert_int_eq(rename(away, path), 0);
    look(chain, NULL);
    ck_assert_int_eq(rename(path, away), 0);
    look(chain, "cannot open");
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

/* As kubelet does: ..data is a symbolic link to a directory, swapped by
 * rename. */
START_TEST(a_swapped_link_is_followed)
{
    char path[256], link_path[256], fresh[300], text[1024] = HEAD;
    uint8_t cookie[255];
    dtlsl__chain *chain;

    setup();
    key_line(text + strlen(text), 300, 7, -1000, 0, SECRET_A);
    bundled_file(path, "first", text, strlen(text));
    snprintf(link_path, sizeof(link_path), "%s/data", bundled_dir());
    ck_assert_int_eq(symlink("first", link_path), 0);
    chain = node(link_path, "");
    tick(chain);
    text[strlen(HEAD)] = '\0';
    key_line(text + strlen(HEAD), 300, 9, -1000, 0, SECRET_B);
    bundled_file(path, "second", text, strlen(text));
    snprintf(fresh, sizeof(fresh), "%s.new", link_path);
    ck_assert_int_eq(symlink("second", fresh), 0);
    ck_assert_int_eq(rename(fresh, link_path), 0);
    pass(POLL);
    tick(chain);
    ck_assert_int_eq(mint(chain, cookie), LEN);
    ck_assert_uint_eq(cookie[1], 9);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(a_wide_mode_is_warned_of_and_taken)
{
    char path[256];
    dtlsl__chain *chain;

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "");
    tick(chain);
    publish_one(path, 7, SECRET_B);
    ck_assert_int_eq(chmod(path, 0644), 0);
    pass(POLL);
    tick(chain);
    ck_assert(was_logged("0644"));
    ck_assert_uint_eq(count(chain, "key_reloads"), 1);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(service_of_option_and_file_must_agree)
{
    char path[256];
    dtlsl__chain *chain = NULL;

    setup();
    publish(path, HEAD "service coap\nkey 7 0 - " SECRET_A "\n");
    ck_assert_int_lt(try_node(&chain, path, "service=syslog"), 0);
    ck_assert_ptr_nonnull(strstr(err, "coap"));
    ck_assert_ptr_nonnull(strstr(err, "syslog"));
    chain = node(path, "service=coap");
    dtlsl__chain_free(chain);
    chain = node(path, "");
    tick(chain);
    publish(path, HEAD "service other\nkey 7 0 - " SECRET_A "\n");
    pass(POLL);
    tick(chain);
    ck_assert_uint_eq(count(chain, "key_file_errors"), 1);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(unusable_options_are_refused_with_a_remedy)
{
    static const char *const rows[][2] = {
        {"node=65536", "option node"},
        {"skew-ms=300001", "option skew-ms"},
        {"lifetime-ms=9999", "option lifetime-ms"},
        {"secret-file=/x", "has no option 'secret-file'"},
        {"key-file=", "the path is empty"},
    };
    char path[256];
    dtlsl__chain *chain = NULL;
    dtlsl_now t;

    setup();
    publish_one(path, 7, SECRET_A);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_lt(try_node(&chain, path, rows[i][0]), 0);
        ck_assert_msg(strstr(err, rows[i][1]) != NULL, "%s", err);
    }
    t = now();
    ck_assert_int_lt(bundled_chain(&chain, "cluster", NULL, &t, err), 0);
    ck_assert_ptr_nonnull(strstr(err, "needs key-file"));
    ck_assert_int_lt(try_node(&chain, "/nowhere/keys", ""), 0);
    ck_assert_ptr_nonnull(strstr(err, "/nowhere/keys"));
    bundled_done();
}
END_TEST

/* ---- moving from one strategy to another ---- */

START_TEST(a_chain_mints_the_first_and_accepts_both)
{
    char path[256], options[300];
    uint8_t old[255], cookie[255];
    dtlsl__chain *before, *after = NULL;
    dtlsl_now t;

    setup();
    t = now();
    publish_one(path, 7, SECRET_A);
    ck_assert_int_eq(bundled_chain(&before, "hmac", NULL, &t, err), DTLSL_OK);
    ck_assert_int_eq(mint(before, old), 22);
    snprintf(options, sizeof(options), "cluster.key-file=%s", path);
    ck_assert_msg(bundled_chain(&after, "cluster,hmac", options, &t, err) ==
                      DTLSL_OK,
                  "%s", err);
    ck_assert_int_eq(mint(after, cookie), LEN);
    ck_assert_int_eq(verify(after, cookie), DTLSL_COOKIE_VALID);
    ck_assert_int_eq(
        dtlsl__chain_verify(
            after, &in, old, 22,
            &(dtlsl_cookie_result){.size = sizeof(dtlsl_cookie_result)}),
        DTLSL_COOKIE_VALID);
    dtlsl__chain_free(before);
    dtlsl__chain_free(after);
    bundled_done();
}
END_TEST

/* By name, and with nothing in the directory of modules. */
static int
is_built_in(const char *name)
{
    static const char one_key[] = HEAD "key 1 0 - " SECRET_A "\n";
    dtlsl_cookie_option option = {"key-file", NULL};
    dtlsl__chain_options o = {.spec = name,
                              .plugin_dir = bundled_dir(),
                              .options = &option,
                              .n_options = 1};
    dtlsl__chain *chain = NULL;
    dtlsl_now now = {1, T0 * 1000};
    char path[256], module[300];
    int32_t status;

    bundled_file(path, "keys", one_key, strlen(one_key));
    option.value = path;
    snprintf(module, sizeof(module), "%s/dtlsl_cookie_%s.so", bundled_dir(),
             name);
    ck_assert_int_eq(unlink(module), 0);
    status = dtlsl__chain_new(&chain, &o, &now, err, sizeof(err));
    dtlsl__chain_free(chain);
    return status == DTLSL_OK;
}

/* An operator who watches unknown_key must not be woken by a start. */
START_TEST(a_fresh_node_has_counted_nothing)
{
    static const char *const names[] = {"minted",   "valid",     "unknown_key",
                                        "mismatch", "malformed", "expired"};
    dtlsl__chain *chain;
    char path[256];

    setup();
    publish_one(path, 7, SECRET_A);
    chain = node(path, "node=1");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_uint_eq(bundled_count(chain, names[i]), 0);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(strategies_are_built_in_as_configured)
{
#ifdef DTLSL_BUILTIN_CLUSTER
    const int cluster = 1;
#else
    const int cluster = 0;
#endif
#ifdef DTLSL_BUILTIN_AEAD
    const int aead = 1;
#else
    const int aead = 0;
#endif

    ck_assert_int_eq(is_built_in("cluster"), cluster);
    if (!cluster)
        ck_assert_ptr_nonnull(strstr(err, bundled_dir()));
    ck_assert_int_eq(is_built_in("aead"), aead);
    bundled_done();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        another_node_accepts_the_cookie_and_knows_who_minted_it,
        zones_of_a_host_do_not_count,
        every_flipped_bit_is_refused,
        services_with_one_secret_refuse_each_other,
        the_window_is_lifetime_and_skew_inclusive,
        cookies_cross_the_hour_in_both_directions,
        a_clock_that_was_never_set_mints_nothing,
        a_stepped_clock_is_told_once,
        a_node_whose_clock_is_wrong_is_named,
        a_slow_client_accuses_no_clock,
        forged_cookies_blame_no_node,
        a_key_mints_from_activation_to_retirement,
        a_key_verifies_before_its_activation,
        a_retired_key_verifies_for_lifetime_and_skew,
        a_forgotten_rotation_stops_nobody,
        a_gap_between_two_keys_loses_no_cookie,
        a_new_file_is_in_force_after_a_poll,
        a_bad_file_leaves_the_keys_in_force,
        each_fault_of_a_file_is_told_once,
        a_swapped_link_is_followed,
        a_wide_mode_is_warned_of_and_taken,
        service_of_option_and_file_must_agree,
        unusable_options_are_refused_with_a_remedy,
        a_chain_mints_the_first_and_accepts_both,
        a_fresh_node_has_counted_nothing,
        strategies_are_built_in_as_configured,
    };

    return test_main(
        test_suite("cluster", tests, sizeof(tests) / sizeof(tests[0])));
}
