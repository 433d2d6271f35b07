"""The other end of the wire: what the county collects, keeps and shows."""
