"""A listener of a run, for tests."""


class Recorder:
    """A listener that records all calls, and may act when a pair is finished."""

    def __init__(self, on_finished=None):
        self.heard, self.on_finished = [], on_finished

    def stage(self, name):
        self.heard.append(("stage", name))

    def at_work(self, name):
        """Ignore this call."""

    def pairs(self, n_pairs):
        self.heard.append(("pairs", n_pairs))

    def pair(self, name, status, reason):
        assert bool(reason) == (status in {"failed", "invalid"})
        self.heard.append((name, status))
        if self.on_finished:
            self.on_finished()

    def ended(self, summary, report):
        self.heard.append(("ended", summary, report))

    def pairs_finished(self):
        return [each for each in self.heard if each[0] not in {"stage", "pairs", "ended"}]
