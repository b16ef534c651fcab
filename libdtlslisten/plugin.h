/* SPDX-License-Identifier: MIT
 * Finds, vets and loads a cookie strategy with dlopen. dtlslisten-cookie(7),
 * "Load rules". */
#ifndef DTLSL_PLUGIN_H
#define DTLSL_PLUGIN_H

#include <dtlslisten/cookie.h>

/* 'name' is a bare name (looked up as DIR/dtlsl_cookie_NAME.so) or an absolute
 * path. A loaded plugin is never unmapped; loading it again gives the same
 * table. Returns DTLSL_OK, or a code with a text at err. */
int32_t dtlsl__plugin_load(const dtlsl_cookie_plugin **out, const char *name,
                           const char *dir, char *err, size_t err_len);

/* Are the fields of a table usable (ABI, size, name, required functions)? */
int32_t dtlsl__plugin_vet(const dtlsl_cookie_plugin *plugin, const char *where,
                          char *err, size_t err_len);

/* Copies what a vetted table has of what this library knows: one that was
 * built against an older header is shorter, against a newer one longer. */
void dtlsl__plugin_read(dtlsl_cookie_plugin *out,
                        const dtlsl_cookie_plugin *table);

/* 1 if name matches [a-z0-9][a-z0-9_-]{0,31}. */
int dtlsl__plugin_is_name(const char *name, size_t len);

#endif
