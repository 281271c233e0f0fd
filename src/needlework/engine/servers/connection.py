"""The HTTP connection to a server: whom it trusts, and which proxies it goes through."""

import os
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import openai

from needlework.errors import ServerError

HERE = ("127.0.0.1", "localhost", "::1")


def connection(
    url: str, before_sending: Callable[[Any], Awaitable[None]]
) -> openai.DefaultAsyncHttpxClient:
    """A client of HTTP that follows no redirect and shows every request before it is sent.

    Raises:
        ServerError: the environment names certificates or proxies that are of no use.
    """
    trusted = _trusted()
    try:
        return openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            # What an environment says of proxies is for hosts elsewhere.
            trust_env=urlsplit(url).hostname not in HERE,
            verify=trusted,
            event_hooks={"request": [before_sending]},
        )
    except (ImportError, ValueError) as error:
        told = " ".join(str(error).split())
        raise ServerError(
            f"{url}: the proxies that the environment names are of no use ({told}); correct "
            "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or name the host in NO_PROXY"
        ) from error


def _trusted() -> ssl.SSLContext | bool:
    """The certificates that SSL_CERT_FILE and SSL_CERT_DIR name; True for the usual ones.

    Raises:
        ServerError: they name none.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not (file or folder):
        return True
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:
        raise ServerError(
            f"the certificates in {file or folder} cannot be read ({error.strerror or error}); let "
            "SSL_CERT_FILE name a file with the certificate authority of the server in PEM format, "
            "or unset it"
        ) from error
