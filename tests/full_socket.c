/* SPDX-License-Identifier: MIT
 * A socket that takes no more, in a process of any language: loaded with
 * LD_PRELOAD, it answers EAGAIN to the library's sends while sends_blocked is
 * not 0. On loopback the system itself never does. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int sends_blocked;
int sends_blocked;

int
sendmmsg(int fd, struct mmsghdr *list, unsigned n, int flags)
{
    if (sends_blocked) {
        errno = EAGAIN;
        return -1;
    }
    return (int)syscall(SYS_sendmmsg, fd, list, n, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
    if (sends_blocked) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, msg, flags);
}
