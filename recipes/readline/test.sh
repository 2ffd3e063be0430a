#!/bin/sh
set -eu

cat >line.c <<'END'
#include <stdio.h>
#include <string.h>
#include <readline/readline.h>
int main(void)
{
    char *line = readline("");
    return line == NULL || strcmp(line, "typed") != 0;
}
END
gcc -I"$DEST/usr/local/include" line.c -L"$DEST/usr/local/lib" -lreadline -o line
echo typed | LD_LIBRARY_PATH=$DEST/usr/local/lib:$LD_LIBRARY_PATH ./line
