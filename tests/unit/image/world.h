/*
 * world.h - a store, a repository with one pool, and a disk to import, for tests of image jobs; and
 * the one question that all of them ask afterwards: do the records and the pool's files agree?
 */
#ifndef TESTS_IMAGE_WORLD_H
#define TESTS_IMAGE_WORLD_H

#include "image/image.h"
#include "image/jobs.h"
#include "image/making.h"
#include "image/verify.h"
#include "lpar/record.h"
#include "storage/pool.h"
#include "tests/job_crash.h"
#include "tests/unit/lpar/world.h"

#include <dirent.h>

#define WORLD_SIZE (3 * 1024 * 1024 + 4096) /* of the disk: three chunks and a bit */
#define WORLD_POOL_UUID "99999999-2222-4333-8444-555555555555"

static char disk[160];

/* --- files --- */

static void world_shell(const char *words)
{
    if (!loop_shell(words, pool_folder, repository)) {
        printf("# failed: %s\n", words);
        exit(1);
    }
}

/* Data in the first and the third MiB, a hole between. */
static void world_disk(void)
{
    static char data[65536];
    int fd = open(disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    memset(data, 'v', sizeof data);
    is_int(ftruncate(fd, WORLD_SIZE), 0);
    is_int(pwrite(fd, data, sizeof data, 4096), sizeof data);
    is_int(pwrite(fd, data, 512, 2 << 20), 512);
    close(fd);
}

/* A new store and an empty pool "p1". Returns the store's address. */
__attribute__((unused)) static const char *world_fresh(void)
{
    struct pool pool = {.name = "p1", .uuid = WORLD_POOL_UUID};
    char marker[320];
    FILE *file;
    node.incarnation = 1;
    world_new();
    world_shell("rm -rf \"$1\"/lu \"$1\"/image && mkdir \"$1\"/lu \"$1\"/image");
    snprintf(marker, sizeof marker, "%s/" POOL_MARKER, pool_folder);
    file = fopen(marker, "we");
    fprintf(file, "{\"v\":1,\"cluster\":\"c\",\"pool\":\"p1\",\"uuid\":\"%s\"}", pool.uuid);
    fclose(file);
    char *json = pool_format(&pool);
    put("/pool/p1", json);
    free(json);
    world_disk();
    return address;
}

__attribute__((unused)) static void image_world_begin(void)
{
    world_begin();
    snprintf(disk, sizeof disk, "%s/disk.raw", tap_folder());
    node.verified = verified_new();
}

__attribute__((unused)) static void image_world_end(void)
{
    verified_free(node.verified);
    world_end();
}

/* --- jobs --- */

/* The data of an import of the disk as the image `name`. */
static json_t *world_import_data(const char *name)
{
    struct image image = {.state = IMAGE_MAKING, .pool = "p1", .tag = "1"};
    uuid_make(image.handle);
    snprintf(image.name, sizeof image.name, "%s", name);
    snprintf(image.source, sizeof image.source, "%s", disk);
    clock_format(clock_wall_ms(), image.created);
    json_t *data = making_data(&image);
    json_object_set_new(data, "source", json_pack("{s:s, s:s}", "kind", "file", "path", disk));
    return data;
}

__attribute__((unused)) static void world_image(const char *name, struct image *image)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    ok(image_find(store, name, image, &operation) == VIOS_OK, "%s", operation.error.message);
    node_store_return(&node, store);
}

/* --- do the records and the files agree? --- */

static size_t world_entries(const char *below)
{
    char path[320];
    size_t count = 0;
    struct dirent *entry;
    snprintf(path, sizeof path, "%s/%s", pool_folder, below);
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder)) != NULL) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

static void world_check_lu(const char *where, const struct store_value *value, size_t *ordinary)
{
    struct lu lu;
    struct stat info;
    struct vios_error error = {0};
    char path[PATH_MAX];
    ok(lu_parse(value->key + strlen("/lu/"), value->json, &lu, &error) == VIOS_OK, "%s: %s", where,
       error.message);
    ok(lu.state == LU_READY && !lu.job[0], "%s: LU %s is half-made: %s", where, lu.name,
       value->json);
    ok(lu_path(&node, &lu, path, &error) == VIOS_OK && stat(path, &info) == 0 &&
           (uint64_t)info.st_size == lu.size_bytes,
       "%s: the file of LU %s", where, lu.name);
    *ordinary += !lu.image[0];
}

/* Every record is whole and has its files, every file has a record. */
__attribute__((unused)) static void world_agrees(const char *where)
{
    static const char *const PREFIXES[] = {"/image/", "/image-name/", "/lu/", "/lu-name/",
                                           "/lpar/"};
    struct store_list lists[5];
    struct operation operation;
    struct store *store = open_store(&operation);
    size_t ordinary = 0, image_files = 0;
    is_int(store_list_many(store, PREFIXES, 5, lists, NULL, &operation), VIOS_OK);
    for (size_t i = 0; i < lists[0].count; i++) {
        struct image image;
        is_int(image_parse(lists[0].values[i].key + strlen("/image/"), lists[0].values[i].json,
                           &image, NULL),
               VIOS_OK);
        ok(image.state == IMAGE_READY && !image.job[0], "%s: an image is half-made", where);
        image_files += image.file_count;
    }
    for (size_t i = 0; i < lists[2].count; i++) {
        world_check_lu(where, &lists[2].values[i], &ordinary);
    }
    for (size_t i = 0; i < lists[4].count; i++) {
        struct lpar lpar;
        is_int(lpar_parse(lists[4].values[i].json, &lpar, NULL), VIOS_OK);
        ok(!lpar.job[0], "%s: LPAR %s is held by %s", where, lpar.name, lpar.job);
    }
    ok(lists[1].count == lists[0].count, "%s: %zu names of %zu images", where, lists[1].count,
       lists[0].count);
    ok(lists[3].count == lists[2].count, "%s: %zu names of %zu LUs", where, lists[3].count,
       lists[2].count);
    ok(lists[2].count == ordinary + image_files, "%s: an image lacks an LU", where);
    ok(world_entries("image") == lists[0].count, "%s: %zu folders of %zu images", where,
       world_entries("image"), lists[0].count);
    ok(world_entries("lu") == ordinary, "%s: %zu files of %zu LUs", where, world_entries("lu"),
       ordinary);
    for (size_t i = 0; i < 5; i++) {
        store_list_clear(&lists[i]);
    }
    node_store_return(&node, store);
}

#endif
