/* SPDX-License-Identifier: MIT
 * Honest users of a DTLS echo server: OpenSSL's client, by the thousand, in
 * one thread.
 *
 *     make bench-programs
 *     bench/load storm [-r PER_SECOND] [-n COUNT] [-j AT_ONCE] [-d DELAY_MS]
 *                      HOST PORT
 *     bench/load echo  [-c SESSIONS] [-w WINDOW] [-s SIZE] HOST PORT
 *     bench/load paced [-c SESSIONS] [-r PER_SECOND_EACH] [-s SIZE] HOST PORT
 *     bench/load idle  -c SESSIONS [-e SECONDS_BETWEEN_ECHOES] HOST PORT
 *     bench/load mixed [-c SESSIONS] [-r ECHOES_PER_SECOND_EACH]
 *                      [-R HANDSHAKES_PER_SECOND] [-d DELAY_MS] HOST PORT
 *
 * storm  handshakes from scratch, each closed when it is complete; without -r
 *        as many as -j allows, without -n for the time of -t
 * echo   each session has -w messages on their way, and sends the next when
 *        one comes back
 * paced  each session sends at a steady rate
 * idle   sessions that are held until -t, or without it SIGTERM; the line
 *        "ready N RSS_KB" says that N are open and what memory the server
 *        has, and what is counted begins there
 * mixed  paced and a storm; first the line "peers ADDRESS:PORT,..."
 *
 * All have -t SECONDS (5), -p PID of the server, -C CPU, -N NICE, -g GROUPS
 * (with that of an ECDSA certificate among them), -j handshakes at once, -y
 * SECONDS (8) until a handshake has failed, and -m, a connected socket for
 * each session. -d delays each flight of a handshake, so that one takes three
 * times as long.
 *
 * The last line is JSON. "retransmitted" are handshakes that had to send a
 * flight again; "closed" sessions were ended by the server, or by a record
 * that it did not send. HOST is in 127.0.0.0/8, as sessions have addresses of
 * their own, from 127.1.0.1 on. */
#include "load.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OTHER_FILES = 64
};

typedef struct mode {
    const char *name;
    const char *options;
    void (*run)(void);
} mode;

load_options told = {.common = {.cpu = -1, .seconds = -1},
                     .sessions = 20,
                     .window = 4,
                     .size = 64,
                     .rate = -1,
                     .storm_rate = 50,
                     .limit_s = 8};
volatile sig_atomic_t stopped;

void
work_until(uint64_t end_ns, int (*is_done)(void), const activity *activities)
{
    static uint64_t next_timers;
    uint64_t now;

    while (!stopped && (now = now_ns()) < end_ns &&
           (is_done == NULL || !is_done())) {
        uint64_t next = end_ns;

        if (now >= next_timers) {
            sessions_check_timers(now);
            next_timers = now + TIMER_MS * NS_PER_MS;
        }
        for (const activity *a = activities; *a != NULL; a++) {
            uint64_t wanted = (*a)(now);

            next = wanted < next ? wanted : next;
        }
        net_turn(next);
    }
}

static void
load_mixed(void)
{
    static const activity work[] = {paced_work, storm_work, NULL};
    usage before, after;
    double seconds;

    sessions_open(told.sessions, &paced_role, 1, NULL);
    net_print_peers(told.sessions);
    before = usage_read(told.common.pid);
    paced_start(before.at_ns);
    storm_start(before.at_ns, told.sessions, told.storm_rate);
    work_until(before.at_ns + (uint64_t)(told.common.seconds * 1e9), NULL,
               work);
    after = usage_read(told.common.pid);
    paced_finish();
    storm_finish();
    seconds = (double)(after.at_ns - before.at_ns) / 1e9;
    printf("{\"paced\": {");
    paced_print(seconds);
    printf("}, \"storm\": {");
    storm_print(seconds);
    printf("}, \"seconds\": %.6f, ", seconds);
    usage_print(told.common.pid, &before, &after);
    printf("}\n");
}

/* ---- options ---- */

#define EVERYWHERE "t:p:C:N:g:j:y:m"

static const mode modes[] = {
    {"storm", EVERYWHERE "r:n:d:", load_storm},
    {"echo", EVERYWHERE "c:w:s:", load_echo},
    {"paced", EVERYWHERE "c:r:s:", load_paced},
    {"idle", EVERYWHERE "c:e:s:", load_idle},
    {"mixed", EVERYWHERE "c:r:R:s:d:", load_mixed},
};

static const mode *
read_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (name != NULL && strcmp(name, modes[i].name) == 0)
            return &modes[i];
    refuse("usage", "load storm|echo|paced|idle|mixed [OPTION]... HOST PORT");
}

static void
read_option(int option)
{
    if (option == 'c')
        told.sessions = (uint32_t)read_number(optarg, 1, SESSIONS_MAX);
    else if (option == 'w')
        told.window = (uint32_t)read_number(optarg, 1, 1000);
    else if (option == 's')
        told.size = read_number(optarg, MESSAGE_MIN, MESSAGE_MAX);
    else if (option == 'r')
        told.rate = read_decimal(optarg, 0, 1e6);
    else if (option == 'R')
        told.storm_rate = read_decimal(optarg, 0, 1e6);
    else if (option == 'e')
        told.between_s = read_decimal(optarg, 0, 1e6);
    else if (option == 'n')
        told.count = read_number(optarg, 1, UINT32_MAX);
    else if (option == 'j')
        told.at_once = (uint32_t)read_number(optarg, 1, AT_ONCE_MAX);
    else if (option == 'g')
        told.groups = optarg;
    else if (option == 'd')
        told.delay_ns = read_number(optarg, 0, 10000) * NS_PER_MS;
    else if (option == 'y')
        told.limit_s = read_decimal(optarg, 0.1, 600);
    else if (option == 'm')
        told.own_sockets = 1;
    else if (!read_common(&told.common, option, optarg))
        exit(2);
}

static void
settle(const mode *m)
{
    if (told.own_sockets && told.delay_ns > 0)
        refuse("-d", "not together with -m");
    if (told.common.seconds < 0)
        told.common.seconds = m->run == load_idle ? 0 : 5;
    if (told.rate < 0)
        told.rate = m->run == load_storm ? 0 : 50;
    if (m->run != load_storm && m->run != load_idle && told.rate <= 0)
        refuse("-r", "a steady rate is more than 0");
}

static const mode *
read_options(int argc, char **argv)
{
    const mode *m = read_mode(argv[1]);
    int option;

    while ((option = getopt(argc - 1, argv + 1, m->options)) != -1)
        read_option(option);
    if (argc - 1 - optind != 2)
        refuse("usage", "load MODE [OPTION]... HOST PORT");
    read_server(&told.common, argv[1 + optind], argv[2 + optind]);
    settle(m);
    return m;
}

static void
on_signal(int number)
{
    (void)number;
    stopped = 1;
}

int
main(int argc, char **argv)
{
    const mode *m = read_options(argc, argv);
    uint32_t slots = m->run == load_storm   ? STORM_SLOTS
                     : m->run == load_mixed ? STORM_SLOTS + told.sessions
                                            : told.sessions;

    apply_common(&told.common);
    if (told.own_sockets)
        allow_files(AT_ONCE_MAX + (unsigned long)told.sessions + OTHER_FILES);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    sessions_init(slots);
    net_init();
    m->run();
    sessions_free();
    net_free();
    return 0;
}
