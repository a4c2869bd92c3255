"""Every question the kitchens ask the database."""
