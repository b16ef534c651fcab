/* SPDX-License-Identifier: MIT
 * dtlslisten-keys without its main(): when keys come and go, how a file is
 * replaced, where secrets may be sent. */
#include "keys.h"
#include "bundled.h"
#include "test.h"
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0 UINT64_C(1795300000)

enum {
    P = 3600,
    LIFETIME = 120,
    SKEW = 60
};

static const keys_options usual = {
    .propagation_s = P, .lifetime_s = LIFETIME, .skew_s = SKEW};
static char said[8192];

void
keys_complain(const char *format, ...)
{
    size_t at = strlen(said);
    va_list args;

    va_start(args, format);
    vsnprintf(said + at, sizeof(said) - at, format, args);
    va_end(args);
}

/* ---- fixture ---- */

static uint8_t secrets;

static const char *
rotate(dtlsl__keyfile *file, const keys_options *o, uint64_t now)
{
    uint8_t secret[32];

    memset(secret, secrets++, sizeof(secret));
    keys_prune(file, o, now);
    return keys_rotate(file, o, now, secret);
}

static void
begin(dtlsl__keyfile *file)
{
    memset(file, 0, sizeof(*file));
    ck_assert_ptr_null(rotate(file, &usual, T0));
}

/* A key made by hand; retire 0: never. */
static void
put(dtlsl__keyfile *file, uint8_t kid, uint64_t activate, uint64_t retire)
{
    dtlsl__keyfile_key *key = &file->key[file->n_keys++];

    key->kid = kid;
    key->activate_s = activate;
    key->retire_s = retire == 0 ? DTLSL__KEYFILE_NEVER : retire;
    key->secret_len = 32;
    memset(key->secret, kid, 32);
}

static int
has_kid(const dtlsl__keyfile *file, uint8_t kid)
{
    for (uint32_t i = 0; i < file->n_keys; i++)
        if (file->key[i].kid == kid)
            return 1;
    return 0;
}

static int
mints(const dtlsl__keyfile *file, uint64_t now)
{
    int overdue;
    const dtlsl__keyfile_key *key = dtlsl__keyfile_mints(file, now, &overdue);

    return key == NULL ? -1 : key->kid;
}

/* ---- when keys come and go ---- */

START_TEST(the_first_key_is_in_force_for_slow_clocks_too)
{
    dtlsl__keyfile file;

    begin(&file);
    ck_assert_uint_eq(file.n_keys, 1);
    ck_assert_uint_eq(file.key[0].activate_s, T0 - SKEW);
    ck_assert_uint_eq(file.key[0].secret_len, 32);
    ck_assert_int_eq(mints(&file, T0 - SKEW), file.key[0].kid);
    ck_assert(file.key[0].retire_s == DTLSL__KEYFILE_NEVER);
}
END_TEST

START_TEST(a_new_key_waits_for_propagation_and_skew)
{
    dtlsl__keyfile file;
    const uint64_t at = T0 + 1000 + P + SKEW;

    begin(&file);
    ck_assert_ptr_null(rotate(&file, &usual, T0 + 1000));
    ck_assert_uint_eq(file.n_keys, 2);
    ck_assert_uint_eq(file.key[1].activate_s, at);
    ck_assert_uint_eq(file.key[0].retire_s, at);
    ck_assert_int_eq(mints(&file, at - 1), file.key[0].kid);
    ck_assert_int_eq(mints(&file, at), file.key[1].kid);
}
END_TEST

START_TEST(a_rotation_that_waits_is_not_overtaken)
{
    keys_options fast = usual;
    dtlsl__keyfile file;

    fast.propagation_s = 0;
    begin(&file);
    ck_assert_ptr_null(rotate(&file, &usual, T0));
    ck_assert_ptr_null(rotate(&file, &fast, T0 + 10));
    ck_assert_uint_eq(file.key[1].activate_s, T0 + P + SKEW);
    ck_assert_uint_eq(file.key[2].activate_s, T0 + P + SKEW + 1);
    ck_assert_uint_eq(file.key[1].retire_s, T0 + P + SKEW + 1);
    ck_assert_uint_eq(file.key[0].retire_s, T0 + P + SKEW);
}
END_TEST

START_TEST(an_old_key_leaves_when_its_last_cookie_is_dead_everywhere)
{
    const uint64_t end = T0 + P + SKEW + LIFETIME + SKEW + P;
    dtlsl__keyfile file, later;

    begin(&file);
    ck_assert_ptr_null(rotate(&file, &usual, T0));
    later = file;
    ck_assert_uint_eq(keys_removable_s(&file.key[0], &usual), end);
    ck_assert_uint_eq(keys_prune(&later, &usual, end - 1), 0);
    ck_assert_uint_eq(keys_prune(&later, &usual, end), 1);
    ck_assert_uint_eq(later.n_keys, 1);
    ck_assert_mem_eq(&later.key[0], &file.key[1], sizeof(file.key[0]));
}
END_TEST

START_TEST(the_key_that_mints_is_never_removed)
{
    dtlsl__keyfile file = {0};

    put(&file, 3, T0, T0 + 10);
    put(&file, 4, T0 + 5, T0 + 20);
    ck_assert_uint_eq(keys_prune(&file, &usual, T0 + 1000000), 1);
    ck_assert(has_kid(&file, 4));
}
END_TEST

/* A forgotten rotation: the last key minted until now, so its cookies live. */
START_TEST(a_key_that_was_overdue_retires_when_the_next_one_mints)
{
    const uint64_t now = T0 + 1000000;
    dtlsl__keyfile file = {0};

    put(&file, 3, T0, T0 + 10);
    ck_assert_ptr_null(rotate(&file, &usual, now));
    ck_assert_uint_eq(file.key[0].retire_s, now + P + SKEW);
    ck_assert_uint_eq(keys_prune(&file, &usual, now + P + SKEW), 0);
    ck_assert_int_eq(mints(&file, now + P + SKEW - 1), 3);
}
END_TEST

START_TEST(a_gap_made_by_hand_is_bridged)
{
    dtlsl__keyfile file = {0};

    put(&file, 3, T0, T0 + 10);
    put(&file, 4, T0 + 90000, 0);
    ck_assert_uint_eq(keys_prune(&file, &usual, T0 + 90001), 0);
    ck_assert_uint_eq(file.key[0].retire_s, T0 + 90000);
}
END_TEST

START_TEST(a_full_file_is_told_and_not_changed)
{
    dtlsl__keyfile file, before;
    const char *why;

    begin(&file);
    for (uint64_t i = 1; i < 16; i++)
        ck_assert_ptr_null(rotate(&file, &usual, T0 + i));
    ck_assert_uint_eq(file.n_keys, 16);
    before = file;
    why = rotate(&file, &usual, T0 + 20);
    ck_assert_ptr_nonnull(why);
    ck_assert_ptr_nonnull(strstr(why, "rotate less"));
    ck_assert_mem_eq(&file, &before, sizeof(file));
    ck_assert_ptr_null(rotate(&file, &usual, T0 + 100000));
    ck_assert_uint_eq(file.n_keys, 2);
}
END_TEST

START_TEST(ids_go_round_and_are_unique)
{
    dtlsl__keyfile file;
    uint64_t now = T0;

    begin(&file);
    for (int i = 0; i < 600; i++) {
        uint8_t kid;

        now += 2000;
        ck_assert_ptr_null(rotate(&file, &usual, now));
        kid = file.key[file.n_keys - 1].kid;
        ck_assert_uint_eq(kid, (uint8_t)(i + 2));
        file.n_keys--;
        ck_assert(!has_kid(&file, kid));
        file.n_keys++;
    }
}
END_TEST

START_TEST(an_id_that_is_taken_is_left_out)
{
    dtlsl__keyfile file = {0};

    put(&file, 0, T0, 0);
    put(&file, 1, T0 + 1, 0);
    put(&file, 255, T0 + 2, 0);
    ck_assert_ptr_null(rotate(&file, &usual, T0 + 3));
    ck_assert_uint_eq(file.key[3].kid, 2);
}
END_TEST

START_TEST(an_emergency_leaves_one_new_key)
{
    keys_options o = usual;
    dtlsl__keyfile file;
    uint8_t last;

    o.emergency = 1;
    begin(&file);
    memcpy(file.service, "coap", 4);
    file.service_len = 4;
    file.has_service = 1;
    ck_assert_ptr_null(rotate(&file, &usual, T0));
    last = file.key[1].kid;
    ck_assert_ptr_null(rotate(&file, &o, T0 + 5));
    ck_assert_uint_eq(file.n_keys, 1);
    ck_assert_uint_eq(file.key[0].kid, last + 1);
    ck_assert_uint_eq(file.key[0].activate_s, T0 + 5 - SKEW);
    ck_assert_uint_eq(file.service_len, 4);
    for (size_t i = 0; i < sizeof(file.key[1]); i++)
        ck_assert_uint_eq(((const uint8_t *)&file.key[1])[i], 0);
}
END_TEST

/* ---- a fleet ---- */

/* splitmix64 */
static uint64_t
draw(uint64_t *state, uint64_t n)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (z ^ z >> 31) % n;
}

enum {
    NODES = 4,
    FILES = 40
};

/* Files as they were published; each node has a clock and gets each file
 * after a time of its own. */
typedef struct fleet {
    keys_options o;
    int n_files;
    uint64_t published[FILES];
    dtlsl__keyfile file[FILES];
    uint64_t delay[FILES][NODES];
    uint64_t ahead[NODES];
} fleet;

static const dtlsl__keyfile *
file_of(const fleet *f, int node, uint64_t t)
{
    for (int i = f->n_files; i-- > 0;)
        if (f->published[i] + f->delay[i][node] <= t)
            return &f->file[i];
    return NULL;
}

static int
accepts(const fleet *f, int node, uint64_t t, const dtlsl__keyfile_key *minted)
{
    const dtlsl__keyfile *file = file_of(f, node, t);

    for (uint32_t i = 0; i < file->n_keys; i++) {
        const dtlsl__keyfile_key *key = &file->key[i];

        if (key->kid != minted->kid)
            continue;
        return memcmp(key->secret, minted->secret, 32) == 0 &&
               (key->retire_s == DTLSL__KEYFILE_NEVER ||
                t + f->ahead[node] <=
                    key->retire_s + f->o.lifetime_s + f->o.skew_s);
    }
    return 0;
}

/* A cookie that 'node' mints at t, and every node for as long as it lives:
 * how many do not accept it. */
static int
lost_cookies(const fleet *f, int node, uint64_t t, uint64_t *seed)
{
    uint64_t stamp = t + f->ahead[node];
    int overdue, lost = 0;
    const dtlsl__keyfile_key *key =
        dtlsl__keyfile_mints(file_of(f, node, t), stamp, &overdue);

    if (key == NULL || overdue)
        return 1;
    for (int i = 0; i < NODES; i++) {
        uint64_t end = stamp + f->o.lifetime_s - f->ahead[i];

        lost += !accepts(f, i, t, key);
        if (end <= t)
            continue;
        lost += !accepts(f, i, end, key);
        lost += !accepts(f, i, t + draw(seed, end - t), key);
    }
    return lost;
}

/* Rotations at random times by a host whose clock is in the same range. */
static void
publish_all(fleet *f, uint64_t slowest, uint64_t *seed)
{
    const uint64_t ahead = draw(seed, f->o.skew_s + 1);
    uint64_t t = T0;
    dtlsl__keyfile file = {0};

    for (f->n_files = 0; f->n_files < FILES;) {
        dtlsl__keyfile next = file;

        if (rotate(&next, &f->o, t + ahead) == NULL) {
            file = next;
            f->published[f->n_files] = t;
            f->file[f->n_files] = file;
            for (int i = 0; i < NODES; i++)
                f->delay[f->n_files][i] =
                    f->n_files == 0 ? 0 : draw(seed, slowest + 1);
            f->n_files++;
        }
        t += 1 + draw(seed, f->o.propagation_s + f->o.lifetime_s);
    }
}

/* Looks around each change and at random times between. */
static int
losses(uint64_t seed, uint64_t slower)
{
    fleet *f = calloc(1, sizeof(*f));
    int lost = 0;

    f->o.propagation_s = draw(&seed, 600);
    f->o.lifetime_s = 10 + draw(&seed, 300);
    f->o.skew_s = draw(&seed, 61);
    for (int i = 0; i < NODES; i++)
        f->ahead[i] = draw(&seed, f->o.skew_s + 1);
    publish_all(f, f->o.propagation_s + slower, &seed);
    for (int i = 1; i < f->n_files; i++) {
        uint64_t activated = f->file[i].key[f->file[i].n_keys - 1].activate_s;

        for (int node = 0; node < NODES; node++) {
            uint64_t t = activated - f->ahead[node];

            lost += lost_cookies(f, node, t - 1, &seed);
            lost += lost_cookies(f, node, t, &seed);
            t = f->published[i];
            lost += lost_cookies(f, node, t, &seed);
            lost += lost_cookies(f, node, t + f->delay[i][node], &seed);
            lost += lost_cookies(f, node, t + draw(&seed, 1000), &seed);
        }
    }
    free(f);
    return lost;
}

START_TEST(random_rotations_lose_no_cookie)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        ck_assert_msg(losses(seed, 0) == 0, "seed %d", (int)seed);
}
END_TEST

/* The test above would see it. */
START_TEST(a_fleet_slower_than_promised_loses_cookies)
{
    int n = 0;

    for (uint64_t seed = 1; seed <= 20; seed++)
        n += losses(seed, 1000) > 0;
    ck_assert_int_ge(n, 18);
}
END_TEST

/* ---- telling ---- */

START_TEST(each_state_of_a_key_has_its_word)
{
    static const struct {
        uint64_t now;
        const char *states[2];
    } rows[] = {
        {T0 - 1, {"in 1 s", "in 16 min"}},
        {T0, {"mints", "in 16 min"}},
        {T0 + 999, {"mints", "in 1 s"}},
        {T0 + 1000, {"verifies", "mints"}},
        {T0 + 1180, {"verifies", "mints"}},
        {T0 + 1181, {"done", "mints"}},
        {T0 + 4779, {"done", "mints"}},
        {T0 + 4780, {"removable", "mints"}},
        {T0 + 9000, {"removable", "overdue"}},
        {T0 - 7300, {"in 2 h", "in 2 h"}},
        {T0 - 200000, {"in 2 d", "in 2 d"}},
    };
    dtlsl__keyfile file = {0};
    char state[64];

    put(&file, 3, T0, T0 + 1000);
    put(&file, 4, T0 + 1000, T0 + 9000);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (uint32_t k = 0; k < 2; k++) {
            keys_state(&file, &file.key[k], &usual, rows[i].now, state,
                       sizeof(state));
            ck_assert_str_eq(state, rows[i].states[k]);
        }
}
END_TEST

/* All warnings in one text. */
static const char *
warnings(const dtlsl__keyfile *file, uint64_t now)
{
    static char all[600];
    char buf[200];
    const char *text;

    all[0] = '\0';
    for (uint32_t i = 0;
         (text = keys_warning(file, &usual, now, i, buf, sizeof(buf))) != NULL;
         i++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s|", text);
    return all;
}

START_TEST(what_needs_a_look_is_warned_of)
{
    dtlsl__keyfile file = {0};

    put(&file, 3, T0, T0 + 200000);
    ck_assert_ptr_nonnull(strstr(warnings(&file, T0 - 1), "nobody can mint"));
    ck_assert_str_eq(warnings(&file, T0), "");
    ck_assert_ptr_nonnull(
        strstr(warnings(&file, T0 + 199000), "retires in 1000 s"));
    ck_assert_ptr_nonnull(
        strstr(warnings(&file, T0 + 200000), "goes on minting; rotate"));
    put(&file, 4, T0 + 200000, 0);
    ck_assert_str_eq(warnings(&file, T0 + 199000), "");
    ck_assert_str_eq(warnings(&file, T0 + 300000), "");
    file.key[0].retire_s = T0 + 199500;
    ck_assert_ptr_nonnull(
        strstr(warnings(&file, T0 + 199000), "retires in 500 s"));
    memset(file.key[1].secret, 3, 32);
    ck_assert_ptr_nonnull(
        strstr(warnings(&file, T0 + 300000), "keys 3 and 4 have one secret"));
}
END_TEST

START_TEST(weekly_rotations_cause_no_warning)
{
    const uint64_t week = 7 * 86400;
    dtlsl__keyfile file;

    begin(&file);
    for (uint64_t at = T0; at < T0 + 20 * week; at += 600) {
        if (at % week == T0 % week)
            ck_assert_ptr_null(rotate(&file, &usual, at));
        ck_assert_str_eq(warnings(&file, at), "");
    }
}
END_TEST

/* Keys 1 to n, of which 'done' retired at T0. */
static void
fill(dtlsl__keyfile *file, uint8_t n, uint8_t done)
{
    memset(file, 0, sizeof(*file));
    for (uint8_t kid = 1; kid <= n; kid++)
        put(file, kid, T0 - 1000, kid <= done ? T0 : 0);
}

START_TEST(a_file_that_is_nearly_full_is_warned_of)
{
    const uint64_t end = T0 + LIFETIME + SKEW + P;
    dtlsl__keyfile file;

    fill(&file, 13, 12);
    ck_assert_str_eq(warnings(&file, end), "");
    fill(&file, 14, 0);
    ck_assert_str_eq(warnings(&file, end), "");
    fill(&file, 14, 1);
    ck_assert_str_eq(warnings(&file, end - 1), "");
    ck_assert_str_eq(warnings(&file, end),
                     "the file has 14 keys of at most 16, and 1 is done; the "
                     "next rotation takes it out|");
    fill(&file, 16, 2);
    ck_assert_str_eq(warnings(&file, end),
                     "the file has 16 keys of at most 16, and 2 are done; the "
                     "next rotation takes them out|");
}
END_TEST

START_TEST(a_rotation_by_a_clock_ahead_is_warned_of)
{
    const uint64_t ahead = T0 + 30 * 86400, day = 86400;
    keys_options emergency = usual;
    dtlsl__keyfile file;
    char buf[200];

    emergency.emergency = 1;
    begin(&file);
    ck_assert_ptr_null(rotate(&file, &usual, ahead));
    ck_assert_str_eq(warnings(&file, ahead - day), "");
    ck_assert_str_eq(warnings(&file, ahead - day - 1),
                     "key 2 is in force only in 25 h, and no rotation before; "
                     "if a clock was wrong, correct it and rotate with "
                     "--emergency|");
    ck_assert_ptr_null(rotate(&file, &usual, T0));
    ck_assert_ptr_nonnull(strstr(warnings(&file, T0), "key 3 is in force "
                                                      "only in 30 d"));
    ck_assert_ptr_nonnull(keys_warn_far(&file, &usual, T0, buf, sizeof(buf)));
    ck_assert_ptr_null(rotate(&file, &emergency, T0));
    ck_assert_str_eq(warnings(&file, T0), "");
}
END_TEST

START_TEST(a_gap_before_a_later_key_is_warned_of)
{
    dtlsl__keyfile file = {0};

    put(&file, 3, T0, T0 + 1000);
    put(&file, 4, T0 + 9000, 0);
    ck_assert_str_eq(warnings(&file, T0 + 1800),
                     "no key is in force until key 4 is in 2 h: the last one "
                     "goes on minting; rotate|");
    put(&file, 5, T0 + 1830, T0 + 9000);
    ck_assert_ptr_nonnull(
        strstr(warnings(&file, T0 + 1800), "until key 5 is in 30 s"));
    ck_assert_str_eq(warnings(&file, T0 + 1830), "");
}
END_TEST

/* ---- the file ---- */

START_TEST(the_largest_file_is_printed_and_read_again)
{
    dtlsl__keyfile file = {0}, again;
    char *text;

    file.has_service = 1;
    file.service_len = 255;
    memset(file.service, 's', 255);
    for (uint8_t i = 0; i < 16; i++) {
        put(&file, (uint8_t)(255 - i), (UINT64_C(1) << 40) - 1 - i,
            (UINT64_C(1) << 40) - i);
        file.key[i].secret_len = 256;
        memset(file.key[i].secret, 0xf0 + i, 256);
        file.key[i].line = 3 + i;
    }
    text = keys_print(&file);
    ck_assert_int_eq(
        keys_parse("x", (const uint8_t *)text, strlen(text), &again),
        KEYS_GOOD);
    ck_assert_mem_eq(&again, &file, sizeof(file));
    free(text);
}
END_TEST

static void
check_content(const char *path, const char *want, mode_t mode)
{
    struct stat st;

    ck_assert(keys_is_same(path, (const uint8_t *)want, strlen(want)));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, mode);
}

static size_t
count_files(const char *pattern)
{
    glob_t found;
    size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;

    globfree(&found);
    return n;
}

static int
replace(const char *path, const char *text)
{
    char why[KEYS_WHY_MAX];
    int status;

    said[0] = '\0';
    status = keys_replace(path, (const uint8_t *)text, strlen(text), why);
    if (status != KEYS_GOOD)
        keys_complain("%s", why);
    return status;
}

START_TEST(a_file_is_replaced_with_what_its_group_may)
{
    char path[300], pattern[310];

    snprintf(path, sizeof(path), "%s/made", bundled_dir());
    umask(0);
    ck_assert_int_eq(replace(path, "one"), KEYS_GOOD);
    check_content(path, "one", 0600);
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(replace(path, "two"), KEYS_GOOD);
    check_content(path, "two", 0640);
    ck_assert_str_eq(said, "");
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(replace(path, "three"), KEYS_GOOD);
    check_content(path, "three", 0640);
    snprintf(pattern, sizeof(pattern), "%s*", path);
    ck_assert_uint_eq(count_files(pattern), 1);
    ck_assert_ptr_nonnull(strstr(said, "open to everybody (mode 0666)"));
    bundled_done();
}
END_TEST

START_TEST(a_link_stays_and_leads_to_the_new_file)
{
    char path[256], link_path[300], dangling[300];
    struct stat st;

    bundled_file(path, "target", "one", 3);
    snprintf(link_path, sizeof(link_path), "%s/link", bundled_dir());
    snprintf(dangling, sizeof(dangling), "%s/dangling", bundled_dir());
    ck_assert_int_eq(symlink("target", link_path), 0);
    ck_assert_int_eq(symlink("nowhere", dangling), 0);
    ck_assert_int_eq(replace(link_path, "two"), KEYS_GOOD);
    ck_assert_int_eq(lstat(link_path, &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    check_content(path, "two", 0600);
    ck_assert_int_eq(replace(dangling, "two"), KEYS_FAILED);
    ck_assert_ptr_nonnull(strstr(said, "mend it"));
    unlink(dangling);
    bundled_done();
}
END_TEST

START_TEST(what_cannot_be_replaced_stays_and_leaves_nothing)
{
    char path[300], long_path[5000];

    snprintf(path, sizeof(path), "%s/none/keys", bundled_dir());
    ck_assert_int_eq(replace(path, "x"), KEYS_FAILED);
    ck_assert_ptr_nonnull(strstr(said, "directory"));
    ck_assert_int_eq(replace(bundled_dir(), "x"), KEYS_FAILED);
    ck_assert_ptr_nonnull(strstr(said, "stays"));
    snprintf(path, sizeof(path), "%s*", bundled_dir());
    ck_assert_uint_eq(count_files(path), 1);
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    ck_assert_int_eq(replace(long_path, "x"), KEYS_FAILED);
    bundled_done();
}
END_TEST

START_TEST(two_do_not_change_a_directory_at_once)
{
    char path[300];
    int lock, other;

    snprintf(path, sizeof(path), "%s/keys", bundled_dir());
    lock = keys_lock(path);
    ck_assert_int_ge(lock, 0);
    other = open(bundled_dir(), O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(flock(other, LOCK_EX | LOCK_NB), -1);
    close(lock);
    ck_assert_int_eq(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
    said[0] = '\0';
    ck_assert_int_eq(keys_lock("/does/not/exist"), -1);
    ck_assert_ptr_nonnull(strstr(said, "name one that is there"));
    bundled_done();
}
END_TEST

START_TEST(what_is_no_small_file_is_not_read)
{
    char path[256];
    size_t len;
    char *big = calloc(1, DTLSL__KEYFILE_MAX + 1);

    bundled_file(path, "big", big, DTLSL__KEYFILE_MAX + 1);
    said[0] = '\0';
    ck_assert_ptr_null(keys_read(path, &len, NULL));
    ck_assert_ptr_nonnull(strstr(said, "65537 bytes"));
    ck_assert_ptr_null(keys_read("/dev/zero", &len, NULL));
    ck_assert_ptr_nonnull(strstr(said, "not a regular file"));
    ck_assert_ptr_null(keys_read("/does/not/exist", &len, NULL));
    ck_assert_ptr_null(strstr(said, "option"));
    free(big);
    bundled_done();
}
END_TEST

/* ---- where Redis is ---- */

START_TEST(urls_are_split)
{
    static const struct {
        const char *url;
        int tls;
        const char *user;
        const char *host;
        int port;
        const char *key;
    } rows[] = {
        {"redis://localhost/k", 0, "", "localhost", 6379, "k"},
        {"redis://127.0.0.1:1/a/b:c@d", 0, "", "127.0.0.1", 1, "a/b:c@d"},
        {"redis://[::1]/k", 0, "", "::1", 6379, "k"},
        {"redis://me@[::1]:65535/k", 0, "me", "::1", 65535, "k"},
        {"rediss://me@redis.example.org:6380/k y", 1, "me",
         "redis.example.org", 6380, "k y"},
    };
    keys_target to;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(keys_target_parse(&to, rows[i].url), "%s", rows[i].url);
        ck_assert_int_eq(to.tls, rows[i].tls);
        ck_assert_str_eq(to.user, rows[i].user);
        ck_assert_str_eq(to.host, rows[i].host);
        ck_assert_int_eq(to.port, rows[i].port);
        ck_assert_str_eq(to.key, rows[i].key);
    }
}
END_TEST

START_TEST(other_urls_are_refused_and_not_repeated)
{
    static const char *const rows[] = {
        "",
        "redis:",
        "redis://",
        "redis:///k",
        "redis://host",
        "redis://host/",
        "REDIS://host/k",
        "http://host/k",
        "host/k",
        "redis://host:/k",
        "redis://host:0/k",
        "redis://host:65536/k",
        "redis://host:123456/k",
        "redis://host:6379x/k",
        "redis://host:-1/k",
        "redis://host: 1/k",
        "redis://::1/k",
        "redis://[::1/k",
        "redis://[]/k",
        "redis://[::1]6379/k",
        "redis://@host/k",
        "redis://:hunter2@host/k",
        "redis://me:hunter2@host/k",
    };
    char url[600] = "redis://h/";
    keys_target to;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        said[0] = '\0';
        ck_assert_msg(!keys_target_parse(&to, rows[i]), "%s", rows[i]);
        ck_assert_ptr_nonnull(strstr(said, "--password-file"));
        ck_assert_ptr_null(strstr(said, "hunter2"));
    }
    memset(url + 10, 'k', 255);
    ck_assert(keys_target_parse(&to, url));
    url[265] = 'k';
    ck_assert(!keys_target_parse(&to, url));
}
END_TEST

static int
resolve(const char *host, int tls)
{
    keys_target to = {.tls = tls};

    snprintf(to.host, sizeof(to.host), "%s", host);
    return keys_target_resolve(&to) == 0 ? to.n_addresses
                                         : keys_target_resolve(&to);
}

START_TEST(only_loopback_addresses_do_without_tls)
{
    static const char *const near[] = {"127.0.0.1", "127.255.0.9", "127.1",
                                       "::1", "::ffff:127.0.0.1"};
    static const char *const far[] = {
        "128.0.0.1", "10.0.0.1", "0.0.0.0",         "0",          "192.0.2.1",
        "::",        "::2",      "::ffff:10.0.0.1", "2001:db8::1"};

    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
        ck_assert_msg(resolve(near[i], 0) == 1, "%s", near[i]);
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        ck_assert_msg(resolve(far[i], 0) == KEYS_NOT_LOOPBACK, "%s", far[i]);
        ck_assert_msg(resolve(far[i], 1) == 1, "%s", far[i]);
    }
    ck_assert_int_eq(resolve("127.0.0.1.", 0), KEYS_UNKNOWN_HOST);
}
END_TEST

/* ---- passwords ---- */

static int
take_password(keys_target *to, const char *text, size_t len, mode_t mode)
{
    char path[256];

    bundled_file(path, "password", text, len);
    ck_assert_int_eq(chmod(path, mode), 0);
    said[0] = '\0';
    return keys_target_password(to, path);
}

START_TEST(a_password_is_one_line_of_a_closed_file)
{
    char long_one[300];
    keys_target to;

    ck_assert(take_password(&to, "hunter2\n", 8, 0640));
    ck_assert_uint_eq(to.password_len, 7);
    ck_assert_mem_eq(to.password, "hunter2", 7);
    ck_assert(take_password(&to, " hunter 2 ", 10, 0600));
    ck_assert_uint_eq(to.password_len, 10);
    memset(long_one, 'x', sizeof(long_one));
    ck_assert(take_password(&to, long_one, 255, 0600));
    ck_assert(!take_password(&to, long_one, 256, 0600));
    ck_assert(!take_password(&to, long_one, 257, 0600));
    ck_assert(!take_password(&to, "", 0, 0600));
    ck_assert(!take_password(&to, "\n", 1, 0600));
    ck_assert(!take_password(&to, "hunter2\nmore\n", 13, 0600));
    ck_assert(!take_password(&to, "hunter2\0\n", 9, 0600));
    ck_assert_ptr_nonnull(strstr(said, "--password-file"));
    ck_assert_ptr_null(strstr(said, "hunter2"));
    ck_assert(!take_password(&to, "hunter2\n", 8, 0604));
    ck_assert_ptr_nonnull(strstr(said, "chmod"));
    ck_assert(!keys_target_password(&to, "/does/not/exist"));
    bundled_done();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        the_first_key_is_in_force_for_slow_clocks_too,
        a_new_key_waits_for_propagation_and_skew,
        a_rotation_that_waits_is_not_overtaken,
        an_old_key_leaves_when_its_last_cookie_is_dead_everywhere,
        the_key_that_mints_is_never_removed,
        a_key_that_was_overdue_retires_when_the_next_one_mints,
        a_gap_made_by_hand_is_bridged,
        a_full_file_is_told_and_not_changed,
        ids_go_round_and_are_unique,
        an_id_that_is_taken_is_left_out,
        an_emergency_leaves_one_new_key,
        random_rotations_lose_no_cookie,
        a_fleet_slower_than_promised_loses_cookies,
        each_state_of_a_key_has_its_word,
        what_needs_a_look_is_warned_of,
        weekly_rotations_cause_no_warning,
        a_file_that_is_nearly_full_is_warned_of,
        a_rotation_by_a_clock_ahead_is_warned_of,
        a_gap_before_a_later_key_is_warned_of,
        the_largest_file_is_printed_and_read_again,
        a_file_is_replaced_with_what_its_group_may,
        a_link_stays_and_leads_to_the_new_file,
        what_cannot_be_replaced_stays_and_leaves_nothing,
        two_do_not_change_a_directory_at_once,
        what_is_no_small_file_is_not_read,
        urls_are_split,
        other_urls_are_refused_and_not_repeated,
        only_loopback_addresses_do_without_tls,
        a_password_is_one_line_of_a_closed_file,
    };

    return test_main(
        test_suite("keys", tests, sizeof(tests) / sizeof(tests[0])));
}
