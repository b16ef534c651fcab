/* SPDX-License-Identifier: MIT
 * What the DTLS servers that we measure against have in common, whatever
 * their library: options, sockets, waiting (epoll), and the peers. A server
 * fills in a table of functions; serve() is the rest of its main().
 *
 *     NAME [-c CERT.pem -k KEY.pem] [-g GROUPS] [-m MTU] [-r BYTES] HOST PORT
 *
 * -r is the receive buffer (SO_RCVBUF) of the socket that listens, without it
 * the system's default. HOST is an IPv4 address; PORT 0 picks one. The server echoes application
 * data, one thread, and ends at SIGTERM or SIGINT with status 0. */
#ifndef DTLSL_BENCH_SERVE_H
#define DTLSL_BENCH_SERVE_H

#include "identity.h"
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERVE_BATCH = 32, /* datagrams of strangers that one wake-up may read */
    SERVE_DATAGRAM = 2048,
    SERVE_RECORD = 16384 /* the longest application data */
};

typedef struct serve_settings {
    struct sockaddr_in address;
    const char *host, *port; /* the same as text */
    identity identity;
    const char *groups; /* "X25519:P-256", or NULL: the library's own */
    int mtu;
} serve_settings;

/* Everything here is read by the server, and written by serve.c. */
typedef struct peer {
    int fd;
    int is_open;   /* its handshake is over */
    void *session; /* the library's */
    uint64_t began_ms;
    uint64_t look_ms; /* when to look after its timer */
    struct peer *prev, *next;
} peer;

typedef struct server {
    const char *name;
    const char *options; /* of its own, as getopt's, or "" */
    const char *usage;   /* the same for humans */
    void (*option)(int c, const char *value);
    /* Prepares the library and returns the listening socket. */
    int (*start)(const serve_settings *settings);
    /* The listening socket is readable. */
    void (*listen)(int fd);
    /* The peer's socket is readable: as much as there is. 0: it is over. */
    int (*serve)(peer *p);
    /* Called several times a second for each unfinished handshake: what is
     * due is sent again. 0: it is over. */
    int (*look_after)(peer *p);
    void (*free)(void *session);
    void (*stop)(void);
} server;

int serve(int argc, char **argv, const server *what);

/* A socket of the server's address, connected to 'to' if that is not NULL;
 * -1 if there are no more. */
int serve_socket(const struct sockaddr_in *to);
/* Another socket listens from now on. */
void serve_listen_on(int fd);
/* A peer with a socket of its own, in its handshake. It owns both. */
peer *serve_add(int fd, void *session);
/* Its handshake is complete. */
void serve_opened(peer *p);
void serve_close(peer *p);
/* Calls fn(p) = serve or look_after, and closes the peer if it is over. */
void serve_call(peer *p, int (*fn)(peer *p));

uint64_t serve_now_ms(void);
/* Calls take() for each of the groups; ends the program if it refuses one. */
void serve_each_group(const char *groups, int (*take)(const char *name));

#endif
