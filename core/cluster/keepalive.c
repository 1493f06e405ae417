/* keepalive.c - see keepalive.h. A cursor that has run out stays so; one look at the end tells. */
#include "cluster/keepalive.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NUMBERS 7 /* u64 in the fixed part */
#define FIXED_SIZE (4 + 8 * NUMBERS)

/* --- writing --- */

struct writer {
    uint8_t *data;
    size_t used;
};

static void put_byte(struct writer *writer, uint8_t value)
{
    writer->data[writer->used++] = value;
}

static void put_number(struct writer *writer, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        put_byte(writer, (uint8_t)(value >> shift));
    }
}

static void put_text(struct writer *writer, const char *text)
{
    size_t length = strlen(text);
    assert(length <= UINT8_MAX);
    put_byte(writer, (uint8_t)length);
    memcpy(writer->data + writer->used, text, length);
    writer->used += length;
}

/* What is not printable ASCII, a path in another script perhaps, must not cost the message. */
static void put_reason(struct writer *writer, const char *text)
{
    size_t first = writer->used + 1;
    put_text(writer, text);
    for (size_t i = first; i < writer->used; i++) {
        bool printable = writer->data[i] >= ' ' && writer->data[i] <= '~';
        writer->data[i] = printable ? writer->data[i] : '?';
    }
}

size_t keepalive_write(const struct keepalive *message, uint8_t data[KEEPALIVE_SIZE_MAX])
{
    struct writer writer = {.data = data};
    put_byte(&writer, KEEPALIVE_VERSION);
    put_byte(&writer, (uint8_t)message->kind);
    put_byte(&writer, (uint8_t)message->flags);
    put_byte(&writer, 0);
    const uint64_t numbers[NUMBERS] = {message->incarnation,       message->start,   message->epoch,
                                       (uint64_t)message->wall_ms, message->members, message->round,
                                       message->incarnation_of};
    for (size_t i = 0; i < NUMBERS; i++) {
        put_number(&writer, numbers[i]);
    }
    put_text(&writer, message->primary);
    put_text(&writer, message->name);
    put_reason(&writer, message->reason);
    size_t count_at = writer.used;
    put_byte(&writer, 0);
    for (size_t i = 0; i < message->row_count && i < KEEPALIVE_ROW_MAX; i++) {
        if (writer.used + 1 + strlen(message->row[i]) > KEEPALIVE_SIZE_MAX) {
            break;
        }
        put_text(&writer, message->row[i]);
        data[count_at]++;
    }
    return writer.used;
}

/* --- reading --- */

struct reader {
    const uint8_t *data;
    size_t left;
    bool good;
};

static uint8_t get_byte(struct reader *reader)
{
    if (reader->left == 0) {
        reader->good = false;
        return 0;
    }
    reader->left--;
    return *reader->data++;
}

static uint64_t get_number(struct reader *reader)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | get_byte(reader);
    }
    return value;
}

/* Printable ASCII, at most size - 1 of it. */
static void get_text(struct reader *reader, char *text, size_t size)
{
    size_t length = get_byte(reader);
    reader->good = reader->good && length < size && length <= reader->left;
    for (size_t i = 0; reader->good && i < length; i++) {
        text[i] = (char)get_byte(reader);
        reader->good = text[i] >= ' ' && text[i] <= '~';
    }
    text[reader->good ? length : 0] = '\0';
}

/* A name of a node, or nothing when `may_be_empty`. */
static void get_name(struct reader *reader, char name[NAME_MAX_LENGTH + 1], bool may_be_empty)
{
    get_text(reader, name, NAME_MAX_LENGTH + 1);
    reader->good = reader->good &&
                   ((may_be_empty && name[0] == '\0') || parse_name(name, "node", NULL) == VIOS_OK);
}

static void get_fixed(struct reader *reader, struct keepalive *message)
{
    uint8_t version = get_byte(reader), kind = get_byte(reader);
    message->flags = get_byte(reader);
    uint8_t zero = get_byte(reader);
    reader->good = version == KEEPALIVE_VERSION && kind >= KEEPALIVE_ROW &&
                   kind <= KEEPALIVE_KIND_LAST && zero == 0 &&
                   (message->flags & ~(unsigned)(KEEPALIVE_SLOW | KEEPALIVE_STORE_OK)) == 0;
    message->kind = (enum keepalive_kind)kind;
    message->incarnation = get_number(reader);
    message->start = get_number(reader);
    message->epoch = get_number(reader);
    message->wall_ms = (int64_t)get_number(reader);
    message->members = get_number(reader);
    message->round = get_number(reader);
    message->incarnation_of = get_number(reader);
    reader->good = reader->good && message->incarnation <= INT64_MAX &&
                   message->start <= INT64_MAX && message->epoch <= INT64_MAX &&
                   message->incarnation_of <= INT64_MAX && message->wall_ms >= 0;
}

bool keepalive_read(struct keepalive *message, const uint8_t *data, size_t size)
{
    struct reader reader = {.data = data, .left = size, .good = true};
    if (size < FIXED_SIZE || size > KEEPALIVE_SIZE_MAX) {
        return false;
    }
    get_fixed(&reader, message);
    get_name(&reader, message->primary, true);
    get_name(&reader, message->name, true);
    get_text(&reader, message->reason, sizeof message->reason);
    message->row_count = get_byte(&reader);
    reader.good = reader.good && message->row_count <= KEEPALIVE_ROW_MAX;
    for (size_t i = 0; reader.good && i < message->row_count; i++) {
        get_name(&reader, message->row[i], false);
    }
    return reader.good && reader.left == 0;
}
