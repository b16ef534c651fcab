/* SPDX-License-Identifier: MIT
 * Runs a fuzzer over files or folders, without arguments over its corpus.
 * Prints each name first: the last one is what a failure is about. */
#include "fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static size_t
replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    size_t len;
    long size;

    fuzz_check(file != NULL && fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    fuzz_check(size >= 0);
    rewind(file);
    data = malloc((size_t)size + 1);
    fuzz_check(data != NULL);
    len = fread(data, 1, (size_t)size, file);
    fclose(file);
    data = realloc(data, len > 0 ? len : 1);
    fuzz_check(data != NULL);
    puts(path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    return 1;
}

static size_t
replay(const char *path)
{
    struct dirent **entries;
    struct stat st;
    char name[4096];
    size_t done = 0;
    int n;

    if (stat(path, &st) != 0) {
        perror(path);
        return 0;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            done += replay_file(name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return done;
}

int
main(int argc, char **argv)
{
    char corpus[4096];
    size_t done = 0;

    snprintf(corpus, sizeof(corpus), "%s/fuzz/corpus/%s", TEST_SRCDIR,
             fuzz_name);
    for (int i = 1; i < argc; i++)
        done += replay(argv[i]);
    if (argc < 2)
        done = replay(corpus);
    printf("%s: %zu inputs\n", fuzz_name, done);
    return done > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
