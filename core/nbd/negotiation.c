/*
 * negotiation.c - the server's side of the handshake: one row for each option it knows.
 *
 * An option is handled when it has arrived completely and the answers before it have left, so
 * that nobody can make this side gather more than one option's answers.
 */
#include "nbd/connection.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES_MAX 64 /* of one meta context option */
#define INFOS_MAX 64

struct option {
    uint32_t number;
    const uint8_t *data;
    uint32_t size;
};

/* The part of an option not looked at yet. */
struct reader {
    const uint8_t *data;
    size_t left;
};

static bool take_bytes(struct reader *reader, size_t size, const uint8_t **data)
{
    if (reader->left < size) {
        return false;
    }
    *data = reader->data;
    reader->data += size;
    reader->left -= size;
    return true;
}

static bool take_u32(struct reader *reader, uint32_t *value)
{
    const uint8_t *data;
    if (!take_bytes(reader, sizeof *value, &data)) {
        return false;
    }
    memcpy(value, data, sizeof *value);
    *value = ntohl(*value);
    return true;
}

static bool take_u16(struct reader *reader, uint16_t *value)
{
    const uint8_t *data;
    if (!take_bytes(reader, sizeof *value, &data)) {
        return false;
    }
    memcpy(value, data, sizeof *value);
    *value = ntohs(*value);
    return true;
}

/* A length and as many bytes, as a C string; one with a NUL inside is none. */
static bool take_text(struct reader *reader, char text[NBD_NAME_MAX + 1])
{
    uint32_t length;
    const uint8_t *data;
    if (!take_u32(reader, &length) || length > NBD_NAME_MAX || !take_bytes(reader, length, &data) ||
        memchr(data, 0, length)) {
        return false;
    }
    memcpy(text, data, length);
    text[length] = 0;
    return true;
}

/* --- answers --- */

static bool answer(struct nbd_connection *connection, uint32_t option, uint32_t type,
                   const void *data, size_t size)
{
    struct nbd_wire_option_reply reply = {
        .magic = htobe64(NBD_OPTION_REPLY_MAGIC),
        .option = htonl(option),
        .type = htonl(type),
        .length = htonl((uint32_t)size),
    };
    return connection_put(connection, &reply, sizeof reply) &&
           (size == 0 || connection_put(connection, data, size));
}

static bool refuse(struct nbd_connection *connection, uint32_t option, uint32_t type,
                   const char *why)
{
    return answer(connection, option, type, why, strlen(why));
}

static bool acknowledge(struct nbd_connection *connection, uint32_t option)
{
    return answer(connection, option, NBD_REP_ACK, NULL, 0);
}

static bool unknown_export(struct nbd_connection *connection, uint32_t option)
{
    return refuse(connection, option, NBD_REP_ERR_UNKNOWN, "no such export");
}

/* --- options; each returns false to end the connection --- */

static bool export_name(struct nbd_connection *connection, const struct option *option)
{
    char name[NBD_NAME_MAX + 1];
    if (option->size > NBD_NAME_MAX || memchr(option->data, 0, option->size)) {
        return false;
    }
    memcpy(name, option->data, option->size);
    name[option->size] = 0;
    struct nbd_export *export = server_find(connection, name);
    if (!export) {
        return false; /* the protocol has no other answer */
    }
    uint64_t size = htobe64(export->size);
    uint16_t flags = htons(reply_export_flags(connection, export));
    static const uint8_t zeroes[NBD_EXPORT_NAME_ZEROES];
    if (!connection_put(connection, &size, sizeof size) ||
        !connection_put(connection, &flags, sizeof flags) ||
        (!connection->no_zeroes && !connection_put(connection, zeroes, sizeof zeroes))) {
        server_release(connection, export);
        return false;
    }
    connection_move(connection, export);
    return true;
}

static bool abort_option(struct nbd_connection *connection, const struct option *option)
{
    (void)connection;
    (void)option;
    return false; /* an acknowledgement is optional, and the client is leaving */
}

static void list_one(void *cookie, const struct nbd_export *export)
{
    struct nbd_connection *connection = cookie;
    uint8_t data[sizeof(uint32_t) + sizeof export->name];
    uint32_t length = (uint32_t)strlen(export->name), wire = htonl(length);
    memcpy(data, &wire, sizeof wire);
    memcpy(data + sizeof wire, export->name, length);
    answer(connection, NBD_OPT_LIST, NBD_REP_SERVER, data, sizeof wire + length);
}

static bool list(struct nbd_connection *connection, const struct option *option)
{
    if (option->size != 0) {
        return refuse(connection, option->number, NBD_REP_ERR_INVALID, "LIST takes no data");
    }
    server_list(connection, list_one);
    return acknowledge(connection, option->number);
}

static bool start_tls(struct nbd_connection *connection, const struct option *option)
{
    uint32_t refusal = NBD_REP_ERR_INVALID;
    const char *why = "STARTTLS takes no data";
    if (option->size != 0 || !securing_start(connection, &refusal, &why)) {
        return refuse(connection, option->number, refusal, why);
    }
    /* Bytes that came along were sent in the clear by whoever: none of them is looked at. */
    return connection_available(connection) == 0 && acknowledge(connection, option->number);
}

/* All that may be said without TLS where TLS must be. */
static bool tls_first(struct nbd_connection *connection, const struct option *option, bool *done)
{
    struct vios_error why;
    *done = connection->tls && !connection->secure && option->number != NBD_OPT_STARTTLS &&
            option->number != NBD_OPT_ABORT;
    if (!*done) {
        return true;
    }
    error_set(&why, VIOS_E_DENIED, "", NULL, "it does not begin TLS");
    securing_refused(connection, &why);
    return option->number != NBD_OPT_EXPORT_NAME && /* that one has no answer but an export */
           refuse(connection, option->number, NBD_REP_ERR_TLS_REQD, "begin TLS first");
}

static bool structured_reply(struct nbd_connection *connection, const struct option *option)
{
    if (option->size != 0) {
        return refuse(connection, option->number, NBD_REP_ERR_INVALID,
                      "STRUCTURED_REPLY takes no data");
    }
    connection->structured = true;
    return acknowledge(connection, option->number);
}

/* --- INFO and GO --- */

static bool answer_text_info(struct nbd_connection *connection, uint32_t option, uint16_t type,
                             const char *text)
{
    uint8_t data[sizeof type + sizeof((struct nbd_export *)0)->name];
    size_t length = strlen(text);
    uint16_t wire = htons(type);
    memcpy(data, &wire, sizeof wire);
    memcpy(data + sizeof wire, text, length);
    return answer(connection, option, NBD_REP_INFO, data, sizeof wire + length);
}

static bool answer_infos(struct nbd_connection *connection, uint32_t option,
                         const struct nbd_export *export, uint64_t asked)
{
    struct nbd_wire_info_export info = {
        .type = htons(NBD_INFO_EXPORT),
        .size = htobe64(export->size),
        .flags = htons(reply_export_flags(connection, export)),
    };
    struct nbd_wire_info_block_size block = {
        .type = htons(NBD_INFO_BLOCK_SIZE),
        .minimum = htonl(export->minimum_block ? export->minimum_block : 1),
        .preferred = htonl(NBD_BLOCK),
        .maximum = htonl(NBD_REQUEST_MAX),
    };
    bool good = answer(connection, option, NBD_REP_INFO, &info, sizeof info) &&
                answer(connection, option, NBD_REP_INFO, &block, sizeof block);
    if (good && (asked & (1u << NBD_INFO_NAME))) {
        good = answer_text_info(connection, option, NBD_INFO_NAME, export->name);
    }
    if (good && (asked & (1u << NBD_INFO_DESCRIPTION)) && export->description[0]) {
        good = answer_text_info(connection, option, NBD_INFO_DESCRIPTION, export->description);
    }
    return good;
}

static bool take_infos(struct reader *reader, uint64_t *asked)
{
    uint16_t count, info;
    if (!take_u16(reader, &count) || count > INFOS_MAX) {
        return false;
    }
    *asked = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!take_u16(reader, &info)) {
            return false;
        }
        *asked |= info < 64 ? UINT64_C(1) << info : 0;
    }
    return reader->left == 0;
}

static bool info_or_go(struct nbd_connection *connection, const struct option *option)
{
    struct reader reader = {option->data, option->size};
    char name[NBD_NAME_MAX + 1];
    uint64_t asked;
    if (!take_text(&reader, name) || !take_infos(&reader, &asked)) {
        return refuse(connection, option->number, NBD_REP_ERR_INVALID, "the option is malformed");
    }
    struct nbd_export *export = server_find(connection, name);
    if (!export) {
        return unknown_export(connection, option->number);
    }
    bool good = answer_infos(connection, option->number, export, asked) &&
                acknowledge(connection, option->number);
    if (good && option->number == NBD_OPT_GO) {
        connection->meta_chosen =
            connection->meta_export && strcmp(connection->meta_export, name) == 0;
        connection_move(connection, export);
    } else {
        server_release(connection, export);
    }
    return good;
}

/* --- meta contexts: there is one, base:allocation --- */

static bool matches(const char *query, bool listing)
{
    return strcmp(query, NBD_BASE_ALLOCATION) == 0 || (listing && strcmp(query, "base:") == 0);
}

static bool take_queries(struct reader *reader, bool listing, bool *wanted)
{
    uint32_t count;
    char query[NBD_NAME_MAX + 1];
    if (!take_u32(reader, &count) || count > QUERIES_MAX) {
        return false;
    }
    *wanted = listing && count == 0; /* no query at all asks for everything */
    for (uint32_t i = 0; i < count; i++) {
        if (!take_text(reader, query)) {
            return false;
        }
        *wanted = *wanted || matches(query, listing);
    }
    return reader->left == 0;
}

static bool answer_context(struct nbd_connection *connection, uint32_t option)
{
    uint8_t data[sizeof(uint32_t) + sizeof NBD_BASE_ALLOCATION - 1] = {0}; /* context 0 */
    memcpy(data + sizeof(uint32_t), NBD_BASE_ALLOCATION, sizeof NBD_BASE_ALLOCATION - 1);
    return answer(connection, option, NBD_REP_META_CONTEXT, data, sizeof data);
}

static bool meta_context(struct nbd_connection *connection, const struct option *option)
{
    bool listing = option->number == NBD_OPT_LIST_META_CONTEXT, wanted;
    struct reader reader = {option->data, option->size};
    char name[NBD_NAME_MAX + 1];
    if (!listing) {
        free(connection->meta_export); /* a new choice replaces the old, even a failed one */
        connection->meta_export = NULL;
    }
    if (!connection->structured) {
        return refuse(connection, option->number, NBD_REP_ERR_INVALID,
                      "ask for structured replies first");
    }
    if (!take_text(&reader, name) || !take_queries(&reader, listing, &wanted)) {
        return refuse(connection, option->number, NBD_REP_ERR_INVALID, "the option is malformed");
    }
    struct nbd_export *export = server_find(connection, name);
    if (!export) {
        return unknown_export(connection, option->number);
    }
    server_release(connection, export);
    if (wanted && !listing && !(connection->meta_export = strdup(name))) {
        return false;
    }
    return (!wanted || answer_context(connection, option->number)) &&
           acknowledge(connection, option->number);
}

/* --- the loop --- */

static const struct {
    uint32_t number;
    bool (*handle)(struct nbd_connection *connection, const struct option *option);
} OPTIONS[] = {
    {NBD_OPT_EXPORT_NAME, export_name},
    {NBD_OPT_ABORT, abort_option},
    {NBD_OPT_LIST, list},
    {NBD_OPT_STARTTLS, start_tls},
    {NBD_OPT_INFO, info_or_go},
    {NBD_OPT_GO, info_or_go},
    {NBD_OPT_STRUCTURED_REPLY, structured_reply},
    {NBD_OPT_LIST_META_CONTEXT, meta_context},
    {NBD_OPT_SET_META_CONTEXT, meta_context},
};

static bool handle(struct nbd_connection *connection, const struct option *option)
{
    bool done;
    bool good = tls_first(connection, option, &done);
    if (done) {
        return good;
    }
    for (size_t i = 0; i < sizeof OPTIONS / sizeof OPTIONS[0]; i++) {
        if (OPTIONS[i].number == option->number) {
            return OPTIONS[i].handle(connection, option);
        }
    }
    return refuse(connection, option->number, NBD_REP_ERR_UNSUP, "no such option here");
}

bool negotiation_greet(struct nbd_connection *connection)
{
    uint32_t flags;
    if (connection_available(connection) < sizeof flags) {
        return false;
    }
    memcpy(&flags, connection->input + connection->input_start, sizeof flags);
    connection->input_start += sizeof flags;
    flags = ntohl(flags);
    if (flags & ~(NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES)) {
        connection_close(connection);
        return false;
    }
    connection->no_zeroes = flags & NBD_HANDSHAKE_NO_ZEROES;
    state_machine_move(&connection->phase, PHASE_OPTIONS, "greeted");
    return true;
}

bool negotiation_step(struct nbd_connection *connection)
{
    struct nbd_wire_option header;
    if (connection->output_size > 0 || !connection_skip(connection) ||
        connection_available(connection) < sizeof header) {
        return false;
    }
    memcpy(&header, connection->input + connection->input_start, sizeof header);
    struct option option = {.number = ntohl(header.option), .size = ntohl(header.length)};
    bool good = be64toh(header.magic) == NBD_OPTION_MAGIC && option.size <= NBD_SKIP_MAX &&
                connection->options < NBD_OPTIONS_MAX;
    if (good && option.size > NBD_OPTION_SIZE_MAX) {
        connection->skip = sizeof header + option.size;
        good = refuse(connection, option.number, NBD_REP_ERR_TOO_BIG, "the option is too long");
    } else if (good) {
        if (connection_available(connection) < sizeof header + option.size) {
            return false;
        }
        option.data = connection->input + connection->input_start + sizeof header;
        connection->input_start += sizeof header + option.size;
        good = handle(connection, &option);
    }
    connection->options++;
    if (!good) {
        connection_close(connection);
    }
    return good;
}
