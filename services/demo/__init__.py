"""Demo: a made-up town to try everything on, the same town every time and nobody's real data."""
