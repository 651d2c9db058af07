"""Try targets until one commits; then pass its answer on."""
