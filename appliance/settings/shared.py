"""What a window's and a county's settings share: words with bounds, and the way to the broker."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from appliance.settings import phrases
from appliance.settings.reading import SettingsWrong


def text(pattern: str, allowed: str) -> Any:
    return Meta(pattern=pattern, extra={"allowed": allowed})


ShortText = Annotated[str, text(r"[^\x00-\x1f\x7f]{1,40}", phrases.SHORT_TEXT)]
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The bounds of a name (RFC 1035): Python's own look-up raises no OSError for a name beyond them.
Host = Annotated[str, text(rf"{_LABEL}(\.{_LABEL}){{0,30}}|[0-9A-Fa-f:]{{2,39}}", phrases.HOST)]
Address = Annotated[str, text(r"[0-9A-Fa-f.:]{2,39}", phrases.ADDRESS)]
Port = Annotated[int, Meta(ge=1, le=65535)]
# Below 1024 a service without privileges cannot listen.
ListenPort = Annotated[int, Meta(ge=1024, le=65535)]
File = Annotated[Path, Meta(extra={"exists": True})]


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """The way to the MQTT broker: by certificate (three files), by password (two keys), or bare on one machine."""

    host: Host
    port: Port = 8883
    username: Annotated[str, text(r"[^\x00-\x20/+#\x7f]{1,64}", phrases.USERNAME)] | None = None
    password_file: File | None = None
    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=600)] = 10


LONGEST_PASSWORD = 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_broker(file: Path, broker: Broker) -> None:
    """Raise SettingsWrong for half a key pair, a password without a name, or one that would cross a network bare."""
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file"), ("password_file", "username")):
        if getattr(broker, one) is not None and getattr(broker, other) is None:
            raise SettingsWrong(phrases.half(file, "[broker]", one, other))
    if broker.cert_file is not None and broker.ca_file is None:
        raise SettingsWrong(phrases.half(file, "[broker]", "cert_file", "ca_file"))
    if broker.password_file is not None and broker.ca_file is None and broker.host not in LOOPBACK:
        raise SettingsWrong(phrases.open_password(file, broker.host))


def check_address(file: Path, where: str, listen: str) -> None:
    """Raise SettingsWrong unless `listen` is an IP address."""
    try:
        ip_address(listen)
    except ValueError:
        raise SettingsWrong(phrases.wrong(file, where, phrases.found(listen), phrases.ADDRESS)) from None


def password(broker: Broker) -> str | None:
    """The first line of the password file, read when asked for; raises SettingsWrong when there is nothing in it."""
    if broker.password_file is None:
        return None
    try:
        lines = broker.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsWrong(phrases.unreadable(broker.password_file, error)) from None
    if not lines or not lines[0]:
        raise SettingsWrong(phrases.empty_password(broker.password_file))
    if len(lines[0]) > LONGEST_PASSWORD:
        raise SettingsWrong(phrases.long_password(broker.password_file, LONGEST_PASSWORD))
    return lines[0]
