/* SPDX-License-Identifier: MIT
 * setsockopt() in front of the C library's: a source of the programs that
 * refuse something, and not in a library, from which all would take it. */
#include "refuse.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

atomic_int refused_option;

int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    int refused = refused_option;

    if (refused != 0 && level == SOL_SOCKET && name == refused) {
        errno = EPERM;
        return -1;
    }
    return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}
