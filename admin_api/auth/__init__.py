"""Who asks, and may they: password, sessions, admin tokens, roles. A gateway key is never a credential here."""
