"""The command ``diamond``: parse, wire, call, print. Exit codes: 0 done, 1 failed, 2 wrong settings or usage."""
