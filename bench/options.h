/* SPDX-License-Identifier: MIT
 * What the programs are told on their command lines: numbers, addresses,
 * where and how they run. */
#ifndef DTLSL_BENCH_OPTIONS_H
#define DTLSL_BENCH_OPTIONS_H

#include <netinet/in.h>
#include <sys/types.h>

typedef struct common_options {
    int cpu; /* -1: any */
    int nice;
    double seconds;
    pid_t pid; /* of the server, 0: unknown */
    struct sockaddr_in server;
} common_options;

/* Ends the program with status 2. */
_Noreturn void refuse(const char *what, const char *why);

unsigned long read_number(const char *text, unsigned long min,
                          unsigned long max);
double read_decimal(const char *text, double min, double max);
/* -C, -N, -t or -p; 0 if it is none of them. */
int read_common(common_options *o, int option, const char *text);
/* An IPv4 address and a port. */
struct sockaddr_in read_address(const char *host, const char *port);
/* One in 127.0.0.0/8, and a port that is not 0. */
void read_server(common_options *o, const char *host, const char *port);
/* Goes to the CPU, and takes the priority. */
void apply_common(const common_options *o);
/* As many open files as that. */
void allow_files(unsigned long n);

#endif
