"""Answers to the exercises of lesson 14_fewer_and_straighter."""

import torch


def bend_by_loops(velocities, start, end):
    straight = [a - b for a, b in zip(start.tolist(), end.tolist(), strict=True)]
    total = 0.0
    for velocity in velocities.tolist():
        total += sum((v - s) ** 2 for v, s in zip(velocity, straight, strict=True))
    return total / len(velocities) / sum(s**2 for s in straight)


def bend_by_norms(velocities, start, end):
    away = (velocities - (start - end)[None]).norm(dim=1)
    return (away / (start - end).norm()).pow(2).mean()


def bend_by_the_variance(velocities, start, end):
    """The mean square is the spread around the mean, plus the mean's own squared distance."""
    straight, mean = start - end, velocities.mean(dim=0)
    spread = (velocities - mean).square().sum() / len(velocities)
    return (spread + (mean - straight).square().sum()) / (straight @ straight)


def away_of(velocities, start, end):
    return (velocities - start + end).square().sum(dim=1)


def length_of(start, end):
    return (start - end).square().sum()


def picture_of(x, t, noise):
    return (x - t * noise) / (1 - t)


def velocity_step_by_step(x, t, noise):
    clean = (x - t * noise) / (1 - t)
    return noise - clean


def velocity_in_one_fraction(x, t, noise):
    return (noise - x) / (1 - t)


def velocity_by_a_system(x, t, noise):
    """x̂₀ from a system of two equations: x = (1 - t) x̂₀ + t ε̂ and ε̂ = ε̂."""
    system = torch.tensor([[1 - t, t], [0.0, 1.0]])
    clean, same = torch.linalg.solve(system, torch.stack([x.flatten(), noise.flatten()]))
    return (same - clean).reshape(x.shape)


def apart(answer, target):
    return torch.nn.functional.mse_loss(answer, target)


def mended(student, teacher_step, noisy, t, before, distance):
    nearer = teacher_step(noisy, t, before)
    with torch.no_grad():
        target = student(nearer, before) if before >= 0 else nearer
    return distance(student(noisy, t), target)


def mended_the_other_way(student, teacher_step, noisy, t, before, distance):
    target = teacher_step(noisy, t, before)
    if before != -1:
        target = student(target, before).detach()
    return distance(target, student(noisy, t))


def asking(target_from="nearer", at="before", boundary=True, turn=lambda loss: loss):
    """The friend's loss, with some of its mistakes mended."""

    def run(student, teacher_step, noisy, t, before, distance):
        nearer = teacher_step(noisy, t, before)
        where = {"nearer": nearer, "noisy": noisy}[target_from]
        target = student(where, {"before": before, "t": t}[at])
        if boundary and before < 0:
            target = nearer
        return turn(distance(student(noisy, t), target.detach()))

    return run


WAYS = {
    "typing": "distillation",
    "tonight": "solver",
    "scratch": "flow matching",
    "negative": "solver",
    "poster": "more steps",
}


def choosing(**changes):
    return lambda: {name: way for name, way in (WAYS | changes).items() if way is not None}


RIGHT = {
    "bend": (
        bend_by_loops,
        bend_by_norms,
        bend_by_the_variance,
        lambda v, start, end: away_of(v, start, end).mean() / length_of(start, end),
    ),
    "velocity": (
        velocity_step_by_step,
        velocity_in_one_fraction,
        velocity_by_a_system,
        lambda x, t, noise: noise + (t * noise - x) / (1 - t),
    ),
    "consistency_loss": (
        mended,
        mended_the_other_way,
        asking(),
        lambda student, step, noisy, t, before, distance: (
            distance(student(noisy, t), step(noisy, t, before))
            if before < 0
            else mended(student, step, noisy, t, before, distance)
        ),
    ),
    "way_for": (
        choosing(),
        lambda: dict(WAYS),
        lambda: {**WAYS, "more": "ignored"},
        lambda: dict(reversed(WAYS.items())),
    ),
}

WRONG = {
    "bend": (
        (lambda v, start, end: bend_by_norms(v, end, start), "from the end to the start"),
        (lambda v, start, end: away_of(v, start, end).mean(), "a long path counts more"),
        (
            lambda v, start, end: away_of(v, start, end).sum() / length_of(start, end),
            "added up",
        ),
        (
            lambda v, start, end: away_of(v, start, end).mean() / (start - end).norm(),
            "*squared* length",
        ),
        (lambda v, start, end: bend_by_norms(v, start, end) ** 0.5, "this is the root"),
        (
            lambda v, start, end: (
                (v.mean(dim=0) - start + end).square().sum() / length_of(start, end)
            ),
            "cancels",
        ),
        (
            lambda v, start, end: away_of(v, start, end).sqrt().mean() ** 2 / length_of(start, end),
            "before they are squared",
        ),
        (
            lambda v, start, end: (v - start + end).square().mean() / (start - end).square().sum(),
            "is their *sum*",
        ),
        (
            lambda v, start, end: v.diff(dim=0).square().sum(dim=1).mean() / length_of(start, end),
            "the one before it",
        ),
        (lambda v, start, end: bend_by_norms(v[:1], start, end), "only the first velocity"),
        (lambda v, start, end: away_of(v, start, end) / length_of(start, end), "shape"),
        (lambda v, start, end: None, "return"),
    ),
    "velocity": (
        (lambda x, t, noise: noise - (x - t * noise), "divide by 1 - t"),
        (lambda x, t, noise: picture_of(x, t, noise) - noise, "points the other way"),
        (lambda x, t, noise: (x - t * noise) - noise, "both mistakes"),
        (lambda x, t, noise: noise - (x - (1 - t) * noise) / t, "swapped"),
        (
            lambda x, t, noise: noise - (x - t**0.5 * noise) / (1 - t) ** 0.5,
            "there are no roots",
        ),
        (picture_of, "this is the picture"),
        (lambda x, t, noise: (x - noise) / t, "this divides by t"),
        (lambda x, t, noise: noise - x, "x is a mixture"),
        (lambda x, t, noise: noise + picture_of(x, t, noise), "the sum of the two"),
        (lambda x, t, noise: noise - (x - t * noise) * (1 - t), "should be divided"),
        (lambda x, t, noise: velocity_step_by_step(x, t, noise).mean(), "shape"),
        (lambda x, t, noise: None, "return"),
    ),
    "consistency_loss": (
        (asking(boundary=False), "all-grey"),
        (asking(target_from="noisy"), "should start from where the teacher's step ends"),
        (asking(target_from="noisy", boundary=False), "both mistakes"),
        (
            lambda student, step, noisy, t, before, distance: distance(
                student(noisy, t), step(noisy, t, before)
            ),
            "always the teacher's step",
        ),
        (asking(at="t"), "the wrong time"),
        (
            lambda student, step, noisy, t, before, distance: mended(
                student, lambda x, t, to: step(x, t, max(to, 0)), noisy, t, before, distance
            ),
            "`before` is -1",
        ),
        (lambda *case: mended(*case) * case[2].numel(), "already takes the mean"),
        (
            lambda student, step, noisy, t, before, distance: mended(
                student, step, noisy, t, before, apart
            ),
            "that you are given",
        ),
        (
            lambda student, step, noisy, t, before, distance: (
                distance(student(noisy, t), noisy)
                if before < 0
                else mended(student, step, noisy, t, before, distance)
            ),
            "the noisy latents themselves",
        ),
        (
            lambda student, step, noisy, t, before, distance: mended(
                lambda x, at: student(x, before), step, noisy, t, before, distance
            ),
            "its first answer is at t",
        ),
        (asking(turn=lambda loss: loss.detach()), "gradient"),
        (lambda student, step, noisy, t, before, distance: None, "return"),
    ),
    "way_for": (
        (choosing(typing="solver"), "eight to fifteen"),
        (choosing(typing="flow matching"), "do not make the paths straight"),
        (choosing(tonight="distillation"), "has to be trained"),
        (choosing(tonight="flow matching"), "trained again"),
        (choosing(scratch="solver"), "after training"),
        (choosing(scratch="distillation"), "finished teacher"),
        (choosing(negative="distillation"), "baked in"),
        (choosing(negative="more steps"), "fewer"),
        (choosing(poster="distillation"), "less of the prompt"),
        (choosing(poster=None), "no way yet for poster"),
        (choosing(poster="magic"), "poster: one of solver"),
        (lambda: list(WAYS), "a dict"),
    ),
}

SHOWN = {
    "bend": (
        (
            lambda v, start, end: bend_by_norms(v[::2], start, end) + v[0].abs().mean(),
            "every second velocity",
        ),
        (
            lambda v, start, end: away_of(v, start, 0 * end).mean() / length_of(start, end),
            "the end is not subtracted",
        ),
    ),
    "velocity": (
        (lambda x, t, noise: noise - picture_of(x, t * 0.9, noise), "a little earlier"),
        (lambda x, t, noise: noise - picture_of(x, t, noise).abs(), "the picture has no sign"),
    ),
    "consistency_loss": (
        (
            lambda student, step, noisy, t, before, distance: mended(
                student, step, noisy, t, before if before < 0 else before - 50, distance
            ),
            "a longer step",
        ),
        (
            lambda student, step, noisy, t, before, distance: distance(
                student(noisy, t + 100), step(noisy, t, before)
            ),
            "asked at another t",
        ),
    ),
}
