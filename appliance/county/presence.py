"""Whether a window is there: what its presence, its last will and its silence say, as rules."""

from typing import Final, Literal

from appliance.wire import Presence

SILENCE_S: Final = 180
"""A window that has sent no health for so long is silent, whatever its presence says."""

Reach = Literal["online", "offline", "silent", "unknown"]


def heeded(said: Presence, online_session: int | None) -> bool:
    """Whether a presence counts: not an offline that is older than the last online we saw.

    A broker tells a window's last will when it notices that a connection is dead, which may be after the window has
    connected again. A session lower than before in an online is no error: a new card counts from one.
    """
    return said.online or online_session is None or said.session >= online_session


def reach(presence: Presence | None, quiet_s: float | None, silence_s: int = SILENCE_S) -> Reach:
    """How a window can be reached; `quiet_s` is for how long we listened and heard no health, None before the first."""
    if quiet_s is not None and quiet_s >= silence_s:
        return "silent"
    if presence is None:
        return "unknown" if quiet_s is None else "online"
    return "online" if presence.online else "offline"
