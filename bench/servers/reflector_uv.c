/* SPDX-License-Identifier: MIT
 * A plain reflector on libuv: uv_udp_recv_start() and uv_udp_try_send(). */
#include "reflector.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum {
    DATAGRAM = 65536, /* libuv's own size of a slot with UV_UDP_RECVMMSG */
    SLOTS = 20        /* and as many as it uses at most */
};

static uv_udp_t udp;
static uv_signal_t on_term;
static char buffer[DATAGRAM * SLOTS];
static size_t buffer_len;
static const char *answer;
static size_t answer_len;

static void
check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "reflector: %s: %s\n", what, uv_strerror(result));
    exit(2);
}

static void
give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(buffer, (unsigned)buffer_len);
}

static void
reflect(uv_udp_t *handle, ssize_t n, const uv_buf_t *data,
        const struct sockaddr *from, unsigned flags)
{
    uv_buf_t out;

    (void)flags;
    if (n < 0 || from == NULL)
        return;
    out = answer_len > 0
              ? uv_buf_init((char *)(uintptr_t)answer, (unsigned)answer_len)
              : uv_buf_init(data->base, (unsigned)n);
    uv_udp_try_send(handle, &out, 1, from);
}

static void
end(uv_signal_t *handle, int signum)
{
    (void)signum;
    uv_close((uv_handle_t *)handle, NULL);
    uv_close((uv_handle_t *)&udp, NULL);
}

void
reflect_uv(int fd, int recvmmsg, const char *text, size_t len)
{
    uv_loop_t *loop = uv_default_loop();
    sigset_t term;

    answer = text;
    answer_len = len;
    buffer_len = recvmmsg ? sizeof(buffer) : DATAGRAM;
    check(uv_udp_init_ex(loop, &udp, recvmmsg ? UV_UDP_RECVMMSG : 0u),
          "uv_udp_init_ex");
    check(uv_udp_open(&udp, fd), "uv_udp_open");
    check(uv_signal_init(loop, &on_term), "uv_signal_init");
    check(uv_signal_start(&on_term, end, SIGTERM), "uv_signal_start");
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &term, NULL); /* it was held back until now */
    check(uv_udp_recv_start(&udp, give_buffer, reflect), "uv_udp_recv_start");
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
}
