/* SPDX-License-Identifier: MIT
 * Sorting in the kernel. A load beyond a datagram's end ends a program with 0:
 * socket 0, or dropped. */
#include "steer.h"
#include "record.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#if defined(__linux__) && defined(SO_ATTACH_REUSEPORT_CBPF)
#include <linux/filter.h>

enum {
    PROGRAM_MAX = 4 * DTLSL__SHARES,
    NET = SKF_NET_OFF, /* loads from here on: the IP header */
    IPV4 = 0x40,
    NEXT_UDP = 17,
    SAVED_CLASS = 0, /* words of the program's memory */
    SAVED_HASH = 1,
    UDP_HEADER = 8
};

#define GOLDEN 0x9E3779B1u /* 2^32 by the golden ratio */

typedef struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
} program;

static void
append(program *p, const struct sock_filter *part, size_t n)
{
    memcpy(p->code + p->len, part, n * sizeof(*part));
    p->len = (unsigned short)(p->len + n);
}

static void
put(program *p, struct sock_filter one)
{
    append(p, &one, 1);
}

#define LOAD(size, at) BPF_STMT(BPF_LD | (size) | BPF_ABS, (uint32_t)(at))
#define JUMP(test, k, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, k, yes, no)
#define GO(distance) BPF_STMT(BPF_JMP | BPF_JA, distance)
#define ALU(operation, k) BPF_STMT(BPF_ALU | (operation) | BPF_K, k)
#define XOR_X BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0)
#define TO_X BPF_STMT(BPF_MISC | BPF_TAX, 0)
#define KEEP(word) BPF_STMT(BPF_ST, word)
#define RECALL(word) BPF_STMT(BPF_LDX | BPF_MEM, word)

/* Saves the class. Its program sees a datagram from its payload on: a first
 * ClientHello has message_seq 0, and every fragment of the second one 1. */
static void
put_class(program *p)
{
    static const struct sock_filter code[] = {
        /* 0 */ LOAD(BPF_B, 1), /* version */
        /* 1 */ JUMP(BPF_JEQ, 0xFE, 0, 12),
        /* 2 */ LOAD(BPF_B, 0), /* type */
        /* 3 */ JUMP(BPF_JEQ, DTLSL__HANDSHAKE, 2, 0),
        /* 4 */ JUMP(BPF_JGE, DTLSL__CHANGE_CIPHER_SPEC, 0, 9),
        /* 5 */ JUMP(BPF_JGT, DTLSL__APPLICATION_DATA, 8, 10),
        /* 6 */ LOAD(BPF_H, 3), /* epoch */
        /* 7 */ JUMP(BPF_JEQ, 0, 0, 8),
        /* 8 */ LOAD(BPF_B, DTLSL__RECORD_HEADER), /* message type */
        /* 9 */ JUMP(BPF_JEQ, DTLSL__CLIENT_HELLO, 0, 6),
        /* 10 */ LOAD(BPF_H, DTLSL__RECORD_HEADER + 4), /* message_seq */
        /* 11 */ JUMP(BPF_JEQ, 0, 2, 0),
        /* 12 */ BPF_STMT(BPF_LDX | BPF_IMM, DTLSL__VERIFYING),
        /* 13 */ GO(3),
        /* 14 */ BPF_STMT(BPF_LDX | BPF_IMM, DTLSL__STRANGERS),
        /* 15 */ GO(1),
        /* 16 */ BPF_STMT(BPF_LDX | BPF_IMM, DTLSL__SESSIONS),
        /* 17 */ BPF_STMT(BPF_STX, SAVED_CLASS),
    };

    append(p, code, sizeof(code) / sizeof(code[0]));
}

/* The share, from the IP header: the hash of the receive queue is 0 on
 * loopback, and an IPv4 header may have options. */
static void
put_share(program *p, uint32_t key)
{
    const struct sock_filter code[] = {
        /* 0 */ LOAD(BPF_B, NET),
        /* 1 */ ALU(BPF_AND, 0xF0),
        /* 2 */ JUMP(BPF_JEQ, IPV4, 0, 5),
        /* 3 */ LOAD(BPF_W, NET + 12), /* source address */
        /* 4 */ KEEP(SAVED_HASH),
        /* 5 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, (uint32_t)NET),
        /* 6 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, (uint32_t)NET), /* port */
        /* 7 */ GO(19),
        /* 8 */ LOAD(BPF_W, NET + 8), /* source address */
        /* 9 */ ALU(BPF_MUL, key | 1),
        /* 10 */ TO_X,
        /* 11 */ LOAD(BPF_W, NET + 12),
        /* 12 */ XOR_X,
        /* 13 */ ALU(BPF_MUL, key | 1),
        /* 14 */ TO_X,
        /* 15 */ LOAD(BPF_W, NET + 16),
        /* 16 */ XOR_X,
        /* 17 */ ALU(BPF_MUL, key | 1),
        /* 18 */ TO_X,
        /* 19 */ LOAD(BPF_W, NET + 20),
        /* 20 */ XOR_X,
        /* 21 */ KEEP(SAVED_HASH),
        /* 22 */ LOAD(BPF_B, NET + 6), /* next header */
        /* 23 */ JUMP(BPF_JEQ, NEXT_UDP, 2, 0),
        /* 24 */ BPF_STMT(BPF_LD | BPF_IMM, 0),
        /* 25 */ GO(1),
        /* 26 */ LOAD(BPF_H, NET + 40), /* port */
        /* 27 */ ALU(BPF_MUL, key | 1),
        /* 28 */ RECALL(SAVED_HASH),
        /* 29 */ XOR_X,
        /* 30 */ ALU(BPF_MUL, GOLDEN),
        /* 31 */ KEEP(SAVED_HASH),
        /* 32 */ ALU(BPF_RSH, 16),
        /* 33 */ RECALL(SAVED_HASH),
        /* 34 */ XOR_X,
        /* 35 */ ALU(BPF_MUL, key | 1),
        /* 36 */ ALU(BPF_RSH, 24), /* the upper eight bits are the share */
    };

    append(p, code, sizeof(code) / sizeof(code[0]));
}

/* The first socket of the share's worker: a comparison for each range of
 * shares that has one worker. */
static void
put_worker(program *p, uint32_t classes, const uint8_t worker[DTLSL__SHARES])
{
    unsigned short leave[DTLSL__SHARES];
    size_t n = 0;

    for (uint32_t from = 0, to; from < DTLSL__SHARES; from = to) {
        for (to = from + 1; to < DTLSL__SHARES && worker[to] == worker[from];)
            to++;
        put(p, (struct sock_filter)JUMP(BPF_JGE, to, 2, 0));
        put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM,
                                            worker[from] * classes));
        leave[n++] = p->len;
        put(p, (struct sock_filter)GO(0));
    }
    while (n-- > 0)
        p->code[leave[n]].k = (uint32_t)(p->len - leave[n] - 1);
}

static int
has_one_worker(const uint8_t worker[DTLSL__SHARES])
{
    for (size_t i = 1; i < DTLSL__SHARES; i++)
        if (worker[i] != worker[0])
            return 0;
    return 1;
}

static void
put_choice(program *p, uint32_t classes, const uint8_t worker[DTLSL__SHARES],
           uint32_t key)
{
    if (has_one_worker(worker)) {
        put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM,
                                            worker[0] * classes));
    } else {
        put_share(p, key);
        put_worker(p, classes, worker);
    }
    if (classes > 1) {
        put(p, (struct sock_filter)RECALL(SAVED_CLASS));
        put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0));
    }
    put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0));
}

static int
attach(int fd, int option, program *p)
{
    struct sock_fprog all;

    memset(&all, 0, sizeof(all)); /* also what lies between its members */
    all.len = p->len;
    all.filter = p->code;
    return setsockopt(fd, SOL_SOCKET, option, &all, sizeof(all)) < 0 ? -errno
                                                                     : 0;
}

int
dtlsl__steer_sort(int fd, uint32_t classes,
                  const uint8_t worker[DTLSL__SHARES], uint32_t key)
{
    program p = {.len = 0};

    if (classes > 1)
        put_class(&p);
    put_choice(&p, classes, worker, key);
    return attach(fd, SO_ATTACH_REUSEPORT_CBPF, &p);
}

/* Its program sees a datagram from the UDP header on. The last load asks for a
 * whole record header. */
int
dtlsl__steer_filter(int fd)
{
    static const struct sock_filter code[] = {
        LOAD(BPF_B, UDP_HEADER), /* type */
        JUMP(BPF_JGE, DTLSL__CHANGE_CIPHER_SPEC, 0, 4),
        JUMP(BPF_JGT, DTLSL__APPLICATION_DATA, 3, 0),
        LOAD(BPF_B, UDP_HEADER + 1), /* version */
        JUMP(BPF_JEQ, 0xFE, 0, 1),
        GO(1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        LOAD(BPF_B, UDP_HEADER + DTLSL__RECORD_HEADER - 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    program p = {.len = 0};

    append(&p, code, sizeof(code) / sizeof(code[0]));
    return attach(fd, SO_ATTACH_FILTER, &p);
}

#else

int
dtlsl__steer_sort(int fd, uint32_t classes,
                  const uint8_t worker[DTLSL__SHARES], uint32_t key)
{
    (void)fd;
    (void)classes;
    (void)worker;
    (void)key;
    return -ENOTSUP;
}

int
dtlsl__steer_filter(int fd)
{
    (void)fd;
    return -ENOTSUP;
}

#endif
