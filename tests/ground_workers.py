"""Which worker of pytest-xdist runs which tests: those of a file that makes something for all of them stay together.

Not by xdist's own groups: it writes a test's group where pytest 9.2 no longer reads it, and so keeps none together.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ground_kinds import shares

HERE = Path(__file__).parent

if TYPE_CHECKING:
    from xdist.scheduler.protocol import Scheduling


def scheduling(config: pytest.Config, log: object) -> "Scheduling":
    """Work in the order of the tests, a file that shares as one piece, every other test by itself."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class TogetherScheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return piece_of(nodeid)

    config.option.loadscopereorder = False
    return TogetherScheduling(config, log)


def piece_of(nodeid: str) -> str:
    """The piece of work that a test belongs to."""
    file = nodeid.partition("::")[0]
    return file if shares(HERE.parent / file) else nodeid
