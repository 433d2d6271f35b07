"""Draws characters: the rare ones that a printer lacks as dots, and every one for pictures of papers."""

import importlib.util
import logging
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.guard import DeviceTrouble, guarded
from appliance.paper.cmap import Characters, characters
from appliance.paper.sheet import CELL, ROW

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

log = logging.getLogger(__name__)

DEBIAN = (
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/truetype/hanazono/HanaMinA.ttf"),
    Path("/usr/share/fonts/truetype/hanazono/HanaMinB.ttf"),
)
"""Where Debian's fonts-noto-cjk and fonts-hanazono put what we need; the first that has a character draws it."""

_WANTED_FACES = ("Noto Sans Mono CJK SC", "Noto Sans CJK SC")
"""Of a collection: Chinese forms, not Japanese, and Latin letters half as wide as a character if there are such."""

_BASELINE = 0.88
"""Of the square of a Chinese character, what lies above the baseline."""

_INK = 110
"""Grey of 255 from which a dot is burnt: thin strokes survive, dense characters do not fill up."""


def installed() -> tuple[Path, ...]:
    """The fonts that this machine has: Debian's, else the Noto Sans SC of the PyPI package pylopdf-fonts-zh-cn."""
    return _that_exist(lambda: DEBIAN) or _that_exist(_carried)


def _that_exist(paths: Callable[[], tuple[Path, ...]]) -> tuple[Path, ...]:
    try:
        with guarded():
            return tuple(path for path in paths() if path.is_file())
    except DeviceTrouble as trouble:
        log.warning("fonts cannot be looked for: %s", trouble.detail)
        return ()


def _carried() -> tuple[Path, ...]:
    package = importlib.util.find_spec("pylopdf_fonts_zh_cn")
    if package is None or not package.submodule_search_locations:
        return ()
    return (Path(package.submodule_search_locations[0], "NotoSansSC-Regular.otf"),)


class Font:
    """One font file; its table of characters and its face are read when they are first asked for.

    One that cannot be read has no characters; it is `broken`, and is tried again at the next character.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sized = lru_cache(maxsize=8)(self._sized)
        self.broken = ""

    def __contains__(self, char: str) -> bool:
        try:
            with guarded():
                found = char in self._characters
        except DeviceTrouble as trouble:
            self.breaks(trouble)
            return False
        self.broken = ""
        return found

    def look(self) -> None:
        """Whether there is such a file to read at all; what is in it is read when it is needed, or once it was bad."""
        if self.broken:
            "一" in self  # noqa: B015  reads the table of characters, or finds it broken again
            return
        try:
            with guarded(), self.path.open("rb") as file:
                file.read(1)
        except DeviceTrouble as trouble:
            self.breaks(trouble)

    def breaks(self, trouble: DeviceTrouble) -> None:
        """It could not be used just now."""
        if not self.broken:
            log.warning("font %s cannot be used: %s", self.path, trouble.detail)
        self.broken = trouble.detail

    @cached_property
    def _face(self) -> int:
        """Which face of a collection is ours; 0 for a plain font."""
        if self.path.suffix != ".ttc":
            return 0
        from PIL import ImageFont

        names: dict[str | None, int] = {}
        for number in range(64):
            try:
                names.setdefault(ImageFont.truetype(self.path, 24, number).getname()[0], number)
            except OSError:  # there is no such face: the collection ends
                break
        return next((names[name] for name in _WANTED_FACES if name in names), 0)

    @cached_property
    def _characters(self) -> Characters:
        return characters(self.path, self._face)

    def _sized(self, pixels: int) -> "FreeTypeFont":
        """The font at a height of `pixels` for a Chinese character."""
        from PIL import ImageFont

        return ImageFont.truetype(self.path, pixels, self._face, layout_engine=ImageFont.Layout.BASIC)


class Glyphs:
    """All fonts of a machine as one; a character comes from the first that has it."""

    def __init__(self, paths: Iterable[Path] | None = None) -> None:
        self._fonts = [Font(path) for path in (installed() if paths is None else paths)]
        self.grey = lru_cache(maxsize=1024)(self._grey)
        self.dots = lru_cache(maxsize=256)(self._dots)

    def has(self, char: str) -> bool:
        """Whether a character can be drawn and leaves ink: some fonts map characters to empty glyphs."""
        font = self._font(char)
        if font is None:
            return False
        try:
            with guarded():
                return any(self.dots(char))
        except DeviceTrouble as trouble:  # the file is damaged inside
            font.breaks(trouble)
            return False

    @property
    def broken(self) -> dict[Path, str]:
        """The fonts that could not be read or drawn from when they were last needed, and why."""
        return {font.path: font.broken for font in self._fonts if font.broken}

    def look(self) -> None:
        """See whether every font file is there."""
        for font in self._fonts:
            font.look()

    def _font(self, char: str) -> Font | None:
        return next((font for font in self._fonts if char in font), None)

    def _grey(self, char: str, cells: int, pixels: int) -> "Image":
        """A character as grey ink (255 is black) in a picture `pixels` high and half that wide for each cell."""
        from PIL import Image, ImageDraw

        across = cells * pixels * CELL // ROW
        image = Image.new("L", (across, pixels))
        font = self._font(char)
        if font is None:
            _box(image)
        elif not char.isspace():
            ImageDraw.Draw(image).text(
                (across / 2, pixels * _BASELINE), char, fill=255, font=font.sized(pixels), anchor="ms"
            )
        return image

    def _dots(self, char: str) -> bytes:
        """The 72 bytes of a character as 24 columns of 24 dots, each three bytes from the top."""
        ink = self._grey(char, 2, ROW).point(lambda grey: 255 * (grey >= _INK))
        # Columns from the left are rows of the transposed picture, and "1" packs eight dots a byte from the first.
        from PIL.Image import Transpose

        return ink.transpose(Transpose.TRANSPOSE).convert("1").tobytes()


def _box(image: "Image") -> None:
    """What a picture shows where this machine has no font for what the printer prints by itself."""
    from PIL import ImageDraw

    ImageDraw.Draw(image).rectangle((1, 1, image.width - 2, image.height - 2), outline=255)
