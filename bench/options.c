/* SPDX-License-Identifier: MIT
 * What the programs are told on their command lines. */
#include "options.h"
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void
refuse(const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(2);
}

unsigned long
read_number(const char *text, unsigned long min, unsigned long max)
{
    char *end, why[80];
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    snprintf(why, sizeof(why), "not a number from %lu to %lu", min, max);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        value < min || value > max)
        refuse(text, why);
    return value;
}

double
read_decimal(const char *text, double min, double max)
{
    char *end, why[80];
    double value = strtod(text, &end);

    snprintf(why, sizeof(why), "not a number from %g to %g", min, max);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        refuse(text, why);
    return value;
}

int
read_common(common_options *o, int option, const char *text)
{
    if (option == 'C')
        o->cpu = (int)read_number(text, 0, CPU_SETSIZE - 1);
    else if (option == 'N')
        o->nice = (int)read_decimal(text, -20, 19);
    else if (option == 't')
        o->seconds = read_decimal(text, 0.01, 86400);
    else if (option == 'p')
        o->pid = (pid_t)read_number(text, 1, INT_MAX);
    else
        return 0;
    return 1;
}

struct sockaddr_in
read_address(const char *host, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    address.sin_port = htons((uint16_t)read_number(port, 0, UINT16_MAX));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        refuse(host, "not an IPv4 address");
    return address;
}

void
read_server(common_options *o, const char *host, const char *port)
{
    o->server = read_address(host, port);
    if (ntohl(o->server.sin_addr.s_addr) >> 24 != 127)
        refuse(host, "not an address in 127.0.0.0/8: the load never leaves "
                     "this machine");
    if (o->server.sin_port == 0)
        refuse(port, "no port that a server has");
}

void
apply_common(const common_options *o)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (o->cpu >= 0)
        CPU_SET((size_t)o->cpu, &set);
    if (o->cpu >= 0 && sched_setaffinity(0, sizeof(set), &set) < 0)
        refuse("-C: this process may not run on that CPU", strerror(errno));
    if (o->nice != 0 && setpriority(PRIO_PROCESS, 0, o->nice) < 0)
        refuse("the priority", strerror(errno));
}

void
allow_files(unsigned long n)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= n)
        return;
    limit.rlim_cur = n;
    if (limit.rlim_max < n)
        limit.rlim_max = n;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        refuse("so many sockets: see 'ulimit -n'", strerror(errno));
}
