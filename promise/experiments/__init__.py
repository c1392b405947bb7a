"""A sweep: its points and what they would cost, their running, and what they show."""
