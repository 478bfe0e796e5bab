"""Language models behind one interface: tiny weights made here, the packaged ones, and an endpoint on loopback."""

import base64
import contextlib
import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_language

from recsys_env import TASKS, replace, vector_env
from recsys_env.__main__ import main as recsys_env_main
from recsys_env.addresses import with_secrets, without_secrets
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.report import evaluate
from recsys_env.language import models
from recsys_env.language.encoders import CACHE
from recsys_env.language.interface import LanguageModel, ModelError, ModelRefused, Usage
from recsys_env.language.local_model import LocalModel
from recsys_env.language.models import open_model
from recsys_env.language.policy import HOPELESS, LanguagePolicy, Limits, ListingPolicy
from recsys_env.policies import make_policy
from recsys_env.policies.registry import is_team


def asked(text: str) -> list[dict[str, str]]:
    """A prompt as the messages that a model reads."""
    return [{"role": "user", "content": text}]


SHOP = replace(TASKS["ecommerce-v1"], {"horizon": 40, "num_agents": 1})


class Scripted(LanguageModel):
    """Takes titles that hold a word for likely, and lists what it is told to."""

    name, rates = "scripted", True

    def __init__(
        self, word: str = "", answer: str = "3, 1, 2, 5, 4", sleep: Callable[[float], Any] | None = None
    ) -> None:
        super().__init__()
        self.word, self.answer, self.sleep, self.prompts, self.rules = word, answer, sleep, [], []

    def log_likelihoods(self, context, options) -> np.ndarray:
        self.usage.calls += 1
        self.usage.read += len(options)
        known = "Seems" in context or "likes" in context
        return np.array([float(known and self.word in option) - len(option) for option in options])

    def generate(self, messages, tokens, seconds=None) -> str:
        rules, prompt = (message["content"] for message in messages)
        assert [message["role"] for message in messages] == ["system", "user"]
        self.rules.append(rules)
        self.prompts.append(prompt)
        self.usage.calls += 1
        self.usage.read += len(prompt)
        self.usage.written += len(self.answer)
        if self.answer == "fail":
            raise ModelError("out of order")
        if self.sleep:
            self.sleep(0.02)
        return "1" if self.answer == "late" else self.answer


@pytest.fixture
def may_stay_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes in which a language model has answered no page are played to their end all the same."""
    monkeypatch.setattr("recsys_env.policies.Team.check", lambda team: None)


def played(policy: LanguagePolicy, config=SHOP, seed: int = 1) -> np.ndarray:
    return episode_returns(config, policy, 2, seed=seed)


# ------------------------------------------------------------------------------------------------ the policy


def test_the_likeliest_titles_are_shown_whatever_their_length():
    """What counts is what the context adds: long titles are unlikely with and without it."""
    policy = LanguagePolicy(Scripted("Comedy"))
    envs = vector_env(SHOP, 4)
    policy.bind(envs, envs.possible_agents[0], 0)
    observations, _ = envs.reset(seed=2)
    pages = policy.read(observations[:, 0])
    tested = 0
    for page, answer in zip(pages, policy.answer(pages), strict=True):
        if page is None:
            continue
        liked = [i for i, candidate in enumerate(page.candidates) if "Comedy" in candidate.title]
        others = [i for i in range(len(page.candidates)) if i not in liked]
        assert answer.picks == tuple([*liked, *others][: page.slots])
        tested += bool(liked)
    assert tested


@pytest.mark.parametrize(
    ("answer", "limits"),
    [
        ("fail", Limits()),
        ("late", Limits(page_seconds=0.01)),
        ("1", Limits(calls=1)),
        ("1", Limits(tokens=10)),
        ("late", Limits(seconds=0.01)),
    ],
)
@pytest.mark.usefixtures("may_stay_silent")
def test_without_an_answer_pages_show_what_was_retrieved_and_that_is_counted(answer, limits, clock, monkeypatch):
    monkeypatch.setattr("recsys_env.language.policy.HOPELESS", 10**9)
    model = Scripted(answer=answer, sleep=clock.sleep if answer == "late" else None)
    policy = ListingPolicy(model, limits)
    as_retrieved = played(ListingPolicy(Scripted(answer="1, 2, 3, 4, 5")))
    found = played(policy)
    once = answer == "1" or limits.seconds < 1
    if not once:
        np.testing.assert_array_equal(found, as_retrieved)
    failed = policy.fallbacks.total()
    pages = failed + len(policy._answers) + policy.remembered
    assert failed == (pages - 1 if once else pages)
    assert set(policy.fallbacks) == {"limit" if once else "no answer" if answer == "fail" else "too late"}
    assert (model.usage.calls == 1) == once
    assert (policy.error is not None) == (answer == "fail")


@pytest.mark.parametrize(
    ("answer", "why", "reason"),
    [
        ("fail", "out of order", "no answer"),
        ("late", "it was too late", "too late"),
        ("", "its answer names no candidate: ''", "no candidate"),
        ("<think>Maybe 4", "its answer names no candidate: '<think>Maybe 4'", "no candidate"),
        ("I cannot help with 99.", "its answer names no candidate: 'I cannot help with 99.'", "no candidate"),
    ],
)
def test_a_model_that_never_answers_is_not_asked_for_ever(answer, why, reason, clock):
    """A run with nothing but fallbacks stops and says why. All of its pages are counted, the last one too."""
    policy = ListingPolicy(
        Scripted(answer=answer, sleep=clock.sleep if answer == "late" else None), Limits(page_seconds=0.01)
    )
    with pytest.raises(ModelRefused, match=f"^scripted has answered none of {HOPELESS} pages: {re.escape(why)}$"):
        played(policy)
    assert policy.usage.calls == policy.fallbacks[reason] == HOPELESS
    assert policy.repairs.total() == 0
    assert set(policy.fallbacks) <= {reason, "not asked"}


@pytest.mark.parametrize("answers", [["fail"], ["1", "fail"], ["3, 1, 2, 5, 4", "I had rather not."]])
def test_pages_without_an_answer_are_counted(answers):
    """A model that never answered gives no result; one that has answered may fail on other pages."""

    class Moody(Scripted):
        def generate(self, messages, tokens, seconds=None) -> str:
            self.answer = answers[self.usage.calls % len(answers)]
            return super().generate(messages, tokens, seconds)

    policy, few = ListingPolicy(Moody()), replace(SHOP, {"horizon": 2})
    if len(answers) == 1:
        with pytest.raises(ValueError, match=r"^recommender_0: scripted has answered none of 2 pages: out of order$"):
            episode_returns(few, policy, 1, seed=1)
        return
    played(policy)
    assert policy.failure is None
    assert set(policy.fallbacks) == {"no answer" if "fail" in answers else "no candidate"}
    assert policy.fallbacks.total() == policy.usage.calls // 2


def test_the_same_prompt_is_asked_once_and_prices_are_told():
    policy = ListingPolicy(Scripted(), prices=(2.0, 10.0))
    few = replace(SHOP, {"users": {"number": 2}})
    first = played(policy, few)
    asked = policy.usage.calls
    np.testing.assert_array_equal(played(policy, few), first)
    assert policy.remembered > 0
    used = policy.usage
    assert used.calls == asked
    assert policy.costs()["price"] == pytest.approx((2 * used.read + 10 * used.written) / 1e6)
    assert "price" not in ListingPolicy(Scripted()).costs()


def test_what_is_not_allowed_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"rank = 'lst' is not allowed \(did you mean 'list'\?\)"):
        LanguagePolicy(Scripted(), "lst")
    with pytest.raises(ValueError, match=r"Limits.calls = 0 must be a number above 0"):
        Limits(calls=0)
    for settings, error in (
        ({"tokens": 0}, r"tokens = 0 is out of range"),
        ({"tokens": "many"}, r"tokens = 'many' must be an integer"),
        ({"cache": 1}, r"cache = 1 must be True or False"),
        ({"cache": True, "rank": "likelihood"}, r"cache = True keeps answers in words; rank = 'likelihood' has none"),
        ({"options": {"seed": 1}}, r"options = \{'seed': 1\} are given where a model is opened"),
    ):
        with pytest.raises((ValueError, TypeError), match=error):
            LanguagePolicy(Scripted(), **{"rank": "list", **settings})
    lists_only = Scripted()
    lists_only.rates = False
    assert LanguagePolicy(lists_only).rank == "list"
    with pytest.raises(ValueError, match="rank = 'likelihood' needs a model on this machine; scripted only writes"):
        LanguagePolicy(lists_only, "likelihood")
    for wrong in ("gpt", str(tmp_path), str(tmp_path / "model.gguf")):
        with pytest.raises(ValueError, match=r"is neither 'smollm2', nor a GGUF file, nor a folder .* nothing is down"):
            make_policy(f"llm:{wrong}")
    with pytest.raises(ValueError, match=r"policies are random, .*llm:WHAT, llm-list:WHAT"):
        make_policy("llm:")


# ------------------------------------------------------------------------------------------------ on this machine


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A folder with a model of two layers, whose words are single letters."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("model")
    letters = {letter: i for i, letter in enumerate(["<end>", "<other>", *map(chr, range(32, 127)), "\n"])}
    letter = tokenizers.Tokenizer(tokenizers.models.WordLevel(letters, unk_token="<other>"))
    letter.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    letter.decoder = tokenizers.decoders.Fuse()
    transformers.PreTrainedTokenizerFast(tokenizer_object=letter, eos_token="<end>").save_pretrained(folder)
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    config = transformers.LlamaConfig(vocab_size=len(letters), **sizes, bos_token_id=None, eos_token_id=0)
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_likelihoods_are_those_of_one_option_after_the_other(weights):
    """The options share the pass over their context; one by one, without padding, each has the same probability."""
    import torch

    model = LocalModel(str(weights), device="cpu")
    context, options = "A visitor likes: sea.", [" a", " sea and land", " sea", " the longest of these options"]
    found = model.log_likelihoods(context, options)
    for option, value in zip(options, found, strict=True):
        before, after = (model._tokenizer(text).input_ids for text in (context, option))
        with torch.inference_mode():
            logits = model.network(torch.tensor([before + after])).logits[0].log_softmax(-1)
        alone = sum(float(logits[len(before) + i - 1, token]) for i, token in enumerate(after))
        assert value == pytest.approx(alone, abs=1e-4)
    assert model.usage.read == len(context) + sum(map(len, options))
    assert np.isfinite(model.log_likelihoods("", [" a"])).all()


def test_weights_on_this_machine_play(weights, tmp_path):
    pytest.importorskip("rich")  # of the extra "evaluate"
    model = LocalModel(str(weights))
    assert model.generate(asked("Answer: "), tokens=5) == model.generate(asked("Answer: "), tokens=5)
    assert model.usage.written == 10
    report = evaluate(
        (f"llm:{weights}",), ("ecommerce-v1,horizon=15,num_agents=1",), 1, 2, metrics=False, out=tmp_path / "runs"
    )
    (row,) = (
        row for team, row in report["tasks"]["ecommerce-v1,horizon=15,num_agents=1"]["teams"].items() if "llm" in team
    )
    assert {"ms", "calls", "tokens", "repairs", "fallbacks"} == set(row["costs"])
    assert row["costs"]["tokens"]["mean"] > 100
    assert row["costs"]["fallbacks"]["mean"] == 0
    assert open_model(str(weights)) is open_model(str(weights))


SYSTEM = [{"role": "system", "content": "The rules. "}, {"role": "user", "content": "The page."}]
TURN = "{{ '[' + message.role + ']' + (message.content | trim) }}"
GEMMA = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (None, "The rules. \n\nThe page."),
        (f"{{% for message in messages %}}{TURN}{{% endfor %}}", "[system]The rules.[user]The page."),
        (f"{GEMMA}{{% for message in messages %}}{TURN}{{% endfor %}}", "[user]The rules. \n\nThe page."),
        (
            f"{{% for message in messages if message.role == 'user' %}}{TURN}{{% endfor %}}",
            "[user]The rules. \n\nThe page.",
        ),
    ],
    ids=["no template", "system", "refused", "ignored"],
)
def test_rules_are_the_system_prompt_where_a_chat_template_has_one(weights, template, text):
    model = LocalModel(str(weights), device="cpu")
    model._tokenizer.chat_template = template
    assert model._dialogue(SYSTEM) == text
    assert model.generate(SYSTEM, tokens=3) == model.generate(SYSTEM, tokens=3)
    assert model.usage.read == 2 * len(text)


# ------------------------------------------------------------------------------------------------ an endpoint


class Server(ThreadingHTTPServer):
    """Answers chats on loopback as it is told to."""

    def __init__(self, answers: list[Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.heard, self.over = answers, [], [], threading.Event()
        self.closed, self.counting = threading.Event(), threading.Lock()  # whether who asked has gone
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server_port}/v1#tiny"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        with server.counting:
            server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = server.answers[min(len(server.asked), len(server.answers)) - 1]
        if callable(answer):
            answer(self)
        else:
            self.say(answer)

    def say(self, answer: Any) -> None:
        server: Any = self.server
        if answer == "never":
            server.over.wait()
        status = answer if isinstance(answer, int) else 200
        said = (
            {"choices": [{"message": {"role": "assistant", "content": answer}}]} if isinstance(answer, str) else answer
        )
        server.heard.append((self.path, self.headers["Authorization"]))
        echoed = {"error": {"message": f"{self.path} {self.headers}"}}  # as some servers repeat what they were asked
        body = answer if isinstance(answer, bytes) else json.dumps(said if status == 200 else echoed).encode()
        if isinstance(answer, dict) and "to" in answer:
            self.send_response(307)
            self.send_header("Location", answer["to"])
        else:
            self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked has gone
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serve(monkeypatch) -> Iterator[Any]:
    pytest.importorskip("openai")
    monkeypatch.setattr("recsys_env.language.endpoint.PAUSES", (0.05,))
    models._endpoint.cache_clear()  # a port of an earlier test, given again, would bring its model and its counts
    servers = []

    def start(*answers: Any) -> Server:
        servers.append(Server(list(answers)))
        return servers[-1]

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


def test_an_endpoint_is_asked_in_its_protocol(serve):
    server = serve("2, 1, 3, 4, 5")
    policy = make_policy(f"llm:{server.address}")
    assert policy.rank == "list"
    assert (played(policy) >= 0).all()
    assert server.asked[0]["model"] == "tiny"
    assert server.asked[0]["temperature"] == 0
    assert server.asked[0]["max_tokens"] == policy.tokens == 2048
    rules, page = server.asked[0]["messages"]
    assert (rules["role"], page["role"]) == ("system", "user")
    assert rules["content"] == policy.rules
    assert "Candidates:" in page["content"]
    assert not policy.fallbacks
    assert policy.repairs.total() == 0


def test_it_is_asked_again_where_it_fails(serve):
    server = serve(500, "4")
    model = open_model(server.address)
    assert model.generate(asked("prompt"), 5) == "4"
    assert len(server.asked) == model.usage.calls == 2
    assert model.usage.failed == {"status 500": 1}


def finished(text: str | None, why: str, **usage: int) -> dict[str, Any]:
    """A reply that says why the text ends."""
    return {"choices": [{"message": {"content": text}, "finish_reason": why}], "usage": usage}


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        (finished(None, "length"), "cut off", "its tokens were spent before it answered"),
        (finished("<think>Hm. 4 or 1?", "length"), "cut off", "its tokens were spent before it answered"),
        (finished(" \n", "stop"), "empty", "its answer holds no word besides thoughts"),
        (finished("<think>4, 1</think>", "stop"), "empty", "its answer holds no word besides thoughts: '<think>4, 1"),
        (finished(None, "stop"), "no text", "it answered without a text"),
        ({"nothing": 1}, "no text", "it answered without a text"),
        (b"<html>", "invalid JSON", "its reply is not JSON"),
    ],
)
def test_a_reply_without_an_answer_is_a_failed_call(serve, reply, reason, said):
    server = serve(reply)
    model = open_model(server.address)
    with pytest.raises(ModelError, match=re.escape(said)) as error:
        model.generate(asked("a prompt!"), 5)
    assert error.value.reason == reason
    assert len(server.asked) == 1  # at the temperature of 0 the same would come again
    assert model.usage.failed == {reason: 1}
    policy = ListingPolicy(serve(reply).address)
    with pytest.raises(ModelRefused, match=rf"has answered none of \d+ pages: .*{re.escape(said)}"):
        played(policy)
    assert policy.usage.failed[reason] == policy.usage.calls == policy.fallbacks[reason]
    assert policy.usage.calls >= HOPELESS


TOLD = {"prompt_tokens": 7, "completion_tokens": 2}


TOLD = {"prompt_tokens": 7, "completion_tokens": 2}


@pytest.mark.parametrize("usage", [None, "much", {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": 7}])
def test_tokens_that_are_not_told_are_estimated(serve, usage):
    answer = {"choices": [{"message": {"content": "4, 1"}}]}
    model = open_model(serve({**answer, "usage": usage}, {**answer, "usage": TOLD}).address)
    for expected in (Usage(calls=1, read=3, written=1, estimated=1), Usage(calls=2, read=10, written=3, estimated=1)):
        assert model.generate(asked("a prompt!"), 5) == "4, 1"
        assert model.usage == expected


TINY = "ecommerce-v1,horizon=10,num_agents=1"


def command(address: str, out: Path, *more: str) -> None:
    pytest.importorskip("tyro")
    pytest.importorskip("rich")
    words = ["--policies", f"llm:{address}", "--tasks", TINY, "--episodes", "1", "--seeds", "1", "--no-metrics"]
    recsys_env_main(["evaluate", *words, "--out", str(out), *more])


@pytest.mark.parametrize("status", [401, 404])
def test_what_refuses_every_page_ends_the_command(serve, status, tmp_path, capsys):
    server = serve(status)
    with pytest.raises(SystemExit, match="2"):
        command(server.address, tmp_path / "out")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f": {server.address} refuses every page: " in said
    assert f"Error code: {status}" in said
    assert len(server.asked) == 1
    assert not list(tmp_path.rglob("*.json"))


SECRETS = ("Pass%20word7", "Pass word7", "Key7Key", "some7user", "Env7Key")
BASIC = f"Basic {base64.b64encode(b'some7user:Pass word7').decode()}"


@pytest.mark.parametrize("answers", [["1", 500, "2"], [401]])
def test_what_is_secret_in_an_address_goes_to_the_server_alone(serve, answers, tmp_path, capfd, caplog, monkeypatch):
    """Also where a server repeats what it was asked; a page that failed is told among the costs."""
    monkeypatch.setattr("recsys_env.language.endpoint.PAUSES", ())
    monkeypatch.setenv("OPENAI_API_KEY", "Env7Key")
    caplog.set_level(logging.DEBUG)
    server = serve(*answers)
    address = server.address.replace("://", "://some7user:Pass%20word7@").replace("#", "?api_key=Key7Key#")
    monkeypatch.setattr("sys.argv", ["evaluate.py", "--policies", f"llm:{address}"])
    with contextlib.suppress(SystemExit) if answers == [401] else contextlib.nullcontext():
        command(address, tmp_path / "out")
    assert set(server.heard) == {("/v1/chat/completions?api_key=Key7Key", BASIC)}
    said = "".join([*capfd.readouterr(), caplog.text])
    for path in tmp_path.rglob("*"):
        said += str(path) + (path.read_text(encoding="utf-8") if path.is_file() else "")
    assert "***" in said
    assert not [secret for secret in (*SECRETS, BASIC) if secret in said]
    if answers != [401]:
        report = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
        named = "llm:" + server.address.replace("://", "://***@").replace("#", "?api_key=***#")
        costs = report["tasks"][TINY]["teams"][named]["costs"]
        assert 0 < costs["fallbacks"]["mean"] < 1
        assert costs["fallbacks"]["mean"] == costs["failed calls: status 500"]["mean"]


@pytest.mark.parametrize("secret", [True, False])
def test_a_redirection_is_not_followed(serve, secret):
    """Prompts and secrets go to the server of the address alone, and every request is a call that is counted."""
    other = serve("1")
    server = serve({"to": f"{other.address.partition('/v1')[0]}/elsewhere"})
    address = server.address.replace("://", "://u7:p7@").replace("#", "?key=k7#") if secret else server.address
    model = open_model(address)
    with pytest.raises(ModelError, match=r"307.*; redirections are not followed: give the address that they lead to$"):
        model.generate(asked("prompt"), 5)
    sent = ("/v1/chat/completions?key=k7", "Basic dTc6cDc=") if secret else ("/v1/chat/completions", "Bearer none")
    assert server.heard == [sent]
    assert not other.heard
    assert model.usage == Usage(calls=1, failed=Counter({"status 307": 1}))


def test_names_of_addresses():
    for given, name in (
        ("llm:http://h/v1#a,b", "llm:http://h/v1#a,b"),
        ("llm:http://u:p@h:8/v1?k=a&b#m:8b", "llm:http://***@h:8/v1?k=***&***#m:8b"),
        ("a=llm:http://u:p@h/v1#m,b=llm:https://h/v1?k=a#n", "a=llm:http://***@h/v1#m,b=llm:https://h/v1?k=***#n"),
        ("runs/mine", "runs/mine"),
    ):
        assert without_secrets(given) == without_secrets(name) == name
        assert (is_team(given), is_team("module:factory")) == (given.startswith("a="), False)
    assert with_secrets("http://***@h:8/v1?k=***&***#m:8b") == "http://u:p@h:8/v1?k=a&b#m:8b"


# ------------------------------------------------------------------------------------------------ a hostile endpoint


def drip(first: bytes, then: bytes) -> Callable[[Any], None]:
    """An answer of which a byte comes now and then, until who asked closes the connection."""

    def answer(handler: Any) -> None:
        try:
            handler.wfile.write(first)
            for _ in range(1_000):
                handler.wfile.write(then)
                handler.server.over.wait(0.02)
        except OSError:
            handler.server.closed.set()

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n", OK], ids=["headers", "spaces"])
def test_a_deadline_holds_against_replies_of_which_a_byte_comes_now_and_then(serve, monkeypatch, first):
    monkeypatch.setattr("recsys_env.language.endpoint.PAUSES", ())
    server = serve(drip(first, b" "))
    model = open_model(server.address)
    with pytest.raises(ModelError) as error:
        model.generate(asked("prompt"), 5, 0.2)
    assert error.value.reason == "timeout"
    assert model.usage == Usage(calls=1, failed=Counter({"timeout": 1}))
    assert server.closed.wait(30)


@pytest.mark.parametrize(("asks", "again"), [("0.1", True), ("60", False), ("soon", True)])
def test_a_server_that_asks_to_wait_is_asked_again_in_time(serve, asks, again):
    """Later than its deadline an answer has no use, so nobody waits for it."""

    def busy(handler: Any) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", asks)
        handler.end_headers()

    server = serve(busy, "4")
    model = open_model(server.address)
    if again:
        assert model.generate(asked("prompt"), 5, 30.0) == "4"
    else:
        with pytest.raises(ModelError, match="429") as error:
            model.generate(asked("prompt"), 5, 30.0)
        assert error.value.reason == "status 429"
    assert len(server.asked) == model.usage.calls == 1 + again
    assert model.usage.failed == {"status 429": 1}


def refusing(*fields: str) -> Callable[[Any], None]:
    """A reasoning model, which refuses these fields of a request, one after the other."""

    def answer(handler: Any) -> None:
        given = [field for field in fields if field in handler.server.asked[-1]]
        instead = "; use 'max_completion_tokens' instead" if given[:1] == ["max_tokens"] else ""
        error = {"error": {"message": f"Unsupported parameter: {given[:1]}{instead}"}}
        answers = {"choices": [{"message": {"content": "4"}}], "usage": TOLD}
        handler.send_response(400 if given else 200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        handler.wfile.write(json.dumps(error if given else answers).encode())

    return answer


def test_a_reasoning_model_is_asked_as_it_wants(serve):
    server = serve(refusing("max_tokens", "temperature"))
    model = open_model(server.address)
    for _ in range(2):
        assert model.generate(asked("a prompt!"), 500) == "4"
    assert [sorted(set(request) - {"model", "messages"}) for request in server.asked] == [
        ["max_tokens", "temperature"],
        ["max_completion_tokens", "temperature"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
    ]
    assert server.asked[-1]["max_completion_tokens"] == 500
    assert model.usage == Usage(calls=4, read=14, written=4, failed=Counter({"status 400": 2}))


def test_options_are_sent_with_every_request(serve):
    server = serve("4")
    options = {"temperature": 0.7, "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}
    policy = ListingPolicy(server.address, Limits(calls=1), options=options, tokens=99)
    played(policy)
    assert {name: server.asked[0][name] for name in options} == options
    assert server.asked[0]["max_tokens"] == 99
    assert open_model(server.address, {"temperature": None}).generate(asked("prompt"), 5) == "4"
    assert "temperature" not in server.asked[-1]
    with pytest.raises(ModelError, match="Unsupported"):  # what the user has set is not changed
        open_model(serve(refusing("temperature")).address, {"temperature": 1}).generate(asked("prompt"), 5)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "x"}, r"options\['model'\] = 'x' is not allowed: the address names the model"),
        ({"seed": {1}}, r"options\['seed'\] = \{1\} must be a value of JSON"),
        ("hot", r"options = 'hot' must be a dict"),
    ],
)
def test_options_that_are_none_are_named(options, error):
    with pytest.raises((ValueError, TypeError), match=error):
        open_model("http://127.0.0.1:9/v1#tiny", options)
    with pytest.raises(ValueError, match=r"options = .* are for models with an address; 'smollm2' takes none"):
        open_model("smollm2", {"temperature": 0})


def pages_of(copies: int) -> tuple[Any, np.ndarray]:
    """A batch in every copy of which somebody came, and the observations of its agent."""
    envs = vector_env(replace(SHOP, {"arrival": {"r_0": 50.0}}), copies)
    return envs, envs.reset(seed=2)[0][:, 0]


@pytest.mark.parametrize("workers", [1, 8])
def test_pages_of_a_step_are_asked_about_at_once(serve, workers):
    """Each request waits until as many are under way as may be, and none of more than that many."""
    together, under_way, most = threading.Barrier(workers), [0], [0]

    def answer(handler: Any) -> None:
        with handler.server.counting:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        together.wait(30)
        body = json.dumps({"choices": [{"message": {"content": "4"}}], "usage": TOLD}).encode()
        with handler.server.counting:
            under_way[0] -= 1
        handler.wfile.write(OK + body)

    server = serve(answer)
    model = open_model(server.address)
    model.most_at_once = workers
    policy = ListingPolicy(model)
    envs, observations = pages_of(24)
    policy.bind(envs, envs.possible_agents[0], 0)
    pages = policy.read(observations)
    answers = policy.answer(pages)
    assert all(answer.picks[0] == 3 for answer in answers)
    assert len(set(map(policy._key, pages))) == 24
    assert policy.usage == Usage(calls=24, read=7 * 24, written=2 * 24)
    assert most[0] == workers
    assert policy.answer([*pages, None, pages[0]])[:24] == answers
    assert len(server.asked) == 24
    assert policy.remembered == 25


# ------------------------------------------------------------------------------------------------ answers on disk


def test_answers_are_kept_on_disk_if_they_are_wanted(serve, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))
    server = serve("3, 1, 2, 5, 4")

    def earned(**settings: Any) -> tuple[np.ndarray, Any]:
        policy = ListingPolicy(server.address, **settings)
        return played(policy, replace(SHOP, {"horizon": 8})), policy

    first, asking = earned()
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(earned(cache=True)[0], first)
    files = list((tmp_path / "answers").iterdir())
    assert len(files) == asking.usage.calls
    again, recalling = earned(cache=True)
    np.testing.assert_array_equal(again, first)
    assert (recalling.usage, recalling.failure) == (Usage(), None)
    assert recalling.remembered == asking.usage.calls + asking.remembered
    for other in ({"tokens": 7}, {"options": {"temperature": 1}}):
        assert earned(cache=True, **other)[1].usage.calls == asking.usage.calls
    files[0].write_bytes(b"{}")
    files[1].write_text(files[1].read_text().replace("3, 1, 2", "3, 2, 1"))
    files[2].unlink()
    files[2].mkdir()
    with pytest.warns(UserWarning, match=f"answers are not kept: .*{CACHE} names another folder"):
        again, repairing = earned(cache=True)
    np.testing.assert_array_equal(again, first)
    assert repairing.usage.calls == 3


# ------------------------------------------------------------------------------------------------ tuning


@pytest.mark.slow
def test_a_model_is_tuned_to_what_is_clicked(weights, tmp_path):
    """The adapter is a model by its path that rates titles anew, and what is likely anyway as it was."""
    pytest.importorskip("peft")
    pytest.importorskip("tyro")
    from baselines.language import Tuning, logged, split, tune

    settings = dict(model=str(weights), task="streaming-v1,horizon=100", device="cpu", batch=2, rank=4)
    tuning = Tuning(**settings, clicks=150, passes=1, learning_rate=2e-2, out=tmp_path / "tuned")
    examples = logged(tuning)
    assert len(examples) == 150
    assert all(2 <= len(example.titles) <= 4 and len(set(example.titles[:1])) == 1 for example in examples)
    assert all(example.titles[0] not in example.titles[1:] for example in examples)
    found = tune(tuning)
    parts = split(examples, tuning.seed)
    for new, some in parts.held_out.items():
        told = found["held_out"][new]
        assert told["pages"] == len(some)
        assert [*told] == ["pages", "chance", "most clicked", "before", "pass 1"]
        assert told["before"] != told["pass 1"]
    told = found["held_out"]["visitors"]
    assert told["before"]["nats"] > 0.9 * told["chance"]["nats"]  # weights that were never trained know nothing
    base, tuned = LocalModel(str(weights), "cpu"), LocalModel(str(tuning.out), "cpu")
    options = [" sea", " land and war"]
    np.testing.assert_allclose(
        tuned.prior("A visitor chose:", options), base.prior("A visitor chose:", options), atol=1e-4
    )
    moved = tuned.log_likelihoods("A visitor chose:", options) - base.log_likelihoods("A visitor chose:", options)
    assert np.abs(moved).max() > 1e-2
    assert json.loads((tuning.out / "tuning.json").read_text())["pages"] == len(parts.train)
    assert (played(make_policy(f"llm:{tuning.out}")) >= 0).all()


def test_visitors_and_titles_are_held_out():
    """No held-out visitor and no held-out title is in training, not even beside a click."""
    from baselines.language import Example, split

    rng = np.random.default_rng(0)
    names = [f"title {i}" for i in range(30)]
    examples = [
        Example(
            (v,),
            test_language.page(clicked=test_language.past(*rng.permutation(names)[:4])),
            rng.permutation(names)[:4].tolist(),
        )
        for v in range(20)
        for _ in range(10)
    ]
    parts = split(examples, seed=1)
    of_train = {example.visitor for example in parts.train}, {t for example in parts.train for t in example.titles}
    known, new = parts.held_out["visitors"], parts.held_out["visitors and titles"]
    assert len({example.visitor for example in known + new}) == 4
    assert not of_train[0] & {example.visitor for example in known + new}
    assert {example.titles[0] for example in known} <= of_train[1]
    assert not {example.titles[0] for example in new} & of_train[1]
    assert len(of_train[1]) == 24
    told = {item.title for example in parts.train for item in example.page.clicked}
    assert told
    assert told <= of_train[1]
    assert all(len(example.titles) > 1 for example in parts.train)
    with pytest.raises(ValueError, match="give more --clicks"):
        split(examples[:3], seed=1)
