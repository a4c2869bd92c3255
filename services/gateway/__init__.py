"""The front door: it knows who is asking, decides who gets a place, and passes on nothing that was forged."""
