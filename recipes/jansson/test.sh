#!/bin/sh
set -eu

cat >json.c <<'END'
#include <jansson.h>
#include <stdio.h>
int main(void)
{
    json_error_t error;
    json_t *root = json_loads("{\"b\": [1, 2.5, \"\\u00e4\"], \"a\": null}", 0, &error);
    return !root || json_dumpf(root, stdout, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENSURE_ASCII);
}
END
gcc -I"$DEST/usr/local/include" json.c -L"$DEST/usr/local/lib" -ljansson -o json
[ "$(LD_LIBRARY_PATH=$DEST/usr/local/lib ./json)" = '{"a":null,"b":[1,2.5,"\u00E4"]}' ]
