"""The only SQL. Plain functions over a connection, one file per aggregate; the caller owns the transaction."""
