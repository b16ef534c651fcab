/* SPDX-License-Identifier: MIT
 *
 * libdtlslisten: a DTLS 1.2 server on one UDP port, on a libuv loop.
 *
 *     static void on_event(dtlsl_listener *l, const dtlsl_event *e, void *u)
 *     {
 *         if (e->type == DTLSL_EVENT_DATA)
 *             dtlsl_conn_send(l, e->conn, e->data, e->len);
 *     }
 *     ...
 *     dtlsl_config_new(&config);
 *     dtlsl_config_set(config, "cert-file", "server.pem");
 *     dtlsl_config_set(config, "key-file", "server.key");
 *     dtlsl_listener_new(&listener, config, uv_default_loop());
 *     dtlsl_listener_on_event(listener, on_event, NULL);
 *     dtlsl_listener_start(listener, NULL, 4433);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * Life of a peer. First ClientHellos are answered statelessly with a
 * HelloVerifyRequest (RFC 6347 section 4.2.1); a stranger costs nothing but a
 * counter. A peer that returns a good cookie becomes a connection: after its
 * handshake there is one OPEN, then any number of DATA, then exactly one
 * CLOSE. A verified peer whose handshake does not finish is one FAILED.
 *
 * Connections are ids: never reused, never 0, below 2^53. A call with the id
 * of a connection that is gone returns DTLSL_ERR_NOCONN; while its CLOSE or
 * FAILED is being delivered dtlsl_conn_peer, _local and _tag still answer.
 *
 * Events belong to the library. They and their data are valid until the
 * callback returns or until the next dtlsl_listener_next. Ignore types that
 * you do not know.
 *
 * Two deliveries. With a callback: it runs only from the loop or from
 * dtlsl_listener_poll, never inside another call; every function but
 * dtlsl_listener_poll may be called in it, dtlsl_listener_free included. Or by
 * pulling: dtlsl_listener_next returns events until NULL. On a shared loop a
 * callback is required and set before start.
 *
 * Two kinds of loop. Give the application's uv_loop_t, or NULL for a private
 * one that dtlsl_listener_poll drives: alone (timeout -1), or embedded in any
 * other loop with dtlsl_listener_fd and dtlsl_listener_timeout: when the fd is
 * readable or the timeout is over, poll(l, 0), next until NULL, ask for the
 * timeout anew; ask also after any other call.
 *
 * Threads: a listener and its connections belong to the thread of its loop.
 * Different listeners, also of one config, may run in different threads.
 *
 * Strings of arguments are copied. Buffers that you pass to be filled with
 * text are NUL-terminated; too small a buffer is DTLSL_ERR_SPACE.
 */
#ifndef DTLSLISTEN_DTLSLISTEN_H
#define DTLSLISTEN_DTLSLISTEN_H

#include <dtlslisten/base.h>
#include <dtlslisten/config.h>
#include <dtlslisten/cookie.h>
#include <dtlslisten/gate.h>

DTLSL_BEGIN_DECLS

struct uv_loop_s;

typedef struct dtlsl_listener dtlsl_listener;

/* dtlsl_event.type */
enum {
    DTLSL_EVENT_OPEN = 1,     /* the handshake is complete */
    DTLSL_EVENT_DATA = 2,     /* data, len: one application datagram */
    DTLSL_EVENT_WRITABLE = 3, /* a send that was BUSY may be tried again */
    DTLSL_EVENT_CLOSE = 4,    /* the last of an OPEN; status: DTLSL_CLOSE_* */
    DTLSL_EVENT_FAILED = 5,   /* a verified peer's handshake did not finish */
    DTLSL_EVENT_HELLO = 6,    /* option events-hello: a verified ClientHello;
                                 dtlsl_conn_close in it refuses the peer */
    DTLSL_EVENT_NOTICE = 7,   /* option events-notice: text for an operator */
    DTLSL_EVENT_STOPPED = 8   /* the listener's last event */
};

/* dtlsl_event.status of CLOSE and FAILED; data is a text on it, NUL-terminated
 * (len does not count the NUL). */
enum {
    DTLSL_CLOSE_PEER = 1,     /* the peer sent close_notify */
    DTLSL_CLOSE_LOCAL = 2,    /* dtlsl_conn_close */
    DTLSL_CLOSE_IDLE = 3,     /* no authenticated data for idle-timeout-ms */
    DTLSL_CLOSE_TIMEOUT = 4,  /* no Finished within handshake-timeout-ms */
    DTLSL_CLOSE_REPLACED = 5, /* the peer's new handshake finished (RFC 6347
                                 section 4.2.8); FAILED: it began anew */
    DTLSL_CLOSE_EVICTED = 6,  /* a half-open one made room for another */
    DTLSL_CLOSE_STOPPED = 7,  /* dtlsl_listener_stop */
    DTLSL_CLOSE_ALERT = 8,    /* a fatal alert of the peer */
    DTLSL_CLOSE_TLS = 9,      /* OpenSSL gave up */
    DTLSL_CLOSE_NOMEM = 10    /* an allocation failed */
};

typedef struct dtlsl_event {
    uint32_t size;       /* bytes of this struct that the library filled */
    int32_t type;        /* DTLSL_EVENT_* */
    uint64_t conn;       /* id, or 0 */
    uint64_t tag;        /* as set with dtlsl_conn_set_tag, or 0 */
    int32_t status;      /* DTLSL_CLOSE_*, else 0 */
    uint32_t len;        /* bytes at data */
    const uint8_t *data; /* never NULL */
} dtlsl_event;

typedef void (*dtlsl_event_cb)(dtlsl_listener *listener,
                               const dtlsl_event *event, void *user);

/* Makes a listener; the config freezes and is kept alive. 'loop' must outlive
 * the listener; NULL: a private loop. On failure dtlsl_config_error(config)
 * says what is wrong: DTLSL_ERR_CREDENTIALS without a usable certificate or
 * PSK, DTLSL_ERR_PLUGIN, DTLSL_ERR_FILE, DTLSL_ERR_ARGUMENT. Yours, release it
 * with dtlsl_listener_free. */
DTLSL_API int32_t dtlsl_listener_new(dtlsl_listener **out,
                                     dtlsl_config *config,
                                     struct uv_loop_s *loop);

/* Releases it at once, from anywhere, in any state; never fails, never calls
 * back. Peers are not told: stop first if they should be. NULL is allowed. A
 * shared loop must run once more before uv_loop_close. */
DTLSL_API void dtlsl_listener_free(dtlsl_listener *listener);

/* Binds and serves. 'host' is a numeric IPv4 or IPv6 address (zone allowed,
 * "fe80::1%eth0"), NULL the dual-stack wildcard; port 0 picks one. Socket
 * errors are libuv's codes (UV_EADDRINUSE). With workers=N, listeners of one
 * config that start on the same address share it, N at the most: a peer stays
 * with one of them, and the part of one that stops goes to the others. */
DTLSL_API int32_t dtlsl_listener_start(dtlsl_listener *listener,
                                       const char *host, uint16_t port);

/* Serves on a bound UDP socket of the caller (socket activation), without
 * isolate. It stays the caller's, is made non-blocking, and may be closed after
 * STOPPED or dtlsl_listener_free. */
DTLSL_API int32_t dtlsl_listener_start_fd(dtlsl_listener *listener,
                                          int32_t fd);

/* The bound address as text, "192.0.2.1:4433" or "[2001:db8::1]:4433". */
DTLSL_API int32_t dtlsl_listener_address(const dtlsl_listener *listener,
                                         char *buf, size_t buf_len);

/* A text on the last call on this listener that failed; borrowed until the
 * next call, "" if nothing failed. */
DTLSL_API const char *dtlsl_listener_error(const dtlsl_listener *listener);

/* Sets the callback (NULL: back to pulling, private loops only). On a shared
 * loop it must be set before start, else that is DTLSL_ERR_STATE. */
DTLSL_API int32_t dtlsl_listener_on_event(dtlsl_listener *listener,
                                          dtlsl_event_cb cb, void *user);

/* The next event, or NULL. Never waits, nor reads from the socket; sends only
 * when the buffer for it is full. NULL while a callback is set. */
DTLSL_API const dtlsl_event *dtlsl_listener_next(dtlsl_listener *listener);

/* Runs the private loop: waits at most timeout_ms (-1: without limit, 0: not
 * at all) for something to do, reads one batch at the most. Returns 1 if there
 * are events to pull, else 0; DTLSL_ERR_STATE on a shared loop, inside a
 * callback. While pulled events other than a WRITABLE are left it reads
 * nothing: whoever does not pull pushes back into the socket's buffer. */
DTLSL_API int32_t dtlsl_listener_poll(dtlsl_listener *listener,
                                      int32_t timeout_ms);

/* The private loop's descriptor: readable when there is something to poll. */
DTLSL_API int32_t dtlsl_listener_fd(const dtlsl_listener *listener);

/* Sends what is buffered, then says after how many milliseconds
 * dtlsl_listener_poll must be called at the latest: 0 to 60000. */
DTLSL_API int32_t dtlsl_listener_timeout(dtlsl_listener *listener);

/* Reads certificate, key, CA and PSK files anew, for later handshakes of this
 * listener; each worker of a config does so for itself. Tickets stay valid and
 * a self-signed certificate stays. On failure the old ones stay and
 * dtlsl_listener_error says why. */
DTLSL_API int32_t dtlsl_listener_reload(dtlsl_listener *listener);

/* No new peers; every connection gets close_notify and its CLOSE or FAILED;
 * STOPPED comes last, and the sockets are closed by then. */
DTLSL_API int32_t dtlsl_listener_stop(dtlsl_listener *listener);

/* Counters by name (0 for an unknown one), their names by index (NULL behind
 * the last), one by its index as dtlsl_gate_counter_at gives it, those of the
 * strategies too, and all of them as text. dtlsl_listener(3) lists them. */
enum {
    DTLSL_FORMAT_JSON = 1,
    DTLSL_FORMAT_PROMETHEUS = 2
};
DTLSL_API uint64_t dtlsl_listener_counter(const dtlsl_listener *listener,
                                          const char *name);
DTLSL_API const char *dtlsl_listener_counter_name(size_t index);
DTLSL_API int32_t dtlsl_listener_counter_at(const dtlsl_listener *listener,
                                            size_t index, char *name,
                                            size_t name_len, uint64_t *value);
DTLSL_API int32_t dtlsl_listener_counters(const dtlsl_listener *listener,
                                          int32_t format, char *buf,
                                          size_t buf_len);

/* Sends one datagram: all of it or an error. DTLSL_ERR_STATE before OPEN or
 * after close; DTLSL_ERR_TOOBIG above dtlsl_conn_mtu; DTLSL_ERR_BUSY when
 * socket and buffer are full: nothing was encrypted, one WRITABLE follows. It
 * leaves at once; but in a callback, or while datagrams of a batch are left to
 * be pulled, together with what answers the rest of them, or at the next
 * dtlsl_listener_poll or _timeout. */
DTLSL_API int32_t dtlsl_conn_send(dtlsl_listener *listener, uint64_t conn,
                                  const uint8_t *data, size_t len);

/* Sends close_notify; the CLOSE (or FAILED) comes as an event later. */
DTLSL_API int32_t dtlsl_conn_close(dtlsl_listener *listener, uint64_t conn);

/* The peer's address, and ours that it uses, as text (DTLSL_ADDRESS_MAX). */
DTLSL_API int32_t dtlsl_conn_peer(const dtlsl_listener *listener,
                                  uint64_t conn, char *buf, size_t buf_len);
DTLSL_API int32_t dtlsl_conn_local(const dtlsl_listener *listener,
                                   uint64_t conn, char *buf, size_t buf_len);

/* The longest datagram that dtlsl_conn_send takes now, in bytes. */
DTLSL_API int32_t dtlsl_conn_mtu(const dtlsl_listener *listener,
                                 uint64_t conn);

/* A number of the application's, handed back in every event. */
DTLSL_API int32_t dtlsl_conn_set_tag(dtlsl_listener *listener, uint64_t conn,
                                     uint64_t tag);
DTLSL_API uint64_t dtlsl_conn_tag(const dtlsl_listener *listener,
                                  uint64_t conn);

/* Iterates: the id after 'conn' in order of age, 0 to begin; 0 at the end. */
DTLSL_API uint64_t dtlsl_conn_next(const dtlsl_listener *listener,
                                   uint64_t conn);

/* A fact on the session: "alpn", "cipher", "version", "server-name" or
 * "psk-identity"; "" where there is none. Returns the text's length;
 * DTLSL_ERR_OPTION for another name. */
DTLSL_API int32_t dtlsl_conn_info(const dtlsl_listener *listener,
                                  uint64_t conn, const char *name, char *buf,
                                  size_t buf_len);

/* The peer's certificate in DER. Returns its length, 0 if there is none. */
DTLSL_API int32_t dtlsl_conn_peer_certificate(const dtlsl_listener *listener,
                                              uint64_t conn, uint8_t *buf,
                                              size_t buf_len);

/* Exports keying material (RFC 5705, without a context when context is NULL);
 * after OPEN. */
DTLSL_API int32_t dtlsl_conn_export(const dtlsl_listener *listener,
                                    uint64_t conn, const char *label,
                                    const uint8_t *context, size_t context_len,
                                    uint8_t *out, size_t out_len);

/* The age in milliseconds of the cookie that opened this connection (at least
 * one round trip), and the application data in it (returns its length). */
DTLSL_API int32_t dtlsl_conn_cookie_age(const dtlsl_listener *listener,
                                        uint64_t conn);
DTLSL_API int32_t dtlsl_conn_cookie_app(const dtlsl_listener *listener,
                                        uint64_t conn, uint8_t *buf,
                                        size_t buf_len);

/* The OpenSSL session, borrowed until the next event; NULL if it is gone. Read
 * from it, export keys; do not read, write, shut down or change its BIOs. */
DTLSL_API struct ssl_st *dtlsl_conn_ssl(const dtlsl_listener *listener,
                                        uint64_t conn);

/* For PSK, verify and server name callbacks: whose connection is this? 0, or
 * DTLSL_ERR_NOCONN for an SSL that is not the library's.
 *
 * OpenSSL is at work in such a callback, so it may only ask: counters, path,
 * tag and other facts. dtlsl_conn_send and dtlsl_conn_close answer
 * DTLSL_ERR_STATE there, as does dtlsl_listener_poll, and dtlsl_listener_next
 * answers NULL. dtlsl_listener_stop and dtlsl_listener_free are allowed. To
 * refuse the peer return an error from the callback. */
DTLSL_API int32_t dtlsl_conn_of_ssl(const struct ssl_st *ssl,
                                    dtlsl_listener **listener, uint64_t *conn);

DTLSL_END_DECLS

#endif
