/* SPDX-License-Identifier: MIT
 * Several listeners of one config on one address, a thread and a loop each. */
#ifndef EXAMPLES_WORKERS_H
#define EXAMPLES_WORKERS_H

#include <dtlslisten/dtlslisten.h>

enum {
    WORKERS_MAX = 64
};

/* Serves with n workers (the config's option of that name is n) until SIGINT
 * or SIGTERM. Prints "listening ADDRESS:PORT", and at SIGUSR1 and at the end
 * the sum of all workers' counters as JSON. 'on_event' is called in the
 * threads of all workers. Takes the config over. Returns the program's status;
 * what goes wrong is on stderr. */
int workers_run(dtlsl_config *config, unsigned n, const char *host,
                uint16_t port, dtlsl_event_cb on_event);

#endif
