"""When the state is saved: before anything that may take long."""

from trainers import make

from gluonface.training.callbacks import SaveCheckpoints, Verification
from gluonface.training.checkpoint.checkpoints import Checkpoints


class Verify(Verification):
    """Takes the accuracy of each step from a list; notes what `last` and `best` are then."""

    def __init__(self, checkpoints, accuracies, **kwargs):
        super().__init__([], 2, **kwargs)
        self.checkpoints, self.accuracies, self.found = checkpoints, dict(accuracies), []

    def _evaluate(self, trainer):
        step = trainer.progress.step
        self.found.append((step, *self.steps()))
        trainer.evaluated(self.accuracies[step], {})

    def steps(self):
        """Return the steps of `last` and `best`."""
        paths = (self.checkpoints.path(name) for name in ("last", "best"))
        return [path and int(path.name[5:13]) for path in paths]


def run(noise_set, folder, accuracies, every=3, more=(), **kwargs):
    checkpoints = Checkpoints(folder)
    verify = Verify(checkpoints, accuracies, **kwargs)
    trainer = make(noise_set, [*more, SaveCheckpoints(checkpoints, every, None, verify), verify])
    trainer.fit()
    return trainer, verify


def test_the_state_is_saved_before_it_is_verified_and_the_best_is_marked_after(
    tiny, noise_set, tmp_path
):
    accuracies = {2: 0.5, 4: 0.7, 6: 0.6, 8: 0.65}
    _, verify = run(noise_set, tmp_path, accuracies)
    assert verify.found == [(2, 2, None), (4, 4, 2), (6, 6, 4), (8, 8, 4)]
    assert verify.steps() == [8, 4]


def test_a_verified_start_is_the_best_until_there_is_a_better_one(tiny, noise_set, tmp_path):
    _, verify = run(noise_set, tmp_path, {0: 0.6, 2: 0.5, 4: 0.6, 6: 0.7, 8: 0.1}, at_start=True)
    assert verify.found == [(0, None, None), (2, 2, 0), (4, 4, 0), (6, 6, 0), (8, 8, 6)]


def test_a_stop_leaves_the_verification_to_the_resumed_run(tiny, noise_set, tmp_path):
    class Stop:
        def step_end(self, trainer):
            if trainer.progress.step == 4:
                trainer.request_stop("SIGTERM")

    trainer, verify = run(noise_set, tmp_path, {2: 0.5}, every=100, more=[Stop()])
    assert trainer.progress.step == 4
    assert verify.found == [(2, 2, None)]
    assert verify.steps() == [4, 2]
    again = make(noise_set, [])
    from gluonface.training.checkpoint.checkpoints import load_state

    checkpoints = Checkpoints(tmp_path)
    load_state(checkpoints.path("last"), again)
    verify = Verify(checkpoints, {4: 0.7, 6: 0.6, 8: 0.6})
    again.callbacks += [SaveCheckpoints(checkpoints, 100, None, verify), verify]
    again.fit()
    assert verify.found == [(4, 4, 2), (6, 6, 4), (8, 8, 4)]
