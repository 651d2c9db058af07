"""The control plane: owns SQL, publishes configuration, keeps the ledger. It never handles a model request."""
