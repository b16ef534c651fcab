/* SPDX-License-Identifier: MIT
 * What every unit test program shares: Check, and one way to run a suite. */
#ifndef DTLSL_TEST_H
#define DTLSL_TEST_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Adds test functions (START_TEST(name)) to a suite of one test case. */
static inline Suite *
test_suite(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 300);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return suite;
}

static inline int
test_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
