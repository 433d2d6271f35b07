"""The one page in the browser: sent somewhere, looked at, and what the browser says of it."""

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from appliance.screen.talk import Event, Gone, NoAnswer, Talk

LOOK = """(() => {
    const page = document.body;
    return {
        href: location.href,
        status: performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0,
        loaded: document.readyState === "complete",
        words: Boolean(page?.offsetHeight && page.innerText.trim()),
        live: !page?.dataset.stream || "live" in page.dataset,
    };
})()"""
"""`live`: live.js marks a page whose stream it keeps."""


class Look(NamedTuple):
    """What the page itself says that it is."""

    href: str
    status: int
    loaded: bool
    words: bool
    live: bool


class Page:
    """The first page that the browser opens; every other one is closed."""

    def __init__(self, talk: Talk, patience: float) -> None:
        self._talk = talk
        self._target = ""
        talk.ask("Target.setDiscoverTargets", patience, discover=True)
        deadline = monotonic() + patience
        while not self._target:
            event = talk.hear(deadline - monotonic())
            if event is None:
                raise NoAnswer(f"the browser opened no page in {patience:g} s")
            if _opens_page(event):
                self._target = event.params["targetInfo"]["targetId"]
        attached = talk.ask("Target.attachToTarget", patience, targetId=self._target, flatten=True)
        self._session: str = attached["sessionId"]
        talk.ask("Page.enable", patience, session=self._session)

    def go(self, address: str, within: float) -> None:
        """Send the page there; also one whose renderer has crashed or hangs."""
        self._talk.forget()
        self._talk.ask("Page.navigate", within, session=self._session, url=address)

    def look(self, within: float) -> Look:
        """What is on the page; NoAnswer when it hangs."""
        answer = self._talk.ask(
            "Runtime.evaluate", within, session=self._session, expression=LOOK, returnByValue=True, silent=True
        )
        value = answer.get("result", {}).get("value")
        if not isinstance(value, dict) or set(value) != set(Look._fields):
            raise NoAnswer(f"the page cannot say what it is: {str(answer)[:200]}")
        return Look(**value)

    def lost(self, within: float) -> str | None:
        """Listen for up to `within` seconds; why the page is no longer ours to look at, None when all is well."""
        deadline = monotonic() + within
        while (event := self._talk.hear(deadline - monotonic())) is not None:
            heard = HEARD.get(event.method)
            if heard is not None and (why := heard(self, event.params)) is not None:
                return why
        return None

    def _crashed(self, params: dict[str, Any]) -> str | None:
        return "its renderer crashed" if params["targetId"] == self._target else None

    def _closed(self, params: dict[str, Any]) -> str | None:
        if params["targetId"] == self._target:
            raise Gone("the page was closed")
        return None

    def _navigated(self, params: dict[str, Any]) -> str | None:
        """The browser's own page about an address that it did not reach."""
        frame = params["frame"]
        unreached: str | None = None if "parentId" in frame else frame.get("unreachableUrl")
        return None if unreached is None else f"{unreached} was not reached"

    def _asked(self, _params: dict[str, Any]) -> str | None:
        """A question in a box of the browser stops the page, and nobody is there to answer a resident's."""
        self._talk.tell("Page.handleJavaScriptDialog", session=self._session, accept=True)
        return None

    def _opened(self, params: dict[str, Any]) -> str | None:
        found = params["targetInfo"]
        if _is_page(found) and found["targetId"] != self._target:
            self._talk.tell("Target.closeTarget", targetId=found["targetId"])
        return None


HEARD: dict[str, Callable[[Page, dict[str, Any]], str | None]] = {
    "Target.targetCrashed": Page._crashed,
    "Target.targetDestroyed": Page._closed,
    "Target.targetCreated": Page._opened,
    "Page.frameNavigated": Page._navigated,
    "Page.javascriptDialogOpening": Page._asked,
}


def _opens_page(event: Event) -> bool:
    return event.method == "Target.targetCreated" and _is_page(event.params["targetInfo"])


def _is_page(found: dict[str, Any]) -> bool:
    return found["type"] == "page" and not found.get("subtype")
