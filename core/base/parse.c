/* parse.c - sizes, durations, names, addresses: each checked here and nowhere else. */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define SIZE_LIMIT (UINT64_C(1) << 62)
#define DURATION_LIMIT_MS (INT64_C(366) * 86400 * 1000)

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit SIZE_UNITS[] = {
    {"", 1},
    {"b", 1},
    {"k", INT64_C(1) << 10},
    {"m", INT64_C(1) << 20},
    {"g", INT64_C(1) << 30},
    {"t", INT64_C(1) << 40},
    {"p", INT64_C(1) << 50},
    {NULL, 0},
};

static const struct unit DURATION_UNITS[] = {
    {"ms", 1}, {"", 1000}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static int64_t unit_factor(const struct unit *units, const char *text)
{
    for (; units->name; units++) {
        if (strcasecmp(units->name, text) == 0) {
            return units->factor;
        }
    }
    return 0;
}

/* "2" or "1.5", at most so many digits; `*end` is behind them. */
static bool scan_number(const char *text, const char **end)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19) {
        return false;
    }
    *end = text + digits;
    if (**end == '.') {
        size_t fraction = strspn(*end + 1, "0123456789");
        if (fraction == 0 || fraction > 6) {
            return false;
        }
        *end += 1 + fraction;
    }
    return true;
}

/* That times `factor`, in whole numbers; false when it is above `limit`. */
static bool scale_number(const char *text, int64_t factor, int64_t limit, int64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long whole = strtoull(text, &end, 10);
    int64_t result;
    if (errno || whole > (unsigned long long)limit ||
        __builtin_mul_overflow((int64_t)whole, factor, &result) || result > limit) {
        return false;
    }
    if (*end == '.') {
        __int128 numerator = 0, denominator = 1;
        for (end++; isdigit((unsigned char)*end); end++) {
            numerator = numerator * 10 + (*end - '0');
            denominator *= 10;
        }
        int64_t part = (int64_t)(numerator * factor / denominator);
        if (__builtin_add_overflow(result, part, &result) || result > limit) {
            return false;
        }
    }
    *value = result;
    return true;
}

int parse_size(const char *text, uint64_t *bytes, struct vios_error *error)
{
    const char *end;
    char unit[8] = "";
    int64_t value;
    if (scan_number(text, &end) && strlen(end) < sizeof unit) {
        memcpy(unit, end, strlen(end) + 1);
        size_t length = strlen(unit);
        if (length == 3 && strcasecmp(unit + 1, "ib") == 0) {
            unit[1] = '\0';
        }
        int64_t factor = unit_factor(SIZE_UNITS, unit);
        if (factor && scale_number(text, factor, (int64_t)SIZE_LIMIT, &value)) {
            *bytes = (uint64_t)value;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, NULL, "give bytes, or a number with K, M, G or T",
                     "\"%.60s\" is not a size", text);
}

char *size_format(uint64_t bytes, char text[PARSE_SIZE_TEXT])
{
    static const char *const UNITS[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t rest = 0; /* 1024ths of the unit */
    while (bytes >= 1024) {
        rest = bytes % 1024;
        bytes /= 1024;
        unit++;
    }
    if (rest * 10 / 1024 > 0) {
        snprintf(text, PARSE_SIZE_TEXT, "%llu.%llu %s", (unsigned long long)bytes,
                 (unsigned long long)(rest * 10 / 1024), UNITS[unit]);
    } else {
        snprintf(text, PARSE_SIZE_TEXT, "%llu %s", (unsigned long long)bytes, UNITS[unit]);
    }
    return text;
}

int parse_duration(const char *text, int64_t *ms, struct vios_error *error)
{
    const char *end;
    int64_t value;
    if (scan_number(text, &end)) {
        int64_t factor = unit_factor(DURATION_UNITS, end);
        if (factor && scale_number(text, factor, DURATION_LIMIT_MS, &value)) {
            *ms = value;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, NULL, "give seconds, or a number with ms, s, m, h or d",
                     "\"%.60s\" is not a duration", text);
}

int parse_integer(const char *text, int64_t minimum, int64_t maximum, int64_t *value,
                  struct vios_error *error)
{
    char *end;
    char hint[80];
    errno = 0;
    long long number = strtoll(text, &end, 10);
    bool clean = *text == '-' ? isdigit((unsigned char)text[1]) : isdigit((unsigned char)*text);
    if (clean && *end == '\0' && !errno && number >= minimum && number <= maximum) {
        *value = number;
        return VIOS_OK;
    }
    snprintf(hint, sizeof hint, "give a whole number from %lld to %lld", (long long)minimum,
             (long long)maximum);
    return error_set(error, VIOS_E_USAGE, NULL, hint, "\"%.60s\" is not such a number", text);
}

int parse_boolean(const char *text, bool *value, struct vios_error *error)
{
    static const char *const TRUE_WORDS[] = {"yes", "true", "on", "1"};
    static const char *const FALSE_WORDS[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, TRUE_WORDS[i]) == 0) {
            *value = true;
            return VIOS_OK;
        }
        if (strcasecmp(text, FALSE_WORDS[i]) == 0) {
            *value = false;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, NULL, "give yes or no", "\"%.60s\" is neither", text);
}

int parse_name(const char *text, const char *what, struct vios_error *error)
{
    size_t length = strlen(text);
    bool good = length >= 1 && length <= NAME_MAX_LENGTH && isalnum((unsigned char)text[0]);
    for (size_t i = 0; good && i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        good = byte < 0x80 && (isalnum(byte) || byte == '.' || byte == '_' || byte == '-');
    }
    if (good) {
        return VIOS_OK;
    }
    return error_set(error, VIOS_E_USAGE, NULL,
                     "1 to 63 letters, digits, dots, underscores or dashes, the first a letter "
                     "or digit",
                     "\"%.70s\" is no name for %s", text, what);
}

int parse_uuid(const char *text, struct vios_error *error)
{
    bool good = strlen(text) == UUID_TEXT_SIZE - 1;
    for (size_t i = 0; good && i < UUID_TEXT_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        good = dash ? text[i] == '-' : strchr("0123456789abcdef", text[i]) != NULL;
    }
    return good ? VIOS_OK
                : error_set(error, VIOS_E_USAGE, NULL, "give 8-4-4-4-12 lower-case hex digits",
                            "\"%.60s\" is not a UUID", text);
}

int parse_mac(const char *text, char mac[18], struct vios_error *error)
{
    bool good = strlen(text) == 17;
    for (size_t i = 0; good && i < 17; i++) {
        good = i % 3 == 2 ? text[i] == ':' : isxdigit((unsigned char)text[i]) != 0;
    }
    good = good && strtol((char[]){text[0], text[1], '\0'}, NULL, 16) % 2 == 0;
    if (!good) {
        return error_set(error, VIOS_E_USAGE, NULL, "for example 52:54:00:12:34:56",
                         "\"%.60s\" is not a unicast MAC address", text);
    }
    for (size_t i = 0; i <= 17; i++) {
        mac[i] = (char)tolower((unsigned char)text[i]);
    }
    return VIOS_OK;
}

void uuid_make(char text[UUID_TEXT_SIZE])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        abort(); /* the kernel never gives less than 256 bytes short */
    }
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    size_t used = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        used += (size_t)snprintf(text + used, UUID_TEXT_SIZE - used, "%s%02x", dash ? "-" : "",
                                 bytes[i]);
    }
}

/* --- nearest names --- */

#define DISTANCE_TEXT_MAX 63
#define HINT_NAMES 3

/* Levenshtein distance, over at most DISTANCE_TEXT_MAX bytes of each. */
static size_t distance(const char *a, const char *b)
{
    size_t row[DISTANCE_TEXT_MAX + 1];
    size_t a_length = strnlen(a, DISTANCE_TEXT_MAX), b_length = strnlen(b, DISTANCE_TEXT_MAX);
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b_length];
}

/* Near: a third of the letters wrong at most, or one the beginning of the other. */
static bool is_near(const char *text, const char *name, size_t *score)
{
    size_t length = strlen(text);
    *score = distance(text, name);
    if (length > 0 && strncmp(text, name, length) == 0) {
        *score = 0;
        return true;
    }
    return *score <= (length + 2) / 3;
}

void parse_nearest(const char *text, const char *const *names, size_t count, size_t most, char *out,
                   size_t out_size)
{
    size_t used = 0, given = 0;
    out[0] = '\0';
    for (size_t wanted = 0; wanted <= DISTANCE_TEXT_MAX && given < most; wanted++) {
        for (size_t i = 0; i < count && given < most; i++) {
            size_t score;
            if (!is_near(text, names[i], &score) || score != wanted) {
                continue;
            }
            int length =
                snprintf(out + used, out_size - used, "%s\"%s\"", given ? ", " : "", names[i]);
            if ((size_t)length >= out_size - used) {
                out[used] = '\0';
                return;
            }
            used += (size_t)length;
            given++;
        }
    }
}

void parse_hint(const char *text, const char *const *names, size_t count, const char *otherwise,
                char *hint, size_t hint_size)
{
    char near[HINT_NAMES * (NAME_MAX_LENGTH + 4)];
    parse_nearest(text, names, count, HINT_NAMES, near, sizeof near);
    if (near[0]) {
        snprintf(hint, hint_size, "did you mean %s?", near);
    } else {
        snprintf(hint, hint_size, "%s", otherwise);
    }
}
