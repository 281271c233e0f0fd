"""A study as one file that somebody else can check: made, unpacked safely, reviewed, exported."""
