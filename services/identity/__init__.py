"""Identity: knows who somebody is and whom they may act for, and tells others only what they need of it."""
