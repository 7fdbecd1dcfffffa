"""Text drawn from a trained character model, one character after the other.

Knows scores and states; knows nothing of files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad.errors import message


def sample(
    model: Any,
    vocabulary: str,
    prompt: str = "\n",
    length: int = 300,
    temperature: float = 0.8,
    seed: int = 0,
    engine: str | None = None,
) -> str:
    """Continue a prompt by characters drawn from softmax(scores / temperature).

    Args:
        model: a :class:`~boxgrad.train.models.CharacterModel`.
        vocabulary: the characters, in the order of their numbers.
        prompt: what is to be continued; its characters must be in the vocabulary.
        length: characters to draw.
        temperature: 0 takes the likeliest every time; 1 draws as the model believes.
        seed: of the draws.
        engine: what compiles the steps.

    Returns:
        the drawn characters, without the prompt.

    Raises:
        ValueError: for unknown characters, a negative temperature or an empty prompt.
    """
    numbers = {character: number for number, character in enumerate(vocabulary)}
    unknown = sorted(set(prompt) - numbers.keys())
    if unknown or not prompt:
        raise ValueError(
            message(
                f"the prompt {prompt!r} cannot be read",
                f"the model has never seen {''.join(unknown)!r}" if unknown else "it is empty",
                f"characters among {vocabulary!r}",
            )
        )
    if not temperature >= 0:
        raise ValueError(
            message(
                f"temperature {temperature}",
                "scores are divided by it: near 0 means likeliest, 1 as learnt, above 1 wilder",
                "--temperature 0.8",
            )
        )
    random = np.random.default_rng(seed)
    begin = bg.compile(lambda model, x: model.advance(x), engine=engine)
    go_on = bg.compile(lambda model, x, state: model.advance(x, state), engine=engine)
    scores, state = begin(model, np.array([[numbers[character]] for character in prompt]))
    drawn = []
    for _ in range(length):
        number = _draw(np.asarray(scores[-1, 0], np.float64), temperature, random)
        drawn.append(vocabulary[number])
        scores, state = go_on(model, np.array([[number]]), state)
    return "".join(drawn)


def _draw(scores: Any, temperature: float, random: np.random.Generator) -> int:
    if temperature == 0:
        return int(np.argmax(scores))
    powers = np.exp((scores - scores.max()) / temperature)
    return int(random.choice(len(powers), p=powers / powers.sum()))
