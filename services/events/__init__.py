"""Events: festivals, talks and courses. Whoever was told that one takes place finds its hall booked and their seat kept."""
