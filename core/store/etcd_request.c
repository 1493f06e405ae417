/*
 * etcd_request.c - the bodies of requests: see etcd_json.h.
 */
#include "store/etcd_json.h"

#include "base/json.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 3072 /* bytes encoded at once; a multiple of 3, so that only the last is padded */

struct text {
    FILE *file;
    char *bytes;
    size_t size;
};

static bool text_open(struct text *text)
{
    memset(text, 0, sizeof *text);
    text->file = open_memstream(&text->bytes, &text->size);
    return text->file != NULL;
}

static char *text_close(struct text *text)
{
    if (fclose(text->file) != 0) {
        free(text->bytes);
        return NULL;
    }
    return text->bytes;
}

/* `"NAME":"<base64 of a and b and c>"` */
static void put_bytes(struct text *text, const char *name, const char *a, const char *b,
                      const char *c)
{
    unsigned char raw[PIECE];
    unsigned char encoded[PIECE / 3 * 4 + 1];
    const char *const parts[] = {a, b, c};
    size_t filled = 0;
    fprintf(text->file, "\"%s\":\"", name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (size_t left = strlen(parts[i]), at = 0; left > 0;) {
            size_t count = left < PIECE - filled ? left : PIECE - filled;
            memcpy(raw + filled, parts[i] + at, count);
            filled += count;
            at += count;
            left -= count;
            if (filled == PIECE) {
                int length = EVP_EncodeBlock(encoded, raw, PIECE);
                fwrite(encoded, 1, (size_t)length, text->file);
                filled = 0;
            }
        }
    }
    int length = EVP_EncodeBlock(encoded, raw, (int)filled);
    fwrite(encoded, 1, (size_t)length, text->file);
    fputc('"', text->file);
}

/* The first key behind all that begin with `space` and `prefix`. */
static void put_range_end(struct text *text, const char *space, const char *prefix)
{
    char end[ETCD_SPACE_MAX + STORE_KEY_MAX + 1];
    int length = snprintf(end, sizeof end, "%s%s", space, prefix);
    assert(length > 0 && length < (int)sizeof end);
    end[length - 1]++; /* no byte of a key is above 0x7e */
    fputc(',', text->file);
    put_bytes(text, "range_end", end, "", "");
}

static void put_range(struct text *text, const struct etcd_range *range)
{
    fputc('{', text->file);
    if (range->after) {
        /* the smallest byte a key can have: nothing lies between a key and this one */
        put_bytes(text, "key", range->space, range->after, "!");
    } else {
        put_bytes(text, "key", range->space, range->key, "");
    }
    if (range->prefix) {
        put_range_end(text, range->space, range->key);
    }
    if (range->revision) {
        fprintf(text->file, ",\"revision\":\"%lld\"", (long long)range->revision);
    }
    if (range->max_mod_revision) {
        fprintf(text->file, ",\"max_mod_revision\":\"%lld\"", (long long)range->max_mod_revision);
    }
    if (range->limit) {
        fprintf(text->file, ",\"limit\":\"%u\"", range->limit);
    }
    fprintf(text->file, "%s}", range->keys_only ? ",\"keys_only\":true" : "");
}

char *etcd_json_range(const struct etcd_range *range)
{
    struct text text;
    if (!text_open(&text)) {
        return NULL;
    }
    put_range(&text, range);
    return text_close(&text);
}

char *etcd_json_ranges(const struct etcd_range *ranges, size_t count)
{
    struct text text;
    if (!text_open(&text)) {
        return NULL;
    }
    fputs("{\"success\":[", text.file);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ",{\"request_range\":" : "{\"request_range\":", text.file);
        put_range(&text, &ranges[i]);
        fputc('}', text.file);
    }
    fputs("]}", text.file);
    return text_close(&text);
}

static void put_mod_compare(struct text *text, const char *a, const char *b, int64_t revision)
{
    fputc('{', text->file);
    put_bytes(text, "key", a, b, "");
    fprintf(text->file, ",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":\"%lld\"}",
            (long long)revision);
}

static void put_compare(struct text *text, const char *space, const struct store_compare *compare)
{
    if (compare->kind == STORE_REVISION_IS) {
        /* etcd takes an absent key for one of revision 0; no key has revision -1 */
        put_mod_compare(text, space, compare->key, compare->revision > 0 ? compare->revision : -1);
        return;
    }
    fputc('{', text->file);
    put_bytes(text, "key", space, compare->key, "");
    fprintf(text->file, ",\"target\":\"CREATE\",\"result\":\"%s\",\"create_revision\":\"0\"}",
            compare->kind == STORE_ABSENT ? "EQUAL" : "GREATER");
}

static void put_put(struct text *text, const char *a, const char *b, const char *value)
{
    fputs("{\"request_put\":{", text->file);
    put_bytes(text, "key", a, b, "");
    fputc(',', text->file);
    put_bytes(text, "value", value, "", "");
    fputs("}}", text->file);
}

static void put_look(struct text *text, const char *a, const char *b, bool keys_only)
{
    fputs("{\"request_range\":{", text->file);
    put_bytes(text, "key", a, b, "");
    fprintf(text->file, "%s}}", keys_only ? ",\"keys_only\":true" : "");
}

static void put_remove(struct text *text, const char *a, const char *b)
{
    fputs("{\"request_delete_range\":{", text->file);
    put_bytes(text, "key", a, b, "");
    fputs("}}", text->file);
}

static void put_compares(struct text *text, const struct etcd_txn *txn)
{
    const char *comma = "";
    fputs("{\"compare\":[", text->file);
    if (txn->mark_key) {
        put_mod_compare(text, txn->mark_key, "", txn->mark_revision);
        comma = ",";
    }
    for (size_t i = 0; i < txn->compare_count; i++) {
        fputs(comma, text->file);
        put_compare(text, txn->space, &txn->compares[i]);
        comma = ",";
    }
}

static void put_success(struct text *text, const struct etcd_txn *txn)
{
    const char *comma = "";
    fputs("],\"success\":[", text->file);
    if (txn->mark_key) {
        put_put(text, txn->mark_key, "", txn->mark_done);
        comma = ",";
    } else if (txn->change_count == 0) {
        put_look(text, txn->space, "", true); /* or etcd would not ask the leader */
    }
    for (size_t i = 0; i < txn->change_count; i++) {
        fputs(comma, text->file);
        if (txn->changes[i].json) {
            put_put(text, txn->space, txn->changes[i].key, txn->changes[i].json);
        } else {
            put_remove(text, txn->space, txn->changes[i].key);
        }
        comma = ",";
    }
    fputc(']', text->file);
}

/* The looks come before the mark is changed, so that they see it as it was. */
static void put_failure(struct text *text, const struct etcd_txn *txn)
{
    const char *comma = "";
    fputs(",\"failure\":[", text->file);
    if (txn->mark_key) {
        put_look(text, txn->mark_key, "", false);
        comma = ",";
    }
    for (size_t i = 0; i < txn->compare_count; i++) {
        fputs(comma, text->file);
        put_look(text, txn->space, txn->compares[i].key, true);
        comma = ",";
    }
    if (txn->mark_void) {
        fprintf(text->file, "%s{\"request_txn\":{\"compare\":[", comma);
        put_mod_compare(text, txn->mark_key, "", txn->mark_revision);
        fputs("],\"success\":[", text->file);
        put_put(text, txn->mark_key, "", txn->mark_void);
        fputs("]}}", text->file);
    }
    fputs("]", text->file);
}

char *etcd_json_txn(const struct etcd_txn *txn)
{
    struct text text;
    if (!text_open(&text)) {
        return NULL;
    }
    put_compares(&text, txn);
    put_success(&text, txn);
    if (txn->look) {
        put_failure(&text, txn);
    }
    fputc('}', text.file);
    return text_close(&text);
}

char *etcd_json_make(const char *key, const char *value)
{
    const struct store_compare absent = {STORE_ABSENT, key, 0};
    struct text text;
    if (!text_open(&text)) {
        return NULL;
    }
    fputs("{\"compare\":[", text.file);
    put_compare(&text, "", &absent);
    fputs("],\"success\":[", text.file);
    put_put(&text, key, "", value);
    fputs("]}", text.file);
    return text_close(&text);
}

char *etcd_json_remove(const char *key, int64_t revision)
{
    struct text text;
    if (!text_open(&text)) {
        return NULL;
    }
    fputs("{\"compare\":[", text.file);
    put_mod_compare(&text, key, "", revision);
    fputs("],\"success\":[", text.file);
    put_remove(&text, key, "");
    fputs("]}", text.file);
    return text_close(&text);
}

char *etcd_json_watch(const char *space, const char *prefix, int64_t start_revision)
{
    struct text text;
    if (!text_open(&text)) {
        return NULL;
    }
    fputs("{\"create_request\":{", text.file);
    put_bytes(&text, "key", space, prefix, "");
    put_range_end(&text, space, prefix);
    fprintf(text.file, ",\"start_revision\":\"%lld\",\"progress_notify\":true}}",
            (long long)start_revision);
    return text_close(&text);
}

char *etcd_json_compaction(int64_t revision)
{
    char *body = NULL;
    return asprintf(&body, "{\"revision\":\"%lld\"}", (long long)revision) < 0 ? NULL : body;
}

char *etcd_json_authenticate(const char *user, const char *password)
{
    json_t *json = json_pack("{s:s, s:s}", "name", user, "password", password);
    return json_into_text(json);
}
