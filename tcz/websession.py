"""Sessions of HTTP: whose certificates are believed, and where a redirect may lead.

A session of ``requests`` believes the authorities that come with it, or those of ``REQUESTS_CA_BUNDLE`` and
``CURL_CA_BUNDLE``. Here ``SSL_CERT_FILE``, which OpenSSL and most other programs honour, counts after those,
and a file that is named for one mirror before.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from tcz.errors import ConfigError, FetchError

if TYPE_CHECKING:
    import requests

#: Variables that name authorities, the first before the others.
VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_CERTIFICATE: Final = b"-----BEGIN "
#: Of OpenSSL's X509_V_ERR_...: not yet valid, expired, another name, another address.
_NOT_THE_AUTHORITY: Final = (9, 10, 62, 64)


def session(authorities: str = "") -> requests.Session:
    """Return a new session; ``authorities`` is a file of certificates in PEM, empty for the usual ones.

    Its requests raise ``ConfigError`` for https with a file that holds no certificates, and ``FetchError``
    where a server leads from https to http: what came then could be anybody's.
    """
    import requests  # noqa: PLC0415 - slow to import

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            target = super().get_redirect_target(resp)
            if target is not None and urlsplit(resp.url).scheme == "https":
                following = urljoin(resp.url, target)
                if urlsplit(following).scheme != "https":
                    raise FetchError(
                        "the server leads from https to an address without",
                        where=resp.url,
                        why=f"it names {following}",
                        hint="name that address yourself, if what comes from there is verified",
                    )
            return target

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401
            if str(request.url).startswith("https:"):
                options["verify"] = _trusted(authorities)
            return super().send(request, **options)

    return Session()


def _trusted(authorities: str) -> str | bool:
    named = (("ca", authorities), *((name, os.environ.get(name, "")) for name in VARIABLES))
    for name, path in named:
        if path:
            try:
                sound = Path(path).is_dir() or _CERTIFICATE in Path(path).read_bytes()
            except OSError:
                sound = False
            if not sound:
                raise ConfigError(f"{path} holds no certificates", hint=f"{name} names it; the format is PEM")
            return path
    return True


def refuse_stranger(error: BaseException, url: str) -> None:
    """Raise ``FetchError`` where a request failed because the server's certificate is not believed."""
    found = _certificate_fault(error)
    if found is not None:
        raise FetchError(
            "the certificate of the server is not believed",
            where=url,
            why=found.verify_message.rstrip("."),
            hint="ask who runs the server"
            if found.verify_code in _NOT_THE_AUTHORITY
            else "if its authority is one of your own, name it: SSL_CERT_FILE, or ca of a configured mirror",
        ) from error


def _certificate_fault(error: BaseException) -> ssl.SSLCertVerificationError | None:
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, ssl.SSLCertVerificationError):
            return one
        seen.add(id(one))
        nested = (getattr(one, "reason", None), one.__cause__, one.__context__, *one.args)
        waiting += [other for other in nested if isinstance(other, BaseException) and id(other) not in seen]
    return None
