"""A branch on the Git remote, brought forward to a run: by pushes that force nothing."""

from __future__ import annotations

import time

from anchored.adapters.git.branch_plan import BranchPlan
from anchored.adapters.git.remote import GitRemote
from anchored.errors import GitRemoteFailed
from anchored.ports import Advance, BranchOutcome

ROUNDS = 5
PAUSE = 0.2  # seconds, once more with every round: whoever was faster shall have finished
# What a server says of a push that another one was faster than, be it by a moment.
OVERTAKEN = ("fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref",
             "incorrect old value")  # fmt: skip


class RemoteBranch:
    """Others push to it as well: what they did is looked at anew before every try."""

    def __init__(self, remote: GitRemote) -> None:
        self._remote = remote

    def advance(self, branch: str, plan: BranchPlan) -> BranchOutcome:
        """Brings a run into the branch where the plan and the server allow it.

        Raises `GitRemoteFailed` where somebody else was faster each time; it may be tried again.
        """
        refused_at, refusal = None, ""
        for tries in range(1, ROUNDS + 1):
            tip = self._remote.tip(branch) if branch else None
            if tip and tip == refused_at:
                reason = f"the Git remote refuses the push: {refusal}"
                return BranchOutcome(Advance.LEFT, reason=reason)
            planned = plan.onto(branch, tip)
            if planned.advance == Advance.LEFT or planned.commit == tip:
                return planned
            said = self._remote.offer(planned.commit, branch)
            if said is None:
                return planned
            refusal = said
            refused_at = None if any(word in said for word in OVERTAKEN) else tip
            time.sleep(PAUSE * tries)
        raise GitRemoteFailed(
            f"{branch} moved on the Git remote just before each of {ROUNDS} pushes: {refusal}",
            hint="the run is sealed; `anchored resume` brings it into the branch",
        )
