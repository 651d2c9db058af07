"""Work beside the requests, most of it done by one admin process of the whole cluster at a time (a lease in Redis)."""
