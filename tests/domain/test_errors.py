import pickle

from tocsin.domain.errors import Code, TocsinError, invalid


def test_a_refusal_speaks_its_message() -> None:
    assert str(TocsinError(Code.NOT_FOUND, "There is no such monitor.")) == "There is no such monitor."


def test_one_refused_field_is_named() -> None:
    error = invalid("name", "A name is needed.")
    assert (error.code, error.message, error.fields) == (
        Code.INVALID,
        "A name is needed.",
        {"name": "A name is needed."},
    )


def test_a_refusal_survives_pickling() -> None:
    error = TocsinError(Code.RATE_LIMITED, "Too many.", fields={"a": "b"}, retry_after_seconds=7)
    other = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(other, TocsinError)
    assert (other.code, other.message, other.fields, other.retry_after_seconds) == (
        Code.RATE_LIMITED, "Too many.", {"a": "b"}, 7,
    )  # fmt: skip


def test_refusals_are_told_apart_as_every_exception() -> None:
    assert len({invalid("a", "b"), invalid("a", "b")}) == 2


def test_codes_are_lower_case_words() -> None:
    assert all(code.value == code.name.lower() for code in Code)
