"""Wire formats, as pure functions: no await, clock or network. Bytes in, bytes or values out."""
