"""The service window appliance: one program for a window of a medical-insurance station, one for its county."""

__version__ = "0.1.0"
