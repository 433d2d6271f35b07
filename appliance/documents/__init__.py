"""The county documents that come with the program, in force until the county sends its own."""

from importlib.resources import files


def shipped(name: str) -> bytes:
    """The shipped document of that name, as it would come over the wire."""
    return files(__name__).joinpath(f"{name}.json").read_bytes()
