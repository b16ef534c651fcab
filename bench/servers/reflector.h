/* SPDX-License-Identifier: MIT
 * The reflector on libuv. */
#ifndef DTLSL_BENCH_REFLECTOR_H
#define DTLSL_BENCH_REFLECTOR_H

#include <signal.h>
#include <stddef.h>

enum {
    ANSWER_MAX = 65536
};

/* Answers datagrams that come in on the bound socket 'fd' until SIGTERM, which
 * comes with that mask: with the first bytes of 'answer', or if len is 0 as
 * they came. */
void reflect_uv(int fd, int recvmmsg, const char *answer, size_t len,
                const sigset_t *while_waiting);

#endif
