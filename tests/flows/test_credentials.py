"""A password in any cell, option or parameter is refused and is never written anywhere."""

import csv
import io
import logging
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ParameterTypeError
from prefect.settings import get_current_settings
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate as check_schema
from pydantic import ValidationError

from flows.render_catalog import render_catalog
from flows.requests import RenderRequest
from flows.server.connection import CATALOG_DEPLOYMENT, ServerError
from flows.train_classifier import TrainRequest, _described, train_classifier
from flows.watch_inbox import InboxRequest, watch_inbox
from tasks.manifest.row import COLUMNS
from tasks.storage.store import Record
from tests.command_line import main

SECRET = "Zx9SecretQ7"
PLACES = (
    f"s3://user:{SECRET}@bucket/x.wav",
    f"S3://user:{SECRET}@bucket/x.wav",
    f"s3://user:pa/{SECRET}@bucket/x.wav",
    f"s3%3A//user:{SECRET}@bucket/x.wav",
    f"https://user:{SECRET}@host/x.wav",
    f"user:{SECRET}@bucket/x.wav",
    f"s3://user:my {SECRET}/p@bucket/x.wav",
)
STORED = "Yy8StoredQ6"
"""Secret that Prefect stores before we see it; other tests look for theirs in the database."""
IN_TEXTS = f"from https://user:{SECRET}@host/x or https://host/x?X-Amz-Signature={SECRET}"


def database():
    url = get_current_settings().server.database.connection_url.get_secret_value()
    return Path(url.partition("///")[2])


def assert_nowhere(*folders):
    """Check that the secret is in no file of the folders, and not in the server's database."""
    path = database()
    beside = [each for each in path.parent.glob(f"{path.name}*") if each.is_file()]
    assert path in beside
    files = [each for folder in folders for each in folder.rglob("*") if each.is_file()]
    for each in (*beside, *files):
        assert SECRET.encode() not in each.read_bytes(), each


@pytest.fixture
def amnst(capfd, caplog):
    """Run a command line; return its exit code, and its output and log."""
    caplog.set_level(logging.DEBUG)

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        said = "".join(capfd.readouterr())
        assert SECRET not in said
        assert SECRET not in caplog.text
        return caught.value.code or 0, " ".join(said.split())

    return run


@pytest.fixture
def catalogue(rendered, environment):
    with environment(rendered.root):
        yield rendered


def every_cell(good):
    """A row per column and place, with the place in that column."""
    rows = [
        {**good, "id": f"r{number}", column: place}
        for number, (column, place) in enumerate((c, p) for c in COLUMNS for p in PLACES)
    ]
    blends = [f"rain.wav*2 + {PLACES[0]}", f"{PLACES[2]}*0.5 + rain.wav"]
    return rows + [{**good, "id": f"b{k}", "ambience": each} for k, each in enumerate(blends)]


def write(catalogue, rows):
    columns = [*COLUMNS, "note", "x_from"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    catalogue.manifest.write_text(text.getvalue(), "utf-8")
    return catalogue.manifest


def test_a_password_in_any_cell_is_refused_by_line_and_column_and_is_written_nowhere(
    amnst, catalogue
):
    good = dict(catalogue.rows[0])
    bad = every_cell(good)
    manifest = write(catalogue, [{**good, "note": IN_TEXTS, "x_from": IN_TEXTS}, *bad])
    code, said = amnst("check", manifest)
    assert code == 2
    assert f"problems: {len(bad)}" in said
    assert 'line 3, column "id": contains a login (user:password@)' in said
    assert 'column "loudness_lufs": contains a login' in said
    options = ("--output", catalogue.output, "--model", catalogue.model)
    assert amnst("render", manifest, *options)[0] == 2
    assert amnst("submit", manifest, *options)[0] == 2
    code, said = amnst("render", manifest, *options, "--skip-invalid", "--json")
    assert code == 1
    assert said.count('"error_code":"login_in_place"') == len(bad)
    report = catalogue.report()
    assert list(report["status"]) == ["cached"] + ["invalid"] * len(bad)
    assert report["note"][0] == "from https://***host/x or https://host/x?***"
    assert_nowhere(catalogue.output, catalogue.root / "store", catalogue.root / "scratch")


def test_a_password_where_no_column_is_expected_is_not_repeated(amnst, catalogue):
    for text in (
        f"{PLACES[0]},folk.wav\nrain.wav,folk.wav\n",
        f"ambience,music\nrain.wav,folk.wav,{PLACES[0]}\n",
        f"id,ambience,music\n{PLACES[2]},folk.wav\n",
        f"ambience,music,x_{PLACES[0]}\nrain.wav,folk.wav,1\n",
        f"ambience,music\nhttps://host/x.wav?X-Amz-Signature=a.{SECRET},folk.wav\n",
    ):
        catalogue.manifest.write_text(text, "utf-8")
        assert amnst("check", catalogue.manifest)[0] == 2


@pytest.mark.parametrize("place", PLACES)
def test_a_password_in_any_option_is_refused_and_stored_nowhere(
    amnst, catalogue, deployment, monkeypatch, place
):
    monkeypatch.chdir(catalogue.root)
    deployment()
    good = {"--output": "out", "--model": catalogue.model}
    manifest = catalogue.write()
    options = (
        "--output", "--model", "--preset", "--input-root", "--only", "--strength", "--limit",
        "--format", "--sample-rate", "--loudness-lufs",
    )  # fmt: skip
    commands = {
        "render": options,
        "submit": (*options, "--shard-size", "--max-in-flight"),
        "schedule": (*options, "--cron", "--name", "--timezone"),
    }
    for command, known in commands.items():
        cron = {"--cron": "0 3 * * *"} if command == "schedule" else {}
        assert amnst(command, place, *flat(good | cron))[0] in {2, 3}
        for option in known:
            code, _ = amnst(command, manifest, *flat({**good, **cron, option: place}))
            assert code in {2, 3}, (command, option)
    assert amnst("check", place)[0] in {2, 3}
    assert amnst("check", manifest, "--input-root", place)[0] in {2, 3}
    assert amnst("plan", "--ambience", place, "--music", "folk.wav")[0] == 2
    assert amnst("plan", "--ambience", f"rain.wav + {place}", "--music", place)[0] == 2
    for option in ("--output", "--sha256"):
        train = {"--output": "model", option: place}
        assert amnst("train", "genres", *flat(train))[0] in {2, 3}
    assert amnst("train", place, "--output", "model")[0] == 2
    assert_nowhere(catalogue.output, catalogue.root / "store")
    assert not Path("out").exists()


def flat(options):
    return [part for name, value in options.items() for part in (name, value)]


REQUESTS = (
    (render_catalog, RenderRequest, {"manifest": "m.csv", "output": "out"}),
    (train_classifier, TrainRequest, {"dataset": "genres", "output": "model"}),
    (watch_inbox, InboxRequest, {"inbox": "in", "output": "out"}),
)


@pytest.mark.parametrize(("flow", "request_type", "good"), REQUESTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_parameter_with_a_password_is_refused_before_there_is_a_run(
    flow, request_type, good, place
):
    for name in request_type.model_fields:
        if name in request_type.free_text:
            continue
        value = (place,) if name in {"only", "input_roots"} else place
        with pytest.raises(ValidationError) as caught:
            request_type.model_validate({**good, name: value})
        assert "contains a login" in str(caught.value)
        assert SECRET not in str(caught.value)
        assert SECRET not in repr(caught.value)


def test_the_words_on_a_models_card_lose_their_passwords():
    request = TrainRequest(dataset="genres", output="model", licence=IN_TEXTS)
    assert request.licence == "from https://***host/x or https://host/x?***"


def test_a_datasets_signed_url_is_accepted_and_its_signature_is_not_on_the_card():
    url = f"https://host/sets/genres.zip?X-Amz-Signature={SECRET}"
    meta = {"n_tracks": 4, "n_segments": 9}
    cut = Record(stage="segments", key="k", sha256="0" * 64, size=1, suffix="npz", meta=meta)
    request = TrainRequest(dataset=url, output="model")
    assert request.dataset == url
    assert _described(request, cut) == "genres.zip: 4 tracks, 9 segments"


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(("flow", "request_type", "good"), REQUESTS)
def test_a_run_that_an_event_starts_with_a_password_fails_without_repeating_it(
    flow, request_type, good, caplog, capfd, environment, tmp_path
):
    caplog.set_level(logging.DEBUG)
    request = {**good, "output": f"s3://user:{STORED}@bucket/x.wav"}
    with environment(tmp_path), pytest.raises(ParameterTypeError) as caught:
        flow(request)
    assert "request.output" in str(caught.value)
    assert STORED not in str(caught.value)
    assert STORED not in caplog.text + "".join(capfd.readouterr())


def test_the_server_takes_no_password_from_a_form(prefect):
    """It checks parameters by the schema that a deployment brings."""
    for flow, _, good in REQUESTS:
        schema = parameter_schema(flow).model_dump()
        assert check_schema({"request": good}, schema) == []
        for name in good:
            for place in PLACES[:3]:
                assert check_schema({"request": {**good, name: place}}, schema), (name, place)


def test_a_servers_url_loses_its_login():
    assert SECRET not in str(ServerError(f"http://me:{SECRET}@host/api is away", code="away"))


def test_a_schedule_that_was_stored_before_is_listed_without_its_password(deployment, amnst):
    deployment()
    flow_name, name = CATALOG_DEPLOYMENT.split("/")
    old = DeploymentScheduleCreate(
        schedule=CronSchedule(cron="0 3 * * *"), slug="old", active=False,
        parameters={"request": {"manifest": f"s3://user:{STORED}@bucket/x.wav", "output": "out"}},
    )  # fmt: skip
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(f"{flow_name}/{name}")
        client.create_deployment_schedules(found.id, [old])
        code, said = amnst("schedules")
        client.delete_deployment_schedule(
            found.id, client.read_deployment_schedules(found.id)[0].id
        )
    assert code == 0
    assert "old 0 3 * * * off s3://***bucket/x.wav" in said
