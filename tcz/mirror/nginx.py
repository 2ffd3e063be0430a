"""A configuration of nginx for a mirror: text in, text out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9*_.-]{1,253}\Z")
_UNQUOTABLE = re.compile(r'[\x00-\x1f\x7f"\\$]')

_TEXT = """\
# A mirror of Tiny Core packages. Include this within http {{ ... }}, for example as
# /etc/nginx/conf.d/mirror.conf; nginx -t checks it.

server {{
{listen}
    server_name {names};

    # A link to the state that is shown: publishing replaces it by one rename. nginx looks at it with
    # every request, as long as no open_file_cache remembers where it led.
    root {root};
    open_file_cache off;

    # The link above is ours; below it nothing is a link.
    disable_symlinks on from=$document_root;

    # A missing file is a 404, always: clients store whatever else they get as if it were the file.
    # Folders are no files; nothing lists them.
    autoindex off;
    location / {{
        try_files $uri =404;
    }}

    # Clients resume with ranges and ask whether a file changed. An older state may be shown again, so
    # that times are compared for equality. Nothing is packed on the way: ranges and the .gz files
    # would no longer be those of the files.
    etag on;
    if_modified_since exact;
    max_ranges 1;
    gzip off;
    sendfile on;
    tcp_nopush on;

    # A name may mean other bytes tomorrow: caches ask again, also for what was missing.
    add_header Cache-Control no-cache always;
    add_header X-Content-Type-Options nosniff always;

    types {{
        text/plain txt dep tree info list lst db;
        text/html html;
        application/json json;
        application/gzip gz;
        application/x-iso9660-image iso;
        application/x-zsync zsync;
    }}
    default_type application/octet-stream;

    # Nobody has anything to send here.
    client_max_body_size 1k;
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 60s;
    server_tokens off;
}}
"""


def configuration(
    public: Path,
    *,
    names: Sequence[str] = (),
    listen: Sequence[str] = ("80", "[::]:80"),
    tls: tuple[Path, Path] | None = None,
) -> str:
    """Return the configuration of a server for the folder ``public`` of a mirror.

    ``tls`` are the files of a certificate and its key. Plain HTTP stays beside it: Tiny Core's scripts
    speak HTTPS only with packages that they would have to fetch first. Raises ``ConfigError`` for a name or
    path that cannot be written down.
    """
    lines = [f"    listen {_address(address)};" for address in listen]
    if tls is not None:
        lines += [
            "    listen 443 ssl;",
            "    listen [::]:443 ssl;",
            f"    ssl_certificate {_quoted(tls[0])};",
            f"    ssl_certificate_key {_quoted(tls[1])};",
            "    ssl_protocols TLSv1.2 TLSv1.3;",
        ]
    for name in names:
        if not _NAME.match(name):
            raise ConfigError(f"{name!r} is not a server's name")
    return _TEXT.format(listen="\n".join(lines), names=" ".join(names) or "_", root=_quoted(public))


def _address(text: str) -> str:
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]:|[A-Za-z0-9.-]+:)?[0-9]{1,5}", text):
        raise ConfigError(f"{text!r} is no address to listen on", hint="such as 80, 127.0.0.1:8080, [::]:80")
    return text


def _quoted(path: Path) -> str:
    text = str(path)
    if _UNQUOTABLE.search(text):
        raise ConfigError(f"the path {text!r} cannot be written in a configuration of nginx")
    return f'"{text}"'
