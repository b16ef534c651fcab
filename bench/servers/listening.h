/* SPDX-License-Identifier: MIT
 * What all programs have in common that listen: the receive buffer, the line
 * that says where, and signals at which they end. */
#ifndef DTLSL_BENCH_LISTENING_H
#define DTLSL_BENCH_LISTENING_H

#include <signal.h>

/* Set by SIGTERM and SIGINT. */
extern volatile sig_atomic_t stopped;

/* SO_RCVBUF; 0 is the system's default. */
void listening_set_buffer(int fd, int bytes);
/* "listening ADDRESS:PORT". */
void listening_say(int fd);
/* Both signals come from now on only with the mask that it returns, which is
 * for waiting: none is missed. */
sigset_t listening_catch_signals(void);

#endif
