"""What the operator wrote: found, read, checked for its shape, given as frozen values. Nothing here builds anything."""
