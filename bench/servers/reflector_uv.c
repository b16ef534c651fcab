/* SPDX-License-Identifier: MIT
 * A plain reflector on libuv: uv_udp_recv_start() and uv_udp_try_send(). */
#include "reflector.h"
#include "options.h"
#include <stdint.h>
#include <uv.h>

enum {
    DATAGRAM = 65536, /* libuv's own size of a slot with UV_UDP_RECVMMSG */
    SLOTS = 20        /* and as many as it uses at most */
};

static uv_udp_t udp;
static uv_signal_t on_signals[2];
static char buffer[DATAGRAM * SLOTS];
static size_t buffer_len;
static const char *answer;
static size_t answer_len;

static void
check(int result, const char *what)
{
    if (result < 0)
        refuse(what, uv_strerror(result));
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
    uv_stop(handle->loop);
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    uv_close(handle, NULL);
}

void
reflect_uv(int fd, int recvmmsg, const char *text, size_t len,
           const sigset_t *while_waiting)
{
    uv_loop_t *loop = uv_default_loop();

    answer = text;
    answer_len = len;
    buffer_len = recvmmsg ? sizeof(buffer) : DATAGRAM;
    check(uv_udp_init_ex(loop, &udp, recvmmsg ? UV_UDP_RECVMMSG : 0u),
          "uv_udp_init_ex");
    check(uv_udp_open(&udp, fd), "uv_udp_open");
    for (int i = 0; i < 2; i++) {
        check(uv_signal_init(loop, &on_signals[i]), "uv_signal_init");
        check(uv_signal_start(&on_signals[i], end, i ? SIGINT : SIGTERM),
              "uv_signal_start");
    }
    sigprocmask(SIG_SETMASK, while_waiting, NULL);
    check(uv_udp_recv_start(&udp, give_buffer, reflect), "uv_udp_recv_start");
    uv_run(loop, UV_RUN_DEFAULT);
    uv_walk(loop, close_handle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
}
