"""The Prefect internals that we use work as we expect."""

from uuid import uuid4

from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer
from prefect.settings import PREFECT_UI_URL, temporary_settings

from flows.render_catalog import render_catalog
from flows.server.prefect_internals import (
    apply_values,
    parameter_schema,
    read_results_by,
    run_coro_as_sync,
    url_for,
    validate,
)


def test_stored_results_are_read_by_the_functions_that_are_given(monkeypatch):
    for serializer in (PickleSerializer, CompressedSerializer, JSONSerializer):
        monkeypatch.setattr(serializer, "loads", serializer.loads)
    read_results_by(lambda _, blob: blob + b" loaded", lambda _, blob: blob + b" refused")
    assert JSONSerializer().loads(b"1") == b"1 loaded"
    assert PickleSerializer().loads(b"1") == b"1 refused"
    assert CompressedSerializer(serializer="json").loads(b"1") == b"1 refused"


def test_a_flows_parameters_are_checked_against_their_schema():
    schema = parameter_schema(render_catalog).model_dump()
    good = {"request": {"manifest": "m.csv", "output": "out"}}
    assert validate(good, schema) == []
    assert "'request' is a required property" in str(validate({}, schema))


def test_a_template_takes_its_values():
    assert apply_values({"image": "{{ image }}"}, {"image": "amnst"}) == {"image": "amnst"}


def test_a_coroutine_is_run_to_its_end():
    async def answer():
        return 42

    assert run_coro_as_sync(answer()) == 42


def test_a_run_has_a_page():
    run_id = uuid4()
    with temporary_settings({PREFECT_UI_URL: "http://127.0.0.1:4200"}):
        assert str(run_id) in url_for("flow-run", obj_id=run_id)
