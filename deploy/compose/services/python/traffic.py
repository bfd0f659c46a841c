"""Sends ten requests a second to a URL, whatever comes back."""
import sys
import time
import urllib.request

while True:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=10).read()
    except OSError:
        pass
    time.sleep(0.1)
