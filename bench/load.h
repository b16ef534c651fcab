/* SPDX-License-Identifier: MIT
 * What the load consists of: sessions of OpenSSL's client, the sockets under
 * them, and what is done with them. One thread, and one load in a process. */
#ifndef DTLSL_BENCH_LOAD_H
#define DTLSL_BENCH_LOAD_H

#include "clock.h"
#include "latency.h"
#include "options.h"
#include "usage.h"
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>

enum {
    SESSIONS_MAX = 900000,
    STORM_SLOTS = 65536, /* addresses that a storm has in turn */
    AT_ONCE_MAX = 4000,
    MESSAGE_MIN = 16,
    MESSAGE_MAX = 1400,
    LOAD_ADDRESS = 0x7f010001, /* 127.1.0.1, that of slot 0 */
    LIVES = 4,                 /* addresses that a slot has in turn, */
    LIVES_APART = 1 << 20,     /* so far from each other */
    TIMER_MS = 10
};

typedef struct load_options {
    common_options common;
    uint32_t sessions;
    uint32_t window;
    size_t size;
    double rate;       /* echoes of each session, or handshakes of a storm */
    double storm_rate; /* of the storm in a mixed load */
    double between_s;  /* echoes of an idle session */
    uint64_t count;    /* handshakes, 0: by time */
    uint32_t at_once;  /* 0: as the mode likes */
    const char *groups;
    uint64_t delay_ns;
    double limit_s;
    int own_sockets;
} load_options;

extern load_options told;
extern volatile sig_atomic_t stopped;

/* ---- sessions (load_session.c) ---- */

typedef struct session session;

/* What is done with a session. A role may free the session in 'opened' and in
 * 'ended'. */
typedef struct role {
    void (*opened)(session *s);
    void (*echoed)(session *s, uint64_t rtt_ns);
    void (*ended)(session *s); /* it failed, or the server closed it */
} role;

struct session {
    SSL *ssl;
    const role *role;
    uint32_t slot;
    uint32_t address;       /* of ours, host byte order */
    int fd;                 /* -1 if it has the shared one */
    uint32_t shaking_index; /* while it shakes hands */
    uint32_t number;        /* of its next message */
    uint32_t under_way;
    uint8_t is_open;
    uint8_t retransmitted;
    uint8_t is_bare;   /* without its buffers */
    uint64_t since_ns; /* start of the handshake, then the last echo */
    uint64_t delay_ns;
};

void sessions_init(uint32_t slots);
void sessions_free(void);
/* NULL if nobody has the slot. */
session *session_at(uint32_t slot);
/* NULL if nobody has the address now. */
session *session_with(uint32_t address);
/* Sends its first hello. */
void session_start(uint32_t slot, const role *as, uint64_t delay_ns);
void session_input(session *s, const uint8_t *data, size_t len, uint64_t now);
/* Sends the next message; 0 if that cannot be. */
int session_say(session *s, uint64_t now);
/* Gives back the buffers of an open session that has nothing under way. */
void session_shrink(session *s);
/* With a close_notify if it was open. */
void session_free(session *s);
/* Handshakes whose flight is due again, or whose time is over. */
void sessions_check_timers(uint64_t now);

/* ---- sockets (load_net.c) ---- */

void net_init(void);
void net_free(void);
void net_attach(session *s);
void net_detach(session *s);
void net_send(session *s, const uint8_t *data, size_t len);
/* Something is still held back. */
int net_delays(void);
/* Sends what is due, gives what came in to its sessions, and if there was
 * nothing waits until then at the latest. */
void net_turn(uint64_t until_ns);
/* "ADDRESS:PORT,..." of the slots below n. */
void net_print_peers(uint32_t n);

/* ---- work (load.c) ---- */

/* Does what is due by 'now', and says when it has to be called again. */
typedef uint64_t (*activity)(uint64_t now);

/* Until then, or until 'is_done' says so, or a signal. */
void work_until(uint64_t end_ns, int (*is_done)(void),
                const activity *activities);

/* ---- modes ---- */

typedef struct opening {
    uint32_t open;
    uint32_t failed; /* gave up after some tries */
    uint32_t retransmitted;
    double seconds;
} opening;

/* Slots below n get open sessions, without buffers; all have to open if
 * 'all'. What there is to do 'meanwhile' may be NULL. */
opening sessions_open(uint32_t n, const role *as, int all, activity meanwhile);
void sessions_close(uint32_t n);

/* load_echo.c */
void load_echo(void);
void load_paced(void);
void paced_start(uint64_t now);
uint64_t paced_work(uint64_t now);
void paced_finish(void);
void paced_print(double seconds);
extern const role paced_role;

/* load_storm.c */
void load_storm(void);
void storm_start(uint64_t now, uint32_t first_slot, double per_second);
uint64_t storm_work(uint64_t now);
void storm_finish(void);
void storm_print(double seconds);

/* load_idle.c */
void load_idle(void);

#endif
