"""What a rehearsal needs before anything starts: the job, its scenario, and its nodes' settings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phyemu.batch.air import AirSettings
from phyemu.batch.job import BatchJob, load_job
from phyemu.batch.plan import PLAN_NAME, Plan, PlannedImage, load_plan
from phyemu.batch.rehearsal_content import find_content
from phyemu.colosseum import Scenario, load_scenario
from phyemu.errors import ConfigError
from phyemu.library import find_in_library
from phyemu.live.times import parse_time_s
from phyemu.node import RadioConf, Role, load_radio_conf

__all__ = [
    "RehearsalEvent",
    "RehearsalSettings",
    "RehearsalSetup",
    "parse_rehearsal_event",
    "set_up_rehearsal",
]

# A rehearsal with more events would never come to its end.
_MOST_DISCONTINUITIES = 1000
_RECEIVE = (Role.CAPTURE, Role.SOUND, Role.RECEIVE, Role.PHYDNN_RECEIVE)
# Scripts that the scenario calls while it runs, and the input that is pushed before.
_EVENT_INPUTS = {
    "update_environment": "environment.json",
    "update_outcomes": "mandated_outcomes.json",
    "scenario_discontinuity": "",
    "statistics": "",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RehearsalEvent:
    """Something that happens while the scenario runs.

    Attributes:
        time_s: Time of the scenario [s].
        script: Script that is called on all nodes.
        input: File that is pushed before; None: none.
    """

    time_s: float
    script: str
    input: Path | None = None

    @property
    def input_name(self) -> str:
        """Return the name that the file has on a node."""
        return _EVENT_INPUTS[self.script]


def parse_rehearsal_event(text: str) -> RehearsalEvent:
    """Return the event of a spec, such as `5s:update_environment=env.json`.

    Raises:
        ConfigError: It is written otherwise, or there is no such file.
    """
    forms = ", ".join(
        f"{script}=FILE" if name else script for script, name in _EVENT_INPUTS.items()
    )
    time, colon, action = text.partition(":")
    script, equals, path = action.partition("=")
    time_s = parse_time_s(time)
    if time_s is None or not colon or script not in _EVENT_INPUTS:
        raise ConfigError(f"{text}: write TIME:SCRIPT, as in 5s:{forms}")
    if bool(equals) != bool(_EVENT_INPUTS[script]):
        raise ConfigError(f"{text}: write {time}: and one of {forms}")
    if path and not Path(path).is_file():
        raise ConfigError(f"{text}: {path}: no such file")
    return RehearsalEvent(time_s=time_s, script=script, input=Path(path) if path else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class RehearsalSettings:
    """How a job is rehearsed.

    Attributes:
        content: Packaged images, and content folders (`find_content`); empty: the plan's.
        config: Folder of the radio.conf files; None: `config` beside the job, or beside its folder.
        scenario: Name or file of the scenario; None: the plan's, or the published one of the job's
            RFScenario.
        duration_s: In place of the job's Duration [s of the scenario]; None: that.
        sample_rate_hz: Rate of all radios [Hz]; None: that of the radio.conf files.
        events: What happens while the scenario runs.
        discontinuity: Whether scenario_discontinuity.sh is called where the scenario starts over.
        boot_limit_s: The READY check comes at the latest so long after the boot [s].
        start_limit_s: The scenario begins at the latest so long after start.sh, and once all nodes
            are ACTIVE [s].
        clean_up_s: From stop.sh to the end of the container [s].
        noise_dbfs: Noise power of every receiver [dBFS].
        radios: Front ends of the nodes, as for `load_radios`.
        seed: Everything random of the air comes from it.
    """

    content: tuple[Path, ...] = ()
    config: Path | None = None
    scenario: str | None = None
    duration_s: float | None = None
    sample_rate_hz: float | None = None
    events: tuple[RehearsalEvent, ...] = ()
    discontinuity: bool = False
    boot_limit_s: float = 600.0
    start_limit_s: float = 30.0
    clean_up_s: float = 120.0
    noise_dbfs: float = -80.0
    radios: str = "ideal"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no rehearsal could do."""
        for name in ("duration_s", "sample_rate_hz", "boot_limit_s", "start_limit_s", "clean_up_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be positive and finite, got {value}")


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class RehearsalSetup:
    """A job, ready to be rehearsed.

    Attributes:
        job: The job.
        job_file: Its file.
        scenario: What is played.
        confs: Files of the radio.conf of each node.
        roles: Role of each node.
        content: Where the content of each image is; images without any are missing.
        planned: What each image must hold, as far as it is known.
        air: Settings of the air.
        duration_s: Length of a loop [s of the scenario].
        events: In the order of their times.
    """

    job: BatchJob
    job_file: Path
    scenario: Scenario
    confs: Mapping[int, Path]
    roles: Mapping[int, Role]
    content: Mapping[str, Path]
    planned: Mapping[str, PlannedImage] = field(default_factory=dict)
    air: AirSettings
    duration_s: float
    events: tuple[RehearsalEvent, ...]


def set_up_rehearsal(job_file: Path, settings: RehearsalSettings) -> RehearsalSetup:
    """Return a job with everything that its rehearsal needs.

    Raises:
        ConfigError: Something is missing, contradicts another, or breaks a rule.
        ScenarioError: The scenario is damaged.
    """
    plan = load_plan(job_file.parent) if (job_file.parent / PLAN_NAME).is_file() else None
    job = load_job(job_file)
    scenario_file = _scenario_file(job, job_file, plan, settings.scenario)
    scenario = load_scenario(scenario_file)
    job = load_job(job_file, num_nodes=scenario.num_nodes)
    confs = {
        node.rf_node: _conf_file(node.modem_config, job_file, settings.config) for node in job.nodes
    }
    loaded = {number: load_radio_conf(path) for number, path in confs.items()}
    duration_s = settings.duration_s or float(job.duration_s)
    return RehearsalSetup(
        job=job,
        job_file=job_file,
        scenario=scenario,
        confs=confs,
        roles={number: conf.role for number, conf in loaded.items()},
        content=find_content(
            [node.image for node in job.nodes],
            settings.content,
            {}
            if plan is None
            else {
                image.name: job_file.parent / image.content
                for image in plan.images
                if image.content
            },
        ),
        planned={} if plan is None else {image.name: image for image in plan.images},
        air=AirSettings(
            scenario=str(scenario_file),
            sample_rate_hz=settings.sample_rate_hz or _common_rate_hz(loaded),
            transmitters=tuple(node for node, conf in loaded.items() if conf.role.transmits),
            receivers=tuple(node for node, conf in loaded.items() if conf.role in _RECEIVE),
            seed=settings.seed,
            noise_dbfs=settings.noise_dbfs,
            radios=settings.radios,
        ),
        duration_s=duration_s,
        events=_events(settings, scenario, duration_s),
    )


def _scenario_file(job: BatchJob, job_file: Path, plan: Plan | None, given: str | None) -> Path:
    if given is not None:
        return find_in_library(given, "colosseum")
    if plan is not None:
        return plan.job(job.name).scenario_path(job_file.parent)
    try:
        return find_in_library(str(job.rf_scenario), "colosseum")
    except ConfigError as exc:
        raise ConfigError(
            f"{job_file}: phyemu does not ship RFScenario {job.rf_scenario}, and there is no "
            f"{PLAN_NAME} beside the job; say what to play: --scenario NAME"
        ) from exc


def _conf_file(name: str, job_file: Path, given: Path | None) -> Path:
    folders = (
        (job_file.parent / "config", job_file.absolute().parent.parent / "config")
        if given is None
        else (given,)
    )
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    looked = ", ".join(str(folder) for folder in folders)
    raise ConfigError(f"{job_file}: ModemConfig {name} is not in {looked}; give its folder")


def _common_rate_hz(confs: Mapping[int, RadioConf]) -> float:
    rates = {
        number: conf.radio.sample_rate_hz
        for number, conf in confs.items()
        if conf.role is not Role.IDLE
    }
    if not rates:
        raise ConfigError("all nodes are idle; there is nothing to rehearse")
    if len(set(rates.values())) > 1:
        said = ", ".join(f"node {number} {rate / 1e6:g} MHz" for number, rate in rates.items())
        raise ConfigError(
            f"the radios of a rehearsal share one sample rate, and have {said}; set "
            "[radio] sample_rate_hz of their radio.conf to one"
        )
    return next(iter(rates.values()))


def _events(
    settings: RehearsalSettings, scenario: Scenario, duration_s: float
) -> tuple[RehearsalEvent, ...]:
    for event in settings.events:
        if event.time_s >= duration_s:
            raise ConfigError(
                f"{event.script} at {event.time_s:g} s: the scenario runs for {duration_s:g} s"
            )
    # Once, in the middle, so that the script is seen to work.
    events = [*settings.events, RehearsalEvent(time_s=duration_s / 2, script="statistics")]
    if settings.discontinuity:
        if scenario.is_static:
            raise ConfigError(
                f"scenario {scenario.name} never changes, so there is no discontinuity where it "
                "starts over"
            )
        if not scenario.repeats or scenario.duration_s >= duration_s:
            raise ConfigError(
                f"scenario {scenario.name} does not start over within {duration_s:g} s, so there "
                "is no discontinuity"
            )
        count = math.ceil(duration_s / scenario.duration_s) - 1
        if count > _MOST_DISCONTINUITIES:
            raise ConfigError(
                f"scenario {scenario.name} starts over {count} times within {duration_s:g} s, at "
                f"most {_MOST_DISCONTINUITIES} discontinuities are rehearsed; rehearse it for less"
            )
        events += [
            RehearsalEvent(time_s=index * scenario.duration_s, script="scenario_discontinuity")
            for index in range(1, count + 1)
        ]
    return tuple(sorted(events, key=lambda event: event.time_s))
