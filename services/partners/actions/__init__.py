"""What partners do and what is done for them: keys, reading, endpoints, pushing, and the open feed."""
