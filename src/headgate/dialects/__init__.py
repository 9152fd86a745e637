"""Wire formats without I/O: JSON and bytes to values and back. One file or folder for each dialect."""
