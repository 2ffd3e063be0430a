#!/bin/sh
# Every file is well formed, and the filter is one that denies what it does not list.
set -eu

cd "$DEST/usr/local/share/containers"
python3 - <<'PYTHON'
import json, pathlib, tomllib

here = pathlib.Path()
settings = [tomllib.loads(path.read_text()) for path in sorted(here.glob("**/*.conf"))]
assert len(settings) == 3, settings
assert json.loads((here / "policy.json").read_text())["default"]
filter = json.loads((here / "seccomp.json").read_text())
assert filter["defaultAction"] == "SCMP_ACT_ERRNO" and len(filter["syscalls"]) > 10
PYTHON
sh -n "$DEST/usr/local/tce.installed/containers-common"
