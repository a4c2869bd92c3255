"""Children's rooms: every child inside is watched over, and goes home only with somebody their guardians trust."""
