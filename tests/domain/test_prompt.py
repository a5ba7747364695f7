"""Prompts: never sent half filled, and told apart by their text."""

import hashlib

import pytest

from prosa.domain.errors import ConfigurationError
from prosa.domain.prompt import PromptTemplate


def a_template(text: str) -> PromptTemplate:
    return PromptTemplate(name="support_agent", version="3", text=text)


def test_each_variable_is_filled_in_wherever_it_stands() -> None:
    template = a_template("{{ company }} on {{ today }}. {{company}} {{   today   }}")
    filled = template.render({"company": "Acme", "today": "2026-03-02"})
    assert filled == "Acme on 2026-03-02. Acme 2026-03-02"


def test_variables_are_what_render_requires() -> None:
    template = a_template("{{ today }} {{ intent }} {{ today }}")
    assert template.variables == {"today", "intent"}


def test_a_prompt_without_variables_is_sent_as_it_is() -> None:
    assert a_template('{"json": {}} {{ }} {{ Not_Ours }}').render({}) == (
        '{"json": {}} {{ }} {{ Not_Ours }}'
    )


def test_values_that_the_text_does_not_name_are_left_out() -> None:
    assert a_template("Today is {{ today }}.").render({"today": "Monday", "intent": "x"}) == (
        "Today is Monday."
    )


def test_what_a_value_says_is_not_filled_in_again() -> None:
    template = a_template("{{ intent }} {{ today }}")
    filled = template.render({"intent": "{{ today }} \\1 \\g<0>", "today": "Monday"})
    assert filled == "{{ today }} \\1 \\g<0> Monday"


def test_a_half_filled_prompt_is_refused_by_name() -> None:
    template = a_template("{{ today }} {{ intent }} {{ company }}")
    with pytest.raises(ConfigurationError) as refused:
        template.render({"today": "Monday"})
    assert str(refused.value) == (
        "prompt 'support_agent' version 3 asks for company, intent; known are today"
    )


def test_a_reference_names_the_very_text_by_its_digest() -> None:
    text = "Você é o atendente. {{ today }}"
    reference = a_template(text).reference
    assert (reference.name, reference.version) == ("support_agent", "3")
    assert reference.digest == hashlib.sha256(text.encode()).hexdigest()
    assert a_template(text + " ").reference != reference
