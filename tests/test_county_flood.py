"""The shipped broker and the county's program while a window floods them: another window and the wall notice nothing.

`python -m tests.ground_flooded` is the same for five minutes, with everything that a window can say.
"""

from pathlib import Path

from tests.ground_flooded import flood

SAYS = ("true_facts", "numbers", "odd_texts", "broken")
PATIENCE_S = 10.0
"""How long a fact or a page may take on a machine whose two processors others use as well."""


def test_a_window_that_floods_is_its_own_delay(tmp_path: Path) -> None:
    seen = flood(tmp_path, 8.0, *SAYS, late_s=PATIENCE_S)
    assert [it["says"] for it in seen.said] == list(SAYS)
    assert min(it["packets"] for it in seen.said) > 20, seen.said
    assert sum(it["packets"] for it in seen.said) > 10_000, seen.said
    assert seen.unacked == 0, seen.lines()
    assert len(seen.acked_s) > 20
    assert max(seen.acked_s) < PATIENCE_S, seen.lines()
    assert not seen.page_failures
    assert max(seen.page_s) < PATIENCE_S, seen.lines()
    assert seen.rss_mb < 200
    assert seen.health["connected"]
    assert set(seen.health["flooding"]) == {"430602-0108-1"}
    assert "Traceback" not in (tmp_path / "county.log").read_text(encoding="utf-8")
