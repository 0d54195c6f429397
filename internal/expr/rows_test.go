package expr

import (
	"errors"
	"testing"
)

// fed is names with a file of rows whose one column is slot 0.
func fed() *Names {
	n := names()
	n.Rows = map[string]func(string) (int, error){"accounts": func(column string) (int, error) {
		if column == "email" {
			return 0, nil
		}
		return 0, &Error{Msg: "accounts has no column " + column, Hint: "did you mean email?"}
	}}
	return n
}

func TestColumnIsAValueOfTheUser(t *testing.T) {
	c := NewCompiler(fed())
	for src, want := range map[string]string{
		"${accounts.email}":                     "tok/1",
		`${accounts["email"]}`:                  "tok/1",
		"a ${accounts.email}":                   "a tok/1",
		"${accounts.email + 'x'}":               "tok/1x",
		"${upper(accounts.email)}":              "TOK/1",
		"${accounts.email == 'tok/1' ? 1 : 2}":  "1",
		"${alert ?? accounts.email}":            "tok/1",
		"${base64(accounts.email)}":             "dG9rLzE=",
		"${format('%s', accounts.email)}":       "tok/1",
		"${int(1, len(accounts.email) - 4)}":    "1",
		"${accounts.email contains 'k/' && on}": "true",
	} {
		text, err := c.Text(src, Plain)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := text.Append(nil, someone()); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", src, got, err)
		}
		if slots := text.Slots(); len(slots) == 0 || slots[0] != 0 {
			t.Errorf("%s reads the slots %v", src, slots)
		}
	}
	if cond, err := c.Cond("accounts.email"); err != nil || len(cond.Slots()) != 1 {
		t.Error(err)
	}
}

func TestRowsAreUsedByAColumnThatThereIs(t *testing.T) {
	for src, want := range map[string]Error{
		"${accounts}":       {2, "accounts is a file of rows, not a value", "name a column: ${accounts.COLUMN}"},
		"${accounts.emial}": {11, "accounts has no column emial", "did you mean email?"},
		"${acounts.email}":  {2, "unknown name acounts", "did you mean accounts?"},
		"${accounts()}":     {2, "accounts is a value, not a function", "write accounts"},
		"${pick(accounts)}": {7, "accounts is not a list", ""},
		"${accounts[n]}":    {10, "what follows accounts is a name", "write accounts.NAME"},
	} {
		_, err := NewCompiler(fed()).Text(src, Plain)
		var e *Error
		if !errors.As(err, &e) || *e != want {
			t.Errorf("%s: %+v", src, e)
		}
	}
	if _, err := NewCompiler(fed()).Const("${accounts.email}"); err == nil {
		t.Error("a row is known when the spec is loaded")
	}
}

func TestFormTextIsEncodedWhole(t *testing.T) {
	c := NewCompiler(fed())
	for src, want := range map[string]string{
		"a b&c=${accounts.email}/": "a%20b%26c%3Dtok%2F1%2F",
		"${n}":                     "5",
		"ü":                        "%C3%BC",
		"${domain}":                "test.eriop.local",
	} {
		text, err := c.Text(src, Form)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := text.Append(nil, someone()); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", src, got, err)
		}
	}
	unset, _ := c.Text("${alert}", Form)
	if _, err := unset.Append(nil, someone()); !errors.Is(err, ErrUnset) {
		t.Error(err)
	}
}

func TestBase64OfATextIsThatOfWhatItWrites(t *testing.T) {
	build := func(src string) *Text {
		t.Helper()
		inner, err := NewCompiler(fed()).Text(src, Plain)
		if err != nil {
			t.Fatal(err)
		}
		var b Builder
		b.Literal("Basic ")
		b.Base64(inner)
		return b.Build()
	}
	text := build("${accounts.email}:pässword")
	if got, err := text.Append(nil, someone()); err != nil || string(got) != "Basic dG9rLzE6cMOkc3N3b3Jk" {
		t.Errorf("%q, %v", got, err)
	}
	if slots := text.Slots(); len(slots) != 1 || slots[0] != 0 {
		t.Error(slots)
	}
	if got, err := build("${alert}:x").Append([]byte("kept"), someone()); !errors.Is(err, ErrUnset) || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}
