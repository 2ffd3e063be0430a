# Prints the load order of extensions, as Tiny Core's tce-load does: the dependencies of a package
# before it, the last line of a .dep first, each once for a target. A cycle is told and cut where
# the walk met it.
#
# Input: one target a line. Variables: dir (where the .dep files lie), kernel (replaces -KERNEL),
# quiet. Output: "@ TARGET", then its names, for each target. Lines of a .dep that are no package
# names are told on standard error and left out; none ever reaches a shell.

function clean(name) {
    gsub(/[ \t\r]+/, "", name)
    sub(/-KERNEL\.tcz/, "-" kernel ".tcz", name)
    return name
}

function valid(name) {
    return name ~ /^[A-Za-z0-9][A-Za-z0-9+._-]*\.tcz$/
}

# Reads the .dep files below a name. An edge to a package that is still being walked closes a cycle.
function walk(name,    line, file, child, count) {
    state[name] = 1
    file = dir "/" name ".dep"
    count = 0
    while ((getline line < file) > 0) {
        child = clean(line)
        if (child == "") continue
        if (!valid(child)) {
            print "warning: " name ".dep: not the name of an extension, ignored: " child > "/dev/stderr"
            continue
        }
        need[name, ++count] = child
    }
    close(file)
    needs[name] = count
    for (line = 1; line <= count; line++) {
        child = need[name, line]
        if (!(child in state)) {
            walk(child)
        } else if (state[child] == 1) {
            if (!quiet) print "warning: " name " and " child " depend on each other" > "/dev/stderr"
            need[name, line] = ""
        }
    }
    state[name] = 2
}

function emit(name, target,    i) {
    if ((target, name) in printed) return
    printed[target, name] = 1
    for (i = needs[name]; i >= 1; i--) if (need[name, i] != "") emit(need[name, i], target)
    print name
}

{
    name = clean($0)
    if (name == "") next
    if (!valid(name)) {
        print "warning: not the name of an extension, ignored: " name > "/dev/stderr"
        next
    }
    if (!(name in state)) walk(name)
    print "@ " name
    emit(name, NR)
}
