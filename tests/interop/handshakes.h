/* SPDX-License-Identifier: MIT
 * What the load of DTLS clients consists of: many sessions, and the counts of
 * what became of them. */
#ifndef DTLSL_HANDSHAKES_H
#define DTLSL_HANDSHAKES_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdint.h>

enum {
    AT_ONCE_MAX = 4000,
    MESSAGE_MIN = 8,
    MESSAGE_MAX = 1024,
    KEY_MAX = 64,
    IDENTITY_MAX = 128,
    /* in a datagram that is one HelloVerifyRequest */
    COOKIE = 28,
    REQUEST_MAX = COOKIE + 255
};

typedef enum outcome {
    UNDER_WAY,
    COMPLETED,
    REFUSED,
    SILENT,
    FAILED,
    OUTCOMES
} outcome;

typedef enum phase {
    SHAKING,
    ECHOING,
    WAITING /* for the others */
} phase;

typedef struct session {
    SSL *ssl;
    BIO *in;
    int fd;
    phase phase;
    uint32_t serial;
    uint32_t hellos;   /* sent with message_seq 0, so without a cookie */
    uint32_t requests; /* HelloVerifyRequests that came in */
    uint32_t timeouts;
    uint64_t answers_ms; /* when it reads what it holds */
    uint8_t held[REQUEST_MAX];
    size_t held_len;
    uint32_t echoed;    /* messages that came back */
    uint64_t resend_ms; /* the one that is awaited */
} session;

typedef struct load {
    struct sockaddr_in from, to;
    SSL_CTX *ctx;
    uint64_t left;
    uint64_t rate;
    uint64_t hold_ms;
    uint64_t start_ms;
    uint32_t started;
    uint32_t echoes; /* for each session */
    size_t message_len;
    int meets; /* nobody goes on until all are open */
    size_t n_waiting;
    size_t at_once;
    size_t n;
    session *sessions[AT_ONCE_MAX];
    size_t n_open; /* handshake complete */
    size_t most_open;
    uint64_t n_echoed;
    uint64_t n_resent;
    uint64_t outcomes[OUTCOMES];
    uint8_t keys[256];
    char identity[IDENTITY_MAX];
    uint8_t key[KEY_MAX];
    size_t key_len;
} load;

/* Ends the program with status 2. */
void refuse(const char *what, const char *why);
uint64_t now_ms(void);

/* Starts one; it is the last of l->sessions. */
outcome session_start(load *l);
/* What came in, and what is due. */
outcome session_serve(load *l, session *s, int readable);
/* One that waits for the others goes on. */
outcome session_go_on(load *l, session *s);
/* close_notify if it was completed; another takes its place 'i'. */
void session_finish(load *l, size_t i, outcome what);

#endif
