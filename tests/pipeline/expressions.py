"""What stands between `${{` and `}}`, and conditions: the part of GitHub's language that the workflows use."""

import re


class Unknown(Exception):
    """Something that this runner does not know, and so does not pass over."""


TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(==|!=|&&|\|\||[!(),])|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w.-]*))")


class Expression:
    """One expression: literals, contexts, == != && || ! and the functions that ask how the job fares."""

    def __init__(self, text: str, contexts: dict, state: str):
        self.text, self.contexts, self.state, self.tokens, at = text, contexts, state, [], 0
        text = text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise Unknown(f"expression {self.text!r}")
            self.tokens.append(found.group(0).strip())
            at = found.end()

    def value(self):
        value = self.either()
        if self.tokens:
            raise Unknown(f"expression {self.text!r} at {self.tokens[0]}")
        return value

    def next_is(self, token: str) -> bool:
        if self.tokens[:1] != [token]:
            return False
        self.tokens.pop(0)
        return True

    def either(self):
        value = self.both()
        while self.next_is("||"):
            other = self.both()
            value = value or other
        return value

    def both(self):
        value = self.equal()
        while self.next_is("&&"):
            other = self.equal()
            value = value and other
        return value

    def equal(self):
        value = self.single()
        if self.next_is("=="):
            return same(value, self.single())
        if self.next_is("!="):
            return not same(value, self.single())
        return value

    def single(self):
        if not self.tokens:
            raise Unknown(f"expression {self.text!r} ends too early")
        if self.next_is("!"):
            return not self.single()
        if self.next_is("("):
            value = self.either()
            if not self.next_is(")"):
                raise Unknown(f"expression {self.text!r} has no )")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if re.fullmatch(r"-?\d+(\.\d+)?", token):
            return float(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        if self.next_is("("):
            asked = {
                "success": self.state == "success",
                "failure": self.state == "failure",
                "cancelled": self.state == "cancelled",
                "always": True,
            }
            if token not in asked or not self.next_is(")"):
                raise Unknown(f"function {token} in {self.text!r}")
            return asked[token]
        return self.look_up(token)

    def look_up(self, name: str):
        value, (head, *rest) = self.contexts, name.split(".")
        if head not in value:
            raise Unknown(f"context {name} in {self.text!r}")
        value = value[head]
        for part in rest:
            # A variable, secret or output that is not set is empty; anything else has to be known here.
            if part not in value and head == "github":
                raise Unknown(f"context {name} in {self.text!r}")
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value


def same(one, other) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return one == other


def shown(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def filled(value, contexts: dict, state: str = "success") -> str:
    """A value of the workflow as the step gets it: each `${{ }}` in it replaced."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: shown(Expression(found[1].strip(), contexts, state).value()), shown(value)
    )


def holds(condition, contexts: dict, state: str) -> bool:
    """An `if`; without a function that asks how things are, it holds only while all is well."""
    text = "success()" if condition is None else shown(condition).strip()
    text = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", text).strip()
    asks = re.search(r"\b(success|failure|always|cancelled)\(", text)
    return bool(Expression(text, contexts, state).value()) and (asks is not None or state == "success")
