"""A language model that is small enough to learn on one processor core in minutes, and a learner of conversations.

It has two layers, random weights and a vocabulary of the titles of `duel-v1`, so it shows that a trainer's loop works,
and nothing of what language models know. It answers a page by a title. Candidates come in random order, so an answer
that names none of them shows one at random, and a model that says anything earns what random play does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import recsys_env
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.language import TextPolicy

from . import TASK, TEAM

UNKNOWN, PAD, END, ROLE = "<?>", "<pad>", "<end>", "assistant"
GAME: dict[str, Any] = {**TEAM, "action": "candidates", "candidates": {"number": 2}}
TITLES = tuple(recsys_env.vector_env(TASK, **GAME).texts.titles)
LONGEST = 3  # tokens of an answer
TICKS, EPISODES = 100, 8  # of a measurement
# Each message ends alike. TRL demands a template that can write calls of tools.
TEMPLATE = (
    "{% for m in messages %}{{ m.role }} {{ m.content }} "
    "{% for call in m.tool_calls or [] %}{{ call.function | tojson }} {% endfor %}{{ m.name or '' }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
Conversation = list[dict[str, Any]]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of words that knows little more than the titles."""
    known = (UNKNOWN, PAD, END, ROLE, *TITLES)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token=UNKNOWN, pad_token=PAD, eos_token=END, padding_side="left"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def tiny_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a model of this tokenizer's tokens with random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config)


class Speaker:
    """A tiny model that answers conversations, and learns from what they earned.

    Args:
        seed: of its weights and its answers.
    """

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.tokenizer = tiny_tokenizer()
        self.model = tiny_model(self.tokenizer)
        self._optimizer = torch.optim.Adam(self.model.parameters(), 3e-3)

    @torch.no_grad()
    def answers(self, conversations: Sequence[Conversation]) -> list[str]:
        """Return a sampled answer to each conversation."""
        told: Any = self.tokenizer.apply_chat_template(
            list(conversations), add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        said = self.model.generate(**told, do_sample=True, max_new_tokens=LONGEST, top_k=0)
        return self.tokenizer.batch_decode(said[:, told["input_ids"].shape[1] :], skip_special_tokens=True)  # type: ignore[no-any-return]

    def answer(self, prompt: str) -> str:
        return self.answers([[{"role": "user", "content": prompt}]])[0]

    def earns(self) -> float:
        """Mean reward per agent and tick of a team in which the model plays both agents, on held-out seeds."""
        envs = recsys_env.vector_env(TASK, **{**GAME, "horizon": TICKS})
        team = {agent: TextPolicy(self.answer) for agent in envs.possible_agents}
        return float(episode_returns(envs, team, EPISODES, seed=UNSEEN).mean() / TICKS)

    def learn(self, groups: Sequence[Sequence[tuple[Conversation, float]]]) -> None:
        """Take one step of the policy gradient: of each answer's probability, weighted by how far what its conversation
        earned lies above the mean of its group (Shao et al. 2024).

        Args:
            groups: groups of conversations that began alike, each with what it earned.
        """
        losses = []
        for group in groups:
            earned = torch.tensor([reward for _, reward in group])
            gains = (earned - earned.mean()) / (earned.std() + 1e-4)
            losses += [-gain * self._log_probability(said) for (said, _), gain in zip(group, gains, strict=True)]
        self._optimizer.zero_grad()
        (torch.stack(losses).sum() / len(losses)).backward()
        self._optimizer.step()

    def _log_probability(self, conversation: Conversation) -> torch.Tensor:
        """Return the sum of the log-probabilities of what the model said in a conversation."""
        tokens: list[int] = []
        spoken: list[bool] = []
        for message in conversation:
            before = self.tokenizer.encode(message["role"], add_special_tokens=False)
            content = self.tokenizer.encode(f"{message['content']} {END}", add_special_tokens=False)
            tokens += before + content
            spoken += [False] * len(before) + [message["role"] == ROLE] * len(content)
        ids = torch.tensor([tokens])
        logits = self.model(ids).logits[0, :-1].log_softmax(-1)
        return logits.gather(1, ids[0, 1:, None])[torch.tensor(spoken[1:])].sum()
