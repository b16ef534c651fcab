/* SPDX-License-Identifier: MIT
 * dtlslisten-keys without hiredis. */
#include "keys.h"

int
keys_redis_run(keys_job *job)
{
    (void)job;
    keys_complain("this build cannot talk to Redis; install libhiredis-dev "
                  "(hiredis-devel), then configure and build it anew");
    return KEYS_USAGE;
}
