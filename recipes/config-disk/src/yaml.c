/* What is read: mappings and lists in blocks and in flow, plain and quoted scalars of several lines, literal and
 * folded blocks, remarks, one document. What is refused: anchors and aliases, tags, directives, keys that are no
 * scalars or are there twice, tabs as indentation. Scalars come out as PyYAML's, which the tests hold it against. */
#include "yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 40 };

struct reader {
    const char *text, *at, *end;
    const char *row; /* where the line begins that `at` is in */
    int line, depth;
    char *error;
    size_t room;
    jmp_buf give_up;
};

struct buffer {
    char *text;
    size_t size, room;
};

void *must_alloc(size_t size)
{
    void *made = calloc(1, size ? size : 1);
    if (!made) {
        fputs("no memory\n", stderr);
        exit(3);
    }
    return made;
}

static void put(struct buffer *out, const char *text, size_t size)
{
    if (out->size + size + 1 > out->room) {
        out->room = (out->size + size + 1) * 2;
        out->text = realloc(out->text, out->room);
        if (!out->text) {
            fputs("no memory\n", stderr);
            exit(3);
        }
    }
    memcpy(out->text + out->size, text, size);
    out->size += size;
    out->text[out->size] = 0;
}

static _Noreturn void fail(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->error, r->room, format, args);
    va_end(args);
    longjmp(r->give_up, 1);
}

static struct node *new_node(enum kind kind, int line)
{
    struct node *made = must_alloc(sizeof *made);
    made->kind = kind;
    made->line = line;
    return made;
}

static struct node *scalar(struct buffer *text, bool plain, int line)
{
    struct node *made = new_node(SCALAR, line);
    put(text, "", 0);
    made->text = text->text;
    made->plain = plain;
    return made;
}

static struct node *nothing(int line)
{
    struct buffer empty = {0};
    return scalar(&empty, true, line);
}

/* -- characters --------------------------------------------------------------------------------- */

static char peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->end ? r->at[ahead] : 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool ends_word(char c) { return is_blank(c) || c == '\n' || c == 0; }
static int column(const struct reader *r) { return (int)(r->at - r->row); }

static void newline(struct reader *r)
{
    r->at++;
    r->row = r->at;
    r->line++;
}

/* --- and ... at the beginning of a line. */
static bool at_marker(const struct reader *r)
{
    return r->at == r->row && r->end - r->at >= 3 && ends_word(peek(r, 3)) &&
           (!memcmp(r->at, "---", 3) || !memcmp(r->at, "...", 3));
}

/* Goes to the next thing that is no blank and no remark; returns its column, or -1 at the end. */
static int next_thing(struct reader *r)
{
    for (;;) {
        bool tab = false;
        bool begin = r->at == r->row || is_blank(r->at[-1]);
        const char *from = r->at;
        while (is_blank(peek(r, 0))) {
            tab = tab || (peek(r, 0) == '\t' && from == r->row);
            r->at++;
            begin = true;
        }
        if (tab) fail(r, "a tab cannot be indentation");
        if (peek(r, 0) == '#' && begin)
            while (peek(r, 0) && peek(r, 0) != '\n') r->at++;
        if (peek(r, 0) == '\n') {
            newline(r);
            if (at_marker(r)) return -1;
            continue;
        }
        if (!peek(r, 0) || at_marker(r)) return -1;
        return column(r);
    }
}

/* Behind a value nothing but blanks and a remark may follow in its line. */
static void end_of_line(struct reader *r)
{
    const char *from = r->at;
    while (is_blank(peek(r, 0))) r->at++;
    if (peek(r, 0) == '#' && r->at > from)
        while (peek(r, 0) && peek(r, 0) != '\n') r->at++;
    if (peek(r, 0) == ':') fail(r, "a mapping cannot be here; does a text with a colon need quotes?");
    if (peek(r, 0) && peek(r, 0) != '\n') fail(r, "'%c' was not expected here", peek(r, 0));
}

/* -- scalars ------------------------------------------------------------------------------------ */

/* Line breaks of a folded text: one is a blank, of more the first is left out. */
static void fold(struct buffer *out, int breaks)
{
    if (breaks == 1) put(out, " ", 1);
    for (int i = 1; i < breaks; i++) put(out, "\n", 1);
}

static bool plain_ends(const struct reader *r, size_t at, bool flow)
{
    char c = peek(r, at), then = peek(r, at + 1);
    if (ends_word(c)) return true;
    if (c == ':' && (ends_word(then) || (flow && strchr(",[]{}", then)))) return true;
    return flow && strchr(",?[]{}", c);
}

static struct node *plain(struct reader *r, int least, bool flow)
{
    struct buffer out = {0};
    int line = r->line;
    for (;;) {
        size_t length = 0;
        if (peek(r, 0) == '#') break;
        while (!plain_ends(r, length, flow)) length++;
        if (!length) break;
        put(&out, r->at, length);
        r->at += length;
        const char *blanks = r->at;
        while (is_blank(peek(r, 0))) r->at++;
        if (peek(r, 0) != '\n') {
            if (r->at == blanks) break;
            char c = peek(r, 0);
            /* A remark, or what ends the scalar: the blanks are not part of it. */
            if (c == '#' || plain_ends(r, 0, flow)) {
                r->at = blanks;
                break;
            }
            put(&out, blanks, (size_t)(r->at - blanks));
            continue;
        }
        struct reader before = *r;
        int breaks = 0;
        while (peek(r, 0) == '\n') {
            newline(r);
            breaks++;
            if (at_marker(r)) break;
            while (peek(r, 0) == ' ') r->at++;
        }
        if (!peek(r, 0) || at_marker(r) || peek(r, 0) == '#' || (!flow && column(r) < least) || plain_ends(r, 0, flow)) {
            r->at = before.at;
            r->row = before.row;
            r->line = before.line;
            break;
        }
        fold(&out, breaks);
    }
    return scalar(&out, true, line);
}

static void put_code(struct buffer *out, uint32_t code)
{
    char text[4];
    if (code < 0x80) {
        text[0] = (char)code;
        put(out, text, 1);
    } else if (code < 0x800) {
        text[0] = (char)(0xc0 | code >> 6);
        text[1] = (char)(0x80 | (code & 0x3f));
        put(out, text, 2);
    } else if (code < 0x10000) {
        text[0] = (char)(0xe0 | code >> 12);
        text[1] = (char)(0x80 | (code >> 6 & 0x3f));
        text[2] = (char)(0x80 | (code & 0x3f));
        put(out, text, 3);
    } else {
        text[0] = (char)(0xf0 | code >> 18);
        text[1] = (char)(0x80 | (code >> 12 & 0x3f));
        text[2] = (char)(0x80 | (code >> 6 & 0x3f));
        text[3] = (char)(0x80 | (code & 0x3f));
        put(out, text, 4);
    }
}

static void hexadecimal(struct reader *r, struct buffer *out, int digits)
{
    uint32_t code = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        char c = peek(r, 0);
        const char *digit = c ? strchr("0123456789abcdef", c | 0x20) : NULL;
        if (!digit || (c < '0') || (c > '9' && (c | 0x20) < 'a')) fail(r, "a character's number has %d digits", digits);
        code = code << 4 | (uint32_t)(digit - "0123456789abcdef");
    }
    if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) fail(r, "there is no such character");
    put_code(out, code);
}

static void escaped(struct reader *r, struct buffer *out)
{
    static const char names[] = "abtnvfre\"/\\ \t", meant[] = "\a\b\t\n\v\f\r\033\"/\\ \t";
    char c = peek(r, 0);
    const char *known = c ? strchr(names, c) : NULL;
    r->at += c != 0;
    if (known)
        put(out, &meant[known - names], 1);
    else if (c == 'x')
        hexadecimal(r, out, 2);
    else if (c == 'u')
        hexadecimal(r, out, 4);
    else if (c == 'U')
        hexadecimal(r, out, 8);
    else if (c == 'N')
        put_code(out, 0x85);
    else if (c == '_')
        put_code(out, 0xa0);
    else if (c == 'L')
        put_code(out, 0x2028);
    else if (c == 'P')
        put_code(out, 0x2029);
    else
        fail(r, "\\%c means nothing between double quotes", c ? c : ' ');
}

static int breaks_within(struct reader *r)
{
    int breaks = 0;
    while (peek(r, 0) == '\n') {
        newline(r);
        if (at_marker(r)) fail(r, "the quotes are not closed before the end of the document");
        breaks++;
        while (is_blank(peek(r, 0))) r->at++;
    }
    return breaks;
}

static struct node *quoted(struct reader *r)
{
    struct buffer out = {0};
    int line = r->line;
    char quote = *r->at++;
    for (;;) {
        char c = peek(r, 0);
        if (!c) {
            r->line = line;
            fail(r, "the quotes are not closed");
        }
        if (c == quote && quote == '\'' && peek(r, 1) == '\'') {
            put(&out, "'", 1);
            r->at += 2;
        } else if (c == quote) {
            r->at++;
            return scalar(&out, false, line);
        } else if (c == '\\' && quote == '"') {
            r->at++;
            if (peek(r, 0) == '\n') {
                int breaks = breaks_within(r);
                for (int i = 1; i < breaks; i++) put(&out, "\n", 1);
            } else {
                escaped(r, &out);
            }
        } else if (is_blank(c) || c == '\n') {
            const char *blanks = r->at;
            while (is_blank(peek(r, 0))) r->at++;
            if (peek(r, 0) == '\n')
                fold(&out, breaks_within(r));
            else
                put(&out, blanks, (size_t)(r->at - blanks));
        } else {
            put(&out, &c, 1);
            r->at++;
        }
    }
}

/* Goes over empty lines of a block, at most to its indentation; returns how many there were. */
static int block_breaks(struct reader *r, int indent)
{
    int breaks = 0;
    for (;;) {
        while (column(r) < indent && peek(r, 0) == ' ') r->at++;
        if (peek(r, 0) != '\n') return breaks;
        newline(r);
        breaks++;
    }
}

/* The indentation of a block is that of its first line. */
static int block_indent(struct reader *r, int least)
{
    struct reader before = *r;
    int deepest = 0, found;
    for (;;) {
        while (peek(r, 0) == ' ') r->at++;
        if (column(r) > deepest) deepest = column(r);
        found = column(r);
        if (peek(r, 0) != '\n') break;
        newline(r);
    }
    if (deepest > found && peek(r, 0) && found >= least) fail(r, "an empty line of a block has more blanks than its first line");
    r->at = before.at;
    r->row = before.row;
    r->line = before.line;
    return deepest > least ? deepest : least;
}

static struct node *block(struct reader *r, int parent)
{
    struct buffer out = {0};
    int line = r->line, more = 0, breaks;
    bool folded = *r->at++ == '>';
    char chomp = 0;
    for (;; r->at++) {
        char c = peek(r, 0);
        if ((c == '+' || c == '-') && !chomp)
            chomp = c;
        else if (c >= '1' && c <= '9' && !more)
            more = c - '0';
        else
            break;
    }
    end_of_line(r);
    if (peek(r, 0) == '\n') newline(r);
    int least = parent + 1 < 1 ? 1 : parent + 1;
    int indent = more ? least + more - 1 : block_indent(r, least);
    bool any = false;
    breaks = block_breaks(r, indent);
    while (column(r) == indent && peek(r, 0)) {
        for (; breaks; breaks--) put(&out, "\n", 1);
        bool text = !is_blank(peek(r, 0));
        const char *from = r->at;
        while (peek(r, 0) && peek(r, 0) != '\n') r->at++;
        put(&out, from, (size_t)(r->at - from));
        any = peek(r, 0) == '\n';
        if (any) newline(r);
        breaks = block_breaks(r, indent);
        if (column(r) != indent || !peek(r, 0)) break;
        if (!folded || !text || is_blank(peek(r, 0)))
            put(&out, "\n", 1);
        else if (!breaks)
            put(&out, " ", 1);
    }
    if (any && chomp != '-') put(&out, "\n", 1);
    if (chomp == '+')
        for (; breaks; breaks--) put(&out, "\n", 1);
    return scalar(&out, false, line);
}

/* -- collections -------------------------------------------------------------------------------- */

/* More than anybody writes; each key is compared with all before it. */
enum { MOST_KEYS = 1000 };

static struct node *thing(struct reader *r, int parent);

static void append(struct reader *r, struct node *whole, struct node ***last, struct node *key, struct node *value)
{
    if (key) {
        int count = 0;
        for (struct node *one = whole->first; one; one = one->next, count++) {
            if (strcmp(one->key->text, key->text)) continue;
            r->line = key->line;
            fail(r, "%.60s is there twice, also in line %d", key->text, one->key->line);
        }
        if (count == MOST_KEYS) fail(r, "a mapping of more than %d keys", MOST_KEYS);
        if (!strcmp(key->text, "<<") && key->plain) fail(r, "<< is not supported: write it out");
        /* The same node may not be in two places: keys are its own. */
        value->key = key;
    }
    **last = value;
    *last = &value->next;
}

static void refuse_start(struct reader *r)
{
    char c = peek(r, 0);
    if (c == '&' || c == '*') fail(r, "anchors and aliases (& and *) are not supported: write it out, or in quotes");
    if (c == '!') fail(r, "tags (!) are not supported");
    if (c == '%' || c == '@' || c == '`') fail(r, "a text that begins with %c needs quotes", c);
}

static struct node *flow(struct reader *r);

static struct node *flow_value(struct reader *r)
{
    char c = peek(r, 0);
    refuse_start(r);
    if (c == '"' || c == '\'') return quoted(r);
    if (c == '[' || c == '{') return flow(r);
    if (c == '|' || c == '>' || c == '#' || c == 0) fail(r, "a list or mapping in brackets goes on where it cannot");
    if ((c == '-' || c == '?' || c == ':') && (ends_word(peek(r, 1)) || c != '-')) fail(r, "'%c' was not expected here", c);
    return plain(r, 0, true);
}

static struct node *flow(struct reader *r)
{
    char open = *r->at++, close = open == '[' ? ']' : '}';
    struct node *whole = new_node(open == '[' ? SEQ : MAP, r->line), **last = &whole->first;
    int line = r->line;
    if (++r->depth > DEEPEST) fail(r, "nested too deep");
    for (;;) {
        if (next_thing(r) < 0) {
            r->line = line;
            fail(r, "%c is not closed", open);
        }
        if (peek(r, 0) == close) break;
        if (peek(r, 0) == ',') fail(r, "a comma was not expected here");
        struct node *key = NULL, *value = flow_value(r);
        int seen = next_thing(r);
        if (seen >= 0 && peek(r, 0) == ':') {
            if (open == '[') fail(r, "a pair in a list needs braces");
            if (value->kind != SCALAR) fail(r, "a key must be a plain word or in quotes");
            key = value;
            r->at++;
            seen = next_thing(r);
            value = seen < 0 || peek(r, 0) == ',' || peek(r, 0) == close ? nothing(r->line) : flow_value(r);
            seen = next_thing(r);
        } else if (open == '{') {
            if (value->kind != SCALAR) fail(r, "a key must be a plain word or in quotes");
            key = value;
            value = nothing(r->line);
        }
        append(r, whole, &last, key, value);
        if (seen < 0) continue;
        if (peek(r, 0) == ',')
            r->at++;
        else if (peek(r, 0) != close)
            fail(r, "a comma or %c was expected", close);
    }
    r->at++;
    r->depth--;
    return whole;
}

/* Whether a key begins here: a scalar of one line with a colon behind it. */
static bool at_key(struct reader *r)
{
    const char *p = r->at;
    if (*p == '"' || *p == '\'') {
        char quote = *p++;
        while (p < r->end && *p != '\n' && *p != quote) p += *p == '\\' && quote == '"' && p + 1 < r->end && p[1] != '\n' ? 2 : 1;
        /* '' within single quotes */
        while (p + 1 < r->end && quote == '\'' && *p == quote && p[1] == quote) {
            p += 2;
            while (p < r->end && *p != '\n' && *p != quote) p++;
        }
        if (p >= r->end || *p != quote) return false;
        p++;
        while (p < r->end && is_blank(*p)) p++;
        return p < r->end && *p == ':' && (p + 1 >= r->end || ends_word(p[1]));
    }
    if (strchr("[]{},&*!|>%@`#", *p)) return false;
    if ((*p == '-' || *p == '?' || *p == ':') && (p + 1 >= r->end || ends_word(p[1]))) return false;
    for (; p < r->end && *p != '\n'; p++) {
        if (*p == '#' && p > r->at && is_blank(p[-1])) return false;
        if (*p == ':' && (p + 1 >= r->end || ends_word(p[1]))) return true;
    }
    return false;
}

static struct node *key_here(struct reader *r)
{
    if (*r->at == '"' || *r->at == '\'') {
        struct node *key = quoted(r);
        while (is_blank(peek(r, 0))) r->at++;
        return key;
    }
    struct buffer out = {0};
    const char *from = r->at, *stop;
    while (!(peek(r, 0) == ':' && ends_word(peek(r, 1)))) r->at++;
    for (stop = r->at; stop > from && is_blank(stop[-1]); stop--) continue;
    put(&out, from, (size_t)(stop - from));
    return scalar(&out, true, r->line);
}

static bool at_item(const struct reader *r) { return peek(r, 0) == '-' && ends_word(peek(r, 1)); }

static struct node *mapping(struct reader *r, int indent)
{
    struct node *whole = new_node(MAP, r->line), **last = &whole->first;
    if (++r->depth > DEEPEST) fail(r, "nested too deep");
    for (;;) {
        struct node *key = key_here(r), *value;
        int line = r->line;
        r->at++;
        while (is_blank(peek(r, 0))) r->at++;
        if (peek(r, 0) && peek(r, 0) != '\n' && peek(r, 0) != '#') {
            if (at_item(r)) fail(r, "a list begins in a line of its own");
            if (at_key(r)) fail(r, "a mapping begins in a line of its own; does a text with a colon need quotes?");
            value = thing(r, indent);
        } else {
            int deep = next_thing(r);
            if (deep > indent)
                value = thing(r, indent);
            else if (deep == indent && at_item(r))
                value = thing(r, indent - 1);
            else
                value = nothing(line);
        }
        append(r, whole, &last, key, value);
        int deep = next_thing(r);
        if (deep < indent) break;
        if (deep > indent) fail(r, "this is indented deeper than what it follows");
        if (at_item(r)) fail(r, "a list cannot go on in a mapping");
        refuse_start(r);
        if (!at_key(r)) fail(r, "a key with a colon was expected");
    }
    r->depth--;
    return whole;
}

static struct node *list(struct reader *r, int indent)
{
    struct node *whole = new_node(SEQ, r->line), **last = &whole->first;
    if (++r->depth > DEEPEST) fail(r, "nested too deep");
    for (;;) {
        struct node *value;
        int line = r->line;
        r->at++;
        while (is_blank(peek(r, 0))) r->at++;
        if (peek(r, 0) && peek(r, 0) != '\n' && peek(r, 0) != '#') {
            value = thing(r, indent);
        } else {
            int deep = next_thing(r);
            value = deep > indent ? thing(r, indent) : nothing(line);
        }
        append(r, whole, &last, NULL, value);
        int deep = next_thing(r);
        if (deep < indent) break;
        if (deep > indent) fail(r, "this is indented deeper than what it follows");
        if (!at_item(r)) break;
    }
    r->depth--;
    return whole;
}

/* What begins here; its lines are indented deeper than parent. */
static struct node *thing(struct reader *r, int parent)
{
    char c = peek(r, 0);
    struct node *made;
    if (at_item(r)) return list(r, column(r));
    refuse_start(r);
    if (at_key(r)) return mapping(r, column(r));
    if (c == '?' && ends_word(peek(r, 1))) fail(r, "keys of several lines (?) are not supported");
    if (c == ':' && ends_word(peek(r, 1))) fail(r, "a key is missing before the colon");
    if (c == '|' || c == '>') return block(r, parent);
    if (c == '"' || c == '\'')
        made = quoted(r);
    else if (c == '[' || c == '{')
        made = flow(r);
    else if (strchr("]},", c))
        fail(r, "'%c' was not expected here", c);
    else
        made = plain(r, parent + 1, false);
    end_of_line(r);
    return made;
}

/* -- the document ------------------------------------------------------------------------------- */

/* The bytes of a character of UTF-8 that is text; 0 for anything else. */
static size_t character(const unsigned char *p, size_t left)
{
    size_t size = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    if (!size || size > left) return 0;
    if (size == 1) return *p == '\n' || *p == '\t' || (*p >= ' ' && *p < 0x7f) ? 1 : 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f)) return 0;
    return *p == 0xc2 && p[1] < 0xa0 ? 0 : size;
}

/* Ends of lines as on Windows become those of Unix; returns the new size. */
static size_t checked(struct reader *r, char *text, size_t size)
{
    size_t to = 0;
    for (size_t from = 0; from < size;) {
        if (text[from] == '\r' && from + 1 < size && text[from + 1] == '\n') from++;
        size_t bytes = character((unsigned char *)text + from, size - from);
        if (!bytes) fail(r, "this is no text in UTF-8");
        if (text[from] == '\n') r->line++;
        memmove(text + to, text + from, bytes);
        to += bytes;
        from += bytes;
    }
    text[to] = 0;
    r->line = 1;
    return to;
}

static struct node *document(struct reader *r, char *text, size_t size)
{
    struct node *found;
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3, size -= 3;
    size = checked(r, text, size);
    r->text = r->at = r->row = text;
    r->end = text + size;
    bool marked = next_thing(r) < 0 && at_marker(r) && *r->at == '-';
    if (at_marker(r) && !marked) fail(r, "the document ends before it begins");
    if (marked) r->at += 3;
    while (is_blank(peek(r, 0))) r->at++;
    if (marked && peek(r, 0) && peek(r, 0) != '\n' && peek(r, 0) != '#' && (at_key(r) || at_item(r)))
        fail(r, "a mapping or a list begins in a line of its own");
    if (next_thing(r) < 0) {
        found = nothing(r->line);
    } else {
        if (*r->at == '%') fail(r, "directives (%%) are not supported");
        found = thing(r, -1);
    }
    if (next_thing(r) >= 0) fail(r, "this belongs to nothing before it");
    if (at_marker(r) && *r->at == '.') {
        r->at += 3;
        if (next_thing(r) >= 0) fail(r, "something follows the end of the document");
    }
    if (peek(r, 0)) fail(r, "there must be one document");
    return found;
}

struct node *yaml_read(char *text, size_t size, char *error, size_t room, int *line)
{
    struct reader *r = must_alloc(sizeof *r);
    r->line = 1;
    r->error = error;
    r->room = room;
    *line = 0;
    if (setjmp(r->give_up)) {
        *line = r->line;
        return NULL;
    }
    return document(r, text, size);
}
