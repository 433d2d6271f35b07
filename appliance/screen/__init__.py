"""One page on one screen: starts the browser and watches the page in it (`appliance screen`, run by sway's kiosk.conf).

The standard library alone, and little of it: two of these run on every Pi.
"""

from appliance.screen.watcher import NAMES, Screen, show

__all__ = ["NAMES", "Screen", "show"]
