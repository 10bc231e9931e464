"""The parameters that the optimiser moves, and what the losses need of the whole training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from humanclap.errors import SettingsError
from humanclap.scale import RatingScale
from humanclap.training.data.certainty import certainties
from humanclap.training.data.dataset import Example
from humanclap.training.data.splits import Splits
from humanclap.training.loop.state import RunState
from humanclap.training.model.parameters import parameter_groups
from humanclap.training.objective.listeners import ListenerHabits, listener_loss
from humanclap.training.objective.losses import pair_cosine
from humanclap.training.settings import LISTENER, TrainingSettings


class OptimisedParameters:
    """The model's learning parameters and the listeners', with one AdamW over both.

    unit: (mean, deviation) of the training targets with `standardise_targets`, else (0, 1).
    """

    def __init__(
        self, parameters: dict[str, nn.Parameter], splits: Splits, settings: TrainingSettings
    ) -> None:
        """Raises SettingsError where the settings ask for what the training set does not have."""
        self.parameters = parameters
        self.device = next(iter(parameters.values())).device
        self._settings = settings
        self._certainty = _certainties(splits, settings)
        self._vote_weights = _vote_weights(splits, settings)
        self.unit = _unit(splits, settings)
        self._habits: ListenerHabits | None = None
        groups = parameter_groups(parameters, settings)
        if LISTENER in settings.terms:
            ids = [listener_id for item in splits.train for listener_id, _ in item.answers]
            if not ids:
                raise SettingsError(
                    "the term 'listener' needs the single answers; give them with --ratings"
                )
            self._habits = ListenerHabits(ids).to(self.device)
            habits = list(self._habits.parameters())
            groups.append({"params": habits, "weight_decay": 0.0, "rate": None})
        self._optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)

    def all_parameters(self) -> list[nn.Parameter]:
        """Of the model and of the listeners."""
        habits = [] if self._habits is None else list(self._habits.parameters())
        return [*self.parameters.values(), *habits]

    def copies(self) -> dict[str, Tensor]:
        """Copies of the model's learning parameters, by name."""
        return {name: item.detach().clone() for name, item in self.parameters.items()}

    def set_learning_rate(self, rate: float, listener_rate: float) -> None:
        """Set the rates of the next step; each group takes its share."""
        for group in self._optimizer.param_groups:
            group["lr"] = listener_rate if group["rate"] is None else rate * group["rate"]

    def clip(self, limit: float) -> bool:
        """Scale the model's gradients down to this norm; False where they are not finite."""
        learning = [item for item in self.parameters.values() if item.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(learning, limit)
        return bool(torch.isfinite(norm))

    def step(self) -> None:
        """Take a step, and clear the gradients."""
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def save(self, state: RunState) -> None:
        """Put into the state what a resumed run needs, beside the weights."""
        state.optimizer = self._optimizer.state_dict()
        if self._habits is not None:
            state.listeners = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self._habits.state_dict().items()
            }

    def load(self, state: RunState) -> None:
        """Take back what `save` put into a state."""
        self._optimizer.load_state_dict(state.optimizer)
        if self._habits is not None:
            self._habits.load_state_dict(state.listeners)
        state.average = {name: item.to(self.device) for name, item in state.average.items()}

    def certainty_of(self, members: NDArray[np.int64]) -> Tensor | None:
        """Weights of these training pairs, (batch,), None where all pairs count alike."""
        if self._certainty is None:
            return None
        return self._certainty[torch.from_numpy(members)].to(self.device)

    def certainty_of_choices(self, chosen: NDArray[np.int64]) -> Tensor | None:
        """Weights of these training choices, (choices,), None where all count alike."""
        if self._vote_weights is None:
            return None
        return self._vote_weights[torch.from_numpy(chosen)].to(self.device)

    def listener_loss(self, audio: Tensor, text: Tensor, batch: Sequence[Example]) -> Tensor | None:
        """Value of the term `listener`, None where the objective has none."""
        if self._habits is None:
            return None
        flat = [
            (row, listener_id, answer)
            for row, item in enumerate(batch)
            for listener_id, answer in item.answers
        ]
        bias, log_scale = self._habits([listener_id for _, listener_id, _ in flat])
        return listener_loss(
            pair_cosine(audio, text),
            torch.tensor([answer for *_, answer in flat], device=self.device),
            torch.tensor([row for row, *_ in flat], dtype=torch.long, device=self.device),
            bias,
            log_scale,
            ridge=self._settings.listener_ridge,
        )


def _certainties(splits: Splits, settings: TrainingSettings) -> Tensor | None:
    if not settings.certainty_weights or not splits.train:
        return None
    scale = RatingScale.parse(settings.rating_scale)
    weights = certainties(
        [item.relevance for item in splits.train],
        [item.n for item in splits.train],
        [item.standard_error / (scale.high - scale.low) for item in splits.train],
    )
    return torch.tensor(weights)


def _vote_weights(splits: Splits, settings: TrainingSettings) -> Tensor | None:
    """By the number of votes, averaging 1: the mean over choices is then that over single votes."""
    if not settings.certainty_weights or not splits.train_choices:
        return None
    votes = torch.tensor([choice.votes for choice in splits.train_choices], dtype=torch.float32)
    return votes / votes.mean()


def _unit(splits: Splits, settings: TrainingSettings) -> tuple[float, float]:
    if not settings.standardise_targets:
        return 0.0, 1.0
    if not splits.train:
        raise SettingsError("standardise_targets: there are no training targets")
    targets = np.array([item.relevance for item in splits.train])
    deviation = float(targets.std())
    if deviation == 0:
        raise SettingsError("standardise_targets: all training targets are the same")
    return float(targets.mean()), deviation
