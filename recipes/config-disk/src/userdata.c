/* user-data (#cloud-config) and meta-data: what is understood of them, as files of the plan. */
#include "plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* -- keys of users ------------------------------------------------------------------------------ */

/* Lines `USER KEY`; the user `default` is whoever logs in at the console. */
void keys_of(struct node *keys, const char *user)
{
    if (!keys) return;
    if (keys->kind == SCALAR) {
        refuse(keys, "%.60s must be a list", name_of(keys));
        return;
    }
    for (struct node *one = keys->first; one; one = one->next) {
        const char *text = text_of(one);
        if (!text) continue;
        if (is_key(text))
            fprintf(plan_file("keys"), "%s %s\n", user, text);
        else
            refuse(one, "%.20s... is no public key in one line, such as ssh-ed25519 AAAA... (options before it are not supported)", text);
    }
}

static void keys_in(struct node *map, const char *user)
{
    keys_of(get(map, "ssh_authorized_keys"), user);
    keys_of(get(map, "ssh-authorized-keys"), user);
}

/* -- passwords: nobody logs in with one --------------------------------------------------------- */

static void locked(struct node *map)
{
    static const char *const secrets[] = {"passwd", "password", "hashed_passwd", "plain_text_passwd", "chpasswd"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        struct node *one = get(map, secrets[i]);
        if (one) refuse(one->key, "%s: there are no passwords here, they stay locked; give ssh_authorized_keys", secrets[i]);
    }
    struct node *one = get(map, "lock_passwd");
    if (one && yes_no(one) == 0) refuse(one, "lock_passwd: false: passwords stay locked here");
}

/* -- users -------------------------------------------------------------------------------------- */

/* The one rule there is: may do everything, without a password, since there are none. */
static bool all_of_sudo(const char *rule)
{
    static const char *const parts[] = {"ALL", "=", "(", "ALL", ")", "NOPASSWD", ":", "ALL"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        while (isspace((unsigned char)*rule)) rule++;
        if (strncmp(rule, parts[i], strlen(parts[i]))) return false;
        rule += strlen(parts[i]);
        if (i == 3 && !strncmp(rule, ":ALL", 4)) rule += 4;
    }
    return !*rule;
}

static bool sudo(struct node *user)
{
    struct node *one = get(user, "sudo");
    bool given = false;
    if (!one) return false;
    if (one->kind == SCALAR && one->plain && (!strcmp(one->text, "false") || !strcmp(one->text, "False"))) return false;
    for (struct node *rule = one->kind == SEQ ? one->first : one; rule; rule = one->kind == SEQ ? rule->next : NULL) {
        if (rule->kind == SCALAR && all_of_sudo(rule->text))
            given = true;
        else
            refuse(rule, "sudo: the only rule that is supported is ALL=(ALL) NOPASSWD:ALL");
    }
    return given;
}

/* Groups in a list, or with commas; prints them with commas. */
static void groups(struct node *list, FILE *out)
{
    int count = 0;
    if (list && list->kind == MAP) refuse(list, "groups must be a list");
    for (struct node *one = list && list->kind == SEQ ? list->first : list; one && list->kind != MAP; one = list->kind == SEQ ? one->next : NULL) {
        if (!text_of(one)) continue;
        char *text = strdup(one->text);
        for (char *name = strtok(text, ", "); name; name = strtok(NULL, ", ")) {
            if (is_user(name))
                fprintf(out, "%s%s", count++ ? "," : "", name);
            else
                refuse(one, "groups: %.40s cannot be the name of a group", name);
        }
        free(text);
    }
    if (!count) fputc('-', out);
}

static void one_user(struct node *user)
{
    struct node *one;
    const char *name, *shell = "-", *text;
    FILE *out = plan_file("users");
    long uid = -1;
    if (!(one = get(user, "name"))) {
        refuse(user, "a user needs a name");
        return;
    }
    if (!(name = text_of(one))) return;
    if (!is_user(name)) {
        refuse(one, "name: %.40s cannot be the name of a user", name);
        return;
    }
    if (!strcmp(name, "root")) refuse(one, "name: root does not log in; give a user sudo");
    locked(user);
    if ((one = get(user, "uid"))) uid = number(one, 1000, 60000);
    if ((one = get(user, "shell")) && (text = text_of(one))) {
        if (is_path(text) && !strchr(text, ' ') && !strchr(text, ':'))
            shell = text;
        else
            refuse(one, "shell: %.60s is no path of a program", text);
    }
    fprintf(out, "%s ", name);
    if (uid > 0)
        fprintf(out, "%ld ", uid);
    else
        fputs("- ", out);
    fprintf(out, "%s %s ", shell, sudo(user) ? "sudo" : "-");
    groups(get(user, "groups"), out);
    fputc(' ', out);
    text = (one = get(user, "gecos")) ? text_of(one) : NULL;
    for (; text && *text; text++)
        if (*text != ':' && *text != ',') fputc(*text, out);
    fputc('\n', out);
    keys_in(user, name);
    only_known(user, "of a user");
}

static void users(struct node *list)
{
    if (!is_list(list)) return;
    for (struct node *one = list->first; one; one = one->next) {
        if (one->kind == MAP)
            one_user(one);
        else if (one->kind == SEQ || strcmp(one->text, "default"))
            refuse(one, "users: an item is a mapping with a name, or the word default");
    }
}

/* -- files -------------------------------------------------------------------------------------- */

static bool decode(struct node *content, FILE *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0;
    int count = 0, padding = 0;
    for (const char *p = content->text; *p; p++) {
        const char *digit = strchr(digits, *p);
        if (isspace((unsigned char)*p)) continue;
        if (*p == '=') {
            padding++;
            continue;
        }
        if (!digit || padding) return false;
        bits = bits << 6 | (unsigned)(digit - digits);
        if (++count % 4 == 0) {
            fputc(bits >> 16 & 0xff, out);
            fputc(bits >> 8 & 0xff, out);
            fputc(bits & 0xff, out);
        }
    }
    if (count % 4 == 1 || (padding && (count + padding) % 4) || padding > 2 || (count % 4 && !padding)) return false;
    if (count % 4 == 2) fputc(bits >> 4 & 0xff, out);
    if (count % 4 == 3) {
        fputc(bits >> 10 & 0xff, out);
        fputc(bits >> 2 & 0xff, out);
    }
    return true;
}

/* 0: as it is; 1: base64, 2: gzip, 3: both. */
static int encoding(struct node *node)
{
    static const struct {
        const char *name;
        int what;
    } names[] = {{"text/plain", 0}, {"b64", 1}, {"base64", 1}, {"gz+b64", 3}, {"gzip+b64", 3}, {"gz+base64", 3}, {"gzip+base64", 3}};
    const char *text = node ? text_of(node) : NULL;
    for (size_t i = 0; text && i < sizeof names / sizeof *names; i++)
        if (!strcmp(text, names[i].name)) return names[i].what;
    if (text) refuse(node, "encoding: %.40s is none of b64, gz+b64, text/plain", text);
    return 0;
}

static const char *owner_of(struct node *node)
{
    const char *text = node ? text_of(node) : NULL, *colon;
    char user[40];
    if (!text) return "root:root";
    colon = strchr(text, ':');
    snprintf(user, sizeof user, "%.*s", (int)(colon ? colon - text : (long)strlen(text)), text);
    if (is_user(user) && (!colon || is_user(colon + 1))) return text;
    refuse(node, "owner: %.60s must be USER:GROUP", text);
    return "root:root";
}

static const char *mode_of(struct node *node)
{
    const char *text = node ? text_of(node) : "0644", *digits = text;
    if (!text) return "0644";
    if (digits[0] == '0' && digits[1] == 'o') digits += 2;
    size_t size = strlen(digits);
    if (size < 3 || size > 4 + (*digits == '0') || digits[strspn(digits, "01234567")]) {
        refuse(node, "permissions: %.20s must be three or four octal digits such as '0644'", text);
        return "0644";
    }
    /* Without quotes it is a number for YAML: an octal one with 0 before it, else a decimal one. */
    if (node && node->plain && *digits != '0' && digits == text)
        refuse(node, "permissions: %s without quotes is a decimal number for others: write '0%s'", text, text);
    return digits;
}

/* More than anybody writes; the name of each is compared with all before it. */
enum { MOST_FILES = 5000 };

static void one_file(struct node *file, int index)
{
    static const char *const nowhere[] = {"/proc", "/sys", "/dev"};
    struct node *one = get(file, "path"), *content;
    char name[32];
    if (!is_map(file)) return;
    if (!one) {
        refuse(file, "write_files: a file needs a path");
        return;
    }
    const char *path = text_of(one);
    if (!path) return;
    if (!is_path(path)) refuse(one, "path: %.60s must begin with / and have no . or .. or empty part", path);
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        size_t size = strlen(nowhere[i]);
        if (!strncmp(path, nowhere[i], size) && (!path[size] || path[size] == '/')) refuse(one, "path: nothing is kept below %s", nowhere[i]);
    }
    int how = encoding(get(file, "encoding"));
    const char *owner = owner_of(get(file, "owner")), *mode = mode_of(get(file, "permissions"));
    int append = (one = get(file, "append")) ? yes_no(one) : 0, defer = (one = get(file, "defer")) ? yes_no(one) : 0;
    snprintf(name, sizeof name, "file.%d", index);
    FILE *out = plan_file(name);
    if ((content = get(file, "content"))) {
        if (content->kind != SCALAR)
            refuse(content, "content must be a text");
        else if (how & 1) {
            if (!decode(content, out)) refuse(content, "content is not base64");
        } else
            fputs(content->text, out);
    }
    fprintf(plan_file("files"), "%d %s %s %s %s %s %s\n", index, mode, owner, append == 1 ? "append" : "-", defer == 1 ? "defer" : "-", how & 2 ? "gzip" : "-", path);
    only_known(file, "of a file");
}

static void files(struct node *list)
{
    int index = 0;
    if (!is_list(list)) return;
    for (struct node *one = list->first; one; one = one->next) {
        if (index == MOST_FILES) {
            refuse(one, "write_files: more than %d files", MOST_FILES);
            return;
        }
        one_file(one, ++index);
    }
}

/* -- commands ----------------------------------------------------------------------------------- */

static void quoted(const char *text, FILE *out)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

/* A text is a line of the shell, a list the words of a command. */
static void commands(struct node *list, const char *name)
{
    if (!is_list(list)) return;
    FILE *out = plan_file(name);
    fputs("#!/bin/sh\n", out);
    for (struct node *one = list->first; one; one = one->next) {
        if (one->kind == MAP || is_null(one) || (one->kind == SEQ && !one->first)) {
            refuse(one, "%s: a command is a text or a list of words%s", name, one->kind == MAP ? "; does one with a colon need quotes?" : "");
            continue;
        }
        if (one->kind == SCALAR) {
            fprintf(out, "%s\n", one->text);
            continue;
        }
        for (struct node *word = one->first; word; word = word->next) {
            if (word->kind != SCALAR) {
                refuse(word, "%s: a word of a command must be a text", name);
                continue;
            }
            quoted(word->text, out);
            fputc(word->next ? ' ' : '\n', out);
        }
    }
}

/* -- disks -------------------------------------------------------------------------------------- */

static bool is_word(const char *text) { return *text && !text[strcspn(text, " \t\\'\"`$")]; }

static void one_mount(struct node *list)
{
    /* Device, mount point, type, options; the numbers behind them say nothing here. */
    const char *fields[6] = {"", "", "auto", "defaults,nofail", "0", "2"};
    int count = 0;
    if (!is_list(list)) return;
    for (struct node *one = list->first; one; one = one->next, count++) {
        if (count == 6) {
            refuse(one, "mounts: an item has at most six fields");
            return;
        }
        const char *text = text_of(one);
        if (!text) return;
        if (!is_word(text)) refuse(one, "mounts: %.60s holds what a field may not", text);
        fields[count] = text;
    }
    bool swap = !strcmp(fields[2], "swap");
    if (count < 2)
        refuse(list, "mounts: device and mount point are needed");
    else if (!swap && !is_path(fields[1]))
        refuse(list, "mounts: %.60s is no place to mount something", fields[1]);
    else if (strncmp(fields[0], "/dev/", 5) && strncmp(fields[0], "LABEL=", 6) && strncmp(fields[0], "UUID=", 5) && !strchr(fields[0], ':') && strcmp(fields[0], "tmpfs"))
        refuse(list, "mounts: %.60s is none of /dev/NAME, LABEL=, UUID=, HOST:/PATH, tmpfs", fields[0]);
    fprintf(plan_file("mounts"), "%s %s %s %s\n", fields[0], swap ? "none" : fields[1], fields[2], fields[3]);
}

static void growpart(struct node *map)
{
    struct node *one = get(map, "mode"), *device;
    bool off = false;
    const char *text;
    if (!is_map(map)) return;
    if (one && (text = text_of(one))) {
        off = !strcmp(text, "off") || !strcmp(text, "false") || !strcmp(text, "False");
        if (!off && strcmp(text, "auto") && strcmp(text, "growpart")) refuse(one, "mode: %.40s is none of auto, growpart, off", text);
    }
    if ((one = get(map, "ignore_growroot_disabled"))) yes_no(one);
    if ((one = get(map, "devices")) && is_list(one))
        for (device = one->first; device; device = device->next) {
            if (!(text = text_of(device))) continue;
            if (strcmp(text, "/") && (!is_path(text) || !is_word(text))) refuse(device, "devices: %.60s is no device and no mount point", text);
            /* The root is in memory. */
            if (!off && strcmp(text, "/")) fprintf(plan_file("growpart"), "%s\n", text);
        }
    only_known(map, "of growpart");
}

/* -- the rest ----------------------------------------------------------------------------------- */

static void host(struct node *map, const char *short_key, const char *long_key)
{
    struct node *one = get(map, short_key), *full = long_key ? get(map, long_key) : NULL;
    const char *text = one ? text_of(one) : NULL, *domain = full ? text_of(full) : NULL;
    char name[64];
    if (domain && !is_domain(domain)) refuse(full, "%s: %.60s is no name of a host", long_key, domain);
    if (!text && domain) {
        snprintf(name, sizeof name, "%.*s", (int)(strcspn(domain, ".") > 63 ? 63 : strcspn(domain, ".")), domain);
        text = name;
        one = full;
    } else if (text && is_domain(text) && strchr(text, '.')) {
        snprintf(name, sizeof name, "%.*s", (int)(strcspn(text, ".") > 63 ? 63 : strcspn(text, ".")), text);
        text = name;
    }
    if (!text) return;
    if (is_host(text))
        fprintf(plan_file("hostname"), "%s\n", text);
    else
        refuse(one, "%.60s is no name of a host: letters, digits and -", text);
}

static void ntp(struct node *map)
{
    struct node *one;
    static const char *const lists[] = {"servers", "pools"};
    if (!is_map(map)) return;
    bool on = !(one = get(map, "enabled")) || yes_no(one) != 0;
    for (int i = 0; i < 2; i++) {
        if (!(one = get(map, lists[i])) || !is_list(one)) continue;
        for (one = one->first; one; one = one->next) {
            const char *text = text_of(one);
            if (!text) continue;
            if (!is_domain(text) && !address(text, false)) refuse(one, "ntp: %.60s is no host", text);
            if (on) fprintf(plan_file("ntp"), "server %s\n", text);
        }
    }
    only_known(map, "of ntp");
}

static void zone(struct node *node)
{
    const char *text = text_of(node);
    if (!text) return;
    if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == strlen(text) && !strstr(text, "//") && isalpha((unsigned char)*text))
        fprintf(plan_file("timezone"), "%s\n", text);
    else
        refuse(node, "timezone: %.60s is no name such as Europe/Berlin", text);
}

/* What this machine does anyhow may be said; its opposite is refused. */
static void as_it_is(struct node *map)
{
    static const struct {
        const char *key;
        int is;
        const char *why;
    } facts[] = {
        {"ssh_pwauth", 0, "nobody logs in with a password here"},
        {"disable_root", 1, "root does not log in here"},
        {"preserve_hostname", 0, "leave out hostname and fqdn instead"},
        {"package_update", 0, "packages are part of the image"},
        {"package_upgrade", 0, "packages are part of the image"},
        {"package_reboot_if_required", 0, "packages are part of the image"},
        {"resize_rootfs", -1, "the root is in memory"},
        {"manage_etc_hosts", -1, ""},
        {"ssh_deletekeys", 0, "host keys are kept"},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct node *one = get(map, facts[i].key);
        if (!one || facts[i].is < 0) continue;
        int said = yes_no(one);
        if (said >= 0 && said != facts[i].is) refuse(one, "%s: %s", facts[i].key, facts[i].why);
    }
}

void user_data(struct node *map)
{
    struct node *one;
    host(map, "hostname", "fqdn");
    if ((one = get(map, "prefer_fqdn_over_hostname")) && yes_no(one) == 1) refuse(one, "prefer_fqdn_over_hostname: the name has no domain here");
    locked(map);
    keys_in(map, "default");
    if ((one = get(map, "users"))) users(one);
    if ((one = get(map, "write_files"))) files(one);
    if ((one = get(map, "bootcmd"))) commands(one, "bootcmd");
    if ((one = get(map, "runcmd"))) commands(one, "runcmd");
    if ((one = get(map, "mounts")) && is_list(one))
        for (one = one->first; one; one = one->next) one_mount(one);
    if ((one = get(map, "growpart"))) growpart(one);
    if ((one = get(map, "ntp"))) ntp(one);
    if ((one = get(map, "timezone"))) zone(one);
    if ((one = get(map, "final_message")) && one->kind == SCALAR) fprintf(plan_file("message"), "%s\n", one->text);
    as_it_is(map);
    only_known(map, "here");
}

void meta_data(struct node *map)
{
    struct node *one = get(map, "instance-id");
    const char *text = one ? text_of(one) : NULL;
    if (text && (strlen(text) > 128 || text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] || *text == '.'))
        refuse(one, "instance-id: at most 128 letters, digits, '.', '_', '-' with no '.' first");
    else if (text)
        fprintf(plan_file("instance-id"), "%s\n", text);
    host(map, get(map, "local-hostname") ? "local-hostname" : "hostname", NULL);
    get(map, "hostname");
    /* A list, or keys by name. */
    keys_of(get(map, "public-keys"), "default");
    if ((one = get(map, "dsmode")) && (text = text_of(one)) && strcmp(text, "local") && strcmp(text, "net")) refuse(one, "dsmode: %.40s is none of local, net", text);
    only_known(map, "in meta-data");
}
