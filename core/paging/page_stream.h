/*
 * page_stream.h - the pages of a paging device as a stream of bytes, to be kept in a file while the
 * guest and the memory that held them are gone. All numbers are little endian and packed, what is
 * reserved is 0:
 *
 *     header | run | run | ... | end
 *
 * A run is its head and `size_bytes` bytes of data: whole pages that are not zero, one behind the
 * other. Runs ascend and do not overlap. A page in no run is zero. The end is a head too, whose
 * kind is another, and says how many pages there were; nothing follows it.
 *
 * The stream has no digest: who keeps it sees to that. What is seen to here is that it is whole,
 * makes sense, and is of a device of the expected size. No I/O, and no memory but the struct.
 */
#ifndef PAGING_PAGE_STREAM_H
#define PAGING_PAGE_STREAM_H

#include "base/error.h"
#include "paging/page.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_STREAM_MAGIC "viospage"
#define PAGE_STREAM_VERSION 1
#define PAGE_STREAM_RUN_MAX ((uint32_t)4 << 20) /* bytes of one run */

enum page_stream_kind { PAGE_STREAM_RUN = 1, PAGE_STREAM_END = 2 };

struct page_stream_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t page_size;  /* PAGE_BYTES */
    uint64_t size_bytes; /* of the device: whole pages */
} __attribute__((packed));

struct page_stream_head {
    uint32_t kind;       /* enum page_stream_kind */
    uint32_t size_bytes; /* of the data behind it: whole pages, 1 at least; of the end 0 */
    uint64_t value;      /* of a run the offset of its first page; of the end the count of pages */
} __attribute__((packed));

_Static_assert(sizeof(struct page_stream_header) == 24, "the layout is fixed");
_Static_assert(sizeof(struct page_stream_head) == 16, "the layout is fixed");

/* --- writing --- */

void page_stream_make_header(struct page_stream_header *header, uint64_t size_bytes);
void page_stream_make_run(struct page_stream_head *head, uint64_t offset, uint32_t size_bytes);
void page_stream_make_end(struct page_stream_head *head, uint64_t pages);

/* --- reading --- */

struct page_stream {
    uint64_t size_bytes; /* that the device must have */
    uint64_t pages;      /* whose data has begun */
    bool has_begun;      /* the header was there, and right */
    bool has_ended;      /* likewise the end */

    uint64_t offset; /* of the next byte of data; no run begins below */
    uint32_t left;   /* bytes of data that the run still has */
    uint8_t head[sizeof(struct page_stream_header)]; /* what there is of it */
    size_t head_size;
};

/* Data of the stream, within the bytes that were given. */
struct page_piece {
    uint64_t offset; /* of the device */
    const uint8_t *data;
    size_t size;
};

/* Begins to read a stream that must be of a device of that size. */
void page_stream_begin(struct page_stream *stream, uint64_t size_bytes);

/*
 * Takes some of `*size` bytes at `*data`, which come in any pieces, and moves both behind them. 1:
 * `piece` is the next data, of one run, and is to be used before the bytes go. 0: all were taken.
 * VIOS_E_CORRUPT: it makes no sense. VIOS_E_INVALID: it is of a device of another size. After that
 * nothing more can be read.
 */
int page_stream_read(struct page_stream *stream, const uint8_t **data, size_t *size,
                     struct page_piece *piece, struct vios_error *error);

/* When there are no more bytes. VIOS_E_CORRUPT: the stream has not ended, and says where. */
int page_stream_check_end(const struct page_stream *stream, struct vios_error *error);

#endif
