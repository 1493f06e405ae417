/* posts.h - events for the tests of core/event, made without a payload file. */
#ifndef TESTS_UNIT_EVENT_POSTS_H
#define TESTS_UNIT_EVENT_POSTS_H

#include "event/post.h"
#include "tests/tap.h"

/* An event as its line is, with so many bytes of padding; the caller's. */
__attribute__((unused)) static struct event_post *post_new(int64_t sequence, const char *class_name,
                                                           const char *object, size_t padding)
{
    size_t most = 256 + padding;
    struct event_post *post = malloc(sizeof *post + most);
    if (!post) {
        exit(1);
    }
    post->sequence = sequence;
    snprintf(post->class_name, sizeof post->class_name, "%s", class_name);
    snprintf(post->object, sizeof post->object, "%s", object);
    post->size = (size_t)snprintf(
        post->line, most,
        "{\"event\":{\"seq\":%lld,\"class\":\"%s\",\"object\":\"%s\",\"x\":\"%*s\"}}\n",
        (long long)sequence, class_name, object, (int)padding, "");
    return post;
}

#endif
