/* SPDX-License-Identifier: MIT
 * Old and new at once: strategies, hosts and applications that were built
 * against shorter or longer structs than this library. Whatever is shared lies
 * before a page that cannot be touched, so that a look beyond 'size' is the
 * end of the test. */
#include "bundled.h"
#include "plugin.h"
#include "test.h"
#include <dtlslisten/gate.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    COOKIE_ROOM = 64,
    MORE = 48 /* bytes of fields that are not invented yet */
};

#define TABLE_V1 offsetof(dtlsl_cookie_plugin, tick)

static const dtlsl_now now = {5000000, 1790000000000};
static char err[512];

/* A copy of 'len' bytes that ends where memory does. */
static void *
at_the_edge(const void *data, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
    memcpy(pages + page - len, data, len);
    return pages + page - len;
}

/* ---- this library as the host ---- */

static dtlsl_cookie_input
hello(const uint8_t core[35])
{
    return (dtlsl_cookie_input){.size = sizeof(dtlsl_cookie_input),
                                .mono_ms = now.mono_ms,
                                .unix_ms = now.unix_ms,
                                .peer = {[15] = 1, [17] = 9},
                                .core = core,
                                .core_len = 35,
                                .fragment_len = 60};
}

static void
expect_round_trip(dtlsl__chain *chain)
{
    static const uint8_t core[35] = {0xfe, 0xfd, 1, 2, 3};
    dtlsl_cookie_input in = hello(core);
    dtlsl_cookie_result out;
    uint8_t cookie[COOKIE_ROOM];
    int32_t len = dtlsl__chain_mint(chain, &in, cookie, sizeof(cookie));

    ck_assert_int_gt(len, 0);
    ck_assert_int_eq(
        dtlsl__chain_verify(chain, &in, cookie, (size_t)len, &out),
        DTLSL_COOKIE_VALID);
    cookie[len - 1] ^= 1;
    ck_assert_int_eq(
        dtlsl__chain_verify(chain, &in, cookie, (size_t)len, &out),
        DTLSL_COOKIE_MISMATCH);
}

START_TEST(plugin_without_the_newer_functions_is_used)
{
    dtlsl__chain *chain;
    const char *strategy, *name;
    uint64_t value;

    bundled_module("old");
    ck_assert_msg(bundled_chain(&chain, "old", NULL, &now, err) == 0, "%s",
                  err);
    expect_round_trip(chain);
    ck_assert_uint_eq(dtlsl__chain_tick(chain, &now), UINT64_MAX);
    ck_assert_int_eq(dtlsl__chain_counter(chain, 0, &strategy, &name, &value),
                     0);
    ck_assert_str_eq(name, "strategy_failed");
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(plugin_with_functions_of_the_future_is_used)
{
    dtlsl__chain *chain;

    bundled_module("newer");
    ck_assert_msg(bundled_chain(&chain, "newer,hmac", NULL, &now, err) == 0,
                  "%s", err);
    expect_round_trip(chain);
    dtlsl__chain_tick(chain, &now);
    ck_assert_uint_eq(bundled_count(chain, "from_host"), 0);
    ck_assert_uint_eq(bundled_count(chain, "from_input"), 0);
    ck_assert_uint_eq(bundled_count(chain, "to_result"), 0);
    ck_assert_uint_eq(bundled_count(chain, "called"), 0);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(strategy_of_the_process_may_have_a_short_table)
{
    dtlsl_cookie_plugin table = *dtlsl__cookie_builtin("hmac");
    dtlsl_config *config;
    dtlsl_gate *gate;

    table.size = TABLE_V1;
    table.name = "own";
    ck_assert_int_eq(dtlsl_config_new(&config), 0);
    ck_assert_int_eq(
        dtlsl_config_add_cookie(config, at_the_edge(&table, TABLE_V1), NULL),
        0);
    ck_assert_int_eq(dtlsl_config_set(config, "cookie", "own"), 0);
    ck_assert_msg(dtlsl_gate_new(&gate, config) == 0, "%s",
                  dtlsl_config_error(config));
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
}
END_TEST

START_TEST(table_has_what_its_size_covers)
{
    const size_t counter = offsetof(dtlsl_cookie_plugin, counter);
    dtlsl_cookie_plugin table = *dtlsl__cookie_builtin("hmac");
    uint8_t room[sizeof(table) + MORE];
    dtlsl_cookie_plugin known;

    for (uint32_t size = 0; size <= sizeof(room); size += 4) {
        const dtlsl_cookie_plugin *given;

        table.size = size;
        memset(room, 0xee, sizeof(room));
        memcpy(room, &table, sizeof(table));
        given = at_the_edge(room, size > 8 ? (size + 7) / 8 * 8 : 8);
        ck_assert_int_eq(dtlsl__plugin_vet(given, "here", err, sizeof(err)),
                         size < TABLE_V1 ? DTLSL_ERR_PLUGIN : DTLSL_OK);
        if (size < TABLE_V1)
            continue;
        dtlsl__plugin_read(&known, given);
        ck_assert_uint_eq(known.size, sizeof(known));
        ck_assert(known.verify == table.verify);
        ck_assert(known.tick == (size < counter ? NULL : table.tick));
        ck_assert(known.counter ==
                  (size < sizeof(table) ? NULL : table.counter));
    }
}
END_TEST

/* ---- a bundled strategy, and another library's structs ---- */

static const dtlsl_cookie_host *lent;

static int32_t
spy_open(const dtlsl_cookie_host *host, void *user,
         const dtlsl_cookie_option *options, size_t n, void **state,
         char *text, size_t text_len)
{
    lent = host;
    return dtlsl__cookie_builtin("hmac")->open(host, user, options, n, state,
                                               text, text_len);
}

/* What this library lends stays as long as the chain. */
static dtlsl__chain *
borrow_host(void)
{
    static const uint8_t secret[32] = {9};
    dtlsl_cookie_plugin table = *dtlsl__cookie_builtin("hmac");
    const dtlsl__strategy own = {&table, NULL};
    dtlsl__chain_options o = {.spec = "spy",
                              .strategies = &own,
                              .n_strategies = 1,
                              .default_secret = secret};
    dtlsl__chain *chain;

    table.name = "spy";
    table.open = spy_open;
    ck_assert_int_eq(dtlsl__chain_new(&chain, &o, &now, err, sizeof(err)), 0);
    return chain;
}

static const dtlsl_cookie_plugin *
module(const char *name)
{
    const dtlsl_cookie_plugin *plugin;

    ck_assert_int_eq(
        dtlsl__plugin_load(&plugin, name, bundled_dir(), err, sizeof(err)), 0);
    return plugin;
}

/* One struct as a library would have it that knows 'more' bytes more. */
static void *
grown(const void *data, size_t len, size_t more)
{
    uint8_t room[sizeof(dtlsl_verdict) + MORE]; /* the longest */
    uint32_t size = (uint32_t)(len + more);

    memset(room, 0xee, sizeof(room));
    memcpy(room, data, len);
    memcpy(room, &size, sizeof(size));
    return at_the_edge(room, len + more);
}

static void
expect_untouched(const void *data, size_t len, size_t more)
{
    const uint8_t *end = (const uint8_t *)data + len;

    for (size_t i = 0; i < more; i++)
        ck_assert_uint_eq(end[i], 0xee);
}

static int32_t
open_with(const dtlsl_cookie_plugin *plugin, const dtlsl_cookie_host *host,
          void **state)
{
    char path[256];
    dtlsl_cookie_option option = {"key-file", path};
    static const char text[] =
        "dtlslisten-cluster-keys 1\n"
        "key 7 1780000000 - hex:000102030405060708090a0b0c0d0e0f"
        "101112131415161718191a1b1c1d1e1f\n";
    size_t n = strcmp(plugin->name, "cluster") == 0;

    bundled_file(path, "keys", text, sizeof(text) - 1);
    *state = NULL;
    err[0] = '\0';
    return plugin->open(host, NULL, &option, n, state, err, sizeof(err));
}

/* Its cookie for one hello, on a host that knows 'more' bytes more. */
static int32_t
cookie_of(const dtlsl_cookie_plugin *plugin, size_t more,
          uint8_t cookie[COOKIE_ROOM])
{
    static const uint8_t core[35] = {0xfe, 0xfd, 4, 5, 6};
    const dtlsl_cookie_input here = hello(at_the_edge(core, sizeof(core)));
    const dtlsl_cookie_result clear = {.size = sizeof(clear)};
    const dtlsl_cookie_host *host = grown(lent, sizeof(*host), more);
    const dtlsl_cookie_input *in = grown(&here, sizeof(here), more);
    dtlsl_cookie_result *out = grown(&clear, sizeof(clear), more);
    uint64_t next = 0;
    void *state;
    int32_t len;

    ck_assert_msg(open_with(plugin, host, &state) == 0, "%s", err);
    plugin->tick(state, now.mono_ms, now.unix_ms, &next);
    len = plugin->mint(state, in, cookie, COOKIE_ROOM);
    ck_assert_int_gt(len, 0);
    ck_assert_int_eq(plugin->verify(state, in, cookie, (size_t)len, out),
                     DTLSL_COOKIE_VALID);
    ck_assert_uint_eq(out->size, sizeof(*out) + more);
    expect_untouched(out, sizeof(*out), more);
    plugin->close(state);
    return len;
}

static const char *const bundled[] = {"hmac", "cluster", "aead"};

START_TEST(bundled_strategies_work_on_a_newer_host)
{
    dtlsl__chain *chain = borrow_host();

    for (size_t i = 0; i < 3; i++) {
        const dtlsl_cookie_plugin *plugin = module(bundled[i]);
        uint8_t today[COOKIE_ROOM], tomorrow[COOKIE_ROOM];
        int32_t len = cookie_of(plugin, 0, today);

        ck_assert_int_eq(cookie_of(plugin, MORE, tomorrow), len);
        ck_assert_mem_eq(today, tomorrow, (size_t)len);
    }
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(bundled_strategies_refuse_an_older_host)
{
    dtlsl__chain *chain = borrow_host();
    uint32_t size = offsetof(dtlsl_cookie_host, strategy);
    dtlsl_cookie_host *host = at_the_edge(lent, size);
    void *state;

    host->size = size;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(open_with(module(bundled[i]), host, &state),
                         DTLSL_ERR_PLUGIN);
        ck_assert_ptr_null(state);
        ck_assert_ptr_nonnull(strstr(err, "install the one that came with"));
    }
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

START_TEST(bundled_strategies_fail_closed_without_all_of_a_hello)
{
    static const uint8_t core[35] = {0xfe, 0xfd};
    dtlsl__chain *chain = borrow_host();
    dtlsl_cookie_input here = hello(core);
    dtlsl_cookie_result out = {.size = sizeof(out)};
    uint8_t cookie[COOKIE_ROOM];
    const dtlsl_cookie_input *in;

    here.size = offsetof(dtlsl_cookie_input, fragment_len);
    in = at_the_edge(&here, (here.size + 7) / 8 * 8);
    for (size_t i = 0; i < 3; i++) {
        const dtlsl_cookie_plugin *plugin = module(bundled[i]);
        int32_t len = cookie_of(plugin, 0, cookie);
        uint64_t next;
        void *state;

        ck_assert_int_eq(open_with(plugin, lent, &state), 0);
        plugin->tick(state, now.mono_ms, now.unix_ms, &next);
        ck_assert_int_lt(plugin->mint(state, in, cookie, COOKIE_ROOM), 0);
        ck_assert_int_lt(plugin->verify(state, in, cookie, (size_t)len, &out),
                         0);
        plugin->close(state);
    }
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

/* ---- a plugin that knows more than this library ---- */

static uint32_t
answer(void *ctx)
{
    (void)ctx;
    return 41;
}

static uint64_t
count(const dtlsl_cookie_plugin *plugin, void *state, uint32_t index)
{
    const char *name;
    uint64_t value = 0;

    ck_assert_int_eq(plugin->counter(state, index, &name, &value), 0);
    return value;
}

START_TEST(newer_plugin_uses_what_a_newer_host_has)
{
    dtlsl__chain *chain = borrow_host();
    static const uint8_t core[35] = {0xfe, 0xfd};
    struct {
        dtlsl_cookie_host v1;
        uint32_t (*more)(void *ctx);
    } host = {*lent, answer};
    struct {
        dtlsl_cookie_input v1;
        uint64_t more;
    } in = {hello(core), 42};
    struct {
        dtlsl_cookie_result v1;
        uint64_t more;
    } out = {{.size = sizeof(out)}, 0};
    const dtlsl_cookie_plugin *plugin;
    uint8_t cookie[COOKIE_ROOM];
    void *state;

    bundled_module("newer");
    plugin = module("newer");
    host.v1.size = sizeof(host);
    in.v1.size = sizeof(in);
    ck_assert_int_eq(open_with(plugin, &host.v1, &state), 0);
    ck_assert_int_eq(plugin->mint(state, &in.v1, cookie, COOKIE_ROOM), 16);
    ck_assert_int_eq(plugin->verify(state, &in.v1, cookie, 16, &out.v1),
                     DTLSL_COOKIE_VALID);
    ck_assert_uint_eq(count(plugin, state, 0), 41);
    ck_assert_uint_eq(count(plugin, state, 1), 42);
    ck_assert_uint_eq(out.more, 3);
    plugin->close(state);
    dtlsl__chain_free(chain);
    bundled_done();
}
END_TEST

/* ---- an application that was built against another header ---- */

static int32_t
judge_with(size_t size, dtlsl_verdict **verdict)
{
    uint8_t reply[DTLSL_REPLY_MAX];
    dtlsl_verdict v = {.reply = reply, .reply_cap = sizeof(reply)};
    const dtlsl_path path = {.peer = {[15] = 1, [17] = 9}};
    dtlsl_config *config;
    dtlsl_gate *gate;
    int32_t status;

    *verdict = grown(&v, size < sizeof(v) ? size : sizeof(v),
                     size < sizeof(v) ? 0 : size - sizeof(v));
    ck_assert_int_eq(dtlsl_config_new(&config), 0);
    ck_assert_int_eq(dtlsl_gate_new(&gate, config), 0);
    status =
        dtlsl_gate_judge(gate, &path, (const uint8_t *)"x", 1, &now, *verdict);
    dtlsl_gate_free(gate);
    dtlsl_config_free(config);
    return status;
}

START_TEST(verdict_of_a_newer_application_is_filled_as_far_as_known)
{
    dtlsl_verdict *verdict;

    ck_assert_int_eq(judge_with(sizeof(*verdict) + MORE, &verdict), 0);
    ck_assert_int_eq(verdict->reason, DTLSL_REASON_DROP_SHORT);
    ck_assert_uint_eq(verdict->size, sizeof(*verdict) + MORE);
    expect_untouched(verdict, sizeof(*verdict), MORE);
}
END_TEST

START_TEST(verdict_that_is_too_short_is_an_error)
{
    dtlsl_verdict *verdict;

    ck_assert_int_eq(judge_with(sizeof(*verdict) - 8, &verdict),
                     DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(judge_with(8, &verdict), DTLSL_ERR_ARGUMENT);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        plugin_without_the_newer_functions_is_used,
        plugin_with_functions_of_the_future_is_used,
        strategy_of_the_process_may_have_a_short_table,
        table_has_what_its_size_covers,
        bundled_strategies_work_on_a_newer_host,
        bundled_strategies_refuse_an_older_host,
        bundled_strategies_fail_closed_without_all_of_a_hello,
        newer_plugin_uses_what_a_newer_host_has,
        verdict_of_a_newer_application_is_filled_as_far_as_known,
        verdict_that_is_too_short_is_an_error,
    };

    return test_main(
        test_suite("versions", tests, sizeof(tests) / sizeof(tests[0])));
}
