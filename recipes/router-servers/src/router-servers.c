/*
 * router-servers INTERFACE FILE: keeps in FILE the name servers and search domains that routers announce
 * (RFC 8106), as lines `nameserver ADDRESS` and `search DOMAIN`, for as long as they are to be used. The kernel
 * reads the rest of an announcement, and leaves these to programs. FILE is replaced as a whole when anything
 * changes, and FILE.changed is made then. Routers are asked at the start; FILE is first written when one has
 * answered, or when none has for long enough.
 *
 * router-servers - : reads one announcement, as ICMPv6 carries it, and prints the lines.
 *
 * Ends with 1 when it cannot listen, 2 for wrong words.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    OPTION_SERVERS = 25,
    OPTION_DOMAINS = 31,
    /* More than any resolver asks; what is announced beyond that is left out. */
    MOST = 8,
    LONGEST = 254,
    HEADER = 16,
    /* RFC 4861, section 10: how often and when a host asks. */
    SOLICITATIONS = 3,
    INTERVAL = 4,
};
static const uint32_t FOREVER = 0xffffffff;

struct entry {
    char text[LONGEST + IF_NAMESIZE + 1];
    uint32_t seconds;
    long until;
};

struct list {
    const char *word;
    struct entry entries[MOST];
    int count;
};

static struct list servers = {.word = "nameserver"}, domains = {.word = "search"};
static const char *interface = "";

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (long)time.tv_sec;
}

static uint32_t number(const unsigned char *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* -- what is announced -------------------------------------------------------------------------- */

/* A lifetime of 0 ends what was announced before. */
static void note(struct list *list, const char *text, uint32_t seconds)
{
    int at = 0;
    while (at < list->count && strcmp(list->entries[at].text, text)) at++;
    if (!seconds) {
        if (at == list->count) return;
        list->count--;
        memmove(&list->entries[at], &list->entries[at + 1], sizeof(struct entry) * (size_t)(list->count - at));
        return;
    }
    if (at == MOST) return;
    struct entry *one = &list->entries[at];
    if (at == list->count) list->count++;
    snprintf(one->text, sizeof one->text, "%s", text);
    one->seconds = seconds;
    one->until = now() + (long)seconds;
}

static void server(const unsigned char *data, uint32_t seconds)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN], whole[sizeof text + IF_NAMESIZE];
    memcpy(&address, data, sizeof address);
    if (IN6_IS_ADDR_MULTICAST(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_LOOPBACK(&address) ||
        IN6_IS_ADDR_V4MAPPED(&address))
        return;
    if (!inet_ntop(AF_INET6, &address, text, sizeof text)) return;
    snprintf(whole, sizeof whole, "%s%s%s", text, IN6_IS_ADDR_LINKLOCAL(&address) ? "%" : "",
             IN6_IS_ADDR_LINKLOCAL(&address) ? interface : "");
    note(&servers, whole, seconds);
}

static bool in_a_label(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* One name (RFC 1035, section 3.1, not compressed); returns how much of the data it takes, 0 for none. */
static size_t domain(const unsigned char *data, size_t size, uint32_t seconds)
{
    char text[LONGEST + 1];
    size_t at = 0, written = 0;
    bool good = true;
    while (at < size && data[at]) {
        size_t length = data[at++];
        if (length > 63 || length > size - at || written + length + 1 > LONGEST) return 0;
        if (written) text[written++] = '.';
        good = good && data[at] != '-' && data[at + length - 1] != '-';
        for (size_t i = 0; i < length; i++) {
            good = good && in_a_label(data[at + i]);
            text[written++] = (char)data[at + i];
        }
        at += length;
    }
    if (at == size) return 0;
    text[written] = 0;
    if (good && written) note(&domains, text, seconds);
    return at + 1;
}

/* Whether it was one: an announcement with an option of no length is none at all (RFC 4861, section 6.1.2). */
static bool announcement(const unsigned char *data, size_t size)
{
    if (size < HEADER || data[0] != ND_ROUTER_ADVERT || data[1]) return false;
    for (size_t at = HEADER; at < size; at += (size_t)data[at + 1] * 8)
        if (size - at < 8 || !data[at + 1] || (size_t)data[at + 1] * 8 > size - at) return false;
    for (size_t at = HEADER; at < size; at += (size_t)data[at + 1] * 8) {
        size_t length = (size_t)data[at + 1] * 8;
        uint32_t seconds = number(data + at + 4);
        if (data[at] == OPTION_SERVERS)
            for (size_t i = 8; i + 16 <= length; i += 16) server(data + at + i, seconds);
        if (data[at] == OPTION_DOMAINS)
            for (size_t i = 8, taken; i < length && data[at + i]; i += taken)
                if (!(taken = domain(data + at + i, length - i, seconds))) break;
    }
    return true;
}

/* Takes out what is over; returns the seconds until the next is, -1 for never. */
static long expire(struct list *list)
{
    long next = -1;
    for (int i = list->count - 1; i >= 0; i--) {
        struct entry *one = &list->entries[i];
        if (one->seconds == FOREVER) continue;
        long left = one->until - now();
        if (left <= 0)
            note(list, one->text, 0);
        else if (next < 0 || left < next)
            next = left;
    }
    return next;
}

/* -- what is written ---------------------------------------------------------------------------- */

static size_t lines(char *text, size_t size)
{
    size_t written = 0;
    const struct list *lists[] = {&domains, &servers};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < lists[k]->count; i++)
            written += (size_t)snprintf(text + written, size - written, "%s %s\n", lists[k]->word, lists[k]->entries[i].text);
    return written;
}

static bool put(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    if (!file) return false;
    bool whole = fwrite(text, 1, size, file) == size;
    return !fclose(file) && whole;
}

static void keep(const char *path)
{
    static char last[2 * MOST * (sizeof domains.word + sizeof servers.entries[0].text + 4)];
    static bool written;
    char text[sizeof last], name[4096];
    size_t size = lines(text, sizeof text);
    if (written && !strcmp(text, last)) return;
    if (!size) *text = 0;
    snprintf(name, sizeof name, "%s.new", path);
    if (!put(name, text, size) || rename(name, path)) return;
    snprintf(name, sizeof name, "%s.changed", path);
    put(name, "", 0);
    memcpy(last, text, sizeof last);
    written = true;
}

/* -- the wire ----------------------------------------------------------------------------------- */

static int open_socket(void)
{
    struct icmp6_filter filter;
    int one = 1, hops = 255, unheard = 0, wire = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
    if (wire < 0 || setsockopt(wire, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) ||
        setsockopt(wire, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) ||
        setsockopt(wire, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof one) ||
        setsockopt(wire, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) ||
        setsockopt(wire, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &unheard, sizeof unheard))
        return -1;
    return wire;
}

static void ask(int wire)
{
    struct nd_router_solicit question = {.nd_rs_type = ND_ROUTER_SOLICIT};
    struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_scope_id = if_nametoindex(interface)};
    inet_pton(AF_INET6, "ff02::2", &all.sin6_addr);
    /* Without an address yet it fails, and is tried again. */
    (void)!sendto(wire, &question, sizeof question, 0, (struct sockaddr *)&all, sizeof all);
}

/* Whether a router of this link has announced something: nothing comes from farther away with 255 hops left. */
static bool heard(int wire)
{
    unsigned char data[8192], control[256];
    struct sockaddr_in6 from;
    struct iovec part = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1,
        .msg_control = control, .msg_controllen = sizeof control,
    };
    ssize_t size = recvmsg(wire, &message, 0);
    int hops = -1;
    /* The interface is down: the poll would return at once. */
    if (size < 0 && errno != EAGAIN && errno != EINTR) sleep(1);
    if (size < 0 || message.msg_flags & MSG_TRUNC) return false;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one))
        if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_HOPLIMIT) memcpy(&hops, CMSG_DATA(one), sizeof hops);
    return hops == 255 && IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr) && announcement(data, (size_t)size);
}

static int watch(const char *path)
{
    int wire = open_socket(), asked = 0;
    bool answered = false;
    long next = now();
    if (wire < 0) {
        fprintf(stderr, "router-servers: %s: %s\n", interface, strerror(errno));
        return 1;
    }
    for (;;) {
        if (!answered && now() >= next) {
            if (asked == SOLICITATIONS) answered = true;
            else ask(wire);
            asked++;
            next = now() + INTERVAL;
        }
        long one = expire(&servers), other = expire(&domains), left = one < 0 || (other >= 0 && other < one) ? other : one;
        if (answered) keep(path);
        if (!answered && (left < 0 || next - now() < left)) left = next - now();
        struct pollfd ready = {.fd = wire, .events = POLLIN};
        if (poll(&ready, 1, left < 0 ? -1 : left > 3600 ? 3600000 : left < 1 ? 100 : (int)left * 1000) > 0 && heard(wire)) answered = true;
    }
}

static int show(void)
{
    unsigned char data[8192];
    char text[8192];
    size_t size = fread(data, 1, sizeof data, stdin);
    if (!announcement(data, size)) {
        fputs("router-servers: this is no announcement of a router\n", stderr);
        return 1;
    }
    size = lines(text, sizeof text);
    return fwrite(text, 1, size, stdout) == size && !fflush(stdout) ? 0 : 1;
}

int main(int count, char **words)
{
    if (count == 2 && !strcmp(words[1], "-")) {
        interface = words[1];
        return show();
    }
    if (count != 3 || !*words[1] || strlen(words[1]) >= IF_NAMESIZE || strlen(words[2]) > 4000) {
        fputs("usage: router-servers INTERFACE FILE, router-servers -\n", stderr);
        return 2;
    }
    interface = words[1];
    return watch(words[2]);
}
