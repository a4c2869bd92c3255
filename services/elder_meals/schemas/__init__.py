"""What callers say and hear about meals. `orders` imports nothing heavy: the gateway reads bodies with it, too."""
