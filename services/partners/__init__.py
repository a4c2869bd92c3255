"""Partners: what happened in the town reaches every system that may know it, at least once, signed, and in order for who reads."""
