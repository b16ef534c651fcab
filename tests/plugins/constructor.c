/* SPDX-License-Identifier: MIT
 * A part of a module for the tests: it ends the process while it is loaded. */
#include <stdlib.h>

static __attribute__((constructor)) void
end(void)
{
    abort();
}
