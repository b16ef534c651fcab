/* SPDX-License-Identifier: MIT
 * The CPU that this program and the server have used. The kernel's tables in
 * /proc count ticks of 10 ms; a process's CPU clock is exact, but does not
 * tell user and system time apart, so that the ticks only share it out. */
#include "usage.h"
#include "clock.h"
#include "options.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double
cpu_seconds(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) < 0)
        refuse("the server's CPU time", "it has ended");
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
read_proc(pid_t pid, const char *name, char *text, size_t room)
{
    char path[64];
    size_t len;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    file = fopen(path, "r");
    if (file == NULL)
        refuse(path, strerror(errno));
    len = fread(text, 1, room - 1, file);
    fclose(file);
    text[len] = '\0';
}

/* utime and stime come behind the name, which may have blanks in it, and 11
 * other fields; proc(5). */
static void
read_ticks(pid_t pid, usage *u)
{
    unsigned long user = 0, system = 0;
    char text[1024];
    const char *rest;

    read_proc(pid, "stat", text, sizeof(text));
    rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        refuse("/proc/PID/stat", "not as in proc(5)");
    u->user_ticks = (double)user;
    u->system_ticks = (double)system;
}

usage
usage_read(pid_t pid)
{
    usage u = {.at_ns = now_ns(),
               .client_s = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID)};
    clockid_t id;
    int err;

    if (pid == 0)
        return u;
    err = clock_getcpuclockid(pid, &id);
    if (err != 0)
        refuse("-p", strerror(err));
    u.server_s = cpu_seconds(id);
    read_ticks(pid, &u);
    return u;
}

unsigned long
usage_rss_kb(pid_t pid)
{
    unsigned long pages = 0;
    char text[256];

    if (pid == 0)
        return 0;
    read_proc(pid, "statm", text, sizeof(text));
    if (sscanf(text, "%*u %lu", &pages) != 1)
        refuse("/proc/PID/statm", "not as in proc(5)");
    return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

void
usage_print(pid_t pid, const usage *before, const usage *after)
{
    double server = after->server_s - before->server_s;
    double user = after->user_ticks - before->user_ticks;
    double ticks = user + after->system_ticks - before->system_ticks;
    double share = ticks > 0 ? user / ticks : 0;

    printf("\"client_s\": %.6f", after->client_s - before->client_s);
    if (pid == 0)
        return;
    printf(", \"server_s\": %.6f, \"server_user_s\": %.6f, "
           "\"server_system_s\": %.6f, \"server_rss_kb\": %lu",
           server, server * share, server * (1 - share), usage_rss_kb(pid));
}
