/* SPDX-License-Identifier: MIT
 *
 * The gate: what DTLSv1_listen() decides, for a datagram that you already
 * hold, without a loop, a socket, a clock, or anything kept about a peer.
 * dtlsl_gate(3) has a table that maps DTLSv1_listen() onto it.
 *
 * A gate belongs to one thread. Nothing here blocks, logs, or leaves an entry
 * on OpenSSL's error queue; the packet path does not allocate.
 *
 * Only the ClientHello's own record is judged. Records that follow it in the
 * same datagram start at record_len and are yours to feed to the SSL later.
 * Duplicates of a ClientHello that was accepted (dtlsl_hello_id), a client
 * that comes back on a known address (RFC 6347 section 4.2.8) and limits are
 * the caller's; dtlsl_listener does all three.
 */
#ifndef DTLSLISTEN_GATE_H
#define DTLSLISTEN_GATE_H

#include <dtlslisten/base.h>
#include <dtlslisten/config.h>

DTLSL_BEGIN_DECLS

struct ssl_st;

typedef struct dtlsl_gate dtlsl_gate;

enum {
    DTLSL_REPLY_MAX = 283,  /* longest HelloVerifyRequest datagram */
    DTLSL_ADDRESS_MAX = 96, /* longest address as text, with its NUL */
    DTLSL_HELLO_ID_LEN = 32,
    DTLSL_COUNTER_NAME_MAX = 112 /* longest name of a counter, with its NUL */
};

/* Where a datagram came from and where it was sent to, as in
 * dtlsl_cookie_input: 16 address, 2 port, 4 zone, 2 zero; big-endian. */
typedef struct dtlsl_path {
    uint8_t peer[24];
    uint8_t local[24];
} dtlsl_path;

/* One reading of both clocks, in milliseconds: monotonic, and UTC since 1970.
 * Read them once per batch of datagrams. */
typedef struct dtlsl_now {
    uint64_t mono_ms;
    uint64_t unix_ms;
} dtlsl_now;

/* dtlsl_verdict.action */
enum {
    DTLSL_DROP = 0,  /* forget the datagram; reason says why */
    DTLSL_REPLY = 1, /* send the reply_len bytes at reply to the peer */
    DTLSL_ACCEPT = 2 /* the peer owns its address: make an SSL for it */
};

/* dtlsl_verdict.reason; each is a counter of the same name in lower case. */
enum {
    DTLSL_REASON_NONE = 0,
    DTLSL_REASON_DROP_SHORT = 1,          /* no whole record header */
    DTLSL_REASON_DROP_TYPE = 2,           /* not a handshake record */
    DTLSL_REASON_DROP_VERSION = 3,        /* record version is not DTLS 1.x */
    DTLSL_REASON_DROP_RECORD_LENGTH = 4,  /* record longer than datagram */
    DTLSL_REASON_DROP_EPOCH = 5,          /* not in epoch 0 */
    DTLSL_REASON_DROP_MESSAGE_LENGTH = 6, /* fragment does not fill record */
    DTLSL_REASON_DROP_MESSAGE_TYPE = 7,   /* not a ClientHello */
    DTLSL_REASON_DROP_MESSAGE_SEQ = 8,    /* message_seq above 1 */
    DTLSL_REASON_DROP_FRAGMENT = 9,       /* not the first fragment */
    DTLSL_REASON_DROP_HELLO_LENGTH = 10,  /* ends before its cookie does */
    DTLSL_REASON_DROP_SESSION_ID = 11,    /* session_id above 32 bytes */
    DTLSL_REASON_DROP_MALFORMED = 12,     /* broken behind the cookie */
    DTLSL_REASON_DROP_COOKIE_SEQ = 13,    /* a cookie in message_seq 0 */
    DTLSL_REASON_DROP_RECORD_SEQ = 14,    /* record number too near 2^48 */
    DTLSL_REASON_DROP_SOURCE = 15,        /* source nobody can answer */
    DTLSL_REASON_DROP_DESTINATION = 16,   /* multicast or broadcast */
    DTLSL_REASON_DROP_AMPLIFY = 17,       /* reply would exceed datagram */
    DTLSL_REASON_DROP_BAD_COOKIE = 18,    /* bad cookies beyond their budget */
    DTLSL_REASON_DROP_NOTREADY = 19,      /* the strategy has no key yet */
    DTLSL_REASON_DROP_REFUSED = 20,       /* the strategy's policy says no */
    DTLSL_REASON_DROP_STRATEGY = 21       /* the strategy failed */
};

/* What a gate says about one datagram. Set size, reply and reply_cap before
 * the call; the rest is written by it. */
typedef struct dtlsl_verdict {
    uint32_t size;       /* sizeof(dtlsl_verdict) */
    uint32_t reply_cap;  /* room at reply: at least 60 bytes;
                            DTLSL_REPLY_MAX is always enough */
    uint8_t *reply;      /* yours */
    int32_t action;      /* DTLSL_DROP, DTLSL_REPLY or DTLSL_ACCEPT */
    int32_t reason;      /* DTLSL_REASON_*; NONE unless action is DROP */
    uint32_t reply_len;  /* of a REPLY: never more than the datagram's len */
    uint32_t record_len; /* bytes of the ClientHello's record, header too */
    uint32_t age_ms;     /* of an accepted cookie: an upper bound of the RTT */
    uint32_t node;       /* which node minted it, 0: unspecified */
    uint32_t app_len;    /* application data in it */
    uint8_t app[232];
    uint32_t reserved;
} dtlsl_verdict;

/* Fills a path from two socket addresses (struct sockaddr_in or _in6, as
 * recvfrom gives them; lengths in bytes). 'local' may be NULL with length 0:
 * its 24 bytes become zero. Other families are DTLSL_ERR_ARGUMENT. */
DTLSL_API int32_t dtlsl_path_set(dtlsl_path *path, const void *peer,
                                 size_t peer_len, const void *local,
                                 size_t local_len);

/* The same from text, in the form in which dtlsl_conn_peer gives it:
 * "192.0.2.1:4433", "[2001:db8::1]:4433", "[fe80::1%eth0]:4433"; a zone by
 * name or number. 'local' may be NULL. All else is DTLSL_ERR_ARGUMENT. */
DTLSL_API int32_t dtlsl_path_set_text(dtlsl_path *path, const char *peer,
                                      const char *local);

/* Reads both clocks (CLOCK_MONOTONIC, CLOCK_REALTIME), for callers that have
 * none of their own. */
DTLSL_API void dtlsl_now_read(dtlsl_now *now);

/* Makes a gate with the config's strategy; the config freezes. No credentials
 * are needed. Yours, release it with dtlsl_gate_free. On failure
 * dtlsl_config_error(config) says what is wrong. */
DTLSL_API int32_t dtlsl_gate_new(dtlsl_gate **out, dtlsl_config *config);
DTLSL_API void dtlsl_gate_free(dtlsl_gate *gate);

/* What must not happen per datagram: key rotation, file polling. Call it once
 * before the first datagram and again whenever the monotonic time
 * *next_mono_ms (which it sets; UINT64_MAX: never) has come. */
DTLSL_API int32_t dtlsl_gate_tick(dtlsl_gate *gate, const dtlsl_now *now,
                                  uint64_t *next_mono_ms);

/* Judges one datagram. Returns DTLSL_OK with the verdict, whatever the
 * datagram was; negative only for broken arguments. */
DTLSL_API int32_t dtlsl_gate_judge(dtlsl_gate *gate, const dtlsl_path *path,
                                   const uint8_t *datagram, size_t len,
                                   const dtlsl_now *now,
                                   dtlsl_verdict *verdict);

/* DTLSv1_listen() for a datagram that you already hold. 'ssl' is fresh from
 * SSL_new of a DTLS server SSL_CTX and has its BIOs.
 *   1: ssl is where DTLSv1_listen() leaves it; call SSL_accept(ssl) at once.
 *   0: nothing fatal; send the reply if the verdict is REPLY. ssl is
 *      untouched.
 * < 0: broken arguments, or OpenSSL failed (DTLSL_ERR_TLS); free ssl.
 * Certificates, cert_cb and security callback set on the SSL itself (not its
 * SSL_CTX) do not survive a 1. */
DTLSL_API int32_t dtlsl_gate_listen(dtlsl_gate *gate, struct ssl_st *ssl,
                                    const dtlsl_path *path,
                                    const uint8_t *datagram, size_t len,
                                    const dtlsl_now *now,
                                    dtlsl_verdict *verdict);

/* The second half only: brings 'ssl' into the state after DTLSv1_listen() with
 * a ClientHello that a gate has accepted. Returns as dtlsl_gate_listen. */
DTLSL_API int32_t dtlsl_gate_accept(struct ssl_st *ssl,
                                    const uint8_t *datagram, size_t len);

/* 1 if the datagram starts with an epoch-0 handshake record of a ClientHello
 * (any fragment of it), else 0. For routing; it judges nothing. */
DTLSL_API int32_t dtlsl_is_client_hello(const uint8_t *datagram, size_t len);

/* The key by which copies of one ClientHello are told: 32 bytes that depend on
 * its version, random, session_id and cookie, not on its record number or
 * fragmentation. DTLSL_ERR_ARGUMENT if it is no first fragment of one. */
DTLSL_API int32_t dtlsl_hello_id(const uint8_t *datagram, size_t len,
                                 uint8_t id[32]);

/* A counter by its name, or 0 for an unknown one; dtlsl_gate(3) lists them. */
DTLSL_API uint64_t dtlsl_gate_counter(const dtlsl_gate *gate,
                                      const char *name);

/* Counter number 'index' of those that a gate has, with its name; those of the
 * strategies come last, as cookie_<strategy>_<name>. Returns the name's length
 * (DTLSL_COUNTER_NAME_MAX bytes are always enough), or DTLSL_ERR_OPTION behind
 * the last. */
DTLSL_API int32_t dtlsl_gate_counter_at(const dtlsl_gate *gate, size_t index,
                                        char *name, size_t name_len,
                                        uint64_t *value);

DTLSL_END_DECLS

#endif
