"""What partners ask the database: keys, reading, endpoints, pushing, and the open feed."""
