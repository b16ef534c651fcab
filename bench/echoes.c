/* SPDX-License-Identifier: MIT
 * Load for an echo server: sessions of OpenSSL's client in one thread, each
 * with a few messages on their way.
 *
 *     make bench/echoes
 *     bench/echoes [-n SESSIONS] [-w WINDOW] [-s SIZE] [-t SECONDS] [-c CPU]
 *                  [-p PID] HOST PORT
 *
 * A session sends its next message when one comes back, and begins anew when
 * none did for half a second: what it had under way is lost then. The line
 * that it prints is JSON: messages that came back within so many seconds, how
 * many were lost, and the seconds of CPU that this program took, and with -p
 * the server, from its /proc/PID/stat (its clock ticks are 10 ms).
 *
 * All sessions share one socket, so that datagrams go in batches: the client
 * has to be cheaper than the server. They have addresses of their own, from
 * 127.1.0.1 on; so HOST has to be in 127.0.0.0/8. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SESSIONS_MAX = 1000,
    SIZE_MIN = 8,
    SIZE_MAX_LEN = 1024,
    DATAGRAM_MAX = 2048,
    BATCH = 64,
    BUFFER = 4 << 20,
    FIRST_ADDRESS = 0x7f010001, /* 127.1.0.1 */
    HANDSHAKE_MS = 10000,
    WARM_UP_MS = 500,
    LOST_MS = 500,
    POLL_MS = 10
};

typedef struct session {
    SSL *ssl;
    BIO *in, *out;
    uint32_t number; /* of the next message */
    uint32_t under_way;
    uint64_t heard_ms;
    uint8_t message[SIZE_MAX_LEN];
} session;

/* Datagrams with the addresses of our side, to be sent or received. */
typedef struct batch {
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    uint8_t data[BATCH][DATAGRAM_MAX];
    _Alignas(struct cmsghdr)
        uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    unsigned n;
} batch;

typedef struct totals {
    double seconds;
    double client_s;
    double server_s;
    uint64_t echoed;
    uint64_t lost;
} totals;

static session sessions[SESSIONS_MAX];
static size_t n_sessions = 100;
static uint32_t window = 2;
static size_t size = 64;
static double seconds = 5;
static size_t cpu = SIZE_MAX;
static long pid;
static struct sockaddr_in server;
static int fd;
static batch going, coming;
static uint64_t echoed, lost;
static uint64_t now;

static void
refuse(const char *what, const char *why)
{
    fprintf(stderr, "echoes: %s: %s\n", what, why);
    exit(2);
}

static double
read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t
now_ms(void)
{
    return (uint64_t)(read_clock(CLOCK_MONOTONIC) * 1000);
}

/* ---- datagrams ---- */

static void
prepare(batch *b)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *header = &b->headers[i].msg_hdr;

        b->parts[i] = (struct iovec){b->data[i], sizeof(b->data[i])};
        header->msg_iov = &b->parts[i];
        header->msg_iovlen = 1;
        header->msg_control = b->control[i];
        header->msg_controllen = sizeof(b->control[i]);
    }
}

static void
open_socket(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int on = 1, buffer = BUFFER;

    fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const void *)&any, sizeof(any)) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
        refuse("socket", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    prepare(&going);
    prepare(&coming);
}

/* What the socket does not take is lost, as on the way. */
static void
flush(void)
{
    if (going.n > 0)
        sendmmsg(fd, going.headers, going.n, 0);
    going.n = 0;
}

/* The address of ours that a datagram comes from. */
static void
set_source(struct msghdr *header, size_t i)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct in_pktinfo info = {0};

    info.ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + (uint32_t)i);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(control), &info, sizeof(info));
}

/* What OpenSSL has written becomes one datagram. */
static void
take_output(session *s)
{
    struct msghdr *header;
    char *data;
    long len = BIO_get_mem_data(s->out, &data);

    if (len <= 0)
        return;
    if (len > DATAGRAM_MAX)
        refuse("a flight", "too long for a datagram");
    if (going.n == BATCH)
        flush();
    memcpy(going.data[going.n], data, (size_t)len);
    going.parts[going.n].iov_len = (size_t)len;
    header = &going.headers[going.n].msg_hdr;
    header->msg_name = &server;
    header->msg_namelen = sizeof(server);
    set_source(header, (size_t)(s - sessions));
    going.n++;
    (void)BIO_reset(s->out);
}

/* The session that a datagram is for, or NULL. */
static session *
addressee(struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct in_pktinfo info;
    uint32_t i;

    if (control == NULL || control->cmsg_type != IP_PKTINFO)
        return NULL;
    memcpy(&info, CMSG_DATA(control), sizeof(info));
    i = ntohl(info.ipi_addr.s_addr) - FIRST_ADDRESS;
    return i < n_sessions ? &sessions[i] : NULL;
}

/* Gives a batch to the sessions that it is for; 0 if there was none. */
static int
receive(void (*take)(session *s))
{
    int n;

    for (unsigned i = 0; i < BATCH; i++)
        coming.headers[i].msg_hdr.msg_controllen = sizeof(coming.control[i]);
    n = recvmmsg(fd, coming.headers, BATCH, 0, NULL);
    for (int i = 0; i < n; i++) {
        session *s = addressee(&coming.headers[i].msg_hdr);

        if (s == NULL)
            continue;
        BIO_write(s->in, coming.data[i], (int)coming.headers[i].msg_len);
        take(s);
    }
    flush();
    return n > 0;
}

static void
wait_for_input(void)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    poll(&waiting, 1, POLL_MS);
}

/* ---- handshakes ---- */

static void
go_on(session *s)
{
    int result = SSL_do_handshake(s->ssl);
    int error = SSL_get_error(s->ssl, result);

    ERR_clear_error();
    take_output(s);
    if (result != 1 && error != SSL_ERROR_WANT_READ)
        refuse("a handshake", "it failed");
}

static void
make_session(session *s, SSL_CTX *ctx)
{
    s->ssl = SSL_new(ctx);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    if (s->ssl == NULL || s->in == NULL || s->out == NULL)
        refuse("OpenSSL", "out of memory");
    BIO_set_mem_eof_return(s->in, -1);
    SSL_set_bio(s->ssl, s->in, s->out);
    SSL_set_mtu(s->ssl, 1200);
    SSL_set_connect_state(s->ssl);
    for (size_t i = SIZE_MIN; i < size; i++)
        s->message[i] = (uint8_t)((size_t)(s - sessions) + i);
}

/* One after the other: a listener accepts few clients at a time. */
static void
shake_hands(session *s)
{
    uint64_t end = now_ms() + HANDSHAKE_MS;

    go_on(s);
    flush();
    while (!SSL_is_init_finished(s->ssl)) {
        wait_for_input();
        receive(go_on);
        DTLSv1_handle_timeout(s->ssl);
        take_output(s);
        flush();
        if (now_ms() > end)
            refuse("a handshake", "no answer");
    }
}

static void
open_sessions(void)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_client_method());

    if (ctx == NULL || !SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION))
        refuse("OpenSSL", "no context");
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU);
    for (size_t i = 0; i < n_sessions; i++) {
        make_session(&sessions[i], ctx);
        shake_hands(&sessions[i]);
    }
    SSL_CTX_free(ctx);
}

static void
close_sessions(void)
{
    for (size_t i = 0; i < n_sessions; i++) {
        SSL_shutdown(sessions[i].ssl);
        take_output(&sessions[i]);
        SSL_free(sessions[i].ssl);
    }
    flush();
    close(fd);
}

/* ---- messages ---- */

static void
fill_window(session *s)
{
    for (; s->under_way < window; s->under_way++) {
        memcpy(s->message, &s->number, sizeof(s->number));
        s->number++;
        if (SSL_write(s->ssl, s->message, (int)size) <= 0)
            refuse("SSL_write", "it failed");
        take_output(s);
    }
}

/* All but the number is the same in each message of a session. */
static int
is_echo(const session *s, const uint8_t *data, int len)
{
    return (size_t)len == size &&
           memcmp(data + sizeof(s->number), s->message + sizeof(s->number),
                  size - sizeof(s->number)) == 0;
}

/* A datagram has one message: a second SSL_read would only cost. */
static void
take_echo(session *s)
{
    uint8_t data[SIZE_MAX_LEN + 1];
    int len = SSL_read(s->ssl, data, sizeof(data));

    if (len <= 0 && SSL_get_error(s->ssl, len) != SSL_ERROR_WANT_READ)
        refuse("a session", "the server ended it");
    if (len <= 0)
        return;
    if (!is_echo(s, data, len))
        refuse("the server", "what it sent is no echo");
    echoed++;
    s->under_way -= s->under_way > 0;
    s->heard_ms = now;
    fill_window(s);
}

static void
give_up_lost(void)
{
    for (size_t i = 0; i < n_sessions; i++) {
        session *s = &sessions[i];

        if (s->heard_ms + LOST_MS > now)
            continue;
        lost += s->under_way;
        s->under_way = 0;
        s->heard_ms = now;
        fill_window(s);
    }
    flush();
}

static void
run_until(double end)
{
    uint64_t next_look = 0;

    while (read_clock(CLOCK_MONOTONIC) < end) {
        now = now_ms();
        if (now >= next_look) {
            give_up_lost();
            next_look = now + LOST_MS / 4;
        }
        if (!receive(take_echo))
            wait_for_input();
    }
}

/* ---- the measurement ---- */

/* utime and stime come behind the name, which may have blanks in it, and 11
 * other fields; proc(5). */
static double
server_cpu(void)
{
    unsigned long user = 0, system = 0;
    char path[64], text[1024];
    const char *rest;
    size_t len;
    FILE *file;

    if (pid == 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (file == NULL)
        refuse(path, strerror(errno));
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        refuse(path, "not as in proc(5)");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static totals
read_totals(void)
{
    return (totals){.seconds = read_clock(CLOCK_MONOTONIC),
                    .client_s = read_clock(CLOCK_PROCESS_CPUTIME_ID),
                    .server_s = server_cpu(),
                    .echoed = echoed,
                    .lost = lost};
}

static void
measure(void)
{
    totals before, after;

    run_until(read_clock(CLOCK_MONOTONIC) + WARM_UP_MS / 1e3);
    before = read_totals();
    run_until(before.seconds + seconds);
    after = read_totals();
    printf("{\"messages\": %lu, \"lost\": %lu, \"seconds\": %.6f, "
           "\"client_s\": %.6f, \"server_s\": %.2f}\n",
           (unsigned long)(after.echoed - before.echoed),
           (unsigned long)(after.lost - before.lost),
           after.seconds - before.seconds, after.client_s - before.client_s,
           after.server_s - before.server_s);
}

/* ---- options ---- */

static unsigned long
read_number(const char *text, unsigned long min, unsigned long max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < min || value > max)
        refuse(text, "not a number in range");
    return value;
}

static void
read_seconds(const char *text)
{
    char *end;

    seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0 && seconds <= 3600))
        refuse(text, "not so many seconds");
}

static void
read_options(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "n:w:s:t:c:p:")) != -1) {
        if (c == 'n')
            n_sessions = read_number(optarg, 1, SESSIONS_MAX);
        else if (c == 'w')
            window = (uint32_t)read_number(optarg, 1, 1000);
        else if (c == 's')
            size = read_number(optarg, SIZE_MIN, SIZE_MAX_LEN);
        else if (c == 't')
            read_seconds(optarg);
        else if (c == 'c')
            cpu = read_number(optarg, 0, CPU_SETSIZE - 1);
        else if (c == 'p')
            pid = (long)read_number(optarg, 1, INT32_MAX);
        else
            exit(2);
    }
    if (argc - optind != 2)
        refuse("usage", "echoes [OPTION]... HOST PORT");
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)read_number(argv[optind + 1], 1, 65535));
    if (inet_pton(AF_INET, argv[optind], &server.sin_addr) != 1 ||
        ntohl(server.sin_addr.s_addr) >> 24 != 127)
        refuse(argv[optind], "not an address in 127.0.0.0/8");
}

static void
take_cpu(void)
{
    cpu_set_t set;

    if (cpu == SIZE_MAX)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        refuse("-c", strerror(errno));
}

int
main(int argc, char **argv)
{
    read_options(argc, argv);
    take_cpu();
    open_socket();
    open_sessions();
    measure();
    close_sessions();
    return 0;
}
