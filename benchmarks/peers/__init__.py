"""Scripts that other interpreters run: each offers the work to one tool that we do not import."""
