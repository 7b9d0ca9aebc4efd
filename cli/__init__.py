"""The command line of phyemu."""
