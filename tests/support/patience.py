"""How much slower than an idle laptop the machine of a test run may be."""

PATIENCE = 8
"""Limits of waits in tests are what an idle machine needs with room to spare; so many times as long is waited before a test fails.
Waiting ends when its condition comes true, so this costs nothing but where something is broken."""
