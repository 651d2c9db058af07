"""Who does something: a user's session, an admin token, the config file, a command at the machine, the plane itself."""

from typing import Literal

import msgspec

from admin_api.store.credentials import Role as Role  # noqa: PLC0414  (as the frame's other rooms know it)

ActorKind = Literal["user", "token", "config-file", "command", "system"]


class Actor(msgspec.Struct, frozen=True):
    """`id` is a user's or token's, else empty; `name` what the audit log shows; `address` where it came from."""

    kind: ActorKind
    name: str
    id: str = ""
    role: Role = "owner"
    address: str = ""
    scopes: tuple[str, ...] = ()
    """Paths, with all below them, to which a token is bound; empty = none."""


SYSTEM = Actor("system", "omniroute")
CONFIG_FILE = Actor("config-file", "config file")
NOBODY = Actor("user", "not logged in", role="viewer")
COMMAND = Actor("command", "command line")
