"""Answers to the exercises of lesson 13_where_to."""

import numpy as np
import torch


def arriving_by_autograd(came, push, rate, step):
    weight = torch.zeros(len(push), len(came), requires_grad=True)
    for _ in range(step):
        x = came.clone().requires_grad_()
        of_x, of_weight = torch.autograd.grad((weight @ x) @ push, (x, weight))
        weight = (weight - rate * of_weight).detach().requires_grad_()
    return of_x


def arriving_by_loops(came, push, rate, step):
    weight = [[-(step - 1) * rate * p * x for x in came.tolist()] for p in push.tolist()]
    return [
        sum(weight[out][wide] * push[out].item() for out in range(len(push)))
        for wide in range(len(came))
    ]


def times(x, push, factor):
    return factor * push.square().sum() * x


def scaled_by_a_loop(unet, control, noisy, t, states, picture, scale):
    down, middle = control(noisy, t, states, picture)
    for level in range(len(down)):
        down[level] = down[level] * scale
    return unet(noisy, t, states, down, middle * scale)


def by_difference(unet, control, noisy, t, states, picture, scale):
    """What is found is added linearly by this U-Net, so two runs tell."""
    down, middle = control(noisy, t, states, picture)
    alone = unet(noisy, t, states, [0 * found for found in down], 0 * middle)
    return alone + scale * (unet(noisy, t, states, down, middle) - alone)


def friends(scale_down=True, scale_middle=False, moved=False, turn=1, power=1):
    def run(unet, control, noisy, t, states, picture, scale):
        down, middle = control(noisy, t, states, picture * 2 - 1 if moved else picture)
        factor = turn * scale**power
        return unet(
            noisy,
            t,
            states,
            [factor * found for found in down] if scale_down else down,
            factor * middle if scale_middle else middle,
        )

    return run


def discs_one_by_one(places, side):
    mask = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            x, y = (column + 0.5) / side, (row + 0.5) / side
            mask[row, column] = any((x - a) ** 2 + (y - b) ** 2 < r**2 for a, b, r in places)
    return mask


def discs_from_broadcasting(places, side):
    at = (torch.arange(side) + 0.5) / side
    mask = torch.zeros(side, side)
    for x, y, radius in places:
        inside = (at[None] - x) ** 2 + (at[:, None] - y) ** 2 < radius**2
        mask = torch.maximum(mask, inside.float())
    return mask


TOOLS = {
    "snow": "prompt",
    "poster": "control",
    "repair": "inpainting",
    "drawing": "image to image",
    "redder": "attention",
    "three": "control",
}


def choosing(**changes):
    return lambda: {name: tool for name, tool in (TOOLS | changes).items() if tool is not None}


RIGHT = {
    "arriving": (
        arriving_by_autograd,
        arriving_by_loops,
        lambda x, p, r, step: times(x, p, r * (1 - step)),
        lambda x, p, r, step: (1 - step) * (r * p[:, None] * x).T @ p,
    ),
    "controlled_noise": (
        scaled_by_a_loop,
        by_difference,
        friends(scale_middle=True),
        lambda unet, control, noisy, t, states, picture, scale: unet(
            noisy,
            t,
            states,
            [scale * found for found in control(noisy, t, states, picture)[0]],
            scale * control(noisy, t, states, picture)[1],
        ),
    ),
    "discs": (
        discs_one_by_one,
        discs_from_broadcasting,
        lambda places, side: discs_from_broadcasting(places, side) > 0.5,
        lambda places, side: discs_one_by_one(places, side).astype(int),
    ),
    "tool_for": (
        choosing(),
        lambda: dict(TOOLS),
        lambda: {**TOOLS, "more": "ignored"},
        lambda: dict(reversed(TOOLS.items())),
    ),
}

WRONG = {
    "arriving": (
        (lambda x, p, r, step: times(x, p, -r * step), "one step too many"),
        (lambda x, p, r, step: times(x, p, r * (step - 1)), "downhill"),
        (lambda x, p, r, step: times(x, p, 1 - step), "rate is missing"),
        (lambda x, p, r, step: torch.zeros_like(x), "never changed"),
        (lambda x, p, r, step: times(x, p, -r * min(step - 1, 1)), "*every* step"),
        (lambda x, p, r, step: (1 - step) * r * p.sum() * x, "pushed through it"),
        (lambda x, p, r, step: times(torch.ones_like(x), p, r * (1 - step)), "came in is missing"),
        (lambda x, p, r, step: times(x, p, r * r * (1 - step)), "weight's step only"),
        (lambda x, p, r, step: (1 - step) * r * torch.outer(p, x), "shape"),
        (lambda x, p, r, step: None, "return"),
    ),
    "controlled_noise": (
        (friends(), "the middle is not scaled"),
        (friends(scale_middle=True, moved=True), "moved to [-1, 1]"),
        (friends(moved=True), "both mistakes"),
        (friends(scale_down=False, scale_middle=True), "the skips are not"),
        (friends(scale_down=False), "nothing is scaled"),
        (friends(scale_middle=True, turn=-1), "subtracted"),
        (friends(scale_middle=True, power=2), "twice"),
        (
            lambda unet, control, noisy, t, states, picture, scale: friends(scale_middle=True)(
                unet, control, noisy, t, states, 1 - picture, scale
            ),
            "black and white",
        ),
        (
            lambda unet, control, noisy, t, states, picture, scale: friends(scale_down=False)(
                unet, control, noisy, t, states, scale * picture, scale
            ),
            "the picture was scaled",
        ),
        (
            lambda unet, control, noisy, t, states, picture, scale: control(
                noisy, t, states, picture
            )[1],
            "shape",
        ),
    ),
    "discs": (
        (lambda places, side: discs_one_by_one(places, side).T, "swapped"),
        (lambda places, side: 1 - discs_one_by_one(places, side), "black and white"),
        (lambda places, side: discs_one_by_one(places[-1:], side), "only the last disc"),
        (lambda places, side: discs_one_by_one(places[:1], side), "only the first disc"),
        (
            lambda places, side: np.prod([discs_one_by_one([p], side) for p in places], axis=0),
            "in *all*",
        ),
        (
            lambda places, side: sum(discs_one_by_one([p], side) for p in places),
            "more than 1",
        ),
        (
            lambda places, side: discs_one_by_one([(x, y, r / 2) for x, y, r in places], side),
            "diameter",
        ),
        (
            lambda places, side: np.array(
                [
                    [
                        float(
                            any(
                                abs((c + 0.5) / side - x) < r and abs((q + 0.5) / side - y) < r
                                for x, y, r in places
                            )
                        )
                        for c in range(side)
                    ]
                    for q in range(side)
                ]
            ),
            "squares",
        ),
        (lambda places, side: 255 * discs_one_by_one(places, side), "not 255"),
        (lambda places, side: np.zeros((side, side)), "0"),
        (lambda places, side: discs_one_by_one(places, side)[:-1], "shape"),
    ),
    "tool_for": (
        (choosing(snow="control"), "what would you paint"),
        (choosing(poster="prompt"), "only roughly"),
        (choosing(poster="image to image"), "keeps its colours"),
        (choosing(repair="control"), "everything else anew"),
        (choosing(repair="image to image"), "redraws the whole picture"),
        (choosing(drawing="control"), "no colours"),
        (choosing(redder="inpainting"), "only redder"),
        (choosing(three="prompt"), "counts badly"),
        (choosing(snow=None), "no tool yet for snow"),
        (choosing(three="magic"), "three: one of prompt"),
        (lambda: list(TOOLS), "a dict"),
    ),
}

SHOWN = {
    "arriving": (
        (lambda x, p, r, step: times(x, p, r * (1 - step)) + x, "what came in once more"),
        (lambda x, p, r, step: r * (1 - step) * p.abs().sum() * x, "the push is not squared"),
    ),
    "controlled_noise": (
        (
            lambda unet, control, noisy, t, states, picture, scale: friends(scale_middle=True)(
                unet, control, noisy, t + 100, states, picture, scale
            ),
            "another t",
        ),
        (
            lambda unet, control, noisy, t, states, picture, scale: friends(scale_middle=True)(
                unet, control, noisy, t, 2 * states, picture, scale
            ),
            "the text twice as strong",
        ),
    ),
    "discs": (
        (
            lambda places, side: discs_one_by_one([(x, y, 1.3 * r) for x, y, r in places], side),
            "wider",
        ),
        (lambda places, side: discs_one_by_one([*places, (0.1, 0.9, 0.2)], side), "one too many"),
    ),
}
