"""The settings of a county's end: `county.toml`, its sections and their defaults."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.settings import phrases
from appliance.settings.reading import read
from appliance.settings.shared import Address, Broker, ListenPort, ShortText, check_address, check_broker, text

Site = Annotated[str, text(r"[0-9]{4}", phrases.SITE)]
StationName = Annotated[str, text(r"[^\x00-\x1f\x7f]{1,33}医疗保障服务[站点]", phrases.STATION_NAME)]


class CountyName(msgspec.Struct, frozen=True):
    """Which county this is, after how many seconds without a word a window is silent, and which collector we are."""

    code: Annotated[str, text(r"[0-9]{6}", phrases.COUNTY_CODE)]
    name: ShortText
    stale_s: Annotated[int, Meta(ge=60, le=3600)] = 180
    # A letter first: no window's name begins so after the county's code, and the broker knows us by both together.
    collector: Annotated[str, text(r"([a-z][a-z0-9]{0,15})?", phrases.COLLECTOR)] = ""


class BookPlace(msgspec.Struct, frozen=True):
    """Where the county's book is kept, as an SQLAlchemy URL."""

    url: Annotated[
        str,
        Meta(
            pattern=r"sqlite:////[^\x00-\x1f]+|postgresql\+psycopg://[^\x00-\x1f]+",
            extra={"allowed": phrases.BOOK_URL, "private": True},
        ),
    ] = "sqlite:////var/lib/appliance-county/book.db"


class Office(msgspec.Struct, frozen=True):
    """Where the wall and the other pages of the county are served."""

    listen: Address = "127.0.0.1"
    port: ListenPort = 8090
    viewers: Annotated[int, Meta(ge=2, le=256)] = 32


class CountySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the county's end is told at its start; `stations`: a site's four digits to its official name."""

    county: CountyName
    book: BookPlace = BookPlace()
    broker: Broker
    office: Office = Office()
    stations: dict[Site, StationName] = {}


def load_county(path: Path | str) -> CountySettings:
    """Read `county.toml` once; raises SettingsWrong with one sentence."""
    file = Path(path)
    settings = read(file, CountySettings, "county.toml")
    check_broker(file, settings.broker)
    check_address(file, "[office] listen", settings.office.listen)
    return settings
