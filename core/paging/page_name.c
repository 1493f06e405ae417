/* page_name.c - see the header. */
#include "paging/page_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void page_name_format(char *text, size_t size, const char *lpar, uint32_t index, uint64_t number,
                      uint64_t generation)
{
    snprintf(text, size, "page/%s/%" PRIu32 ".%" PRIu64 "/%" PRIu64, lpar, index, number,
             generation);
}

bool page_name_parse(const char *text, struct page_name *name)
{
    char again[160];
    if (sscanf(text, "page/%36[0-9a-f-]/%" SCNu32 ".%" SCNu64 "/%" SCNu64, name->lpar, &name->index,
               &name->number, &name->generation) != 4) {
        return false;
    }
    page_name_format(again, sizeof again, name->lpar, name->index, name->number, name->generation);
    return strcmp(again, text) == 0;
}
