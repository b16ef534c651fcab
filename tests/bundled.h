/* SPDX-License-Identifier: MIT
 * The bundled strategies as modules, through the loader, in tests. */
#ifndef DTLSL_BUNDLED_H
#define DTLSL_BUNDLED_H

#include "cookie.h"

/* A directory of this process's own, with mode 0700, made at the first call;
 * and its removal with all that is in it. */
const char *bundled_dir(void);
void bundled_done(void);

/* Puts one of tests/plugins there, too. */
void bundled_module(const char *name);

/* A chain of modules ("cluster,hmac"), with options as "name=value" separated
 * by line feeds, or NULL. The config's secret is 00 01 02 .. 1f. 'err' has 512
 * bytes. */
int32_t bundled_chain(dtlsl__chain **out, const char *modules,
                      const char *options, const dtlsl_now *now, char *err);

/* Writes a file in the directory by rename, with mode 0600; its path, in a
 * buffer of the caller's of 256 bytes. */
void bundled_file(char path[256], const char *name, const void *data,
                  size_t len);

/* A counter of the first strategy that has it. */
uint64_t bundled_count(const dtlsl__chain *chain, const char *name);

#endif
