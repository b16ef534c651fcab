/* SPDX-License-Identifier: MIT
 * Crowds of valid second ClientHellos, from one address and from a whole
 * network, beside honest clients far away. */
#include "test.h"
#include "world.h"

enum {
    HONEST = 4,
    DELAY = 75, /* one way, of the honest ones */
    TRIP = 256, /* datagrams under way */
    CROWD = 10, /* hellos in each millisecond, a batch */
    FIRST = 0x10000,
    HALF_OPENS = 1024, /* max-handshakes */
    SHARE = HALF_OPENS / 4,
    ACCEPTS = 4, /* in a batch */
    ROUND_TRIPS = 3,
    APART = 7, /* milliseconds between the honest ones */
    SEED = 3
};

/* A datagram under way, to the engine or to a client. */
typedef struct flying {
    uint64_t due;
    size_t client;
    int to_engine;
    packet p;
} flying;

static struct {
    world *w;
    flying trip[TRIP];
    size_t n_trip;
    int one_address;
    uint32_t next;   /* of the crowd */
    uint32_t random; /* where in a batch the honest ones are */
} net;

static void
send_off(size_t number, int to_engine, const uint8_t *data, size_t len)
{
    flying *f = &net.trip[net.n_trip++];

    ck_assert_uint_lt(net.n_trip, TRIP);
    f->due = net.w->now.mono_ms + DELAY;
    f->client = number;
    f->to_engine = to_engine;
    f->p.data = malloc(len);
    ck_assert_ptr_nonnull(f->p.data);
    memcpy(f->p.data, data, len);
    f->p.len = len;
}

/* What is for the honest ones comes late, what is for the crowd never. */
static int
delay_out(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < net.w->n_clients; i++)
        if (memcmp(&net.w->path[i], &net.w->last_sent_path,
                   sizeof(dtlsl_path)) == 0)
            send_off(i, 0, data, len);
    return 1;
}

static void
collect(void)
{
    packet p;

    for (size_t i = 0; i < net.w->n_clients; i++) {
        client *c = net.w->client[i];
        client_timer(c);
        if (!client_is_open(c))
            client_step(c);
        while (client_take(c, &p)) {
            send_off(i, 1, p.data, p.len);
            packet_free(&p);
        }
    }
}

/* What has arrived, as part of the batch that is open. */
static void
deliver(void)
{
    flying due[TRIP];
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < net.n_trip; i++) {
        if (net.trip[i].due <= net.w->now.mono_ms)
            due[n++] = net.trip[i];
        else
            net.trip[kept++] = net.trip[i];
    }
    net.n_trip = kept;
    for (size_t i = 0; i < n; i++) {
        packet *p = &due[i].p;
        if (due[i].to_engine)
            world_input_raw(net.w, &net.w->path[due[i].client], p->data,
                            p->len);
        else
            client_feed(net.w->client[due[i].client], p->data, p->len);
        packet_free(p);
    }
}

/* Each of the crowd owns its address and has a cookie. */
static dtlsl_path
path_of_crowd(uint32_t i)
{
    return net.one_address ? world_path(FIRST, (uint16_t)(1024 + i % 60000))
                           : world_path(FIRST + i % 0x10000, 5);
}

/* One millisecond: a batch of the crowd's with the honest ones somewhere. */
static void
tick(int crowd)
{
    uint8_t hello[CROWD][HELLO_ROOM];
    size_t len[CROWD];
    dtlsl_path path[CROWD];
    int at;

    for (int i = 0; i < crowd; i++) {
        path[i] = path_of_crowd(net.next);
        len[i] = world_forge(net.w, &path[i], (uint8_t)net.next++, hello[i]);
    }
    world_wait(net.w, 1);
    net.random = net.random * 1664525 + 1013904223;
    at = crowd == 0 ? 0 : (int)((net.random >> 16) % (uint32_t)crowd);
    for (int i = 0; i < crowd; i++) {
        if (i == at)
            deliver();
        world_input_raw(net.w, &path[i], hello[i], len[i]);
    }
    if (crowd == 0)
        deliver();
    world_flush(net.w);
    collect();
    net.w->n_events = 0;
}

static size_t
honest_open(void)
{
    size_t n = 0;

    for (size_t i = 0; i < net.w->n_clients; i++)
        n += (size_t)client_is_open(net.w->client[i]);
    return n;
}

/* Nobody of the honest has anything under way: until one tries again. */
static void
rest(void)
{
    while (net.n_trip == 0) {
        world_wait(net.w, 20);
        net.w->n_events = 0;
        collect();
    }
}

/* The crowd first; when it has what it can have, the honest ones. Returns how
 * many milliseconds these took. */
static uint64_t
race(int one_address, uint64_t longest)
{
    uint64_t start;

    memset(&net, 0, sizeof(net));
    net.w = world_new(NULL);
    net.w->loses_out = delay_out;
    net.one_address = one_address;
    net.random = SEED;
    for (int i = 0; i < HALF_OPENS / ACCEPTS + 50; i++)
        tick(CROWD);
    ck_assert_uint_eq(world_counter(net.w, DTLSL__N_HANDSHAKES),
                      one_address ? SHARE : HALF_OPENS);
    start = net.w->now.mono_ms;
    for (int i = 0; i < HONEST; i++) {
        world_client(net.w, NULL);
        for (int ms = 0; ms < APART; ms++)
            tick(CROWD);
    }
    while (honest_open() < HONEST) {
        ck_assert_msg(net.w->now.mono_ms - start < longest, "%zu of %d got in",
                      honest_open(), HONEST);
        tick(CROWD);
        if (net.n_trip == 0 && honest_open() < HONEST)
            rest();
    }
    return net.w->now.mono_ms - start;
}

static void
check_after(void)
{
    world *w = net.w;
    uint64_t accepted = world_counter(w, DTLSL__N_ACCEPTED);

    ck_assert_uint_le(world_counter(w, DTLSL__N_HANDSHAKES), HALF_OPENS);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW), accepted);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_OPENED), HONEST);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CLOSED), 0);
    for (int i = 0; i < 2 * DELAY + 2; i++)
        tick(0);
    w->loses_out = NULL;
    for (size_t i = 0; i < HONEST; i++)
        world_check_echo(w, w->client[i], "in");
    world_check_sums(w);
    world_free(w);
}

/* Its share of half-opens is taken, and none of the others' time. */
START_TEST(a_crowd_of_one_address_costs_the_honest_nothing)
{
    uint64_t took = race(1, 10000);

    ck_assert_uint_le(took, 2 * ROUND_TRIPS * DELAY + HONEST * APART);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_DROP_PREFIX), 0);
    ck_assert_uint_eq(world_counter(net.w, DTLSL__N_EVICTED), 0);
    check_after();
}
END_TEST

/* 65,536 addresses: each hello may be one too many for its batch, and a client
 * tries again after 1, 3 and 7 seconds. Who was accepted has the time that it
 * takes until max-handshakes others were. */
START_TEST(a_crowd_of_a_network_costs_the_honest_their_patience)
{
    race(0, 16000);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_DROP_RATION), 0);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_EVICTED), 0);
    check_after();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_crowd_of_one_address_costs_the_honest_nothing,
        a_crowd_of_a_network_costs_the_honest_their_patience,
    };

    return test_main(
        test_suite("crowd", tests, sizeof(tests) / sizeof(tests[0])));
}
