/* SPDX-License-Identifier: MIT */
#include "sim_memory.h"
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

int64_t sim_live_ssls;

static void
ssl_born(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
         void *argp)
{
    (void)parent;
    (void)ptr;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    sim_live_ssls++;
}

static void
ssl_gone(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
         void *argp)
{
    (void)parent;
    (void)ptr;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    sim_live_ssls--;
}

void
sim_memory_start(void)
{
    if (!heap_count() ||
        SSL_get_ex_new_index(0, NULL, ssl_born, NULL, ssl_gone) < 0) {
        fprintf(stderr, "simulation: cannot count SSLs\n");
        exit(2);
    }
}
