/* post.c - see post.h. */
#include "event/post.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *event_item(const struct payload *payload, size_t index, int64_t revision, int64_t restores)
{
    json_t *item =
        json_pack("{s:I, s:I, s:I, s:s, s:I}", "seq", (json_int_t)event_sequence(revision, index),
                  "restores", (json_int_t)restores, "epoch", (json_int_t)payload->epoch, "node",
                  payload->node, "incarnation", (json_int_t)payload->incarnation);
    if (item && json_object_update(item, payload->events[index]) != 0) {
        json_decref(item);
        item = NULL;
    }
    return item;
}

struct event_post *event_post_new(const struct payload *payload, size_t index, int64_t revision,
                                  int64_t restores)
{
    struct event_post *post = NULL;
    json_t *item = event_item(payload, index, revision, restores);
    char *text = json_into_text(item ? json_pack("{s:o}", "event", item) : NULL);
    size_t length = text ? strlen(text) : 0;
    if (text && (post = malloc(sizeof *post + length + 1))) {
        post->sequence = event_sequence(revision, index);
        snprintf(post->class_name, sizeof post->class_name, "%s",
                 json_get_word(payload->events[index], "class"));
        snprintf(post->object, sizeof post->object, "%s",
                 json_get_word(payload->events[index], "object"));
        memcpy(post->line, text, length);
        post->line[length] = '\n';
        post->size = length + 1;
    }
    free(text);
    return post;
}
