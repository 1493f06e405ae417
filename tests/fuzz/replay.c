/*
 * replay.c - drives one fuzz target without libFuzzer: the seeds in tests/fuzz/corpus/NAME (the
 * program is called fuzz_NAME), then mutations of them from a fixed random sequence, so that every
 * run of the suite tries the same inputs. `make fuzz` searches for new ones.
 *
 *     fuzz_NAME [FILE...]      only these files: to look at what `make fuzz` found
 */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_LIMIT (64 * 1024)
#define SEEDS_LIMIT 256
#define MUTATIONS 4000
#define CHANGES_LIMIT 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seeds {
    char *data[SEEDS_LIMIT];
    size_t sizes[SEEDS_LIMIT];
    size_t count;
};

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64*: the same numbers everywhere. */
static uint32_t random_below(size_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    uint64_t number = random_state * UINT64_C(0x2545f4914f6cdd1d);
    return limit ? (uint32_t)((number >> 32) % limit) : 0;
}

static void add_seed(struct seeds *seeds, int directory_fd, const char *name)
{
    if (seeds->count == SEEDS_LIMIT) {
        return;
    }
    size_t at = seeds->count;
    if (file_read(directory_fd, name, INPUT_LIMIT, &seeds->data[at], &seeds->sizes[at], NULL) ==
        VIOS_OK) {
        seeds->count++;
    }
}

/* In the order of their names, so that the mutations are the same on every file system. */
static void load_seeds(struct seeds *seeds, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            add_seed(seeds, fd, entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    if (seeds->count == 0) { /* a target without seeds starts from nothing */
        seeds->data[0] = calloc(1, 1);
        seeds->count = 1;
    }
}

static const uint8_t INTERESTING[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{', '}', '[', '=', ' '};

/* One change in place; returns the new size. */
static size_t change(uint8_t *data, size_t size, const struct seeds *seeds)
{
    size_t at = random_below(size + 1);
    size_t other = random_below(seeds->count);
    size_t length = 1 + random_below(16);
    switch (random_below(5)) {
    case 0: /* flip a bit */
        if (at < size) {
            data[at] ^= (uint8_t)(1u << random_below(8));
        }
        return size;
    case 1: /* set a byte */
        if (at < size) {
            data[at] = INTERESTING[random_below(sizeof INTERESTING)];
        }
        return size;
    case 2: /* take some out */
        length = length < size - at ? length : size - at;
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3: /* say some twice */
        length = length < size - at ? length : size - at;
        if (size + length > INPUT_LIMIT) {
            return size;
        }
        memmove(data + at + length, data + at, size - at);
        return size + length;
    default: /* go on as another seed does */
        if (seeds->sizes[other] <= at) {
            return at;
        }
        memcpy(data + at, seeds->data[other] + at, seeds->sizes[other] - at);
        return seeds->sizes[other];
    }
}

/* A copy of exactly its size, so that reading beyond it is seen. */
static void try_input(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) {
        abort();
    }
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void try_mutations(const struct seeds *seeds)
{
    static uint8_t data[INPUT_LIMIT];
    for (int i = 0; i < MUTATIONS; i++) {
        size_t from = random_below(seeds->count), size = seeds->sizes[from];
        memcpy(data, seeds->data[from], size);
        for (uint32_t changes = 1 + random_below(CHANGES_LIMIT); changes > 0; changes--) {
            size = change(data, size, seeds);
        }
        try_input(data, size);
    }
}

int main(int argc, char **argv)
{
    static struct seeds seeds;
    char folder[256];
    const char *name = basename(argv[0]);
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name + strlen("fuzz_"));
    if (argc > 1) {
        for (int i = 1; i < argc; i++) {
            add_seed(&seeds, AT_FDCWD, argv[i]);
        }
    } else {
        load_seeds(&seeds, folder);
    }
    for (size_t i = 0; i < seeds.count; i++) {
        try_input((const uint8_t *)seeds.data[i], seeds.sizes[i]);
    }
    printf("ok 1 - %zu seeds of %s\n", seeds.count, name);
    fflush(stdout);
    if (argc == 1) {
        try_mutations(&seeds);
        printf("ok 2 - %d mutations\n", MUTATIONS);
    }
    printf("1..%d\n", argc == 1 ? 2 : 1);
    for (size_t i = 0; i < seeds.count; i++) {
        free(seeds.data[i]);
    }
    return 0;
}
