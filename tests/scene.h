/* SPDX-License-Identifier: MIT
 * A listener with a client of OpenSSL over loopback, and the letters of the
 * events that it told. */
#ifndef DTLSL_SCENE_H
#define DTLSL_SCENE_H

#include "client.h"
#include <dtlslisten/dtlslisten.h>
#include <netinet/in.h>
#include <uv.h>

enum {
    TURNS = 2000
};

/* A client on a socket of its own. */
typedef struct peer {
    client *c;
    int fd;
} peer;
void peer_open(peer *p, uint16_t port, const client_options *options);
void peer_close(peer *p);
void peer_pump(peer *p);

typedef enum act {
    NOTHING,
    SEND,
    CLOSE,
    STOP,
    FREE,
    PULL /* back to pulling */
} act;

typedef struct scene scene;
struct scene {
    dtlsl_listener *l; /* NULL: freed */
    uv_loop_t loop;
    int shared;
    uint16_t port;
    peer peer;
    char log[128];
    uint64_t conn;
    char on; /* at this event do that */
    act act;
    int32_t result;
    int port_free; /* when STOPPED was told */
    /* in each event, in place of an echo of DATA */
    void (*hook)(scene *s, const dtlsl_event *event);
    void *user;
};

/* With self-signed=1. */
dtlsl_config *scene_config(void);
/* Without credentials, for what stands below a listener; in use, as by one. */
dtlsl_config *scene_workers(const char *workers, const char *isolate);
void scene_workers_free(dtlsl_config *config);
void scene_set(dtlsl_config *config, const char *name, const char *value);
/* A listener of it on a private loop. */
dtlsl_listener *scene_private(void);
uint16_t scene_port_of(const dtlsl_listener *l);
struct sockaddr_in scene_loopback(uint16_t port);
int scene_can_bind(uint16_t port);
/* Without ::1 there is nothing to test with IPv6. */
int scene_has_ipv6(void);

/* Starts a listener, by callback or pulling, and its client. */
void scene_open(scene *s, int shared, int pulling,
                const client_options *options);
/* The config is taken over. */
void scene_open_with(scene *s, dtlsl_config *config, int shared, int pulling,
                     const client_options *options);
void scene_close(scene *s);
void scene_event(dtlsl_listener *l, const dtlsl_event *event, void *user);
/* The listener alone, without waiting. */
void scene_run(scene *s);
/* Both; waits until there is something to do, so that no turn is in vain. */
void scene_turn(scene *s);
int scene_has(const scene *s, char letter);
unsigned scene_count(const char *log, char letter);
void scene_until(scene *s, char letter);
/* Until both sides have finished the handshake. */
void scene_both_open(scene *s);
void scene_say(scene *s, const char *text);

#endif
