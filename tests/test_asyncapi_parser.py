"""AsyncAPI's own parser finds nothing in the published document, not even a recommendation.

The parser is JavaScript: npm installs what `requirements/asyncapi-parser/` locks, once, into the virtual environment.
Where npm is missing or has no registry a warning says that the document was not tried, and CI fails.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import asyncapi

LOCK = Path(__file__).parents[1] / "requirements" / "asyncapi-parser"
READ = """
const { Parser } = require("@asyncapi/parser");
let text = "";
process.stdin.on("data", (part) => { text += part; }).on("end", async () => {
  const { document, diagnostics } = await new Parser().parse(text);
  const said = diagnostics.map(({ code, path, message }) => `${code} at ${path.join("/")}: ${message}`);
  console.log(JSON.stringify({ messages: document ? document.allMessages().all().length : null, said }));
});
"""


@pytest.fixture(scope="module")
def parser() -> Path | None:
    """The folder that the parser is installed in, None where it cannot be."""
    try:
        return installed()
    except (OSError, subprocess.SubprocessError) as problem:
        if "CI" in os.environ:
            raise
        warnings.warn(f"asyncapi.json WAS NOT TRIED with @asyncapi/parser: {problem}", stacklevel=1)
        return None


def installed() -> Path:
    lock = (LOCK / "package-lock.json").read_bytes()
    place = Path(sys.prefix) / f"asyncapi-parser-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not place.exists():
        making = place.with_suffix(f".{os.getpid()}")
        shutil.copytree(LOCK, making)
        try:
            subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=making, check=True, capture_output=True, timeout=500,
            )  # fmt: skip
            making.rename(place)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return place


def found(parser: Path, document: str) -> dict[str, Any]:
    run = subprocess.run(
        ["node", "-e", READ], cwd=parser, input=document, check=True, capture_output=True, text=True, timeout=500
    )
    said: dict[str, Any] = msgspec.json.decode(run.stdout)
    return said


def test_the_parser_finds_nothing_in_the_published_document(parser: Path | None) -> None:
    if parser:
        messages = len(asyncapi.document()["components"]["messages"])
        assert found(parser, asyncapi.text()) == {"messages": messages, "said": []}


def test_the_parser_finds_a_channel_that_is_none(parser: Path | None) -> None:
    document = asyncapi.document()
    document["operations"]["sendStatus"]["channel"]["$ref"] = "#/channels/nowhere"
    if parser:
        assert found(parser, msgspec.json.encode(document).decode())["said"]
