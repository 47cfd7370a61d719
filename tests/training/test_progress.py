"""The figures of a step and of a log line."""

from state_cases import make


def test_the_figures_of_a_step_are_of_all_its_parts(tiny, noise_set):
    trainer = make(noise_set, "arcface", {"triplet": 0.1}, accumulate=2)
    batches = trainer.loader.epoch(0)
    parts, original = [], trainer._forward_backward

    def part(*arguments):
        loss = original(*arguments)
        parts.append((trainer.head.stats(), trainer.auxiliary.values()))
        return loss

    trainer._forward_backward = part
    trainer.step(next(batches), next(batches))
    trainer.collect()
    result, (first, second) = trainer.last_result, parts
    for which, found in enumerate((result.stats, result.auxiliary)):
        assert set(found) == set(first[which])
        for name, value in found.items():
            pair = first[which][name], second[which][name]
            assert name == "accuracy" or pair[0] != pair[1]
            assert value == (max(pair) if name == "max_logit" else sum(pair) / 2)
