"""The pages at the window: the clerk's panel, the resident's display, the bench."""
