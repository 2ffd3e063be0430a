#include "plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_COMPLAINTS = 20, LARGEST = 4 << 20 };

int refused;
static const char *file_name;

void refuse(const struct node *where, const char *format, ...)
{
    va_list args;
    if (refused++ >= MOST_COMPLAINTS) return;
    fprintf(stderr, "%s line %d: ", file_name, where ? where->line : 1);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* -- the tree ----------------------------------------------------------------------------------- */

bool is_null(const struct node *node)
{
    static const char *const names[] = {"", "~", "null", "Null", "NULL"};
    if (!node) return true;
    for (size_t i = 0; node->kind == SCALAR && node->plain && i < sizeof names / sizeof *names; i++)
        if (!strcmp(node->text, names[i])) return true;
    return false;
}

struct node *get(struct node *map, const char *key)
{
    for (struct node *one = map && map->kind == MAP ? map->first : NULL; one; one = one->next) {
        if (strcmp(one->key->text, key)) continue;
        /* Lines begin at 1: a key that was asked for is told by its kind. */
        one->key->kind = SEQ;
        return is_null(one) ? NULL : one;
    }
    return NULL;
}

void only_known(struct node *map, const char *what)
{
    for (struct node *one = map && map->kind == MAP ? map->first : NULL; one; one = one->next)
        if (one->key->kind == SCALAR) refuse(one->key, "the key %.60s is not supported %s", one->key->text, what);
}

const char *name_of(const struct node *node) { return node->key ? node->key->text : "an item of the list"; }

bool is_map(struct node *node)
{
    if (!node) return false;
    if (node->kind != MAP) refuse(node, "%.60s must be a mapping, keys with values", name_of(node));
    return node->kind == MAP;
}

bool is_list(struct node *node)
{
    if (!node) return false;
    if (node->kind != SEQ) refuse(node, "%.60s must be a list", name_of(node));
    return node->kind == SEQ;
}

const char *text_of(struct node *node)
{
    if (!node || node->kind != SCALAR || !*node->text) {
        if (node) refuse(node, "%.60s must be a text", name_of(node));
        return NULL;
    }
    for (const unsigned char *p = (unsigned char *)node->text; *p; p++) {
        if (*p >= ' ' && *p != 0x7f) continue;
        refuse(node, "%.60s must be one line", name_of(node));
        return NULL;
    }
    return node->text;
}

int yes_no(struct node *node)
{
    static const char *const words[] = {"no", "false", "off", "yes", "true", "on"};
    if (node->kind == SCALAR)
        for (int i = 0; i < 6; i++) {
            const char *a = node->text, *b = words[i];
            while (*a && *b && tolower((unsigned char)*a) == *b) a++, b++;
            if (!*a && !*b) return i > 2;
        }
    refuse(node, "%.60s must be true or false", name_of(node));
    return -1;
}

long number(struct node *node, long low, long high)
{
    const char *text = text_of(node);
    long found = -1;
    if (!text) return -1;
    if (strlen(text) < 10 && text[strspn(text, "0123456789")] == 0) found = strtol(text, NULL, 10);
    if (found >= low && found <= high) return found;
    refuse(node, "%.60s must be a number from %ld to %ld", name_of(node), low, high);
    return -1;
}

/* -- values ------------------------------------------------------------------------------------- */

static bool made_of(const char *text, const char *others, size_t most)
{
    size_t size = strlen(text);
    if (!size || size > most) return false;
    for (const char *p = text; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') && !strchr(others, *p)) return false;
    return true;
}

bool is_user(const char *text)
{
    if (!made_of(text, "_-", 31) || !(*text == '_' || (*text >= 'a' && *text <= 'z'))) return false;
    for (const char *p = text; *p; p++)
        if (*p >= 'A' && *p <= 'Z') return false;
    return true;
}

bool is_host(const char *text)
{
    return made_of(text, "-", 63) && *text != '-' && text[strlen(text) - 1] != '-';
}

bool is_domain(const char *text)
{
    return made_of(text, "-_.", 253) && !strchr("-.", *text) && !strchr("-.", text[strlen(text) - 1]) && !strstr(text, "..");
}

bool is_mac(const char *text)
{
    if (strlen(text) != 17) return false;
    for (int i = 0; i < 17; i++)
        if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i])) return false;
    return true;
}

int address(const char *text, bool prefix)
{
    char copy[64], bytes[16];
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    if (prefix != (slash != NULL) || size >= sizeof copy) return 0;
    memcpy(copy, text, size);
    copy[size] = 0;
    int family = inet_pton(AF_INET, copy, bytes) == 1 ? 4 : inet_pton(AF_INET6, copy, bytes) == 1 ? 6 : 0;
    if (!family || !slash) return family;
    slash++;
    if (!*slash || strlen(slash) > 3 || slash[strspn(slash, "0123456789")]) return 0;
    return atoi(slash) <= (family == 4 ? 32 : 128) ? family : 0;
}

bool is_path(const char *text)
{
    size_t size = strlen(text);
    if (*text != '/' || size < 2 || size > 1024 || text[size - 1] == '/' || strstr(text, "//")) return false;
    for (const char *part = text; part; part = strchr(part + 1, '/')) {
        size_t length = strcspn(part + 1, "/");
        if (length > 255 || (length == 1 && part[1] == '.') || (length == 2 && part[1] == '.' && part[2] == '.')) return false;
    }
    return true;
}

bool is_key(const char *text)
{
    static const char *const kinds[] = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
                                        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"};
    size_t size = strcspn(text, " "), data;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i]) != size || strncmp(text, kinds[i], size)) continue;
        data = strcspn(text + size + strspn(text + size, " "), " ");
        text += size + strspn(text + size, " ");
        for (size_t at = 0; at < data; at++)
            if (!isalnum((unsigned char)text[at]) && !strchr("+/=", text[at])) return false;
        return data >= 60 && !strncmp(text, "AAAA", 4);
    }
    return false;
}

/* -- the plan ----------------------------------------------------------------------------------- */

struct output {
    char name[32];
    char *text;
    size_t size;
    FILE *stream;
    struct output *next;
};

static struct output *outputs;
static const char *folder;

FILE *plan_file(const char *name)
{
    struct output *one;
    for (one = outputs; one; one = one->next)
        if (!strcmp(one->name, name)) return one->stream;
    one = must_alloc(sizeof *one);
    snprintf(one->name, sizeof one->name, "%s", name);
    one->stream = open_memstream(&one->text, &one->size);
    if (!one->stream) {
        fputs("no memory\n", stderr);
        exit(3);
    }
    one->next = outputs;
    outputs = one;
    return one->stream;
}

static void cannot(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(3);
}

void plan_write(void)
{
    if (mkdir(folder, 0700) && errno != EEXIST) cannot(folder);
    int place = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (place < 0) cannot(folder);
    for (struct output *one = outputs; one; one = one->next) {
        if (fclose(one->stream)) cannot(one->name);
        int file = openat(place, one->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (file < 0) cannot(one->name);
        for (size_t done = 0; done < one->size;) {
            ssize_t count = write(file, one->text + done, one->size - done);
            if (count <= 0) cannot(one->name);
            done += (size_t)count;
        }
        if (close(file)) cannot(one->name);
    }
}

/* -- the command -------------------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) cannot(path);
    char *text = must_alloc(LARGEST + 2);
    *size = fread(text, 1, LARGEST + 1, file);
    if (ferror(file)) cannot(path);
    fclose(file);
    if (*size > LARGEST) {
        fprintf(stderr, "%s is larger than %d bytes\n", file_name, LARGEST);
        exit(1);
    }
    text[*size] = 0;
    return text;
}

static void json_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < ' ' || *text == 0x7f)
            printf("\\u%04x", (unsigned)(unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void json(const struct node *node)
{
    if (node->kind == SCALAR) {
        json_text(node->text);
        return;
    }
    putchar(node->kind == MAP ? '{' : '[');
    for (const struct node *one = node->first; one; one = one->next) {
        if (one != node->first) putchar(',');
        if (node->kind == MAP) {
            json_text(one->key->text);
            putchar(':');
        }
        json(one);
    }
    putchar(node->kind == MAP ? '}' : ']');
}

static const struct {
    const char *name;
    void (*read)(struct node *);
} kinds[] = {{"user-data", user_data}, {"meta-data", meta_data}, {"network-config", network_config}};

int main(int count, char **words)
{
    char error[256];
    int line;
    size_t size;
    if (count == 3 && !strcmp(words[1], "json")) {
        file_name = "text";
        char *text = slurp(words[2], &size);
        struct node *document = yaml_read(text, size, error, sizeof error, &line);
        if (document) {
            json(document);
            return 0;
        }
        fprintf(stderr, "text line %d: %s\n", line, error);
        return 1;
    }
    for (size_t i = 0; count == 4 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(words[1], kinds[i].name)) continue;
        file_name = words[1];
        folder = words[3];
        char *text = slurp(words[2], &size);
        struct node *document = yaml_read(text, size, error, sizeof error, &line);
        if (!document) {
            fprintf(stderr, "%s line %d: %s\n", file_name, line, error);
            return 1;
        }
        if (document->kind == MAP)
            kinds[i].read(document);
        else if (!is_null(document))
            refuse(document, "there must be a mapping: keys with values");
        if (refused > MOST_COMPLAINTS) fprintf(stderr, "%s: and %d more\n", file_name, refused - MOST_COMPLAINTS);
        if (refused) return 1;
        plan_write();
        return 0;
    }
    fputs("usage: plan user-data|meta-data|network-config FILE FOLDER, plan json FILE\n", stderr);
    return 2;
}
