"""How far one number may be from another, or has to be: `0.01` of the unit, or `1%` of a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Margin:
    """An amount, or with `relative` a share of the value that it is taken of."""

    amount: float
    relative: bool = False

    def at(self, value: float) -> float:
        """The margin in the value's own unit."""
        return abs(value) * self.amount if self.relative else self.amount


def parse_margin(text: str) -> Margin:
    """The margin in `0.01` or `1%`. Raises `ValueError` for what is none, or negative."""
    relative = text.endswith("%")
    amount = float(text.removesuffix("%"))
    if not amount >= 0:
        raise ValueError(f"{text!r} is no number from 0 up, and no percentage")
    return Margin(amount / 100 if relative else amount, relative=relative)
