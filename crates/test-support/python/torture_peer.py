"""A Python program at a shared token cache: it counts in an entry of its own, or only saves.

Lock, reading and writing are msal-extensions' own. What it saw is printed as one JSON object, with
the members of `cache_torture count`. Usage:

    torture_peer.py count PATH NAME SECONDS THINK_MS
    torture_peer.py save PATH BYTES SECONDS PAUSE_MS
"""

import json
import random
import sys
import time

from msal_extensions import CrossPlatLock, FilePersistence


def count(path, name, seconds, think):
    """One entry's number goes up by one a turn, under the packages' lock."""
    persistence = FilePersistence(path)
    last = lost = torn = 0
    errors, waits = [], []
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        asked = time.monotonic()
        try:
            with CrossPlatLock(path + ".lockfile"):
                waits.append(time.monotonic() - asked)
                try:
                    cache = json.loads(persistence.load())
                except ValueError:
                    torn += 1
                    raise
                entry = cache.setdefault("AccessToken", {}).setdefault(name, {})
                lost += max(0, last - int(entry.get("secret", "0")))
                entry.update(
                    credential_type="AccessToken",
                    home_account_id="somebody.else",
                    environment="login.microsoftonline.com",
                    client_id="another-client",
                    realm="another-realm",
                    target=name,
                    secret=str(last + 1),
                    cached_at=str(int(time.time())),
                    expires_on=str(int(time.time()) + 86400),
                )
                persistence.save(json.dumps(cache, indent=4))
                last += 1
        except Exception as error:  # whatever happens to the packages is a figure
            waits.append(time.monotonic() - asked)
            errors.append(f"{type(error).__name__}: {error}")
        time.sleep(random.uniform(0, 2 * think / 1000))
    return {
        "last": last,
        "lost": lost,
        "torn": torn,
        "errors": len(errors),
        "error": errors[0] if errors else None,
        "waits_ms": [int(wait * 1000) for wait in waits],
    }


def save(path, size, seconds, pause):
    """Saves in place without a lock, content of two sizes in turn."""
    persistence = FilePersistence(path)
    cache = json.loads(persistence.load())
    contents = []
    for padding in (size, size * 3 // 4):
        cache["Padding"] = "." * max(0, padding - len(json.dumps({**cache, "Padding": ""})))
        contents.append(json.dumps(cache))
    saves = 0
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        persistence.save(contents[saves % 2])
        saves += 1
        if pause:
            time.sleep(pause / 1000)
    return {"saves": saves}


def main():
    """Runs the command."""
    command, path, what, seconds, pause = sys.argv[1:]
    if command == "count":
        report = count(path, what, float(seconds), float(pause))
    else:
        report = save(path, int(what), float(seconds), float(pause))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
