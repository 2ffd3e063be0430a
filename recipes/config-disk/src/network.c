/* network-config, versions 1 and 2: lines of the machine's own settings, `WHO WORD...`. */
#include "plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char who[18];
    struct node *where;
    bool dhcp, dhcp6, v4, off;
    char *words;
    size_t size;
    FILE *out;
};

enum { MOST = 64 };
static struct line lines[MOST];
static int count;

static struct line *new_line(const char *who, struct node *where)
{
    if (count == MOST) {
        refuse(where, "more than %d interfaces", MOST);
        return NULL;
    }
    struct line *one = &lines[count];
    snprintf(one->who, sizeof one->who, "%s", who);
    for (char *p = one->who; *p && strchr(who, ':'); p++) *p = (char)tolower((unsigned char)*p);
    for (int i = 0; i < count; i++)
        if (!strcmp(lines[i].who, one->who)) refuse(where, "%s is there twice", one->who);
    one->where = where;
    one->out = open_memstream(&one->words, &one->size);
    count++;
    return one;
}

static bool is_interface(const char *text)
{
    size_t size = strlen(text);
    static const char *const taken[] = {"any", "fallback", "proxy", "lo"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(text, taken[i])) return false;
    return size && size < 16 && isalnum((unsigned char)*text) &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

static void add_address(struct line *line, struct node *node, const char *text)
{
    int family = address(text, true);
    if (!family) refuse(node, "%.60s is no address with its prefix such as 192.168.1.5/24", text);
    if (family == 4) line->v4 = true;
    fprintf(line->out, " address=%s", text);
}

static void add_plain(struct line *line, struct node *node, const char *word, int family)
{
    const char *text = text_of(node);
    if (!text) return;
    int found = address(text, false);
    if (!found || (family && found != family)) refuse(node, "%.60s is no address%s", text, family == 4 ? " of IPv4" : family == 6 ? " of IPv6" : "");
    fprintf(line->out, " %s=%s", word, text);
}

/* Name servers or domains: a list, or one. */
static void add_each(struct line *line, struct node *list, bool domains)
{
    for (struct node *one = list && list->kind == SEQ ? list->first : list; one; one = list->kind == SEQ ? one->next : NULL) {
        if (!domains) {
            add_plain(line, one, "dns", 0);
            continue;
        }
        const char *text = text_of(one);
        if (text && !is_domain(text)) refuse(one, "%.60s is no domain", text);
        if (text) fprintf(line->out, " search=%s", text);
    }
}

static void add_number(struct line *line, struct node *node, const char *word, long low, long high)
{
    long found = node ? number(node, low, high) : -1;
    if (found >= 0) fprintf(line->out, " %s=%ld", word, found);
}

static int prefix_of(const char *mask)
{
    int bits = 0;
    bool ended = false;
    unsigned part[4];
    if (address(mask, false) != 4 || sscanf(mask, "%u.%u.%u.%u", part, part + 1, part + 2, part + 3) != 4) return -1;
    for (int i = 0; i < 32; i++) {
        bool set = part[i / 8] >> (7 - i % 8) & 1;
        if (set && ended) return -1;
        ended = !set;
        bits += set;
    }
    return bits;
}

/* -- version 2 ---------------------------------------------------------------------------------- */

static void route(struct line *line, struct node *map)
{
    struct node *to = get(map, "to"), *via = get(map, "via"), *one;
    const char *target = to ? text_of(to) : NULL, *gateway = via ? text_of(via) : NULL;
    if (!is_map(map)) return;
    if (!target || !gateway) {
        if (!to || !via) refuse(map, "a route needs to and via");
        return;
    }
    int family = address(gateway, false);
    if (!strcmp(target, "default")) target = family == 6 ? "::/0" : "0.0.0.0/0";
    if (!family || address(target, true) != family) refuse(map, "the route from %.60s by %.60s cannot be", target, gateway);
    if ((one = get(map, "on-link"))) yes_no(one);
    fprintf(line->out, " route=%s@%s", target, gateway);
    only_known(map, "of a route");
}

static void servers(struct line *line, struct node *map)
{
    if (!map || !is_map(map)) return;
    add_each(line, get(map, "addresses"), false);
    add_each(line, get(map, "search"), true);
    only_known(map, "of nameservers");
}

static const char *matched(struct node *id, struct node *map)
{
    struct node *match = get(map, "match"), *one;
    const char *who = id->text, *text;
    if (match && is_map(match)) {
        who = NULL;
        if ((one = get(match, "macaddress")) && (text = text_of(one))) {
            if (is_mac(text))
                who = text;
            else
                refuse(one, "macaddress: %.40s is none", text);
        } else if ((one = get(match, "name")) && (text = text_of(one))) {
            /* All that begin as names of Ethernet do are all there are. */
            who = !strcmp(text, "e*") || !strcmp(text, "en*") || !strcmp(text, "eth*") || !strcmp(text, "*") ? "any" : text;
            if (strpbrk(who, "*?[")) refuse(one, "name: the only patterns are *, e*, en* and eth*");
        } else if (!refused)
            refuse(match, "match needs macaddress or name");
        only_known(match, "of match");
    }
    if (who && strcmp(who, "any") && !strchr(who, ':') && !is_interface(who)) {
        refuse(id, "%.40s is no name of an interface", who);
        return NULL;
    }
    return who;
}

static void ethernet(struct node *map)
{
    struct node *one, *id = map->key;
    if (!is_map(map)) return;
    const char *who = matched(id, map), *text;
    struct line *line = who ? new_line(who, map) : NULL;
    if (!line) return;
    line->dhcp = (one = get(map, "dhcp4")) && yes_no(one) == 1;
    line->dhcp6 = (one = get(map, "dhcp6")) && yes_no(one) == 1;
    if ((one = get(map, "addresses")) && is_list(one))
        for (one = one->first; one; one = one->next)
            if ((text = text_of(one))) add_address(line, one, text);
    if ((one = get(map, "gateway4"))) add_plain(line, one, "gateway", 4);
    if ((one = get(map, "gateway6"))) add_plain(line, one, "gateway", 6);
    if ((one = get(map, "routes")) && is_list(one))
        for (one = one->first; one; one = one->next) route(line, one);
    servers(line, get(map, "nameservers"));
    add_number(line, get(map, "mtu"), "mtu", 576, 65535);
    if ((one = get(map, "accept-ra"))) fprintf(line->out, " ra=%s", yes_no(one) == 0 ? "no" : "yes");
    if ((one = get(map, "dhcp4-overrides")) && is_map(one)) {
        add_number(line, get(one, "route-metric"), "metric", 1, 65535);
        only_known(one, "of dhcp4-overrides");
    }
    if ((one = get(map, "dhcp6-overrides")) && is_map(one)) {
        if (get(one, "route-metric")) number(get(one, "route-metric"), 1, 65535);
        only_known(one, "of dhcp6-overrides");
    }
    /* It is found by its name or address here, and keeps the name that the kernel gave it. */
    if ((one = get(map, "set-name")) && (text = text_of(one)) && strcmp(text, id->text)) refuse(one, "set-name: interfaces are not renamed here");
    if ((one = get(map, "dhcp-identifier")) && (text = text_of(one)) && strcmp(text, "mac")) refuse(one, "dhcp-identifier: only mac is supported");
    if ((one = get(map, "optional"))) yes_no(one);
    get(map, "renderer");
    only_known(map, "of an interface");
}

static void version_2(struct node *map)
{
    struct node *cards = get(map, "ethernets");
    get(map, "renderer");
    if (cards && is_map(cards))
        for (struct node *one = cards->first; one; one = one->next) ethernet(one);
    only_known(map, "of version 2");
}

/* -- version 1 ---------------------------------------------------------------------------------- */

static void old_route(struct line *line, struct node *map)
{
    struct node *to = get(map, "destination") ? get(map, "destination") : get(map, "network"), *via = get(map, "gateway"), *mask = get(map, "netmask");
    const char *target = to ? text_of(to) : NULL, *gateway = via ? text_of(via) : NULL;
    char whole[80];
    if (!is_map(map)) return;
    if (!target || !gateway) {
        if (!to || !via) refuse(map, "a route needs destination and gateway");
        return;
    }
    snprintf(whole, sizeof whole, "%.50s", target);
    if (!strchr(target, '/')) {
        int bits = mask && text_of(mask) ? prefix_of(mask->text) : -1;
        if (bits < 0) refuse(map, "a route needs a netmask");
        snprintf(whole, sizeof whole, "%.50s/%d", target, bits);
    }
    if (!address(whole, true) || address(whole, true) != address(gateway, false)) refuse(map, "the route from %.60s by %.60s cannot be", whole, gateway);
    get(map, "destination");
    get(map, "network");
    fprintf(line->out, " route=%s@%s", whole, gateway);
    only_known(map, "of a route");
}

static void subnet(struct line *line, struct node *map)
{
    struct node *one;
    char whole[80];
    if (!is_map(map)) return;
    const char *type = (one = get(map, "type")) ? text_of(one) : NULL;
    if (!type) {
        refuse(map, "a subnet needs a type");
        return;
    }
    if (!strcmp(type, "dhcp") || !strcmp(type, "dhcp4"))
        line->dhcp = true;
    else if (!strcmp(type, "dhcp6") || !strcmp(type, "ipv6_dhcpv6-stateful") || !strcmp(type, "ipv6_dhcpv6-stateless"))
        line->dhcp6 = true;
    else if (!strcmp(type, "static") || !strcmp(type, "static6")) {
        struct node *given = get(map, "address"), *mask = get(map, "netmask");
        const char *text = given ? text_of(given) : NULL;
        snprintf(whole, sizeof whole, "%.50s", text ? text : "");
        if (text && !strchr(text, '/')) {
            int bits = mask && text_of(mask) ? (isdigit((unsigned char)*mask->text) && !strchr(mask->text, '.') ? atoi(mask->text) : prefix_of(mask->text)) : -1;
            if (bits < 0) refuse(map, "an address needs its prefix, or a netmask");
            snprintf(whole, sizeof whole, "%.50s/%d", text, bits);
        }
        if (text)
            add_address(line, given, whole);
        else if (!given)
            refuse(map, "%s needs an address", type);
        if ((one = get(map, "gateway"))) add_plain(line, one, "gateway", 0);
        if ((one = get(map, "routes")) && is_list(one))
            for (one = one->first; one; one = one->next) old_route(line, one);
    } else if (!strcmp(type, "manual"))
        line->off = true;
    else if (strcmp(type, "ipv6_slaac"))
        refuse(one, "type: %.40s is none of dhcp, dhcp4, dhcp6, static, static6, ipv6_slaac, manual", type);
    add_each(line, get(map, "dns_nameservers"), false);
    add_each(line, get(map, "dns_search"), true);
    if ((one = get(map, "control")) && text_of(one) && strcmp(one->text, "auto")) refuse(one, "control: only auto is supported");
    get(map, "ipv4");
    get(map, "ipv6");
    only_known(map, "of a subnet");
}

static void physical(struct node *map)
{
    struct node *one = get(map, "mac_address"), *name = get(map, "name");
    const char *who = one ? text_of(one) : NULL;
    if (one && who && !is_mac(who)) refuse(one, "mac_address: %.40s is none", who);
    if (!name)
        refuse(map, "an interface needs a name");
    else if (text_of(name) && !is_interface(name->text))
        refuse(name, "name: %.40s is no name of an interface", name->text);
    if (!who && name && name->kind == SCALAR) who = name->text;
    struct line *line = who ? new_line(who, map) : NULL;
    if (!line) return;
    add_number(line, get(map, "mtu"), "mtu", 576, 65535);
    if ((one = get(map, "accept-ra"))) fprintf(line->out, " ra=%s", yes_no(one) == 0 ? "no" : "yes");
    if ((one = get(map, "subnets")) && is_list(one))
        for (one = one->first; one; one = one->next) subnet(line, one);
    only_known(map, "of an interface");
}

static void version_1(struct node *map)
{
    struct node *items = get(map, "config"), *one, *type;
    if (items && items->kind == SCALAR && !strcmp(items->text, "disabled")) {
        only_known(map, "of version 1");
        return;
    }
    for (one = items && is_list(items) ? items->first : NULL; one; one = one->next) {
        if (!is_map(one)) continue;
        if (!(type = get(one, "type")))
            refuse(one, "an item needs a type");
        else if (text_of(type) && !strcmp(type->text, "physical"))
            physical(one);
        else if (type->kind == SCALAR && strcmp(type->text, "nameserver"))
            refuse(type, "type: %.40s is none of physical, nameserver", type->text);
    }
    /* Servers of the whole machine are said of every interface. */
    for (one = items && items->kind == SEQ ? items->first : NULL; one; one = one->next) {
        type = get(one, "type");
        if (!type || type->kind != SCALAR || strcmp(type->text, "nameserver")) continue;
        for (int i = 0; i < count; i++) {
            add_each(&lines[i], get(one, "address"), false);
            add_each(&lines[i], get(one, "search"), true);
        }
        only_known(one, "of a nameserver");
    }
    only_known(map, "of version 1");
}

static void write_line(struct line *line)
{
    fclose(line->out);
    if (line->dhcp && line->v4) refuse(line->where, "%s has an address of IPv4, and is to ask for one by DHCP: one of both", line->who);
    if (line->off && !line->size && !line->dhcp && !line->dhcp6) {
        fprintf(plan_file("network.conf"), "%s dhcp=no ra=no\n", line->who);
        return;
    }
    fprintf(plan_file("network.conf"), "%s%s%s%s\n", line->who, line->v4 ? "" : line->dhcp ? " dhcp=yes" : " dhcp=no", line->dhcp6 ? " dhcp6=yes" : "", line->words);
}

void network_config(struct node *map)
{
    struct node *inner = get(map, "network"), *version;
    if (inner) {
        only_known(map, "beside network");
        if (!is_map(inner)) return;
        map = inner;
    }
    version = get(map, "version");
    long number_of = version ? number(version, 1, 2) : -1;
    if (!version) refuse(map, "there is no version, 1 or 2");
    if (number_of == 1) version_1(map);
    if (number_of == 2) version_2(map);
    for (int i = 0; i < count; i++) write_line(&lines[i]);
}
