/* SPDX-License-Identifier: MIT
 * Check's assertions outside of Check, for a fuzzer that uses harnesses of the
 * unit tests: they cost nothing and fail like fuzz_check. */
#include "fuzz.h"

void _mark_point(const char *file, int line);
void _ck_assert_failed(const char *file, int line, const char *what, ...)
    __attribute__((noreturn));

void
_mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

void
_ck_assert_failed(const char *file, int line, const char *what, ...)
{
    fuzz_fail(file, line, what);
}
