package expr

import (
	"errors"
	"slices"
	"testing"
)

func TestConditionHoldsUnlessUnsetFalseOrEmpty(t *testing.T) {
	tests := map[string]bool{
		"alert":                 false,
		"token":                 true,
		" token ":               true,
		"!alert":                true,
		"''":                    false,
		"0":                     true,
		"n == 5":                true,
		"n > 5":                 false,
		"token && n == 5":       true,
		"alert || n > 9":        false,
		"alert != nil":          false,
		"body.list[0] == 10":    true,
		"token contains 'tok'":  true,
		"not alert and token":   true,
		"user.id % 2 == 0":      true,
		"iteration == 9":        true,
		"int(1, 1) == 1":        true,
		"category_of == 'fire'": true,
	}
	n := names()
	n.Consts["category_of"] = Str("fire")
	for src, want := range tests {
		c, err := NewCompiler(n).Cond(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := c.Holds(someone()); got != want || err != nil {
			t.Errorf("%s is %v, %v", src, got, err)
		}
	}
}

func TestConditionThatCannotBeComputedDoesNotHold(t *testing.T) {
	c, err := NewCompiler(names()).Cond("len(alert) > 0")
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(someone()); holds || !errors.Is(err, ErrUnset) {
		t.Errorf("holds %v, %v", holds, err)
	}
	if !slices.Equal(c.Slots(), []int{1}) {
		t.Errorf("slots %v", c.Slots())
	}
}

func TestConditionIsWrittenWithoutBraces(t *testing.T) {
	for src, want := range map[string]struct {
		offset int
		hint   string
	}{
		"${alert}":     {0, "write alert"},
		" ${alert}":    {1, "write alert"},
		"n == ${n}":    {5, ""},
		"":             {0, ""},
		"alrt":         {0, "did you mean alert?"},
		"token = 'x'":  {6, "write == to compare"},
		"n == categry": {5, "did you mean category?"},
	} {
		_, err := NewCompiler(names()).Cond(src)
		if e := asError(t, src, err); e.Offset != want.offset || e.Hint != want.hint && want.hint != "" {
			t.Errorf("%q: %q at %d (%s)", src, e.Msg, e.Offset, e.Hint)
		}
	}
}
