"""The command line `eyevsai`: one file a command; parse, call the library, print.

Nothing heavy is imported at the top of any module here: a command imports what it needs when it
runs, so that `eyevsai --help` and completion answer at once.
"""
