"""The loops that move values between the store, the core and the user's functions."""
