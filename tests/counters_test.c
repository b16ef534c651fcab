/* SPDX-License-Identifier: MIT
 * The list of counters: names, kinds, sums and both texts. */
#include "counters.h"
#include "test.h"
#include <dtlslisten/dtlslisten.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    ROOM = 65536
};

static dtlsl__counters counters;
static char text[ROOM];

static void
fill(void)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        counters.n[i] = i + 1;
}

START_TEST(the_list_ends_with_null)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        ck_assert_ptr_nonnull(dtlsl__counter_at(i));
    ck_assert_ptr_null(dtlsl__counter_at(DTLSL__N_COUNTERS));
    ck_assert_ptr_null(dtlsl__counter_at(SIZE_MAX));
}
END_TEST

START_TEST(names_are_plain_and_found)
{
    for (int32_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        const char *name = dtlsl__counter_at((size_t)i)->name;
        ck_assert_uint_gt(strlen(name), 0);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"),
                          strlen(name));
        ck_assert_int_eq(dtlsl__counter_find(name), i);
    }
}
END_TEST

START_TEST(texts_need_no_escaping)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        const char *line = dtlsl__counter_at(i)->text;
        ck_assert_uint_gt(strlen(line), 0);
        ck_assert_ptr_null(strpbrk(line, "\\\n"));
    }
}
END_TEST

START_TEST(unknown_names_are_not_found)
{
    ck_assert_int_eq(dtlsl__counter_find("no_such"), -1);
    ck_assert_int_eq(dtlsl__counter_find(""), -1);
    ck_assert_int_eq(dtlsl__counter_find("receive"), -1);
    ck_assert_int_eq(dtlsl__counter_find("RECEIVED"), -1);
    ck_assert_int_eq(dtlsl__counter_find(NULL), -1);
}
END_TEST

START_TEST(kinds_are_the_list_s)
{
    int ins = 0;

    ck_assert_int_eq(dtlsl__counter_at(DTLSL__N_RECEIVED)->kind, DTLSL__IN);
    ck_assert_int_eq(dtlsl__counter_at(DTLSL__N_DELIVERED)->kind, DTLSL__OUT);
    ck_assert_int_eq(dtlsl__counter_at(DTLSL__N_SENT)->kind, DTLSL__EVENT);
    ck_assert_int_eq(dtlsl__counter_at(DTLSL__N_CONNS)->kind, DTLSL__GAUGE);
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        const dtlsl__counter_info *info = dtlsl__counter_at(i);
        ins += info->kind == DTLSL__IN;
        if (strncmp(info->name, "drop_", 5) == 0)
            ck_assert_int_eq(info->kind, DTLSL__OUT);
    }
    ck_assert_int_eq(ins, 1);
}
END_TEST

START_TEST(reasons_and_counters_have_the_same_order)
{
    ck_assert_int_eq(DTLSL__N_DROP_SHORT - DTLSL__N_RECEIVED,
                     DTLSL_REASON_DROP_SHORT);
    ck_assert_int_eq(DTLSL__N_DROP_RECORD_SEQ - DTLSL__N_RECEIVED,
                     DTLSL_REASON_DROP_RECORD_SEQ);
    ck_assert_int_eq(DTLSL__N_DROP_STRATEGY - DTLSL__N_RECEIVED,
                     DTLSL_REASON_DROP_STRATEGY);
}
END_TEST

START_TEST(sums_are_by_counter)
{
    dtlsl__counters sum = {{0}};

    fill();
    dtlsl__counters_add(&sum, &counters);
    dtlsl__counters_add(&sum, &counters);
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        ck_assert_uint_eq(sum.n[i], 2 * (i + 1));
}
END_TEST

START_TEST(json_is_one_object_on_one_line)
{
    int32_t len;
    char *at = text;

    fill();
    len = dtlsl__counters_text(&counters, NULL, NULL, DTLSL_FORMAT_JSON, text,
                               ROOM);
    ck_assert_int_eq(len, (int32_t)strlen(text));
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        char want[128];
        (void)snprintf(want, sizeof(want), "%c\"%s\":%zu", i ? ',' : '{',
                       dtlsl__counter_at(i)->name, i + 1);
        ck_assert_int_eq(strncmp(at, want, strlen(want)), 0);
        at += strlen(want);
    }
    ck_assert_str_eq(at, "}");
}
END_TEST

START_TEST(prometheus_has_help_and_type_of_each)
{
    int32_t len;

    fill();
    len = dtlsl__counters_text(&counters, NULL, NULL, DTLSL_FORMAT_PROMETHEUS,
                               text, ROOM);
    ck_assert_int_eq(len, (int32_t)strlen(text));
    ck_assert_ptr_eq(strstr(text, "# HELP dtlslisten_received_total "
                                  "datagrams received\n"
                                  "# TYPE dtlslisten_received_total counter\n"
                                  "dtlslisten_received_total 1\n"),
                     text);
    ck_assert_ptr_nonnull(strstr(text, "\n# HELP dtlslisten_conns open "
                                       "connections\n"
                                       "# TYPE dtlslisten_conns gauge\n"
                                       "dtlslisten_conns "));
    ck_assert_ptr_null(strstr(text, "dtlslisten_conns_total"));
    ck_assert_int_eq(text[len - 1], '\n');
}
END_TEST

START_TEST(prometheus_has_three_lines_a_counter)
{
    size_t lines = 0;

    ck_assert_int_gt(dtlsl__counters_text(&counters, NULL, NULL,
                                          DTLSL_FORMAT_PROMETHEUS, text, ROOM),
                     0);
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, 3 * (size_t)DTLSL__N_COUNTERS);
}
END_TEST

static int32_t
more(const void *from, size_t index, const char **strategy, const char **name,
     uint64_t *value)
{
    static const char *const names[] = {"minted", "a\"}", "", "unknown_key"};

    ck_assert_ptr_eq(from, &counters);
    if (index >= 4)
        return DTLSL_ERR_ARGUMENT;
    *strategy = index < 3 ? "hmac" : "two-parts";
    *name = names[index];
    *value = 7 + index;
    return DTLSL_OK;
}

START_TEST(counters_of_strategies_follow)
{
    static const char json[] = ",\"cookie_hmac_minted\":7,"
                               "\"cookie_two-parts_unknown_key\":10}";
    static const char prometheus[] =
        "# HELP dtlslisten_cookie_strategy_total counters of cookie "
        "strategies\n"
        "# TYPE dtlslisten_cookie_strategy_total counter\n"
        "dtlslisten_cookie_strategy_total"
        "{strategy=\"hmac\",counter=\"minted\"} 7\n"
        "dtlslisten_cookie_strategy_total"
        "{strategy=\"two-parts\",counter=\"unknown_key\"} 10\n";
    int32_t len;

    len = dtlsl__counters_text(&counters, more, &counters, DTLSL_FORMAT_JSON,
                               text, ROOM);
    ck_assert_int_gt(len, (int32_t)sizeof(json));
    ck_assert_str_eq(text + len - (sizeof(json) - 1), json);
    len = dtlsl__counters_text(&counters, more, &counters,
                               DTLSL_FORMAT_PROMETHEUS, text, ROOM);
    ck_assert_int_gt(len, (int32_t)sizeof(prometheus));
    ck_assert_str_eq(text + len - (sizeof(prometheus) - 1), prometheus);
}
END_TEST

START_TEST(one_by_one_they_are_those_of_the_text)
{
    char name[DTLSL_COUNTER_NAME_MAX];
    char again[ROOM], *at = again;
    uint64_t value;
    int32_t len;

    for (size_t i = 0;
         (len = dtlsl__counters_at(&counters, more, &counters, i, name,
                                   sizeof(name), &value)) >= 0;
         i++) {
        ck_assert_int_eq(len, (int32_t)strlen(name));
        at += snprintf(at, ROOM - (size_t)(at - again), "%c\"%s\":%" PRIu64,
                       i ? ',' : '{', name, value);
    }
    ck_assert_int_eq(len, DTLSL_ERR_OPTION);
    strcpy(at, "}");
    ck_assert_int_gt(dtlsl__counters_text(&counters, more, &counters,
                                          DTLSL_FORMAT_JSON, text, ROOM),
                     0);
    ck_assert_str_eq(again, text);
    ck_assert_int_eq(dtlsl__counters_at(&counters, more, &counters, SIZE_MAX,
                                        name, sizeof(name), &value),
                     DTLSL_ERR_OPTION);
    ck_assert_int_eq(dtlsl__counters_at(&counters, NULL, NULL,
                                        DTLSL__N_COUNTERS, name, sizeof(name),
                                        &value),
                     DTLSL_ERR_OPTION);
}
END_TEST

/* The longest names that there can be. */
static int32_t
longest(const void *from, size_t index, const char **strategy,
        const char **name, uint64_t *value)
{
    static char letters[2][66];

    if (index >= 2)
        return DTLSL_ERR_ARGUMENT;
    memset(letters[0], 'a', 32);
    memset(letters[1], 'a', index == 0 ? 65 : 64);
    letters[1][index == 0 ? 65 : 64] = '\0';
    *strategy = letters[0];
    *name = letters[1];
    *value = *(const uint64_t *)from;
    return DTLSL_OK;
}

START_TEST(the_longest_name_fits_and_too_small_is_told)
{
    char name[DTLSL_COUNTER_NAME_MAX];
    uint64_t value, from = 5;
    int32_t len;

    len = dtlsl__counters_at(&counters, longest, &from, DTLSL__N_COUNTERS,
                             name, sizeof(name), &value);
    ck_assert_int_eq(len, 7 + 32 + 1 + 64);
    ck_assert_uint_eq(value, 5);
    for (size_t cap = 0; cap <= (size_t)len; cap++)
        ck_assert_int_eq(dtlsl__counters_at(&counters, longest, &from,
                                            DTLSL__N_COUNTERS, name, cap,
                                            &value),
                         DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl__counters_at(&counters, NULL, NULL, 0, name,
                                        strlen("received"), &value),
                     DTLSL_ERR_SPACE);
    ck_assert_int_eq(dtlsl__counters_at(&counters, longest, &from,
                                        DTLSL__N_COUNTERS + 1, name,
                                        sizeof(name), &value),
                     DTLSL_ERR_OPTION);
}
END_TEST

START_TEST(the_greatest_value_is_printed)
{
    counters.n[DTLSL__N_RECEIVED] = UINT64_MAX;
    ck_assert_int_gt(dtlsl__counters_text(&counters, NULL, NULL,
                                          DTLSL_FORMAT_JSON, text, ROOM),
                     0);
    ck_assert_ptr_eq(strstr(text, "{\"received\":18446744073709551615,"),
                     text);
}
END_TEST

START_TEST(too_small_a_buffer_is_told_and_not_overrun)
{
    for (int32_t format = 1; format <= 2; format++) {
        int32_t len =
            dtlsl__counters_text(&counters, NULL, NULL, format, text, ROOM);
        ck_assert_int_gt(len, 0);
        for (size_t cap = 0; cap <= (size_t)len; cap++) {
            text[cap] = '#';
            ck_assert_int_eq(
                dtlsl__counters_text(&counters, NULL, NULL, format, text, cap),
                DTLSL_ERR_SPACE);
            ck_assert_int_eq(text[cap], '#');
        }
        ck_assert_int_eq(dtlsl__counters_text(&counters, NULL, NULL, format,
                                              text, (size_t)len + 1),
                         len);
    }
    ck_assert_int_eq(dtlsl__counters_text(&counters, NULL, NULL,
                                          DTLSL_FORMAT_JSON, NULL, 0),
                     DTLSL_ERR_SPACE);
}
END_TEST

START_TEST(an_unknown_format_is_refused)
{
    ck_assert_int_eq(
        dtlsl__counters_text(&counters, NULL, NULL, 0, text, ROOM),
        DTLSL_ERR_ARGUMENT);
    ck_assert_int_eq(
        dtlsl__counters_text(&counters, NULL, NULL, 3, text, ROOM),
        DTLSL_ERR_ARGUMENT);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        the_list_ends_with_null,
        names_are_plain_and_found,
        texts_need_no_escaping,
        unknown_names_are_not_found,
        kinds_are_the_list_s,
        reasons_and_counters_have_the_same_order,
        sums_are_by_counter,
        json_is_one_object_on_one_line,
        prometheus_has_help_and_type_of_each,
        prometheus_has_three_lines_a_counter,
        counters_of_strategies_follow,
        one_by_one_they_are_those_of_the_text,
        the_longest_name_fits_and_too_small_is_told,
        the_greatest_value_is_printed,
        too_small_a_buffer_is_told_and_not_overrun,
        an_unknown_format_is_refused,
    };

    return test_main(
        test_suite("counters", tests, sizeof(tests) / sizeof(tests[0])));
}
