"""Every number that defines a world.

world_config.py  `WorldConfig` and the groups of its fields
settings.py      how a config checks itself, is described and is changed field by field
fields.py        what agents observe, every field declared once
responses.py     what can happen to a slot (clicked, bought, ...), every response declared once
privacy.py       the noise of a profile that a differential-privacy guarantee asks for
catalogue.py     fitted items and users; fitted.py: a world that was made from a log, as data
tasks.py         the named tasks (tuned.json: the parameters of their policies)
scenarios.py     held-out teams
"""

from .world_config import (
    GROUPS,
    OBJECTIVES,
    PAGE_PROPERTIES,
    ArrivalConfig,
    CandidateConfig,
    ChoiceConfig,
    DynamicsConfig,
    FeedbackConfig,
    ItemConfig,
    ObservationConfig,
    OfferConfig,
    PlatformConfig,
    RewardConfig,
    RoleConfig,
    SceneConfig,
    UserConfig,
    WorldConfig,
    check_catalogue_fields,
    for_catalogue,
    plain_config,
)

__all__ = [
    "GROUPS",
    "OBJECTIVES",
    "PAGE_PROPERTIES",
    "ArrivalConfig",
    "CandidateConfig",
    "ChoiceConfig",
    "DynamicsConfig",
    "FeedbackConfig",
    "ItemConfig",
    "ObservationConfig",
    "OfferConfig",
    "PlatformConfig",
    "RewardConfig",
    "RoleConfig",
    "SceneConfig",
    "UserConfig",
    "WorldConfig",
    "check_catalogue_fields",
    "for_catalogue",
    "plain_config",
]
