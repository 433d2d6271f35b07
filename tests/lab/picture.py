"""Looks at a screen as a person across the room does: is there light, and is it another page than before?"""

import io

from PIL import Image, ImageChops

SIZE = (256, 150)
# A page that changes changes more than a clock's minute does.
ANOTHER, STEP, DARK = 0.02, 24, 32
WRITTEN, NEAR = 0.03, 6


def seen(png: bytes) -> Image.Image:
    """A picture small and grey."""
    return Image.open(io.BytesIO(png)).convert("L").resize(SIZE)


def differs(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures are of different pages."""
    histogram = ImageChops.difference(one, other).histogram()
    return sum(histogram[STEP:]) > ANOTHER * SIZE[0] * SIZE[1]


def coloured(png: bytes, colour: tuple[int, int, int]) -> float:
    """How much of a picture, 0 to 1, has a colour of our own pages."""
    parts = Image.open(io.BytesIO(png)).convert("RGB").split()
    near = [
        part.point([255 * (abs(at - value) <= NEAR) for at in range(256)])
        for part, value in zip(parts, colour, strict=True)
    ]
    every = ImageChops.darker(near[0], ImageChops.darker(near[1], near[2]))
    return every.histogram()[255] / (every.width * every.height)


def written(picture: Image.Image) -> bool:
    """Whether a page has something on it: many edges, where a blank one has at most those of its frame."""
    wide, high = SIZE
    edges = ImageChops.difference(picture.crop((1, 0, wide, high)), picture.crop((0, 0, wide - 1, high))).histogram()
    return lit(picture) and sum(edges[STEP:]) > WRITTEN * wide * high


def lit(picture: Image.Image) -> bool:
    """Whether there is a page at all: most of a page of ours is light, and a console or nothing is dark."""
    return sum(picture.histogram()[DARK:]) > 0.5 * SIZE[0] * SIZE[1]
