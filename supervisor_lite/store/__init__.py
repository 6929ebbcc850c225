"""What another version of us will read: the database and what is in it."""
