# Reads modules.dep and then a list of wanted modules; prints the wanted files and all they depend on, as
# paths below kernel/. A file named in `taken` is left out: another list has it already.
#
# A line of the list is one of
#   name           a module by its name; an error when there is none, unless it is built in
#   dir/glob*      modules by path, without suffix; * stays within a folder
#   dir/           all modules below a folder
#   !any of these  not those, unless another module depends on them

function plain(path) {
    sub(/^kernel\//, "", path)
    sub(/\.ko(\.[a-z]+)?$/, "", path)
    return path
}
function name_of(path) {
    sub(/^.*\//, "", path)
    gsub(/-/, "_", path)
    return path
}
function matcher(glob) {
    gsub(/[.+]/, "\\\\&", glob)
    gsub(/\*/, "[^/]*", glob)
    return glob ~ /\/$/ ? "^" glob : "^" glob "$"
}
function fail(text) {
    print text >"/dev/stderr"
    failed = 1
}
BEGIN {
    while (builtin != "" && (getline line <builtin) > 0) is_builtin[name_of(plain(line))] = 1
    while (taken != "" && (getline line <taken) > 0) is_taken[plain(line)] = 1
}
FNR == NR {
    sub(/:/, "", $1)
    key = plain($1)
    file[key] = $1
    sub(/^kernel\//, "", file[key])
    by_name[name_of(key)] = key
    for (i = 2; i <= NF; i++) needs[key, i - 1] = plain($i)
    count[key] = NF - 1
    next
}
{
    sub(/#.*/, "")
    gsub(/[ \t]/, "")
    if ($0 == "") next
    no = sub(/^!/, "")
    if ($0 !~ /\//) {
        gsub(/-/, "_")
        if ($0 in by_name) {
            if (no) delete wanted[by_name[$0]]
            else wanted[by_name[$0]] = 1
        } else if (!($0 in is_builtin)) fail(FILENAME ":" FNR ": no module is called " $0)
        next
    }
    pattern = matcher($0)
    for (key in file)
        if (key ~ pattern) {
            if (no) delete wanted[key]
            else wanted[key] = 1
        }
}
END {
    if (failed) exit 1
    for (key in wanted) {
        all[key] = 1
        for (i = 1; i <= count[key]; i++) all[needs[key, i]] = 1
    }
    for (key in all)
        if (!(key in is_taken)) print file[key]
}
