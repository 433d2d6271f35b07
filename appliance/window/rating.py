"""One visit, one rating: when the pad is open, and what a press means.

The rules:
- the pad opens when the clerk ends a visit, for `prompt_s`;
- the first press counts at once, and may be changed for `change_s` from then on; then the visit is closed;
- a machine that started again has no rating to change: the resident is gone;
- two keys within `together_s` count as neither: what the first of them had set is taken back;
- a key that nobody asked for is a stray press, no rating.
"""

from typing import Literal

import msgspec

from appliance.window.facts import Fact, Grade, PressStray, RatingChanged, RatingDeclined, RatingGiven
from appliance.window.happenings import KeyPresses
from appliance.window.moment import Moment, elapsed
from appliance.window.rules import Rules
from appliance.window.view import Asking


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A resident is asked.

    `given` is when the first press counted, `pressed` when the last did, `before` the grade before that one, and
    `taken_back` when two keys undid it.
    """

    visit: str
    opened: Moment
    clerk: str | None = None
    item: str | None = None
    grade: Grade | None = None
    given: Moment | None = None
    pressed: Moment | None = None
    before: Grade | None = None
    taken_back: Moment | None = None


def left(prompt: Prompt, now: Moment, rules: Rules) -> float:
    """Seconds that the prompt stays open; zero or less when it is over."""
    if prompt.grade is not None and prompt.given is not None:
        return rules.change_s - elapsed(prompt.given, now) if prompt.given.boot == now.boot else 0.0
    asked = elapsed(prompt.opened, now)
    rest = rules.prompt_s - asked
    if prompt.taken_back is None:
        return rest
    # A pair of keys pressed in the last second must not rob the resident of the press that counts; a hand that lies on
    # the pad must not keep it open for ever.
    again = rules.change_s - elapsed(prompt.taken_back, now)
    return min(max(rest, again), rules.prompt_s + 2 * rules.change_s - asked)


def asking(prompt: Prompt, now: Moment, rules: Rules) -> Asking:
    """What the display says of an open prompt, without the grade."""
    asks: Literal["press", "thanks", "two_keys"] = "press"
    if prompt.grade is not None:
        asks = "thanks"
    if prompt.taken_back is not None:
        asks = "two_keys"
    return Asking(visit=prompt.visit, asks=asks, left=max(0.0, left(prompt, now, rules)))


def press(prompt: Prompt, key: KeyPresses, rules: Rules) -> tuple[Fact, ...]:
    """What a press on an open prompt makes: a rating, a change, a pair taken back, or nothing."""
    if key.beside:
        return _take_back(prompt, key, rules)
    if prompt.grade is None:
        return (RatingGiven(visit=prompt.visit, grade=key.grade, item=prompt.item, clerk=prompt.clerk),)
    if key.grade == prompt.grade:
        return ()
    return (RatingChanged(visit=prompt.visit, grade=key.grade, was=prompt.grade, why="changed", clerk=prompt.clerk),)


def _take_back(prompt: Prompt, key: KeyPresses, rules: Rules) -> tuple[Fact, ...]:
    set_by_pair = (
        prompt.grade in key.beside and prompt.pressed is not None and elapsed(prompt.pressed, key.at) < rules.together_s
    )
    same_fist = prompt.taken_back is not None and elapsed(prompt.taken_back, key.at) < rules.together_s
    if same_fist:
        return ()
    grade = prompt.before if set_by_pair else prompt.grade
    return (RatingChanged(visit=prompt.visit, grade=grade, was=prompt.grade, why="two_keys", clerk=prompt.clerk),)


def stray(key: KeyPresses, away: bool) -> tuple[Fact, ...]:
    """A press that nobody asked for."""
    return (PressStray(key=key.grade, why="away" if away else "no_prompt"),)


def close(prompt: Prompt | None, why: Literal["timeout", "next_visit", "away"]) -> tuple[Fact, ...]:
    """The fact that ends a prompt without a rating; none when there is a rating or no prompt."""
    if prompt is None or prompt.grade is not None:
        return ()
    return (RatingDeclined(visit=prompt.visit, why=why, clerk=prompt.clerk),)


def given(prompt: Prompt, fact: RatingGiven, at: Moment) -> Prompt:
    """The prompt after a first rating."""
    return msgspec.structs.replace(prompt, grade=fact.grade, given=at, pressed=at, before=None, taken_back=None)


def changed(prompt: Prompt, fact: RatingChanged, at: Moment) -> Prompt:
    """The prompt after a change, or after a pair of keys was taken back."""
    if fact.why == "two_keys":
        given_still = None if fact.grade is None else prompt.given
        return msgspec.structs.replace(prompt, grade=fact.grade, given=given_still, pressed=None, taken_back=at)
    return msgspec.structs.replace(prompt, grade=fact.grade, pressed=at, before=fact.was, taken_back=None)
