/* parts.c - see parts.h. The joined tables are made once, before any thread starts. */
#include "daemon/parts.h"

#include "alert/alert.h"
#include "event/events.h"
#include "ffdc/ffdc.h"
#include "image/image_part.h"
#include "lpar/lpar.h"
#include "migration/migration.h"
#include "node/identity.h"
#include "node/job_methods.h"
#include "paging/paging.h"
#include "storage/storage.h"

#include <assert.h>

#define GROUPS_MAX 32
#define JOB_KINDS_MAX 64

static const struct part *const PARTS[] = {
    &identity_part, &event_part, &paging_part, &storage_part,   &lpar_part,
    &image_part,    &ffdc_part,  &alert_part,  &migration_part,
};
#define PART_COUNT (sizeof PARTS / sizeof PARTS[0])

/* Methods of no part: they need no state of their own. */
static const struct method_group *const GROUPS[] = {
    &daemon_methods,  &node_methods,   &job_methods,      &db_methods,
    &primary_methods, &config_methods, &settings_methods,
};
#define GROUP_COUNT (sizeof GROUPS / sizeof GROUPS[0])

const struct part *const *parts_all(size_t *count)
{
    *count = PART_COUNT;
    return PARTS;
}

const struct method_group *const *parts_methods(void)
{
    static const struct method_group *all[GROUPS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        all[count++] = GROUPS[i];
    }
    for (size_t i = 0; i < PART_COUNT; i++) {
        assert(count < GROUPS_MAX);
        if (PARTS[i]->methods) {
            all[count++] = PARTS[i]->methods;
        }
    }
    all[count] = NULL;
    return all;
}

const struct job_kind *const *parts_job_kinds(size_t *count)
{
    static const struct job_kind *all[JOB_KINDS_MAX];
    size_t joined = 0;
    for (size_t i = 0; i < PART_COUNT; i++) {
        for (size_t k = 0; PARTS[i]->job_kinds && PARTS[i]->job_kinds[k]; k++) {
            assert(joined < JOB_KINDS_MAX);
            all[joined++] = PARTS[i]->job_kinds[k];
        }
    }
    *count = joined;
    return all;
}
