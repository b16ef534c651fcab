/* SPDX-License-Identifier: MIT
 * The file: its name, its symbols and segments. The loader has taken it, so
 * it is of this machine's kind; its tables are read with care all the same. */
#include "plugin_check.h"
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NEEDED_MAX = 64,
    LENGTHS_SEEN = 100
};

typedef struct elf {
    const uint8_t *data;
    size_t size;
    const ElfW(Ehdr) * header;
} elf;

/* A string table, or other bytes of the file. */
typedef struct span {
    const uint8_t *data;
    size_t size;
} span;

/* ---- load, name, length ---- */

void
check_load(kit *k)
{
    kit_pass(k, "strategy %s, ABI %u, cookies of up to %u bytes",
             k->plugin->name, k->plugin->abi, k->plugin->max_cookie_len);
}

void
check_name(kit *k)
{
    const char *file = strrchr(k->setup->path, '/') + 1;
    char want[80];

    snprintf(want, sizeof(want), "dtlsl_cookie_%s.so", k->plugin->name);
    if (strcmp(file, want) != 0)
        kit_warn(k,
                 "the file is named %.200s: cookie=%s does not find it, only "
                 "its absolute path does",
                 file, k->plugin->name);
}

/* The longest of some cookies; 0 if it makes none. */
static unsigned
longest_cookie(kit *k)
{
    uint8_t cookie[DTLSL_COOKIE_MAX];
    int32_t len, longest = 0;
    hello h;

    kit_start(k);
    for (int i = 0; i < LENGTHS_SEEN; i++) {
        hello_make(k, &h);
        len = kit_mint(k, &h, cookie);
        if (len > longest)
            longest = len;
    }
    kit_stop(k);
    return (unsigned)longest;
}

void
check_length(kit *k)
{
    unsigned max = k->plugin->max_cookie_len, seen = longest_cookie(k);

    if (seen > DTLSL_COOKIE_SAFE || (seen == 0 && max > DTLSL_COOKIE_SAFE))
        kit_warn(k,
                 "cookies of %u bytes: above %d the handshakes of GnuTLS, "
                 "NSS, tinydtls and wolfSSL clients fail",
                 seen > 0 ? seen : max, DTLSL_COOKIE_SAFE);
    kit_pass(k, "%u bytes seen; its table says at most %u", seen, max);
}

/* ---- reading ---- */

static elf
map_file(kit *k)
{
    elf e = {0};
    struct stat st;
    void *data;
    int fd = open(k->setup->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0)
        kit_skip(k, "the file cannot be read any more");
    e.size = (size_t)st.st_size;
    data = mmap(NULL, e.size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED || e.size < sizeof(*e.header))
        kit_skip(k, "the file cannot be read any more");
    e.data = data;
    e.header = data;
    return e;
}

/* n entries of a table, or NULL if they are not all in the file. */
static const void *
table_at(const elf *e, uint64_t offset, uint64_t n, size_t entry)
{
    if (offset > e->size || offset % 4 != 0 || n > e->size / entry ||
        n * entry > e->size - offset)
        return NULL;
    return e->data + offset;
}

static const ElfW(Shdr) * section_of_type(kit *k, const elf *e, uint32_t type)
{
    const ElfW(Shdr) *section =
        table_at(e, e->header->e_shoff, e->header->e_shnum, sizeof(*section));

    if (section == NULL || e->header->e_shentsize != sizeof(*section))
        kit_skip(k, "the file has no section headers");
    for (size_t i = 0; i < e->header->e_shnum; i++)
        if (section[i].sh_type == type)
            return &section[i];
    kit_skip(k, "the file has no section of type %u", type);
}

static span
strings_of(kit *k, const elf *e, const ElfW(Shdr) * of)
{
    const ElfW(Shdr) *section =
        table_at(e, e->header->e_shoff, e->header->e_shnum, sizeof(*section));
    span s = {0};

    if (of->sh_link < e->header->e_shnum) {
        s.size = section[of->sh_link].sh_size;
        s.data = table_at(e, section[of->sh_link].sh_offset, s.size, 1);
    }
    if (s.data == NULL)
        kit_skip(k, "the file's string table is out of its bounds");
    return s;
}

static const char *
string_at(const span *strings, size_t at)
{
    if (at >= strings->size ||
        memchr(strings->data + at, '\0', strings->size - at) == NULL)
        return "";
    return (const char *)strings->data + at;
}

/* ---- symbols ---- */

/* What some linkers export of their own. */
static int
is_linkers(const char *name)
{
    static const char *const own[] = {"_init", "_fini", "_edata", "_end",
                                      "__bss_start"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(name, own[i]) == 0)
            return 1;
    return 0;
}

static const ElfW(Sym) *
    symbols_of(kit *k, const elf *e, const ElfW(Shdr) * section, size_t *n)
{
    const ElfW(Sym) * symbol;

    *n = section->sh_size / sizeof(*symbol);
    symbol = table_at(e, section->sh_offset, *n, sizeof(*symbol));
    if (symbol == NULL)
        kit_skip(k, "the file's symbol table is out of its bounds");
    return symbol;
}

static int
is_exported(const ElfW(Sym) * s)
{
    int bind = ELF64_ST_BIND(s->st_info), type = ELF64_ST_TYPE(s->st_info);
    int visibility = ELF64_ST_VISIBILITY(s->st_other);

    return s->st_shndx != SHN_UNDEF && bind != STB_LOCAL &&
           type != STT_SECTION && type != STT_FILE &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED) &&
           !(s->st_shndx == SHN_ABS && type == STT_OBJECT);
}

void
check_symbols(kit *k)
{
    elf e = map_file(k);
    const ElfW(Shdr) *section = section_of_type(k, &e, SHT_DYNSYM);
    span strings = strings_of(k, &e, section);
    size_t n, others = 0, room;
    const ElfW(Sym) *symbol = symbols_of(k, &e, section, &n);
    char list[300] = "";

    for (size_t i = 1; i < n; i++) {
        const char *name = string_at(&strings, symbol[i].st_name);

        if (!is_exported(&symbol[i]) || is_linkers(name) ||
            strcmp(name, "dtlsl_cookie_plugin_v1") == 0)
            continue;
        others++;
        room = sizeof(list) - strlen(list);
        snprintf(list + strlen(list), room, " %.60s", name);
    }
    if (others > 0)
        kit_fail(k,
                 "%zu more symbols are exported:%s; build with "
                 "-fvisibility=hidden and -Wl,-Bsymbolic",
                 others, list);
}

/* ---- segments ---- */

static int
has_text_relocations(kit *k, const elf *e)
{
    const ElfW(Shdr) *section = section_of_type(k, e, SHT_DYNAMIC);
    size_t n = section->sh_size / sizeof(ElfW(Dyn));
    const ElfW(Dyn) *entry =
        table_at(e, section->sh_offset, n, sizeof(*entry));

    for (size_t i = 0; entry != NULL && i < n; i++)
        if (entry[i].d_tag == DT_TEXTREL ||
            (entry[i].d_tag == DT_FLAGS && (entry[i].d_un.d_val & DF_TEXTREL)))
            return 1;
    return 0;
}

void
check_segments(kit *k)
{
    elf e = map_file(k);
    const ElfW(Phdr) *segment =
        table_at(&e, e.header->e_phoff, e.header->e_phnum, sizeof(*segment));
    int has_stack = 0;

    if (segment == NULL)
        kit_skip(k, "the file's segments are out of its bounds");
    for (size_t i = 0; i < e.header->e_phnum; i++) {
        uint32_t type = segment[i].p_type, flags = segment[i].p_flags;

        if (type == PT_GNU_STACK && (flags & PF_X))
            kit_fail(k, "it wants an executable stack; link with "
                        "-Wl,-z,noexecstack");
        if (type == PT_LOAD && (flags & PF_W) && (flags & PF_X))
            kit_fail(k, "a segment can be written and executed");
        has_stack |= type == PT_GNU_STACK;
    }
    if (!has_stack)
        kit_fail(k, "it does not say that its stack is not executable; link "
                    "with -Wl,-z,noexecstack");
    if (has_text_relocations(k, &e))
        kit_fail(k, "its code is changed while it is loaded (text "
                    "relocations); build with -fPIC");
}

/* ---- undefined symbols ---- */

static size_t
open_needed(kit *k, const elf *e, void *handle[NEEDED_MAX])
{
    const ElfW(Shdr) *section = section_of_type(k, e, SHT_DYNAMIC);
    span strings = strings_of(k, e, section);
    size_t n = section->sh_size / sizeof(ElfW(Dyn)), found = 0;
    const ElfW(Dyn) *entry =
        table_at(e, section->sh_offset, n, sizeof(*entry));

    for (size_t i = 0; entry != NULL && i < n && found < NEEDED_MAX; i++) {
        const char *name = string_at(&strings, entry[i].d_un.d_val);

        /* An empty name would stand for this program. */
        if (entry[i].d_tag != DT_NEEDED || name[0] == '\0')
            continue;
        handle[found] = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
        found += handle[found] != NULL;
    }
    return found;
}

static int
is_in_any(void *const *handle, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (dlsym(handle[i], name) != NULL)
            return 1;
    return 0;
}

/* A sanitizer's runtime comes with the program. */
static int
is_sanitizers(const char *name)
{
    return strncmp(name, "__asan_", 7) == 0 ||
           strncmp(name, "__ubsan_", 8) == 0 ||
           strncmp(name, "__tsan_", 7) == 0 ||
           strncmp(name, "__msan_", 7) == 0 ||
           strncmp(name, "__sanitizer_", 12) == 0;
}

void
check_undefined(kit *k)
{
    elf e = map_file(k);
    const ElfW(Shdr) *section = section_of_type(k, &e, SHT_DYNSYM);
    span strings = strings_of(k, &e, section);
    size_t n;
    const ElfW(Sym) *symbol = symbols_of(k, &e, section, &n);
    void *handle[NEEDED_MAX];
    size_t n_handles = open_needed(k, &e, handle), n_found = 0;

    for (size_t i = 1; i < n; i++) {
        const char *name = string_at(&strings, symbol[i].st_name);

        if (symbol[i].st_shndx != SHN_UNDEF ||
            ELF64_ST_BIND(symbol[i].st_info) != STB_GLOBAL ||
            is_sanitizers(name))
            continue;
        if (!is_in_any(handle, n_handles, name))
            kit_fail(k,
                     "%.100s is in no library that it names: here it was "
                     "found by chance, elsewhere loading fails; link with "
                     "that library, and with -Wl,-z,defs",
                     name);
        n_found++;
    }
    kit_pass(k, "%zu symbols", n_found);
}
