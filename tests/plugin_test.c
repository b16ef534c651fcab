/* SPDX-License-Identifier: MIT
 * Which files are loaded as strategies, and which are refused. */
#include "plugin.h"
#include "cookie.h"
#include "test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[80];
static char err[1024];

static void
setup(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(dir, sizeof(dir), "%s/dtlsl-XXXXXX",
             base != NULL && strlen(base) < 40 ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
path_of(char path[256], const char *name)
{
    snprintf(path, 256, "%s/dtlsl_cookie_%s.so", dir, name);
}

/* Copies a module there under a name: no other user could write to it. */
static void
copy(const char *from, const char *name)
{
    char path[256], buf[4096];
    FILE *in = fopen(from, "rb");
    FILE *out;
    size_t n;

    ck_assert_msg(in != NULL, "%s is missing", from);
    path_of(path, name);
    out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
        ck_assert_uint_eq(fwrite(buf, 1, n, out), n);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

static void
install(const char *module, const char *name)
{
    char from[1024];

    snprintf(from, sizeof(from), TEST_BUILDDIR "/plugins/.libs/%s.so", module);
    copy(from, name);
}

static void
clean(const char *name)
{
    char path[256];

    path_of(path, name);
    if (unlink(path) != 0)
        rmdir(path);
}

static int32_t
load(const dtlsl_cookie_plugin **out, const char *name)
{
    *out = NULL;
    err[0] = '\0';
    return dtlsl__plugin_load(out, name, dir, err, sizeof(err));
}

static void
expect_refusal(const char *name, const char *part)
{
    const dtlsl_cookie_plugin *plugin;

    ck_assert_int_eq(load(&plugin, name), DTLSL_ERR_PLUGIN);
    ck_assert_ptr_null(plugin);
    ck_assert_msg(strstr(err, part) != NULL, "'%s' lacks '%s'", err, part);
    ck_assert_msg(strstr(err, dir) != NULL, "'%s' names no file", err);
}

START_TEST(names_are_what_the_pattern_says)
{
    ck_assert_int_eq(dtlsl__plugin_is_name("hmac", 4), 1);
    ck_assert_int_eq(dtlsl__plugin_is_name("0-_a", 4), 1);
    ck_assert_int_eq(dtlsl__plugin_is_name("", 0), 0);
    ck_assert_int_eq(dtlsl__plugin_is_name("-a", 2), 0);
    ck_assert_int_eq(dtlsl__plugin_is_name("_a", 2), 0);
    ck_assert_int_eq(dtlsl__plugin_is_name("aB", 2), 0);
    ck_assert_int_eq(dtlsl__plugin_is_name("a/b", 3), 0);
    ck_assert_int_eq(dtlsl__plugin_is_name("a.b", 3), 0);
    ck_assert_int_eq(
        dtlsl__plugin_is_name("a234567890a234567890a234567890ab", 32), 1);
    ck_assert_int_eq(
        dtlsl__plugin_is_name("a234567890a234567890a234567890abc", 33), 0);
}
END_TEST

START_TEST(paths_are_absolute)
{
    const dtlsl_cookie_plugin *plugin;

    setup();
    ck_assert_int_eq(load(&plugin, "./good.so"), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(load(&plugin, "a/good"), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(load(&plugin, "../good"), DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(
        dtlsl__plugin_load(&plugin, "good", "plugins", err, sizeof(err)),
        DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(
        dtlsl__plugin_load(&plugin, "good", NULL, err, sizeof(err)),
        DTLSL_ERR_ARGUMENT);
    rmdir(dir);
}
END_TEST

START_TEST(loading_twice_gives_the_same_table)
{
    const dtlsl_cookie_plugin *a, *b, *c;
    char path[256];

    setup();
    install("good", "good");
    ck_assert_int_eq(load(&a, "good"), DTLSL_OK);
    ck_assert_str_eq(a->name, "good");
    ck_assert_int_eq(load(&b, "good"), DTLSL_OK);
    path_of(path, "good");
    ck_assert_int_eq(load(&c, path), DTLSL_OK);
    ck_assert_ptr_eq(a, b);
    ck_assert_ptr_eq(a, c);
    clean("good");
    rmdir(dir);
}
END_TEST

START_TEST(two_plugins_are_two_tables)
{
    const dtlsl_cookie_plugin *a, *b;

    setup();
    install("good", "good");
    install("open", "open");
    ck_assert_int_eq(load(&a, "good"), DTLSL_OK);
    ck_assert_int_eq(load(&b, "open"), DTLSL_OK);
    ck_assert_str_eq(a->name, "good");
    ck_assert_str_eq(b->name, "open");
    clean("good");
    clean("open");
    rmdir(dir);
}
END_TEST

/* Daemons do so. The second file gets the descriptor's number of the first. */
START_TEST(a_closed_descriptor_gives_nobody_the_wrong_table)
{
    const dtlsl_cookie_plugin *a, *b = NULL;
    struct stat good, st;
    char path[256];

    setup();
    install("good", "good");
    install("open", "open");
    ck_assert_int_eq(load(&a, "good"), DTLSL_OK);
    path_of(path, "good");
    ck_assert_int_eq(stat(path, &good), 0);
    for (int fd = 3; fd < 256; fd++)
        if (fstat(fd, &st) == 0 && st.st_ino == good.st_ino)
            close(fd);
    ck_assert_int_eq(load(&b, "open"), DTLSL_OK);
    ck_assert_str_eq(b->name, "open");
    clean("good");
    clean("open");
    rmdir(dir);
}
END_TEST

START_TEST(modules_of_another_abi_are_refused)
{
    setup();
    install("badabi", "badabi");
    install("short", "short");
    install("nosymbol", "nosymbol");
    expect_refusal("badabi", "ABI 99");
    expect_refusal("short", "16 bytes");
    expect_refusal("nosymbol", "dtlsl_cookie_plugin_v1");
    expect_refusal("nosymbol", "dtlsl_cookie_plugin_v1");
    clean("badabi");
    clean("short");
    clean("nosymbol");
    rmdir(dir);
}
END_TEST

START_TEST(bare_name_must_be_the_tables_name)
{
    const dtlsl_cookie_plugin *plugin;
    char path[256];

    setup();
    install("misnamed", "misnamed");
    expect_refusal("misnamed", "'other'");
    path_of(path, "misnamed");
    ck_assert_int_eq(load(&plugin, path), DTLSL_OK);
    clean("misnamed");
    rmdir(dir);
}
END_TEST

START_TEST(files_that_others_can_write_are_refused)
{
    char path[256];

    setup();
    install("good", "good");
    path_of(path, "good");
    chmod(path, 0775);
    expect_refusal("good", "chmod go-w");
    chmod(path, 0757);
    expect_refusal("good", "chmod go-w");
    clean("good");
    rmdir(dir);
}
END_TEST

START_TEST(directories_that_everybody_can_write_are_refused)
{
    const dtlsl_cookie_plugin *plugin;

    setup();
    install("good", "good");
    chmod(dir, 0777);
    expect_refusal("good", "chmod o-w");
    chmod(dir, 01777);
    ck_assert_int_eq(load(&plugin, "good"), DTLSL_OK);
    chmod(dir, 0700);
    clean("good");
    rmdir(dir);
}
END_TEST

/* lnk -> hop -> dir: who owns hop could lead it elsewhere. */
START_TEST(every_link_on_the_way_counts)
{
    const dtlsl_cookie_plugin *plugin = NULL;
    char hop[256], lnk[256], path[300];

    setup();
    install("good", "good");
    snprintf(hop, sizeof(hop), "%s/hop", dir);
    snprintf(lnk, sizeof(lnk), "%s/lnk", dir);
    ck_assert_int_eq(symlink(".", hop), 0);
    ck_assert_int_eq(symlink("hop", lnk), 0);
    snprintf(path, sizeof(path), "%s/dtlsl_cookie_good.so", lnk);
    ck_assert_int_eq(load(&plugin, path), DTLSL_OK);
    ck_assert_str_eq(plugin->name, "good");
    if (geteuid() == 0) {
        ck_assert_int_eq(lchown(hop, 65534, 65534), 0);
        ck_assert_int_eq(load(&plugin, path), DTLSL_ERR_PLUGIN);
        ck_assert_ptr_nonnull(strstr(err, "hop belongs to user 65534"));
    }
    unlink(lnk);
    unlink(hop);
    clean("good");
    rmdir(dir);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
    char path[256], target[256];

    setup();
    install("good", "target");
    path_of(target, "target");
    path_of(path, "link");
    ck_assert_int_eq(symlink(target, path), 0);
    expect_refusal("link", "symbolic link");
    expect_refusal("missing", "cannot be opened");
    path_of(path, "folder");
    ck_assert_int_eq(mkdir(path, 0755), 0);
    expect_refusal("folder", "not a regular file");
    path_of(path, "fifo");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refusal("fifo", "not a regular file");
    clean("target");
    clean("link");
    clean("folder");
    clean("fifo");
    rmdir(dir);
}
END_TEST

START_TEST(what_is_no_shared_object_is_refused)
{
    char path[256];
    FILE *out;

    setup();
    path_of(path, "text");
    out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs("not an object", out);
    fclose(out);
    chmod(path, 0644);
    expect_refusal("text", "cannot be loaded");
    clean("text");
    rmdir(dir);
}
END_TEST

/* Cut at 100 lengths, among them those that leave out a part that dlopen maps:
 * those would end the process. */
START_TEST(a_module_that_was_cut_short_is_refused)
{
    char path[256];
    struct stat st;
    int refused = 0, taken = 0;

    setup();
    for (off_t i = 0; i <= 100; i++) {
        const dtlsl_cookie_plugin *plugin = NULL;

        install("good", "good");
        path_of(path, "good");
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_int_eq(truncate(path, st.st_size * i / 100), 0);
        if (dtlsl__plugin_load(&plugin, "good", dir, err, sizeof(err)) ==
            DTLSL_OK) {
            ck_assert_str_eq(plugin->name, "good");
            taken++;
        } else {
            ck_assert_ptr_nonnull(strstr(err, path));
            refused += strstr(err, "is cut short") != NULL;
        }
        clean("good");
    }
    ck_assert_int_gt(refused, 50);
    ck_assert_int_ge(taken, 1);
    rmdir(dir);
}
END_TEST

static int32_t
chain_of(dtlsl__chain **chain, const char *spec)
{
    static const uint8_t secret[32] = {1};
    dtlsl__chain_options o = {
        .spec = spec, .plugin_dir = dir, .default_secret = secret};
    dtlsl_now now = {1000000, 0};

    *chain = NULL;
    return dtlsl__chain_new(chain, &o, &now, err, sizeof(err));
}

START_TEST(chain_takes_a_good_plugin_and_refuses_bad_ones)
{
    dtlsl__chain *chain;

    setup();
    install("good", "good");
    install("liar", "liar");
    install("open", "open");
    ck_assert_int_eq(chain_of(&chain, "good,hmac"), DTLSL_OK);
    dtlsl__chain_free(chain);
    ck_assert_int_eq(chain_of(&chain, "liar"), DTLSL_ERR_PLUGIN);
    ck_assert_ptr_nonnull(strstr(err, "self-test"));
    ck_assert_int_eq(chain_of(&chain, "open"), DTLSL_ERR_PLUGIN);
    ck_assert_ptr_nonnull(strstr(err, "flipped bit"));
    clean("good");
    clean("liar");
    clean("open");
    rmdir(dir);
}
END_TEST

START_TEST(hmac_as_a_module_makes_the_built_in_cookies)
{
    static const uint8_t core[35] = {0xfe, 0xfd};
    dtlsl_cookie_input in = {.size = sizeof(in),
                             .mono_ms = 1000000,
                             .core = core,
                             .core_len = 35,
                             .fragment_len = 60};
    char from[1024], path[256];
    uint8_t a[22], b[22];
    dtlsl__chain *module, *built_in;

    setup();
    snprintf(from, sizeof(from),
             TEST_BUILDDIR "/../plugins/.libs/dtlsl_cookie_hmac.so");
    if (access(from, R_OK) != 0)
        snprintf(from, sizeof(from),
                 TEST_BUILDDIR "/../.libs/dtlsl_cookie_hmac.so");
    copy(from, "hmac");
    path_of(path, "hmac");
    ck_assert_int_eq(chain_of(&module, path), DTLSL_OK);
    ck_assert_int_eq(chain_of(&built_in, "hmac"), DTLSL_OK);
    ck_assert_int_eq(dtlsl__chain_mint(module, &in, a, 22), 22);
    ck_assert_int_eq(dtlsl__chain_mint(built_in, &in, b, 22), 22);
    ck_assert_mem_eq(a, b, 22);
    dtlsl__chain_free(module);
    dtlsl__chain_free(built_in);
    clean("hmac");
    rmdir(dir);
}
END_TEST

START_TEST(incomplete_tables_are_refused)
{
    dtlsl_cookie_plugin table = *dtlsl__cookie_builtin("hmac");

    ck_assert_int_eq(dtlsl__plugin_vet(&table, "here", err, 99), DTLSL_OK);
    table.mint = NULL;
    ck_assert_int_lt(dtlsl__plugin_vet(&table, "here", err, 99), 0);
    table = *dtlsl__cookie_builtin("hmac");
    table.max_cookie_len = 256;
    ck_assert_int_lt(dtlsl__plugin_vet(&table, "here", err, 99), 0);
    table.max_cookie_len = 0;
    ck_assert_int_lt(dtlsl__plugin_vet(&table, "here", err, 99), 0);
    table.max_cookie_len = 22;
    table.name = "No";
    ck_assert_int_lt(dtlsl__plugin_vet(&table, "here", err, 99), 0);
    table.name = NULL;
    ck_assert_int_lt(dtlsl__plugin_vet(&table, "here", err, 99), 0);
    table.name = "hmac";
    table.flags = 1;
    ck_assert_int_lt(dtlsl__plugin_vet(&table, "here", err, 99), 0);
    ck_assert_int_lt(dtlsl__plugin_vet(NULL, "here", err, 99), 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        names_are_what_the_pattern_says,
        paths_are_absolute,
        loading_twice_gives_the_same_table,
        two_plugins_are_two_tables,
        a_closed_descriptor_gives_nobody_the_wrong_table,
        modules_of_another_abi_are_refused,
        bare_name_must_be_the_tables_name,
        files_that_others_can_write_are_refused,
        directories_that_everybody_can_write_are_refused,
        every_link_on_the_way_counts,
        what_is_no_regular_file_is_refused,
        what_is_no_shared_object_is_refused,
        a_module_that_was_cut_short_is_refused,
        chain_takes_a_good_plugin_and_refuses_bad_ones,
        hmac_as_a_module_makes_the_built_in_cookies,
        incomplete_tables_are_refused,
    };

    return test_main(
        test_suite("plugin", tests, sizeof(tests) / sizeof(tests[0])));
}
