"""Where a line of Chinese and Latin text may end, and how it is broken to a width."""

from collections.abc import Iterable, Sequence

from appliance.paper.sheet import Mark

NO_START = frozenset("，。、；：？！）》」』】〉〕”’…—·,.;:?!)]}%％℃°/／")
"""Signs that never begin a line."""

NO_END = frozenset("（《「『【〈〔“‘￥([{$#№")
"""Signs that never end a line."""

_UNITS = frozenset("年月日时分秒元角件页个份号天次岁楼室")
_Marks = tuple[Mark, ...]


def width(marks: Iterable[Mark]) -> int:
    """Cells of normal width that marks take."""
    return sum(mark.cells for mark in marks)


def wrap(marks: Sequence[Mark], cells: int) -> list[_Marks]:
    """Marks as lines of at most `cells` (2 or more), one empty line for none; spaces at a break are dropped."""
    lines: list[list[Mark]] = [[]]
    for cluster in _clusters(marks):
        if width(lines[-1]) + width(cluster) <= cells:
            lines[-1] += cluster
        elif cluster[0].char != " ":
            _go_on(lines, cluster, cells)
    return [without_end_spaces(line) for line in lines]


def _go_on(lines: list[list[Mark]], cluster: list[Mark], cells: int) -> None:
    """Put a cluster on the next line, or, longer than a line itself, break it wherever lines are full."""
    if width(cluster) <= cells:
        lines.append(cluster)
        return
    for mark in cluster:
        if width(lines[-1]) + mark.cells > cells:
            lines.append(_take_back(lines[-1], mark, cells))
        lines[-1].append(mark)


def _take_back(line: list[Mark], mark: Mark, cells: int) -> list[Mark]:
    """Take from the end of a full line what must not be parted from the mark after it, unless that is all of it."""
    whole = [*line, mark]
    for at in range(len(line), 0, -1):
        if width(whole[at:]) > cells:
            break
        if _may_part(whole[at - 1].char, whole[at].char):
            taken = line[at:]
            del line[at:]
            return taken
    return []


def _may_part(left: str, right: str) -> bool:
    return left not in NO_END and right not in NO_START and right != " "


def without_end_spaces(line: Sequence[Mark]) -> _Marks:
    """Marks up to the last that is not a space."""
    end = len(line)
    while end and line[end - 1].char == " ":
        end -= 1
    return tuple(line[:end])


def _clusters(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Marks in groups between which a line may end."""
    groups: list[list[Mark]] = []
    for mark in marks:
        if groups and _stay_together(groups[-1][-1].char, mark.char):
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return groups


def _stay_together(left: str, right: str) -> bool:
    if " " in (left, right):
        return False
    if right in NO_START or left in NO_END:
        return True
    if left.isascii() and right.isascii():
        return True
    # A date or a count is read at one glance only when it stands in one line.
    return (left.isdigit() and right in _UNITS) or (left in _UNITS and right.isdigit())
