/* SPDX-License-Identifier: MIT
 * The bundled strategies as modules, through the loader, in tests. */
#include "bundled.h"
#include "test.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[128];
static const uint8_t secret[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                   11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                   22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static void
write_file(const char *path, const void *data, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    ck_assert_int_eq(close(fd), 0);
}

/* Where libtool puts a module before it is installed. */
static FILE *
open_built(const char *name)
{
    static const char *const places[] = {
        TEST_BUILDDIR "/../plugins/.libs/dtlsl_cookie_",
        TEST_BUILDDIR "/../.libs/dtlsl_cookie_",
        TEST_BUILDDIR "/plugins/.libs/"};
    char path[512];
    FILE *f = NULL;

    for (size_t i = 0; f == NULL && i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s.so", places[i], name);
        f = fopen(path, "rb");
    }
    ck_assert_msg(f != NULL, "no module %s", name);
    return f;
}

static void
install(const char *name)
{
    FILE *in = open_built(name);
    char path[256];
    uint8_t buf[65536];
    size_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/dtlsl_cookie_%s.so", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    ck_assert_int_ge(fd, 0);
    while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
        ck_assert_int_eq(write(fd, buf, n), (ssize_t)n);
    close(fd);
    fclose(in);
}

const char *
bundled_dir(void)
{
    if (dir[0] == '\0') {
        snprintf(dir, sizeof(dir), "/tmp/dtlsl-bundled-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        install("hmac");
        install("cluster");
        install("aead");
    }
    return dir;
}

void
bundled_module(const char *name)
{
    bundled_dir();
    install(name);
}

void
bundled_done(void)
{
    struct dirent *entry;
    char path[512];
    DIR *d;

    if (dir[0] == '\0')
        return;
    d = opendir(dir);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
    dir[0] = '\0';
}

/* Cuts "a=1\nb=2" in place. */
static size_t
cut_options(char *text, dtlsl_cookie_option *option, size_t max)
{
    size_t n = 0;

    for (char *line = strtok(text, "\n"); line != NULL && n < max;
         line = strtok(NULL, "\n")) {
        char *sign = strchr(line, '=');

        ck_assert_ptr_nonnull(sign);
        *sign = '\0';
        option[n++] = (dtlsl_cookie_option){line, sign + 1};
    }
    return n;
}

static void
spell_paths(const char *modules, char *spec, size_t len)
{
    char names[128];
    size_t at = 0;

    snprintf(names, sizeof(names), "%s", modules);
    for (char *name = strtok(names, ","); name != NULL;
         name = strtok(NULL, ","))
        at += (size_t)snprintf(spec + at, len - at, "%s%s/dtlsl_cookie_%s.so",
                               at > 0 ? "," : "", bundled_dir(), name);
}

int32_t
bundled_chain(dtlsl__chain **out, const char *modules, const char *options,
              const dtlsl_now *now, char *err)
{
    dtlsl_cookie_option option[16];
    dtlsl__chain_options o = {.default_secret = secret, .options = option};
    char spec[600], text[2048];

    bundled_dir();
    spell_paths(modules, spec, sizeof(spec));
    snprintf(text, sizeof(text), "%s", options == NULL ? "" : options);
    o.spec = spec;
    o.n_options = cut_options(text, option, 16);
    err[0] = '\0';
    return dtlsl__chain_new(out, &o, now, err, 512);
}

void
bundled_file(char path[256], const char *name, const void *data, size_t len)
{
    char fresh[300];

    snprintf(path, 256, "%s/%s", bundled_dir(), name);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    write_file(fresh, data, len, 0600);
    ck_assert_int_eq(rename(fresh, path), 0);
}

uint64_t
bundled_count(const dtlsl__chain *chain, const char *name)
{
    const char *strategy, *found;
    uint64_t value;

    for (size_t i = 0;
         dtlsl__chain_counter(chain, i, &strategy, &found, &value) == 0; i++)
        if (strcmp(name, found) == 0)
            return value;
    ck_abort_msg("no counter %s", name);
    return 0;
}
