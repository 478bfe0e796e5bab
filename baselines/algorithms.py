"""The algorithms that can be trained: what each is for, its options, and which class trains it.

An algorithm is a class of options (`options.Algorithm`), on the command line and in Python alike. Its `learner` names
the class that trains, which is imported when a run begins: so this module imports no library, and `--help` answers at
once. A new algorithm is a class here, an entry in `ALGORITHMS`, and a learner in a file of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from recsys_env import WorldConfig
from recsys_env.api.focal import checked_agent
from recsys_env.checks import shown, unknown
from recsys_env.config.settings import replace
from recsys_env.evaluation.tuning import STATES
from recsys_env.libraries import is_missing
from recsys_env.policies.linear import check_states
from recsys_env.trained.sizes import SIZES

from .options import PPO, Algorithm, Count, Discounted, Fraction, NotNegative, QLearning, Range, SelfPlay, Swept, flag

ONE_NETWORK = "one network for all learners"  # in `given`

# ------------------------------------------------------------------------------------------------ plain PyTorch


@dataclass(frozen=True)
class TorchLearner(Discounted):
    """Options that all learners in plain PyTorch share."""

    library = "torch"
    install = 'pip install "recsys_env[train]"'

    num_envs: Count = 64
    catalogues: Count = 1
    """Worlds that copies are spread over: those of world_seed, world_seed + 1...; more than one only with synthetic
    items and when all agents learn."""

    def check(self) -> None:
        super().check()
        if self.catalogues > 1 and (self.background or self.learners):
            raise ValueError(f"--catalogues = {self.catalogues} is for runs in which all agents learn")
        if self.num_envs % self.catalogues:
            raise ValueError(f"--num-envs = {self.num_envs} must be a multiple of --catalogues = {self.catalogues}")

    def world(self) -> WorldConfig:
        config = super().world()
        # An empty candidate is all zeros, so that candidates need no mask.
        return replace(config, {"mask_actions": True}) if config.action in ("items", "publish") else config


@dataclass(frozen=True)
class PageLearner(TorchLearner):
    """Options that PPO and Q-learning in plain PyTorch share.

    Only pages are decisions, and credit flows along chains of pages.
    """

    credit: Literal["auto", "user_slots", "ticks"] = "auto"
    """Which page follows another: user_slots = the next page of the same user slot, also when another person has taken
    the slot; ticks = the agent's next page, whoever visits; auto = ticks for bidders, whose budget links all pages, and
    for creators, who meet no visitors, and user_slots for all others."""
    page_gamma: Fraction = 0.99
    """Discount from one page of a user slot to its next, beside --gamma per tick between; none along ticks."""
    width: Count = 64
    """Units of each hidden layer."""
    max_agents: Annotated[int, Range(0)] = 0
    """Agents of the largest team that the policy can play; 0 = it plays teams of the task's size alone."""

    def world(self) -> WorldConfig:
        config = super().world()
        if 0 < self.max_agents < config.num_agents:
            raise ValueError(
                f"--max-agents = {self.max_agents} is less than the {config.num_agents} agents of the task"
            )
        if config.ranked and self.credit == "user_slots":
            raise ValueError(f"--credit = {self.credit!r} follows visitors, and creators meet none; choose ticks")
        return config

    def follows_visitors(self, config: WorldConfig) -> bool:
        """Whether credit flows along user slots on this task, and not along ticks."""
        if self.credit == "auto":
            return not (config.auctioned or config.ranked)
        return self.credit == "user_slots"

    def given(self) -> tuple[str, ...]:
        config = self.world()
        user_slot = ("the user slot of each page",) if self.follows_visitors(config) else ()
        return (*super().given(), *user_slot, *(("messages",) if config.messages else ()))

    def discounts(self, config: WorldConfig) -> tuple[float, float]:
        """Discounts on this task: per page of a chain, and per tick."""
        return (self.page_gamma if self.follows_visitors(config) else 1.0), self.discount(config)


@dataclass(frozen=True)
class Pretraining(TorchLearner):
    """Options of pre-training on logged pages, before an algorithm learns in the game."""

    pages: Annotated[int, Range(0)] = 0
    """Logged pages on which it is pre-trained to predict clicks; 0 = none."""
    loggers: tuple[str, ...] = ("random",)
    """Policies whose pages it is pre-trained on, each as a team, in equal parts."""
    pretrain_on: tuple[str, ...] = ()
    """Agents on whose pages it is pre-trained; by default all."""
    pretraining_steps: Count = 20_000
    """Gradient steps of pre-training, at most."""
    pretraining_batch: Count = 64
    """Pages with a click in a gradient step; as many without one are added, weighted by how often they occur."""
    pretraining_rate: NotNegative = 1e-3
    """Learning rate of pre-training."""
    weight_decay: NotNegative = 0.1
    """Weight decay of pre-training."""
    validate_every: Count = 100
    """Gradient steps from one validation to the next, on pages of visitors who are held out."""
    patience: Count = 5
    """Validations without a lower loss after which pre-training stops; the best weights are kept."""
    reward_weight: NotNegative = 0.0
    """Weight pages by exp(this · return in standard deviations), so that pre-training follows what was rewarded; 0 =
    all alike."""
    accumulate: Count = 1
    """Parts in which a minibatch is taken, their gradients added up, where the whole does not fit into memory."""

    def given(self) -> tuple[str, ...]:
        return (*super().given(), *(("logged pages",) if self.pages else ()))

    def check(self) -> None:
        super().check()
        if not self.loggers:
            raise ValueError("--loggers names nothing; give at least one policy")

    def world(self) -> WorldConfig:
        config = super().world()
        if self.pages and config.continuous:
            raise ValueError(f"{self.name} is pre-trained on choices; here action = {config.action!r}")
        for agent in self.pretrain_on:
            checked_agent(agent, config.agents)
        return config


@dataclass(frozen=True)
class TorchPPO(Pretraining, PageLearner, PPO):
    """PPO in one file: IPPO, and MAPPO by --centralised; slates, vectors, messages, memory."""

    name = "ppo-torch"
    learner = "baselines.ppo_torch:PPOLearner"
    reason = "It learns on every task and is the file to read and to change for your own algorithm."
    swept: ClassVar[Swept] = {"gamma": (0.9, 0.99), "learning_rate": (7e-4, 5e-3), "n_steps": (50, 200)}

    learning_rate: NotNegative = 2e-3
    """Learning rate of Adam at the beginning; it falls linearly to 0."""
    gae_lambda: Fraction = 0.98
    ent_coef: NotNegative = 0.003
    """Weight of the entropy bonus at the beginning; it falls to 0."""
    n_steps: Count = 100
    n_epochs: Count = 4
    batch_size: Annotated[int, Range(2)] = 4096
    """Pages of a minibatch."""
    clip: NotNegative = 0.2
    """How far the ratio of probabilities may move from 1."""
    centralised: bool = False
    """A critic of the global state (MAPPO) instead of each agent's observation (IPPO)."""
    separate: bool = False
    """A policy and a critic for each learner instead of one for all."""
    memory: Annotated[int, Range(0)] = 0
    """Units of a GRU that runs along each visitor's pages; 0 = none."""
    attention: Annotated[int, Range(0)] = 0
    """Units of the embeddings of target attention, which compares the vectors of candidates with those of the items
    that the visitor consumed last; 0 = none."""
    play_on: Literal["cpu", "cuda"] = "cpu"
    """Where the game is played. On a GPU (where --device has to be too), observations and states stay there, and all
    agents learn."""

    def given(self) -> tuple[str, ...]:
        network = () if self.separate else (ONE_NETWORK,)
        return (*super().given(), *network, *(("the global state, for the critic",) if self.centralised else ()))

    def check(self) -> None:
        super().check()
        if self.pages and self.memory:
            raise ValueError(f"--pages = {self.pages}: pre-training does not reach a memory (--memory = {self.memory})")
        if self.play_on == "cuda" and (self.background or self.learners or self.catalogues > 1):
            raise ValueError("--play-on = 'cuda' is for runs in which all agents learn, in one world")
        if self.max_agents and (self.pages or self.play_on == "cuda"):
            raise ValueError(f"--max-agents = {self.max_agents} is possible neither with --pages nor on a GPU")

    def world(self) -> WorldConfig:
        config = super().world()
        if config.ranked and self.memory:
            raise ValueError(f"--memory = {self.memory} is of visitors, and creators on a platform meet none")
        return config


@dataclass(frozen=True)
class TorchQ(PageLearner, QLearning):
    """Q-learning in one file: IQL, VDN and QMIX by --mixer."""

    name = "q-torch"
    learner = "baselines.q_torch:QLearner"
    reason = "It learns off-policy and, with a mixer, divides a team's reward among its members."
    on_policy = False
    swept: ClassVar[Swept] = {"gamma": (0.9, 0.99), "learning_rate": (3e-4, 3e-3), "epsilon": (0.01, 0.15)}

    timesteps: Count = 1_000_000
    num_envs: Count = 32
    mixer: Literal["none", "vdn", "qmix"] = "none"
    """How the learners' values make the team's: none = each learns from its own reward (IQL), vdn = their sum, qmix =
    a monotone function of them that depends on the global state; teams learn from the mean reward."""
    update_every: Count = 2
    """Ticks from one gradient step to the next."""
    batch_size: Annotated[int, Range(2)] = 512
    """Pages of a gradient step."""
    replay: Count = 200_000
    """Steps that are kept; at least an episode of all copies."""
    exploration: Fraction = 0.3
    target_rate: Fraction = 0.02
    """Share of the way that the target network moves towards the online one at each gradient step."""

    def given(self) -> tuple[str, ...]:
        mixer = {
            "none": (),
            "vdn": ("the values of all learners",),
            "qmix": ("the values of all learners", "the global state, for the mixer"),
        }
        return (*super().given(), ONE_NETWORK, *mixer[self.mixer])

    def world(self) -> WorldConfig:
        config = super().world()
        if config.continuous:
            raise ValueError(f"{self.name} chooses among options; here action = {config.action!r}")
        return config


@dataclass(frozen=True)
class Pretrained(Pretraining):
    """Options of the generative recommender, which is pre-trained on logged pages and then trained in the game."""

    install = 'pip install "recsys_env[generative]"'

    timesteps: Count = 600_000
    threads: Count = 2
    learning_rate: NotNegative = 1e-3
    size: str = "0.1m"
    """Size of the network in parameters: 0.1m, 0.3m, 1m, 3m, 10m, 30m, 100m, 300m, 1b."""
    pages: Annotated[int, Range(0)] = 200_000
    """Logged pages on which it is pre-trained; 0 = none."""
    loggers: tuple[str, ...] = ("random", "popularity", "nearest")
    """Policies whose pages it is pre-trained on, each as a team, in equal parts."""
    bf16: bool = False
    """Take the large products in bfloat16."""
    compile: bool = False
    """Compile the transformer and the decoder with torch.compile; needs a C++ compiler."""

    def check(self) -> None:
        super().check()
        if self.play_on != "cpu":
            raise ValueError(f"--play-on = {self.play_on!r} is not possible: what it reads of pages is kept on the CPU")
        if self.size not in SIZES:
            raise ValueError(f"--size = {self.size!r} must be one of {', '.join(SIZES)}")

    def world(self) -> WorldConfig:
        config = super().world()
        if config.action not in ("candidates", "items"):
            raise ValueError(f"{self.name} chooses among candidates or items; here action = {config.action!r}")
        if config.action == "items" and self.catalogues > 1:
            raise ValueError(f"--catalogues = {self.catalogues} is for tasks whose actions are candidates")
        return config


@dataclass(frozen=True)
class Generative(Pretrained, TorchPPO):
    """A generative recommender: semantic ids and a transformer, pre-trained on logged pages, then PPO."""

    name = "generative"
    learner = "baselines.generative_learner:GenerativeLearner"
    reason = "It shows what a large recommender gains from pre-training on logs, and then from training in the game."
    swept: ClassVar[Swept] = {}

    n_steps: Count = 200
    n_epochs: Count = 2
    batch_size: Annotated[int, Range(2)] = 1024
    kl_coef: NotNegative = 0.0
    """Weight of the divergence from the pre-trained network; 0 = none."""

    def check(self) -> None:
        for option in ("memory", "max_agents"):
            if value := getattr(self, option):
                raise ValueError(
                    f"{flag(option)} = {value} is not for {self.name}, which looks back on pages by itself"
                )
        super().check()


@dataclass(frozen=True)
class GenerativeGRPO(Pretrained):
    """The generative recommender, pre-trained alike, then GRPO: advantages within groups that begin alike."""

    name = "generative-grpo"
    learner = "baselines.grpo:GRPOLearner"
    reason = "It trains without a critic, as language models are trained, and stays near the pre-trained network."
    restores = True

    group: Annotated[int, Range(2)] = 8
    """Copies that begin at the same state, with the same random numbers; --num-envs is a multiple of it."""
    n_steps: Count = 25
    """Ticks that the copies of a group play before their rewards are compared; at most an episode."""
    n_epochs: Count = 2
    """Passes over the pages of all groups."""
    batch_size: Annotated[int, Range(2)] = 1024
    """Pages of a minibatch."""
    clip: NotNegative = 0.2
    """How far the ratio of probabilities may move from 1."""
    kl_coef: NotNegative = 0.05
    """Weight of the divergence from the pre-trained network."""

    def check(self) -> None:
        super().check()
        if self.num_envs % (of := self.group * self.catalogues):
            raise ValueError(f"--num-envs = {self.num_envs} must be a multiple of {of}, --group times --catalogues")


# ------------------------------------------------------------------------------------------------ tables


@dataclass(frozen=True)
class QTable(QLearning):
    """Q-learning with a table for each learner, on finite games."""

    name = "q-table"
    learner = "baselines.q_table:QTableLearner"
    reason = "It asks which equilibrium selfish learners select, without the errors of a network."
    library = "numpy"
    install = 'pip install "recsys_env[train]"'
    on_policy = False
    resumes = False
    swept: ClassVar[Swept] = {"learning_rate": (0.03, 0.3), "epsilon": (0.01, 0.15), "exploration": (0.25, 0.75)}

    timesteps: Count = 2_000_000
    learning_rate: NotNegative = 0.1
    """Step towards the target, of each entry that was played at a tick."""

    def given(self) -> tuple[str, ...]:
        return (*super().given(), "the state of the exact game")

    def world(self) -> WorldConfig:
        from recsys_env.exact.policies import tables_of

        config = super().world()
        tables_of(config)  # raises, before anything is written, if the game has no table
        return config


# ------------------------------------------------------------------------------------------------ search


@dataclass(frozen=True)
class CMAES(SelfPlay):
    """CMA-ES of rankers whose weights move with the state, by the reward of whole episodes."""

    name = "cma-es"
    learner = "baselines.cma_es:CMALearner"
    reason = "It needs no gradient, costs seconds, and leaves a ranker whose weights can be read as text."
    library = "cma"
    install = 'pip install "recsys_env[train]"'
    resumes = False

    num_envs: Annotated[int, Range(4)] = 64
    """Copies of the game: the candidates of a generation."""
    deviation: Annotated[float, Range(1e-6)] = 1.0
    """Standard deviation of the weights at the beginning."""
    states: tuple[str, ...] = STATES
    """Fields of the observation that move the weights; those that the task does not have are left out."""

    def given(self) -> tuple[str, ...]:
        return (*super().given(), "one ranker for all agents of a role")

    def check(self) -> None:
        super().check()
        check_states(self.states)


# ------------------------------------------------------------------------------------------------ libraries


@dataclass(frozen=True)
class IPPO(PPO):
    """PPO of stable-baselines3, one policy shared by all learners, which ranks candidates."""

    name = "ippo"
    learner = "baselines.sb3_learner:SB3Learner"
    reason = "It is the counterpart of `ppo-torch` from a library."
    library = "stable_baselines3"
    install = 'pip install "recsys_env[train]"'
    swept: ClassVar[Swept] = {"gamma": (0.9, 0.99), "learning_rate": (1e-3, 1e-2), "n_steps": (16, 128)}

    learning_rate: NotNegative = 3e-3
    n_steps: Count = 32
    batch_size: Annotated[int, Range(2)] = 2048
    """Rows of a minibatch."""

    def given(self) -> tuple[str, ...]:
        return (*super().given(), ONE_NETWORK)


@dataclass(frozen=True)
class BenchMARL(Discounted):
    """Options that the algorithms of BenchMARL share: one policy for all agents, critics and mixers of the state.

    Attributes:
        queries: whether queries (`action="query"`) take the place of picks on tasks with slates.
    """

    learner = "baselines.benchmarl_learner:BenchMARLLearner"
    library = "benchmarl"
    install = (
        'pip install "recsys_env[benchmarl]" in a virtual environment of its own, because it pins an older torchrl; '
        "without it, q-torch learns by qmix (--mixer), and ppo-torch by a central critic (--centralised)"
    )
    resumes = False
    queries: ClassVar[bool] = False

    timesteps: Count = 1_000_000
    num_envs: Count = 64
    gamma: Fraction | None = 0.95
    reward_scale: Annotated[float, Range(1e-9)] = 1.0
    """Factor on the rewards that training sees."""
    by_role: bool = False
    """A policy, critics and a mixer for each role instead of one of each for all agents."""

    def given(self) -> tuple[str, ...]:
        network = "one network for all agents of a role" if self.by_role else ONE_NETWORK
        return (*super().given(), network, "the global state")

    def world(self) -> WorldConfig:
        config = super().world()
        if config.slots > 1 and not self.queries:
            raise ValueError(
                f"{self.name} takes one pick per agent, and this is a slate of {config.slots}; set slots=1"
            )
        return replace(config, {"action": "query"}) if config.slots > 1 and not config.continuous else config


@dataclass(frozen=True)
class MAPPO(BenchMARL):
    """PPO of BenchMARL with a critic of the global state (Yu et al. 2022)."""

    name = "mappo"
    reason = "It is the counterpart of `ppo-torch --centralised` from a library."
    queries = True


@dataclass(frozen=True)
class QMIX(BenchMARL):
    """Q-learning of a team by BenchMARL, values mixed by the global state, one slot (Rashid et al. 2018)."""

    name = "qmix"
    reason = "It is the counterpart of `q-torch --mixer qmix` from a library."
    on_policy = False


# ------------------------------------------------------------------------------------------------ by name

_KINDS: tuple[type[Algorithm], ...] = (TorchPPO, TorchQ, QTable, CMAES, Generative, GenerativeGRPO, IPPO, MAPPO, QMIX)
ALGORITHMS: dict[str, type[Algorithm]] = {kind.name: kind for kind in _KINDS}


_OPTIONS_OF = {"iql": "q-torch", "vdn": "q-torch --mixer vdn", "ppo": "ppo-torch", "dqn": "q-torch"}


def find_algorithm(name: str) -> type[Algorithm]:
    """The algorithm of this name, or the class that module:class names.

    Raises:
        ValueError: there is none, and the message names the nearest; or the class is no `Algorithm`, lacks
            attributes of one, or sets options without effect.
        ImportError: a module that the class's module imports is missing.
    """
    module, _, attribute = name.partition(":")
    if attribute:
        return _own_algorithm(module, attribute)
    if name in _OPTIONS_OF:
        raise ValueError(f"unknown algorithm {name!r}; train it as {_OPTIONS_OF[name]}")
    if name not in ALGORITHMS:
        raise ValueError(unknown("algorithm", name, ALGORITHMS))
    return ALGORITHMS[name]


def _own_algorithm(name: str, attribute: str) -> type[Algorithm]:
    """The algorithm of a user's module; errors are those of `find_algorithm`."""
    try:
        module = importlib.import_module(name)
    except (ModuleNotFoundError, TypeError) as error:  # TypeError: a name with a point at its beginning
        if isinstance(error, ModuleNotFoundError) and not is_missing(name, error):
            raise
        raise ValueError(
            f"there is no module {name!r}; a class MyAlgorithm in my_file.py, in this folder or on PYTHONPATH, is "
            "my_file:MyAlgorithm"
        ) from None
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        raise ValueError(f"{name}:{attribute} is {shown(found)}, but must be a subclass of baselines.options.Algorithm")
    found.check_class()
    return found


def check_library(kind: type[Algorithm]) -> None:
    """Raise `ImportError`, which says how to install it, if the algorithm's library is missing."""
    if importlib.util.find_spec(kind.library) is None:
        raise ImportError(f"{kind.name} needs {kind.library}: {kind.install}")
