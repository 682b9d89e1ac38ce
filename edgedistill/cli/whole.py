"""Commands about a whole run: run, plan, init, doctor, compare."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedistill.cli.options import DEFAULT_RECIPE, JsonOption, OnOption, RecipeOption, SetOption, TargetsOption, add_command
from edgedistill.cli.terminal import boxed, mebibytes, milliseconds, say, say_json, step_teller, table, tell, tell_error
from edgedistill.errors import GoalMissedError, ParityError, UsageError

if TYPE_CHECKING:
    from edgedistill.catalog import LocatedRecipe
    from edgedistill.pipeline import RunResult
    from edgedistill.plan import Misfit, Plan
    from edgedistill.target import Target

RunFolderOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Run folder; default runs/<recipe>.")
]
TrainOption = Annotated[
    Path | None, typer.Option("--train", metavar="FILE", help="Training data: CSV, TSV, JSONL or Parquet.")
]
ValidationOption = Annotated[
    Path | None, typer.Option("--validation", metavar="FILE", help="Validation data; without it, split off train.")
]
TestOption = Annotated[
    Path | None, typer.Option("--test", metavar="FILE", help="Test data; without it, split off train.")
]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Pictures: a folder with a folder of pictures for each class.")
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", metavar="NAME", help="Column with the text or picture; default: text, or image.")
]
LabelColumn = Annotated[str, typer.Option("--label-column", metavar="NAME", help="Column with the label.")]
TeacherOption = Annotated[
    str | None, typer.Option("--teacher", metavar="DIR|ID", help="Model folder or hub id; default: by the task.")
]
TrialsOption = Annotated[
    int | None, typer.Option("--trials", metavar="N", help="Students to train at most; default: the recipe's, else 4.")
]
TimeLimitOption = Annotated[
    float | None,
    typer.Option("--time-limit", metavar="MINUTES",
                 help="Start no further student for a target after so many minutes of its trials."),
]
_STEPS_SHARED, _STEPS_PER_TARGET, _STEPS_PER_TRIAL = 3, 20, 5
"""Steps at most: a search may end early, and a trial that changes nothing is found done."""


def run(  # noqa: PLR0917 - a command's options
    target: TargetsOption,
    recipe: RecipeOption = DEFAULT_RECIPE,
    out: RunFolderOption = None,
    set_: SetOption = None,
    trials: TrialsOption = None,
    time_limit: TimeLimitOption = None,
    on: OnOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Distil, quantize, measure and pack a student for each target.

    Several students are tried, see --trials; the report shows them all.
    Steps that were done before are skipped: after an interruption, type the same command again.
    Exit code 3: a budget or goal is missed, and everything is written all the same.

    With --on, the int8 student is measured on the device too, and its figures replace the predicted ones.

    Example: edgedistill run --target raspberry-pi
    Example: edgedistill run --target raspberry-pi --on ssh://pi@raspberrypi.local
    Example: edgedistill run --recipe my.yaml --target raspberry-pi --target raspberry-pi-5
    Example: edgedistill run --target raspberry-pi --trials 8 --time-limit 30
    """
    import edgedistill

    set_ = [*(set_ or ()), *_search_settings(trials, time_limit)]
    located = edgedistill.load_recipe(recipe, overrides=set_)
    targets = [edgedistill.load_target(name) for name in dict.fromkeys(target)]
    if dry_run:
        if on is not None:
            raise UsageError("--on: a dry run asks no device", hint="leave out --on, or --dry-run")
        return plan(target=target, recipe=recipe, set_=set_, as_json=as_json)
    per_target = _STEPS_PER_TARGET + _STEPS_PER_TRIAL * located.recipe.search.trials
    teller = step_teller(_STEPS_SHARED + per_target * len(targets))
    result = edgedistill.run(located, targets, out, on_step=teller, on=on)
    if as_json:
        say_json((result.folder / "report.json").read_text(encoding="utf-8"))
    else:
        say(_summary(result))
    return _exit_code(result)


def _search_settings(trials: int | None, time_limit: float | None) -> list[str]:
    """Return the options of the search as settings of the recipe; minutes become seconds.

    Raises:
        UsageError: an option is out of its range.
    """
    if trials is not None and trials < 1:
        raise UsageError(f"--trials {trials}: at least one student is trained", hint="--trials 1")
    if time_limit is not None and not 0 < time_limit < math.inf:
        raise UsageError(f"--time-limit {time_limit:g}: more than 0 minutes are expected", hint="--time-limit 30")
    found = [] if trials is None else [f"search.trials={trials}"]
    return found if time_limit is None else [*found, f"search.time_limit_s={time_limit * 60}"]


def _exit_code(result: "RunResult") -> int:
    for sentence in (*result.parity_problems, *result.missed):
        tell(f"missed: {sentence}")
    if result.parity_problems:
        from edgedistill.run_report import parity_advice_of

        tell(f"hint:  {parity_advice_of(result.report)}")
        return ParityError.exit_code
    if result.missed:
        tell("hint:  read report.html; then raise the budget, lower the goal, or choose another target")
        return GoalMissedError.exit_code
    return 0


def _summary(result: "RunResult") -> str:
    lines = []
    for name, target in result.report.targets.items():
        lines += [f"{name}: {target.verdict.upper()}", target.summary, ""]
        lines += [table(("variant", "size", "accuracy", "p50 here", "peak memory"), [
            (
                variant, mebibytes(v.size_bytes), f"{v.accuracy:.4f}",
                milliseconds(v.latency.host.p50_s) if v.latency.host else "-",
                mebibytes(v.peak_rss_bytes.value - v.peak_rss_bytes.baseline) if v.peak_rss_bytes else "-",
            )
            for variant, v in target.variants.items()
        ]), ""]
        lines += _missing_of(result.folder / name / "bundle")
        lines += _paths(("bundle", result.folder / name / "bundle"), ("as a file", result.folder / name / "bundle.zip"),
                        ("student", result.folder / name / "student"))
    lines += _paths(("open this", result.folder / "report.html"), ("in text", result.folder / "report.md"))
    return boxed(lines)


def _missing_of(bundle: Path) -> list[str]:
    """Return a line about sources for apps that a bundle lacks; nothing where it is whole, or there is none."""
    from edgedistill.package.contents import MANIFEST_FILE, missing_apps, read_manifest

    missing = missing_apps(read_manifest(bundle)) if (bundle / MANIFEST_FILE).is_file() else None
    return [] if missing is None else [missing, ""]


def _paths(*named: tuple[str, Path]) -> list[str]:
    """Return a line for each path that is there."""
    return [f"{name + ':':<10}  {path}" for name, path in named if path.exists()]


def plan(
    target: TargetsOption, recipe: RecipeOption = DEFAULT_RECIPE, set_: SetOption = None, as_json: JsonOption = False
) -> int:
    """Show which student fits a target, before anything is trained.

    Every student shape of the ladder is listed with what it would cost and why it was not taken.
    Exit code 3: no student fits one of the targets; all of them are shown all the same.

    Example: edgedistill plan --target raspberry-pi
    """
    import edgedistill
    from edgedistill.cli.plan_text import as_json_text, misfit_text, plan_text
    from edgedistill.pipeline import require_distinct
    from edgedistill.plan import Plan

    located = edgedistill.load_recipe(recipe, overrides=set_ or ())
    targets = [edgedistill.load_target(name) for name in dict.fromkeys(target)]
    require_distinct(targets)
    found, missed = _considered(located, targets)
    if as_json:
        say_json(as_json_text(found))
    else:
        say("\n\n".join(plan_text(item) if isinstance(item, Plan) else misfit_text(item) for item in found))
        sys.stdout.flush()
    for failure in missed:
        tell_error(failure)
    return GoalMissedError.exit_code if missed else 0


def _considered(located: "LocatedRecipe", targets: "list[Target]") -> "tuple[list[Plan | Misfit], list[GoalMissedError]]":
    """Plan for every target; one that nothing fits does not hide the others."""
    import edgedistill

    found: list[Plan | Misfit] = []
    missed: list[GoalMissedError] = []
    for target in targets:
        try:
            found.append(edgedistill.plan(located, target, targets=targets))
        except GoalMissedError as failure:
            if failure.misfit is None:
                raise
            found.append(failure.misfit)
            missed.append(failure)
    return found, missed


def init(  # noqa: PLR0917 - a command's options
    train: TrainOption = None,
    validation: ValidationOption = None,
    test: TestOption = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = "label",
    label_separator: Annotated[str | None, typer.Option(
        "--label-separator", metavar="TEXT", help="A text may have several labels, with this between them; lists need none.")
    ] = None,
    label_columns: Annotated[str | None, typer.Option(
        "--label-columns", metavar="NAMES", help="Columns of 0 and 1, one for each class, with commas between their names.")
    ] = None,
    images: ImagesOption = None,
    teacher: TeacherOption = None,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="The ML task; with --images it is known.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Recipe to write.")] = Path("recipe.yaml"),
) -> int:
    """Write a commented recipe for your own data.

    On a terminal, without --train or --images, it asks for the data.

    Example: edgedistill init --train reviews.tsv --label-column stars -o recipe.yaml
    Example: edgedistill init --images photos -o recipe.yaml
    """
    from edgedistill.cli.questions import ask_missing
    from edgedistill.recipe_writer import require_new, write_recipe
    from edgedistill.tasks.registry import task_asked

    if images is not None and train is not None:
        raise UsageError("--images and --train both name the training data", hint="give one of them")
    found = task_asked(task, option=None if images is None else "--images")
    require_new(out)  # before anything is asked
    columns = (text_column or found.content_column, label_column)
    answers = ask_missing(task=found, train=images or train, validation=validation, test=test, columns=columns, teacher=teacher,
                          label_separator=label_separator, label_columns=label_columns,
                          may_ask=sys.stdin.isatty() and sys.stderr.isatty())
    write_recipe(answers, out)
    say(f"wrote {out}")
    tell(f"next: edgedistill plan --recipe {shlex.quote(str(out))} --target raspberry-pi")
    return 0


def doctor(as_json: JsonOption = False) -> int:
    """Say what this machine has, and how to get what is missing.

    Exit code 6: a package that is needed is missing, or of a version that edgedistill does not take.

    Example: edgedistill doctor
    """
    from edgedistill.doctor import examine

    found = examine()
    code = 0 if all(item.is_good for item in found.packages if item.is_required) else 6
    if as_json:
        say_json(found.to_json())
        return code
    say(f"{found.host.cpu}, {found.host.cores} cores, {found.host.architecture}, Python {found.host.python}")
    say(table(("what", "here", "needed for", "how to get it"), [
        *((item.name, (item.version or "missing") + (f", not {item.wanted}" if item.wanted else ""), item.needed_for,
           "" if item.is_good else item.remedy)
          for item in found.packages),
        *((item.name, "yes" if item.is_here else "no", item.needed_for, "" if item.is_here else item.remedy)
          for item in found.programs),
    ]))
    for note in found.notes:
        say(f"note: {note}")
    say(f"to run: {found.verdict}")
    return code


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, the first is the reference.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the page.")] = Path("runs/comparison"),
    as_json: JsonOption = False,
) -> int:
    """Compare runs, say which differences are real, and write a page about it.

    Example: edgedistill compare runs/home-intents runs/other -o runs/comparison
    """
    from edgedistill.report.compare import compare_reports
    from edgedistill.report.compare_text import comparison_markdown
    from edgedistill.report.stage import read_report, write_comparison

    if len(runs) < 2:
        raise UsageError("two runs at least are compared", hint="edgedistill compare RUN RUN")
    reports = {str(path): read_report(path) for path in runs}
    found = compare_reports(reports)
    page = write_comparison(found, reports, out)
    if as_json:
        say_json(found.to_json())
        return 0
    say(comparison_markdown(found))
    say(f"page: {page}")
    return 0


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (run, plan, init, doctor, compare):
        add_command(app, command)
