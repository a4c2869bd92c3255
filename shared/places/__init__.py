"""Places are the same everywhere: what is open when, under which rules, and what becomes of it when it must close."""
