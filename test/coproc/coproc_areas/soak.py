# SPDX-License-Identifier: MIT
"""Many requests by several clients while workers are killed at random."""

import collections
import concurrent.futures
import os
import random
import signal
import threading

from coproc_harness.world import case, descriptors
from faults_harness import processes
from faults_harness.cases import require

CLIENTS = 16


@case(seconds=500)
def workers_killed_at_random(world):
    """Each request has run once if its call says so, and at most once if it says that it died."""
    count = world.directory / "count"
    world.warm()
    owner = world.owner()
    before = descriptors(owner)
    done = threading.Event()

    def kill():
        chance = random.Random(1)
        while not done.wait(0.02):
            workers = processes.children(owner)
            if workers:
                processes.send(chance.choice(workers), signal.SIGKILL)

    def request(number):
        return number, world.call(world.tool, "count", count, str(number), seconds=100).status

    killer = threading.Thread(target=kill)
    killer.start()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        statuses = dict(pool.map(request, range(world.options.requests)))
    done.set()
    killer.join()
    runs = collections.Counter(map(int, count.read_text().split()))
    for number, status in statuses.items():
        require(status in (0, -signal.SIGKILL), f"{number}: status {status}")
        least = 1 if status == 0 else 0
        require(least <= runs[number] <= 1, f"{number}: status {status}, {runs[number]} runs")
    world.wait("no children but workers are left", lambda: len(processes.children(owner)) <= 4)
    world.pool("stop", world.tool)
    world.wait("no worker is left", lambda: not processes.children(owner))
    world.wait("its descriptors are as before", lambda: descriptors(owner) <= before)
    require(os.path.exists(f"/proc/{owner}"), "the owner has ended")
