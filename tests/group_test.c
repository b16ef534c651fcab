/* SPDX-License-Identifier: MIT
 * Many workers that come and go in any order: who hears what, and what is left
 * open, also where the system refuses something. */
#include "address.h"
#include "engine.h"
#include "refuse.h"
#include "scene.h"
#include "test.h"
#include "udp.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST = 64,
    FLOWS = 96,
    STEPS = 40,
    SEED = 20,
    FEW = 3
};

typedef struct crew {
    dtlsl_config *config;
    uint32_t size, n;
    uint16_t port;
    dtlsl__udp *udp[MOST]; /* NULL: not there */
    int fd[FLOWS];
    uint64_t said, heard, drops;
} crew;

static int32_t
try_open(dtlsl__udp **udp, dtlsl_config *config, uint16_t port, char err[256])
{
    *udp = NULL;
    return dtlsl__udp_open(udp, config, "127.0.0.1", port, err, 256);
}

static int
count_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void
join(crew *c, uint32_t i)
{
    char err[256] = "";
    int32_t code = try_open(&c->udp[i], c->config, c->port, err);

    ck_assert_msg(code == DTLSL_OK, "%s", err);
    c->port = dtlsl__address_port(dtlsl__udp_address(c->udp[i]));
    c->n++;
}

static void
part(crew *c, uint32_t i)
{
    c->drops += dtlsl__udp_counters(c->udp[i])->n[DTLSL__N_KERNEL_DROPS];
    dtlsl__udp_close(c->udp[i]);
    c->udp[i] = NULL;
    c->n--;
}

static void
open_crew(crew *c, uint32_t size, const char *isolate)
{
    struct sockaddr_in name;
    char number[16];

    snprintf(number, sizeof(number), "%u", size);
    *c = (crew){.config = scene_workers(number, isolate), .size = size};
    for (uint32_t i = 0; i < size; i++)
        join(c, i);
    name = scene_loopback(c->port);
    for (int i = 0; i < FLOWS; i++) {
        c->fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
        ck_assert_int_eq(
            connect(c->fd[i], (struct sockaddr *)&name, sizeof(name)), 0);
    }
}

static void
close_crew(crew *c)
{
    for (uint32_t i = 0; i < c->size; i++)
        if (c->udp[i] != NULL)
            part(c, i);
    for (int i = 0; i < FLOWS; i++)
        close(c->fd[i]);
    scene_workers_free(c->config);
    ck_assert_uint_eq(c->said, c->heard);
    ck_assert_uint_eq(c->drops, 0);
    ck_assert_int_eq(scene_can_bind(c->port), 1);
}

/* The first ClientHello of nobody, and a record of a session. */
static void
say(crew *c)
{
    uint8_t hello[25] = {22, 0xfe, 0xfd, [12] = 12, [13] = 1};
    uint8_t record[25] = {23, 0xfe, 0xfd, 0, 1, [12] = 12};

    for (int i = 0; i < FLOWS; i++) {
        ck_assert_int_eq(send(c->fd[i], hello, sizeof(hello), 0), 25);
        ck_assert_int_eq(send(c->fd[i], record, sizeof(record), 0), 25);
        c->said += 2;
    }
}

/* Each worker's wake-ups, until all has been heard. */
static void
hear(crew *c)
{
    const dtlsl__datagram *list;

    for (uint32_t turn = 0; turn < 2 * c->size && c->heard < c->said; turn++)
        for (uint32_t i = 0; i < c->size; i++) {
            if (c->udp[i] == NULL)
                continue;
            dtlsl__udp_inherited(c->udp[i]);
            for (uint32_t s = 0; s < dtlsl__udp_count(c->udp[i]); s++)
                for (int n = 0; n < 2; n++)
                    c->heard +=
                        dtlsl__udp_receive(c->udp[i], s, DTLSL__BATCH, &list);
        }
    ck_assert_uint_eq(c->heard, c->said);
}

static void
expect_in_use(const crew *c)
{
    dtlsl_config *config = scene_workers("2", "1");
    dtlsl__udp *none;
    char err[256];

    ck_assert_int_eq(try_open(&none, config, c->port, err), -EADDRINUSE);
    ck_assert_ptr_null(none);
    scene_workers_free(config);
}

/* Now and then the system refuses to sort for a while; what is said before a
 * step is heard behind it. */
static void
check_any_order(uint32_t size, const char *isolate)
{
    int before = count_open();
    crew c;

    open_crew(&c, size, isolate);
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)rand() % size;
        refused_option = rand() % 3 == 0 ? SO_ATTACH_REUSEPORT_CBPF : 0;
        say(&c);
        if (c.udp[i] == NULL)
            join(&c, i);
        else if (c.n > 1)
            part(&c, i);
        hear(&c);
        say(&c);
        hear(&c);
        expect_in_use(&c);
    }
    refused_option = 0;
    close_crew(&c);
    ck_assert_int_eq(count_open(), before);
}

START_TEST(in_any_order_all_flows_are_heard)
{
    const uint32_t sizes[] = {2, 5, MOST};

    srand(SEED);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_any_order(sizes[i], "1");
        check_any_order(sizes[i], "0");
    }
}
END_TEST

/* The limit that lets so many more be opened. */
static rlim_t
limit_after(rlim_t more)
{
    int fd[FEW * DTLSL__CLASSES + 1];

    for (rlim_t i = 0; i <= more; i++)
        fd[i] = dup(0);
    for (rlim_t i = 0; i <= more; i++)
        close(fd[i]);
    return (rlim_t)fd[more];
}

/* A limit on descriptors that is reached at each of the group's sockets. */
static void
check_limit(const char *isolate, rlim_t sockets)
{
    dtlsl_config *config = scene_workers("3", isolate);
    int before = count_open();
    int32_t code;
    struct rlimit was, few;
    dtlsl__udp *udp;
    char err[256];

    getrlimit(RLIMIT_NOFILE, &was);
    for (rlim_t more = 0; more <= sockets; more++) {
        few = (struct rlimit){limit_after(more), was.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        code = try_open(&udp, config, 0, err);
        setrlimit(RLIMIT_NOFILE, &was);
        ck_assert_int_eq(code, more < sockets ? -EMFILE : DTLSL_OK);
        if (more < sockets) {
            ck_assert_ptr_nonnull(strstr(err, "descriptors"));
            ck_assert_int_eq(count_open(), before);
        }
    }
    ck_assert_int_eq(count_open(), before + (int)sockets);
    dtlsl__udp_close(udp);
    ck_assert_int_eq(count_open(), before);
    scene_workers_free(config);
}

START_TEST(a_start_that_fails_midway_leaves_nothing_open)
{
    check_limit("1", FEW * DTLSL__CLASSES);
    check_limit("0", FEW);
}
END_TEST

/* A child that only ends takes nothing along, and a program that it becomes
 * has no socket of ours. */
START_TEST(a_child_has_no_part_in_it)
{
    int status;
    pid_t child;
    crew c;

    open_crew(&c, FEW, "1");
    for (uint32_t i = 0; i < FEW; i++)
        for (uint32_t s = 0; s < DTLSL__CLASSES; s++)
            ck_assert_int_eq(fcntl(dtlsl__udp_fd(c.udp[i], s), F_GETFD),
                             FD_CLOEXEC);
    child = fork();
    if (child == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    say(&c);
    hear(&c);
    close_crew(&c);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        in_any_order_all_flows_are_heard,
        a_start_that_fails_midway_leaves_nothing_open,
        a_child_has_no_part_in_it,
    };

    return test_main(
        test_suite("group", tests, sizeof(tests) / sizeof(tests[0])));
}
