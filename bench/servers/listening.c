/* SPDX-License-Identifier: MIT
 * What all programs have in common that listen. */
#include "listening.h"
#include "options.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

volatile sig_atomic_t stopped;

void
listening_set_buffer(int fd, int bytes)
{
    if (bytes > 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0)
        refuse("-r", strerror(errno));
}

void
listening_say(int fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    char text[INET_ADDRSTRLEN];

    if (getsockname(fd, (void *)&address, &len) < 0)
        refuse("getsockname", strerror(errno));
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    printf("listening %s:%u\n", text, ntohs(address.sin_port));
    fflush(stdout);
}

static void
on_signal(int signum)
{
    (void)signum;
    stopped = 1;
}

sigset_t
listening_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t ours, before;

    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigprocmask(SIG_BLOCK, &ours, &before);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return before;
}
