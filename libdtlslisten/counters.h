/* SPDX-License-Identifier: MIT
 * One list of counters. gate, engine and udp each own a dtlsl__counters and
 * bump their own; they are summed when they are read.
 *
 * Kinds: IN a datagram came in; OUT one of the outcomes, of which each
 * datagram that came in has exactly one (so sum(OUT) == sum(IN)); EVENT
 * anything else; GAUGE the present size or state of something. Names and
 * meanings are stable. */
#ifndef DTLSL_COUNTERS_H
#define DTLSL_COUNTERS_H

#include <dtlslisten/base.h>

/* X(id, kind, name, text). The ids of DROP_SHORT to DROP_STRATEGY follow
 * DTLSL_REASON_* in the same order. */
#define DTLSL__COUNTERS(X)                                                    \
    X(RECEIVED, IN, "received", "datagrams received")                         \
    X(DROP_SHORT, OUT, "drop_short", "no whole record header")                \
    X(DROP_TYPE, OUT, "drop_type", "stranger, not a handshake record")        \
    X(DROP_VERSION, OUT, "drop_version", "record version not DTLS 1.x")       \
    X(DROP_RECORD_LENGTH, OUT, "drop_record_length",                          \
      "record longer than its datagram")                                      \
    X(DROP_EPOCH, OUT, "drop_epoch", "stranger, not in epoch 0")              \
    X(DROP_MESSAGE_LENGTH, OUT, "drop_message_length",                        \
      "fragment does not fill its record")                                    \
    X(DROP_MESSAGE_TYPE, OUT, "drop_message_type",                            \
      "stranger, not a ClientHello")                                          \
    X(DROP_MESSAGE_SEQ, OUT, "drop_message_seq", "message_seq above 1")       \
    X(DROP_FRAGMENT, OUT, "drop_fragment",                                    \
      "stranger's later fragment of a ClientHello")                           \
    X(DROP_HELLO_LENGTH, OUT, "drop_hello_length",                            \
      "ClientHello ends before its cookie does")                              \
    X(DROP_SESSION_ID, OUT, "drop_session_id", "session_id above 32 bytes")   \
    X(DROP_MALFORMED, OUT, "drop_malformed",                                  \
      "ClientHello broken behind the cookie")                                 \
    X(DROP_COOKIE_SEQ, OUT, "drop_cookie_seq",                                \
      "cookie in a ClientHello with message_seq 0")                           \
    X(DROP_RECORD_SEQ, OUT, "drop_record_seq",                                \
      "record number out of the range that is accepted")                      \
    X(DROP_SOURCE, OUT, "drop_source", "source that nobody can answer")       \
    X(DROP_DESTINATION, OUT, "drop_destination",                              \
      "sent to a multicast or broadcast address")                             \
    X(DROP_AMPLIFY, OUT, "drop_amplify",                                      \
      "reply would be longer than the datagram")                              \
    X(DROP_BAD_COOKIE, OUT, "drop_bad_cookie",                                \
      "bad cookies beyond the budget for answers")                            \
    X(DROP_NOTREADY, OUT, "drop_notready", "strategy has no key yet")         \
    X(DROP_REFUSED, OUT, "drop_refused", "refused by the strategy")           \
    X(DROP_STRATEGY, OUT, "drop_strategy", "strategy failed")                 \
    X(DROP_EMPTY, OUT, "drop_empty", "empty datagram")                        \
    X(DROP_TRUNCATED, OUT, "drop_truncated",                                  \
      "datagram longer than the receive buffer")                              \
    X(DROP_DUPLICATE, OUT, "drop_duplicate",                                  \
      "copy of a ClientHello that was accepted")                              \
    X(DROP_REPLAYED, OUT, "drop_replayed",                                    \
      "cookie of a connection that has ended")                                \
    X(DROP_RATION, OUT, "drop_ration",                                        \
      "verified, more than the accepts of one wake-up")                       \
    X(DROP_MAX_CONNS, OUT, "drop_max_conns", "verified, max-conns reached")   \
    X(DROP_MAX_HANDSHAKES, OUT, "drop_max_handshakes",                        \
      "verified, max-handshakes reached, all of them young")                  \
    X(DROP_PREFIX, OUT, "drop_prefix",                                        \
      "verified, max-conns-per-prefix or a prefix's share reached")           \
    X(DROP_HELLO_REFUSED, OUT, "drop_hello_refused",                          \
      "verified, refused by the application")                                 \
    X(DROP_STOPPING, OUT, "drop_stopping", "the listener is stopping")        \
    X(DROP_NOMEM, OUT, "drop_nomem",                                          \
      "verified, but no memory or OpenSSL "                                   \
      "failed to take it")                                                    \
    X(DROP_FILTERED, OUT, "drop_filtered",                                    \
      "for a connection, with nothing in it that can be genuine")             \
    X(REPLIED, OUT, "replied", "ClientHellos answered statelessly")           \
    X(ACCEPTED, OUT, "accepted", "ClientHellos that opened a connection")     \
    X(DELIVERED, OUT, "delivered", "datagrams given to a connection")         \
    X(HELLO_VERIFY_SENT, EVENT, "hello_verify_sent",                          \
      "HelloVerifyRequests written")                                          \
    X(COOKIE_VALID, EVENT, "cookie_valid", "cookies verified")                \
    X(COOKIE_MALFORMED, EVENT, "cookie_malformed",                            \
      "cookies of no strategy here")                                          \
    X(COOKIE_UNKNOWN_KEY, EVENT, "cookie_unknown_key",                        \
      "cookies of an unknown key")                                            \
    X(COOKIE_EXPIRED, EVENT, "cookie_expired", "genuine, but too old")        \
    X(COOKIE_FUTURE, EVENT, "cookie_future", "genuine, from the future")      \
    X(COOKIE_MISMATCH, EVENT, "cookie_mismatch", "forged or of other hello")  \
    X(COOKIE_NEED_MORE, EVENT, "cookie_need_more",                            \
      "cookies that bind more than the first fragment has")                   \
    X(RECORDS_FILTERED, EVENT, "records_filtered",                            \
      "records kept from OpenSSL")                                            \
    X(ALERTS_IGNORED, EVENT, "alerts_ignored",                                \
      "plaintext alerts during a handshake")                                  \
    X(SSL_NEW, EVENT, "ssl_new", "SSL objects made")                          \
    X(OPENED, EVENT, "opened", "handshakes completed")                        \
    X(CLOSED, EVENT, "closed", "connections closed after OPEN")               \
    X(FAILED, EVENT, "failed", "verified handshakes that did not finish")     \
    X(REPLACED, EVENT, "replaced", "connections replaced by a new handshake") \
    X(EVICTED, EVENT, "evicted", "half-open ones that made room")             \
    X(RETRANSMITS, EVENT, "retransmits", "flights sent again by the timer")   \
    X(DATA_IN, EVENT, "data_in", "application datagrams received")            \
    X(DATA_OUT, EVENT, "data_out", "application datagrams sent")              \
    X(CONNS, GAUGE, "conns", "open connections")                              \
    X(HANDSHAKES, GAUGE, "handshakes", "half-open connections")               \
    X(LIBSSL_OUTDATED, GAUGE, "libssl_outdated",                              \
      "1: libssl is older than the fixes of DTLS that are known")             \
    X(SENT, EVENT, "sent", "datagrams sent")                                  \
    X(SEND_BLOCKED, EVENT, "send_blocked", "sends that found a full socket")  \
    X(SEND_DROPPED, EVENT, "send_dropped",                                    \
      "datagrams that the system refused, or that found no room")             \
    X(SEND_TOOBIG, EVENT, "send_toobig", "of those, EMSGSIZE")                \
    X(RECEIVE_ERRORS, EVENT, "receive_errors", "errors while receiving")      \
    X(KERNEL_DROPS, EVENT, "kernel_drops",                                    \
      "datagrams that the system dropped before us")                          \
    X(KERNEL_DROPS_STRANGERS, EVENT, "kernel_drops_strangers",                \
      "of those, first ClientHellos and what is no DTLS")                     \
    X(KERNEL_DROPS_VERIFYING, EVENT, "kernel_drops_verifying",                \
      "of those, second ClientHellos")                                        \
    X(KERNEL_DROPS_SESSIONS, EVENT, "kernel_drops_sessions",                  \
      "of those, for connections")                                            \
    X(ISOLATED, GAUGE, "isolated", "1: strangers have sockets of their own")  \
    X(NOTICES_DROPPED, EVENT, "notices_dropped",                              \
      "texts for the operator beyond the rate limit")

enum {
#define X(id, kind, name, text) DTLSL__N_##id,
    DTLSL__COUNTERS(X)
#undef X
    DTLSL__N_COUNTERS
};

enum {
    DTLSL__IN,
    DTLSL__OUT,
    DTLSL__EVENT,
    DTLSL__GAUGE
};

typedef struct dtlsl__counters {
    uint64_t n[DTLSL__N_COUNTERS];
} dtlsl__counters;

typedef struct dtlsl__counter_info {
    const char *name;
    const char *text;
    int32_t kind;
} dtlsl__counter_info;

/* NULL behind the last. */
const dtlsl__counter_info *dtlsl__counter_at(size_t index);
/* The index of a name, or -1. */
int32_t dtlsl__counter_find(const char *name);
void dtlsl__counters_add(dtlsl__counters *sum, const dtlsl__counters *part);
/* Counters of cookie strategies, by index; < 0 behind the last. */
typedef int32_t dtlsl__counters_more(const void *from, size_t index,
                                     const char **strategy, const char **name,
                                     uint64_t *value);

/* One line of JSON, or the Prometheus text format with the prefix
 * "dtlslisten_". Returns the length or DTLSL_ERR_SPACE. */
int32_t dtlsl__counters_text(const dtlsl__counters *counters,
                             dtlsl__counters_more *more, const void *from,
                             int32_t format, char *buf, size_t buf_len);

/* One of those that stand in the text, in its order, with its name there.
 * Returns the name's length, DTLSL_ERR_SPACE, or DTLSL_ERR_OPTION behind the
 * last. */
int32_t dtlsl__counters_at(const dtlsl__counters *counters,
                           dtlsl__counters_more *more, const void *from,
                           size_t index, char *name, size_t name_len,
                           uint64_t *value);

#endif
