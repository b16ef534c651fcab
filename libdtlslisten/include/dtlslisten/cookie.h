/* SPDX-License-Identifier: MIT
 *
 * The cookie strategy ABI, major version 1. dtlslisten-cookie(7) is the manual
 * and has the layouts and key schedules of the strategies that come with the
 * library.
 *
 * A strategy proves that a peer owns its address without keeping anything
 * about it: mint() makes the cookie of a HelloVerifyRequest (RFC 6347 section
 * 4.2.1), verify() judges the one that comes back in the second ClientHello.
 *
 * Rules that bind every function of a strategy: it is called on the loop's
 * thread only; it must not block, keep anything per peer, log per packet, call
 * back into the library other than through the host table, or unwind
 * (exceptions, longjmp) into the caller.
 *
 * Tables and structs only ever grow at their end. 'size' says how many bytes
 * the side that made them has: a reader touches nothing beyond, and ignores
 * what it does not know. A strategy that needs more than major 1 began with
 * compares 'size', as the library that loads it may be older than its header.
 */
#ifndef DTLSLISTEN_COOKIE_H
#define DTLSLISTEN_COOKIE_H

#include <dtlslisten/base.h>

DTLSL_BEGIN_DECLS

enum {
    DTLSL_COOKIE_ABI = 1,        /* also in the name of the entry function */
    DTLSL_COOKIE_MAX = 255,      /* longest cookie RFC 6347 can carry */
    DTLSL_COOKIE_SAFE = 32,      /* longest cookie that every client takes */
    DTLSL_COOKIE_APP_MAX = 232,  /* longest application data in a cookie */
    DTLSL_COOKIE_SECRET_LEN = 32 /* bytes at default_secret */
};

/* What verify() answers. Zero is never a valid cookie. */
enum {
    DTLSL_COOKIE_VALID = 1,
    DTLSL_COOKIE_MALFORMED = 2,   /* not of this strategy: ask the next one */
    DTLSL_COOKIE_UNKNOWN_KEY = 3, /* its key is not here */
    DTLSL_COOKIE_EXPIRED = 4,     /* genuine, older than the lifetime */
    DTLSL_COOKIE_FUTURE = 5,      /* genuine, from beyond the clock skew */
    DTLSL_COOKIE_MISMATCH = 6,    /* not genuine, or of another ClientHello */
    DTLSL_COOKIE_NEED_MORE = 7    /* what it binds is not in this fragment */
};

/* What mint() and verify() may answer besides; both fail closed. Any other
 * negative value is an error of the strategy's own. */
enum {
    DTLSL_COOKIE_NOTREADY = -10101, /* no key yet */
    DTLSL_COOKIE_REFUSED = -10102   /* a policy does not want this peer */
};

/* dtlsl_cookie_input.flags */
enum {
    DTLSL_COOKIE_IN_TAIL = 1,      /* tail and tail_len are set */
    DTLSL_COOKIE_IN_LOCAL = 2,     /* local is set */
    DTLSL_COOKIE_IN_FRAGMENTED = 4 /* the ClientHello is a first fragment */
};

/* What a cookie may bind to. Everything is borrowed for the call and lies in
 * the datagram itself. An address is 24 bytes, big-endian: 16 address (IPv4 as
 * ::ffff:a.b.c.d), 2 port, 4 zone (of link-local addresses, else 0), 2 zero.
 */
typedef struct dtlsl_cookie_input {
    uint32_t size;
    uint32_t flags;    /* DTLSL_COOKIE_IN_* */
    uint64_t mono_ms;  /* monotonic clock, milliseconds, one reading a batch */
    uint64_t unix_ms;  /* UTC in milliseconds since 1970 */
    uint8_t peer[24];  /* where the ClientHello came from */
    uint8_t local[24]; /* where it was sent to */
    const uint8_t *core; /* client_version, random, session_id with length */
    const uint8_t *tail; /* cipher_suites, compression_methods with lengths */
    const uint8_t *app;  /* reserved for application data at mint */
    uint32_t core_len;   /* 35 to 67 */
    uint32_t tail_len;   /* 0 to 512 */
    uint32_t app_len;
    uint32_t fragment_len; /* bytes of the ClientHello body in this record */
} dtlsl_cookie_input;

/* What verify() may tell beside VALID. Before the call the host sets size and
 * clears the rest, but for the bytes of app, of which app_len count. */
typedef struct dtlsl_cookie_result {
    uint32_t size;
    uint32_t age_ms;  /* since the cookie was minted: at least one RTT */
    uint32_t node;    /* number of the node that minted it, 0: unspecified */
    uint32_t app_len; /* 0 to DTLSL_COOKIE_APP_MAX */
    uint8_t app[232];
} dtlsl_cookie_result;

/* One option for open(), both UTF-8 and NUL-terminated. */
typedef struct dtlsl_cookie_option {
    const char *key;
    const char *value;
} dtlsl_cookie_option;

struct dtlsl_cookie_plugin;

/* What the host lends to a strategy; valid from open() until close(). */
typedef struct dtlsl_cookie_host {
    uint32_t size;
    uint32_t abi; /* DTLSL_COOKIE_ABI of the host */
    void *ctx;    /* first argument of the functions that take it */
    const uint8_t *default_secret; /* 32 random bytes, the config's own */

    /* A line for the operator (level 0 information, 1 warning). It becomes a
     * NOTICE event, rate-limited; never call it per packet. */
    void (*log)(void *ctx, int32_t level, const char *text);
    /* Fills buf from the system's generator; 0 or DTLSL_ERR_RANDOM. */
    int32_t (*random)(void *ctx, uint8_t *buf, size_t len);
    /* Overwrites a secret in a way that no compiler removes. */
    void (*cleanse)(void *buf, size_t len);
    /* 1 if the len bytes are equal, else 0, in constant time. */
    int32_t (*ct_equal)(const uint8_t *a, const uint8_t *b, size_t len);

    /* HMAC-SHA-256 with a context that is keyed once and reused. hmac_new
     * returns NULL without memory; hmac_sha256 writes 32 bytes at tag and
     * returns 0, or a negative code and an undefined tag; hmac_free takes NULL
     * and cleanses the key. A context belongs to one thread. */
    void *(*hmac_new)(void *ctx, const uint8_t *key, size_t key_len);
    int32_t (*hmac_sha256)(void *mac, const uint8_t *data, size_t len,
                           uint8_t *tag);
    void (*hmac_free)(void *mac);

    /* The built-in or registered strategy of that name, or NULL, so that one
     * strategy can stand in front of another. Its table has 'size' bytes. */
    const struct dtlsl_cookie_plugin *(*strategy)(void *ctx, const char *name);
} dtlsl_cookie_host;

/* A cookie strategy. Lives as long as the process (a loaded plugin is never
 * unmapped). Required: name, open, close, mint, verify. */
typedef struct dtlsl_cookie_plugin {
    uint32_t size;           /* sizeof(dtlsl_cookie_plugin) at its build */
    uint32_t abi;            /* DTLSL_COOKIE_ABI at its build */
    const char *name;        /* [a-z0-9][a-z0-9_-]{0,31} */
    uint32_t max_cookie_len; /* 1 to 255; above 32 some clients break */
    uint32_t flags;          /* 0 */

    /* Makes a state from options; an option it does not know is an error. On
     * failure returns a negative code and writes a text for the operator (what
     * is wrong, where, the remedy) to err, NUL-terminated, at most err_len
     * bytes. 'user' is what dtlsl_config_add_cookie was given, else NULL. */
    int32_t (*open)(const dtlsl_cookie_host *host, void *user,
                    const dtlsl_cookie_option *options, size_t n_options,
                    void **state, char *err, size_t err_len);
    /* Releases and cleanses the state. */
    void (*close)(void *state);
    /* Writes a cookie of 1 to cap bytes and returns its length, or a negative
     * code: then nothing is sent. */
    int32_t (*mint)(void *state, const dtlsl_cookie_input *in, uint8_t *cookie,
                    size_t cap);
    /* DTLSL_COOKIE_VALID, another DTLSL_COOKIE_* result, or < 0. */
    int32_t (*verify)(void *state, const dtlsl_cookie_input *in,
                      const uint8_t *cookie, size_t len,
                      dtlsl_cookie_result *out);
    /* Optional: what must not happen per packet, such as making keys. Called
     * after open() and whenever the monotonic time *next_mono_ms, which it
     * sets, has come. UINT64_MAX means never. */
    void (*tick)(void *state, uint64_t mono_ms, uint64_t unix_ms,
                 uint64_t *next_mono_ms);
    /* Optional: counter number 'index' from 0 on; returns 0, or < 0 when
     * there is none. *name is static, [a-z0-9_], at most 64. */
    int32_t (*counter)(void *state, uint32_t index, const char **name,
                       uint64_t *value);
} dtlsl_cookie_plugin;

DTLSL_END_DECLS

/* The one symbol that a plugin exports:
 *
 *     const dtlsl_cookie_plugin *dtlsl_cookie_plugin_v1(void);
 *
 * It is declared by the plugin itself: the library has no such symbol. */

#endif
