/* caller_ring.c - see caller_ring.h. */
#include "event/caller_ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct event_post *post;
    uint64_t offset; /* of its line among all lines that ever were */
};

struct caller_ring {
    struct entry *entries; /* of place p: entries[p % events_max] */
    size_t events_max, bytes_max;
    uint64_t first, end; /* places */
    uint64_t offset;     /* of the next line */
    size_t memory;       /* bytes of the posts */
    int64_t floor, newest;
};

static struct entry *entry_at(const struct caller_ring *ring, uint64_t place)
{
    return &ring->entries[place & (ring->events_max - 1)];
}

static size_t memory_of(const struct event_post *post)
{
    return sizeof *post + post->size;
}

static void drop_oldest(struct caller_ring *ring)
{
    struct entry *entry = entry_at(ring, ring->first++);
    ring->floor = entry->post->sequence;
    ring->memory -= memory_of(entry->post);
    free(entry->post);
    entry->post = NULL;
}

struct caller_ring *caller_ring_new(size_t events, size_t bytes)
{
    assert(events > 0 && (events & (events - 1)) == 0);
    struct caller_ring *ring = calloc(1, sizeof *ring);
    struct entry *entries = calloc(events, sizeof *entries);
    if (!ring || !entries) {
        free(ring);
        free(entries);
        return NULL;
    }
    ring->entries = entries;
    ring->events_max = events;
    ring->bytes_max = bytes;
    return ring;
}

void caller_ring_free(struct caller_ring *ring)
{
    if (ring) {
        caller_ring_reset(ring, 0);
        free(ring->entries);
        free(ring);
    }
}

void caller_ring_reset(struct caller_ring *ring, int64_t sequence)
{
    while (ring->first < ring->end) {
        drop_oldest(ring);
    }
    ring->floor = ring->newest = sequence;
}

void caller_ring_add(struct caller_ring *ring, struct event_post *post)
{
    if (post->sequence <= ring->newest) {
        free(post);
        return;
    }
    while (ring->first < ring->end && (ring->end - ring->first == ring->events_max ||
                                       ring->memory + memory_of(post) > ring->bytes_max)) {
        drop_oldest(ring);
    }
    *entry_at(ring, ring->end++) = (struct entry){.post = post, .offset = ring->offset};
    ring->offset += post->size;
    ring->memory += memory_of(post);
    ring->newest = post->sequence;
}

int64_t caller_ring_newest(const struct caller_ring *ring)
{
    return ring->newest;
}

int64_t caller_ring_floor(const struct caller_ring *ring)
{
    return ring->floor;
}

uint64_t caller_ring_end(const struct caller_ring *ring)
{
    return ring->end;
}

bool caller_ring_has(const struct caller_ring *ring, uint64_t place)
{
    return place >= ring->first && place <= ring->end;
}

bool caller_ring_find(const struct caller_ring *ring, int64_t after, uint64_t *place)
{
    if (after < ring->floor) {
        return false;
    }
    uint64_t low = ring->first, high = ring->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (entry_at(ring, middle)->post->sequence > after) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *place = low;
    return true;
}

size_t caller_ring_take(const struct caller_ring *ring, const struct event_filter *filter,
                        uint64_t *place, int64_t *after, char *data, size_t size)
{
    size_t used = 0;
    assert(caller_ring_has(ring, *place));
    for (int i = 0; i < RING_VISITS_MAX && *place < ring->end; i++) {
        const struct event_post *post = entry_at(ring, *place)->post;
        if (post->sequence > *after) {
            bool fits = event_filter_fits(filter, post->class_name, post->object);
            if (fits && used + post->size > size) {
                break;
            }
            if (fits) {
                memcpy(data + used, post->line, post->size);
                used += post->size;
            }
            *after = post->sequence;
        }
        ++*place;
    }
    return used;
}

size_t caller_ring_bytes(const struct caller_ring *ring, uint64_t place)
{
    return place < ring->end ? (size_t)(ring->offset - entry_at(ring, place)->offset) : 0;
}
