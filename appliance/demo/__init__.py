"""`appliance demo`: a broker, a county and two windows on this one machine, started, watched and ended together."""

from appliance.demo.command import add_options, run_demo

__all__ = ["add_options", "run_demo"]
