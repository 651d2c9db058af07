"""Looking from outside: is the port free, do the workers answer, is there a browser to open."""

import http.client
import os
import socket
import sys
import threading
import time
import webbrowser

_PROBE_TIMEOUT_S = 0.5
_PORT_WAIT_S = 1.0
_PORT_POLL_S = 0.05


class CannotStart(RuntimeError):
    """Something outside is in the way of the start. The message says what, and how to get it out of the way."""


def require_free_port(host: str, port: int, option: str) -> None:
    """Raise CannotStart when somebody listens there: granian's workers share their port and would not notice.

    Waits a moment, since a predecessor that was killed may still be letting go.
    """
    deadline = time.monotonic() + _PORT_WAIT_S
    while True:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"cannot listen on {host}:{port}: {error.strerror}. Choose another {option}"
                ) from error
            time.sleep(_PORT_POLL_S)
        else:
            return


def answers_ready(host: str, port: int) -> bool:
    """Whether a worker that listens on `host` answers `/readyz` with 200."""
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reachable_host(host: str) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (not a bind)


def has_browser() -> bool:
    """Whether somebody sits at a screen: a text browser must not take over the terminal."""
    has_screen = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_screen and sys.stdout.isatty()


def has_terminal() -> bool:
    """Whether a terminal controls us; after it was closed, none does."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def drop_output() -> None:
    """Send what we print to nowhere: the terminal is gone, and writing to it would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def open_browser(url: str) -> None:
    """Open the page in the user's browser, beside everything else and of no consequence if it fails."""
    threading.Thread(target=_open, args=(url,), name="browser", daemon=True).start()


def _open(url: str) -> None:
    try:
        webbrowser.open(url)
    except (OSError, webbrowser.Error):
        return
