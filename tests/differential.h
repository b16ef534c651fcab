/* SPDX-License-Identifier: MIT
 * What the parts of the differential test share: probes (datagrams and what
 * surrounds them), the two sides that judge them, and the cases. */
#ifndef DTLSL_DIFFERENTIAL_H
#define DTLSL_DIFFERENTIAL_H

#include <stddef.h>
#include <stdint.h>

/* Where things are in a datagram that starts with a first fragment of a
 * ClientHello. This test reads datagrams by these, never with the library. */
enum {
    AT_TYPE = 0,
    AT_VERSION = 1,
    AT_EPOCH = 3,
    AT_RECORD_SEQ = 5,
    AT_RECORD_LENGTH = 11,
    AT_MESSAGE = 13,
    AT_MESSAGE_LENGTH = 14,
    AT_MESSAGE_SEQ = 17,
    AT_OFFSET = 19,
    AT_FRAGMENT_LENGTH = 22,
    AT_BODY = 25,
    AT_SESSION_ID = 59, /* its length byte */

    DATAGRAM_MAX = 65507,
    LISTEN_MAX = 13 + 16384, /* DTLSv1_listen() reads no more */
    COOKIE_LEN = 20
};

/* probe.path */
enum {
    PATH_GOOD,
    PATH_PORT_0,
    PATH_FROM_MULTICAST,
    PATH_FROM_NOWHERE,
    PATH_FROM_OURSELVES,
    PATH_TO_MULTICAST,
    PATHS
};

/* probe.cookie: what the strategy, or the callback, does when it mints */
enum {
    COOKIE_GOOD,
    COOKIE_FAILS,
    COOKIE_EMPTY,
    COOKIE_TOO_LONG,
    COOKIES
};

typedef struct probe {
    const char *kind;
    uint8_t data[DATAGRAM_MAX + 1];
    size_t len;
    int path;
    int cookie;
    unsigned cookie_len; /* of a good one */
    int fixed;           /* OpenSSL with DTLSv1_2_server_method() */
    int whole;           /* SSL_accept() goes on behind the ClientHello */
    unsigned wait_ms;    /* since the probe before */
} probe;

/* outcome.action */
enum {
    DROP,
    REPLY,
    ACCEPT,
    FATAL
};

/* outcome.after: what SSL_accept() made of an accepted ClientHello */
enum {
    UNASKED,
    TAKEN, /* got to the choice of a certificate, and did not fail then */
    REFUSED,
    WAITS
};

typedef struct outcome {
    int action;
    int reason; /* the gate's for a DROP, OpenSSL's error for any */
    int after;
    int after_error;
    int leaves_errors;
    uint8_t out[2048]; /* the reply, or the alert, if one was sent */
    size_t out_len;
} outcome;

uint32_t get16(const uint8_t *p);
uint32_t get24(const uint8_t *p);
uint64_t get48(const uint8_t *p);
void put16(uint8_t *p, uint32_t value);
void put24(uint8_t *p, uint32_t value);
void put48(uint8_t *p, uint64_t value);

/* Ends the program when the test itself cannot go on. */
void need(int condition, const char *what);

/* ---- differential_sides.c ---- */

void sides_open(void);
void sides_close(void);
void ask_gate(const probe *p, outcome *o);
void ask_openssl(const probe *p, outcome *o);
/* OpenSSL again, with the fragments that complete the ClientHello. */
void ask_openssl_all(const probe *p, const uint8_t *body, size_t len,
                     outcome *o);
/* The right cookie for what is at 'hello', a ClientHello's body. */
void make_cookie(const probe *p, const uint8_t *hello, uint8_t *cookie);

/* What differs between the versions of libssl. */
int libssl_takes_message_seq_2(void);
int libssl_keeps_rest(void); /* of the ClientHello's datagram */

/* ---- differential_cases.c ---- */

typedef void judge_fn(probe *p);

void cases_open(void);
void cases_systematic(judge_fn *judge);
void cases_random(uint64_t seed, uint64_t index, judge_fn *judge);

/* Puts the right cookie into a ClientHello, in whose body the session id is
 * whole, and lengths right that were right before. 0 if there is no room. */
int put_cookie(probe *p);
uint32_t record_end(const probe *p);

#endif
