"""Bounds on time that judge the server and not the machine.

A thread that is ready to run and has no processor waits for the machine; the kernel counts that time for each
thread (/proc/PID/task/TID/schedstat) and what a hypervisor has taken from all of them (/proc/stat). A bound
that a server must keep is compared with the time that passed less this waiting, which is next to nothing on
a machine that has nothing else to do.
"""
import os
import pathlib
import time


def _waited(pid):
    """{thread: seconds it has waited for a processor} of a process."""
    found = {}
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                found[pid, task] = int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[1]) / 1e9
            except (OSError, IndexError):
                continue                  # it has ended, or the kernel does not count
    except OSError:
        pass
    return found


def _stolen():
    words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(words[8]) / os.sysconf("SC_CLK_TCK") if len(words) > 8 else 0.0


class Stopwatch:
    """Runs from its making on; knows the threads of a server and, unless they matter not, of this process."""

    def __init__(self, server, clients=True):
        self.server = server
        self.clients = clients
        self.began = time.monotonic()
        self.before, self.latest, self.stolen = self._now(), {}, _stolen()

    def _now(self):
        found = {}
        for pid in [self.server.process.pid, *self.server.look()] + [os.getpid()] * self.clients:
            found.update(_waited(pid))
        return found

    @property
    def wall(self):
        """Seconds that have passed; what must not happen too early is compared with these."""
        return time.monotonic() - self.began

    @property
    def delay(self):
        """Seconds for which nobody of us could run."""
        self.latest.update(self._now())
        return sum(value - self.before.get(task, 0.0) for task, value in self.latest.items()) + _stolen() - self.stolen

    @property
    def seconds(self):
        """Seconds that have passed while we could run; what must not come too late is compared with these."""
        wall = self.wall                  # first: counting takes time, too
        return max(0.0, wall - self.delay)


def within(server, seconds, condition, what):
    """Polls until condition() gives something true and returns that; fails when the server had that long."""
    watch = Stopwatch(server)
    while True:
        value = condition()
        if value:
            return value
        if watch.wall > seconds and watch.seconds > seconds:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.01)
