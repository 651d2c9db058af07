"""Names to targets. Pure: no await, clock, randomness or network; what varies comes in as an argument."""
