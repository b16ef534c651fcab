/* SPDX-License-Identifier: MIT
 * Crowds of valid second ClientHellos, 10,000 in a second, beside honest
 * clients 150 ms away: who gets in, by the rules of admission. Time is the
 * test's, so this says nothing of what the signatures cost, which depends on
 * the key: see bench/. */
#include "test.h"
#include "world.h"

enum {
    DELAY = 75,  /* one way, of the honest ones */
    TRIP = 1024, /* datagrams under way */
    CROWD = 10,  /* hellos in each millisecond, a batch */
    FIRST = 0x10000,
    HALF_OPENS = 1024, /* max-handshakes */
    SHARE = HALF_OPENS / 4,
    ACCEPTS = 4,     /* in a batch */
    HANDSHAKE = 450, /* three round trips */
    APART = 20,      /* between the honest ones */
    PATIENCE = 8000, /* of theirs */
    SEED = 3,
    HONEST_HOST = 1 /* the first of them */
};

/* Who the crowd are. */
typedef enum crowd {
    ONE_ADDRESS, /* from 60,000 ports */
    ITSELF,      /* no more ports than may be half-open, again and again */
    NETWORK      /* 65,536 addresses, of a /16 */
} crowd;

/* A datagram under way, to the engine or to a client. */
typedef struct flying {
    uint64_t due;
    dtlsl_path path; /* the client's */
    int to_engine;
    packet p;
} flying;

typedef struct outcome {
    uint32_t in;      /* within their patience */
    uint32_t at_once; /* of them without a retransmission */
    uint32_t failed;
} outcome;

static struct {
    world *w;
    flying trip[TRIP];
    size_t n_trip;
    crowd crowd;
    uint32_t next;   /* of the crowd */
    uint32_t random; /* where in a batch the honest ones are */
    uint64_t since[WORLD_CLIENTS];
    uint32_t n_honest; /* so far */
    outcome outcome;
} net;

static void
send_off(const dtlsl_path *path, int to_engine, const uint8_t *data,
         size_t len)
{
    flying *f = &net.trip[net.n_trip++];

    ck_assert_uint_lt(net.n_trip, TRIP);
    f->due = net.w->now.mono_ms + DELAY;
    f->path = *path;
    f->to_engine = to_engine;
    f->p.data = malloc(len);
    ck_assert_ptr_nonnull(f->p.data);
    memcpy(f->p.data, data, len);
    f->p.len = len;
}

/* The client at a path, or NULL: it has left. */
static client *
client_at(const dtlsl_path *path)
{
    for (size_t i = 0; i < net.w->n_clients; i++)
        if (memcmp(&net.w->path[i], path, sizeof(*path)) == 0)
            return net.w->client[i];
    return NULL;
}

/* What is for the honest ones comes late, what is for the crowd never. */
static int
delay_out(const uint8_t *data, size_t len)
{
    if (client_at(&net.w->last_sent_path) != NULL)
        send_off(&net.w->last_sent_path, 0, data, len);
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
            send_off(&net.w->path[i], 1, p.data, p.len);
            packet_free(&p);
        }
    }
}

static void
arrive(const flying *f)
{
    client *c = client_at(&f->path);

    if (f->to_engine)
        world_input_raw(net.w, &f->path, f->p.data, f->p.len);
    else if (c != NULL)
        client_feed(c, f->p.data, f->p.len);
}

/* What has arrived, as part of the batch that is open. */
static void
deliver(void)
{
    static flying due[TRIP];
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < net.n_trip; i++) {
        if (net.trip[i].due <= net.w->now.mono_ms)
            due[n++] = net.trip[i];
        else
            net.trip[kept++] = net.trip[i];
    }
    net.n_trip = kept;
    for (size_t i = 0; i < n; i++) {
        arrive(&due[i]);
        packet_free(&due[i].p);
    }
}

/* Each of the crowd owns its address and has a cookie. */
static dtlsl_path
path_of_crowd(uint32_t i)
{
    if (net.crowd == NETWORK)
        return world_path(FIRST + i % 0x10000, 5);
    return world_path(
        FIRST,
        (uint16_t)(1024 + i % (net.crowd == ITSELF ? SHARE - 1 : 60000)));
}

/* One millisecond: a batch of the crowd's with the honest ones somewhere. */
static void
tick(void)
{
    uint8_t hello[CROWD][HELLO_ROOM];
    size_t len[CROWD];
    dtlsl_path path[CROWD];
    uint32_t at;

    for (int i = 0; i < CROWD; i++) {
        path[i] = path_of_crowd(net.next);
        len[i] = world_forge(net.w, &path[i], (uint8_t)net.next++, hello[i]);
    }
    world_wait(net.w, 1);
    net.random = net.random * 1664525 + 1013904223;
    at = (net.random >> 16) % CROWD;
    for (uint32_t i = 0; i < CROWD; i++) {
        if (i == at)
            deliver();
        world_input_raw(net.w, &path[i], hello[i], len[i]);
    }
    world_flush(net.w);
    collect();
    net.w->n_events = 0;
}

static void
add_honest(void)
{
    dtlsl_path path = world_path(HONEST_HOST + net.n_honest++, 4000);

    net.since[net.w->n_clients] = net.w->now.mono_ms;
    world_client_at(net.w, NULL, &path);
}

static void
take_leave(size_t i)
{
    world *w = net.w;

    memmove(&net.since[i], &net.since[i + 1],
            (w->n_clients - 1 - i) * sizeof(net.since[0]));
    world_drop_client(w, w->client[i]);
}

/* Who got in, or has waited for long enough, leaves without a word. */
static void
judge_honest(void)
{
    for (size_t i = net.w->n_clients; i-- > 0;) {
        uint64_t took = net.w->now.mono_ms - net.since[i];
        if (client_is_open(net.w->client[i])) {
            net.outcome.in++;
            net.outcome.at_once += took <= HANDSHAKE + 4;
        } else if (took >= PATIENCE) {
            net.outcome.failed++;
        } else {
            continue;
        }
        take_leave(i);
    }
}

/* The crowd first; when it has what it can have, one honest client after the
 * other. */
static outcome
run(const char *options, crowd who, uint32_t honest)
{
    memset(&net, 0, sizeof(net));
    net.w = world_new(options);
    net.w->loses_out = delay_out;
    net.crowd = who;
    net.random = SEED;
    for (int i = 0; i < HALF_OPENS / ACCEPTS + 50; i++)
        tick();
    while (net.n_honest < honest || net.w->n_clients > 0) {
        if (net.n_honest < honest && net.next / CROWD % APART == 0)
            add_honest();
        tick();
        judge_honest();
    }
    return net.outcome;
}

static void
finish(void)
{
    world *w = net.w;

    ck_assert_uint_le(world_counter(w, DTLSL__N_HANDSHAKES), HALF_OPENS);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_SSL_NEW),
                      world_counter(w, DTLSL__N_ACCEPTED));
    ck_assert_uint_eq(world_counter(w, DTLSL__N_OPENED), net.outcome.in);
    ck_assert_uint_eq(world_counter(w, DTLSL__N_CLOSED), 0);
    world_check_sums(w);
    world_free(w);
    for (size_t i = 0; i < net.n_trip; i++)
        packet_free(&net.trip[i].p);
}

/* Its share of half-opens is taken, and none of the others' time. */
START_TEST(a_crowd_of_one_address_costs_the_honest_nothing)
{
    outcome o = run(NULL, ONE_ADDRESS, 100);

    ck_assert_uint_eq(o.in, 100);
    ck_assert_uint_eq(o.at_once, 100);
    ck_assert_uint_eq(world_counter(net.w, DTLSL__N_HANDSHAKES), SHARE);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_DROP_PREFIX), 0);
    ck_assert_uint_eq(world_counter(net.w, DTLSL__N_EVICTED), 0);
    finish();
}
END_TEST

/* Twice in a second its half-opens end, and it has to fill its share again:
 * for 64 batches it may take the whole ration. */
START_TEST(a_crowd_of_one_address_does_not_get_in_the_way)
{
    outcome o = run("handshake-timeout-ms=500", ONE_ADDRESS, 100);

    ck_assert_uint_eq(o.in, 100);
    ck_assert_uint_ge(o.at_once, 75);
    ck_assert_uint_eq(world_counter(net.w, DTLSL__N_EVICTED), 0);
    finish();
}
END_TEST

/* It never has more than its share, but each hello replaces one of it. */
START_TEST(a_crowd_that_replaces_itself_costs_the_honest_nothing)
{
    outcome o = run(NULL, ITSELF, 100);

    ck_assert_uint_eq(o.in, 100);
    ck_assert_uint_eq(o.at_once, 100);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_DROP_RATION), 0);
    ck_assert_uint_eq(world_counter(net.w, DTLSL__N_EVICTED), 0);
    finish();
}
END_TEST

/* Each hello may be one too many for its batch. An honest one is when as many
 * of the crowd's as are accepted came before it, with the probability 6/10;
 * its client tries again after 1, 3 and 7 seconds: 1 - 0.6^4, 87 of a hundred,
 * with a standard deviation of 3.4; this is three of them less. Nobody is lost
 * who was accepted: an honest client answers after 150 ms, and the oldest is
 * evicted when max-handshakes others were accepted, after 256. */
START_TEST(a_crowd_of_a_network_costs_the_honest_their_patience)
{
    outcome o = run(NULL, NETWORK, 100);

    ck_assert_uint_ge(o.in, 77);
    ck_assert_uint_eq(o.in + o.failed, 100);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_DROP_RATION), 0);
    ck_assert_uint_gt(world_counter(net.w, DTLSL__N_EVICTED), 0);
    finish();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_crowd_of_one_address_costs_the_honest_nothing,
        a_crowd_of_one_address_does_not_get_in_the_way,
        a_crowd_that_replaces_itself_costs_the_honest_nothing,
        a_crowd_of_a_network_costs_the_honest_their_patience,
    };

    return test_main(
        test_suite("crowd", tests, sizeof(tests) / sizeof(tests[0])));
}
