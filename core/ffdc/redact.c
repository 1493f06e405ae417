/* redact.c - see redact.h. The text is looked at once, from left to right, wherever a word
 * begins. */
#include "ffdc/redact.h"

#include "base/json.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LPAR_KEY "{\"key\":\"/lpar/"
#define ADDRESS_MAX 64
#define MAC_LENGTH 17

struct redactor {
    json_t *seen; /* "address:192.0.2.1" -> 3 */
    json_t *names;
    json_int_t last[3];
};

enum kind { ADDRESS, GUEST, HEX };
static const char *const KINDS[] = {"address", "guest", "hex"};

struct output {
    char *text;
    size_t size, room;
};

struct redactor *redactor_new(void)
{
    struct redactor *redactor = calloc(1, sizeof *redactor);
    if (redactor) {
        redactor->seen = json_object();
        redactor->names = json_object();
    }
    return redactor;
}

void redactor_free(struct redactor *redactor)
{
    if (redactor) {
        json_decref(redactor->seen);
        json_decref(redactor->names);
        free(redactor);
    }
}

void redactor_add_name(struct redactor *redactor, const char *name)
{
    if (parse_name(name, "lpar", NULL) == VIOS_OK &&
        json_object_size(redactor->names) < REDACT_NAMES_MAX) {
        json_object_set_new(redactor->names, name, json_true());
    }
}

void redactor_add_records(struct redactor *redactor, const char *text)
{
    while ((text = strstr(text, LPAR_KEY)) != NULL) {
        char name[NAME_MAX_LENGTH + 2];
        text += strlen(LPAR_KEY);
        snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "\"/"), text);
        redactor_add_name(redactor, name);
    }
}

/* --- what begins here: its length, or 0 --- */

static size_t span(const char *text, const char *end, const char *accepted)
{
    size_t length = 0;
    while (text + length < end && text[length] && strchr(accepted, text[length])) {
        length++;
    }
    return length;
}

#define HEX_DIGITS "0123456789abcdefABCDEF"

static bool is_address(const char *text, size_t length, int family)
{
    char copy[ADDRESS_MAX];
    struct in6_addr address;
    if (length == 0 || length >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    return inet_pton(family, copy, &address) == 1;
}

static size_t find_ipv4(const char *text, const char *end)
{
    size_t length = span(text, end, "0123456789.");
    while (length > 0 && text[length - 1] == '.') { /* of a sentence */
        length--;
    }
    return is_address(text, length, AF_INET) ? length : 0;
}

static size_t find_ipv6(const char *text, const char *end)
{
    size_t length = span(text, end, HEX_DIGITS ":.");
    while (length > 0 && !is_address(text, length, AF_INET6)) {
        length = text[length - 1] == ':' || text[length - 1] == '.' ? length - 1 : 0;
    }
    return length;
}

static size_t find_mac(const char *text, const char *end)
{
    if (end - text < MAC_LENGTH) {
        return 0;
    }
    for (size_t i = 0; i < MAC_LENGTH; i++) {
        bool good = i % 3 == 2 ? text[i] == ':' : isxdigit((unsigned char)text[i]) != 0;
        if (!good) {
            return 0;
        }
    }
    return text + MAC_LENGTH < end &&
                   (isalnum((unsigned char)text[MAC_LENGTH]) || text[MAC_LENGTH] == ':')
               ? 0
               : MAC_LENGTH;
}

/* "0100007F:1F90", the address only. */
static size_t find_proc(const char *text, const char *end)
{
    size_t length = span(text, end, "0123456789ABCDEF");
    if ((length != 8 && length != 32) || text + length >= end || text[length] != ':') {
        return 0;
    }
    return span(text + length + 1, end, "0123456789ABCDEF") == 4 ? length : 0;
}

static size_t find_hex(const char *text, const char *end)
{
    size_t length = span(text, end, HEX_DIGITS);
    return length >= REDACT_HEX_MIN ? length : 0;
}

/* The longest name that ends where a word may end: of "web1-disk0" the guest's is "web1". */
static size_t find_name(const struct redactor *redactor, const char *text, const char *end)
{
    char word[NAME_MAX_LENGTH + 1];
    size_t length = 0;
    while (length < NAME_MAX_LENGTH && text + length < end &&
           (isalnum((unsigned char)text[length]) || strchr("._-", text[length])) && text[length]) {
        length++;
    }
    for (; length > 0; length--) {
        bool may_end = text + length == end || !isalnum((unsigned char)text[length]);
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        if (may_end && json_object_get(redactor->names, word)) {
            return length;
        }
    }
    return 0;
}

static size_t find(const struct redactor *redactor, const char *text, const char *end,
                   enum kind *kind)
{
    size_t length = find_mac(text, end);
    *kind = ADDRESS;
    length = length ? length : find_proc(text, end);
    length = length ? length : find_ipv4(text, end);
    length = length ? length : find_ipv6(text, end);
    if (!length) {
        *kind = HEX;
        length = find_hex(text, end);
    }
    if (!length) {
        *kind = GUEST;
        length = find_name(redactor, text, end);
    }
    return length;
}

/* --- writing --- */

static bool put(struct output *output, const char *text, size_t size)
{
    if (output->size + size + 1 > output->room) {
        size_t room = (output->size + size + 1) * 2;
        char *more = realloc(output->text, room);
        if (!more) {
            return false;
        }
        output->text = more;
        output->room = room;
    }
    memcpy(output->text + output->size, text, size);
    output->size += size;
    output->text[output->size] = 0;
    return true;
}

static bool put_alias(struct redactor *redactor, enum kind kind, const char *text, size_t length,
                      struct output *output)
{
    char shown[64];
    char *key = malloc(length + 16);
    if (!key) {
        return false;
    }
    snprintf(key, length + 16, "%s:%.*s", KINDS[kind], (int)length, text);
    json_int_t number = json_get_integer(redactor->seen, key);
    if (number == 0) {
        number = ++redactor->last[kind];
        json_object_set_new(redactor->seen, key, json_integer(number));
    }
    free(key);
    int size = snprintf(shown, sizeof shown, "%s-%lld", KINDS[kind], (long long)number);
    return put(output, shown, (size_t)size);
}

int redactor_run(struct redactor *redactor, const char *text, size_t size, char **out,
                 size_t *out_size, struct vios_error *error)
{
    struct output output = {0};
    const char *end = text + size;
    bool good = put(&output, "", 0), begins = true;
    while (good && text < end) {
        enum kind kind;
        size_t length = begins ? find(redactor, text, end, &kind) : 0;
        if (length > 0) {
            good = put_alias(redactor, kind, text, length, &output);
            begins = false; /* a word goes on as it is behind what was replaced */
        } else {
            length = 1;
            good = put(&output, text, 1);
            begins = !isalnum((unsigned char)*text);
        }
        text += length;
    }
    if (!good) {
        free(output.text);
        return error_no_memory(error, "bundle");
    }
    *out = output.text;
    *out_size = output.size;
    return VIOS_OK;
}
