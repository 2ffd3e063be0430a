#!/bin/sh
set -eu

cat >zip.c <<'END'
#include <string.h>
#include <zlib.h>
int main(void)
{
    Bytef packed[64], plain[64];
    uLongf packed_size = sizeof packed, plain_size = sizeof plain;
    return compress(packed, &packed_size, (const Bytef *)"text", 5) != Z_OK ||
        uncompress(plain, &plain_size, packed, packed_size) != Z_OK || strcmp((char *)plain, "text") != 0;
}
END
gcc -I"$DEST/usr/local/include" zip.c -L"$DEST/usr/local/lib" -lz -o zip
LD_LIBRARY_PATH=$DEST/usr/local/lib ./zip
! grep -r x86_64-linux-gnu "$DEST/usr/local/lib/pkgconfig"
