/* SPDX-License-Identifier: MIT
 * Application datagrams of the simulation: whose they are, which one, filled
 * up and with a checksum over all of it. */
#include "record.h"
#include "sim.h"
#include <string.h>

enum {
    MAGIC = 0x53494d21,
    HEADER = 20
};

static uint64_t
checksum(const uint8_t *data, size_t len)
{
    return sim_hash(0xcbf29ce484222325, data, len);
}

size_t
sim_message_write(uint8_t *out, size_t len, const sim_message *m)
{
    sim_random filling = {m->number * 7919ULL + m->peer};

    dtlsl__put32(out, MAGIC);
    dtlsl__put32(out + 4, m->from_server ? 1 : 0);
    dtlsl__put32(out + 8, m->peer);
    dtlsl__put32(out + 12, m->life);
    dtlsl__put32(out + 16, m->number);
    sim_fill(&filling, out + HEADER, len - HEADER - 8);
    dtlsl__put64(out + len - 8, checksum(out, len - 8));
    return len;
}

sim_message
sim_message_read(sim *s, uint32_t peer, const uint8_t *data, size_t len)
{
    sim_message m;
    uint8_t sum[8];

    if (len < SIM_LEAST || dtlsl__get32(data) != MAGIC)
        sim_fail(s, peer, "data is as it was written",
                 "%zu bytes that no application wrote", len);
    dtlsl__put64(sum, checksum(data, len - 8));
    if (memcmp(sum, data + len - 8, 8) != 0)
        sim_fail(s, peer, "data is as it was written",
                 "wrong checksum on %zu bytes", len);
    m.from_server = dtlsl__get32(data + 4) != 0;
    m.peer = dtlsl__get32(data + 8);
    m.life = dtlsl__get32(data + 12);
    m.number = dtlsl__get32(data + 16);
    return m;
}
