/* SPDX-License-Identifier: MIT
 * How many bytes a listener and its connections keep. */
#ifndef DTLSL_MEMORY_H
#define DTLSL_MEMORY_H

/* Needs tally_install(). */
void memory_measure(int json);

/* Processor and version of OpenSSL, a line of text or members of JSON. */
void memory_print_machine(void);
void memory_json_machine(void);

#endif
