/* SPDX-License-Identifier: MIT
 * client.c and world.c assert with Check, which has no test to fail here: in
 * the place of its two functions a message and the end. */
#include <stdio.h>
#include <stdlib.h>

void _mark_point(const char *file, int line);
void _ck_assert_failed(const char *file, int line, const char *expr, ...)
    __attribute__((noreturn));

void
_mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

void
_ck_assert_failed(const char *file, int line, const char *expr, ...)
{
    printf("%s:%d: %s\n", file, line, expr);
    exit(1);
}
