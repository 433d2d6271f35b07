"""The pins that everything is wired to, ours and our peers' alike (BCM numbers)."""

KEYS = (5, 6, 13, 19, 26)
LAMP = 17
