/* SPDX-License-Identifier: MIT
 * A module for the tests: it exports something else. */
int dtlsl_test_nosymbol(void);

__attribute__((visibility("default"))) int
dtlsl_test_nosymbol(void)
{
    return 1;
}
