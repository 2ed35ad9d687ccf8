"""azure-identity's SharedTokenCacheCredential at the caches of the benchmarks.

    peer.py hit|cold FOLDER SECONDS

FOLDER is what `write_caches` made. Prints one JSON object: nanoseconds per call for each cache, the
lower quartile of the calls.
"""

import json
import os
import statistics
import sys
import time

from azure.identity import SharedTokenCacheCredential, TokenCachePersistenceOptions


def credential(username):
    options = TokenCachePersistenceOptions(allow_unencrypted_storage=True)
    return SharedTokenCacheCredential(username, cache_persistence_options=options)


def measure(seconds, prepare, call, expected):
    """The lower quartile of as many calls as fit into that time, three at least."""
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        subject = prepare()
        begin = time.perf_counter_ns()
        token = call(subject)
        times.append(time.perf_counter_ns() - begin)
        if token.token != expected:
            raise RuntimeError("another token than was asked for")
    return statistics.quantiles(times, n=4)[0]


def main():
    group, folder, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with open(os.path.join(folder, "caches.json"), encoding="utf-8") as file:
        caches = json.load(file)
    figures = {}
    for size, cache in caches.items():
        os.environ["HOME"] = os.path.join(folder, size)
        if group == "hit":
            known = credential(cache["username"])
            known.get_token(cache["scope"])
            prepare = lambda known=known: known
        else:
            prepare = lambda cache=cache: credential(cache["username"])
        call = lambda subject, cache=cache: subject.get_token(cache["scope"])
        figures[size] = measure(seconds, prepare, call, cache["token"])
    print(json.dumps(figures))


main()
