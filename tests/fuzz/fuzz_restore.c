/* fuzz_restore.c - records of a backup and of what is there: lines of a key, a blank and JSON,
 * those behind an empty line being there. A backup that is taken makes a plan whose records are
 * valid, each key once, none of which anybody owns. */
#include "restore/loss.h"
#include "restore/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct store_value *)a)->key, ((const struct store_value *)b)->key);
}

/* As a store gives them: sorted, each key once. */
static void tidy(struct store_list *list)
{
    size_t kept = 0;
    qsort(list->values, list->count, sizeof *list->values, by_key);
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || strcmp(list->values[kept - 1].key, list->values[i].key) != 0) {
            list->values[kept++] = list->values[i];
        }
    }
    list->count = kept;
}

static void read_lists(char *text, struct store_list lists[2])
{
    size_t which = 0;
    for (char *line = text; line;) {
        char *next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        char *json = strchr(line, ' ');
        if (line[0] == '\0') {
            which = 1;
        } else if (json && line[0] == '/' && lists[which].count < VALUES_MAX) {
            *json++ = '\0';
            lists[which].values[lists[which].count++] =
                (struct store_value){line, json, (int64_t)strlen(json), 1};
        }
        line = next;
    }
    tidy(&lists[0]);
    tidy(&lists[1]);
}

static void check_plan(const struct restore_plan *plan)
{
    struct vios_error error = {0};
    assert(restore_check(&plan->list, &error) == VIOS_OK);
    for (size_t i = 0; i < plan->list.count; i++) {
        json_t *record = json_loads(plan->list.values[i].json, 0, NULL);
        assert(i == 0 || strcmp(plan->list.values[i - 1].key, plan->list.values[i].key) < 0);
        assert(strncmp(plan->list.values[i].key, "/lpar/", 6) != 0 ||
               json_is_null(json_object_get(record, "owner")));
        json_decref(record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store_value values[2][VALUES_MAX];
    struct store_list lists[2] = {{values[0], 0}, {values[1], 0}};
    const struct restore_act act = {0, "uid:0", "/b"};
    struct vios_error error = {0};
    struct restore_plan plan;
    char *text = malloc(size + 1);
    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    read_lists(text, lists);
    if (restore_check(&lists[0], &error) == VIOS_OK) {
        struct restore_content contents[] = {{&lists[0], 1}, {&lists[1], 2}};
        if (restore_plan_make(&plan, contents, 2, &act, &error) == VIOS_OK) {
            check_plan(&plan);
        }
        restore_plan_clear(&plan);
    }
    json_t *losses = restore_loss(&lists[0], &lists[1]);
    assert(losses);
    json_decref(losses);
    free(text);
    return 0;
}
