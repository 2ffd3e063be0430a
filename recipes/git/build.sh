#!/bin/sh
set -eu

# What is a link may be one: a copy of git per command would be 140 of them.
cat >config.mak <<END
prefix = /usr/local
sysconfdir = /usr/local/etc
CFLAGS = -O2
NO_PERL = 1
NO_PYTHON = 1
NO_TCLTK = 1
NO_GETTEXT = 1
NO_EXPAT = 1
NO_OPENSSL = 1
NO_CROSS_DIRECTORY_HARDLINKS = 1
NO_INSTALL_HARDLINKS = 1
INSTALL_SYMLINKS = 1
SKIP_DASHED_BUILT_INS = 1
CURL_CONFIG = /build/local/bin/curl-config
DEFAULT_EDITOR = vi
END
# What is made by default holds hundreds of programs that test it.
set -- TEST_PROGRAMS= TEST_PROGRAMS_NEED_X= UNIT_TEST_PROGS= CLAR_TEST_PROG= FUZZ_OBJS=
make -j"$JOBS" "$@" all
make "$@" install DESTDIR="$DEST"
# What needs Perl or Python, and what serves or speaks to servers of old kinds.
cd "$DEST/usr/local/libexec/git-core"
rm -f git-archimport git-cvsexportcommit git-cvsimport git-cvsserver git-instaweb git-p4 git-send-email git-svn \
    git-daemon git-http-backend git-http-push git-imap-send git-shell git-quiltimport git-request-pull \
    git-web--browse git-difftool--helper git-mergetool git-mergetool--lib scalar
rm -rf mergetools "$DEST/usr/local/bin/git-cvsserver" "$DEST/usr/local/bin/git-shell" "$DEST/usr/local/bin/scalar"
install -Dm 644 "$SRC/COPYING" "$DEST/usr/local/share/doc/git/COPYING"
