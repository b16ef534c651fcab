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
int libssl_has_fixed_versions(void);

/* ---- differential_probe.c ---- */

enum {
    HELLO_MAX = 400
};

typedef struct capture {
    const char *name;
    uint8_t data[HELLO_MAX];
    size_t len;
} capture;

/* Places in hellos. */
enum {
    OPENSSL_1 = 0,
    OPENSSL_2 = 1,
    FRAGMENT_1 = 2,
    FRAGMENT_2 = 3,
    FRAGMENT_3 = 4,
    WOLFSSL_2 = 17,
    HELLOS
};

typedef struct extra {
    uint8_t bytes[40];
    size_t len;
} extra;

enum {
    EXTRAS = 11
};

typedef struct field {
    size_t at;
    unsigned bytes;
} field;

extern capture hellos[HELLOS];
extern const extra extras[EXTRAS];

/* Reads them, and puts the right cookies into those that have one. */
void hellos_open(void);
/* What the digit at the end of its name is. */
int is_kind(size_t base, char number);

uint32_t get16(const uint8_t *p);
uint32_t get24(const uint8_t *p);
uint64_t get48(const uint8_t *p);
void put16(uint8_t *p, uint32_t value);
void put24(uint8_t *p, uint32_t value);
void put48(uint8_t *p, uint64_t value);

void add_field(uint8_t *at, unsigned bytes, int32_t value);

void probe_start(probe *p, size_t base, const char *kind);
/* All three lengths, by the same; those that were wrong stay so. */
void probe_add_lengths(probe *p, int32_t value);
/* Lets 'fresh' bytes take the place of 'old' ones. 0: it cannot be. */
int probe_splice(probe *p, size_t at, size_t old, const void *data,
                 size_t fresh);
/* In a ClientHello in whose body the session id is whole. Lengths that were
 * right before are right again. 0 if there is no room. */
int probe_set_cookie(probe *p, const uint8_t *cookie, size_t len);
int probe_put_cookie(probe *p); /* the right one */
void probe_append(probe *p, const void *data, size_t len);
void probe_append_zeros(probe *p, size_t len);
/* The datagram ends here: so does the record, and a fragment or the whole
 * message. */
void probe_cut(probe *p, size_t len, int is_fragment);
/* To 0, 1, the largest, the largest with a sign, one more, one less. */
void probe_set_field(probe *p, const field *f, int how);
uint32_t record_end(const probe *p);

/* ---- the cases ---- */

typedef void judge_fn(probe *p);

void cases_systematic(judge_fn *judge);
void cases_random(uint64_t seed, uint64_t index, judge_fn *judge);

#endif
