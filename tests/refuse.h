/* SPDX-License-Identifier: MIT
 * Lets the system refuse a socket option, as under a filter of system calls or
 * without memory for it. */
#ifndef DTLSL_REFUSE_H
#define DTLSL_REFUSE_H

#include <stdatomic.h>

/* Of SOL_SOCKET, for all threads; 0: none. */
extern atomic_int refused_option;

#endif
