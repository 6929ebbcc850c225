"""What an earlier daemon left: who is alive, whose it is, how it goes on."""
