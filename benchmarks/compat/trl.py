"""TRL: GRPO of a tiny language model over rollouts of several pages; the model as it is plays the other agent, too."""

from __future__ import annotations

import tempfile
import time
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from recsys_env.adapters.trl import environment_factory, reward
from recsys_env.language import TextPolicy

from . import TASK, main
from .tiny import GAME, ROLE, TITLES, Speaker

ALGORITHMS = ("GRPO",)
PAGES, GROUP, GROUPS, UPDATES = 8, 8, 4, 60
LEARNER, OTHER = "recommender_0", "recommender_1"
# A title is a call of the tool `show`, which answers the page; the next page is its result.
CALLS = {
    "defaults": {"role": ROLE},
    "start_anchor": ROLE,
    "fields": {
        "tool_calls": {
            "open_pattern": f"(?P<title>{'|'.join(TITLES)})",
            "close_pattern": r"\s+",
            "repeats": True,
            "transform": {"type": "function", "function": {"name": "show", "arguments": {"answer": "{title}"}}},
        },
        "content": {"close_pattern": r"<end>\s*"},
    },
}


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    speaker = Speaker(seed)
    speaker.tokenizer.response_template = CALLS
    before = speaker.earns()
    environments = environment_factory(
        TASK, background=lambda: {OTHER: TextPolicy(speaker.answer)}, pages=PAGES, **GAME
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            speaker.model,
            reward_funcs=reward,
            args=GRPOConfig(
                output_dir=folder,
                max_steps=UPDATES,
                per_device_train_batch_size=GROUP * GROUPS,
                num_generations=GROUP,
                max_completion_length=1000,
                learning_rate=3e-3,
                use_cpu=device == "cpu",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=seed,
            ),
            train_dataset=Dataset.from_list(environments.rows(range(UPDATES * GROUPS), system="")),
            processing_class=speaker.tokenizer,
            environment_factory=environments,
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
    speaker.model.eval()
    steps = UPDATES * GROUPS * GROUP * PAGES
    return {"agent_steps": steps, "seconds": seconds, "before": before, "after": speaker.earns()}


if __name__ == "__main__":
    main(train, ALGORITHMS)
