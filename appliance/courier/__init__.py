"""The courier: carries facts to the county until the county says that it has them, and brings orders back."""

from appliance.courier.courier import Courier, Link
from appliance.courier.dial import Address
from appliance.courier.letters import Ordered
from appliance.courier.line import Pace

__all__ = ["Address", "Courier", "Link", "Ordered", "Pace"]
