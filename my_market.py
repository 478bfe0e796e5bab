from recsys_env.adapters.verifiers import environment

Taskset, Env, Harness = environment("ecommerce-v1", pages=3, tools=["search"])
__all__ = ["Env", "Harness", "Taskset"]
