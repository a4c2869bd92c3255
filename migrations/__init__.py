"""The schema's history: one migration a change, each tried both ways on data."""
