# Reads lines of network settings and writes those that are right as `RANK WHO WORD...`, those that are not as
# `! PLACE: WHAT`. A rank is the number of the file among those that were given, the strongest first.
#
#   WHO   an interface's name or MAC address, `any` for all that nothing else is said of;
#         `fallback` (the DNS servers to ask when nobody names one), `proxy`
#
# docs/reference/host.md has the words.

function number(text, low, high) {
    return text ~ /^[0-9]+$/ && length(text) < 7 && text + 0 >= low && text + 0 <= high
}

function v4(text,    i, part) {
    if (split(text, part, ".") != 4) return 0
    for (i = 1; i <= 4; i++) if (part[i] !~ /^[0-9][0-9]?[0-9]?$/ || part[i] + 0 > 255) return 0
    return 1
}

function v6(text,    i, n, part, gap) {
    if (text !~ /^[0-9A-Fa-f:.]+$/ || text !~ /:.*:/ || text ~ /:::/ || text ~ /^:[^:]/ || text ~ /[^:]:$/) return 0
    gap = gsub(/::/, ":-:", text)
    if (gap > 1) return 0
    sub(/^:/, "", text)
    sub(/:$/, "", text)
    n = split(text, part, ":")
    for (i = 1; i <= n; i++) {
        if (part[i] == "-") continue
        if (i == n && part[i] ~ /\./) { if (!v4(part[i])) return 0; n++; break }
        if (part[i] !~ /^[0-9A-Fa-f]+$/ || length(part[i]) > 4) return 0
    }
    return gap ? n <= 8 : n == 8
}

function ip(text) { return v4(text) || v6(text) }

# With its prefix; 127.0.0.1 and the like are nobody's.
function network(text,    part) {
    if (split(text, part, "/") != 2) return 0
    return v4(part[1]) && number(part[2], 0, 32) || v6(part[1]) && number(part[2], 0, 128)
}

function address(text,    part) {
    if (!network(text)) return 0
    split(text, part, "/")
    return part[2] + 0 > 0 && part[1] !~ /^(0|127|22[4-9]|23[0-9]|2[45][0-9])\./ && part[1] !~ /^(::1?|[fF][fF]..:.*)$/
}

function route(text,    part) {
    if (split(text, part, "@") != 2 || !network(part[1]) || !ip(part[2])) return 0
    return (part[1] ~ /:/) == (part[2] ~ /:/)
}

function domain(text) { return text ~ /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?$/ && length(text) < 254 }

function yes_no(text) { return text == "yes" || text == "no" }

function proxy_address(text) { return text ~ /^https?:\/\/[^ \t'"\\$`@]+$/ }

# What is wrong with a word, or nothing.
function complaint(who, key, value) {
    if (who == "fallback") {
        if (key == "dns") return value == "none" || ip(value) ? "" : value " is no address"
        return key " cannot be said of fallback, only dns="
    }
    if (who == "proxy") {
        if (key == "http" || key == "https") return proxy_address(value) ? "" : "no address such as http://proxy.lan:3128, or one with a password in it"
        if (key == "no") return value ~ /^[A-Za-z0-9.:*\/_-]+$/ ? "" : "no host, domain or network"
        return key " cannot be said of proxy, only http=, https= and no="
    }
    if (key == "address") return address(value) ? "" : value " is no address with its prefix such as 192.168.1.5/24"
    if (key == "gateway" || key == "dns") return ip(value) ? "" : value " is no address"
    if (key == "search") return domain(value) ? "" : value " is no domain"
    if (key == "route") return route(value) ? "" : value " is no route such as 10.0.0.0/8@192.168.1.1"
    if (key == "mtu") return number(value, 576, 65535) ? "" : value " is not from 576 to 65535"
    if (key == "metric") return number(value, 1, 65535) ? "" : value " is not from 1 to 65535"
    if (key == "dhcp" || key == "dhcp6" || key == "ra" || key == "up") return yes_no(value) ? "" : "is yes or no"
    return "there is no such word"
}

function who_complaint(who) {
    if (who == "any" || who == "fallback" || who == "proxy") return ""
    if (who ~ /:/) {
        return who ~ /^[0-9a-f][0-9a-f](:[0-9a-f][0-9a-f])+$/ && length(who) == 17 ? "" : "is no MAC address"
    }
    return who ~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/ && length(who) < 16 ? "" : "is no name of an interface"
}

# Once only: what a second one would contradict.
function single(key) { return key ~ /^(mtu|metric|dhcp|dhcp6|ra|up|http|https)$/ }

# As it was given, blanks back to commas.
function raw(    text) {
    text = $0
    gsub(/ /, ",", text)
    return text
}

function refuse(what) {
    print "! " place ": " what "; the line is left out"
    refused = 1
}

function contradiction(words) {
    if (words ~ / up=no/ && words ~ /=.*=/) return "up=no goes with nothing else"
    if (words ~ / dhcp=yes/ && words ~ / address=[0-9.]+\//) return "dhcp=yes and an address of IPv4"
    if (words !~ / address=[0-9.]+\// && words ~ / dhcp=no/ && words ~ / gateway=[0-9.]+( |$)/) return "a gateway of IPv4 without an address"
    return ""
}

FNR == 1 { rank++ }
{
    place = FILENAME ~ /\/boot-codes$/ ? "boot code net=" raw() : FILENAME " line " FNR
    sub(/^[ \t]*#.*/, "")
    sub(/[ \t]#.*/, "")
    sub(/\r$/, "")
}
NF == 0 { next }
{
    if ($0 ~ /[^ -~\t]/) { print "! " place ": holds what is no plain text; the line is left out"; next }
    who = $1 ~ /:/ ? tolower($1) : $1
    refused = 0
    what = who_complaint(who)
    if (what) { refuse(who " " what); next }
    if ((rank, who) in seen) { refuse(who " is there twice"); next }
    if (NF == 1) { refuse("nothing is said of " who); next }
    words = ""
    split("", once)
    for (i = 2; i <= NF && !refused; i++) {
        at = index($i, "=")
        key = at ? substr($i, 1, at - 1) : $i
        what = at ? complaint(who, key, substr($i, at + 1)) : "a word is KEY=VALUE"
        if (what == "" && single(key) && key in once) what = "is there twice"
        once[key] = 1
        if (what) refuse(key ": " what)
        words = words " " $i
    }
    if (!refused && (what = contradiction(words))) refuse(what)
    if (refused) next
    seen[rank, who] = 1
    print rank " " who words
}
