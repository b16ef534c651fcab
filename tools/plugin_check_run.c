/* SPDX-License-Identifier: MIT
 * One check in a process of its own: a plugin that crashes, hangs or exits
 * does not take the report away. */
#include "plugin_check.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void tell(check_report *report, int outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
tell(check_report *report, int outcome, const char *format, ...)
{
    va_list args;

    report->outcome = outcome;
    va_start(args, format);
    vsnprintf(report->seen, sizeof(report->seen), format, args);
    va_end(args);
}

static _Noreturn void
child(const check *c, const check_setup *setup, check_report *report,
      const sigset_t *mask)
{
    static kit k;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    /* Standard output is the report's. */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    kit_init(&k, setup, report);
    c->run(&k);
    kit_pass(&k, "%s", "");
}

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for SIGCHLD, which is blocked; 0 when the limit has passed. */
static int
wait_limited(pid_t pid, unsigned limit_s, int *status)
{
    int64_t end = now_ms() + (int64_t)limit_s * 1000;
    sigset_t wanted;

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    while (waitpid(pid, status, WNOHANG) != pid) {
        int64_t left = end - now_ms();
        struct timespec t;

        if (left <= 0)
            return 0;
        t.tv_sec = left / 1000;
        t.tv_nsec = left % 1000 * 1000000;
        sigtimedwait(&wanted, NULL, &t);
    }
    return 1;
}

static void
judge_end(check_report *report, int status)
{
    if (WIFSIGNALED(status))
        tell(report, CHECK_FAILED, "crashed (signal %d, %s)", WTERMSIG(status),
             strsignal(WTERMSIG(status)));
    else if (report->outcome <= CHECK_NONE ||
             report->outcome >= CHECK_OUTCOMES)
        tell(report, CHECK_FAILED, "ended the process (exit status %d)",
             WEXITSTATUS(status));
}

static void
supervise(pid_t pid, const check_setup *setup, check_report *report)
{
    int status = 0;

    if (wait_limited(pid, setup->limit_s, &status)) {
        judge_end(report, status);
        return;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    tell(report, CHECK_FAILED, "hangs: no end within %u s", setup->limit_s);
}

void
check_run(const check *c, const check_setup *setup, check_report *report)
{
    check_report *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigset_t block, mask;
    pid_t pid;

    if (shared == MAP_FAILED) {
        tell(report, CHECK_SKIPPED, "no memory: %s", strerror(errno));
        return;
    }
    /* Ignored, which is inherited, it would reap the child. */
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, &mask);
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        child(c, setup, shared, &mask);
    if (pid < 0)
        tell(shared, CHECK_SKIPPED, "no process: %s", strerror(errno));
    else
        supervise(pid, setup, shared);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    *report = *shared;
    report->seen[sizeof(report->seen) - 1] = '\0';
    report->strategy[sizeof(report->strategy) - 1] = '\0';
    munmap(shared, sizeof(*shared));
}
